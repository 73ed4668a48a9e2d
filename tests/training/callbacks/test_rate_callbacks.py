"""Learning rates by callbacks, beside Keras; the end on NaN; averaged weights."""

import inspect

import numpy as np
import pytest

from gatewise import layers, optimizers
from gatewise.callbacks import (
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    SwapEMAWeights,
    TerminateOnNaN,
)
from gatewise.errors import ConfigError, DTypeError, StateError, TrainingWarning
from gatewise.models import Sequential

XY = np.ones((12, 3)), np.ones(12)


@pytest.fixture
def model():
    made = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    made.compile(optimizers.SGD(0.1), "mse")
    return made


class FakeModel:
    """A learning rate."""

    class Optimizer:
        learning_rate = 1.0

    def __init__(self):
        self.optimizer, self.metrics = self.Optimizer(), []


def rates(callback, values):
    """The learning rate after each epoch, and what the logs say of it."""
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        logs = {"loss": 1.0, "val_loss": value}
        callback.on_epoch_begin(epoch, {})
        callback.on_epoch_end(epoch, logs)
        found.append((float(model.optimizer.learning_rate), logs["learning_rate"]))
    return found


def keras_rates(sources, cases):
    import keras

    space = {}
    for source in sources:
        exec(source, space)
    return [
        space["rates"](keras.callbacks.ReduceLROnPlateau(**options), values)
        for options, values in cases
    ]


GRID = [
    {"patience": 0},
    {"patience": 1},
    {"patience": 2, "cooldown": 2},
    {"patience": 1, "factor": 0.5, "min_lr": 0.2},
    {"patience": 1, "mode": "max"},
    {"patience": 2, "min_delta": 0.52},
    {"patience": 1, "cooldown": 1, "factor": 0.7},
    {},
]


def test_plateaus_beside_keras(rng, keras_rival):
    nan = float("nan")
    scripts = [
        [3.0, 2, 1, 0.5] * 3,
        [1.0] * 12,
        [1.0, nan, nan, 0.5, nan],
        [nan, 1.0, 0.5, 0.4],
        *(np.round(rng.normal(size=14), 1).tolist() for _ in range(10)),
    ]
    cases = [(options, script) for options in GRID for script in scripts]
    sources = [inspect.getsource(FakeModel), inspect.getsource(rates)]
    for (options, values), theirs in zip(
        cases, keras_rival.run(keras_rates, sources, cases), strict=True
    ):
        np.testing.assert_allclose(
            rates(ReduceLROnPlateau(**options), values),
            theirs,
            rtol=1e-6,
            err_msg=f"{options} {values}",
        )


def test_plateau_of_a_run(model, capsys):
    reduce = ReduceLROnPlateau(
        "loss", factor=0.5, patience=1, min_delta=1e9, verbose=1, cooldown=2, min_lr=0.03
    )
    history = model.fit(*XY, epochs=6, verbose=0, callbacks=[reduce])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.03, 0.03])
    assert capsys.readouterr().out.splitlines() == [
        "epoch 2: learning rate reduced to 0.05",
        "epoch 4: learning rate reduced to 0.03",
    ]


def test_plateau_without_what_it_watches(model):
    with pytest.warns(
        TrainingWarning,
        match=r"ReduceLROnPlateau watches 'val_loss' and the logs hold "
        r"\['learning_rate', 'loss'\]: it does nothing",
    ) as caught:
        model.fit(*XY, epochs=3, verbose=0, callbacks=[ReduceLROnPlateau()])
    assert len(caught) == 1


def test_scheduler(model, capsys):
    """A function of the epoch, or of the epoch and the rate."""
    seen = []
    history = model.fit(
        *XY,
        epochs=3,
        verbose=0,
        callbacks=[
            LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate, verbose=1),
            LambdaCallback(
                on_batch_end=lambda batch, logs: seen.append(model.optimizer.learning_rate)
            ),
        ],
    )
    assert history.history["learning_rate"] == [0.1, 0.05, 0.025]
    assert seen == [0.1, 0.05, 0.025]
    assert capsys.readouterr().out.splitlines()[2] == "epoch 3: learning rate 0.025"
    by_epoch = LearningRateScheduler(lambda epoch: np.float32(epoch))
    history = model.fit(*XY, epochs=4, initial_epoch=2, verbose=0, callbacks=[by_epoch])
    assert history.history["learning_rate"] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("schedule", "error", "words"),
    [
        (lambda epoch, rate: None, DTypeError, "what schedule returned is None; expected a number"),
        (lambda epoch, rate: -1.0, ConfigError, "what schedule returned is -1.0"),
        (lambda epoch, rate: float("nan"), ConfigError, "what schedule returned is nan"),
        # its own errors are its own
        (lambda epoch, rate: rate + "a", TypeError, "unsupported operand"),
    ],
)
def test_schedules_that_fail(schedule, error, words, model):
    with pytest.raises(error, match=words):
        model.fit(*XY, verbose=0, callbacks=[LearningRateScheduler(schedule)])


def test_a_schedule_that_rules_is_found_before_the_first_epoch(model):
    class Ruled(optimizers.SGD):
        @property
        def learning_rate(self):
            return 0.1

        @learning_rate.setter
        def learning_rate(self, value):
            if hasattr(self, "_slots"):  # not in __init__
                raise ConfigError("a schedule rules")

    model.compile(Ruled(), "mse")
    for callback in (LearningRateScheduler(abs), ReduceLROnPlateau("loss")):
        with pytest.raises(ConfigError, match="a schedule rules"):
            model.fit(
                *XY,
                verbose=0,
                callbacks=[
                    callback,
                    LambdaCallback(on_epoch_begin=lambda epoch, logs: pytest.fail("late")),
                ],
            )


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LearningRateScheduler(0.1), ConfigError, "schedule is 0.1; expected a function"),
        (lambda: LearningRateScheduler(abs, verbose=7), ConfigError, "verbose is 7"),
        (lambda: ReduceLROnPlateau(factor=1.0), ConfigError, "factor is 1.0"),
        (lambda: ReduceLROnPlateau(factor=-0.5), ConfigError, "factor is -0.5"),
        (lambda: ReduceLROnPlateau(patience=-1), ConfigError, "patience is -1"),
        (lambda: ReduceLROnPlateau(cooldown=1.5), DTypeError, "cooldown is 1.5"),
        (lambda: ReduceLROnPlateau(min_lr=np.inf), ConfigError, "min_lr is inf"),
        (lambda: TerminateOnNaN(raise_error="yes"), DTypeError, "raise_error is 'yes'"),
        (lambda: SwapEMAWeights(swap_on_epoch=1), DTypeError, "swap_on_epoch is 1"),
    ],
)
def test_bad_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()


# ---- NaN


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), -float("inf")])
def test_terminate_on_nan(loss):
    callback = TerminateOnNaN()
    model = FakeModel()
    model.stop_training = False
    callback.set_model(model)
    for logs in (None, {}, {"loss": 1.0}, {"mae": loss}):
        callback.on_train_batch_end(0, logs)
    assert not model.stop_training
    callback.on_train_batch_end(1, {"loss": loss})
    assert model.stop_training
    with pytest.raises(StateError, match="the loss became .* at batch 2"):
        TerminateOnNaN(raise_error=True).on_train_batch_end(1, {"loss": loss})
    assert issubclass(StateError, RuntimeError)


# ---- averaged weights


class Averaging(optimizers.SGD):
    """An optimizer that says its average is 7 everywhere, from the first step on."""

    def __init__(self, learning_rate):
        super().__init__(learning_rate, use_ema=True)

    @property
    def average(self):
        return np.full(4, 7, np.float32) if self.iterations else None


@pytest.fixture
def averaging(model):
    model.compile(Averaging(0.01), "mse")
    return model


def play(model, swap, batches=2, epochs=2, stop_at=None):
    """Calls of a run with validation.

    What evaluation, the callbacks of the epoch and the batches see of the weights.
    """
    seen = {"test": [], "epoch": [], "batch": []}
    swap.set_model(model)
    swap.set_params({"epochs": epochs, "initial_epoch": 0, "steps": batches, "verbose": 0})
    swap.on_train_begin()
    for epoch in range(epochs):
        swap.on_epoch_begin(epoch)
        for _ in range(batches):
            seen["batch"].append(model.predict(np.ones((1, 3)))[0, 0])
            model.train_on_batch(*XY)
        trained = model._flat_parameters.copy()
        swap.on_test_begin()
        # through packed weights: they must have been forgotten
        seen["test"].append(model.predict(np.ones((1, 3)))[0, 0])
        swap.on_test_end()
        np.testing.assert_array_equal(model._flat_parameters, trained)
        swap.on_epoch_end(epoch, {})
        seen["epoch"].append(model.predict(np.ones((1, 3)))[0, 0])
        if epoch == stop_at:
            return seen, trained
    swap.on_train_end()
    return seen, trained


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_who_sees_averaged_weights(swap_on_epoch, averaging):
    seen, trained = play(averaging, SwapEMAWeights(swap_on_epoch))
    assert seen["test"] == [28, 28]
    assert 28 not in seen["batch"]
    if swap_on_epoch:
        assert seen["epoch"] == [28, 28]
        assert (averaging._flat_parameters == 7).all()
    else:
        assert 28 not in seen["epoch"]
        np.testing.assert_array_equal(averaging._flat_parameters, trained)


def test_training_is_the_same_with_and_without(averaging):
    plain = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    plain.compile(Averaging(0.01), "mse")
    averaging.set_weights(plain.get_weights())
    assert (
        play(averaging, SwapEMAWeights(True))[0]["batch"]
        == play(plain, SwapEMAWeights(False))[0]["batch"]
    )


def test_resumed_between_epochs(averaging):
    """A checkpoint of an epoch's end holds the averaged weights, its state the plain ones."""
    first = SwapEMAWeights(True)
    _, trained = play(averaging, first, stop_at=0)
    state = first.get_state()
    second = SwapEMAWeights(True)
    second.set_model(averaging)
    second.on_train_begin()
    second.set_state(state)
    assert (averaging._flat_parameters == 7).all()
    second.on_epoch_begin(1)
    np.testing.assert_array_equal(averaging._flat_parameters, trained)
    assert second.get_state() == {"training": None, "for_epoch": False}


@pytest.mark.parametrize(
    "moment", ["on_train_batch_begin", "on_test_batch_begin", "on_test_end", "on_epoch_end"]
)
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_wherever_training_is_interrupted_the_averaged_weights_stay(model, moment, swap_on_epoch):
    model.compile(optimizers.SGD(0.1, use_ema=True), "mse")

    def interrupt(*arguments):
        if model.optimizer.iterations == 3:
            raise KeyboardInterrupt

    swap = SwapEMAWeights(swap_on_epoch)
    with pytest.warns(match="interrupted"):
        model.fit(
            *XY,
            epochs=9,
            verbose=0,
            validation_data=XY,
            callbacks=[swap, LambdaCallback(**{moment: interrupt})],
        )
    assert model.optimizer.iterations == 3
    assert (model._flat_parameters == model.optimizer.average).all()


def test_before_the_first_step_there_is_nothing_to_swap(averaging):
    swap = SwapEMAWeights(True)
    swap.set_model(averaging)
    before = averaging._flat_parameters.copy()
    swap.on_train_begin()
    swap.on_test_begin()
    swap.on_test_end()
    swap.on_epoch_end(0)
    np.testing.assert_array_equal(averaging._flat_parameters, before)


def test_an_optimizer_without_average_is_refused(model):
    with pytest.raises(ConfigError, match=r"SGD keeps none; compile with SGD\(..., use_ema=True\)"):
        model.fit(*XY, verbose=0, callbacks=[SwapEMAWeights()])
