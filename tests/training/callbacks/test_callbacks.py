"""Callbacks: when they are called and with what; early stopping as Keras's."""

import inspect
import pickle
import re

import numpy as np
import pytest

import gatewise
from gatewise import layers
from gatewise.callbacks import (
    Callback,
    CallbackList,
    CSVLogger,
    EarlyStopping,
    History,
    LambdaCallback,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from gatewise.errors import CheckpointError, ConfigError, DTypeError, TrainingWarning
from gatewise.models import Sequential


@pytest.fixture
def model():
    made = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    made.compile("sgd", "mse", metrics=["mae"])
    return made


@pytest.fixture
def xy(rng):
    return rng.normal(size=(10, 3)), rng.normal(size=10)


# ---- when and with what


class Recorder(Callback):
    def __init__(self):
        self.calls = []

    def set_model(self, model):
        super().set_model(model)
        self.calls.append("set_model")

    def set_params(self, params):
        super().set_params(params)
        self.calls.append("set_params")


for _moment in [name for name in vars(Callback) if name.startswith("on_")]:

    def _record(self, *arguments, _moment=_moment, **named):
        logs = named.get(
            "logs", arguments[-1] if arguments and isinstance(arguments[-1], dict) else None
        )
        self.calls.append(
            (_moment, *[a for a in arguments if not isinstance(a, dict)], dict(logs or {}))
        )

    setattr(Recorder, _moment, _record)


def test_every_moment_in_order(model, xy):
    seen = Recorder()
    history = model.fit(
        *xy, batch_size=4, epochs=2, validation_split=0.2, callbacks=[seen], verbose=0
    )
    assert sorted(seen.calls[:2]) == ["set_model", "set_params"]
    assert seen.model is model
    assert seen.params["epochs"] == 2
    assert seen.params["steps"] == 2
    names = [call[0] for call in seen.calls[2:]]
    validation = ["on_test_begin", "on_test_batch_begin", "on_test_batch_end", "on_test_end"]
    epoch = [
        "on_epoch_begin",
        *["on_train_batch_begin", "on_train_batch_end"] * 2,
        *validation,
        "on_epoch_end",
    ]
    assert names == ["on_train_begin", *epoch, *epoch, "on_train_end"]
    assert [call[1] for call in seen.calls[2:] if "epoch" in call[0]] == [0, 0, 1, 1]
    assert [call[1] for call in seen.calls[2:] if "train_batch" in call[0]] == [0, 0, 1, 1] * 2
    ends = [call[2] for call in seen.calls[2:] if call[0] == "on_epoch_end"]
    assert [set(logs) for logs in ends] == [{"loss", "mae", "val_loss", "val_mae"}] * 2
    for name, values in history.history.items():
        assert values == [logs[name] for logs in ends]
    last_batches = [call[2] for call in seen.calls[2:] if call[:2] == ("on_train_batch_end", 1)]
    # means of the epoch so far
    assert [logs["loss"] for logs in last_batches] == history.history["loss"]
    assert set(last_batches[0]) == {"loss", "mae"}


def test_several_callbacks_are_called_in_order(model, xy):
    order = []
    model.fit(
        *xy,
        epochs=1,
        verbose=0,
        callbacks=[
            LambdaCallback(on_epoch_end=lambda epoch, logs, k=k: order.append(k)) for k in range(3)
        ],
    )
    assert order == [0, 1, 2]


def test_one_callback_without_a_list(model, xy):
    seen = []
    model.fit(
        *xy,
        epochs=1,
        verbose=0,
        callbacks=LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch)),
    )
    assert seen == [0]


@pytest.mark.parametrize(
    "moment",
    [
        "on_epoch_begin",
        "on_epoch_end",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_train_begin",
        "on_train_end",
    ],
)
def test_lambda_callback_at_each_moment(moment, model, xy):
    seen = []
    model.fit(
        *xy,
        epochs=2,
        batch_size=5,
        verbose=0,
        callbacks=[LambdaCallback(**{moment: lambda *a: seen.append(a)})],
    )
    assert len(seen) == (
        1 if moment.endswith(("train_begin", "train_end")) else 4 if "batch" in moment else 2
    )


def test_lambda_callback_refuses_other_names():
    with pytest.raises(
        ConfigError, match=r"on_epoch_finish=.*: expected a function for one of .*on_epoch_end"
    ):
        LambdaCallback(on_epoch_finish=print)
    with pytest.raises(ConfigError, match="on_epoch_end=3: expected a function"):
        LambdaCallback(on_epoch_end=3)
    with pytest.raises(ConfigError, match=r"set_model=.*: expected a function"):
        LambdaCallback(set_model=print)


@pytest.mark.parametrize("wrong", [[3], ["early"], [EarlyStopping], [None]])
def test_what_is_no_callback_is_refused(wrong, model, xy):
    if wrong == [EarlyStopping]:
        with pytest.raises((ConfigError, TypeError)):
            model.fit(*xy, callbacks=wrong)
        return
    with pytest.raises(
        ConfigError, match=r"callbacks holds .*; expected gatewise.callbacks.Callback objects"
    ):
        model.fit(*xy, callbacks=wrong)


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_epoch_end", "on_epoch_begin"])
def test_stop_training_ends_after_the_epoch(moment, model, xy):
    class Stopper(Callback):
        pass

    setattr(
        Stopper, moment, lambda self, number, logs=None: setattr(self.model, "stop_training", True)
    )
    history = model.fit(*xy, epochs=5, batch_size=3, verbose=0, callbacks=[Stopper()])
    assert history.epoch == [0]
    assert len(model.fit(*xy, epochs=2, verbose=0).epoch) == 2  # the next fit runs again


def test_an_exception_leaves_the_model_fit_for_use(model, xy):
    def boom(epoch, logs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(*xy, epochs=3, verbose=0, callbacks=[LambdaCallback(on_epoch_end=boom)])
    assert np.isfinite(model.predict(xy[0])).all()
    assert len(model.fit(*xy, epochs=2, verbose=0).epoch) == 2


def test_every_callback_hears_of_the_end(model, xy):
    """One that fails at the end does not stop others from closing files and restoring weights."""
    order = []

    def fail(name):
        def end(logs=None):
            order.append(name)
            raise ZeroDivisionError(name)

        return end

    with pytest.raises(ZeroDivisionError):
        model.fit(
            *xy,
            verbose=0,
            callbacks=[
                LambdaCallback(on_train_end=fail("a")),
                LambdaCallback(on_train_end=fail("b")),
                LambdaCallback(on_train_end=lambda logs: order.append("c")),
            ],
        )
    assert order == ["a", "b", "c"]


def test_those_that_run_last_are_called_last():
    order = []

    class Recording(Callback):
        def __init__(self, name, last):
            self.name, self.runs_last = name, last

        def on_epoch_end(self, epoch, logs=None):
            order.append(self.name)

        def on_train_end(self, logs=None):
            order.append(self.name)

    watchers = CallbackList(
        [Recording("x", True), Recording("a", False), Recording("y", True), Recording("b", False)]
    )
    watchers.on_epoch_end(0, {})
    watchers.on_train_end()
    assert order == [*"abxy", *"abxy"]
    assert gatewise.callbacks.ModelCheckpoint.runs_last
    assert not History.runs_last


MOMENTS = [name for name in vars(Callback) if name.startswith("on_")]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_list_forwards_every_moment(moment):
    seen = []
    watchers = CallbackList([LambdaCallback(**{moment: lambda *a: seen.append(a)}), Callback()])
    number = ("epoch" in moment or "batch" in moment) * (3,)
    getattr(watchers, moment)(*number, {"loss": 1.0})
    getattr(watchers, moment)(*number)  # as Keras does, functions get logs by position, and a dict
    getattr(watchers, moment)(*number, logs={"loss": 2.0})
    assert seen == [(*number, {"loss": 1.0}), (*number, {}), (*number, {"loss": 2.0})]


def test_older_names_of_batch_moments(model, xy):
    seen = []
    model.fit(
        *xy,
        batch_size=5,
        verbose=0,
        callbacks=[
            LambdaCallback(
                on_batch_begin=lambda batch, logs: seen.append(("begin", batch)),
                on_epoch_end=None,
                on_batch_end=lambda batch, logs: seen.append(("end", batch)),
            )
        ],
    )
    assert seen == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]


def test_callbacks_can_be_pickled(model, xy, tmp_path):
    from gatewise import callbacks

    made = [
        callbacks.History(),
        EarlyStopping("loss", restore_best_weights=True),
        callbacks.ProgressBar(0),
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.TerminateOnNaN(),
        callbacks.LearningRateScheduler(abs),
        callbacks.LambdaCallback(on_epoch_end=print),
        callbacks.ModelCheckpoint(tmp_path / "m.safetensors", "loss"),
        callbacks.SwapEMAWeights(),
    ]
    for callback in made:
        again = pickle.loads(pickle.dumps(callback))
        assert vars(again).keys() == vars(callback).keys()
    model.fit(*xy, epochs=2, verbose=0, callbacks=[made[1], made[2], made[3]])
    assert pickle.loads(pickle.dumps(made[1])).best == made[1].best


# ---- history


def test_history(model, xy):
    first = model.fit(*xy, epochs=3, verbose=0, validation_data=xy)
    assert type(first) is History
    assert first.epoch == [0, 1, 2]
    assert set(first.history) == {"loss", "mae", "val_loss", "val_mae"}
    for values in first.history.values():
        assert len(values) == 3
        assert all(type(value) is float for value in values)
    assert model.history is first
    assert first.model is model
    assert first.params["epochs"] == 3
    second = model.fit(*xy, epochs=5, initial_epoch=3, verbose=0)
    assert second.epoch == [3, 4]
    assert set(second.history) == {"loss", "mae"}
    assert len(first.history["loss"]) == 3
    assert model.fit(*xy, epochs=2, initial_epoch=2, verbose=0).history == {}


def test_what_a_callback_adds_to_the_logs_is_in_the_history(model, xy):
    """logs["lr"] = ... in on_epoch_end: the common way to keep a learning rate's path."""

    class Rate(Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["lr"] = self.model.optimizer.learning_rate

    assert model.fit(*xy, epochs=2, verbose=0, callbacks=[Rate()]).history["lr"] == [0.01, 0.01]


# ---- early stopping


class FakeModel:
    """Weights that tell the epoch; epochs that follow a script."""

    def __init__(self):
        self.epoch, self.stop_training, self.restored, self.metrics = None, False, None, []

    def get_weights(self):
        return [self.epoch]

    def set_weights(self, weights):
        self.restored = weights[0]


def outcome(callback, values, monitor):
    """What an EarlyStopping does with a monitored value an epoch."""
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    epoch = -1
    for epoch, value in enumerate(values):
        model.epoch = epoch
        callback.on_epoch_end(epoch, {monitor: value, "other": 1.0})
        if model.stop_training:
            break
    callback.on_train_end()
    return {"last": epoch, "stopped": callback.stopped_epoch, "restored": model.restored}


def keras_outcomes(sources, cases):
    import keras

    space = {}
    for source in sources:
        exec(source, space)
    return [
        space["outcome"](keras.callbacks.EarlyStopping(monitor=monitor, **options), values, monitor)
        for options, values, monitor in cases
    ]


def scripts(rng):
    """Monitored values: falling, rising, flat, jumping, with ties and NaN."""
    nan = float("nan")
    yield from (
        [3.0, 2, 1, 0.5],
        [1.0, 2, 3, 4, 5],
        [1.0] * 6,
        [5.0, 4, 4.5, 4.2, 3.9, 3.95, 3.9, 3.8, 4, 4, 4, 4],
        [1.0, 0.9, 0.8, 0.7, nan, nan, 0.5, nan, nan],
        [2.0],
        [1.0, 0.95, 0.9, 0.85, 0.8, 0.75],
        [0.0, -1, -2, -1.5, -1.5, -3],
    )
    for _ in range(25):
        yield np.round(rng.normal(size=12), 1).tolist()


# No min_delta that a difference of the scripts can equal: Keras adds it to a value, we compare it
# with the difference.
GRID = [
    {},
    {"patience": 1},
    {"patience": 2},
    {"patience": 3, "min_delta": 0.13},
    {"min_delta": 0.52},
    {"patience": 5},
    {"patience": 1, "start_from_epoch": 3},
    {"start_from_epoch": 2},
    {"patience": 2, "baseline": 0.5},
    {"baseline": -0.3, "min_delta": 0.13, "patience": 4},
    {"patience": 100},
]


def beside_keras(grid, rival, values_of):
    cases = [
        (options | {"restore_best_weights": restore, "mode": mode}, values, monitor)
        for values in values_of
        for options in grid
        for restore in (False, True)
        for mode, monitor in (("min", "val_loss"), ("max", "val_accuracy"))
    ]
    sources = [inspect.getsource(FakeModel), inspect.getsource(outcome)]
    different = []
    for (options, values, monitor), theirs in zip(
        cases, rival.run(keras_outcomes, sources, cases), strict=True
    ):
        got = outcome(EarlyStopping(monitor=monitor, **options), values, monitor)
        if got != theirs:
            different.append((options, values, got, theirs))
    return different


@pytest.mark.long
def test_early_stopping_beside_keras(rng, keras_rival):
    grid = [options for options in GRID if "baseline" not in options]
    assert not beside_keras(grid, keras_rival, scripts(rng))


def test_early_stopping_with_a_baseline_beside_keras(rng, keras_rival):
    grid = [options for options in GRID if "baseline" in options]
    assert not beside_keras(grid, keras_rival, scripts(rng))


def test_early_stopping_with_a_first_value_that_is_not_finite_beside_keras(keras_rival):
    assert not beside_keras(
        [{}], keras_rival, [[float("inf"), 1.0, 0.5, 0.7], [float("nan"), 1.0, 0.5]]
    )


@pytest.mark.parametrize(
    ("monitor", "values", "best"),
    [
        ("val_loss", [3.0, 1, 2, 2], 1),
        ("val_accuracy", [0.3, 0.9, 0.5, 0.5], 0.9),
        ("acc", [0.1, 0.2, 0.1, 0.1], 0.2),
        ("mae", [3.0, 1, 2, 2], 1),
    ],
)
def test_auto_mode(monitor, values, best):
    callback = EarlyStopping(monitor=monitor, patience=2, restore_best_weights=True)
    assert outcome(callback, values, monitor) == {"last": 3, "stopped": 3, "restored": 1}
    assert callback.best == best
    assert callback.best_epoch == 1


def test_early_stopping_can_be_used_again():
    callback = EarlyStopping(monitor="loss", patience=1, restore_best_weights=True)
    first = outcome(callback, [1.0, 2, 3], "loss")
    assert (
        outcome(callback, [5.0, 6, 7], "loss") == first == {"last": 1, "stopped": 1, "restored": 0}
    )


def test_early_stopping_in_a_real_run(xy):
    """A learning rate that overshoots.

    The loss rises, the run stops, the weights of the best epoch come back.
    """
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile(gatewise.optimizers.SGD(0.9), "mse")
    kept = []
    watch = LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(model.flat_parameters.copy())
    )
    stop = EarlyStopping(monitor="loss", patience=3, restore_best_weights=True)
    flat = model.flat_parameters
    history = model.fit(*xy, epochs=50, verbose=0, shuffle=False, callbacks=[watch, stop])
    losses = history.history["loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 4 < 50
    assert stop.stopped_epoch == best + 3
    np.testing.assert_array_equal(model.flat_parameters, kept[best])
    assert model.flat_parameters is flat
    assert not np.array_equal(kept[best], kept[-1])
    kept_model_output = xy[0].astype(np.float32) @ kept[best][:3] + kept[best][3]
    np.testing.assert_allclose(model.predict(xy[0])[:, 0], kept_model_output, rtol=1e-5)


def test_early_stopping_says_when_it_stopped(model, xy, capsys):
    model.fit(
        *xy,
        epochs=9,
        verbose=0,
        callbacks=[EarlyStopping(monitor="loss", min_delta=1e9, verbose=1)],
    )
    assert re.search(r"epoch 2", capsys.readouterr().out)
    model.fit(*xy, epochs=9, verbose=0, callbacks=[EarlyStopping(monitor="loss", min_delta=1e9)])
    assert capsys.readouterr() == ("", "")


def test_auto_mode_asks_the_metrics_of_the_model(xy):
    """A metric of one's own name: its class tells.

    A name that nobody knows is refused, not guessed.
    """
    model = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    model.compile("sgd", "mse", metrics=[gatewise.metrics.R2Score(name="mine")])
    stop = EarlyStopping("mine", patience=1)
    model.fit(*xy, epochs=3, verbose=0, callbacks=[stop])
    assert stop.best == max(model.history.history["mine"])

    def add(epoch, logs):
        logs["speed"] = 1.0

    with pytest.raises(
        ConfigError, match="does not know whether more or less of it is better; give mode='max'"
    ):
        model.fit(
            *xy,
            epochs=3,
            verbose=0,
            callbacks=[LambdaCallback(on_epoch_end=add), EarlyStopping("speed")],
        )


@pytest.mark.parametrize("value", [np.array([0.1, 0.2]), "high", None, [1.0]])
def test_what_is_not_one_number_warns_once(value):
    stop = EarlyStopping("f1_score", patience=0)
    stop.set_model(FakeModel())
    stop.on_train_begin()
    with pytest.warns(
        TrainingWarning, match="EarlyStopping watches 'f1_score' and .*: it does nothing"
    ) as caught:
        for epoch in range(3):
            stop.on_epoch_end(epoch, {"f1_score": value})
    assert len(caught) == 1
    assert not stop.model.stop_training


def test_early_stopping_needs_what_it_watches(model, xy):
    with pytest.warns(
        TrainingWarning,
        match=r"EarlyStopping watches 'val_loss' and the logs hold \['loss', 'mae'\]",
    ):
        history = model.fit(*xy, epochs=2, verbose=0, callbacks=[EarlyStopping()])
    assert history.epoch == [0, 1]  # as in Keras, training goes on


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"mode": "up"}, ConfigError, "mode is 'up'; expected 'auto', 'min' or 'max'"),
        ({"patience": -1}, ConfigError, "patience is -1"),
        ({"min_delta": np.nan}, ConfigError, "min_delta is nan"),
        ({"baseline": np.inf}, ConfigError, "baseline is inf"),
        ({"verbose": "yes"}, DTypeError, "verbose is 'yes'"),
        ({"monitor": 3}, DTypeError, "monitor is 3"),
        ({"patience": 1.5}, DTypeError, "patience is 1.5; expected a whole number"),
        ({"min_delta": "a"}, DTypeError, "min_delta is 'a'"),
        ({"restore_best_weights": 1}, DTypeError, "restore_best_weights is 1"),
        ({"start_from_epoch": -2}, ConfigError, "start_from_epoch is -2"),
    ],
)
def test_bad_early_stopping(options, error, words):
    with pytest.raises(error, match=words):
        EarlyStopping(**options)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda folder: CSVLogger(folder / "none" / "a.csv"), CheckpointError, "cannot write"),
        (lambda folder: CSVLogger(folder), CheckpointError, "cannot write"),
        (lambda folder: ModelCheckpoint(""), CheckpointError, "expected the name of a file"),
        (lambda folder: ModelCheckpoint(folder), CheckpointError, "expected the name of a file"),
        (lambda folder: EarlyStopping("speed"), ConfigError, "give mode='max' or mode='min'"),
        (lambda folder: ReduceLROnPlateau("speed"), ConfigError, "give mode='max' or mode='min'"),
    ],
)
def test_what_cannot_work_says_so_before_an_epoch_is_spent(make, error, words, model, xy, tmp_path):
    with pytest.raises(error, match=words):
        model.fit(*xy, verbose=0, callbacks=[make(tmp_path)])
    assert model.optimizer.iterations == 0
