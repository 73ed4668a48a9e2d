"""Calendar features: where a moment stands in its hour, day, week and year, as points on circles."""

import numpy as np

from gatewise.errors import ConfigError, DTypeError, NonFiniteError

HOUR, DAY, YEAR = 3600.0, 86400.0, 365.2425 * 86400.0  # seconds

__all__ = ["calendar_features", "calendar_names"]


def calendar_features(times, names):
    """Sine and cosine of the place of each moment in the cycles named.

    The ends of a cycle meet: 23:00 lies beside 00:00, and December beside January.

    Parameters
    ----------
    times : ndarray of shape (T,), datetime64
        Local time, where hours of the day are to mean anything.
    names : list of str
        "minute" (of the hour), "hour" (of the day), "weekday", "monthday", "month", "quarter",
        "yearday".

    Returns
    -------
    ndarray of shape (T, 2 * len(names)), float64
        Sine, then cosine, of one cycle after the other.

    Raises
    ------
    ConfigError
        A name is not known.
    DTypeError, NonFiniteError
        times holds something other than moments, or NaT.
    """
    times = np.asarray(times)
    if times.dtype.kind != "M":
        raise DTypeError(f"times holds {times.dtype} values; calendar features need datetime64")
    if np.isnat(times).any():
        raise NonFiniteError(
            f"times holds NaT at index {int(np.flatnonzero(np.isnat(times))[0])}; expected a moment"
            " for each step"
        )
    angles = [2 * np.pi * _CYCLES[name](times) for name in _known(names)]
    columns = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(columns, axis=-1) if columns else np.empty((len(times), 0))


def calendar_names(times, calendar):
    """The names that `calendar` asks for.

    "auto" takes the cycles, of the hour, day, week and year, that are longer than a step and that
    the series goes through at least twice: of one that was not seen to return, nothing can be
    learnt.

    Parameters
    ----------
    times : ndarray of shape (T,), datetime64
    calendar : "auto", or list of str
    """
    if not (isinstance(calendar, str) and calendar == "auto"):
        return _known(calendar)
    if len(times) < 2:
        raise ConfigError(
            f"calendar='auto' needs at least 2 steps to see how long one is, got {len(times)}; name"
            " the features"
        )
    seconds = np.asarray(times).astype("datetime64[us]").astype(np.int64) / 1e6
    step, span = float(np.median(np.diff(seconds))), seconds[-1] - seconds[0]
    of_year = "month" if step > 27 * DAY else "yearday"
    cycles = {"minute": HOUR, "hour": DAY, "weekday": 7 * DAY, of_year: YEAR}
    return [
        name for name, length in cycles.items() if step < length / 2 and span >= 2 * length - step
    ]


def _known(names):
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ConfigError(
            f"calendar is {names!r}; expected None, 'auto' or a list of {', '.join(_CYCLES)}"
        )
    names = list(names)
    for name in names:
        if not (isinstance(name, str) and name in _CYCLES):
            raise ConfigError(f"calendar names {name!r}; expected of {', '.join(_CYCLES)}")
    return names


# ---- the part of each cycle that is over, in [0, 1)


def _since(times, unit):
    """Seconds since the unit began."""
    begun = times.astype(f"datetime64[{unit}]")
    return (times.astype("datetime64[us]") - begun.astype("datetime64[us]")).astype(np.int64) / 1e6


def _months(times):
    return times.astype("datetime64[M]").astype(np.int64)


def _weekday(times):
    days = times.astype("datetime64[D]").astype(np.int64)
    return (days + 3) % 7 / 7  # 1970-01-01 was a Thursday; Monday is 0


def _monthday(times):
    month = times.astype("datetime64[M]")
    days = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    return _since(times, "M") // DAY / days


_CYCLES = {
    "minute": lambda times: _since(times, "h") / HOUR,
    "hour": lambda times: _since(times, "D") / DAY,
    "weekday": _weekday,
    "monthday": _monthday,
    "month": lambda times: _months(times) % 12 / 12,
    "quarter": lambda times: _months(times) // 3 % 4 / 4,
    "yearday": lambda times: np.minimum(_since(times, "Y") / YEAR, 1.0),
}
