"""The order in time of the rows of a long table."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray

__all__ = ["is_missing", "order_of_time", "plain"]


def order_of_time(
    times: Any, number: Array, labels: Sequence[Any] | Array | None = None, name: str = "time"
) -> IntArray:
    """Return the rows of each group in order of time.

    Parameters
    ----------
    times : array_like of shape (rows,)
        The time of each row: numbers, dates with or without a time zone, periods, or ISO 8601 text.
    number : ndarray of shape (rows,), int
        The number of the group of each row, from 0.
    labels : sequence, optional
        The label of each group, for messages. ``None``: there is one group, and no message names
        it.
    name : str, default "time"
        The name of `times`, for messages.

    Returns
    -------
    ndarray of shape (rows,), int
        The rows of group 0 in order of time, then those of group 1, and so on.

    Raises
    ------
    ShapeError
        There is not one time for each row.
    DTypeError
        The times are of different kinds, or of a kind without an order.
    NonFiniteError
        A time is missing or infinite.
    ConfigError
        A group has the same time twice.

    Examples
    --------
    >>> import numpy as np
    >>> order_of_time([3, 1, 2, 1], np.array([0, 1, 0, 0]))
    array([3, 2, 0, 1])
    """
    keys = _keys(times, name)
    if keys.shape != (len(number),):
        raise ShapeError(
            f"{name} has shape {keys.shape}; expected ({len(number)},), one time for each row"
        )
    order = np.lexsort((keys, number))  # stable
    again = (np.diff(keys[order]) == 0) & (np.diff(number[order]) == 0)
    if again.any():
        first, second = sorted(int(row) for row in order[int(again.argmax()) :][:2])
        label = None if labels is None else labels[number[first]]
        group = "" if labels is None else f" of group {plain(label)!r}"
        raise ConfigError(
            f"{name} is {_at(times, first)!s} in row {first} and again in row {second}{group};"
            f" expected each time once{'' if labels is None else ' in a group'}: leave out one of"
            " the rows, or give their mean instead of both"
        )
    return order


def is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN, NaT or pandas.NA."""
    same = label == label
    return label is None or not isinstance(same, bool | np.bool_) or not same


def plain(label: Any) -> Any:
    """Return a label as a Python value, without NumPy's types."""
    if isinstance(label, tuple):
        return tuple(map(plain, label))
    return label.item() if isinstance(label, np.generic) else label


def _keys(times: Any, name: str) -> Array:
    """Numbers that are in the same order as the times: ndarray of int64 or float64."""
    if hasattr(times, "iloc") or hasattr(times, "get_loc"):
        import pandas

        index = pandas.Index(times)
        _all_present(index.isna(), times, name)
        if hasattr(index, "asi8"):
            return index.asi8
        values = index.to_numpy()
    else:
        values = np.asarray(times)
    if values.dtype.kind in "OUT":
        _all_present([is_missing(value) for value in values.ravel().tolist()], values, name)
        values = _keys_of_objects(values, name)
    if values.dtype.kind in "mM":
        _all_present(np.isnat(values), values, name)
        return values.astype(np.int64)
    if values.dtype.kind not in "uif":
        raise DTypeError(f"{name} holds {values.dtype} values; expected dates or numbers")
    _all_present(~np.isfinite(values), values, name)
    return values


def _keys_of_objects(values: Array, name: str) -> Array:
    if all(isinstance(value, str) for value in values.ravel().tolist()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # NumPy warns of time zones
                return values.astype("datetime64")
        except (ValueError, Warning) as error:
            if (moments := _moments_in_zones(values)) is not None:
                return moments
            raise DTypeError(
                f"{name} holds text that is not an ISO 8601 date, or has a time zone in "
                f"some rows only ({str(values.ravel()[0])!r:.60} for example); convert "
                "it: pandas.to_datetime(...)"
            ) from error
    try:
        return np.unique(values, return_inverse=True)[1].reshape(values.shape)
    except TypeError as error:
        raise DTypeError(
            f"{name} holds values that cannot be put in order ({error}); expected dates or numbers"
            " of one kind"
        ) from error


def _moments_in_zones(texts: Array) -> Array | None:
    """datetime64 in UTC of ISO 8601 texts with time zones, which NumPy does not read.

    None: a text is not a date, or has no time zone.
    """
    try:
        moments = [
            datetime.fromisoformat(text.replace("Z", "+00:00")) for text in texts.ravel().tolist()
        ]
    except ValueError:
        return None
    if any(moment.tzinfo is None for moment in moments):
        return None
    plain = [moment.astimezone(UTC).replace(tzinfo=None) for moment in moments]
    return np.array(plain, "datetime64[us]").reshape(texts.shape)


def _all_present(missing: Any, times: Any, name: str) -> None:
    missing = np.asarray(missing)
    if missing.any():
        row = int(missing.argmax())
        raise NonFiniteError(
            f"{name} is {_at(times, row)!s} in row {row}; expected a time for each row: leave out"
            " the rows without one"
        )


def _at(times: Any, row: int) -> Any:
    return times.iloc[row] if hasattr(times, "iloc") else times[row]
