"""The labels of a series' steps, and how they go on: a pandas index, or an array of datetime64."""

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError

from .frequency import assigned, check_even, check_rising, even_distance, frequency_of


class Timeline:
    """The last label of a series and the distance to the next.

    Attributes
    ----------
    last : pandas.Index or ndarray of datetime64, of one label
    freq : pandas offset, numpy.timedelta64, int, or None
        None: the labels are not evenly spaced, and nobody knows how they go on.
    """

    def __init__(self, last, freq):
        self.last, self.freq = last, freq

    @classmethod
    def of(cls, index, name="y", fix=None):
        """The timeline of a whole index.

        Parameters
        ----------
        index : pandas.Index, or ndarray of datetime64, of shape (T,)
        name, fix
            For messages, see :func:`gatewise.estimators.forecasting.frequency.check_rising`.

        Raises
        ------
        ShapeError
            Dates or numbers do not rise.
        """
        check_rising(index, name, fix)
        if isinstance(index, np.ndarray) and len(index) > 2 and even_distance(index) is None:
            index = _with_frequency(index)
        return cls(index[-1:], frequency_of(index))

    def after(self, steps):
        """The labels of the next steps.

        Raises
        ------
        ConfigError
            The labels are not evenly spaced.
        """
        last, freq = self.last, self.freq
        if freq is None:
            raise ConfigError(
                f"the index, which ends in {last[0]!r}, has no frequency that shows "
                "what comes next: set one "
                "(for example y.asfreq('D')), or give y as an array"
            )
        if isinstance(last, np.ndarray):
            return last + freq * np.arange(1, steps + 1)
        import pandas

        if isinstance(last, pandas.PeriodIndex):
            return pandas.period_range(last[0] + freq, periods=steps, freq=freq, name=last.name)
        if isinstance(last, pandas.TimedeltaIndex):
            return pandas.timedelta_range(
                last[0] + freq, periods=steps, freq=freq, name=last.name, unit=last.unit
            )
        if isinstance(last, pandas.DatetimeIndex):
            labels = pandas.date_range(
                last[0], periods=steps + 1, freq=freq, name=last.name, unit=last.unit
            )
            return labels[labels > last[0]][:steps]
        return pandas.RangeIndex(last[0] + freq, last[0] + freq * (steps + 1), freq, name=last.name)

    def until(self, steps):
        """The labels of the last steps."""
        last, freq = self.last, self.freq
        if isinstance(last, np.ndarray):
            return last - freq * np.arange(steps - 1, -1, -1)
        import pandas

        if isinstance(last, pandas.PeriodIndex):
            return pandas.period_range(end=last[0], periods=steps, freq=freq)
        if isinstance(last, pandas.TimedeltaIndex):
            return pandas.timedelta_range(end=last[0], periods=steps, freq=freq, unit=last.unit)
        if isinstance(last, pandas.DatetimeIndex):
            return pandas.date_range(end=last[0], periods=steps, freq=freq, unit=last.unit)
        return pandas.RangeIndex(last[0] - freq * (steps - 1), last[0] + freq, freq)

    def in_same_zone(self, index, name="y", fix=None):
        """The labels of a later call in the time zone of these, so that hours of the day mean the same.

        Parameters
        ----------
        index : pandas.Index or ndarray of datetime64, or None
        name, fix
            For messages, see :func:`gatewise.estimators.forecasting.frequency.check_rising`.

        Raises
        ------
        ShapeError
            One of the two has a time zone, and the other has none.
        """
        if not (_is_dates(self.last) and _is_dates(index)):
            return index
        mine, given = getattr(self.last, "tz", None), getattr(index, "tz", None)
        check_zones(
            mine, given, name, "the forecaster was fitted", fix, isinstance(index, np.ndarray)
        )
        return index if mine is None or str(mine) == str(given) else index.tz_convert(mine)

    def check_spacing(self, index, name="y", fix=None, flat=True):
        """Refuse labels that are not spaced as those of this timeline, wherever they begin.

        Labels of another kind, numbers instead of dates for example, are only refused if they are
        not evenly spaced.

        Raises
        ------
        ShapeError
        """
        first = self._as_own_kind(index[:1])
        if self.freq is not None and first is not None and len(index) > 1:
            expected = Timeline(first, self.freq).after(len(index) - 1)
            if np.array_equal(np.asarray(expected), np.asarray(index[1:])):
                return
        check_rising(index, name, fix)
        check_even(index, name, fix, flat)
        if self.freq is not None and first is not None and len(index) > 1:
            raise ShapeError(
                f"the steps of {name} are {_spoken(frequency_of(index))} apart, from "
                f"{index[0]!r} to {index[1]!r} for "
                "example; the forecaster was fitted to steps that are "
                f"{_spoken(self.freq)} apart: give such steps"
            )

    def _as_own_kind(self, labels):
        """Labels as dates, durations, periods or numbers of the kind of `last`; None if they are of another kind."""
        if isinstance(self.last, np.ndarray):
            return np.asarray(labels).astype(self.last.dtype) if _is_dates(labels) else None
        import pandas

        if isinstance(self.last, pandas.DatetimeIndex):
            return pandas.DatetimeIndex(labels) if _is_dates(labels) else None
        same = type(self.last) is type(labels) or self.last.dtype.kind == labels.dtype.kind == "i"
        return labels if same and self.last.dtype == labels.dtype else None

    def followed_by(self, index):
        """The timeline after a series that goes on with `index`.

        Raises
        ------
        ShapeError
            The index does not begin where this one ends.
        """
        if self.freq is not None:
            expected = self.after(len(index))
            if len(index) and not np.array_equal(np.asarray(expected), np.asarray(index)):
                at = int(np.argmin(np.asarray(expected) == np.asarray(index)))
                raise ShapeError(
                    f"the new steps are labelled {index[at]!r} at position {at}; the "
                    "series goes on with "
                    f"{expected[at]!r}: give every step that comes next, once and in "
                    "order"
                )
        elif len(index):
            self._check_later(index)
        if not len(index):
            return self
        last = self._as_own_kind(index[-1:])
        return Timeline(index[-1:] if last is None else last, self.freq)

    def _check_later(self, index):
        """Refuse dates and numbers that do not come after the last one; only files of older versions have no frequency."""
        check_rising(index, "the new steps")
        ordered = index.dtype.kind in "iufmM" or hasattr(index, "to_timestamp")
        if ordered and index.dtype.kind == self.last.dtype.kind and not index[0] > self.last[0]:
            raise ShapeError(
                f"the new steps begin with {index[0]!r}; the series ends with "
                f"{self.last[0]!r}: give the steps that come "
                "after it"
            )

    def advanced(self, steps):
        """The timeline so many steps later."""
        return Timeline(self.after(steps)[-1:], self.freq) if steps else self

    # ---- saving

    def get_config(self):
        """JSON values.

        Raises
        ------
        DTypeError
            They would not say all: a time zone without a name, holidays of one's own.
        """
        config = self._config()
        try:
            same = Timeline.from_config(config).freq == self.freq
        except CheckpointError:
            same = False
        if not same:
            raise DTypeError(
                "files cannot hold the index of a series, which ends in "
                f"{self.last[0]!r} and has the frequency "
                f"{self.freq!r}: give y with an index of a common frequency and time "
                "zone"
            )
        return config

    def _config(self):
        last, freq = self.last, self.freq
        if isinstance(last, np.ndarray):
            unit = np.datetime_data(last.dtype)
            count = None if freq is None else int(freq / np.timedelta64(1, unit))
            return {
                "kind": "datetime64",
                "last": int(last.astype(np.int64)[0]),
                "unit": list(unit),
                "freq": count,
            }
        import pandas

        name = last.name if last.name is None else str(last.name)
        if isinstance(last, pandas.PeriodIndex):
            return {"kind": "period", "last": str(last[0]), "freq": last.freqstr, "name": name}
        named = None if freq is None else getattr(freq, "freqstr", None)
        if isinstance(last, pandas.TimedeltaIndex):
            return {
                "kind": "timedelta",
                "last": int(last.asi8[0]),
                "unit": last.unit,
                "name": name,
                "freq": named,
            }
        if isinstance(last, pandas.DatetimeIndex):
            return {
                "kind": "datetime",
                "last": int(last.asi8[0]),
                "unit": last.unit,
                "name": name,
                "tz": None if last.tz is None else str(last.tz),
                "freq": named,
            }
        if freq is not None:
            return {"kind": "number", "last": int(last[0]), "freq": int(freq), "name": name}
        return {"kind": "label", "last": str(last[0]), "name": name}

    @classmethod
    def from_config(cls, config):
        """The timeline of :meth:`get_config`, which may come from anybody's file.

        Raises
        ------
        CheckpointError
        """
        try:
            return cls(*_READERS[config["kind"]](config))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(
                f"the index of a series is {config!r:.120}, which says nothing: {error}"
            ) from error


def check_zones(mine, given, name, owner, fix=None, times=False):
    """Refuse dates with a time zone beside dates without one.

    Parameters
    ----------
    mine, given : tzinfo or None
        The time zone that is expected, and the one found.
    name : str
        What was given.
    owner : str
        Who has the expected zone, "the forecaster was fitted" for example.
    fix : callable, optional
        See :class:`gatewise.estimators.forecasting.series.Series`.
    times : bool
        The dates are an array beside `name`.

    Raises
    ------
    ShapeError
    """
    if (mine is None) == (given is None):
        return
    fix = fix or assigned(name)
    if given is not None:
        raise ShapeError(
            f"{name} has dates with the time zone {str(given)!r}, and {owner} to "
            "dates without one: "
            f"{fix(lambda part: f'{part}.tz_localize(None)')} leaves it out "
            "(tz_convert comes before it if the dates "
            "without a zone are those of another place)"
        )
    cure = (
        f"times = pandas.DatetimeIndex(times).tz_localize({str(mine)!r})"
        if times
        else fix(lambda part: f"{part}.tz_localize({str(mine)!r})")
    )
    raise ShapeError(
        f"{name} has dates without a time zone, and {owner} to dates with the zone "
        f"{str(mine)!r}: {cure} says that "
        "they are local time"
    )


def _is_dates(labels):
    """Whether labels are moments: datetime64 in an array or a pandas index."""
    return labels is not None and labels.dtype.kind == "M"


def _spoken(freq):
    """A frequency for a message."""
    return repr(getattr(freq, "freqstr", None) or str(freq))


def _with_frequency(times):
    """An array of dates as a pandas index, if pandas knows how they go on: month ends, business days."""
    try:
        import pandas
    except ImportError:
        return times
    index = pandas.DatetimeIndex(times)
    return index if frequency_of(index) is not None else times


def moments(labels):
    """datetime64 of each label, local time.

    Raises
    ------
    ConfigError
        The labels are no dates.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "M":
        return labels
    if hasattr(labels, "to_timestamp"):
        labels = labels.to_timestamp()
    if hasattr(labels, "tz_localize"):
        return labels.tz_localize(None).to_numpy()
    raise ConfigError(
        "calendar features need dates, and the steps are labelled "
        f"{type(labels).__name__}, for example "
        f"{labels[0]!r}: give y with a DatetimeIndex, or times= (an array of "
        "datetime64)"
    )


def index_of(times, steps):
    """`times` as an index of so many steps: a pandas index, or an array of datetime64.

    Raises
    ------
    DTypeError, ShapeError
    """
    if hasattr(times, "get_loc"):  # a pandas index
        labels = times
    else:
        # a pandas Series of dates, which has a time zone
        if hasattr(times, "iloc") and getattr(times.dtype, "kind", "") == "M":
            import pandas

            times = pandas.DatetimeIndex(times)
            return index_of(times.rename(None), steps)
        labels = np.asarray(times.to_numpy() if hasattr(times, "to_numpy") else times)
        if labels.dtype.kind in "OU":
            labels = _moments_of(labels)
        if labels.dtype.kind != "M":
            raise DTypeError(
                f"times holds {labels.dtype} values; expected datetime64, dates, or a pandas index"
            )
    if labels.shape != (steps,):
        raise ShapeError(
            f"times has shape {labels.shape}; expected ({steps},), a moment for each step"
        )
    return labels


def _moments_of(values):
    """Dates and texts as datetime64."""
    if any(getattr(value, "tzinfo", None) is not None for value in values.ravel()):
        raise DTypeError(
            "times holds dates with a time zone, which arrays cannot hold; give a "
            "pandas DatetimeIndex"
        )
    try:
        return values.astype("datetime64")
    except ValueError as error:
        raise DTypeError(
            f"times holds {str(values.flat[0])!r:.80}, for example; expected datetime64, "
            "dates, or ISO 8601 text: times = pandas.to_datetime(times, format=...)"
        ) from error


def _read_datetime64(config):
    name, count = config["unit"]
    unit = np.dtype(f"datetime64[{int(count)}{name}]")
    freq = (
        None if config["freq"] is None else np.timedelta64(int(config["freq"]), (name, int(count)))
    )
    return np.array([int(config["last"])], np.int64).view(unit), freq


def _read_period(config):
    import pandas

    last = pandas.PeriodIndex([config["last"]], freq=config["freq"], name=config["name"])
    return last, last.freq


def _read_datetime(config):
    import pandas

    last = pandas.DatetimeIndex(
        [np.datetime64(int(config["last"]), config["unit"])], name=config["name"]
    )
    if config["tz"] is not None:
        last = last.tz_localize("UTC").tz_convert(config["tz"])
    return last, (
        None if config["freq"] is None else pandas.tseries.frequencies.to_offset(config["freq"])
    )


def _read_timedelta(config):
    import pandas

    last = pandas.TimedeltaIndex(
        [np.timedelta64(int(config["last"]), config["unit"])], name=config["name"]
    )
    return last, (
        None if config["freq"] is None else pandas.tseries.frequencies.to_offset(config["freq"])
    )


def _read_number(config):
    import pandas

    return pandas.Index([int(config["last"])], name=config["name"]), int(config["freq"])


def _read_label(config):
    import pandas

    return pandas.Index([config["last"]], name=config["name"]), None


_READERS = {
    "datetime64": _read_datetime64,
    "period": _read_period,
    "datetime": _read_datetime,
    "timedelta": _read_timedelta,
    "number": _read_number,
    "label": _read_label,
}
