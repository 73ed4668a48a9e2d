"""Panels: several series in one object, and forecasts of them in the same form.

==========================================  =====================================================
y                                           a series is
==========================================  =====================================================
pandas object whose index has levels        the rows of one label; one level is time: that of
                                            dates, one with such a name, or the last
dict                                        a value, under its key
frame with ``groups=`` and ``time=``        the rows with one label in the column of groups
frame with ``time=`` alone                  the frame; a column holds the dates
==========================================  =====================================================
"""

from dataclasses import dataclass

import numpy as np

from gatewise import checks
from gatewise.data.ordering import order_of_time, plain
from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    MissingPackageError,
    ShapeError,
)
from gatewise.estimators.reading.inputs import of_index

from .frequency import assigned
from .series import collected, is_several

KINDS = ("index", "dict", "table")
# Names of levels that are time, and of levels of which several together are one time.
TIMES = {"date", "dates", "datetime", "ds", "period", "step", "t", "time", "timestamp"}
UNITS = {"year", "quarter", "month", "week", "day", "hour", "minute", "second"}


class Parts(list):
    """The series of a panel.

    Attributes
    ----------
    names : list of str
        What messages call each of them.
    fixes : list of callable
        See :class:`gatewise.estimators.forecasting.series.Series`.
    """

    def __init__(self, parts, names, fixes):
        super().__init__(parts)
        self.names, self.fixes = names, fixes


@dataclass(frozen=True)
class Panel:
    """The form of a panel, without its numbers.

    Attributes
    ----------
    kind : {"index", "dict", "table"}
    keys : tuple
        A label for each series, a tuple of them if several levels tell series apart. Empty for a
        table of one series.
    names : tuple
        Of the levels of the keys: of an index, or the column of groups.
    time : label or None
        Name of the level or column of time.
    at : int
        Place of time among the levels.
    columns : tuple or None
        Of a table, all of them.
    library : {"pandas", "polars"}
    days : bool
        The times of a polars table are dates without hours.
    """

    kind: str
    keys: tuple
    names: tuple = ()
    time: object = None
    at: int = 0
    columns: tuple | None = None
    library: str = "pandas"
    days: bool = False

    def written(self, forecasts):
        """Forecasts, a list with one for each series, in the form of the panel."""
        if self.kind == "dict":
            return dict(zip(self.keys, forecasts))
        import pandas

        if not self.keys:
            joined = forecasts[0].rename_axis(self.time)
        else:
            joined = pandas.concat(forecasts, keys=list(self.keys), names=[*self.names, self.time])
            if self.at < len(self.names):  # time comes before the labels: rows are in its order
                order = list(range(len(self.names)))
                order.insert(self.at, len(self.names))
                joined = joined.reorder_levels(order)
                joined = joined.sort_index(level=self.at, sort_remaining=False, kind="stable")
        if self.kind == "index":
            return joined
        table = joined.reset_index()
        table = table[[column for column in self.columns if column in table.columns]]
        return (
            table
            if self.library == "pandas"
            else _as_polars(table, self.time if self.days else None)
        )

    def ordered(self, keys, parts, name):
        """The parts of another panel in the order of this one.

        Raises
        ------
        ShapeError
            It has other series.
        """
        at = {key: number for number, key in enumerate(keys)}
        missing, strange = set(self.keys) - set(at), set(at) - set(self.keys)
        if missing or strange:
            found = [
                *(f"lacks {key!r}" for key in list(missing)[:3]),
                *(f"has {key!r}" for key in list(strange)[:3]),
            ]
            raise ShapeError(
                f"{name} {', '.join(found)}; the forecaster was fitted to the {len(self.keys)}"
                " series"
                f" {', '.join(map(repr, self.keys[:5]))}{', ...' if len(self.keys) > 5 else ''}:"
                " give all of these, and no others"
            )
        chosen = [at[key] for key in self.keys]
        return Parts(
            [parts[one] for one in chosen],
            [parts.names[one] for one in chosen],
            [parts.fixes[one] for one in chosen],
        )

    # ---- files

    def get_config(self):
        """JSON values and tuples.

        Raises
        ------
        DTypeError
            A label is neither text nor a number.
        """
        for key in (*self.keys, *self.names, *(self.columns or ()), self.time):
            for label in key if isinstance(key, tuple) else (key,):
                if label is not None and not isinstance(label, str | int | float):
                    raise DTypeError(
                        f"files cannot hold the label {label!r} of a series; make "
                        "text of it before fit"
                    )
        return {
            "kind": self.kind,
            "keys": list(self.keys),
            "names": list(self.names),
            "time": self.time,
            "at": self.at,
            "columns": None if self.columns is None else list(self.columns),
            "library": self.library,
            "days": self.days,
        }

    @classmethod
    def from_config(cls, config, series):
        """The panel of :meth:`get_config`, which may come from anybody's file, with so many series.

        Raises
        ------
        CheckpointError
        """
        if not isinstance(config, dict) or set(config) != set(cls.__dataclass_fields__):
            raise CheckpointError(
                f"the panel is {config!r:.80}; expected {sorted(cls.__dataclass_fields__)}"
            )
        keys, names = (
            tuple(checks.listed(config[part], part, "labels")) for part in ("keys", "names")
        )
        columns = (
            None
            if config["columns"] is None
            else tuple(checks.listed(config["columns"], "columns", "names"))
        )
        at = checks.whole_number(config["at"], "at", 0)
        kind, library, days = config["kind"], config["library"], checks.flag(config["days"], "days")
        labels = [
            part
            for key in (*keys, *names, *(columns or ()), config["time"])
            for part in (key if isinstance(key, tuple) else (key,))
        ]
        simple = all(part is None or isinstance(part, str | int | float) for part in labels)
        fits = len(keys) == series or (not keys and series == 1 and kind == "table")
        levels = (
            all((len(key) if isinstance(key, tuple) else 1) == len(names) for key in keys)
            or kind == "dict"
        )
        if (
            kind not in KINDS
            or library not in ("pandas", "polars")
            or not (simple and fits and levels)
            or (
                (columns is None) != (kind != "table")
                or at > len(names)
                or len(set(keys)) < len(keys)
            )
        ):
            raise CheckpointError(
                f"the panel is {config!r:.200}, which says nothing of {series} series"
            )
        return cls(kind, keys, names, config["time"], at, columns, library, days)


def unfold(y, X, panel=None, groups=None, time=None, names=("y", "X")):
    """Series one by one, of what may be a panel.

    Parameters
    ----------
    y, X
        As users give them.
    panel : Panel, optional
        That the forecaster was fitted to; its series are expected, and its columns of groups and
        time.
    groups, time : label, optional
        Columns of a long table.
    names : pair of str
        What messages call y and X.

    Returns
    -------
    y, X
        Lists of series if y is a panel, else as they were given.
    panel : Panel or None

    Raises
    ------
    ConfigError, ShapeError, DTypeError
    """
    if panel is not None and panel.kind == "table":
        given = [one for one in (groups, time) if one is not None]
        if given and given != [*panel.names, panel.time]:
            raise ConfigError(
                f"groups is {groups!r} and time {time!r}; the forecaster was fitted "
                "with "
                f"{[*panel.names, panel.time]}: leave both out"
            )
        groups, time = panel.names[0] if panel.names else None, panel.time
    read = _read(y, groups, time, names[0], panel)
    if read is None and panel is not None:
        raise ShapeError(
            f"{names[0]} is {type(y).__name__}, and no panel; the forecaster was "
            "fitted to the series "
            f"{', '.join(map(repr, panel.keys[:5]))}: give {names[0]} in the form of "
            "the y that it was fitted to"
        )
    if read is None:
        return y, X, None
    given, parts, rows = read
    if panel is not None:
        parts, rows = _as_fitted(panel, given, parts, rows, names[0])
        given = panel
    features = _features(X, given, rows, len(y), names[1])
    return parts, features, given


def unfold_future(X_future, panel):
    """X_future as a list with the part of each series, if the forecaster was fitted to a panel."""
    if panel is None or X_future is None or (isinstance(X_future, list | tuple) and panel.keys):
        return X_future
    read = _read(X_future, *_named_in(X_future, panel), "X_future", panel)
    if not panel.keys:
        return [X_future] if read is None else list(read[1])
    if read is None:
        raise ShapeError(
            "X_future is no panel; the forecaster was fitted to one: give a row for "
            "each step of each series in the "
            "form of y, or a list or dict with an array for each series"
        )
    return list(panel.ordered(read[0].keys, read[1], "X_future"))


def part_of(given, panel, number, name):
    """The part of one series of an object that may have the form of a panel."""
    if panel is None:
        return given
    groups, time = _named_in(given, panel)
    if panel.kind == "table" and time is None:
        return given  # one series, in order
    read = _read(given, groups, time, name, panel)
    if read is None or not panel.keys:
        return given if read is None else read[1][0]
    if panel.keys[number] not in read[0].keys:
        raise ShapeError(f"{name} lacks the series {panel.keys[number]!r}")
    return read[1][read[0].keys.index(panel.keys[number])]


def _named_in(given, panel):
    """(groups, time): the columns of a panel that is a table, if `given` has them too, else (None, None)."""
    groups, time = panel.names[0] if panel.names else None, panel.time
    columns = list(getattr(given, "columns", ()))
    is_table = panel.kind == "table" and time in columns and (groups is None or groups in columns)
    return (groups, time) if is_table else (None, None)


def _as_fitted(panel, given, parts, rows, name):
    """(parts, rows) in the order of the series of `panel`."""
    if not panel.keys:
        return parts, rows
    at = {key: number for number, key in enumerate(given.keys)}
    parts = panel.ordered(given.keys, parts, name)
    return parts, None if rows is None else [rows[at[key]] for key in panel.keys]


def _features(X, panel, rows, count, name):
    """The part of each series of X, which is a panel too, or has the rows of y."""
    if X is None:
        return None
    if isinstance(X, list | tuple) and (rows is None or is_several(X)):
        return X
    read = _read(X, *_named_in(X, panel), name, panel)
    if read is not None:
        return list(read[1]) if not panel.keys else list(panel.ordered(read[0].keys, read[1], name))
    if rows is None or len(X) != count:
        raise ShapeError(
            f"{name} is no panel of the series of y, and has {len(X)} rows; expected "
            "the form of y, or a row for each "
            f"row of y ({count})"
        )
    return [X.iloc[part] if hasattr(X, "iloc") else np.asarray(X)[part] for part in rows]


def _read(given, groups, time, name, panel=None):
    """(Panel, Parts, rows of each series or None), or None of what is no panel.

    `panel` is the one that the forecaster was fitted to, or that y is.
    """
    if groups is not None or time is not None:
        return _read_table(given, groups, time, name)
    if isinstance(given, dict) and not hasattr(given, "tocsr"):  # sparse arrays of keys are dicts
        return _read_dict(given, name)
    if getattr(getattr(given, "index", None), "nlevels", 1) > 1:
        return _read_index(given, name, panel)
    return None


def _read_dict(given, name):
    if not given:
        raise ShapeError(f"{name} is an empty dict; expected at least one series")
    keys = tuple(map(plain, given))
    parts = [part if hasattr(part, "shape") else np.asarray(part) for part in given.values()]
    names = [f"{name}[{key!r}]" for key in keys]
    for part, one in zip(parts, names):
        if not part.shape:
            raise ShapeError(f"{one} is {part!r:.80}; expected an array of steps")
    return Panel("dict", keys), Parts(parts, names, [assigned(one) for one in names]), None


def _read_index(given, name, panel):
    index = given.index
    at = _time_level(index, name, panel)
    others = [level for level in range(index.nlevels) if level != at]
    labels = index.droplevel(at)
    keys, rows = _rows_of(labels, name)
    names = tuple(index.names[level] for level in others)
    parts = [given.iloc[part].droplevel(others) for part in rows]
    by = names if all(one is not None for one in names) else others
    by = repr(by[0] if len(by) == 1 else list(by))

    def fix(make):
        dropped = make(f"part.droplevel({by})")
        return f"{name} = {{key: {dropped} for key, part in {name}.groupby(level={by})}}"

    shown = [f"the series {key!r} of {name}" for key in keys]
    return (
        Panel("index", keys, names, index.names[at], at),
        Parts(parts, shown, [fix] * len(keys)),
        rows,
    )


def _time_level(index, name, panel):
    """Which level of an index is time: that of dates, that of the panel, one with such a name, or the last.

    Raises
    ------
    ShapeError
        Several levels together are one time, the year and the month for example.
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
    words = [name.lower() if isinstance(name, str) else None for name in index.names]
    if dated or (words[-1] in TIMES and words.count(words[-1]) == 1):
        return index.nlevels - 1
    named = [level for level, word in enumerate(words) if word in TIMES]
    units = [level for level, word in enumerate(words) if word in UNITS]
    if len(units) > 1 or _are_parts_of_dates(index):
        parts = [
            index.names[level] if index.names[level] is not None else level
            for level in units or range(index.nlevels)
        ]
        raise ShapeError(
            f"the levels {', '.join(map(repr, parts))} of the index of {name} seem to be "
            "parts of one date, and would make a series of each year; expected one "
            "level of dates: group by a period, for example "
            f"{name}.groupby(dates.to_period('M')); if the last level does count the "
            "steps of each series, name it 'step'"
        )
    return (named or units or [index.nlevels - 1])[0]


def _are_parts_of_dates(index):
    """Whether levels without names of their own look like years followed by months, weeks or days."""
    if len(set(index.names)) == index.nlevels or not all(
        values.dtype.kind in "iu" and len(values) for values in index.levels
    ):
        return False
    spans = [(int(values.min()), int(values.max())) for values in index.levels]
    years = [1800 <= low and high <= 2200 for low, high in spans]
    units = [low >= 0 and (high <= 12 or high in (23, 31, 52, 53, 365, 366)) for low, high in spans]
    return any(years) and not years[-1] and all(map(any, zip(years, units)))


def _rows_of(labels, name):
    """(labels of the series in the order of their first rows, the rows of each)."""
    codes, unique = labels.factorize(use_na_sentinel=False)
    missing = np.flatnonzero(labels.to_frame().isna().any(axis=1).to_numpy())
    if missing.size:
        raise ConfigError(
            f"row {missing[0]} of {name} has no label that says which series it "
            "belongs to; give it one, or leave the "
            "row out"
        )
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(unique)))[:-1]
    return tuple(plain(key) for key in unique), np.split(order, ends)


def _read_table(given, groups, time, name):
    for value, word in ((groups, "groups"), (time, "time")):
        if not isinstance(value, str | int | tuple | None):
            raise ConfigError(
                f"{word} is {type(value).__name__}; expected the name of a column of "
                f"{name}: put it into the "
                "frame as one"
            )
    collected(given, name)
    columns = list(getattr(given, "columns", ()))
    if not columns:
        raise ConfigError(
            f"groups is {groups!r} and time {time!r}, and {name} is a "
            f"{type(given).__name__}, which has no named "
            "columns; give a frame, or for arrays times= and a list of series"
        )
    for value, word in ((groups, "groups"), (time, "time")):
        if value is not None and value not in columns:
            raise ConfigError(
                f"{word} is {value!r}, which is no column of {name}; there are "
                f"{', '.join(map(str, columns))}{of_index(given, value, name)}"
            )
    if time is None:
        raise ConfigError(
            f"groups is {groups!r} and time is None; name the column of {name} that "
            "holds the times of the steps, "
            f"which say what comes next: {', '.join(map(str, columns))}"
        )
    if groups == time:
        raise ConfigError(f"groups and time both name the column {time!r}; expected two columns")
    if len(columns) == 1 + (groups is not None):
        raise ConfigError(
            f"{name} has no column beside {', '.join(map(repr, columns))}; expected "
            "the values that are to be forecast"
        )
    frame, library = _as_pandas(given, name)
    moments = _moments(frame[time], name, time)
    if groups is None:
        keys, rows = (), [np.arange(len(frame))]
    else:
        import pandas

        keys, rows = _rows_of(pandas.Index(frame[groups]), name)
    number = np.zeros(len(frame), np.intp)
    for at, part in enumerate(rows):
        number[part] = at
    try:
        order = order_of_time(moments, number, keys or None, f"the column {time!r} of {name}")
    except ConfigError as error:
        raise (
            error
            if keys
            else ConfigError(
                f"{error}; if the rows belong to several series, give "
                "groups=, the column that "
                "tells them apart"
            )
        ) from None
    rows = np.split(order, np.cumsum([len(part) for part in rows])[:-1])
    values = frame.drop(columns=[column for column in (groups, time) if column is not None])
    parts = [values.iloc[part].set_axis(moments[part]) for part in rows]
    shown = [f"{name} of the series {key!r}" for key in keys] or [name]
    dropped = "part" if groups is None else f"part.drop(columns={groups!r})"

    def fix(make):
        if groups is None:
            return f"{name} = {make(f'{name}.set_index({time!r}).sort_index()')}"
        part = make(f"{dropped}.set_index({time!r}).sort_index()")
        return f"{name} = {{key: {part} for key, part in {name}.groupby({groups!r})}}"

    panel = Panel(
        "table",
        keys,
        () if groups is None else (groups,),
        time,
        0 if groups is None else 1,
        tuple(columns),
        library,
        library == "polars" and str(given[time].dtype) == "Date",
    )
    return panel, Parts(parts, shown, [fix] * len(rows)), rows


def _moments(column, name, time):
    """The labels in a column of times, as an index."""
    import pandas

    if column.dtype.kind in "iumM" or isinstance(column.dtype, pandas.PeriodDtype):
        labels = pandas.Index(column, name=time)
    else:
        try:
            if column.dtype.kind in "fb":
                raise TypeError
            labels = pandas.DatetimeIndex(pandas.to_datetime(column, format="ISO8601"), name=time)
        except (ValueError, TypeError) as error:
            cure = f"pandas.to_datetime({name}[{time!r}], format=...)"
            if column.dtype.kind == "f" and (column == column.round()).all():
                cure = f"{name}[{time!r}].astype(int)"
            raise DTypeError(
                f"the column {time!r} of {name} holds {plain(column.iloc[0])!r}, for "
                "example; expected dates, whole numbers, "
                f"or ISO 8601 text: {name}[{time!r}] = {cure}"
            ) from error
    return labels


def _as_pandas(frame, name):
    """(a pandas frame, the library that it was given in)."""
    if hasattr(frame, "iloc"):
        return frame, "pandas"
    try:
        import pandas
    except ImportError as error:
        raise MissingPackageError(
            f"{name} with groups= or time= needs pandas: python -m pip install pandas"
        ) from error
    columns = {}
    for column in frame.columns:
        values = frame[column]
        zone = getattr(values.dtype, "time_zone", None)
        made = pandas.Series(values.to_numpy())
        columns[column] = made if zone is None else made.dt.tz_localize("UTC").dt.tz_convert(zone)
    return pandas.DataFrame(columns), "polars"


def _as_polars(table, days=None):
    import polars

    columns = {}
    for column in table.columns:
        values = table[column]
        zone = getattr(values.dtype, "tz", None)
        if column == days or (zone is None and values.dtype.kind == "M"):
            unit = "datetime64[D]" if column == days else "datetime64[us]"
            columns[column] = polars.Series(values.to_numpy().astype(unit))
        elif zone is None:
            columns[column] = polars.Series(
                values.tolist() if values.dtype.kind == "O" else values.to_numpy()
            )
        else:
            plain = polars.Series(values.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy())
            columns[column] = plain.dt.replace_time_zone("UTC").dt.convert_time_zone(str(zone))
    return polars.DataFrame(columns)
