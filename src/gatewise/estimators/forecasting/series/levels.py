"""Panels that are pandas objects whose index has levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise.errors import ShapeError

from .panel import Panel
from .reading import Parts
from .taken_apart import TakenApart, rows_by_label

if TYPE_CHECKING:
    from collections.abc import Callable

# Names that levels of time have, and names of levels that are parts of a date.
TIME_NAMES = {"date", "dates", "datetime", "ds", "period", "step", "t", "time", "timestamp"}
DATE_PARTS = {"year", "quarter", "month", "week", "day", "hour", "minute", "second"}


def read_levels(given: Any, name: str, panel: Panel | None) -> TakenApart:
    """Take a pandas object apart by the levels of its index that are not time.

    Parameters
    ----------
    given : pandas Series or DataFrame
    name : str
        The argument, for messages.
    panel : Panel or None
        A panel whose level of time is expected at the same position.

    Raises
    ------
    ShapeError, ConfigError
    """
    index = given.index
    at = time_level(index, name, panel)
    others = [level for level in range(index.nlevels) if level != at]
    keys, rows = rows_by_label(index.droplevel(at), name)
    names = tuple(index.names[level] for level in others)
    parts = [given.iloc[part].droplevel(others) for part in rows]
    by: list[Any] = list(names) if all(one is not None for one in names) else others
    code = repr(by[0] if len(by) == 1 else by)

    def fix(make: Callable[[str], str]) -> str:
        dropped = make(f"part.droplevel({code})")
        return f"{name} = {{key: {dropped} for key, part in {name}.groupby(level={code})}}"

    shown = [f"the series {key!r} of {name}" for key in keys]
    return TakenApart(
        Panel("index", keys, names, index.names[at], at),
        Parts(parts, shown, [fix] * len(keys)),
        rows,
    )


def time_level(index: Any, name: str, panel: Panel | None) -> int:
    """Return the number of the level that is time.

    It is the only level of dates; else the level at the position of time in `panel`; else a level
    with one of the names `TIME_NAMES`, the last if it has one; else the last level.

    Raises
    ------
    ShapeError
        Several levels together are one date, the year and the month for example.
    """
    import pandas

    dated = [
        level
        for level, values in enumerate(index.levels)
        if values.dtype.kind in "mM" or isinstance(values, pandas.PeriodIndex)
    ]
    if len(dated) == 1:
        return dated[0]
    if panel is not None and panel.kind == "index" and len(panel.names) == index.nlevels - 1:
        return panel.at
    words = [word.lower() if isinstance(word, str) else None for word in index.names]
    last = index.nlevels - 1
    if dated or (words[last] in TIME_NAMES and words.count(words[last]) == 1):
        return last
    named = [level for level, word in enumerate(words) if word in TIME_NAMES]
    date_parts = [level for level, word in enumerate(words) if word in DATE_PARTS]
    if len(date_parts) > 1 or _look_like_date_parts(index):
        _refuse_date_parts(index, name, date_parts or list(range(index.nlevels)))
    return (named or date_parts or [last])[0]


def _refuse_date_parts(index: Any, name: str, levels: list[int]) -> NoReturn:
    """Refuse levels that are parts of one date."""
    shown = [level if index.names[level] is None else index.names[level] for level in levels]
    raise ShapeError(
        f"the levels {', '.join(map(repr, shown))} of the index of {name} seem to be parts of one"
        " date, and would make a series of each year; expected one level of dates: group by a"
        f" period, for example {name}.groupby(dates.to_period('M')); if the last level does count"
        " the steps of each series, name it 'step'"
    )


def _look_like_date_parts(index: Any) -> bool:
    """Return whether levels without distinct names hold years followed by months, weeks or days."""
    if len(set(index.names)) == index.nlevels or not all(
        values.dtype.kind in "iu" and len(values) for values in index.levels
    ):
        return False
    spans = [(int(values.min()), int(values.max())) for values in index.levels]
    years = [1800 <= low and high <= 2200 for low, high in spans]
    parts = [low >= 0 and (high <= 12 or high in (23, 31, 52, 53, 365, 366)) for low, high in spans]
    return any(years) and not years[-1] and bool(np.logical_or(years, parts).all())
