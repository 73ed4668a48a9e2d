"""SequenceForecaster on series with missing values, against windows completed by hand."""

import numpy as np
import pandas as pd
import pytest
from small_sequences import fitted, parameters_of

from gatewise import SequenceForecaster, SequenceRegressor
from gatewise.data.missing import fill_forward, fill_mean, missing_indicators
from gatewise.errors import ConfigError, NonFiniteError, ShapeError

SMALL = {"window": 5, "units": 3, "max_iter": 2, "random_state": 0}
BY_HAND = {
    "forward_fill": lambda windows, means: fill_forward(windows, means=means),
    "mean": fill_mean,
    "indicator": lambda windows, means: missing_indicators(windows, means=means),
    "decay": lambda windows, means: missing_indicators(windows, means=means),
}


@pytest.fixture
def holes(rng):
    """(60,), every fifth value or so missing, but not the last."""
    y = np.sin(np.arange(60) / 3) + 0.1 * rng.normal(size=60)
    y[:-1][rng.random(59) < 0.2] = np.nan
    return y


@pytest.mark.parametrize("missing", ["forward_fill", "mean", "indicator"])
def test_trained_on_completed_windows_before_known_values(missing, holes):
    forecaster = fitted(
        SequenceForecaster(horizon=2, missing=missing, scaling=None, **SMALL), holes
    )
    windows = np.stack([holes[start : start + 5] for start in range(54)])[:, :, None]
    targets = np.stack([holes[start + 5 : start + 7] for start in range(54)])
    known = ~np.isnan(targets).any(axis=1)
    assert 0 < known.sum() < 54 and forecaster.t_ == 2 * known.sum()
    regressor = SequenceRegressor(
        **{name: value for name, value in SMALL.items() if name != "window"}
    )
    fitted(
        regressor, BY_HAND[missing](windows[known], np.array([np.nanmean(holes)])), targets[known]
    )
    np.testing.assert_allclose(
        parameters_of(forecaster), parameters_of(regressor), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("missing", BY_HAND)
def test_step_after_step(missing, holes, rng):
    """What is missing in the window and in X_future."""
    x = rng.normal(size=(66, 1))
    x[rng.random(66) < 0.4] = x[[57, 62, 63]] = holes[[56, 58]] = np.nan
    forecaster = SequenceForecaster(
        cell="gru",
        strategy="recursive",
        missing=missing,
        scaling=None,
        future_features="all",
        **SMALL,
    )
    fitted(forecaster, holes, x[:60])
    said, rows = [], list(zip(holes[-5:], x[56:61, 0]))
    for step in range(6):
        read = BY_HAND[missing](np.array(rows[-5:], np.float32)[None], forecaster.feature_means_)
        said.append(forecaster.model_.predict(read)[0, 0])
        rows.append((said[-1], x[min(61 + step, 65), 0]))
    np.testing.assert_allclose(forecaster.predict(6, x[60:]), said, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_a_forecast_is_added_to_the_last_value_seen(strategy, holes):
    holes[-3:] = np.nan
    forecaster = SequenceForecaster(
        horizon=2, differencing=1, missing="mean", strategy=strategy, scaling=None, **SMALL
    )
    fitted(forecaster, holes)
    changes = np.diff(holes)[None, -5:, None]
    said = forecaster.model_.predict(fill_mean(changes, forecaster.feature_means_))[0]
    assert forecaster.predict(1)[0] == pytest.approx(
        holes[~np.isnan(holes)][-1] + said[0], rel=1e-5
    )


def test_means_and_scales_are_those_of_the_training_part(holes):
    holes[40:] += 100
    forecaster = fitted(
        SequenceForecaster(missing="mean", early_stopping=True, validation_fraction=1 / 3, **SMALL),
        holes,
    )
    assert forecaster._preparation.center[0, 0] == pytest.approx(np.nanmean(holes[:40]))
    np.testing.assert_allclose(forecaster.feature_means_, 0, atol=1e-12)


def test_series_of_a_frame_with_gaps_in_its_index(holes):
    y = pd.Series(holes, pd.date_range("2024-01-01", periods=60, freq="h")).dropna()
    y = y.asfreq("h")
    forecaster = fitted(
        SequenceForecaster(missing="forward_fill", calendar=["hour"], **SMALL), y[:50]
    )
    before = forecaster.predict()
    assert before.index[0] == y.index[50] and np.isfinite(before).all()
    assert np.isfinite(forecaster.update(y[50:]).predict()).all()


def test_scores_leave_out_what_is_missing(holes):
    """Whatever had stood there."""
    forecaster = fitted(SequenceForecaster(missing="forward_fill", horizon=2, **SMALL), holes[:40])
    found = forecaster.backtest(holes)
    missing = np.isnan(found.actuals)
    assert missing.any() and np.isfinite(found.forecasts).all()
    np.testing.assert_allclose(
        found.mae, [np.abs(found.errors[:, step][~missing[:, step]]).mean() for step in range(2)]
    )
    np.testing.assert_allclose(found.mse, np.nanmean(found.errors[..., 0] ** 2, axis=0))
    assert np.isfinite(forecaster.score(holes[40:]))


@pytest.mark.parametrize(
    ("options", "change", "error", "message"),
    [
        ({}, None, NonFiniteError, "y contains NaN"),
        (
            {"missing": "mask"},
            None,
            ConfigError,
            "missing is 'mask', which leaves steps out, and the steps of a window",
        ),
        ({"missing": "drop"}, None, ConfigError, "missing is 'drop'; choose one of"),
        ({"missing": "decay"}, None, ConfigError, "give cell='gru'"),
        (
            {"missing": "mean"},
            lambda y: np.where(np.arange(60) % 2, np.nan, np.inf),
            NonFiniteError,
            "infinity",
        ),
        (
            {"missing": "mean"},
            lambda y: np.full(60, np.nan),
            NonFiniteError,
            "every value of column 0 is missing",
        ),
        (
            {"missing": "mean", "differencing": 1},
            lambda y: np.where(np.arange(60) % 2, np.nan, y),
            NonFiniteError,
            "or every difference",
        ),
        (
            {"missing": "mean", "horizon": 2},
            lambda y: np.where(np.arange(60) % 2, np.nan, 1.0),
            ShapeError,
            "0 windows to train on .* are followed by 2 steps without missing values",
        ),
    ],
)
def test_refused(options, change, error, message, holes):
    with pytest.raises(error, match=message):
        SequenceForecaster(**SMALL | options).fit(holes if change is None else change(holes))


def test_a_missing_value_is_named_with_the_cure():
    days = pd.Series(np.arange(30.0), pd.date_range("2024-01-01", periods=30), name="sales")
    holes = days.mask(days == 5)
    two = np.stack([days, holes], axis=1)
    for y, X, where in (
        (holes, None, r"y contains NaN, first in the step Timestamp\('2024-01-06"),
        (holes.to_frame(), None, "'2024-01-06 00:00:00'.*column 'sales'"),
        (holes.tolist(), None, r"y contains NaN, first in step 5\."),
        (two, None, "step 5, column 1"),
        ({"a": days, "b": holes}, None, r"y\['b'\] contains NaN"),
        (days, two, "X contains NaN, first in step 5, column 1"),
    ):
        with pytest.raises(NonFiniteError, match=f"{where}.*missing='forward_fill'"):
            SequenceForecaster(**SMALL).fit(y, X)


def test_nothing_to_add_a_forecast_to(holes):
    forecaster = fitted(SequenceForecaster(missing="mean", differencing=1, **SMALL), holes)
    with pytest.raises(NonFiniteError, match="none was seen before it"):
        forecaster.update(np.full(6, np.nan)).predict()
