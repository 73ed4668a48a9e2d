"""Small forecasters that several test files share."""

import pandas

from gatewise import SequenceForecaster

SMALL = {
    "window": 6,
    "horizon": 3,
    "units": 4,
    "max_iter": 2,
    "dtype": "float64",
    "random_state": 0,
}


def small(**options):
    return SequenceForecaster(**(SMALL | options))


def hourly(values, columns, start="2024-02-27"):
    return pandas.DataFrame(
        values, pandas.date_range(start, periods=len(values), freq="h"), columns=columns
    )
