"""Calendar features, labels that go on, and the forms in which series are read."""

import datetime
import json
from contextlib import nullcontext

import numpy as np
import pandas
import pytest

from gatewise.errors import CheckpointError, ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.estimators.forecasting.calendar import calendar_features, calendar_names
from gatewise.estimators.forecasting.series.columns import column_numbers
from gatewise.estimators.forecasting.series.labels import index_of, moments
from gatewise.estimators.forecasting.series.reading import read_features, read_target
from gatewise.estimators.forecasting.series.table import read_table
from gatewise.estimators.forecasting.series.timeline import Timeline

# ---- calendar

PARTS = {  # the part of each cycle that is over, by pandas
    "minute": lambda t: (t.minute * 60 + t.second) / 3600,
    "hour": lambda t: (t.hour * 3600 + t.minute * 60 + t.second) / 86400,
    "weekday": lambda t: t.weekday() / 7,
    "monthday": lambda t: (t.day - 1) / t.days_in_month,
    "month": lambda t: (t.month - 1) / 12,
    "quarter": lambda t: (t.quarter - 1) / 4,
    "yearday": (
        lambda t: (t.day_of_year - 1 + t.hour / 24 + t.minute / 1440 + t.second / 86400) / 365.2425
    ),
}


@pytest.mark.parametrize("unit", ["s", "ns", "m"])
@pytest.mark.parametrize("name", PARTS)
def test_calendar_is_what_pandas_says(name, unit, rng):
    times = pandas.to_datetime(rng.integers(-(10**9), 4 * 10**9, 200), unit="s")
    times = times.append(pandas.DatetimeIndex(["2024-02-29", "2023-12-31 23:59:59", "1970-01-01"]))
    values = times.to_numpy().astype(f"datetime64[{unit}]")
    part = np.array([min(1.0, PARTS[name](pandas.Timestamp(moment))) for moment in values])
    expected = np.stack([np.sin(2 * np.pi * part), np.cos(2 * np.pi * part)], axis=1)
    np.testing.assert_allclose(calendar_features(values, [name]), expected, atol=1e-9)


def test_months_as_moments():
    features = calendar_features(
        np.arange("2020-01", "2021-01", dtype="datetime64[M]"), ["month", "quarter"]
    )
    assert features.shape == (12, 4)
    # a quarter of the year is over in April
    np.testing.assert_allclose(features[3, :2], [1, 0], atol=1e-12)
    np.testing.assert_allclose(features[6, 2:], [0, -1], atol=1e-12)  # half of the quarters in July


@pytest.mark.parametrize(
    ("step", "steps", "names"),
    [
        ("min", 200, ["minute"]),
        ("h", 24 * 20, ["hour", "weekday"]),
        ("h", 40, []),
        ("D", 30, ["weekday"]),
        ("D", 800, ["weekday", "yearday"]),
        ("MS", 36, ["month"]),
        ("MS", 20, []),
        ("YS", 50, []),
        ("12h", 100, ["weekday"]),
    ],
)
def test_auto_takes_cycles_that_came_back(step, steps, names):
    assert (
        calendar_names(pandas.date_range("2020-01-01", periods=steps, freq=step).to_numpy(), "auto")
        == names
    )


def test_calendar_errors():
    with pytest.raises(ConfigError, match="'fortnight'"):
        calendar_features(np.array(["2020"], "datetime64[D]"), ["fortnight"])
    with pytest.raises(DTypeError, match="datetime64"):
        calendar_features(np.arange(3), ["hour"])
    with pytest.raises(NonFiniteError, match="NaT at index 1"):
        calendar_features(np.array(["2020", "NaT"], "datetime64[D]"), ["hour"])
    with pytest.raises(ConfigError, match="at least 2"):
        calendar_names(np.array(["2020"], "datetime64[D]"), "auto")


# ---- labels

INDEXES = {
    "hours": pandas.date_range("2024-01-01", periods=30, freq="h"),
    "business": pandas.date_range("2024-01-01", periods=30, freq="B", name="day"),
    "months": pandas.date_range("2024-01-31", periods=30, freq="ME"),
    "zone": pandas.date_range("2024-03-30", periods=60, freq="h", tz="Europe/Berlin"),
    "seconds": pandas.date_range("2024-01-01", periods=30, freq="s", unit="s"),
    "periods": pandas.period_range("2020-01", periods=30, freq="M"),
    "periods of two hours": pandas.period_range("2020-01-01", periods=30, freq="2h"),
    "durations": pandas.timedelta_range("1h", periods=30, freq="2h", name="after"),
    "hours of nobody's": pandas.DatetimeIndex(
        np.arange("2024-01-01", "2024-01-03", dtype="datetime64[h]")
    ),
    "durations of nobody's": pandas.TimedeltaIndex(np.arange(30, dtype="timedelta64[s]")),
    "numbers": pandas.RangeIndex(3, 63, 2, name="n"),
    "integers": pandas.Index(np.arange(30)),
    "moments": np.arange("2024-01-01", "2024-01-31", dtype="datetime64[D]"),
    "quarters": np.arange("2000-01", "2010-01", 3, dtype="datetime64[M]"),
}


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_labels_go_on(index, saved):
    timeline = Timeline.of(index[:20])
    if saved:
        timeline = Timeline.from_config(json.loads(json.dumps(timeline.get_config())))
    for labels, expected in (
        (timeline.after(10), index[20:30]),
        (timeline.until(7), index[13:20]),
        (timeline.advanced(4).after(6), index[24:30]),
        (timeline.followed_by(index[20:23]).after(2), index[23:25]),
    ):
        assert np.array_equal(np.asarray(labels), np.asarray(expected))
        if not isinstance(index, np.ndarray):
            assert type(labels) in (type(expected), pandas.RangeIndex)
            assert getattr(labels, "tz", None) == getattr(expected, "tz", None)
    assert getattr(timeline.after(1), "name", None) == getattr(index, "name", None)


def test_labels_without_a_frequency_end_here():
    index = pandas.DatetimeIndex(["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"])
    for last in (index, index.to_numpy(), pandas.Index(list("abcd"))):
        timeline = Timeline.of(last)
        with pytest.raises(ConfigError, match="no frequency"):
            timeline.after(1)
        names = last[0] == "a"  # which are taken as they come
        with nullcontext() if names else pytest.raises(ShapeError, match="begin with .* ends with"):
            timeline.followed_by(last[:2])
        again = Timeline.from_config(json.loads(json.dumps(timeline.get_config())))
        assert again.last[0] == timeline.last[0] and again.freq is None


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES)
def test_labels_that_fall_or_come_twice_are_refused(index):
    for wrong in ([4, 3, 2, 1, 0], [0, 2, 1, 3], [0, 1, 1, 2]):
        with pytest.raises(ShapeError, match=r"does not rise: .* comes after .*order of time"):
            Timeline.of(index[wrong])
    if not isinstance(index, np.ndarray) and not index.dtype.kind == "i":
        with pytest.raises(ShapeError, match="does not rise: .*NaT"):
            Timeline.of(index[:3].insert(0, pandas.NaT))
    timeline = Timeline.of(index[:5])
    timeline.freq = None  # nobody knows what comes next, and dates still rise
    with pytest.raises(ShapeError, match="does not rise"):
        timeline.followed_by(index[[6, 5]])


@pytest.mark.parametrize(
    "index",
    [
        pandas.date_range(
            "2024-01-01", periods=5, freq=pandas.offsets.CustomBusinessDay(holidays=["2024-01-09"])
        ),
        pandas.date_range("2024-01-01", periods=5, freq=pandas.DateOffset(months=1, days=2)),
        pandas.date_range("2024-01-01", periods=5, tz="dateutil/Europe/Berlin"),
    ],
    ids=["holidays", "offset", "zone"],
)
def test_labels_that_files_cannot_hold(index):
    timeline = Timeline.of(index[:3])
    assert timeline.after(2).equals(index[3:])
    with pytest.raises(
        DTypeError, match="files cannot hold the index.*common frequency and time zone"
    ):
        timeline.get_config()


def test_labels_that_do_not_come_next():
    timeline = Timeline.of(INDEXES["hours"][:20])
    with pytest.raises(ShapeError, match="23:00.* at position 1.* 21:00|position 1"):
        timeline.followed_by(INDEXES["hours"][[20, 23]])


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"kind": "datetime"},
        {"kind": "period", "last": "x", "freq": "M", "name": None},
        {"kind": "datetime64", "last": 1, "unit": ["x", 1], "freq": 1},
        {"kind": 3},
        None,
        {"kind": "number", "last": "a", "freq": 1, "name": None},
    ],
    ids=str,
)
def test_damaged_labels_are_refused(config):
    with pytest.raises(CheckpointError, match="cannot be read"):
        Timeline.from_config(config)


def test_moments_are_local_time():
    index = INDEXES["zone"]
    assert moments(index)[0] == np.datetime64("2024-03-30T00:00")
    assert moments(INDEXES["periods"])[1] == np.datetime64("2020-02-01")
    with pytest.raises(ConfigError, match="need dates"):
        moments(INDEXES["numbers"])


# ---- series


def test_one_series_or_several():
    rows = np.arange(6.0).reshape(3, 2)
    for given, several, shapes in (
        (rows, False, [(3, 2)]),
        (rows.tolist(), False, [(3, 2)]),
        ([1, 2, 3], False, [(3, 1)]),
        ([rows, rows[:2]], True, [(3, 2), (2, 2)]),
        ((rows[:, 0],), True, [(3, 1)]),
        (pandas.DataFrame(rows), False, [(3, 2)]),
        ([pandas.Series([1, 2])] * 2, True, [(2, 1)] * 2),
    ):
        series, found = read_target(given)
        assert found is several
        assert [one.values.shape for one in series] == shapes
        assert all(one.values.dtype == np.float64 for one in series)


def test_series_that_cannot_be_read():
    for given, kind, words in (
        ([np.zeros((3, 2)), np.zeros(3)], ShapeError, "variables"),
        (np.zeros((2, 2, 2)), ShapeError, "list of arrays"),
        (np.array(["a", "b"]), DTypeError, "expected numbers"),
        ([1.0, np.nan], NonFiniteError, "NaN"),
        (np.array([1j, 2]), ConfigError, "Complex"),
        (np.zeros((0, 2)), ConfigError, "0 sample"),
        (np.zeros((3, 0)), ConfigError, "0 feature"),
        (3.0, ShapeError, "array of steps"),
        (np.array(["2020"], "datetime64[D]"), DTypeError, "datetime64"),
        ([[1, 2, 3], [4, 5]], ShapeError, "different lengths.*list of arrays"),
    ):
        with pytest.raises(kind, match=words):
            read_target(given)
    with pytest.raises(DTypeError, match="datetime64"):
        read_target([1.0, 2.0], times=[1, 2])
    with pytest.raises(ShapeError, match=r"times has shape \(1,\)"):
        read_target([1.0, 2.0], times=np.array(["2020"], "datetime64[D]"))
    with pytest.raises(ConfigError, match="has an index"):
        read_target(pandas.Series([1.0, 2.0]), times=np.array(["2020", "2021"], "datetime64[D]"))
    assert np.isnan(read_table([1.0, np.nan], "y", missing=True)[1, 0])


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-01", "2024-01-02"],
        np.array(["2024-01-01T00", "2024-01-02T00"]),
        [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)],
        [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)],
        pandas.date_range("2024-01-01", periods=2).to_list(),
        pandas.Series(pandas.date_range("2024-01-01", periods=2)),
    ],
    ids=repr,
)
def test_times_as_they_may_come(times):
    labels = index_of(times, 2)
    assert labels.dtype.kind == "M"
    np.testing.assert_array_equal(labels, np.array(["2024-01-01", "2024-01-02"], "datetime64[D]"))


@pytest.mark.parametrize(
    "times",
    [
        ["yesterday", "today"],
        [1, 2],
        [object(), 1],
        pandas.date_range("2024", periods=2, tz="UTC").to_list(),
    ],
    ids=["words", "whole numbers", "an object", "time zones"],
)
def test_times_that_are_none(times):
    with pytest.raises(DTypeError, match="times"):
        index_of(times, 2)


def test_columns_by_name_and_number():
    assert column_numbers(None, None, 3, "c") == []
    assert column_numbers("all", ["a", "b"], 2, "c") == [0, 1]
    assert column_numbers(["b", 0], ["a", "b"], 2, "c") == [1, 0]
    for wrong in ("b", ["c"], [2], [True], ["a", 0], 1):
        with pytest.raises(ConfigError, match="future"):
            column_numbers(wrong, ["a", "b"], 2, "future")


class Counted(list):
    """A list that counts how often somebody goes through it."""

    passes = 0

    def __iter__(self):
        self.passes += 1
        return super().__iter__()


@pytest.mark.parametrize("kind", ["array", "series", "frame"])
def test_many_series_are_read_in_a_fixed_number_of_passes(kind, rng):
    """Each pass looks at every series: a pass for each of them makes the time quadratic."""

    def passes(count):
        parts = Counted(rng.normal(size=6) for _ in range(count))
        if kind != "array":
            parts = Counted(
                pandas.Series(part) if kind == "series" else pandas.DataFrame({"v": part})
                for part in parts
            )
        columns = Counted(rng.normal(size=(6, 2)) for _ in range(count))
        parts.passes = columns.passes = 0
        series, several = read_target(parts)
        read_features(columns, series, several)
        return parts.passes, columns.passes

    assert passes(40) == passes(10)
