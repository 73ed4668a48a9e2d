"""Backtests and scores of SequenceForecaster, against the same steps by hand."""

import numpy as np
import pytest
from forecaster_cases import hourly, small
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score

from gatewise.errors import ConfigError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- backtest


def test_backtest_is_what_one_would_do_by_hand(y):
    found = small().backtest(y, initial=50, horizon=2, step=3)
    forecaster = small().fit(y[:50])
    assert list(found.origins) == [50, 53, 56]
    for origin, forecast, actual in zip(found.origins, found.forecasts, found.actuals):
        np.testing.assert_array_equal(forecast, forecaster.predict(2))
        np.testing.assert_array_equal(actual, y[origin : origin + 2])
        forecaster.update(y[origin : origin + 3])
    error = found.forecasts - found.actuals
    np.testing.assert_allclose(found.mae, np.abs(error).mean((0, 2)))
    np.testing.assert_allclose(found.rmse, np.sqrt((error**2).mean((0, 2))))


def test_backtest_with_refit(y, x):
    found = small(future_features=[0]).backtest(y, x, initial=52, horizon=2, step=3, refit=True)
    assert list(found.origins) == [52, 55]  # the network looks 3 steps ahead, and y ends at 60
    for origin, forecast in zip(found.origins, found.forecasts):
        fitted = small(future_features=[0]).fit(y[:origin], x[:origin])
        np.testing.assert_array_equal(forecast, fitted.predict(2, x[origin : origin + 3]))


def test_backtest_cuts_features_as_it_cuts_the_series(y, x):
    """Rows as lists of arrays beside one series are steps, not several series."""
    rows, table = [np.array(row) for row in x], [list(row) for row in y]
    found = small().backtest(table, rows, initial=50, horizon=2, step=3)
    np.testing.assert_array_equal(
        found.forecasts, small().backtest(y, x, initial=50, horizon=2, step=3).forecasts
    )
    again = small().backtest(table, rows, initial=50, horizon=2, step=3, refit=True)
    np.testing.assert_array_equal(again.forecasts[0], found.forecasts[0])


def test_backtest_tables(y):
    frame = hourly(y, ["a", "b"])
    found = small().backtest(frame, initial=54, step=3)
    table = found.to_frame()
    row = table[(table.origin == 57) & (table.step == 2) & (table.variable == "b")].iloc[0]
    assert row.label == frame.index[58]
    assert row.actual == frame["b"].iloc[58]
    assert row.error == row.forecast - row.actual
    assert len(table) == 2 * 3 * 2
    assert list(found.by_step().columns) == ["mae", "mse", "rmse"]
    assert "2 origins from 54 to 57" in repr(found)
    several = small().backtest([y, y[:58]], initial=50, step=4)
    assert [list(one.origins) for one in several] == [[50, 54], [50, 54]]


def test_backtest_of_a_fitted_forecaster_trains_nothing(y):
    forecaster = small().fit(y[:40])
    weights, forecast = forecaster.model_.get_weights(), forecaster.predict()
    found = forecaster.backtest(y)
    assert found.origins[0] == 6
    np.testing.assert_array_equal(found.forecasts[34], forecast)
    for before, after in zip(weights, forecaster.model_.get_weights()):
        np.testing.assert_array_equal(before, after)
    with pytest.raises(ConfigError, match="initial="):
        forecaster.backtest(y, refit=True)
    with pytest.raises(ShapeError, match="43"):
        forecaster.backtest(y[:42], initial=40)


# ---- scores


def test_score_is_r_squared_of_rolling_forecasts(y):
    forecaster = small().fit(y[:40])
    found = forecaster.backtest(y)
    chosen = found.origins >= 40
    truth, forecast = (array[chosen].reshape(-1, 2) for array in (found.actuals, found.forecasts))
    expected = 1 - ((truth - forecast) ** 2).sum(0) / ((truth - truth.mean(0)) ** 2).sum(0)
    assert forecaster.score(y[40:]) == pytest.approx(expected.mean())
    np.testing.assert_array_equal(forecaster.predict(), found.forecasts[34])  # where it was


def test_scikit_learn_searches_and_validates(y):
    split = TimeSeriesSplit(3, test_size=8)
    assert cross_val_score(small(), y, cv=split).shape == (3,)
    search = GridSearchCV(small(), {"differencing": [0, 1]}, cv=split).fit(y)
    assert search.best_params_["differencing"] in (0, 1)
    assert search.best_estimator_.predict().shape == (3, 2)
