"""Python threads that share a layer or model: old weights or new ones, never a mixture."""

import copy
import io
import pickle
import threading

import numpy as np
import pytest
from cases import assert_same_bits
from sharing_cases import SECONDS, Caller, network, waits_for_a_writer

from gatewise import Sequential, checkpoint, load_model
from gatewise.callbacks import Callback
from gatewise.errors import CheckpointError, StateError
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Layer,
    TimeDistributed,
)


class Stop:
    """A place where one thread stops until the test lets it go on."""

    def __init__(self):
        self.reached, self.leave, self.wanted = threading.Event(), threading.Event(), True

    def __call__(self):
        if self.wanted:
            self.wanted = False
            self.reached.set()
            assert self.leave.wait(SECONDS)


def stopped_in(monkeypatch, owner, name, stop, after=False):
    """`owner.name` stops in its first call, before its work or after it."""
    method = getattr(owner, name)

    def stopping(*args, **kwargs):
        if not after:
            stop()
        result = method(*args, **kwargs)
        if after:
            stop()
        return result

    monkeypatch.setattr(owner, name, stopping)


# ---- copies and pickles


def pickled_beside_a_change(thing, change):
    """What a pickle holds if the weights change when the first array is pickled."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, np.ndarray) and value.ndim and not changed:
                changed.append(True)
                change()

    changed, file = [], io.BytesIO()
    Pickler(file).dump(thing)
    assert changed
    return pickle.loads(file.getvalue())


@pytest.mark.parametrize("stateful", [False, True])
def test_a_pickled_model_is_of_one_moment(x, stateful):
    model, y = (
        network(LSTM(5, stateful=stateful), BatchNormalization(), Dense(2)),
        np.ones((6, 2), np.float32),
    )
    model.compile("adam", "mse")
    model.train_on_batch(x, y)
    before = copy.deepcopy(model)
    again = pickled_beside_a_change(model, lambda: model.train_on_batch(x, y))
    assert_same_bits(again.predict(x), before.predict(x))
    for trained in (again, before):  # the optimizer and a kept state are of that moment, too
        trained.train_on_batch(x, y)
    for ours, theirs in zip(again.get_weights(), before.get_weights()):
        assert_same_bits(ours, theirs)


def test_a_layer_that_is_copied_or_pickled_alone_is_of_one_moment(monkeypatch):
    layer = Dense(2)
    layer.build((None, 3))
    layer.set_weights([np.full((3, 2), 1), np.full(2, 1)])
    new = [np.full((3, 2), 2), np.full(2, 2)]
    again = pickled_beside_a_change(layer, lambda: layer.set_weights(new))
    assert (
        {array.max() for array in again.get_weights()}
        == {array.min() for array in again.get_weights()}
        == {1}
    )

    stop = Stop()
    stopped_in(monkeypatch, Layer, "__getstate__", stop, after=True)
    copying = Caller(lambda: copy.deepcopy(layer))
    assert stop.reached.wait(SECONDS)
    changing = Caller(lambda: layer.set_weights([array + 1 for array in new]))
    waits_for_a_writer(layer._guard)
    stop.leave.set()
    changing.get()
    assert {array.max() for array in copying.get().get_weights()} == {2}


# ---- packed weights


def test_what_is_packed_during_a_change_is_not_kept():
    class Packing:
        made, _views_given = 0, False

        def _pack_now(self):
            self.made += 1
            if self.made == 1:
                packed.forget()  # as another thread's change does
            return self.made

    packed, layer = PackedWeights(), Packing()
    assert [packed.of(layer) for _ in range(3)] == [1, 2, 2]
    packed.forget()
    layer._views_given = True
    assert [packed.of(layer) for _ in range(3)] == [3, 4, 5]
    assert copy.copy(packed).of(layer) == 6


STACKS = {
    "LSTM": lambda: [LSTM(5), Dense(2)],
    "Dense": lambda: [Dense(4), LSTM(2)],
    "Conv1D": lambda: [Conv1D(4, 2), LSTM(2)],
    "Bidirectional": lambda: [Bidirectional(GRU(3)), Dense(2)],
    "TimeDistributed": lambda: [TimeDistributed(Dense(3)), LSTM(2)],
}


def first_packing(layer):
    return next(
        part
        for part in (layer, *getattr(layer, "_parts", {}).values())
        if hasattr(part, "_pack_now")
    )


@pytest.fixture
def x(rng):
    return rng.normal(size=(6, 4, 3)).astype("float32")


@pytest.mark.parametrize("after", [False, True], ids=["before it packs", "after it packed"])
@pytest.mark.parametrize("stack", STACKS)
def test_a_predict_that_packs_beside_set_weights(stack, after, x, monkeypatch):
    """The predict under way uses the old weights throughout, every later one the new ones."""
    model = network(*STACKS[stack]())
    old, new = model.get_weights(), [array + 0.1 for array in model.get_weights()]
    before = model.predict(x, verbose=0)
    model.set_weights(new)
    expected = model.predict(x, verbose=0)
    model.set_weights(old)
    stop = Stop()
    stopped_in(monkeypatch, first_packing(model.layers[0]), "_pack_now", stop, after)
    predicting = Caller(lambda: model.predict(x, verbose=0))
    assert stop.reached.wait(SECONDS)
    setting = Caller(lambda: model.set_weights(new))
    waits_for_a_writer(model._guard)
    stop.leave.set()
    setting.get()
    np.testing.assert_array_equal(predicting.get(), before)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


@pytest.mark.parametrize(
    "change", ["set_weights", "layer", "fit", "train_on_batch", "load_weights", "set_flat_weights"]
)
def test_a_predict_between_two_layers_beside_each_change(change, x, monkeypatch, tmp_path):
    """The first layer has run with the old weights: so does the second."""
    model, y = network(LSTM(5), Dense(2)), np.ones((6, 2), np.float32)
    other = network(LSTM(5), Dense(2), seed=2)
    other.save_weights(tmp_path / "weights.safetensors")
    changes = {
        "set_weights": lambda: model.set_weights(other.get_weights()),
        "layer": lambda: model.layers[1].set_weights(other.layers[1].get_weights()),
        "fit": lambda: model.fit(x, y, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "load_weights": lambda: model.load_weights(tmp_path / "weights.safetensors"),
        "set_flat_weights": lambda: model._set_flat_weights(other._flat_weights()),
    }
    before, stop = model.predict(x, verbose=0), Stop()
    stopped_in(monkeypatch, model.layers[0], "run", stop, after=True)
    predicting = Caller(lambda: model.predict(x, verbose=0))
    assert stop.reached.wait(SECONDS)
    changing = Caller(changes[change])
    waits_for_a_writer(model._guard)
    stop.leave.set()
    changing.get()
    np.testing.assert_array_equal(predicting.get(), before)
    assert not np.array_equal(model.predict(x, verbose=0), before)


def test_all_batches_of_a_predict_see_the_same_weights(x, monkeypatch):
    model = network(LSTM(5), Dense(2))
    before, stop = model.predict(x, verbose=0), Stop()
    stopped_in(monkeypatch, model, "_run", stop, after=True)  # after the first of three batches
    predicting = Caller(lambda: model.predict(x, batch_size=2, verbose=0))
    assert stop.reached.wait(SECONDS)
    changing = Caller(lambda: model.set_weights([array + 1 for array in model.get_weights()]))
    waits_for_a_writer(model._guard)
    stop.leave.set()
    changing.get()
    np.testing.assert_array_equal(predicting.get(), before)


def test_a_generator_may_wait_for_another_thread_that_changes_the_weights(x):
    model = network(LSTM(5), Dense(2))

    def batches():
        yield x[:3]
        Caller(lambda: model.set_weights(model.get_weights())).get()
        yield x[3:]

    assert Caller(lambda: model.predict(batches(), verbose=0)).get().shape == (6, 2)


def test_moving_averages_change_after_the_pass(x, monkeypatch):
    """Two normalizations: a predict during training reads both before the pass, or both after."""
    model = network(BatchNormalization(), Dense(3), BatchNormalization(), LSTM(2))
    y, stop, averages = (
        np.zeros((6, 2), np.float32),
        Stop(),
        lambda: [layer.get_weights()[2:] for layer in model.layers[:3:2]],
    )
    before = averages()
    stopped_in(monkeypatch, model.layers[2], "run", stop, after=True)
    training = Caller(lambda: model.train_on_batch(x, y))
    assert stop.reached.wait(SECONDS)
    for here, there in zip(before, averages(), strict=True):
        np.testing.assert_array_equal(here, there)
    stop.leave.set()
    training.get()
    assert all(
        not np.array_equal(here, there) for here, there in zip(before, averages(), strict=True)
    )
    layer = TimeDistributed(BatchNormalization())  # and that of a layer inside another, used alone
    layer(x, training=True)
    assert np.any(layer.get_weights()[2])


@pytest.mark.parametrize("stack", STACKS)
def test_a_predict_beside_fit_does_not_change_what_fit_learns(stack, x):
    """Stress: many predicts, each of which packs what a step has just changed."""
    y = np.ones((6, *network(*STACKS[stack]()).output_shape[1:]), np.float32)
    alone = network(*STACKS[stack]())
    alone.fit(x, y, epochs=8, batch_size=2, verbose=0)
    model, ended = network(*STACKS[stack]()), threading.Event()

    def predict():
        count = 0
        while not ended.is_set():
            model.predict(x, verbose=0)
            count += 1
        return count

    others = [Caller(predict), Caller(predict)]
    model.fit(x, y, epochs=8, batch_size=2, verbose=0)
    ended.set()
    assert all(other.get() for other in others)
    for here, there in zip(alone.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(alone.predict(x, verbose=0), model.predict(x, verbose=0))


def test_every_predict_beside_changes_is_of_one_state(x):
    """Stress: predict and get_weights in two threads, while a third swaps two sets of weights."""
    model = network(LSTM(33), Dense(2))
    states = [model.get_weights(), [array + 0.1 for array in model.get_weights()]]
    wanted = []
    for state in states:
        model.set_weights(state)
        wanted.append(model.predict(x, verbose=0).tobytes())
    ended = threading.Event()

    def change():
        while not ended.is_set():
            for state in states:
                model.set_weights(state)

    changing = Caller(change)
    with_weights = Caller(
        lambda: {b"".join(array.tobytes() for array in model.get_weights()) for _ in range(200)}
    )
    assert {model(x).tobytes() for _ in range(300)} <= set(wanted)
    assert with_weights.get() <= {b"".join(array.tobytes() for array in state) for state in states}
    copies = {copy.deepcopy(model).predict(x, verbose=0).tobytes() for _ in range(20)}
    ended.set()
    changing.get()
    assert copies <= set(wanted)


def test_two_threads_that_build_one_layer_or_model(x, monkeypatch):
    for make in (lambda: LSTM(3, seed=1), lambda: Sequential([LSTM(3), Dense(2)], seed=1)):
        wanted, shared, stop = make()(x), make(), Stop()
        with monkeypatch.context() as patch:
            stopped_in(patch, Layer, "_adopt", stop)
            callers = [Caller(lambda: shared(x))]
            assert stop.reached.wait(SECONDS)
            callers.append(Caller(lambda: shared(x)))
            stop.leave.set()
            for caller in callers:
                np.testing.assert_array_equal(caller.get(), wanted)


# ---- what one thread at a time may do


@pytest.mark.parametrize(
    "use", ["predict", "evaluate", "call", "fit", "train_on_batch", "reset_state", "deepcopy"]
)
def test_a_stateful_model_in_two_threads_is_refused(use, x, monkeypatch):
    model, y = network(LSTM(5, stateful=True), Dense(2)), np.zeros((6, 2), np.float32)
    uses = {
        "predict": lambda: model.predict(x, verbose=0),
        "evaluate": lambda: model.evaluate(x, y, verbose=0),
        "call": lambda: model(x),
        "fit": lambda: model.fit(x, y, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
        "reset_state": model.reset_state,
        "deepcopy": lambda: copy.deepcopy(model),
    }
    stop = Stop()
    stopped_in(monkeypatch, model.layers[0], "run", stop)
    predicting = Caller(lambda: model.predict(x, verbose=0))
    assert stop.reached.wait(SECONDS)
    with pytest.raises(
        StateError, match="is stateful, and two threads use it at once.*copy of its own"
    ):
        uses[use]()
    stop.leave.set()
    predicting.get()
    uses[use]()


@pytest.mark.parametrize(
    "layer",
    [lambda: LSTM(5, stateful=True, seed=1), lambda: Bidirectional(GRU(5, stateful=True))],
    ids=["LSTM", "Bidirectional"],
)
def test_a_stateful_layer_in_two_threads_is_refused(layer, x, monkeypatch):
    layer, stop = layer(), Stop()
    stopped_in(monkeypatch, layer, "run", stop)
    running = Caller(lambda: layer(x))
    assert stop.reached.wait(SECONDS)
    for use in (lambda: layer(x), layer.reset_state, lambda: setattr(layer, "state", None)):
        with pytest.raises(StateError, match="is stateful, and two threads use it at once"):
            use()
    stop.leave.set()
    running.get()
    layer(x)
    layer.reset_state()


def test_one_thread_after_the_other_may_use_a_stateful_model(x):
    model = network(LSTM(5, stateful=True), Dense(2))
    first = [model.predict(x, verbose=0), Caller(lambda: model.predict(x, verbose=0)).get()]
    model.reset_state()
    for wanted in first:
        np.testing.assert_array_equal(model.predict(x, verbose=0), wanted)


def test_two_threads_that_train_one_model_are_told_of_threads(x, monkeypatch):
    model, y, stop = network(LSTM(5), Dense(2)), np.zeros((6, 2), np.float32), Stop()
    stopped_in(monkeypatch, model.layers[0], "run", stop)
    training = Caller(lambda: model.fit(x, y, verbose=0))
    assert stop.reached.wait(SECONDS)
    for use in (lambda: model.fit(x, y, verbose=0), lambda: model.train_on_batch(x, y)):
        with pytest.raises(
            StateError, match="thread.* give each thread a model of its own"
        ) as caught:
            use()
        assert "callback" not in str(caught.value)
    stop.leave.set()
    training.get()


# ---- saving beside training

SAVES = {
    "save": (lambda model, path: model.save(path), load_model),
    "save_weights": (lambda model, path: model.save_weights(path), checkpoint.read),
}


@pytest.mark.parametrize("kind", SAVES)
def test_a_file_saved_beside_a_step_holds_one_moment(kind, x, monkeypatch, tmp_path):
    """The step waits for the copy: the file holds the weights and the optimizer of before it."""
    save, load = SAVES[kind]
    model, y, path = (
        network(LSTM(5), Dense(2)),
        np.ones((6, 2), np.float32),
        tmp_path / "model.safetensors",
    )
    model.compile("adam", "mse")
    model.train_on_batch(x, y)
    save(model, path)
    before, stop = path.read_bytes(), Stop()
    stopped_in(monkeypatch, checkpoint.writing, "checksum_of", stop, after=True)
    saving = Caller(lambda: save(model, path))
    assert stop.reached.wait(SECONDS)
    training = Caller(lambda: model.train_on_batch(x, y))
    waits_for_a_writer(model._guard)
    stop.leave.set()
    saving.get(), training.get()
    assert path.read_bytes() == before
    load(path)


def test_a_file_saved_by_another_thread_while_fit_runs_is_a_model_without_a_run(x, tmp_path):
    model, y, path = (
        network(LSTM(5, dropout=0.5), Dense(2)),
        np.ones((6, 2), np.float32),
        tmp_path / "model.safetensors",
    )

    class SaveElsewhere(Callback):
        def on_train_batch_end(self, batch, logs=None):
            Caller(lambda: self.model.save(path)).get()
            found = load_model(path)
            assert found._training_run is None
            assert all(map(np.array_equal, found.get_weights(), self.model.get_weights()))

    model.fit(x, y, batch_size=2, epochs=2, verbose=0, callbacks=SaveElsewhere())
    with pytest.raises(CheckpointError, match="no run to continue.*another thread"):
        network(LSTM(5, dropout=0.5), Dense(2)).fit(
            x, y, batch_size=2, epochs=3, verbose=0, resume_from=path
        )


def test_every_file_saved_beside_fit_can_be_read(x, tmp_path):
    """Stress: two threads save what a third one trains."""
    model, y, ended = network(LSTM(64), Dense(2)), np.ones((6, 2), np.float32), threading.Event()
    model.compile("adam", "mse")

    def save(kind):
        count, path = 0, tmp_path / kind
        while not ended.is_set() or not count:
            SAVES[kind][0](model, path)
            SAVES[kind][1](path)
            count += 1
        return count

    savers = [Caller(lambda kind=kind: save(kind)) for kind in SAVES]
    for _ in range(8):
        model.fit(x, y, batch_size=1, epochs=2, verbose=0)
    ended.set()
    assert all(saver.get() for saver in savers)


def test_a_stateful_model_is_not_saved_while_another_thread_runs_it(x, monkeypatch, tmp_path):
    model, stop = network(LSTM(5, stateful=True), Dense(2)), Stop()
    stopped_in(monkeypatch, model.layers[0], "run", stop)
    running = Caller(lambda: model.predict(x, verbose=0))
    assert stop.reached.wait(SECONDS)
    with pytest.raises(StateError, match="is stateful, and two threads use it at once"):
        model.save(tmp_path / "model.safetensors")
    stop.leave.set()
    running.get()
    model.save(tmp_path / "model.safetensors")
