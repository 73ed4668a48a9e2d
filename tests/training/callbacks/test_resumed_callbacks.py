"""Callbacks of a run that was interrupted.

They go on as if it had not been, and believe no file.
"""

import json

import numpy as np
import pytest
from seeds import generator

from gatewise import callbacks, layers
from gatewise.callbacks import Callback, CallbackList, LambdaCallback
from gatewise.errors import CheckpointError, TrainingWarning
from gatewise.models import Sequential

# What the validation loss is told to be, so that every counter has something to count.
SCRIPT = [5.0, 4.0, 4.5, 4.2, 3.9, 3.95, 3.99, 3.97, 3.96, 3.0, 3.1, 3.2]


def through_a_file(state):
    """Dicts and lists anew, arrays copied, the rest as JSON text: what a checkpoint does."""
    if isinstance(state, dict):
        return {json.loads(json.dumps(key)): through_a_file(value) for key, value in state.items()}
    if isinstance(state, list):
        return [through_a_file(value) for value in state]
    return state.copy() if isinstance(state, np.ndarray) else json.loads(json.dumps(state))


class Saver(Callback):
    """Keeps what a checkpoint would, at the end of one epoch."""

    runs_last = True

    def __init__(self, epoch, watched):
        self.epoch, self.watched = epoch, watched

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            model = self.model
            self.weights, self.optimizer = model._flat_weights(), model.optimizer._snapshot()
            self.rate, self.rng = model.optimizer.learning_rate, model.rng.bit_generator.state
            self.state = through_a_file(CallbackList([*self.watched, model.history]).get_state())


class Resumer(Callback):
    """Puts back what a Saver kept, before the first epoch and after the others have begun."""

    def __init__(self, saved, watched):
        self.saved, self.watched = saved, watched

    def on_train_begin(self, logs=None):
        model, saved = self.model, self.saved
        model._set_flat_weights(saved.weights)
        model.optimizer._restore(saved.optimizer)
        model.optimizer.learning_rate, model.rng.bit_generator.state = saved.rate, saved.rng
        CallbackList([*self.watched, model.history]).set_state(saved.state)


def train(watched, more, epochs=12, initial_epoch=0):
    rng = generator(3)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    model = Sequential([layers.Dense(4, "tanh", input_shape=(3,)), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    script = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(val_loss=SCRIPT[epoch]))
    model.fit(
        x,
        y,
        batch_size=6,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        callbacks=[script, *watched, *more],
    )
    return model


def watchers(folder):
    folder.mkdir(exist_ok=True)
    return [
        callbacks.EarlyStopping(patience=3, restore_best_weights=True),
        callbacks.ReduceLROnPlateau(patience=1, cooldown=2, factor=0.5, min_delta=0),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.99),
        callbacks.CSVLogger(folder / "log.csv"),
        callbacks.ModelCheckpoint(folder / "{epoch:02d}.safetensors", save_best_only=True),
    ]


@pytest.mark.parametrize("at", [0, 3, 5])
def test_resumed_is_uninterrupted(at, tmp_path):
    whole = watchers(tmp_path / "whole")
    saver = Saver(at, whole)
    expected = train(whole, [saver])
    first = watchers(tmp_path / "resumed")
    train(first, [], epochs=at + 3)  # two epochs past the checkpoint: the resumed run repeats them
    again = watchers(tmp_path / "resumed")
    model = train(again, [Resumer(saver, again)], initial_epoch=at + 1)
    np.testing.assert_array_equal(model.flat_parameters, expected.flat_parameters)
    assert model.optimizer.learning_rate == expected.optimizer.learning_rate
    assert model.history.epoch == expected.history.epoch == list(range(8))  # stopped early
    assert model.history.history == expected.history.history
    for ours, theirs in zip(again, whole):
        assert repr(ours.get_state()) == repr(theirs.get_state())
    assert (tmp_path / "whole" / "log.csv").read_text() == (
        tmp_path / "resumed" / "log.csv"
    ).read_text()
    # Only what was the best up to then.
    assert sorted(p.name for p in (tmp_path / "whole").glob("*.safetensors")) == [
        f"0{n}.safetensors" for n in (1, 2, 5)
    ]


def test_a_run_that_was_stopped_stays_stopped(tmp_path):
    def stopping(patience):
        return [callbacks.EarlyStopping(patience=patience)]

    whole = stopping(2)
    saver = Saver(3, whole)
    assert train(whole, [saver]).history.epoch == [0, 1, 2, 3]
    for patience, stops in ((2, True), (3, False)):
        again = stopping(patience)
        seen = []
        ask = LambdaCallback(
            on_train_begin=lambda logs, again=again, seen=seen: seen.append(
                CallbackList(again)._stop(True)
            )
        )
        train(again, [Resumer(saver, again), ask], initial_epoch=4)
        assert seen == [stops]


def test_a_rate_is_set_once_in_an_epoch():
    """Resumed in the middle of an epoch, on_epoch_begin comes a second time."""
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse")
    first, second = (
        callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2) for _ in range(2)
    )
    for callback in (first, second):
        callback.set_model(model)
        callback.on_train_begin()
    first.on_epoch_begin(3)
    second.set_state(through_a_file(first.get_state()))
    second.on_epoch_begin(3)
    assert model.optimizer.learning_rate == 0.005
    second.on_epoch_end(3, {})
    second.on_epoch_begin(4)
    assert model.optimizer.learning_rate == 0.0025


# ---- lists


def test_states_go_by_class_and_order(tmp_path):
    first = [
        callbacks.EarlyStopping("a"),
        callbacks.TerminateOnNaN(),
        callbacks.EarlyStopping("b"),
        callbacks.ReduceLROnPlateau(),
    ]
    first[0].best, first[2].best, first[3].best = 1.0, 2.0, 3.0
    state = CallbackList(first).get_state()
    assert set(state) == {"EarlyStopping", "ReduceLROnPlateau"}
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    second = [
        callbacks.ReduceLROnPlateau(),
        callbacks.EarlyStopping("a"),
        callbacks.EarlyStopping("b"),
        callbacks.EarlyStopping("new"),
        callbacks.ModelCheckpoint("x"),
    ]
    watching = CallbackList(second)
    watching.set_model(model)
    watching.set_state(through_a_file(state))
    assert [callback.best for callback in second] == [3.0, 1.0, 2.0, None, None]
    fewer = CallbackList(second[:2])
    with pytest.warns(
        TrainingWarning,
        match="callbacks that this one lacks, and their state is dropped: EarlyStopping",
    ):
        fewer.set_state(through_a_file(state))


class Foreign:
    """A callback of another library: the moments, and no state."""

    def __getattr__(self, name):
        if name.startswith(("on_", "set_m", "set_p")):
            return lambda *a, **k: None
        raise AttributeError(name)


def test_a_callback_without_state_is_left_alone():
    train([Foreign()], [], epochs=1)
    assert CallbackList([Foreign(), Callback()]).get_state() == {}
    CallbackList([Foreign(), Callback()]).set_state({})


@pytest.mark.parametrize(
    "state", [None, [], {"EarlyStopping": {}}, {"EarlyStopping": [3]}, {"EarlyStopping": [{}]}]
)
def test_lists_of_states_that_do_not_fit(state):
    watching = CallbackList([callbacks.EarlyStopping()])
    watching.set_model(Sequential([layers.Dense(1, input_shape=(3,))], seed=0))
    with pytest.raises(CheckpointError, match="state of"):
        watching.set_state(state)


# ---- files that hold something else

WEIGHTS = [np.zeros((3, 1), np.float32), np.zeros(1, np.float32)]
GOOD = {
    "EarlyStopping": {
        "wait": 1,
        "stopped_epoch": 0,
        "best_epoch": 2,
        "best": 0.5,
        "best_weights": WEIGHTS,
    },
    "ReduceLROnPlateau": {"best": float("nan"), "wait": 3, "cooldown_counter": 0},
    "ModelCheckpoint": {"best": None, "batches": 4},
    "CSVLogger": {"lines": 3},
    "LearningRateScheduler": {"epoch": 2},
    "SwapEMAWeights": {"training": np.zeros(4, np.float32), "for_epoch": True},
    "History": {
        "epoch": np.arange(3),
        "history": {
            "loss": {"values": np.zeros(3), "rows": np.arange(3)},
            "f1": {"values": [np.ones(2)], "rows": np.array([2])},
        },
    },
    "TerminateOnNaN": {},
}
ARGUMENTS = {
    "ModelCheckpoint": ("x",),
    "CSVLogger": ("never.csv",),
    "LearningRateScheduler": (abs,),
}
HOSTILE = [
    None,
    -1,
    2**70,
    1.5,
    True,
    "1",
    b"1",
    [1],
    {"a": 1},
    float("inf"),
    10**400,
    np.zeros(3),
    np.array(["x"]),
    np.array([None]),
    [np.zeros(2)],
    [np.full((3, 1), np.nan, np.float32), WEIGHTS[1]],
    [None, None],
    {"loss": None},
    {"loss": {"values": [print], "rows": np.arange(1)}},
    {"loss": {"values": [], "rows": np.arange(2)}},
    {"loss": {"values": np.zeros(1), "rows": np.array([9])}},
    {3: {}},
    np.array([-1]),
    np.full(4, np.inf, np.float32),
]
FINE = {
    ("best", None),
    ("best", -1),
    ("best", 1.5),
    ("best", 2**70),
    ("best", float("inf")),
    ("best_weights", None),
    ("epoch", None),
    ("training", None),
    ("for_epoch", True),
}


def made(name):
    callback = getattr(callbacks, name)(*ARGUMENTS.get(name, ()))
    callback.set_model(Sequential([layers.Dense(1, input_shape=(3,))], seed=0))
    return callback


@pytest.mark.parametrize("name", GOOD)
def test_hostile_states(name):
    callback = made(name)
    callback.set_state(GOOD[name])
    before = repr(callback.get_state())
    hostile = [
        None,
        [],
        3,
        GOOD[name] | {"more": 1},
        *({key: value for key, value in GOOD[name].items() if key != gone} for gone in GOOD[name]),
    ]
    for key in GOOD[name]:
        for value in HOSTILE:
            fine = isinstance(value, int | float | None) and (key, value) in FINE
            if (
                not fine
                or (name, key, value) == ("SwapEMAWeights", "training", None)
                or name == "History"
            ):
                hostile.append(GOOD[name] | {key: value})
    for state in hostile:
        with pytest.raises(CheckpointError, match="state of|curve"):
            callback.set_state(state)
        assert repr(callback.get_state()) == before, state
    callback.set_state(callback.get_state())
    assert repr(callback.get_state()) == before


def test_weights_that_are_handed_out_are_copies():
    callback = made("EarlyStopping")
    callback.restore_best_weights = True
    state = through_a_file(GOOD["EarlyStopping"])
    callback.set_state(state)
    state["best_weights"][0][...] = 7
    assert not callback.best_weights[0].any()
