"""The regular grid that the labels of a series with missing steps were taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from .advice import Labels

# A grid with more steps than this for each label is not what the labels were taken from.
MOST_SPARSE = 10


class Grid(NamedTuple):
    """A regular grid of labels, and how a user puts a series on it.

    Attributes
    ----------
    labels : pandas.Index
        All labels from the first to the last of the series, evenly spaced.
    code : callable(str) -> str
        Given the code of the series, returns what to append to it.
    """

    labels: Labels
    code: Callable[[str], str]


def grid_of(index: Labels) -> Grid | None:
    """Return the smallest regular grid that holds all labels of an index.

    Parameters
    ----------
    index : pandas.Index
        Dates, durations, periods or whole numbers, rising.

    Returns
    -------
    Grid or None
        None if the labels are on no grid that they fill to at least one part in `MOST_SPARSE`.
    """
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        return Grid(
            pandas.period_range(index[0], index[-1], freq=index.freq),
            lambda part: (
                f".reindex(pandas.period_range({part}.index[0], {part}.index[-1],"
                f" freq={index.freqstr!r}))"
            ),
        )
    most = MOST_SPARSE * len(index)
    if isinstance(index, pandas.DatetimeIndex):
        grids = (_dates_between(index, freq, most) for freq in _candidates(index))
        dates = min((grid for grid in grids if grid is not None), key=len, default=None)
        return None if dates is None else Grid(dates, lambda part: f".asfreq({dates.freqstr!r})")
    if isinstance(index, pandas.TimedeltaIndex):
        values = index.asi8
    elif index.dtype.kind in "ui":
        values = index.to_numpy().astype(np.int64)
    else:
        return None
    step = int(np.gcd.reduce(np.diff(values)))
    if (values[-1] - values[0]) // step + 1 > most:
        return None
    if isinstance(index, pandas.TimedeltaIndex):
        return _durations(index, step)
    return Grid(
        pandas.RangeIndex(values[0], values[-1] + step, step),
        lambda part: f".reindex(range({values[0]}, {values[-1] + step}, {step}))",
    )


def _durations(index: Labels, step: int) -> Grid:
    """Return the grid of a TimedeltaIndex whose steps are `step` units apart."""
    import pandas

    freq = pandas.tseries.frequencies.to_offset(pandas.Timedelta(step, unit=index.unit)).freqstr
    return Grid(
        pandas.timedelta_range(index[0], index[-1], freq=freq),
        lambda part: (
            f".reindex(pandas.timedelta_range({part}.index[0], {part}.index[-1], freq={freq!r}))"
        ),
    )


def _dates_between(index: Labels, freq: str, most: int) -> Labels | None:
    """Return the dates from the first to the last of `index` at one frequency.

    None if a date of the index is not among them, or if there are more than `most`.
    """
    import pandas

    grid = pandas.date_range(index[0], index[-1], freq=freq, unit=index.unit)
    return grid if len(index) <= len(grid) <= most and index.isin(grid).all() else None


def _candidates(index: Labels) -> list[str]:
    """Return frequencies that dates may have: those of short pieces of them, and common ones."""
    import pandas

    found: dict[str, None] = {}  # an ordered set
    for length in (3, 8):
        for start in range(0, min(len(index) - length + 1, 300)):
            freq: Any = pandas.DatetimeIndex(index[start : start + length], freq="infer").freq
            if freq is not None:
                found[freq.freqstr] = None
    first = index[0]
    day, month = first.strftime("%a").upper(), first.strftime("%b").upper()
    common = ["B", "D", f"W-{day}", f"2W-{day}", "MS", "ME", "BMS", "BME"]
    common += [f"{period}-{month}" for period in ("QS", "QE", "YS", "YE")]
    found |= dict.fromkeys(common)
    step = int(np.gcd.reduce(np.diff(index.asi8)))
    if (index.asi8[-1] - index.asi8[0]) // step <= MOST_SPARSE * len(index):
        tick = pandas.tseries.frequencies.to_offset(pandas.Timedelta(step, unit=index.unit))
        found[tick.freqstr] = None
    span = (index[-1] - index[0]).total_seconds()
    lengths = {freq: _seconds(freq) for freq in found}
    return [
        freq
        for freq, length in lengths.items()
        if length is None or span / length <= MOST_SPARSE * len(index)
    ]


def _seconds(freq: str) -> float | None:
    """Return the seconds of a frequency whose steps all have the same length, else None."""
    import pandas

    offset: Any = pandas.tseries.frequencies.to_offset(freq)
    fixed = isinstance(offset, pandas.tseries.offsets.Tick)
    return pandas.Timedelta(offset).total_seconds() if fixed else None
