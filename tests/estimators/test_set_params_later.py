"""A parameter that is set after fit changes nothing before the next one."""

import numpy as np
import pytest
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    load_estimator,
)
from gatewise.errors import ConfigError
from gatewise.training import optimizers

# A value of each parameter that is not the default.
OTHER = {
    "cell": "gru",
    "units": 7,
    "num_layers": 2,
    "bidirectional": True,
    "pooling": "mean",
    "dropout": 0.3,
    "recurrent_dropout": 0.3,
    "embedding": 3,
    "vocabulary_size": 99,
    "missing": "mean",
    "architecture": "attention",
    "alpha": 0.1,
    "optimizer": optimizers.SGD(0.1),
    "learning_rate": "adaptive",
    "learning_rate_init": 0.1,
    "clipnorm": 0.1,
    "batch_size": 3,
    "max_iter": 7,
    "shuffle": False,
    "early_stopping": True,
    "validation_fraction": 0.4,
    "n_iter_no_change": 2,
    "tol": 0.1,
    "warm_start": True,
    "dtype": "float64",
    "random_state": 7,
    "verbose": True,
    "n_jobs": 1,
    "class_weight": "balanced",
    "loss": "poisson",
    "per_step": True,
    "n_components": 2,
    "objective": "reconstruction",
    "window": 7,
    "horizon": 3,
    "strategy": "recursive",
    "differencing": 2,
    "scaling": "minmax",
    "quantiles": [0.1, 0.5],
    "distribution": "gaussian",
    "calendar": ["weekday"],
    "future_features": "all",
    "stride": 3,
}


def case(cls, rng):
    """(a fitted estimator, function of all that it says)."""
    if cls is SequenceForecaster:
        y = np.sin(np.arange(60.0))
        estimator = fitted(cls(**SMALL), y)
        return estimator, lambda: [
            estimator.predict(),
            estimator.score(y[:9]),
            estimator.backtest(y).forecasts,
        ]
    X = ragged(rng, 24)
    y = {
        SequenceTagger: [np.arange(len(row)) % 2 for row in X],
        SequenceRegressor: np.arange(24.0),
    }.get(cls, signs(X))
    estimator = fitted(cls(**SMALL), X, y)
    if cls is SequenceEncoder:
        return estimator, lambda: [estimator.transform(X)]
    more = ("predict_proba", "decision_function") if hasattr(cls, "predict_proba") else ()
    return (
        estimator,
        lambda: (
            [
                np.concatenate([np.atleast_1d(part) for part in getattr(estimator, name)(X)])
                for name in ("predict", *more)
            ]
            + [estimator.score(X, y)]
        ),
    )


@pytest.mark.parametrize(
    "cls",
    [SequenceClassifier, SequenceRegressor, SequenceTagger, SequenceEncoder, SequenceForecaster],
)
def test_what_is_said_does_not_change_before_the_next_fit(cls, rng, tmp_path):
    estimator, says = case(cls, rng)
    before, defaults = says(), estimator.get_params()
    for name, default in defaults.items():
        estimator.set_params(**{name: OTHER[name]})
        for now, then in zip(says(), before, strict=True):
            np.testing.assert_array_equal(now, then, err_msg=name)
        estimator.set_params(**{name: default})
    together = {name: value for name, value in OTHER.items() if name in defaults}
    estimator.set_params(**together)
    estimator.save(tmp_path / "file")
    # and no file changes it
    estimator = load_estimator(tmp_path / "file").set_params(verbose=False)
    assert estimator.get_params()["units"] == 7
    for now, then in zip(says(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_loss_of_a_regressor(rng):
    """With "poisson" the output is exponential.

    Set later, it made other numbers of the same network.
    """
    X, y = ragged(rng, 24), rng.poisson(2.0, 24)
    for first, later in (("squared_error", "poisson"), ("poisson", "squared_error")):
        estimator = fitted(SequenceRegressor(loss=first, **SMALL), X, y)
        predicted, score = estimator.predict(X), estimator.score(X, y)
        estimator.set_params(loss=later)
        np.testing.assert_array_equal(estimator.predict(X), predicted)
        assert estimator.score(X, y) == score
        with pytest.raises(ConfigError, match="loss changed since; call fit to make a new one"):
            estimator.partial_fit(X, y)
        with pytest.raises(
            ConfigError,
            match=r"loss '\w+' needs an output that is \w+, and the network of the last fit",
        ):
            estimator.set_params(warm_start=True).fit(X, y)
        np.testing.assert_array_equal(estimator.predict(X), predicted)
    estimator = fitted(SequenceRegressor(warm_start=True, **SMALL), X, y)
    fitted(estimator.set_params(loss="huber"), X, y)  # another loss of the same output
    assert estimator.model_.loss.name == "huber"
    estimator.partial_fit(X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("units", 7),
        ("cell", "gru"),
        ("alpha", 0.1),
        ("missing", "mean"),
        ("dropout", 0.5),
        ("architecture", "attention"),
        ("dtype", "float64"),
        ("pooling", "mean"),
    ],
)
def test_a_fit_that_goes_on_refuses_another_network(name, value, rng):
    X = ragged(rng, 24)
    estimator = fitted(SequenceClassifier(warm_start=True, **SMALL), X, signs(X))
    before, default = parameters_of(estimator), getattr(estimator, name)
    estimator.set_params(**{name: value})
    message = (
        f"warm_start=True continues with the network of the last fit, and {name} changed since; set"
        " warm_start=False to make"
    )
    with pytest.raises(ConfigError, match=f"{message} a new one, or set it back to {default!r}"):
        estimator.fit(X, signs(X))
    with pytest.raises(
        ConfigError,
        match=f"partial_fit continues with the network of the last fit, and {name} changed since",
    ):
        estimator.partial_fit(X, signs(X))
    np.testing.assert_array_equal(parameters_of(estimator), before)
    fitted(estimator.set_params(warm_start=False), X, signs(X))
    fitted(estimator.set_params(warm_start=True), X, signs(X))
