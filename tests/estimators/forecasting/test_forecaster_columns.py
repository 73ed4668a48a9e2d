"""What stands beside a series, and its own columns, are held to their names and labels."""

import numpy as np
import pandas
import pytest
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

from gatewise import SequenceForecaster
from gatewise.errors import ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DATES = pandas.date_range("2024-01-01", periods=60)


@pytest.fixture
def y(rng):
    return pandas.Series(np.sin(np.arange(60) / 4) + 0.1 * rng.normal(size=60), DATES, name="load")


@pytest.fixture
def x(rng):
    return pandas.DataFrame({"hot": 3 * rng.normal(size=60), "rain": rng.normal(size=60)}, DATES)


def small(**options):
    return SequenceForecaster(
        **({"window": 5, "horizon": 2, "units": 3, "max_iter": 2, "random_state": 0} | options)
    )


CALLS = {
    "update": lambda forecaster, y, x: forecaster.update(y[50:], None if x is None else x[50:]),
    "score": lambda forecaster, y, x: forecaster.score(y[50:], None if x is None else x[50:]),
    "backtest": lambda forecaster, y, x: forecaster.backtest(y, x),
    "warm fit": lambda forecaster, y, x: forecaster.set_params(warm_start=True).fit(y, x),
}


@pytest.mark.parametrize("call", CALLS)
def test_features_are_those_of_fit(call, y, x):
    forecaster = small().fit(y[:50], x[:50])
    for other in (x[["rain", "hot"]], x.rename(columns={"hot": "cold"})):
        with pytest.raises(
            ShapeError, match=r"X has the columns .*expected \['hot', 'rain'\], in this order"
        ):
            CALLS[call](forecaster, y, other)
    with pytest.raises(ShapeError, match=r"row 0 of X is labelled .*belongs to is labelled"):
        CALLS[call](forecaster, y, x.shift(5, freq="D"))
    CALLS[call](forecaster, y, x)


@pytest.mark.parametrize("call", CALLS)
def test_variables_are_those_of_fit(call, y):
    frame = pandas.DataFrame({"a": y, "b": 10 + 2 * y})
    forecaster = small().fit(frame[:50])
    with pytest.raises(ShapeError, match=r"columns \['b', 'a'\]; expected \['a', 'b'\]"):
        CALLS[call](forecaster, frame[["b", "a"]], None)
    with pytest.raises(ShapeError, match="1 features, but SequenceForecaster is expecting 2"):
        CALLS[call](forecaster, y, None)


def test_series_of_a_list_have_the_same_columns(y, x):
    turned = x[["rain", "hot"]]
    with pytest.raises(
        ShapeError, match=r"y\[1\] has the columns \['rain', 'hot'\]; expected \['hot', 'rain'\]"
    ):
        small().fit([x, turned])
    with pytest.raises(
        ShapeError, match=r"X\[1\] has the columns \['rain', 'hot'\]; expected \['hot', 'rain'\]"
    ):
        small().fit([y, y], [x, turned])
    with pytest.raises(ShapeError, match=r"row 0 of X\[1\] is labelled"):
        small().fit([y, y], [x, x.shift(1, freq="D")])
    # series of numbers have names of their own
    assert len(small().fit([y, y.rename("other")], [x, x]).predict()) == 2


def test_features_of_other_days(y, x):
    with pytest.raises(
        ShapeError,
        match="row 0 of X is labelled Timestamp.*2024-01-03.*is labelled Timestamp.*2024-01-01",
    ):
        small().fit(y[:50], x[2:52])
    mixed = x.copy()
    mixed.index = mixed.index[:59].append(mixed.index[:1])
    with pytest.raises(
        ShapeError, match="row 59 of X is labelled Timestamp.*2024-01-01.*2024-02-29"
    ):
        small().fit(y, mixed)
    with pytest.raises(ShapeError, match="row 0 of X"):  # where the dates of y are beside it, too
        small().fit(y.to_numpy()[:50], x[2:52], times=DATES.to_numpy()[:50])
    ahead = small(future_features=["hot"]).fit(y[:50], x[:50])
    with pytest.raises(
        ShapeError, match="row 0 of X_future is labelled Timestamp.*2023-02-20.*2024-02-20"
    ):
        ahead.predict(X_future=x[50:52].shift(-365, freq="D"))
    np.testing.assert_array_equal(
        ahead.predict(X_future=x[50:52]), ahead.predict(X_future=x[50:52].to_numpy())
    )


def test_indices_that_say_nothing(y, x):
    """Arrays, an index that pandas counted by itself, another unit of the same dates."""
    expected = small().fit(y[:50], x[:50]).predict()
    counted, other = x[:50].reset_index(drop=True), x[:50].set_index(DATES[:50].as_unit("ns"))
    for given in (x.to_numpy()[:50], counted, other):
        pandas.testing.assert_series_equal(small().fit(y[:50], given).predict(), expected)
    np.testing.assert_array_equal(small().fit(y.to_numpy()[:50], x[:50]).predict(), expected)
    counted = x.reset_index(drop=True)
    # a part counts from where it begins
    assert cross_val_score(small(), y, counted, cv=TimeSeriesSplit(2)).shape == (2,)
    with pytest.raises(ShapeError, match="row 0 of X is labelled 3; .* is labelled 0"):
        small().fit(y[:50].reset_index(drop=True), counted[3:53])
