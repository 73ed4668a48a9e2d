"""Whether the labels of a series rise and are evenly spaced, with advice on those that are not."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

import numpy as np

from gatewise.errors import ShapeError

from .advice import Fix, Labels, as_periods, assigned, resampling, skipped_hours, sorting
from .grid import Grid, grid_of


def frequency_of(index: Labels) -> Any:
    """Return the distance from each label to the next.

    Parameters
    ----------
    index : pandas.Index, or ndarray of datetime64

    Returns
    -------
    pandas offset, numpy.timedelta64, int, or None
        None if the labels are not evenly spaced, or are neither dates nor whole numbers.
    """
    if isinstance(index, np.ndarray):
        return even_distance(index)
    import pandas

    freq: Any
    if isinstance(index, pandas.PeriodIndex):
        freq = index.freq
        return freq if np.all(np.diff(index.asi8) == freq.n) else None
    if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
        if index.freq is not None or len(index) < 2 or index.hasnans:
            return index.freq
        if len(index) == 2:
            labels: Any = index
            return pandas.tseries.frequencies.to_offset(labels[1] - labels[0])
        return type(index)(index, freq="infer").freq
    if index.dtype.kind in "ui":
        distance = even_distance(index.to_numpy().astype(np.int64))
        return None if distance is None else int(distance)
    return None


def even_distance(values: np.ndarray) -> Any:
    """Return the distance between neighbours if it is always the same and not 0, else None."""
    distances = np.diff(values)
    even = len(distances) and (distances == distances[0]).all() and distances[0] != distances[0] * 0
    return distances[0] if even else None


def check_rising(index: Labels, name: str, fix: Fix | None = None) -> None:
    """Refuse dates and numbers that do not rise.

    Parameters
    ----------
    index : pandas.Index, or ndarray of datetime64
        Text is accepted in any order: it has none.
    name : str
        The series, for the message.
    fix : callable, optional
        See :data:`~gatewise.estimators.forecasting.series.advice.Fix`. None: assign to `name`.

    Raises
    ------
    ShapeError
    """
    if not _has_order(index):
        return
    rising = np.asarray(index[1:] > index[:-1])
    if rising.all():
        return
    at = int(np.argmin(rising))
    cure = "" if isinstance(index, np.ndarray) else f": {sorting(index, fix or assigned(name))}"
    raise ShapeError(
        f"the index of {name} does not rise: {index[at + 1]!r} comes after {index[at]!r}; expected"
        f" steps in the order of time, each once{cure}"
    )


def check_even(index: Labels, name: str, fix: Fix | None = None, flat: bool = True) -> None:
    """Refuse labels that do not show what comes next: a step is missing, or they are text.

    Parameters
    ----------
    index, name, fix
        As in :func:`check_rising`; the index rises.
    flat : bool, default True
        Whether the series is an array of one axis rather than a table. The code that is proposed
        for an array depends on it.

    Raises
    ------
    ShapeError
    """
    if len(index) < 2 or frequency_of(index) is not None:
        return
    if isinstance(index, np.ndarray):
        _refuse_array(index, name, flat)
    fix = fix or assigned(name)
    count = f"{fix(lambda part: f'{part}.reset_index(drop=True)')} counts the steps instead"
    if not _has_order(index):
        _refuse_objects(index, name, fix, count)
    if index.dtype.kind == "f":
        _refuse_floats(index, name, fix, count)
    periods = as_periods(index, fix)
    grid = None if periods else grid_of(index)
    if grid is None:
        raise ShapeError(
            f"the index of {name} is not evenly spaced: from {index[0]!r} to {index[1]!r}, then to"
            f" {index[2]!r}, for example; expected steps of one length:"
            f" {periods or resampling(index, fix)}{count}"
        )
    _refuse_gaps(index, grid, name, fix, count)


def _has_order(index: Labels) -> bool:
    """Return whether labels are numbers, dates, durations or periods rather than text."""
    return index.dtype.kind in "iufmM" or hasattr(index, "to_timestamp")


def _refuse_gaps(index: Labels, grid: Grid, name: str, fix: Fix, count: str) -> NoReturn:
    """Refuse labels that lack steps of a regular grid."""
    labels = grid.labels
    at = int(np.argmin(labels.isin(index)))
    distance = getattr(labels, "freqstr", None) or getattr(labels, "step", None)
    raise ShapeError(
        f"the index of {name} has no step {labels[at]!r} ({labels[at - 1]!r} is followed by"
        f" {_shown(index[at])}); expected every step, {distance!r} apart:"
        f" {fix(lambda part: part + grid.code(part))} makes rows of NaN of the"
        f" {len(labels) - len(index)} missing steps (do the same with X), and"
        " missing='forward_fill', for example, lets the forecaster read them; or"
        f" {count}{skipped_hours(index, labels)}"
    )


def _shown(label: Any) -> str:
    """Return a label as messages show it: numbers as Python writes them."""
    return repr(label.item() if isinstance(label, np.integer) else label)


def _refuse_array(times: np.ndarray, name: str, flat: bool) -> NoReturn:
    """Refuse dates in an array, with advice that needs pandas if it is installed."""
    advice = "leave times out, and the steps are counted"
    try:
        import pandas
    except ImportError:
        grid = None
    else:
        grid = grid_of(pandas.DatetimeIndex(times))
    if grid is not None:
        constructor = "pandas.Series" if flat else "pandas.DataFrame"
        made = f"{constructor}({name}, pandas.DatetimeIndex(times))"
        advice = (
            f"{name} = {made}{grid.code(made)}, without times, has rows of NaN for the missing"
            " steps, which missing='forward_fill', for example, lets the forecaster read; or"
            f" {advice}"
        )
    distances = np.diff(times)
    usual = np.median(distances.astype(np.int64)).astype(distances.dtype)
    at = int(np.argmax(distances != usual))
    raise ShapeError(
        f"times of {name} are not evenly spaced: {times[at]} is followed by {times[at + 1]}, for"
        f" example; expected every step: {advice}"
    )


def _refuse_floats(index: Labels, name: str, fix: Fix, count: str) -> NoReturn:
    """Refuse floats: rounding makes their distances uneven."""
    cure = ""
    if (index == np.floor(index)).all():
        code = fix(lambda part: f"{part}.set_axis({part}.index.astype(int))")
        cure = f"{code} makes whole numbers of them; or "
    raise ShapeError(
        f"the index of {name} holds floats, from {index[0].item()!r} to {index[1].item()!r} for"
        f" example; expected dates or whole numbers: {cure}{count}"
    )


def _refuse_objects(index: Labels, name: str, fix: Fix, count: str) -> NoReturn:
    """Refuse text and other objects, with code that makes dates of them if they are dates."""
    if index.inferred_type == "period":
        code = fix(lambda part: f"{part}.set_axis(pandas.PeriodIndex({part}.index))")
        raise ShapeError(
            f"the index of {name} holds periods as objects, for example {index[0]!r}:"
            f" {code} makes a PeriodIndex of it"
        )
    kind = "text" if isinstance(index[0], str) else type(index[0]).__name__
    dates = _as_dates(index)
    if dates is None:
        raise ShapeError(
            f"the index of {name} holds {kind}, for example {index[0]!r}, which does not show what"
            f" comes next; expected dates or whole numbers: {count}"
        )
    order = "" if dates.is_monotonic_increasing else ".sort_index()"
    code = fix(lambda part: f"{part}.set_axis(pandas.to_datetime({part}.index)){order}")
    raise ShapeError(
        f"the index of {name} holds {kind}, for example {index[0]!r}; expected dates: {code} makes"
        " dates of it (give to_datetime a format= if days and months may be taken for each other)"
    )


def _as_dates(index: Labels) -> Labels | None:
    """Return the dates that pandas reads in an index of text, or None if it reads none."""
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns that it guesses the format
        try:
            dates = pandas.to_datetime(index)
        except (ValueError, TypeError, OverflowError):
            return None
    return dates if isinstance(dates, pandas.DatetimeIndex) else None
