"""Series as users give them, one or several, read to arrays; forecasts written in the same form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .columns import check_labels, check_names, column_names
from .frequency import check_even
from .labels import index_of
from .table import read_table
from .timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .advice import Fix, Labels

Kind: TypeAlias = Literal["flat", "table", "series", "frame"]


@dataclass(frozen=True)
class Form:
    """The form in which a series was given: a forecast of it has the same form.

    Attributes
    ----------
    kind : {"flat", "table", "series", "frame"}
        ndarray of one axis or of two, pandas Series or DataFrame.
    names : tuple or None
        The names of the variables, if they have names.
    """

    kind: Kind
    names: tuple[Any, ...] | None = None

    def write(self, values: np.ndarray, timeline: Timeline | None) -> Any:
        """Return forecasts in this form.

        Parameters
        ----------
        values : ndarray of shape (horizon, k)
            The steps after the end of `timeline`.
        timeline : Timeline or None
            Needed for "series" and "frame".

        Returns
        -------
        ndarray of shape (horizon,) or (horizon, k), Series or DataFrame
        """
        if self.kind == "table":
            return values
        if self.kind == "flat":
            return values[:, 0]
        import pandas

        assert timeline is not None  # series of pandas have an index
        index = timeline.after(len(values))
        if self.kind == "series":
            name = None if self.names is None else self.names[0]
            return pandas.Series(values[:, 0], index, name=name)
        return pandas.DataFrame(values, index, columns=pandas.Index(list(self.names or ())))


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
        How messages call it: "y", "y[2]".
    fix : callable or None
        See :data:`~gatewise.estimators.forecasting.series.advice.Fix`. None: assign to `name`.
    """

    values: np.ndarray
    index: Labels | None
    form: Form
    name: str = "y"
    fix: Fix | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def timeline(self) -> Timeline | None:
        """How the labels continue; None if there are none."""
        return None if self.index is None else Timeline.of(self.index, self.name, self.fix)

    def check_even(self) -> None:
        """Refuse an index that does not rise, or does not show what comes next.

        Raises
        ------
        ShapeError
        """
        timeline = self.timeline
        if timeline is not None and timeline.freq is None:
            check_even(self.index, self.name, self.fix, self.form.kind == "flat")

    def in_zone_of(self, timeline: Timeline | None) -> Series:
        """Return this series with its dates in the time zone of a timeline.

        Raises
        ------
        ShapeError
            One of the two has a time zone, and the other has none.
        """
        if timeline is None or self.index is None:
            return self
        return replace(self, index=timeline.in_same_zone(self.index, self.name, self.fix))


class Parts(list[Any]):
    """Several series that came in one object, a panel.

    Attributes
    ----------
    names : list of str
        How messages call each of them.
    fixes : list of callable
        A :data:`gatewise.estimators.forecasting.series.advice.Fix` for each.
    """

    def __init__(self, parts: Sequence[Any], names: list[str], fixes: list[Fix]) -> None:
        super().__init__(parts)
        self.names = names
        self.fixes = fixes


def read_target(y: Any, times: Any = None, *, missing: bool = False) -> tuple[list[Series], bool]:
    """Read the series that are to be forecast.

    Parameters
    ----------
    y : array_like of shape (T,) or (T, k), pandas Series or DataFrame; or list of these
        A list or tuple of arrays, Series or frames is several series; a list of numbers, or of rows
        of numbers, is one.
    times : array_like of shape (T,), datetime64, or list of these, optional
        For a y without an index.
    missing : bool, default False
        Whether NaN is accepted.

    Returns
    -------
    series : list of Series
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
    labels = per_series(times, len(parts), several, "times")
    names = [f"y[{number}]" for number in range(len(parts))] if several else ["y"]
    if isinstance(y, Parts):
        names = y.names
    series = [_read_one(*one, missing) for one in zip(parts, labels, names)]
    if isinstance(y, Parts):
        for one, fix in zip(series, y.fixes):
            one.fix = fix
    widths = {one.values.shape[1] for one in series}
    if len(widths) > 1:
        raise ShapeError(
            f"the series of y have {sorted(widths)} variables; expected the same number in each"
        )
    columns = column_names(y if not several else parts[0])
    for name, part in zip(names, parts):
        check_names(part, columns, name)
    return series, several


def read_features(
    x: Any,
    series: Sequence[Series],
    several: bool,
    names: Sequence[Any] | None = None,
    *,
    missing: bool = False,
) -> list[np.ndarray] | None:
    """Read the features that belong to the steps of each series.

    Parameters
    ----------
    x : array_like of shape (T, f) or frame, or list of these; or None
    series : list of Series
    several : bool
        Whether y was a list of series.
    names : sequence, optional
        The columns that frames must have. None: those of the first frame.
    missing : bool, default False
        Whether NaN is accepted.

    Returns
    -------
    list of ndarray of shape (T, f), float64, or None
        None if x is None.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
    """
    if x is None:
        return None
    if names is None:
        names = column_names(x[0] if is_several(x) else x)
    tables = []
    for number, (one, part) in enumerate(zip(series, per_series(x, len(series), several, "X"))):
        name, of_y = (f"X[{number}]", f"y[{number}]") if several else ("X", "y")
        check_names(part, names, name)
        features = read_table(part, name, missing)
        if len(features) != len(one):
            raise ShapeError(
                f"{name} has {len(features)} steps, {of_y} has {len(one)}; expected a row of X for"
                " each step of y"
            )
        check_labels(part, one.index, name)
        tables.append(features)
    if len({features.shape[1] for features in tables}) > 1:
        raise ShapeError(
            f"X has {[features.shape[1] for features in tables]} columns; expected the same in each"
            " series"
        )
    return tables


def is_several(y: Any) -> bool:
    """Return whether y is a list of series rather than one series."""
    return (
        isinstance(y, list | tuple)
        and len(y) > 0
        and all(hasattr(part, "shape") and len(part.shape) > 0 for part in y)
    )


def per_series(value: Any, count: int, several: bool, name: str) -> list[Any]:
    """Return a list with the part of each series.

    Parameters
    ----------
    value : array_like, list of array_like, or None
        None is the part of every series then.
    count : int
        The number of series.
    several : bool
        Whether y was a list of series.
    name : str
        The argument, for messages.

    Raises
    ------
    ShapeError
    """
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


def _read_one(y: Any, times: Any, name: str, missing: bool) -> Series:
    """Read one series."""
    values = read_table(y, name, missing)
    if not (hasattr(y, "index") and hasattr(y, "to_numpy")):  # not a pandas object
        index = None if times is None else index_of(times, len(values))
        return Series(values, index, Form("flat" if np.ndim(y) == 1 else "table"), name)
    if times is not None:
        raise ConfigError(
            "times was given, and y has an index; leave times out, or set it as the index"
        )
    _refuse_levels(y, name)
    if hasattr(y, "columns"):
        return Series(values, y.index, Form("frame", tuple(y.columns)), name)
    return Series(values, y.index, Form("series", None if y.name is None else (y.name,)), name)


def _refuse_levels(part: Any, name: str) -> None:
    """Refuse an index of several levels in a list or dict of series.

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
