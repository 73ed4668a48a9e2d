"""A forecaster that is fitted again.

What fails changes nothing, and warm_start goes on with the same network alone.
"""

import numpy as np
import pytest

from gatewise import SequenceForecaster
from gatewise.errors import ConfigError, GatewiseError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"window": 5, "horizon": 2, "units": 3, "max_iter": 2, "random_state": 0}


@pytest.fixture
def y(rng):
    return np.sin(np.arange(60) / 4) + 0.1 * rng.normal(size=60)


WRONG = (
    {"optimizer": "nonsense"},
    {"batch_size": -1},
    {"window": 0},
    {"tol": -1},
    {"calendar": "auto"},
    {"validation_fraction": 2},
    {"quantiles": [0.5], "strategy": "recursive"},
)


@pytest.mark.parametrize(
    "change",
    [
        {"cell": "nonsense"},
        *({**change, "warm_start": on} for change in WRONG for on in (False, True)),
    ],
    ids=str,
)
def test_a_fit_that_fails_changes_nothing(y, change):
    forecaster = SequenceForecaster(**SMALL, early_stopping=True, validation_fraction=0.2).fit(y)
    before, curve = forecaster.predict(), list(forecaster.loss_curve_)
    known = set(vars(forecaster))
    with pytest.raises(GatewiseError):
        forecaster.set_params(**change).fit([1000 * y + 5])
    np.testing.assert_array_equal(forecaster.predict(), before)
    assert forecaster.loss_curve_ == curve and set(vars(forecaster)) == known


def test_a_first_fit_that_fails_leaves_nothing(y):
    forecaster = SequenceForecaster(**SMALL, optimizer="nonsense")
    with pytest.raises(ConfigError):
        forecaster.fit(y)
    assert vars(forecaster) == SequenceForecaster(**SMALL, optimizer="nonsense").get_params()


def test_a_new_fit_forgets_the_last(y):
    """The same as of a forecaster that was never fitted before."""
    x = np.stack([y, y**2], axis=1)
    again = SequenceForecaster(
        **SMALL, future_features="all", distribution="gaussian", missing="mean"
    ).fit(x, x)
    again.set_params(future_features=None, distribution=None, missing="error").fit(y)
    fresh = SequenceForecaster(**SMALL).fit(y)
    assert set(vars(again)) == set(vars(fresh))
    np.testing.assert_array_equal(again.predict(), fresh.predict())


@pytest.mark.parametrize(
    "change",
    [
        {"window": 6},
        {"horizon": 3},
        {"strategy": "recursive"},
        {"differencing": 1},
        {"scaling": "robust"},
        {"scaling": None},
        {"quantiles": [0.1, 0.5, 0.9]},
        {"distribution": "gaussian"},
        {"calendar": None},
        {"calendar": ["month"]},
        {"calendar": "auto"},
        {"future_features": [1]},
        {"missing": "mean"},
    ],
    ids=str,
)
def test_warm_start_with_another_network_is_refused(y, change):
    x, times = np.stack([y, y], axis=1), np.datetime64("2024-01-01") + np.arange(60)
    forecaster = SequenceForecaster(
        **SMALL, warm_start=True, calendar=["weekday"], future_features=[0]
    ).fit(y, x, times)
    before = forecaster.predict(X_future=x[:2])
    with pytest.raises(ConfigError, match=f"{next(iter(change))} changed since"):
        forecaster.set_params(**change).fit(y, x, times)
    np.testing.assert_array_equal(forecaster.predict(X_future=x[:2]), before)


def test_warm_start_with_other_quantiles(y):
    forecaster = SequenceForecaster(**SMALL, warm_start=True, quantiles=[0.1, 0.5, 0.9]).fit(y)
    with pytest.raises(ConfigError, match="quantiles changed since"):
        forecaster.set_params(quantiles=[0.05, 0.5, 0.95]).fit(y)
    with pytest.raises(ConfigError, match="quantiles, distribution changed since.*set.*them back"):
        forecaster.set_params(quantiles=None, distribution="gaussian").fit(y)


@pytest.mark.parametrize(
    "options",
    [
        {"calendar": "auto"},
        {"calendar": ["weekday"], "scaling": "minmax"},
        {"strategy": "recursive", "horizon": 3, "calendar": None},
        {"future_features": np.array([1]), "loss": "mae"},
        {"distribution": "gaussian", "learning_rate_init": 0.1},
        {"quantiles": (0.1, 0.5, 0.9)},
    ],
    ids=str,
)
def test_warm_start_goes_on(y, options):
    """With the longer series, for which "auto" would find more cycles.

    The horizon of recursion, rates and losses may change.
    """
    x, times = np.stack([y, y], axis=1), np.datetime64("2024-01-01") + np.arange(60)
    forecaster = SequenceForecaster(**(SMALL | options), warm_start=True).fit(
        y[:20], x[:20], times[:20]
    )
    seen = forecaster.t_
    if forecaster.strategy == "recursive":
        forecaster.set_params(horizon=5)
    forecaster.set_params(loss="mse", learning_rate_init=0.001).fit(y, x, times)
    assert forecaster.t_ > 2 * seen


@pytest.mark.parametrize("missing", ["forward_fill", "indicator"])
def test_what_is_done_about_gaps_is_what_was_done_in_fit(y, missing):
    y[-3] = np.nan
    forecaster = SequenceForecaster(**SMALL, missing=missing).fit(y)
    expected = forecaster.predict()
    np.testing.assert_array_equal(forecaster.set_params(missing="error").predict(), expected)
    forecaster.update([np.nan, 1.0])
    assert np.isfinite(
        SequenceForecaster(**SMALL).fit(y[:50]).set_params(missing="mean").predict()
    ).all()
