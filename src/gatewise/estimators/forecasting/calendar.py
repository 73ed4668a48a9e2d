"""Calendar features: the position of a moment in its hour, day, week and year."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import ConfigError, DTypeError, NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOUR, DAY, YEAR = 3600.0, 86400.0, 365.2425 * 86400.0  # seconds

__all__ = ["calendar_features", "calendar_names"]


def calendar_features(times: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return sine and cosine of the position of each moment in the cycles named.

    The ends of a cycle meet: 23:00 is next to 00:00, and December next to January.

    Parameters
    ----------
    times : ndarray of shape (T,), datetime64
        Local time, so that hours of the day have their usual meaning.
    names : list of str
        "minute" (of the hour), "hour" (of the day), "weekday", "monthday", "month", "quarter",
        "yearday".

    Returns
    -------
    ndarray of shape (T, 2 * len(names)), float64
        Sine and cosine of the first cycle, then of the next.

    Raises
    ------
    ConfigError
        A name is not known.
    DTypeError, NonFiniteError
        `times` holds something other than moments, or NaT.
    """
    times = np.asarray(times)
    if times.dtype.kind != "M":
        raise DTypeError(f"times holds {times.dtype} values; calendar features need datetime64")
    if np.isnat(times).any():
        raise NonFiniteError(
            f"times holds NaT at index {int(np.flatnonzero(np.isnat(times))[0])}; expected a moment"
            " for each step"
        )
    angles = [2 * np.pi * _CYCLES[name](times) for name in _checked_names(names)]
    columns = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.stack(columns, axis=-1) if columns else np.empty((len(times), 0))


def calendar_names(times: np.ndarray, calendar: str | Sequence[str]) -> list[str]:
    """Return the names of the features that the parameter `calendar` chooses.

    "auto" takes the cycles, of the hour, day, week and year, that are longer than a step and that
    the series contains at least twice: nothing can be learned from a cycle that did not return.

    Parameters
    ----------
    times : ndarray of shape (T,), datetime64
    calendar : "auto", or list of str

    Raises
    ------
    ConfigError
    """
    if not (isinstance(calendar, str) and calendar == "auto"):
        return _checked_names(calendar)
    if len(times) < 2:
        raise ConfigError(
            "calendar='auto' needs at least 2 steps to see how long one is, got"
            f" {len(times)}; name the features"
        )
    seconds = np.asarray(times).astype("datetime64[us]").astype(np.int64) / 1e6
    step, span = float(np.median(np.diff(seconds))), seconds[-1] - seconds[0]
    of_year = "month" if step > 27 * DAY else "yearday"
    cycles = {"minute": HOUR, "hour": DAY, "weekday": 7 * DAY, of_year: YEAR}
    return [
        name for name, length in cycles.items() if step < length / 2 and span >= 2 * length - step
    ]


def _checked_names(names: object) -> list[str]:
    if isinstance(names, str) or not hasattr(names, "__iter__"):
        raise ConfigError(
            f"calendar is {names!r}; expected None, 'auto' or a list of {', '.join(_CYCLES)}"
        )
    names = list(names)
    for name in names:
        if not (isinstance(name, str) and name in _CYCLES):
            raise ConfigError(f"calendar names {name!r}; expected names from {', '.join(_CYCLES)}")
    return names


# ---- the part of each cycle that is over, in [0, 1)


def _since(times: np.ndarray, unit: str) -> np.ndarray:
    """Return the seconds since the beginning of the current hour, day, month or year."""
    begun = times.astype(f"datetime64[{unit}]")
    return (times.astype("datetime64[us]") - begun.astype("datetime64[us]")).astype(np.int64) / 1e6


def _months(times: np.ndarray) -> np.ndarray:
    """Return the months since January 1970."""
    return times.astype("datetime64[M]").astype(np.int64)


def _weekday(times: np.ndarray) -> np.ndarray:
    days = times.astype("datetime64[D]").astype(np.int64)
    return (days + 3) % 7 / 7  # 1970-01-01 was a Thursday; Monday is 0


def _monthday(times: np.ndarray) -> np.ndarray:
    month = times.astype("datetime64[M]")
    days = ((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(np.int64)
    return _since(times, "M") // DAY / days


_CYCLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minute": lambda times: _since(times, "h") / HOUR,
    "hour": lambda times: _since(times, "D") / DAY,
    "weekday": _weekday,
    "monthday": _monthday,
    "month": lambda times: _months(times) % 12 / 12,
    "quarter": lambda times: _months(times) // 3 % 4 / 4,
    "yearday": lambda times: np.minimum(_since(times, "Y") / YEAR, 1.0),
}
