"""One series or its features as a float64 array, with advice on what holds no numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_array

from gatewise.data.columns import kind_of_dtype
from gatewise.data.ordering import is_missing
from gatewise.errors import DTypeError, NonFiniteError, ShapeError
from gatewise.estimators.reading.checking import checked_by_sklearn, unmasked

from .text_columns import advice_on_columns, holds_iso_dates, holds_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_table(given: Any, name: str, missing: bool = False) -> np.ndarray:
    """Read an array or frame.

    Parameters
    ----------
    given : array_like of shape (T,) or (T, k), Series or frame of pandas or polars
    name : str
        The argument, for messages.
    missing : bool, default False
        Whether NaN is accepted.

    Returns
    -------
    ndarray of shape (T, k), float64
        Copied only if the dtype or the layout requires it.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError, ConfigError
    """
    _refuse_other_kinds(given, name)
    try:
        axes = np.ndim(given)
    except ValueError as error:  # lists of different lengths
        raise ShapeError(
            f"{name} has rows of different lengths; expected the same variables in each step:"
            " several series go into a list of arrays"
        ) from error
    if axes == 0:
        raise ShapeError(
            f"{name} is {given!r:.80}; expected an array of steps{_array_advice(given, name)}"
        )
    with checked_by_sklearn():
        values = check_array(
            unmasked(given, name),
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
            f"{name} has shape {values.shape}; expected (steps,) or (steps, variables): several"
            " series go into a list of arrays"
        )
    return values.reshape(len(values), -1)


def refuse_lazy(frame: Any, name: str) -> None:
    """Refuse a lazy frame, which holds no numbers yet.

    Raises
    ------
    DTypeError
    """
    if hasattr(frame, "collect") and not hasattr(frame, "shape"):
        raise DTypeError(
            f"{name} is a {type(frame).__name__}, which holds no numbers yet: {name} ="
            f" {name}.collect()"
        )


def _refuse_other_kinds(given: Any, name: str) -> None:
    """Refuse what holds dates or text, and groups of a frame.

    Raises
    ------
    DTypeError
    """
    refuse_lazy(given, name)
    kind = getattr(getattr(given, "dtype", None), "kind", "f")
    if kind in "mMSU":
        raise DTypeError(f"{name} holds {given.dtype} values; expected numbers")
    if hasattr(given, "columns"):
        _refuse_columns(given, name)
    elif kind == "O" and len(getattr(given, "shape", ())) in (1, 2):
        _refuse_objects(given, name)
    if hasattr(given, "ngroups"):
        raise DTypeError(
            f"{name} is a {type(given).__name__}; expected the frame itself, with groups= and time="
            " for the names of its columns, or a dict with a series for each key"
        )


def _array_advice(given: Any, name: str) -> str:
    """Return advice on how to make an array of a dict of columns, a generator or a function."""
    if isinstance(given, dict):
        return f": {name} = pandas.DataFrame({name}), if its values are columns"
    if callable(given) and not isinstance(given, type):
        return f": {name} is a function that was not called"
    return f": {name} = list({name})" if hasattr(given, "__next__") else ""


def _refuse_nan(values: np.ndarray, given: Any, name: str) -> None:
    """Refuse missing values, with the place of the first one and advice.

    Raises
    ------
    NonFiniteError
    """
    if not np.isnan(values).any():
        return
    step, *column = map(int, np.argwhere(np.isnan(values))[0])
    where = f"step {step}" if not hasattr(given, "iloc") else f"the step {given.index[step]!r}"
    if column and hasattr(given, "columns"):
        where += f", column {list(given.columns)[column[0]]!r}"
    elif column and values.shape[1] > 1:
        where += f", column {column[0]}"
    raise NonFiniteError(
        f"Input {name} contains NaN, first in {where}. SequenceForecaster takes missing values if"
        " it is built with missing='forward_fill', 'mean' or 'indicator', which define what the"
        " network reads there; or fill them"
    )


def _refuse_columns(frame: Any, name: str) -> None:
    """Refuse a frame with columns of dates, text or categories, by the names of the columns.

    Raises
    ------
    DTypeError
    """
    kinds: dict[Any, str] = {}  # of the columns that hold no numbers
    written_dates = []  # the columns of text in which the text is dates
    for at, column in enumerate(frame.columns):
        values = frame.iloc[:, at] if hasattr(frame, "iloc") else frame[column]
        kind = _kind_of(values)
        if kind is not None:
            kinds[column] = kind
            if kind == "text" and holds_iso_dates(values):
                written_dates.append(column)
    if kinds:
        found = " and ".join(f"the column {column!r} of {kind}" for column, kind in kinds.items())
        advice = "; ".join(advice_on_columns(frame, name, kinds, written_dates))
        raise DTypeError(f"{name} has {found}; expected numbers: {advice}")


def _refuse_objects(given: Any, name: str) -> None:
    """Refuse an array or Series of objects that are dates or text, with the number of the column.

    Raises
    ------
    DTypeError
    """
    values = np.asarray(given)
    columns: Iterable[np.ndarray] = [values] if values.ndim == 1 else values.T
    for column, held in enumerate(columns):
        kind = _kind_of(held)
        if kind is None:
            continue
        where = f" in column {column}" if values.ndim == 2 else ""
        cure = "leave the column out, or give times= for the dates of the steps"
        if kind == "text" and not where and holds_numbers(values):
            cure = f"{name} = pandas.to_numeric({name})"
        raise DTypeError(
            f"{name} holds {kind}{where}, for example {held[0]!r}; expected numbers: {cure}"
        )


def _kind_of(values: Any) -> str | None:
    """Return "dates", "durations", "text" or "categories", or None for a column of numbers.

    Of objects only the first one that is not missing is looked at.
    """
    kind = kind_of_dtype(values)
    if kind != "objects":
        return kind
    first = next((value for value in values if not is_missing(value)), None)
    if isinstance(first, str | bytes):
        return "text"
    return "dates" if hasattr(first, "year") and hasattr(first, "month") else None
