"""User-defined losses and metrics, as in Keras's guide, and errors if a method is missing."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import (
    callbacks,
    constraints,
    initializers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from gatewise.callbacks import ModelCheckpoint
from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from gatewise.layers import Dense, Input
from gatewise.models import Sequential


class TruePositives(metrics.Metric):
    """Keras's guide, "Making new layers and models", word for word but for NumPy."""

    def __init__(self, name="true_positives", **kwargs):
        super().__init__(name=name, **kwargs)
        self.found = self.add_variable(shape=(), initializer="zeros", name="tp")

    def update_state(self, y_true, y_pred, sample_weight=None):
        hits = np.logical_and(np.equal(y_true, 1), np.greater(y_pred, 0.5)).astype("float32")
        if sample_weight is not None:
            hits = hits * np.reshape(sample_weight, (-1, 1))
        self.found.assign(self.found + np.sum(hits))

    def result(self):
        return self.found.value


class WithReset(metrics.Metric):
    """What it resets is made after the base class's constructor."""

    def __init__(self, name="with_reset", **kwargs):
        super().__init__(name=name, **kwargs)
        self.count = self.add_weight(name="count", initializer="zeros")
        self.sums = self.add_weight(shape=(2,), initializer=1.0)

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.count.assign_add(len(y_true))
        self.sums.assign_add([1, 2])
        self.sums.assign_sub([0, 1])

    def result(self):
        return float(self.count + self.sums.sum())

    def reset_state(self):
        self.count.assign(0)
        self.sums.assign(1.0)


def test_a_metric_of_keras_s_guide():
    metric = TruePositives()
    metric.update_state([[1], [1], [0]], [[0.9], [0.1], [0.9]])
    metric.update_state([[1]], [[0.7]], [0.5])
    assert metric.result() == 1.5
    assert type(metric.result()) is float
    metric.reset_state()
    assert metric.result() == 0.0
    assert metric([[1]], [[0.9]]) == 1.0
    assert TruePositives(name="tp", dtype=None).name == "tp"


def test_a_metric_that_resets_its_own_variables():
    metric = WithReset()
    assert metric.result() == 2.0
    assert metric([0, 0, 0], [0, 0, 0]) == 3 + 2 + 2
    assert [variable.shape for variable in metric.variables] == [(), (2,)]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda metric: pickle.loads(pickle.dumps(metric))]
)
def test_copies_have_variables_of_their_own(copied):
    metric = TruePositives()
    other = copied(metric)
    other.update_state([[1]], [[0.9]])
    assert (metric.result(), other.result()) == (0.0, 1.0)
    other.reset_state()
    assert other.result() == 0.0


def test_state_goes_through_a_file():
    metric, other = WithReset(), WithReset()
    metric.update_state([0], [0])
    state = metric.get_state()
    metric.update_state([0], [0])
    other.set_state(state)
    other.update_state([0], [0])
    assert other.result() == metric.result()
    for wrong in (
        state | {"variables": state["variables"][:1]},
        {"sums": {}, "attributes": {}},
        state | {"variables": 3},
        state | {"variables": [np.zeros(()), np.zeros(3)]},
        state | {"attributes": {"count": 3.0}},
    ):
        with pytest.raises(CheckpointError, match="state of metric with_reset"):
            other.set_state(wrong)
    assert other.result() == metric.result()


def test_in_a_model_that_is_resumed_within_an_epoch(tmp_path, rng):
    x, y = rng.normal(size=(12, 2)), rng.integers(0, 2, (12, 1))

    def trained(resume=None):
        model = Sequential([Input((2,)), Dense(1, "sigmoid")], seed=0)
        model.compile("adam", "binary_crossentropy", metrics=[TruePositives(), WithReset()])
        history = model.fit(
            x,
            y,
            epochs=2,
            batch_size=4,
            verbose=0,
            resume_from=resume,
            validation_data=(x, y),
            callbacks=[ModelCheckpoint(str(tmp_path / "{epoch}.{batch}"), save_freq=1)],
        )
        return history.history

    whole = trained()
    assert trained(tmp_path / "1.2") == whole
    assert whole["with_reset"] == [12 + 2 + 6, 12 + 2 + 6]


def test_variables_that_cannot_be():
    metric = TruePositives()
    with pytest.raises(
        ConfigError, match="initializer is 'uniform'; expected 'zeros', 'ones' or a number"
    ):
        metric.add_variable(initializer="uniform")
    with pytest.raises(ShapeError, match=r"variable has shape \(\); assign was given \(2,\)"):
        metric.found.assign([1, 2])
    with pytest.raises(ConfigError, match="dtype='float16' does not exist"):
        TruePositives(dtype="float16")


@pytest.mark.parametrize(
    ("base", "methods", "message"),
    [
        (
            losses.Loss,
            {},
            r"Mine defines no position_values\(self, y_true, y_pred, want_gradient\)",
        ),
        (losses.Loss, {"call": None}, r"its call\(y_true, y_pred\), Keras's, gives no gradient"),
        (
            metrics.Metric,
            {},
            r"Mine defines no .*update_state\(self, y_true, y_pred, sample_weight=None\)",
        ),
        (
            metrics.Metric,
            {"update_state": lambda self, *batch: None},
            r"Mine defines no result\(self\)",
        ),
    ],
)
def test_what_is_missing_is_named_with_the_page(base, methods, message):
    with pytest.raises(DTypeError, match=message) as caught:
        type("Mine", (base,), methods)()([1.0], [[1.0]])
    assert "docs/losses-and-metrics.md" in str(caught.value)


def test_weights_of_one_dimensional_arrays():
    """They raised a bare IndexError."""
    assert losses.MeanSquaredError()([1, 2, 3], [2, 4, 3], [1, 0.5, 2]) == pytest.approx(
        (1 + 2) / 3
    )
    assert losses.MeanSquaredError()([1, 2, 3], [2, 4, 3]) == pytest.approx(5 / 3)
    assert losses.BinaryCrossentropy()([1, 0], [0.5, 0.9], [1, 0]) == pytest.approx(np.log(2) / 2)
    for loss in (losses.CategoricalCrossentropy(), losses.KLDivergence()):
        with pytest.raises(
            ShapeError,
            match=r"y_pred has shape \(2,\), which is one row of outputs; with sample_weight",
        ):
            loss([1, 0], [0.5, 0.5], [1, 2])
    with pytest.raises(ShapeError, match="sample_weight has shape"):
        losses.MeanSquaredError()([1, 2, 3], [2, 4, 3], [1, 2])
    with pytest.raises(ShapeError, match="one row of outputs"):
        losses.SparseCategoricalCrossentropy()(1, [0.5, 0.5], [1])
    assert metrics.MeanSquaredError()([1, 2, 3], [2, 4, 3], [1, 0.5, 2]) == pytest.approx(3 / 3.5)


class Last(metrics.Metric):
    """Its result is the variable itself, as in Keras's guide."""

    def __init__(self, shape, name="last", **kwargs):
        super().__init__(name=name, **kwargs)
        self.seen = self.add_variable(shape=shape, name="seen")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.seen.assign_add(
            np.ones(self.seen.shape).astype(self.dtype) * len(y_true) * (1 + y_true[0, 0])
        )

    def result(self):
        return self.seen


@pytest.mark.parametrize("shape", [(), (2,)])
def test_a_result_that_is_a_variable_is_what_it_was_then(shape, rng):
    x, y = rng.normal(size=(4, 2)), [np.full((4, 1), float(n)) for n in range(3)]
    model = Sequential([Input((2,)), Dense(1)], seed=0)
    model.compile("sgd", "mse", metrics=[Last(shape)])
    history = model.fit(((x, part) for part in y), steps_per_epoch=1, epochs=3, verbose=0).history[
        "last"
    ]
    np.testing.assert_array_equal(history, [np.full(shape, value) for value in (4, 8, 12)])
    assert {type(value) for value in history} == {float if shape == () else np.ndarray}
    metric = Last(shape)
    first = metric(y[0], y[0])
    metric(y[2], y[2])
    np.testing.assert_array_equal(first, np.full(shape, 4))


@pytest.mark.parametrize("module", [losses, metrics])
def test_a_function_is_no_loss_and_no_metric(module):
    with pytest.raises(DTypeError, match="shows a user-defined"):
        module.get(lambda y_true, y_pred: 0)


def test_hooks_by_their_former_names():
    """Classes that were written before the hooks were public, a mixin among them."""

    class Mean(losses.Loss):
        def _positions(self, y_true, y_pred, want_gradient):
            return y_pred.mean(axis=-1), np.ones_like(y_pred) if want_gradient else None

    class Twice(Mean):
        def _positions(self, y_true, y_pred, want_gradient):
            values, gradient = super()._positions(y_true, y_pred, want_gradient)
            return 2 * values, gradient

    class Shifted:
        def _positions(self, y_true, y_pred, want_gradient):
            values, gradient = losses.MeanSquaredError().position_values(y_true, y_pred, True)
            return values + 1, gradient

    class Mixed(Shifted, losses.MeanSquaredError):
        pass

    class OfPasses(losses.Loss):
        def value_and_gradient(self, y_true, y_pred, *rest, **options):
            return 7.0, None

    class Ramp(initializers.Initializer):
        def _draw(self, shape, rng):
            return np.arange(np.prod(shape)).reshape(shape)

    class Down(optimizers.SGD):
        def _update(self, p, g, rate, decay, work):
            super()._update(p, np.abs(g), rate, decay, work)

    y, p = np.array([[1.0, 2.0]]), np.array([[2.0, 4.0]])
    assert [cls()(y, p) for cls in (Mean, Twice, Mixed, OfPasses)] == [3.0, 6.0, 3.5, 7.0]
    assert Ramp()((2,)).tolist() == [0.0, 1.0]
    weights = np.zeros(2)
    Down(0.5).step(weights, np.array([1.0, -1.0]), [slice(0, 2)])
    assert weights.tolist() == [-0.5, -0.5]


@pytest.mark.parametrize(
    ("base", "hook"),
    [
        (losses.Loss, "position_values"),
        (metrics.Metric, "result"),
        (optimizers.Optimizer, "update"),
        (schedules.LearningRateSchedule, "__call__"),
        (initializers.Initializer, "draw"),
        (regularizers.Regularizer, "add_gradient"),
        (constraints.Constraint, "__call__"),
    ],
)
def test_hooks_are_abstract(base, hook):
    assert hook in base.__abstractmethods__
    with pytest.raises(DTypeError, match=f"Mine defines no .*{hook}"):
        type("Mine", (base,), {})()


@pytest.mark.parametrize(
    ("thing", "names"),
    [
        (losses.MeanSquaredError(), "get_config name position_values prepare value_and_gradient"),
        (
            metrics.MeanSquaredError(),
            "add_variable add_weight default_name direction dtype get_config get_state name"
            " reset_state result set_state update_state variables",
        ),
        (
            callbacks.CallbackList([]),
            "callbacks get_state model params runs_last set_model set_params set_state",
        ),
        (
            schedules.StepDecay(0.1, 2),
            "from_config gamma get_config initial_learning_rate step_size",
        ),
    ],
)
def test_tab_completion_shows_what_users_need(thing, names):
    public = {name for name in dir(thing) if name[0] != "_" and not name.startswith("on_")}
    assert public == set(names.split())
