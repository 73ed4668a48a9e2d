"""The labels of a series' steps, and how they go on: a pandas index, or an array of datetime64."""

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError


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
    def of(cls, index):
        """The timeline of a whole index.

        Parameters
        ----------
        index : pandas.Index, or ndarray of datetime64, of shape (T,)

        Raises
        ------
        ShapeError
            Dates or numbers do not rise.
        """
        _check_rising(index)
        return cls(index[-1:], _freq_of(index))

    def after(self, steps):
        """The labels of the next steps.

        Raises
        ------
        ConfigError
            The labels are not evenly spaced.
        """
        last, freq = self.last, self.freq
        if freq is None:
            raise ConfigError(f"the index, which ends in {last[0]!r}, has no frequency that shows what comes next: set one "
                              f"(for example y.asfreq('D')), or give y as an array")
        if isinstance(last, np.ndarray):
            return last + freq * np.arange(1, steps + 1)
        import pandas

        if isinstance(last, pandas.PeriodIndex):
            return pandas.period_range(last[0] + freq, periods=steps, freq=freq, name=last.name)
        if isinstance(last, pandas.TimedeltaIndex):
            return pandas.timedelta_range(last[0] + freq, periods=steps, freq=freq, name=last.name, unit=last.unit)
        if isinstance(last, pandas.DatetimeIndex):
            labels = pandas.date_range(last[0], periods=steps + 1, freq=freq, name=last.name, unit=last.unit)
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
                raise ShapeError(f"the new steps are labelled {index[at]!r} at position {at}; the series goes on with "
                                 f"{expected[at]!r}: give every step that comes next, once and in order")
        elif len(index):
            _check_rising(index)
        return Timeline(index[-1:] if len(index) else self.last, self.freq)

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
            raise DTypeError(f"files cannot hold the index of a series, which ends in {self.last[0]!r} and has the frequency "
                             f"{self.freq!r}: give y with an index of a common frequency and time zone")
        return config

    def _config(self):
        last, freq = self.last, self.freq
        if isinstance(last, np.ndarray):
            unit = np.datetime_data(last.dtype)
            count = None if freq is None else int(freq / np.timedelta64(1, unit))
            return {"kind": "datetime64", "last": int(last.astype(np.int64)[0]), "unit": list(unit), "freq": count}
        import pandas

        name = last.name if last.name is None else str(last.name)
        if isinstance(last, pandas.PeriodIndex):
            return {"kind": "period", "last": str(last[0]), "freq": last.freqstr, "name": name}
        named = None if freq is None else getattr(freq, "freqstr", None)
        if isinstance(last, pandas.TimedeltaIndex):
            return {"kind": "timedelta", "last": int(last.asi8[0]), "unit": last.unit, "name": name, "freq": named}
        if isinstance(last, pandas.DatetimeIndex):
            return {"kind": "datetime", "last": int(last.asi8[0]), "unit": last.unit, "name": name,
                    "tz": None if last.tz is None else str(last.tz), "freq": named}
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
            raise CheckpointError(f"the index of a series is {config!r:.120}, which says nothing: {error}") from error


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
    raise ConfigError(f"calendar features need dates, and the steps are labelled {type(labels).__name__}, for example "
                      f"{labels[0]!r}: give y with a DatetimeIndex, or times= (an array of datetime64)")


def index_of(times, steps):
    """`times` as an index of so many steps: a pandas index, or an array of datetime64.

    Raises
    ------
    DTypeError, ShapeError
    """
    if hasattr(times, "get_loc"):  # a pandas index
        labels = times
    else:
        labels = np.asarray(times.to_numpy() if hasattr(times, "iloc") else times)  # a Series of dates
        if labels.dtype.kind in "OU":
            labels = _moments_of(labels)
        if labels.dtype.kind != "M":
            raise DTypeError(f"times holds {labels.dtype} values; expected datetime64, dates, or a pandas index")
    if labels.shape != (steps,):
        raise ShapeError(f"times has shape {labels.shape}; expected ({steps},), a moment for each step")
    return labels


def _moments_of(values):
    """Dates and texts as datetime64."""
    if any(getattr(value, "tzinfo", None) is not None for value in values.ravel()):
        raise DTypeError("times holds dates with a time zone, which arrays cannot hold; give a pandas DatetimeIndex")
    try:
        return values.astype("datetime64")
    except ValueError as error:
        raise DTypeError(f"times holds {values.flat[0]!r:.80}, for example; expected datetime64, dates, or ISO 8601 "
                         f"text") from error


def _check_rising(index):
    """Refuse dates and numbers that stand in another order than time."""
    if index.dtype.kind not in "iufmM" and not hasattr(index, "to_timestamp"):  # names have no order
        return
    rising = np.asarray(index[1:] > index[:-1])
    if not rising.all():
        at = int(np.argmin(rising))
        raise ShapeError(f"the index of y does not rise: {index[at + 1]!r} comes after {index[at]!r}; expected steps in the order "
                         f"of time, each once (y.sort_index() puts them in order)")


def _freq_of(index):
    if isinstance(index, np.ndarray):
        return _even_distance(index)
    import pandas

    if isinstance(index, pandas.PeriodIndex):
        ordinals = index.asi8
        return index.freq if (np.diff(ordinals) == index.freq.n).all() else None
    if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex):
        return index.freq if index.freq is not None or len(index) < 3 else type(index)(index, freq="infer").freq
    if index.dtype.kind in "ui":
        distance = _even_distance(index.to_numpy().astype(np.int64))
        return None if distance is None else int(distance)
    return None


def _even_distance(values):
    """The distance between neighbours where it is always the same and not 0, else None."""
    distances = np.diff(values)
    even = len(distances) and (distances == distances[0]).all() and distances[0] != distances[0] * 0
    return distances[0] if even else None


def _read_datetime64(config):
    name, count = config["unit"]
    unit = np.dtype(f"datetime64[{int(count)}{name}]")
    freq = None if config["freq"] is None else np.timedelta64(int(config["freq"]), (name, int(count)))
    return np.array([int(config["last"])], np.int64).view(unit), freq


def _read_period(config):
    import pandas

    last = pandas.PeriodIndex([config["last"]], freq=config["freq"], name=config["name"])
    return last, last.freq


def _read_datetime(config):
    import pandas

    last = pandas.DatetimeIndex([np.datetime64(int(config["last"]), config["unit"])], name=config["name"])
    if config["tz"] is not None:
        last = last.tz_localize("UTC").tz_convert(config["tz"])
    return last, None if config["freq"] is None else pandas.tseries.frequencies.to_offset(config["freq"])


def _read_timedelta(config):
    import pandas

    last = pandas.TimedeltaIndex([np.timedelta64(int(config["last"]), config["unit"])], name=config["name"])
    return last, None if config["freq"] is None else pandas.tseries.frequencies.to_offset(config["freq"])


def _read_number(config):
    import pandas

    return pandas.Index([int(config["last"])], name=config["name"]), int(config["freq"])


def _read_label(config):
    import pandas

    return pandas.Index([config["last"]], name=config["name"]), None


_READERS = {"datetime64": _read_datetime64, "period": _read_period, "datetime": _read_datetime, "timedelta": _read_timedelta,
            "number": _read_number,
            "label": _read_label}
