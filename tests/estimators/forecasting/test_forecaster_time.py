"""Time zones, holes, text and other indices.

What the labels of a series mean, or a refusal whose cure works.

A cure is code in the message, a statement ``y = ...``; the tests run it.
"""

import numpy as np
import pandas
import pytest
from frame_cases import cured, numbers, refusal, small
from seeds import generator

from gatewise import SequenceForecaster
from gatewise.errors import ShapeError
from gatewise.estimators.forecasting.series.frequency import frequency_of

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# ---- holes


def without(index, *positions):
    return index.delete(list(positions))


HOLES = {
    "days": without(pandas.date_range("2024-01-01", periods=40), 11),
    "hours": without(pandas.date_range("2024-01-01", periods=40, freq="h"), 7, 8, 30),
    "hours of a zone, over a change of the clocks": without(
        pandas.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin"), 3
    ),
    "days of a zone": without(pandas.date_range("2024-10-10", periods=40, tz="Europe/Berlin"), 12),
    "quarters of hours": without(pandas.date_range("2024-01-01", periods=40, freq="15min"), 20),
    "month ends": without(pandas.date_range("2020-01-31", periods=40, freq="ME"), 25),
    "month starts": without(pandas.date_range("2020-01-01", periods=40, freq="MS"), 5),
    "business days": without(pandas.date_range("2024-01-01", periods=40, freq="B"), 3),
    "weeks": without(pandas.date_range("2024-01-01", periods=40, freq="W-WED"), 17),
    "quarters": without(pandas.date_range("2000-02-29", periods=40, freq="QE-FEB"), 17),
    "years": without(pandas.date_range("1980-01-01", periods=40, freq="YS"), 17),
    "periods": without(pandas.period_range("2020-01", periods=40, freq="M"), 9),
    "durations": without(pandas.timedelta_range("1h", periods=40, freq="2h"), 9),
    "numbers": without(pandas.Index(np.arange(5, 85, 2)), 9),
    "range": without(pandas.RangeIndex(40), 9),
}


@pytest.mark.parametrize("index", HOLES.values(), ids=HOLES)
def test_a_hole_is_refused_before_the_training(index, monkeypatch):
    monkeypatch.setattr(SequenceForecaster, "_train", lambda *args: pytest.fail("trained"))
    y = pandas.Series(numbers(len(index)), index)
    message = refusal(lambda: small().fit(y))
    assert message.startswith("the index of y has no step ")
    monkeypatch.undo()
    filled = cured(message, y=y)["y"]
    assert filled.isna().sum() in (1, 2, 3) and filled.notna().sum() == len(y)
    forecast = small(missing="forward_fill").fit(filled).predict()
    assert forecast.index[0] > index[-1] and frequency_of(forecast.index) is not None
    counted = cured(message, 1, y=y)["y"]
    assert list(small().fit(counted).predict().index) == [len(y), len(y) + 1]


@pytest.mark.parametrize("kind", ["series", "frame", "list"])
def test_a_hole_in_one_of_several(kind):
    whole, holey = pandas.date_range("2024-01-01", periods=40), HOLES["days"]
    parts = [pandas.Series(numbers(40), whole), pandas.Series(numbers(39), holey)]
    y = [part.to_frame("a") for part in parts] if kind == "frame" else parts
    message = refusal(lambda: small().fit(y))
    assert message.startswith("the index of y[1] has no step Timestamp('2024-01-12 00:00:00')")
    assert len(small(missing="mean").fit(cured(message, y=y)["y"]).predict()) == 2


def test_a_business_day_missing_is_not_a_weekend():
    y = pandas.Series(numbers(len(HOLES["business days"])), HOLES["business days"])
    assert ".asfreq('B')" in refusal(lambda: small().fit(y))


@pytest.mark.parametrize("columns", [None, 2])
@pytest.mark.parametrize("unit", ["D", "s"])
def test_a_hole_in_times_beside_an_array(columns, unit):
    times, y = HOLES["days"].to_numpy().astype(f"datetime64[{unit}]"), numbers(39, columns)
    for given in (times, times.astype(str).tolist()):
        message = refusal(lambda given=given: small(calendar=["weekday"]).fit(y, times=given))
        assert message.startswith("times of y are not evenly spaced: 2024-01-11")
        found = cured(message, y=y, times=given)["y"]
        assert small(missing="mean", calendar=["weekday"]).fit(found).predict().index[
            0
        ] == pandas.Timestamp("2024-02-10")


@pytest.mark.parametrize(
    "index",
    [
        pandas.date_range("2020-01-31", periods=40, freq="ME"),
        pandas.date_range("2024-01-01", periods=40, freq="B"),
    ],
    ids=["months", "business"],
)
def test_times_of_months_and_business_days_beside_an_array(index):
    times, y = index.to_numpy().astype("datetime64[D]"), numbers(40)
    forecaster = small(calendar=["month", "weekday"]).fit(y[:30], times=times[:30])
    expected = small(calendar=["month", "weekday"]).fit(pandas.Series(y[:30], index[:30]))
    np.testing.assert_array_equal(forecaster.predict(), expected.predict())
    forecaster.update(y[30:], times=times[30:])
    np.testing.assert_array_equal(
        forecaster.predict(), expected.update(pandas.Series(y[30:], index[30:])).predict()
    )
    with pytest.raises(ShapeError, match="give every step that comes next"):
        forecaster.update(y[30:], times=times[30:])


def test_uneven_readings():
    index = pandas.DatetimeIndex(
        np.datetime64("2024-01-01T00:00:07")
        + np.cumsum(generator(0).integers(3000, 9000, 80)) * np.timedelta64(1, "s")
    )
    y = pandas.Series(numbers(80), index)
    message = refusal(lambda: small().fit(y))
    assert message.startswith("the index of y is not evenly spaced")
    assert (
        small(missing="forward_fill").fit(cured(message, y=y)["y"].ffill()).predict().index.freqstr
        == "h"
    )
    assert list(small().fit(cured(message, 1, y=y)["y"]).predict().index) == [80, 81]
    for floats in (pandas.Index(np.arange(40) / 10), pandas.Index(np.arange(40) ** 2)):
        message = refusal(lambda floats=floats: small().fit(pandas.Series(numbers(40), floats)))
        assert list(
            small().fit(cured(message, y=pandas.Series(numbers(40), floats))["y"]).predict().index
        ) == [40, 41]


def test_an_index_of_floats_or_objects():
    # as of a column that had NaN
    years = pandas.Series(numbers(40), pandas.Index(np.arange(1960.0, 2000.0)))
    message = refusal(lambda: small().fit(years))
    assert "holds floats, from 1960.0 to 1961.0" in message and "evenly" not in message
    assert list(small().fit(cured(message, y=years)["y"]).predict().index) == [2000, 2001]
    periods = pandas.Series(
        numbers(40), pandas.period_range("2020-01", periods=40, freq="M").astype(object)
    )
    found = cured(refusal(lambda: small().fit(periods)), y=periods)["y"]
    assert small().fit(found).predict().index[0] == pandas.Period("2023-05", "M")


def test_a_backtest_of_days_that_go_back():
    y = pandas.Series(numbers(40), pandas.date_range("2024-01-01", periods=40))
    message = refusal(lambda: small().fit(y).backtest(y[::-1]))
    assert "does not rise" in message and cured(message, y=y[::-1])["y"].equals(y)


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize(
    ("dates", "last"),
    [
        (
            pandas.date_range("2020-01-01", periods=40, freq="MS") + pandas.Timedelta("14D"),
            "2023-05",
        ),
        (
            pandas.date_range("2015-01-01", periods=40, freq="QS") + pandas.Timedelta("36h"),
            "2025Q1",
        ),
        (
            pandas.date_range("2020-01-06", periods=40, freq="7D")
            + pandas.to_timedelta(np.arange(40) % 3, unit="D"),
            "2020-10-12/2020-10-18",
        ),
    ],
    ids=["middles of months", "quarters", "weeks with holidays"],
)
def test_one_date_in_each_period(dates, last, zone):
    y = pandas.Series(numbers(40), dates.tz_localize(zone))
    message = refusal(lambda: small().fit(y))
    assert str(small().fit(cured(message, y=y)["y"]).predict().index[0]) == last


def test_clocks_are_named_only_of_hours():
    for index, named in (
        (pandas.date_range("2024-01-01", periods=40), False),
        (pandas.date_range("2024-10-26", periods=40, freq="h"), True),
    ):
        y = pandas.Series(numbers(40), index[np.arange(40) - (np.arange(40) == 7)])
        assert ("clocks were set back" in refusal(lambda y=y: small().fit(y))) is named


# ---- dates in another form or order


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "made",
    [
        lambda dates: dates.strftime("%Y-%m-%d"),
        lambda dates: pandas.Index(dates.date),
        lambda dates: dates.strftime("%Y-%m-%d").astype("category"),
    ],
    ids=["text", "date", "category"],
)
def test_text_dates(made, newest_first):
    index = pandas.date_range("2024-01-01", periods=40)
    y = pandas.Series(numbers(40), made(index[::-1] if newest_first else index))
    message = refusal(lambda: small().fit(y))
    assert message.startswith("the index of y holds ") and "expected dates" in message
    assert (".sort_index()" in message) is newest_first
    found = cured(message, y=y)["y"]
    assert small().fit(found).predict().index[0] == pandas.Timestamp("2024-02-10")
    with pytest.raises(ShapeError, match="holds"):  # nor does a backtest take it
        small().backtest(y, initial=20)
    with pytest.raises(ShapeError, match="holds|labelled"):
        small().fit(found).backtest(y)


def test_names_that_are_no_dates():
    y = pandas.Series(numbers(26), list("abcdefghijklmnopqrstuvwxyz"))
    message = refusal(lambda: small().fit(y))
    assert "holds text, for example 'a', which does not show what comes next" in message
    assert list(small().fit(cured(message, y=y)["y"]).predict().index) == [26, 27]


def test_newest_first():
    y = pandas.Series(numbers(40), pandas.date_range("2024-01-01", periods=40)[::-1])
    message = refusal(lambda: small().fit(y))
    assert "does not rise" in message
    assert small().fit(cured(message, y=y)["y"]).predict().index[0] == pandas.Timestamp(
        "2024-02-10"
    )
    with pytest.raises(ShapeError, match="does not rise"):
        small().fit(y.to_numpy(), times=y.index.strftime("%Y-%m-%d").tolist())


@pytest.mark.parametrize("frame", [False, True])
def test_labels_that_come_twice(frame):
    index = pandas.date_range("2024-01-01", periods=40).append(
        pandas.date_range("2024-02-09", periods=1)
    )
    y = pandas.Series(numbers(41), index, name="a")
    y = y.to_frame() if frame else y
    message = refusal(lambda: small().fit(y))
    assert "does not rise" in message and "set back" not in message
    assert small().fit(cured(message, y=y)["y"]).predict().index[0] == pandas.Timestamp(
        "2024-02-10"
    )
    message = refusal(
        lambda: small().fit(y.set_axis(index[:-1].append(pandas.DatetimeIndex([pandas.NaT]))))
    )
    y = y.set_axis(index[:-1].append(pandas.DatetimeIndex([pandas.NaT])))
    assert small().fit(cured(message, y=y)["y"]).predict().index[0] == pandas.Timestamp(
        "2024-02-10"
    )


# ---- frequencies that an index does not know of itself

BARE = {
    "hours over a change of the clocks": pandas.date_range(
        "2024-03-30", periods=60, freq="h", tz="Europe/Berlin"
    ),
    "hours over the other change": pandas.date_range(
        "2024-10-26", periods=60, freq="h", tz="Europe/Berlin"
    ),
    "days over a change of the clocks": pandas.date_range(
        "2024-03-20", periods=60, tz="Europe/Berlin"
    ),
    "days of New York": pandas.date_range("2024-10-20", periods=60, tz="America/New_York"),
    "month ends": pandas.date_range("2020-01-31", periods=60, freq="ME"),
    "business month ends": pandas.date_range("2020-01-31", periods=60, freq="BME"),
    "business days": pandas.date_range("2024-01-01", periods=60, freq="B"),
    "weeks": pandas.date_range("2024-01-01", periods=60, freq="W-TUE"),
    "fortnights": pandas.date_range("2024-01-02", periods=60, freq="2W-TUE"),
    "quarters": pandas.date_range("2000-01-01", periods=60, freq="QS"),
    "years": pandas.date_range("1960-12-31", periods=60, freq="YE"),
    "third Fridays": pandas.date_range("2020-01-01", periods=60, freq="WOM-3FRI"),
    "periods": pandas.period_range("2020-01", periods=60, freq="M"),
    "weeks as periods": pandas.period_range("2020-01-06", periods=60, freq="W-SUN"),
}


@pytest.mark.parametrize("index", BARE.values(), ids=BARE)
def test_forecasts_go_on_by_the_calendar(index):
    bare = index if hasattr(index, "to_timestamp") else type(index)(index, freq=None)
    y = pandas.Series(numbers(60), bare)
    forecaster = small().fit(y[:50])
    assert list(forecaster.predict().index) == list(index[50:52])
    forecaster.update(y[50:55])
    assert list(forecaster.predict().index) == list(index[55:57])
    assert forecaster.backtest(y[40:]).index.equals(bare[40:])
    with pytest.raises(ShapeError, match="give every step that comes next"):
        forecaster.update(y[50:55])
    with pytest.raises(ShapeError, match="no step|not evenly|steps that are"):
        forecaster.backtest(pandas.concat([y[20:30], y[31:]]))


def test_two_steps_are_enough_for_a_distance():
    y = pandas.Series([1.0, 2.0], pandas.DatetimeIndex(["2024-01-01", "2024-01-08"]))
    forecaster = small(window=1, horizon=1).fit(y)
    assert forecaster.predict().index[0] == pandas.Timestamp("2024-01-15")


# ---- later calls


def test_steps_of_another_length():
    days, hours = (
        pandas.Series(numbers(60), pandas.date_range("2024-01-01", periods=60, freq=freq))
        for freq in ("D", "h")
    )
    forecaster = small(warm_start=True).fit(days)
    for call in (forecaster.backtest, forecaster.fit):
        with pytest.raises(
            ShapeError, match="steps of y are 'h' apart.*fitted to steps that are 'D' apart"
        ):
            call(hours)
    forecaster.backtest(hours.to_numpy())


def test_score_refuses_steps_that_fit_has_seen():
    y = pandas.Series(numbers(40), pandas.date_range("2024-01-01", periods=40))
    forecaster = small().fit(y[:30])
    for call in (forecaster.score, forecaster.update):
        for wrong in (y[25:], y[31:], y[30:].drop(y.index[33])):
            with pytest.raises(ShapeError, match="give every step that comes next"):
                call(wrong)
    assert np.isfinite(forecaster.score(y[30:]))


# ---- time zones


@pytest.fixture
def load():
    """The same instants in two time zones; a peak at 9 o'clock in Berlin."""
    # over a change of the clocks
    index = pandas.date_range("2024-03-20", periods=24 * 20, freq="h", tz="Europe/Berlin")
    y = pandas.Series(np.where(index.hour == 9, 5.0, 0.0) + 0.1 * numbers(len(index)), index)
    return y, y.tz_convert("America/New_York")


@pytest.mark.parametrize("kind", ["series", "frame", "list"])
def test_the_same_instants_in_another_zone(load, kind):
    here, there = ({"series": y, "frame": y.to_frame("a"), "list": [y]}[kind] for y in load)
    part = (lambda y, rows: [y[0][rows]]) if kind == "list" else (lambda y, rows: y[rows])
    first, more, last = slice(0, 400), slice(400, 440), slice(440, 480)
    forecaster = small(calendar=["hour"], window=6).fit(part(here, first))
    assert forecaster.score(part(here, more)) == forecaster.score(part(there, more))
    ours, theirs = forecaster.backtest(here), forecaster.backtest(there)
    for one, two in zip(ours, theirs) if kind == "list" else [(ours, theirs)]:
        np.testing.assert_array_equal(one.forecasts, two.forecasts)
        assert one.index.equals(two.index)
    forecaster.update(part(there, more))
    again = small(calendar=["hour"], window=6).fit(part(here, first)).update(part(here, more))
    for later in (last, None):
        given, expected = forecaster.predict(), again.predict()
        if kind == "list":
            given, expected = given[0], expected[0]
        assert given.equals(expected) and str(given.index.tz) == "Europe/Berlin"
        if later is not None:
            forecaster.update(part(there, later))
            again.update(part(here, later))


def test_warm_start_in_another_zone(load):
    here, there = load
    pair = [small(calendar=["hour"], warm_start=True).fit(here).fit(second) for second in load]
    assert pair[0].predict().equals(pair[1].predict())


def test_features_in_another_zone(load, rng):
    here, there = load
    X = pandas.DataFrame({"a": rng.normal(size=480)}, here.index)
    forecaster = small(future_features="all").fit(here[:470], X[:470].tz_convert("UTC"))
    expected = small(future_features="all").fit(here[:470], X[:470])
    assert forecaster.predict(X_future=X[470:472].tz_convert("Asia/Tokyo")).equals(
        expected.predict(X_future=X[470:472])
    )
    message = refusal(lambda: forecaster.predict(X_future=X[470:472].tz_localize(None)))
    assert (
        "X_future has dates without a time zone" in message
        and "X_future = X_future.tz_localize('Europe/Berlin')" in message
    )
    message = refusal(lambda: small().fit(here.tz_localize(None)[:24], X[:24]))
    assert "X has dates with the time zone 'Europe/Berlin'" in message
    small().fit(here.tz_localize(None)[:24], cured(message, X=X[:24])["X"])


@pytest.mark.parametrize("call", ["update", "score", "backtest", "fit"])
def test_dates_without_a_zone_beside_dates_with_one(load, call):
    here = load[0]
    later, naive = here[300:], here[300:].tz_localize(None)
    if call in ("backtest", "fit"):
        later, naive = here[:250], here[:250].tz_localize(None)  # before the change of the clocks
    for fitted, right, wrong in (
        (here[:300], later, naive),
        (here[:300].tz_localize(None)[:260], None, here[260:]),
    ):
        if right is None and call in ("backtest", "fit"):
            fitted, wrong = here[:200].tz_localize(None)[:100], here[:100]
        if right is None and call in ("update", "score"):
            fitted, wrong = here[:200].tz_localize(None)[:100], here[100:200]
        forecaster = small(calendar=["hour"], warm_start=True).fit(fitted)
        message = refusal(lambda f=forecaster, w=wrong: getattr(f, call)(w))
        assert "time zone" in message and "Europe/Berlin" in message
        getattr(forecaster, call)(cured(message, y=wrong)["y"])


def test_an_array_of_dates_beside_dates_with_a_zone(load):
    here = load[0]
    forecaster = small(calendar=["hour"]).fit(here[:300])
    times = here.index[300:].tz_localize(None).to_numpy()
    message = refusal(lambda: forecaster.update(here[300:].to_numpy(), times=times))
    forecaster.update(here[300:].to_numpy(), times=cured(message, times=times)["times"])
    assert forecaster.predict().index[0] == here.index[-1] + pandas.Timedelta("1h")


def test_times_as_a_series_with_a_zone(load):
    here, there = load
    forecaster = small(calendar=["hour"]).fit(
        here.to_numpy()[:300], times=pandas.Series(here.index[:300])
    )
    expected = small(calendar=["hour"]).fit(here[:300]).update(here[300:])
    forecaster.update(here.to_numpy()[300:], times=pandas.Series(there.index[300:]))
    np.testing.assert_array_equal(forecaster.predict(), expected.predict())


def test_a_zone_comes_back_from_a_file(load, tmp_path):
    from gatewise import load_estimator

    here, there = load
    forecaster = small(calendar=["hour"]).fit(here[:300])
    forecaster.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file").update(there[300:])
    assert again.predict().equals(forecaster.update(here[300:]).predict())
