"""Labels of steps: read from what users give, and their time zones compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, ShapeError

from .advice import Fix, Labels, assigned


def is_dates(labels: Labels | None) -> bool:
    """Return whether labels are dates: datetime64 in an array or in a pandas index."""
    return labels is not None and labels.dtype.kind == "M"


def index_of(times: Any, steps: int) -> Labels:
    """Read `times` as an index.

    Parameters
    ----------
    times : array_like of shape (T,)
        datetime64, dates, ISO 8601 text, or a pandas index of any kind.
    steps : int
        The number of labels that is expected.

    Returns
    -------
    pandas.Index, or ndarray of datetime64, of shape (steps,)

    Raises
    ------
    DTypeError, ShapeError
    """
    if hasattr(times, "get_loc"):  # a pandas index
        labels = times
    else:
        # a pandas Series of dates, which may have a time zone
        if hasattr(times, "iloc") and getattr(times.dtype, "kind", "") == "M":
            import pandas

            return index_of(pandas.DatetimeIndex(times).rename(None), steps)
        labels = np.asarray(times.to_numpy() if hasattr(times, "to_numpy") else times)
        if labels.dtype.kind in "OU":
            labels = _dates_of_objects(labels)
        if labels.dtype.kind != "M":
            raise DTypeError(
                f"times holds {labels.dtype} values; expected datetime64, dates, or a pandas index"
            )
    if labels.shape != (steps,):
        raise ShapeError(
            f"times has shape {labels.shape}; expected ({steps},), a moment for each step"
        )
    return labels


def _dates_of_objects(values: np.ndarray) -> np.ndarray:
    """Convert date objects and ISO 8601 text to datetime64."""
    if any(getattr(value, "tzinfo", None) is not None for value in values.ravel()):
        raise DTypeError(
            "times holds dates with a time zone, which arrays cannot hold; give a pandas"
            " DatetimeIndex"
        )
    try:
        return values.astype("datetime64")
    except ValueError as error:
        raise DTypeError(
            f"times holds {str(values.flat[0])!r:.80}, for example; expected datetime64, dates, or"
            " ISO 8601 text: times = pandas.to_datetime(times, format=...)"
        ) from error


def moments(labels: Labels) -> np.ndarray:
    """Convert labels to datetime64, in local time.

    Raises
    ------
    ConfigError
        The labels are not dates.
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "M":
        return labels
    if hasattr(labels, "to_timestamp"):
        labels = labels.to_timestamp()
    if hasattr(labels, "tz_localize"):
        return labels.tz_localize(None).to_numpy()
    raise ConfigError(
        f"calendar features need dates, and the steps are labelled {type(labels).__name__}, for"
        f" example {labels[0]!r}: give y with a DatetimeIndex, or times= (an array of datetime64)"
    )


def check_zones(
    expected: Any, found: Any, name: str, owner: str, fix: Fix | None = None, times: bool = False
) -> None:
    """Refuse dates with a time zone if dates without one are expected, and the reverse.

    Parameters
    ----------
    expected, found : tzinfo or None
        Time zones.
    name : str
        The series or table that has the dates, for the message.
    owner : str
        Who has the expected zone, with a verb: "the forecaster was fitted", for example.
    fix : callable, optional
        See :data:`~gatewise.estimators.forecasting.series.advice.Fix`. None: assign to `name`.
    times : bool, default False
        Whether the dates were given as the argument `times` rather than as the index of `name`.

    Raises
    ------
    ShapeError
    """
    if (expected is None) == (found is None):
        return
    fix = fix or assigned(name)
    if found is not None:
        raise ShapeError(
            f"{name} has dates with the time zone {str(found)!r}, and {owner} to dates without"
            f" one: {fix(lambda part: f'{part}.tz_localize(None)')} leaves it out (tz_convert comes"
            " before it if the dates without a zone are those of another place)"
        )
    cure = (
        f"times = pandas.DatetimeIndex(times).tz_localize({str(expected)!r})"
        if times
        else fix(lambda part: f"{part}.tz_localize({str(expected)!r})")
    )
    raise ShapeError(
        f"{name} has dates without a time zone, and {owner} to dates with the zone"
        f" {str(expected)!r}: {cure} declares that they are local time"
    )
