"""Series as users give them: arrays, pandas Series and frames, one or several; and answers in the same form."""

import re
from dataclasses import dataclass, replace

import numpy as np
from sklearn.utils import check_array

from gatewise import checks
from gatewise.data.ordering import is_missing
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.estimators.reading import inputs

from .frequency import check_even
from .timeline import Timeline, check_zones, index_of


@dataclass
class Series:
    """One series.

    Attributes
    ----------
    values : ndarray of shape (T, k), float64
    index : pandas.Index, ndarray of datetime64, or None
        A label for each step.
    form : Form
    name : str
        What messages call it: "y", "y[2]".
    fix : callable(callable(str) -> str) -> str, or None
        For advice in messages: a statement that sets the series to what the callable makes of it.
        None: an assignment to `name`.
    """

    values: np.ndarray
    index: object
    form: "Form"
    name: str = "y"
    fix: object = None

    def __len__(self):
        return len(self.values)

    @property
    def timeline(self):
        """How the labels go on; None if there are none."""
        return None if self.index is None else Timeline.of(self.index, self.name, self.fix)

    def check_even(self):
        """Refuse an index that does not show what comes next, or does not rise.

        Raises
        ------
        ShapeError
        """
        if self.index is not None and self.timeline.freq is None:
            check_even(self.index, self.name, self.fix, self.form.kind == "flat")

    def beside(self, timeline):
        """This series with its dates in the time zone of a timeline.

        Raises
        ------
        ShapeError
            One of the two has a time zone, and the other has none.
        """
        if timeline is None or self.index is None:
            return self
        return replace(self, index=timeline.in_same_zone(self.index, self.name, self.fix))


@dataclass(frozen=True)
class Form:
    """How a series was given, so that a forecast of it comes in the same form.

    Attributes
    ----------
    kind : {"flat", "table", "series", "frame"}
        ndarray of rank 1 or 2, pandas Series or DataFrame.
    names : tuple or None
        Of the variables, where they have names.
    """

    kind: str
    names: tuple | None = None

    def write(self, values, timeline):
        """Values (h, k), the steps after `timeline`, in this form."""
        if self.kind == "table":
            return values
        if self.kind == "flat":
            return values[:, 0]
        import pandas

        index = timeline.after(len(values))
        if self.kind == "series":
            return pandas.Series(
                values[:, 0], index, name=None if self.names is None else self.names[0]
            )
        return pandas.DataFrame(values, index, columns=pandas.Index(list(self.names)))


def read_target(y, times=None, *, missing=False):
    """What `y` holds.

    Parameters
    ----------
    y : array_like of shape (T,) or (T, k), pandas Series or DataFrame; or list of these
        A list or tuple of arrays, Series or frames is several series; a list of numbers, or of rows
        of numbers, is one.
    times : array_like of shape (T,), datetime64, or list of these, optional
        For a y without an index.
    missing : bool
        NaN may stay.

    Returns
    -------
    list of Series
    several : bool
        Whether y was a list of series.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ConfigError
    """
    several = is_several(y)
    parts = list(y) if several else [y]
    if not parts:
        raise ShapeError("y is an empty list; expected at least one series")
    moments = per_series(times, len(parts), several, "times")
    names = [f"y[{number}]" for number in range(len(parts))] if several else ["y"]
    if hasattr(y, "fixes"):  # of a panel
        names = y.names
    series = [
        _read_one(part, moment, name, missing) for part, moment, name in zip(parts, moments, names)
    ]
    for one, fix in zip(series, getattr(y, "fixes", ())):
        one.fix = fix
    widths = {one.values.shape[1] for one in series}
    if len(widths) > 1:
        raise ShapeError(
            f"the series of y have {sorted(widths)} variables; expected the same number in each"
        )
    columns = column_names(y)  # once: it looks at every part
    for name, part in zip(names, parts):
        check_names(part, columns, name)
    return series, several


def read_features(x, series, several, names=None, *, missing=False):
    """Features that stand beside the steps of each series: list of ndarray (T, f), float64; None where x is None.

    Parameters
    ----------
    x : array_like of shape (T, f) or frame, or list of these; or None
    series : list of Series
    several : bool
    names : list, optional
        Of the columns that frames must have. None: those of the first frame.
    missing : bool
        NaN may stay.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    if x is None:
        return None
    names = column_names(x) if names is None else names
    tables = []
    for number, (one, part) in enumerate(zip(series, per_series(x, len(series), several, "X"))):
        name, of_y = (f"X[{number}]", f"y[{number}]") if several else ("X", "y")
        check_names(part, names, name)
        features = table(part, name, missing)
        if len(features) != len(one):
            raise ShapeError(
                f"{name} has {len(features)} steps, {of_y} has {len(one)}; expected a "
                "row of X for each step of y"
            )
        check_labels(part, one.index, name)
        tables.append(features)
    if len({features.shape[1] for features in tables}) > 1:
        raise ShapeError(
            f"X has {[features.shape[1] for features in tables]} columns; expected "
            "the same in each series"
        )
    return tables


def check_names(given, names, what):
    """Refuse a frame whose columns are not those named, in this order; arrays have no names.

    Raises
    ------
    ShapeError
    """
    if names is not None and hasattr(given, "columns") and list(given.columns) != list(names):
        raise ShapeError(
            f"{what} has the columns {list(given.columns)}; expected {list(names)}, in this order"
        )


def check_labels(given, labels, what):
    """Refuse a pandas object whose index says that its rows are other steps than those labelled.

    An index that pandas counted by itself says nothing, nor do numbers beside dates. Whether there
    are as many rows as labels is another matter.

    Parameters
    ----------
    given : array_like, Series or frame
    labels : pandas.Index, ndarray of datetime64, or None

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
        mine = getattr(labels, "tz", None)
        check_zones(
            mine, getattr(index, "tz", None), what, "the steps that it stands beside belong"
        )
        index = index if mine is None else index.tz_convert(mine)
    if not index.equals(labels):
        other = int(np.argmin([one == two for one, two in zip(index, labels)]))
        raise ShapeError(
            f"row {other} of {what} is labelled {index[other]!r}; the step that it "
            "stands beside is labelled "
            f"{labels[other]!r}: give both the same index, or {what} as an array"
        )


def is_several(y):
    """Whether y is a list of series rather than one."""
    return (
        isinstance(y, list | tuple)
        and len(y) > 0
        and all(hasattr(part, "shape") and len(part.shape) > 0 for part in y)
    )


def per_series(value, count, several, name):
    """A list with the part of each series."""
    if value is None:
        return [None] * count
    if not several:
        return [value]
    if hasattr(value, "columns"):
        raise ShapeError(
            f"{name} is one {type(value).__name__}, and y a list of {count} series; expected a list"
            " with the part of each"
        )
    parts = checks.listed(value, name, "arrays, one for each series of y")
    if len(parts) != count:
        raise ShapeError(f"{name} has {len(parts)} parts; y has {count} series: give one for each")
    return parts


def table(given, name, missing=False):
    """ndarray (T, columns) of float64, a copy only where it must be.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ConfigError
    """
    collected(given, name)
    kind = getattr(getattr(given, "dtype", None), "kind", "f")
    if kind in "mMSU":
        raise DTypeError(f"{name} holds {given.dtype} values; expected numbers")
    if hasattr(given, "columns"):
        check_numbers(given, name)
    elif kind == "O" and len(getattr(given, "shape", ())) in (1, 2):
        _check_objects(given, name)
    if hasattr(given, "ngroups"):
        raise DTypeError(
            f"{name} is a {type(given).__name__}; expected the frame itself, with "
            "groups= and time= for the names of its "
            "columns, or a dict with a series for each key"
        )
    try:
        axes = np.ndim(given)
    except ValueError as error:  # lists of different lengths
        raise ShapeError(
            f"{name} has rows of different lengths; expected the same variables in "
            "each step: several series go into "
            "a list of arrays"
        ) from error
    if axes == 0:
        raise ShapeError(
            f"{name} is {given!r:.80}; expected an array of steps{_array_of(given, name)}"
        )
    with inputs.checked_by_sklearn():
        values = check_array(
            inputs.unmasked(given, name),
            dtype=np.float64,
            order="C",
            ensure_2d=False,
            allow_nd=True,
            input_name=name,
            ensure_all_finite="allow-nan",
        )
    if not missing:
        _refuse_nan(values, given, name)
    if values.ndim not in (1, 2):
        raise ShapeError(
            f"{name} has shape {values.shape}; expected (steps,) or (steps, "
            "variables): several series go into a "
            "list of arrays"
        )
    return values.reshape(len(values), -1)


def _array_of(given, name):
    """Advice on what makes an array of a dict of columns, a generator or a function, or ""."""
    if isinstance(given, dict):
        return f": {name} = pandas.DataFrame({name}), if its values are columns"
    if callable(given) and not isinstance(given, type):
        return f": {name} is a function that was not called"
    return f": {name} = list({name})" if hasattr(given, "__next__") else ""


def _refuse_nan(values, given, name):
    """Refuse missing values, with the place of the first and what to do about it."""
    if not np.isnan(values).any():
        return
    step, *column = map(int, np.argwhere(np.isnan(values))[0])
    where = f"step {step}" if not hasattr(given, "iloc") else f"the step {given.index[step]!r}"
    if column and hasattr(given, "columns"):
        where += f", column {list(given.columns)[column[0]]!r}"
    elif column and values.shape[1] > 1:
        where += f", column {column[0]}"
    raise NonFiniteError(
        f"Input {name} contains NaN, first in {where}. SequenceForecaster takes missing "
        "values if it is built with missing='forward_fill', 'mean' or "
        "'indicator', which say what the network reads there; or fill them"
    )


def check_numbers(frame, name):
    """Refuse a frame with columns of dates, text or categories, by the names of the columns.

    Parameters
    ----------
    frame : data frame of pandas or polars
    name : str

    Raises
    ------
    DTypeError
    """
    found, written = {}, []  # kinds of columns; those of text that are dates
    for at, column in enumerate(frame.columns):
        values = frame.iloc[:, at] if hasattr(frame, "iloc") else frame[column]
        if (kind := _kind_of(values)) is not None:
            found[column] = kind
            if kind == "text" and _holds_iso_dates(values):
                written.append(column)
    if found:
        said = " and ".join(f"the column {column!r} of {kind}" for column, kind in found.items())
        raise DTypeError(
            f"{name} has {said}; expected numbers: {'; '.join(_cures(frame, name, found, written))}"
        )


def collected(frame, name):
    """Refuse a lazy frame, which holds no numbers yet.

    Raises
    ------
    DTypeError
    """
    if hasattr(frame, "collect") and not hasattr(frame, "shape"):
        raise DTypeError(
            f"{name} is a {type(frame).__name__}, which holds no numbers yet: {name} "
            f"= {name}.collect()"
        )


def _cures(frame, name, found, written):
    """What to do about columns that hold no numbers: list of str."""
    dates = [column for column, kind in found.items() if kind == "dates" or column in written]
    numbers = [
        column for column, kind in found.items() if kind == "text" and _holds_numbers(frame[column])
    ]
    # beside dates they may be labels of series
    if numbers and not dates and hasattr(frame, "iloc"):
        made = f"**{{column: pandas.to_numeric({name}[column]) for column in {numbers!r}}}"
        rest = {column: kind for column, kind in found.items() if column not in numbers}
        return [
            f"{name} = {name}.assign({made})",
            *(_cures(frame, name, rest, written) if rest else []),
        ]
    texts = [column for column, kind in found.items() if kind == "text" and column not in written]
    pandas_like = hasattr(frame, "iloc")
    if name.startswith("y") and len(dates) == 1 and len(found) == len(dates) + len(texts) <= 2:
        date = dates[0]
        if name != "y":  # one of several, which need no groups
            dropped = f".drop(columns={texts!r})" if texts else ""
            if not pandas_like:
                return [
                    "concatenate all series to one frame, and name its columns in groups= and time="
                ]
            made = (
                f".assign(**{{{date!r}: pandas.to_datetime({name}[{date!r}])}})" if written else ""
            )
            return [f"{name} = {name}{dropped}{made}.set_index({date!r}) makes labels of the dates"]
        groups = f"groups={texts[0]!r}, " if texts else ""
        cures = [f"fit(y, {groups}time={date!r}) reads such a table"]
        if pandas_like and not written:
            cures.append(
                f"y = y.set_index({[*texts, date] if texts else date!r}) makes labels of it"
            )
        return cures
    drop = f"columns={list(found)!r}" if pandas_like else repr(list(found))
    cures = [f"{name} = {name}.drop({drop}) leaves out what is no number"]
    if dates:
        cures.append("calendar= makes features of the dates that label the steps of y")
    return cures


def _holds_numbers(values):
    """Whether the first text of a column is a number, and no date in digits."""
    first = next((value for value in values if not is_missing(value)), "")
    if re.match(r"(19|20)\d{2}[01]\d", str(first)):
        return False
    try:
        float(first)
    except ValueError:
        return False
    return True


def _holds_iso_dates(values):
    """Whether the first text of a column is a date as ISO 8601 writes it."""
    first = next((value for value in values if not is_missing(value)), "")
    return re.match(r"\d{4}-\d{2}-\d{2}", str(first)) is not None


def _check_objects(given, name):
    """Refuse an array or Series of objects that holds dates or text, with the place of the column."""
    values = np.asarray(given)
    for column in range(values.shape[1] if values.ndim == 2 else 1):
        kind = _kind_of(values[:, column] if values.ndim == 2 else values)
        if kind is not None:
            of = f" in column {column}" if values.ndim == 2 else ""
            cure = "leave the column out, or give times= for the dates of the steps"
            if kind == "text" and not of and _holds_numbers(values):
                cure = f"{name} = pandas.to_numeric({name})"
            raise DTypeError(
                f"{name} holds {kind}{of}, for example "
                f"{values[0, column] if of else values[0]!r}; expected numbers: {cure}"
            )


def _kind_of(values):
    """ "dates", "durations", "text" or "categories" of a column that holds no numbers, else None."""
    dtype = values.dtype
    if getattr(dtype, "kind", "f") in "mM":
        return "dates" if dtype.kind == "M" else "durations"
    said = str(dtype).lower()
    if said.startswith(("date", "period")):
        return "dates"
    if said.startswith(("time", "duration")):
        return "durations"
    if said.startswith(("categor", "enum")):
        of_numbers = hasattr(values, "iloc") and dtype.categories.dtype.kind in "buif"
        return None if of_numbers else "categories"
    if said.startswith(("str", "utf8", "string", "large_string")):
        return "text"
    if said != "object":
        return None
    first = next((value for value in values if not is_missing(value)), None)
    if isinstance(first, str | bytes):
        return "text"
    return "dates" if hasattr(first, "year") and hasattr(first, "month") else None


def column_numbers(chosen, names, count, what):
    """Numbers of the columns that a user named: None (none), "all", or a list of names or numbers.

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
    numbers = []
    for column in chosen:
        if names is not None and column in names:
            numbers.append(names.index(column))
        elif (
            not isinstance(column, str | bool)
            and hasattr(column, "__index__")
            and 0 <= column < count
        ):
            numbers.append(int(column))
        else:
            raise ConfigError(
                f"{what} names column {column!r}; X has "
                f"{list(names) if names else f'columns 0 to {count - 1}'}"
            )
    if len(set(numbers)) < len(numbers):
        raise ConfigError(f"{what} is {list(chosen)!r}; it names a column twice")
    return numbers


def column_names(x):
    """Names of the columns of a frame, or of the first of several; None for an array."""
    first = x[0] if is_several(x) else x
    return list(first.columns) if hasattr(first, "columns") else None


def _one_level(part, name):
    """Refuse an index of several levels in a list or dict of series: a panel is given by itself.

    Raises
    ------
    ShapeError
    """
    if part.index.nlevels == 1:
        return
    time = part.index.nlevels - 1
    if part.index.droplevel(time).nunique() > 1:
        raise ShapeError(
            f"the index of {name} has {part.index.nlevels} levels, which label several series, and"
            f" {name} is one of several itself: give one pandas object, pandas.concat(...) of all"
            " of them"
        )
    raise ShapeError(
        f"the index of {name} has {part.index.nlevels} levels; expected the times of its steps: "
        f"{name} = {name}.droplevel({list(range(time))})"
    )


def _read_one(y, times, name, missing):
    values = table(y, name, missing)
    pandas_like = hasattr(y, "index") and hasattr(y, "to_numpy")
    if times is not None and pandas_like:
        raise ConfigError(
            "times was given beside a y that has an index; leave times out, or set it as the index"
        )
    if pandas_like:
        _one_level(y, name)
        frame = hasattr(y, "columns")
        names = tuple(y.columns) if frame else None if y.name is None else (y.name,)
        return Series(values, y.index, Form("frame" if frame else "series", names), name)
    form = Form("flat" if np.ndim(y) == 1 else "table")
    return Series(values, None if times is None else index_of(times, len(values)), form, name)
