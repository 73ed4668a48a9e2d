"""Panels: several series in one object, taken apart.

==========================================  =====================================================
y                                           a series is
==========================================  =====================================================
pandas object whose index has levels        the rows of one label; one level is time: the level
                                            of dates, one with such a name, or the last
dict                                        a value, under its key
frame with ``groups=`` and ``time=``        the rows with one label in the column of groups
frame with ``time=`` alone                  the frame; a column holds the dates
==========================================  =====================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.data.ordering import plain
from gatewise.errors import ConfigError, ShapeError

from .advice import assigned
from .levels import read_levels
from .long_table import read_long_table
from .panel import Panel
from .reading import Parts, is_several
from .taken_apart import TakenApart

if TYPE_CHECKING:
    from collections.abc import Sequence


class Unfolded(NamedTuple):
    """Series one by one.

    Attributes
    ----------
    y, X : object
        Lists of series if y is a panel, else as they were given.
    panel : Panel or None
        The form of y, if it is a panel.
    """

    y: Any
    X: Any
    panel: Panel | None


def unfold(
    y: Any,
    X: Any,
    fitted: Panel | None = None,
    groups: Any = None,
    time: Any = None,
    names: tuple[str, str] = ("y", "X"),
) -> Unfolded:
    """Take y and X apart if y is a panel.

    Parameters
    ----------
    y, X : object
        As users give them.
    fitted : Panel, optional
        The panel that the forecaster was fitted to: its series and its columns are expected.
    groups, time : label, optional
        Columns of a long table.
    names : pair of str, default ("y", "X")
        The arguments, for messages.

    Returns
    -------
    Unfolded

    Raises
    ------
    ConfigError, ShapeError, DTypeError
    """
    if fitted is not None and fitted.kind == "table":
        given = [one for one in (groups, time) if one is not None]
        if given and given != [*fitted.names, fitted.time]:
            raise ConfigError(
                f"groups is {groups!r} and time {time!r}; the forecaster was fitted with"
                f" {[*fitted.names, fitted.time]}: leave both out"
            )
        groups, time = fitted.names[0] if fitted.names else None, fitted.time
    read = _take_apart(y, groups, time, names[0], fitted)
    if read is None:
        if fitted is not None:
            raise ShapeError(
                f"{names[0]} is {type(y).__name__}, which is no panel; the forecaster was fitted to"
                f" the series {', '.join(map(repr, fitted.keys[:5]))}: give {names[0]} in the form"
                " of the y that it was fitted to"
            )
        return Unfolded(y, X, None)
    if fitted is not None:
        read = _in_order_of(fitted, read, names[0])
    return Unfolded(read.parts, _unfold_features(X, read, len(y), names[1]), read.panel)


def unfold_future(X_future: Any, fitted: Panel | None) -> Any:
    """Return X_future as a list with the part of each series, if `fitted` is a panel.

    Raises
    ------
    ConfigError, ShapeError, DTypeError
    """
    if fitted is None or X_future is None:
        return X_future
    if isinstance(X_future, list | tuple) and fitted.keys:
        return X_future
    read = _take_apart(X_future, *_columns_of(X_future, fitted), "X_future", fitted)
    if not fitted.keys:
        return [X_future] if read is None else list(read.parts)
    if read is None:
        raise ShapeError(
            "X_future is no panel; the forecaster was fitted to one: give a row for each step of"
            " each series in the form of y, or a list or dict with an array for each series"
        )
    return list(fitted.ordered(read.panel.keys, read.parts, "X_future"))


def part_of(given: Any, fitted: Panel | None, number: int, name: str) -> Any:
    """Return the part of one series of what may be a panel, or be that part itself.

    Parameters
    ----------
    given : object
    fitted : Panel or None
        The panel that the forecaster was fitted to.
    number : int
        The series.
    name : str
        The argument, for messages.

    Raises
    ------
    ConfigError, ShapeError, DTypeError
    """
    if fitted is None:
        return given
    groups, time = _columns_of(given, fitted)
    if fitted.kind == "table" and time is None:
        return given  # one series, in order of time
    read = _take_apart(given, groups, time, name, fitted)
    if read is None:
        return given
    if not fitted.keys:
        return read.parts[0]
    keys = read.panel.keys
    if fitted.keys[number] not in keys:
        raise ShapeError(f"{name} lacks the series {fitted.keys[number]!r}")
    return read.parts[keys.index(fitted.keys[number])]


def _columns_of(given: Any, panel: Panel) -> tuple[Any, Any]:
    """Return the columns of groups and time of a long table, if `given` has them too."""
    groups, time = panel.names[0] if panel.names else None, panel.time
    columns = list(getattr(given, "columns", ()))
    has_them = time in columns and (groups is None or groups in columns)
    return (groups, time) if panel.kind == "table" and has_them else (None, None)


def _in_order_of(fitted: Panel, read: TakenApart, name: str) -> TakenApart:
    """Return what was read in the order of the series of the fitted panel."""
    if not fitted.keys:
        return read._replace(panel=fitted)
    keys = list(read.panel.keys)
    parts = fitted.ordered(keys, read.parts, name)
    rows = None if read.rows is None else [read.rows[keys.index(key)] for key in fitted.keys]
    return TakenApart(fitted, parts, rows)


def _unfold_features(X: Any, y: TakenApart, count: int, name: str) -> Sequence[Any] | None:
    """Return the part of each series of X, which is a panel too or has the `count` rows of y."""
    if X is None:
        return None
    if isinstance(X, list | tuple) and (y.rows is None or is_several(X)):
        return X
    panel = y.panel
    read = _take_apart(X, *_columns_of(X, panel), name, panel)
    if read is not None:
        if not panel.keys:
            return list(read.parts)
        return list(panel.ordered(read.panel.keys, read.parts, name))
    if y.rows is None or len(X) != count:
        raise ShapeError(
            f"{name} is no panel of the series of y, and has {len(X)} rows; expected the form of y,"
            f" or a row for each row of y ({count})"
        )
    return [X.iloc[part] if hasattr(X, "iloc") else np.asarray(X)[part] for part in y.rows]


def _take_apart(
    given: Any, groups: Any, time: Any, name: str, panel: Panel | None = None
) -> TakenApart | None:
    """Take a panel apart; None if `given` is no panel.

    `panel` is the one that the forecaster was fitted to, or the form of y if `given` is X.
    """
    if groups is not None or time is not None:
        return read_long_table(given, groups, time, name)
    if isinstance(given, dict) and not hasattr(given, "tocsr"):  # a sparse array of keys is a dict
        return _read_dict(given, name)
    if getattr(getattr(given, "index", None), "nlevels", 1) > 1:
        return read_levels(given, name, panel)
    return None


def _read_dict(given: dict[Any, Any], name: str) -> TakenApart:
    """Take a dict of series apart."""
    if not given:
        raise ShapeError(f"{name} is an empty dict; expected at least one series")
    keys = tuple(map(plain, given))
    parts = [part if hasattr(part, "shape") else np.asarray(part) for part in given.values()]
    names = [f"{name}[{key!r}]" for key in keys]
    for part, one in zip(parts, names):
        if not part.shape:
            raise ShapeError(f"{one} is {part!r:.80}; expected an array of steps")
    return TakenApart(
        Panel("dict", keys), Parts(parts, names, [assigned(one) for one in names]), None
    )
