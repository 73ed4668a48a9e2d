"""The distance that the labels of a series keep, and what a user can do about labels that keep none."""

import warnings

import numpy as np

from gatewise.errors import ShapeError

# a grid with more than this many steps for each label is not what the labels were taken from
MOST_SPARSE = 10


def frequency_of(index):
    """The distance from each label to the next.

    Parameters
    ----------
    index : pandas.Index, or ndarray of datetime64

    Returns
    -------
    pandas offset, numpy.timedelta64, int, or None
        None: the labels are not evenly spaced, or are neither dates nor whole numbers.
    """
    if isinstance(index, np.ndarray):
        return even_distance(index)
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        return index.freq if (np.diff(index.asi8) == index.freq.n).all() else None
    if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
        if index.freq is not None or len(index) < 2 or index.hasnans:
            return index.freq
        if len(index) == 2:
            return pandas.tseries.frequencies.to_offset(index[1] - index[0])
        return type(index)(index, freq="infer").freq
    if index.dtype.kind in "ui":
        distance = even_distance(index.to_numpy().astype(np.int64))
        return None if distance is None else int(distance)
    return None


def even_distance(values):
    """The distance between neighbours, if it is always the same and not 0, else None."""
    distances = np.diff(values)
    even = len(distances) and (distances == distances[0]).all() and distances[0] != distances[0] * 0
    return distances[0] if even else None


def check_rising(index, name, fix=None):
    """Refuse dates and numbers that are not in the order of time.

    Parameters
    ----------
    index : pandas.Index, or ndarray of datetime64
    name : str
        What the labels belong to.
    fix : callable(callable) -> str, optional
        See :class:`gatewise.estimators.forecasting.series.Series`. None: of a variable `name`.

    Raises
    ------
    ShapeError
    """
    # names have no order
    if index.dtype.kind not in "iufmM" and not hasattr(index, "to_timestamp"):
        return
    rising = np.asarray(index[1:] > index[:-1])
    if rising.all():
        return
    at = int(np.argmin(rising))
    cure = "" if isinstance(index, np.ndarray) else f": {_in_order(index, fix or assigned(name))}"
    raise ShapeError(
        f"the index of {name} does not rise: {index[at + 1]!r} comes after "
        f"{index[at]!r}; expected steps in the order "
        f"of time, each once{cure}"
    )


def _in_order(index, fix):
    """What puts an index in order, as code and in words."""
    if index.hasnans:
        return (
            f"{fix(lambda part: f'{part}[{part}.index.notna()]')} leaves out rows without a label"
        )
    if index.is_unique:
        return f"{fix(lambda part: f'{part}.sort_index()')} puts them in order"
    words = (
        f"{fix(lambda part: f'{part}.groupby(level=0).mean()')} takes the mean of the rows "
        "that have one label, and puts them "
        "in order"
    )
    if getattr(index, "tz", 0) is None and (index.hour != index.hour[0]).any():
        words += (
            " (an hour that comes twice because clocks were set back needs a time zone:"
            " tz_localize(zone, ambiguous='infer'))"
        )
    return words


def check_even(index, name, fix=None, flat=True):
    """Refuse labels that do not show what comes next: a step is missing, or they are text.

    Parameters
    ----------
    index, name, fix
        As in :func:`check_rising`.
    flat : bool
        The series is an array of one axis, rather than a table; for the advice that is given about
        an array.

    Raises
    ------
    ShapeError
    """
    if len(index) < 2 or frequency_of(index) is not None:
        return
    fix = fix or assigned(name)
    if isinstance(index, np.ndarray):
        _refuse_array(index, name, flat)
    count = f"{fix(lambda part: f'{part}.reset_index(drop=True)')} counts the steps instead"
    if index.dtype.kind not in "iufmM" and not hasattr(index, "to_timestamp"):
        _refuse_names(index, name, fix, count)
    if index.dtype.kind == "f":
        _refuse_fractions(index, name, fix, count)
    periods = _as_periods(index, fix)
    grid, code = (None, None) if periods else _grid(index)
    if grid is None:
        raise ShapeError(
            f"the index of {name} is not evenly spaced: from {index[0]!r} to "
            f"{index[1]!r}, then to {index[2]!r}, for "
            f"example; expected steps of one length: {periods or _resampled(index, fix)}{count}"
        )
    at = int(np.argmin(grid.isin(index)))
    distance = getattr(grid, "freqstr", None) or getattr(grid, "step", None)
    raise ShapeError(
        f"the index of {name} has no step {grid[at]!r} (from {grid[at - 1]!r} it goes "
        f"on with {_shown(index[at])}); expected "
        f"every step, {distance!r} apart: {fix(lambda part: part + code(part))} makes "
        "rows of NaN of the "
        f"{len(grid) - len(index)} missing steps (do the same with X), and "
        "missing='forward_fill', for example, lets "
        f"the forecaster read them; or {count}{_clocks(index, grid)}"
    )


def _shown(label):
    """A label for a message: numbers as Python writes them."""
    return repr(label.item() if isinstance(label, np.integer) else label)


def _clocks(index, grid):
    """A word on the hour that clocks skip, if it may be what is missing."""
    if getattr(index, "tz", 0) is not None or len(grid) - len(index) > 4 * (len(grid) // 1000 + 1):
        return ""
    missing = grid[~grid.isin(index)]
    if not ((missing.hour >= 1) & (missing.hour <= 3) & missing.month.isin([3, 4, 9, 10])).all():
        return ""
    return (
        " (an hour that was skipped because clocks were set forward is not missing if the "
        "dates have their time zone: "
        "tz_localize(zone))"
    )


def assigned(name):
    """The `fix` of a variable: a statement that sets it to what is made of it."""
    return lambda make: f"{name} = {make(name)}"


def _refuse_array(times, name, flat):
    import_pandas = "pandas.Series" if flat else "pandas.DataFrame"
    advice = "leave times out, and the steps are counted"
    try:
        import pandas
    except ImportError:
        grid = None
    else:
        grid, code = _grid(pandas.DatetimeIndex(times))
    if grid is not None:
        made = f"{import_pandas}({name}, pandas.DatetimeIndex(times))"
        advice = (
            f"{name} = {made}{code(made)}, without times, has rows of NaN for the missing "
            "steps, which "
            f"missing='forward_fill', for example, lets the forecaster read; or {advice}"
        )
    distances = np.diff(times)
    at = int(np.argmax(distances != np.median(distances.astype(np.int64)).astype(distances.dtype)))
    raise ShapeError(
        f"times of {name} are not evenly spaced: {times[at]} is followed by "
        f"{times[at + 1]}, for example; expected "
        f"every step: {advice}"
    )


def _refuse_fractions(index, name, fix, count):
    """Refuse floats, whose distances are subject to rounding."""
    whole = bool((index == np.floor(index)).all())
    cure = (
        f"{fix(lambda part: f'{part}.set_axis({part}.index.astype(int))')} makes whole numbers of"
        " them; or "
        if whole
        else ""
    )
    raise ShapeError(
        f"the index of {name} holds floats, from {index[0].item()!r} to {index[1].item()!r} for"
        f" example; expected dates or whole numbers: {cure}{count}"
    )


def _refuse_names(index, name, fix, count):
    import pandas

    if index.inferred_type == "period":
        raise ShapeError(
            f"the index of {name} holds periods as objects, for example {index[0]!r}: "
            f"{fix(lambda part: f'{part}.set_axis(pandas.PeriodIndex({part}.index))')} "
            "makes a PeriodIndex of it"
        )

    kind = "text" if isinstance(index[0], str) else type(index[0]).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a format had to be guessed
        try:
            dates = pandas.to_datetime(index)
        except (ValueError, TypeError, OverflowError):
            dates = None
    if dates is None or not isinstance(dates, pandas.DatetimeIndex):
        raise ShapeError(
            f"the index of {name} holds {kind}, for example {index[0]!r}, which does "
            "not show what comes next; expected "
            f"dates or whole numbers: {count}"
        )
    order = "" if dates.is_monotonic_increasing else ".sort_index()"
    make = fix(lambda part: f"{part}.set_axis(pandas.to_datetime({part}.index)){order}")
    raise ShapeError(
        f"the index of {name} holds {kind}, for example {index[0]!r}; expected dates: "
        f"{make} makes dates of it (give "
        "to_datetime a format= if days and months may be taken for each other)"
    )


def _grid(index):
    """The labels without holes that an index was taken from, and how a user makes them; (None, None) of uneven labels.

    Returns
    -------
    grid : pandas.Index or None
    code : callable(str) -> str
        Of the expression for a series, what is to be written behind it.
    """
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        return (
            pandas.period_range(index[0], index[-1], freq=index.freq),
            lambda part: (
                f".reindex(pandas.period_range({part}.index[0], {part}.index[-1],"
                f" freq={index.freqstr!r}))"
            ),
        )
    most = MOST_SPARSE * len(index)
    if isinstance(index, pandas.DatetimeIndex):
        grids = [
            grid for freq in _candidates(index) if (grid := _grid_of(index, freq, most)) is not None
        ]
        grid = min(grids, key=len, default=None)
        return (None, None) if grid is None else (grid, lambda part: f".asfreq({grid.freqstr!r})")
    if isinstance(index, pandas.TimedeltaIndex):
        values = index.asi8
    elif index.dtype.kind in "ui":
        values = index.to_numpy().astype(np.int64)
    else:
        return None, None
    step = int(np.gcd.reduce(np.diff(values)))
    if (values[-1] - values[0]) // step + 1 > most:
        return None, None
    if isinstance(index, pandas.TimedeltaIndex):
        freq = pandas.tseries.frequencies.to_offset(pandas.Timedelta(step, unit=index.unit)).freqstr
        return (
            pandas.timedelta_range(index[0], index[-1], freq=freq),
            lambda part: (
                f".reindex(pandas.timedelta_range({part}.index[0], {part}.index[-1],"
                f" freq={freq!r}))"
            ),
        )
    return (
        pandas.RangeIndex(values[0], values[-1] + step, step),
        lambda part: f".reindex(range({values[0]}, {values[-1] + step}, {step}))",
    )


def _grid_of(index, freq, most):
    """The labels from the first to the last of `index`, if all of it lies on them and they are not too many, else None."""
    import pandas

    grid = pandas.date_range(index[0], index[-1], freq=freq, unit=index.unit)
    return grid if len(index) <= len(grid) <= most and index.isin(grid).all() else None


def _candidates(index):
    """Frequencies that the dates of an index may have: those of stretches of it, and common ones."""
    import pandas

    found = {}
    for length in (3, 8):
        for start in range(0, min(len(index) - length + 1, 300)):
            freq = pandas.DatetimeIndex(index[start : start + length], freq="infer").freq
            if freq is not None:
                found[freq.freqstr] = None
    first = index[0]
    day, month = first.strftime("%a").upper(), first.strftime("%b").upper()
    for freq in (
        "B",
        "D",
        f"W-{day}",
        f"2W-{day}",
        "MS",
        "ME",
        "BMS",
        "BME",
        f"QS-{month}",
        f"QE-{month}",
        f"YS-{month}",
        f"YE-{month}",
    ):
        found[freq] = None
    step = int(np.gcd.reduce(np.diff(index.asi8)))
    if (index.asi8[-1] - index.asi8[0]) // step <= MOST_SPARSE * len(index):
        found[
            pandas.tseries.frequencies.to_offset(pandas.Timedelta(step, unit=index.unit)).freqstr
        ] = None
    span = (index[-1] - index[0]).total_seconds()
    lengths = {freq: _seconds(freq) for freq in found}
    return [
        freq
        for freq, length in lengths.items()
        if length is None or span / length <= MOST_SPARSE * len(index)
    ]


def _seconds(freq):
    """Seconds of a frequency that always has as many, else None."""
    import pandas

    offset = pandas.tseries.frequencies.to_offset(freq)
    return (
        pandas.Timedelta(offset).total_seconds()
        if isinstance(offset, pandas.tseries.offsets.Tick)
        else None
    )


def _as_periods(index, fix):
    """Advice for dates of which one lies in each week, month, quarter or year, or ""."""
    if not hasattr(index, "tz_localize"):
        return ""
    local = index.tz_localize(None)
    for freq, word in (("W", "week"), ("M", "month"), ("Q", "quarter"), ("Y", "year")):
        if (np.diff(local.to_period(freq).asi8) == 1).all():
            zone = "" if index.tz is None else ".tz_localize(None)"
            code = fix(lambda part: f"{part}{zone}.to_period({freq!r})")
            return f"{code} labels each row with its {word}; or "
    return ""


def _resampled(index, fix):
    """Advice for dates that lie on no grid: means over stretches of one length."""
    if not hasattr(index, "tz_localize"):
        return ""
    median = float(np.median(np.diff(index.as_unit("ns").asi8))) / 1e9
    freq = next(
        (name for name, seconds in (("D", 86400), ("h", 3600), ("min", 60)) if median >= seconds),
        "s",
    )
    if median >= 28 * 86400:
        freq = "MS"
    code = fix(lambda part: f"{part}.resample('{freq}').mean()")
    return (
        f"{code} takes the mean of each {freq!r}, with NaN where there is none, which"
        " missing='forward_fill' fills; or "
    )
