"""A call that fails, wherever it does, leaves the estimator as it was."""

import copy
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    Sequential,
    losses,
)
from gatewise.data import SequencePadder, SequenceScaler
from gatewise.errors import GatewiseError, ShapeError, TrainingWarning
from gatewise.estimators.fit_monitor import FitMonitor
from gatewise.estimators.targets.labels import Labels
from gatewise.training import optimizers
from gatewise.training.callbacks import ProgressBar

LABELLED = (SequenceClassifier, SequenceTagger)


def calls_of(cls, rng):
    """(X and y of a first call, X and y of a later one)."""
    if cls is SequenceForecaster:
        return [np.sin(np.arange(60.0))], [np.cos(np.arange(40.0))]
    X = ragged(rng, 24)
    y = {
        SequenceClassifier: signs(X),
        SequenceRegressor: np.arange(24.0),
        SequenceEncoder: signs(X),
        SequenceTagger: [np.arange(len(row)) % 2 for row in X],
    }[cls]
    return [X, y], [X[:20], y[:20]]


def attributes_of(value):
    return {
        name: list(held) if isinstance(held, list) else held for name, held in vars(value).items()
    }


def everything_of(estimator):
    """What can be compared of an estimator: attributes, weights, optimizer and random draws."""
    model, optimizer = estimator.model_, estimator.model_.optimizer
    numbers = {
        "weights": model._flat_weights(),
        "slots": optimizer.slots(),
        "steps": optimizer.iterations,
        "rate": optimizer.learning_rate,
        "optimizer": optimizer.get_config(),
        "loss": model.loss.name,
        "random": model.rng.bit_generator.state,
        "stop": model.stop_training,
    }
    return copy.deepcopy(numbers), [
        attributes_of(value) for value in (estimator, estimator._target)
    ]


def assert_as(estimator, before, what):
    numbers, attributes = everything_of(estimator)
    np.testing.assert_equal(numbers, before[0], err_msg=what)
    for now, held in zip(attributes, before[1], strict=True):
        assert now.keys() == held.keys(), what
        for name, value in held.items():
            assert now[name] == value if isinstance(value, list) else now[name] is value, (
                f"{name}, {what}"
            )


class Breaks:
    """A function that works `calls` times, then raises."""

    def __init__(self, function, calls, error):
        self.function, self.left, self.error = function, calls, error

    def __get__(self, instance, owner):
        return lambda *arguments, **more: self(instance, *arguments, **more)

    def __call__(self, *arguments, **more):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.function(*arguments, **more)


POINTS = [  # (class, method, calls that work, error)
    (Sequential, "_train_step", 0, ValueError("at once")),
    (Sequential, "_train_step", 4, MemoryError("in the second pass")),
    (Sequential, "_choose_training", 0, ValueError("compile")),
    (Sequential, "_end_training", 0, ValueError("at the end")),
    (FitMonitor, "on_train_begin", 0, ValueError("before")),
    (FitMonitor, "on_epoch_end", 0, OSError("disk full")),
    (FitMonitor, "on_epoch_end", 1, RuntimeError("second pass")),
    (ProgressBar, "on_epoch_end", 1, OSError("no space left")),
    (FitMonitor, "on_train_end", 0, ValueError("after")),
    (optimizers.Adam, "step", 3, MemoryError("step")),
    (Sequential, "_train_step", 1, KeyboardInterrupt()),
    (FitMonitor, "on_epoch_end", 0, KeyboardInterrupt()),
    (optimizers.Adam, "step", 0, KeyboardInterrupt()),
]


@pytest.mark.parametrize("cls", [*LABELLED, SequenceRegressor, SequenceEncoder, SequenceForecaster])
@pytest.mark.parametrize("how", ["warm", "partial", "anew"])
def test_a_call_that_fails_leaves_everything_as_it_was(cls, how, rng, monkeypatch):
    if how == "partial" and cls is SequenceForecaster:
        pytest.skip("it has no partial_fit")
    first, later = calls_of(cls, rng)
    random_state = np.random.RandomState(0)
    estimator = cls(
        **SMALL | {"random_state": random_state, "batch_size": 8}, warm_start=how == "warm"
    )
    fitted(estimator, *first)
    call = estimator.partial_fit if how == "partial" else estimator.fit
    before, curve, drawn = (
        everything_of(estimator),
        estimator.loss_curve_,
        random_state.get_state()[1].copy(),
    )
    model = estimator.model_
    for owner, method, calls, error in POINTS:
        what = f"{owner.__name__}.{method}, {error!r}"
        # it goes on with the optimizer that it has
        if how == "partial" and method == "_choose_training":
            continue
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore", TrainingWarning)
            whole = getattr(owner, method)
            patch.setattr(owner, method, Breaks(whole, 0 if how == "partial" else calls, error))
            with pytest.raises(type(error)):
                call(*later)
        assert_as(estimator, before, what)
        np.testing.assert_array_equal(random_state.get_state()[1], drawn, err_msg=what)
        assert estimator.loss_curve_ is curve and estimator.model_ is model, what
    if how != "partial":
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            with pytest.raises(ConvergenceWarning):
                call(*later)
        assert_as(estimator, before, "ConvergenceWarning")
    # And what follows is what would have followed.
    twin = copy.deepcopy(estimator)
    for one in (estimator, twin):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            getattr(one, "partial_fit" if how == "partial" else "fit")(*later)
    np.testing.assert_array_equal(parameters_of(estimator), parameters_of(twin))
    assert estimator.loss_curve_ == twin.loss_curve_


@pytest.mark.parametrize("how", ["warm", "anew"])
def test_a_score_that_fails_under_early_stopping(how, rng, monkeypatch):
    works, score = 10**6, Labels.score

    def breaking(*arguments):
        nonlocal works
        works -= 1
        if works < 0:
            raise RuntimeError("a metric that fails")
        return score(*arguments)

    monkeypatch.setattr(Labels, "score", breaking)
    X = ragged(rng, 24)
    estimator = SequenceClassifier(
        early_stopping=True, validation_fraction=0.3, warm_start=how == "warm", **SMALL
    )
    before = everything_of(fitted(estimator, X, signs(X)))
    for count in (0, 1, 2):
        works = count
        with pytest.raises(RuntimeError, match="a metric that fails"):
            estimator.fit(X, signs(X))
        assert_as(estimator, before, f"after {count} scores")


def test_a_loss_of_ones_own_that_fails(rng):
    class Fails(losses.Loss):
        name, calls = "fails", 5

        def _positions(self, y_true, y_pred, want_gradient):
            type(self).calls -= 1
            if self.calls < 0:
                raise ZeroDivisionError("a user's formula")
            off = y_pred - y_true
            return (off**2).mean(axis=-1), 2 * off

    X, y = ragged(rng, 24), np.arange(24.0)
    estimator = fitted(SequenceRegressor(loss=Fails(), warm_start=True, **SMALL), X, y)
    before = everything_of(estimator)
    with pytest.raises(ZeroDivisionError):
        estimator.fit(X, y)
    assert_as(estimator, before, "loss")


def test_an_update_that_fails(rng, monkeypatch):
    y = np.sin(np.arange(60.0))
    estimator = fitted(SequenceForecaster(**SMALL), [y, y + 1])
    forecasts = estimator.predict()
    with pytest.raises(ShapeError):
        estimator.update([y[:5], np.zeros((5, 2))])
    with monkeypatch.context() as patch:
        patch.setattr(
            "gatewise.estimators.forecasting.history.History.last",
            Breaks(lambda history, steps: history, 1, KeyboardInterrupt()),
        )
        with pytest.raises(KeyboardInterrupt):
            estimator.update([y[:5], y[:5]])
    np.testing.assert_array_equal(estimator.predict(), forecasts)


def test_a_transformer_that_fails(rng):
    """What fit learned of X belongs to what it learned from it."""
    X, others = ragged(rng, 6), ragged(rng, 6, features=2)
    padder = SequencePadder().fit(X)
    with pytest.raises(GatewiseError, match="length"):
        padder.set_params(length=0).fit(others)
    assert padder.n_features_in_ == 3 and padder.set_params(length=None).transform(X).shape[2] == 3
    scaler = SequenceScaler().fit(X)
    with pytest.raises(ShapeError, match="X holds no step"):
        scaler.fit([np.zeros((0, 2))])
    assert scaler.n_features_in_ == 3 and len(scaler.transform(X)) == 6
