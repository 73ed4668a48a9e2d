"""Names of columns and labels of rows, compared with those that are expected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .labels import check_zones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .advice import Labels


def column_names(x: Any) -> list[Any] | None:
    """Return the names of the columns of a frame; None for an array."""
    return list(x.columns) if hasattr(x, "columns") else None


def check_names(given: Any, names: Sequence[Any] | None, what: str) -> None:
    """Refuse a frame whose columns are not those named, in this order; arrays have no names.

    Raises
    ------
    ShapeError
    """
    if names is not None and hasattr(given, "columns") and list(given.columns) != list(names):
        raise ShapeError(
            f"{what} has the columns {list(given.columns)}; expected {list(names)}, in this order"
        )


def check_labels(given: Any, labels: Labels | None, what: str) -> None:
    """Refuse a pandas object whose index labels other steps than expected.

    Nothing is compared if the lengths differ, which other checks refuse, if pandas made the index
    itself (0, 1, 2, ...), or if one has numbers and the other dates.

    Parameters
    ----------
    given : array_like, Series or frame
    labels : pandas.Index, ndarray of datetime64, or None
        The labels of the steps that the rows belong to.
    what : str
        The argument, for messages.

    Raises
    ------
    ShapeError
    """
    if labels is None or not hasattr(given, "iloc") or len(given) != len(labels):
        return
    import pandas

    index = given.index
    counted = isinstance(index, pandas.RangeIndex) and index.start == 0 and index.step == 1
    if counted or (index.dtype.kind in "iu") != (labels.dtype.kind in "iu"):
        return
    labels = pandas.Index(labels)
    if index.dtype.kind == labels.dtype.kind == "M":
        zone = getattr(labels, "tz", None)
        check_zones(zone, getattr(index, "tz", None), what, "the steps of its rows belong")
        index = index if zone is None else index.tz_convert(zone)
    if not index.equals(labels):
        other = int(np.argmin([one == two for one, two in zip(index, labels)]))
        raise ShapeError(
            f"row {other} of {what} is labelled {index[other]!r}; the step that it belongs to is"
            f" labelled {labels[other]!r}: give both the same index, or {what} as an array"
        )


def column_numbers(chosen: Any, names: Sequence[Any] | None, count: int, what: str) -> list[int]:
    """Return the numbers of the columns that a user chose.

    Parameters
    ----------
    chosen : None, "all", or list of names or numbers
        None: no column.
    names : list, or None
        The names of all columns, if they have names.
    count : int
        The number of all columns.
    what : str
        The parameter, for messages.

    Raises
    ------
    ConfigError
    """
    if chosen is None:
        return []
    if isinstance(chosen, str) and chosen == "all":
        return list(range(count))
    if isinstance(chosen, str) or not hasattr(chosen, "__iter__"):
        raise ConfigError(
            f"{what} is {chosen!r}; expected None, 'all', or a list of column names or numbers"
        )
    numbers = [_column_number(column, names, count, what) for column in chosen]
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{what} is {list(chosen)!r}; it names a column twice")
    return numbers


def _column_number(column: Any, names: Sequence[Any] | None, count: int, what: str) -> int:
    """Return the number of one column, given by name or number."""
    if names is not None and column in names:
        return list(names).index(column)
    is_number = not isinstance(column, str | bool) and hasattr(column, "__index__")
    if is_number and 0 <= column < count:
        return int(column)
    known = list(names) if names else f"columns 0 to {count - 1}"
    raise ConfigError(f"{what} names column {column!r}; X has {known}")
