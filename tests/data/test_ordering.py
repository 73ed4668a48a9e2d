import datetime

import numpy as np
import pandas as pd
import pytest

from gatewise.data.ordering import order_of_time
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

DAYS = pd.to_datetime(["2024-03-10", "2024-01-02", "2024-02-01", "2024-01-02", "2023-12-31"])
NUMBER = np.array([0, 0, 1, 1, 0])
EXPECTED = [4, 1, 0, 3, 2]


@pytest.mark.parametrize(
    "times",
    [
        DAYS,
        pd.Series(DAYS),
        DAYS.tz_localize("Europe/Berlin"),
        pd.Series(DAYS.tz_localize("Europe/Berlin")),
        DAYS.to_period("D"),
        DAYS.to_numpy(),
        DAYS.strftime("%Y-%m-%d").tolist(),
        pd.Series(DAYS.strftime("%Y-%m-%d")),
        DAYS - DAYS[0],
        [f"{day}T00:00:00Z" for day in DAYS.strftime("%Y-%m-%d")],
        [
            "2024-03-10 09:00+09:00",
            "2024-01-01T23:00:00.5Z",
            "2024-02-01T00:00Z",
            "2024-01-02T04:00+05:00",
            "2023-12-31T00:00Z",
        ],
        [moment.to_pydatetime() for moment in DAYS],
        [datetime.date(day.year, day.month, day.day) for day in DAYS],
        [7, 3, 5, 3, -1],
        np.array([7, 3, 5, 3, -1.5], np.float32),
        pd.Series([7, 3, 5, 3, 1], dtype="Int64"),
    ],
    ids=str,
)
def test_order_within_groups(times):
    assert order_of_time(times, NUMBER).tolist() == EXPECTED


def test_polars_times():
    polars = pytest.importorskip("polars")
    assert order_of_time(polars.Series(DAYS.to_numpy()), NUMBER).tolist() == EXPECTED


@pytest.mark.parametrize(
    ("times", "error", "message"),
    [
        (
            [1, 2, 2, 3, 1],
            ConfigError,
            (
                r"time is 1 in row 0 and again in row 4 of group 'a'; expected each time once in a"
                r" group"
            ),
        ),
        (
            pd.Series(DAYS).replace(DAYS[4], DAYS[0]),
            ConfigError,
            "2024-03-10 00:00:00 in row 0 and again in row 4",
        ),
        ([1, np.nan, 2, 3, 4], NonFiniteError, "time is nan in row 1"),
        ([1, np.inf, 2, 3, 4], NonFiniteError, "time is inf in row 1"),
        (
            np.array(["2024", "NaT", "2025", "2026", "2027"], "datetime64[D]"),
            NonFiniteError,
            "NaT in row 1",
        ),
        (pd.Series([1, None, 2, 3, 4], dtype="Int64"), NonFiniteError, "<NA> in row 1"),
        (["2024-01-01", None, "2", "3", "4"], NonFiniteError, "None in row 1"),
        (["1.2.2024"] * 5, DTypeError, r"'1.2.2024' for example\); convert it: pandas.to_datetime"),
        (
            ["2024-01-01T00:00Z"] * 4 + ["2024-01-01"],
            DTypeError,
            "not an ISO 8601 date, or has a time zone in some rows only",
        ),
        (
            np.array([1, datetime.date(2024, 1, 1), 2, 3, 4], object),
            DTypeError,
            "cannot be put in order",
        ),
        ([True, False, True, False, True], DTypeError, "holds bool values"),
        ([1, 2, 3], ShapeError, r"time has shape \(3,\); expected \(5,\)"),
    ],
)
def test_what_times_may_not_be(times, error, message):
    with pytest.raises(error, match=message):
        order_of_time(times, NUMBER, ["a", "b"])
