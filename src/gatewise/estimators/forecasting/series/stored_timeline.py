"""The last label and the frequency of a series as JSON values, for files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError

if TYPE_CHECKING:
    from .advice import Labels


def config_of(last: Labels, freq: Any) -> dict[str, Any]:
    """Return JSON values of a last label and a frequency.

    Parameters
    ----------
    last : pandas.Index or ndarray of datetime64, of one label
    freq : pandas offset, numpy.timedelta64, int, or None
    """
    if isinstance(last, np.ndarray):
        unit: Any = np.datetime_data(last.dtype)
        return {
            "kind": "datetime64",
            "last": int(last.astype(np.int64)[0]),
            "unit": list(unit),
            "freq": None if freq is None else int(freq / np.timedelta64(1, unit)),
        }
    import pandas

    name = last.name if last.name is None else str(last.name)
    if isinstance(last, pandas.PeriodIndex):
        return {"kind": "period", "last": str(last[0]), "freq": last.freqstr, "name": name}
    freq_name = None if freq is None else getattr(freq, "freqstr", None)
    if isinstance(last, pandas.TimedeltaIndex):
        return {
            "kind": "timedelta",
            "last": int(last.asi8[0]),
            "unit": last.unit,
            "name": name,
            "freq": freq_name,
        }
    if isinstance(last, pandas.DatetimeIndex):
        return {
            "kind": "datetime",
            "last": int(last.asi8[0]),
            "unit": last.unit,
            "name": name,
            "tz": None if last.tz is None else str(last.tz),
            "freq": freq_name,
        }
    if freq is not None:
        return {"kind": "number", "last": int(last[0]), "freq": int(freq), "name": name}
    return {"kind": "label", "last": str(last[0]), "name": name}


def read(config: Any) -> tuple[Labels, Any]:
    """Return the last label and the frequency of :func:`config_of`.

    Raises
    ------
    CheckpointError
        The values, which come from a file of any origin, describe no label.
    """
    try:
        return _READERS[config["kind"]](config)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"the index of a series is {config!r:.120}, which cannot be read: {error}"
        ) from error


def _read_datetime64(config: dict[str, Any]) -> tuple[Labels, Any]:
    name, count = config["unit"]
    unit = np.dtype(f"datetime64[{int(count)}{name}]")
    parts: Any = (name, int(count))
    freq = None if config["freq"] is None else np.timedelta64(int(config["freq"]), parts)
    return np.array([int(config["last"])], np.int64).view(unit), freq


def _read_period(config: dict[str, Any]) -> tuple[Labels, Any]:
    import pandas

    last = pandas.PeriodIndex([config["last"]], freq=config["freq"], name=config["name"])
    return last, last.freq


def _read_datetime(config: dict[str, Any]) -> tuple[Labels, Any]:
    import pandas

    moment = np.datetime64(int(config["last"]), config["unit"])
    last = pandas.DatetimeIndex([moment], name=config["name"])
    if config["tz"] is not None:
        last = last.tz_localize("UTC").tz_convert(config["tz"])
    return last, _offset(config["freq"])


def _read_timedelta(config: dict[str, Any]) -> tuple[Labels, Any]:
    import pandas

    duration = np.timedelta64(int(config["last"]), config["unit"])
    return pandas.TimedeltaIndex([duration], name=config["name"]), _offset(config["freq"])


def _read_number(config: dict[str, Any]) -> tuple[Labels, Any]:
    import pandas

    return pandas.Index([int(config["last"])], name=config["name"]), int(config["freq"])


def _read_label(config: dict[str, Any]) -> tuple[Labels, Any]:
    import pandas

    return pandas.Index([config["last"]], name=config["name"]), None


def _offset(freq: Any) -> Any:
    """Return the pandas offset of a name; None of None."""
    import pandas

    return None if freq is None else pandas.tseries.frequencies.to_offset(freq)


_READERS = {
    "datetime64": _read_datetime64,
    "period": _read_period,
    "datetime": _read_datetime,
    "timedelta": _read_timedelta,
    "number": _read_number,
    "label": _read_label,
}
