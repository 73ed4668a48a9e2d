"""Panels that are long tables: one column names the series of each row, another holds the times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.ordering import order_of_time, plain
from gatewise.errors import ConfigError, DTypeError
from gatewise.estimators.reading.groups import advice_on_level

from . import polars_frames
from .panel import Panel
from .reading import Parts
from .table import refuse_lazy
from .taken_apart import TakenApart, rows_by_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from .advice import Fix, Labels


def read_long_table(given: Any, groups: Any, time: Any, name: str) -> TakenApart:
    """Take a long table apart; each series is sorted by time.

    Parameters
    ----------
    given : data frame of pandas or polars
    groups : label or None
        The column that names the series of each row. None: all rows are one series.
    time : label
        The column of times.
    name : str
        The argument, for messages.

    Raises
    ------
    ConfigError, DTypeError, NonFiniteError, MissingPackageError
    """
    _check_columns(given, groups, time, name)
    frame = polars_frames.to_pandas(given, name)
    times = _times(frame[time], name, time)
    keys: tuple[Any, ...]
    if groups is None:
        keys, rows = (), [np.arange(len(frame))]
    else:
        import pandas

        keys, rows = rows_by_label(pandas.Index(frame[groups]), name)
    rows = _sorted_by_time(rows, times, keys, f"the column {time!r} of {name}")
    values = frame.drop(columns=[column for column in (groups, time) if column is not None])
    parts = [values.iloc[part].set_axis(times[part]) for part in rows]
    shown = [f"{name} of the series {key!r}" for key in keys] or [name]
    is_polars = not hasattr(given, "iloc")
    panel = Panel(
        "table",
        keys,
        names=() if groups is None else (groups,),
        time=time,
        at=0 if groups is None else 1,
        columns=tuple(given.columns),
        library="polars" if is_polars else "pandas",
        days=is_polars and str(given[time].dtype) == "Date",
    )
    return TakenApart(panel, Parts(parts, shown, [_fix(name, groups, time)] * len(rows)), rows)


def _fix(name: str, groups: Any, time: Any) -> Fix:
    """Return how a user repairs the series of a long table."""

    def fix(make: Callable[[str], str]) -> str:
        if groups is None:
            return f"{name} = {make(f'{name}.set_index({time!r}).sort_index()')}"
        part = make(f"part.drop(columns={groups!r}).set_index({time!r}).sort_index()")
        return f"{name} = {{key: {part} for key, part in {name}.groupby({groups!r})}}"

    return fix


def _sorted_by_time(
    rows: list[np.ndarray], times: Labels, keys: tuple[Any, ...], what: str
) -> list[np.ndarray]:
    """Return the rows of each series in order of time.

    Raises
    ------
    ConfigError
        A series has the same time twice.
    """
    number = np.zeros(len(times), np.intp)  # of the series that each row belongs to
    for at, part in enumerate(rows):
        number[part] = at
    try:
        order = order_of_time(times, number, keys or None, what)
    except ConfigError as error:
        if keys:
            raise
        raise ConfigError(
            f"{error}; if the rows belong to several series, give groups=, the column that tells"
            " them apart"
        ) from None
    return np.split(order, np.cumsum([len(part) for part in rows])[:-1])


def _check_columns(given: Any, groups: Any, time: Any, name: str) -> None:
    """Refuse names that are no columns of the table, and a table without further columns.

    Raises
    ------
    ConfigError, DTypeError
    """
    for value, argument in ((groups, "groups"), (time, "time")):
        if not isinstance(value, str | int | tuple | None):
            raise ConfigError(
                f"{argument} is {type(value).__name__}; expected the name of a column of {name}:"
                " put it into the frame as one"
            )
    refuse_lazy(given, name)
    columns = list(getattr(given, "columns", ()))
    if not columns:
        raise ConfigError(
            f"groups is {groups!r} and time {time!r}, and {name} is a {type(given).__name__}, which"
            " has no named columns; give a frame, or for arrays times= and a list of series"
        )
    for value, argument in ((groups, "groups"), (time, "time")):
        if value is not None and value not in columns:
            raise ConfigError(
                f"{argument} is {value!r}, which is no column of {name}; there are"
                f" {', '.join(map(str, columns))}{advice_on_level(given, value, name)}"
            )
    if time is None:
        raise ConfigError(
            f"groups is {groups!r} and time is None; name the column of {name} that holds the times"
            f" of the steps, which define what comes next: {', '.join(map(str, columns))}"
        )
    if groups == time:
        raise ConfigError(f"groups and time both name the column {time!r}; expected two columns")
    if len(columns) == 1 + (groups is not None):
        raise ConfigError(
            f"{name} has no columns other than {', '.join(map(repr, columns))}; expected the values"
            " that are to be forecast"
        )


def _times(column: Any, name: str, time: Any) -> Labels:
    """Return a column of times as an index.

    Raises
    ------
    DTypeError
    """
    import pandas

    if column.dtype.kind in "iumM" or isinstance(column.dtype, pandas.PeriodDtype):
        return pandas.Index(column, name=time)
    try:
        if column.dtype.kind in "fb":
            raise TypeError
        return pandas.DatetimeIndex(pandas.to_datetime(column, format="ISO8601"), name=time)
    except (ValueError, TypeError) as error:
        cure = f"pandas.to_datetime({name}[{time!r}], format=...)"
        if column.dtype.kind == "f" and (column == column.round()).all():
            cure = f"{name}[{time!r}].astype(int)"
        raise DTypeError(
            f"the column {time!r} of {name} holds {plain(column.iloc[0])!r}, for example; expected"
            f" dates, whole numbers, or ISO 8601 text: {name}[{time!r}] = {cure}"
        ) from error
