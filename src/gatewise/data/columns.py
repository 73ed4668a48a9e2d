"""The columns of data frames: their names, which later frames must have too, and their contents."""

from __future__ import annotations

from collections.abc import Set, ValuesView
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "check_feature_names",
    "check_kind",
    "common_names",
    "is_frame",
    "kind_of_dtype",
    "names_of",
    "refuse_columns",
]


def is_frame(X: Any) -> bool:
    """Return whether X is a table of named columns (pandas, polars)."""
    return hasattr(X, "columns") and hasattr(X, "shape") and len(X.shape) == 2


def names_of(given: Any) -> tuple[str, ...] | None:
    """Return the names of a frame's columns, or None.

    The rule is that of scikit-learn: names are strings. Columns with other names, such as numbers,
    are known by their position.

    Returns
    -------
    tuple of str, or None
        None for arrays, and for a frame whose column names are not strings.

    Raises
    ------
    DTypeError
        Some names are strings and some are not.
    """
    if not is_frame(given):
        return None
    names = tuple(given.columns)
    text = [isinstance(name, str) for name in names]
    if any(text) and not all(text):
        other = names[text.index(False)]
        raise DTypeError(
            "Feature names are only supported if all input features have string names, and column"
            f" {other!r} is a {type(other).__name__}; convert them: X.columns ="
            " X.columns.astype(str)"
        )
    return names if names and all(text) else None


def common_names(items: Sequence[Any], name: str) -> tuple[str, ...] | None:
    """Return the names of the columns of all frames of a list; None if there are no frames.

    Raises
    ------
    ShapeError, DTypeError
        The frames have different names, or the same in another order.
    """
    names = first = labels = None
    for number, item in enumerate(items):
        found = names_of(item)
        if found is None and is_frame(item):  # its names are numbers or tuples
            given = tuple(item.columns)
            labels = given if labels is None else labels
            if given != labels and set(given) == set(labels):
                raise ShapeError(
                    f"{name}[{number}] has the columns {list(given)}, others have {list(labels)};"
                    f" expected the same order in every frame: [frame[{list(labels)}] for frame in"
                    f" {name}]"
                )
        if names is None:
            names, first = found, number
        elif found is not None and found != names:
            raise ShapeError(
                f"{name}[{number}] has the columns {list(found)}, {name}[{first}] has"
                f" {list(names)}; expected the same columns in the same order in every frame:"
                f" [frame[list({name}[{first}].columns)] for frame in {name}]"
            )
    return names


def check_feature_names(estimator: Any, names: tuple[str, ...] | None, *, reset: bool) -> None:
    """Set ``feature_names_in_``, or compare names with it, with scikit-learn's warnings.

    Parameters
    ----------
    estimator : object
        The estimator or transformer that receives X.
    names : tuple of str, or None
        The names of X; None: X has none.
    reset : bool
        Whether to set the attribute, as `fit` does.

    Raises
    ------
    ShapeError
        The names, or their order, are not those of `fit`.
    """
    if reset:
        vars(estimator).pop("feature_names_in_", None)
        if names is not None:
            estimator.feature_names_in_ = np.array(names, object)
        return
    fitted, kind = getattr(estimator, "feature_names_in_", None), type(estimator).__name__
    if fitted is None and names is None:
        return
    if fitted is None:
        checks.warn(
            f"X has feature names, but {kind} was fitted without feature names", UserWarning
        )
    elif names is None:
        checks.warn(
            f"X does not have valid feature names, but {kind} was fitted with feature names",
            UserWarning,
        )
    elif list(names) != list(fitted):
        raise ShapeError(
            "The feature names should match those that were passed during fit.\n"
            + _difference(names, fitted)
            + f"X has the columns {list(names)}, {kind} was fitted with {fitted.tolist()}: select"
            " these, in this order, with X[list(feature_names_in_)]"
        )


def _difference(names: Sequence[str], fitted: Sequence[str]) -> str:
    """scikit-learn's lines about two lists of names."""
    text = ""
    for title, some in (
        ("Feature names unseen at fit time:\n", sorted(set(names) - set(fitted))),
        ("Feature names seen at fit time, yet now missing:\n", sorted(set(fitted) - set(names))),
    ):
        if some:
            text += (
                title
                + "".join(f"- {name}\n" for name in some[:5])
                + ("- ...\n" if len(some) > 5 else "")
            )
    return text or "Feature names must be in the same order as they were in fit.\n"


def check_kind(X: Any, name: str) -> None:
    """Refuse what cannot be read: dicts, generators, sparse arrays, frames with other columns.

    Columns of a frame must hold numbers.

    Raises
    ------
    DTypeError
    """
    if hasattr(X, "tocsr"):
        raise DTypeError(f"{name} is a sparse array; expected a dense one: {name}.toarray()")
    if isinstance(X, dict):
        raise DTypeError(
            f"{name} is a dict; expected an array, a frame, or a list of sequences:"
            f" list({name}.values()) if each value is a sequence, pandas.DataFrame({name}) if each"
            " is a column"
        )
    if hasattr(X, "ngroups"):
        raise DTypeError(
            f"{name} is a {type(X).__name__}; expected the frame itself, with groups= "
            "(estimators), or a list with the part of each group: [part for _, part in "
            f"{name}], without the column of labels"
        )
    if (
        not hasattr(X, "__len__")
        and (callable(X) or hasattr(X, "__next__"))
        and not hasattr(X, "__array__")
    ):
        what = "function, or a class" if callable(X) else "generator"
        raise DTypeError(
            f"{name} is a {what}; expected an array or a list of sequences:"
            f" list({name}{'()' if callable(X) else ''})"
        )
    if isinstance(X, Set | ValuesView):
        raise DTypeError(
            f"{name} is a {type(X).__name__}; expected an array or a list of sequences:"
            f" list({name})"
        )
    if is_frame(X):
        refuse_columns(X, name)
    elif getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M"):
        kind = "dates" if X.dtype.kind == "M" else "durations"
        raise DTypeError(
            f"{name} holds {kind} ({X.dtype}); expected numbers: leave them out, or make features"
            " of them"
        )
    elif isinstance(X, list | tuple) and len(X) and isinstance(X[0], str):
        raise DTypeError(
            f"{name} holds text; expected numbers: gatewise.data.Vocabulary makes tokens of texts,"
            " for estimators with embedding"
        )


def refuse_columns(frame: Any, name: str) -> None:
    """Refuse a frame if a column holds dates, text or other values that are not numbers.

    Raises
    ------
    DTypeError
    """
    if hasattr(frame, "iloc"):  # the kinds of all columns at once
        suspects: Iterable[int] = [
            place
            for place, dtype in enumerate(frame.dtypes)
            if getattr(dtype, "kind", "O") not in "buif"
        ]
    else:
        suspects = range(frame.shape[1])
    labels = list(frame.columns)
    for place in suspects:
        label = labels[place]
        values = frame.iloc[:, place] if hasattr(frame, "iloc") else frame[label]
        kind = _kind_of(values)
        if kind is not None:
            cure = _CURES.get(kind, "leave it out, or convert it")
            raise DTypeError(f"column {label!r} of {name} holds {kind}; expected numbers: {cure}")


def kind_of_dtype(values: Any) -> str | None:
    """Return what a column holds by its dtype, if these are not numbers.

    Parameters
    ----------
    values : Series of pandas or polars, or ndarray
        The column.

    Returns
    -------
    {"dates", "durations", "text", "categories", "objects"} or None
        None for numbers and for unknown dtypes. Categories that are numbers count as numbers. What
        "objects" are, only the values show.
    """
    dtype = values.dtype
    if getattr(dtype, "kind", "f") in "mM":
        return "dates" if dtype.kind == "M" else "durations"
    name = str(dtype).lower()
    if name.startswith(("date", "period")):
        return "dates"
    if name.startswith(("time", "duration")):
        return "durations"
    if name.startswith(("categor", "enum")):
        of_numbers = hasattr(values, "iloc") and dtype.categories.dtype.kind in "buif"
        return None if of_numbers else "categories"
    if name.startswith(("str", "utf8", "string", "large_string")):
        return "text"
    return "objects" if name == "object" else None


def _kind_of(values: Any) -> str | None:
    """Return what a column holds if these are not numbers; None for numbers."""
    kind = kind_of_dtype(values)
    if kind not in (None, "objects"):
        return kind
    array = np.asarray(values)
    if array.dtype.kind in "buifc":  # complex numbers are refused later
        return None
    held = [value for value in array.ravel().tolist() if value is not None and value == value]
    if any(isinstance(value, str | bytes) for value in held):
        return "text"
    if any(hasattr(value, "isoformat") for value in held):
        return "dates"
    others = [
        value for value in held if hasattr(value, "__len__") or not hasattr(value, "__float__")
    ]
    return f"{type(others[0]).__name__} objects" if others else None


_ENCODE = (
    "leave it out, encode it (sklearn.preprocessing.OneHotEncoder), convert it if it is numbers"
    " (pandas.to_numeric), or, if it holds the labels of sequences, name it as groups="
)
# What to do about a column, by what it holds.
_CURES = {
    "dates": (
        "leave it out; if it orders the rows of a long table, name it as time=, with groups=, or"
        " make features of it, the hour for example"
    ),
    "durations": "convert it, with .dt.total_seconds() for example",
    "text": _ENCODE,
    "categories": _ENCODE,
}
