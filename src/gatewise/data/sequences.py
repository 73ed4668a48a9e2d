"""How data is read: numbers as floating arrays, and every form in which sequences may be given."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checks import float_array, of_columns
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

from .columns import check_kind, common_names, names_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewise._typing import Array, IntArray

__all__ = [
    "Sequences",
    "contained",
    "container_of",
    "no_infinity",
    "read_sequences",
    "real_array",
    "split",
]


def real_array(given: Any, name: str) -> Array:
    """Return a C-contiguous floating array of real numbers; float32 and float64 are kept.

    Parameters
    ----------
    given : array_like
        float16 becomes float32; booleans, whole numbers and lists become float64. NaN and infinity
        are allowed.
    name : str
        Its name, for messages.

    Raises
    ------
    DTypeError
        It holds something other than real numbers that float64 can represent.
    ShapeError
        It has rows of different sizes.
    NonFiniteError
        It is a masked array with masked elements.
    """
    try:
        values = np.asanyarray(given)  # a masked array stays one, and is refused below
    except ValueError as error:
        raise ShapeError(
            f"{name} has steps of different sizes; each step must have the same features"
        ) from error
    given = of_columns(given, name) if values.dtype == object and hasattr(given, "iloc") else values
    if given.dtype.kind not in "buif" or given.dtype.itemsize > 8:
        raise DTypeError(
            f"{name} holds {given.dtype} values; expected real numbers that float64 can "
            "represent: leave out dates and text, convert the rest with astype('float64')"
        )
    single = given.dtype.kind == "f" and given.dtype.itemsize <= 4
    return float_array(given, name, np.dtype("float32" if single else "float64"), convert=False)


def no_infinity(values: Array, name: str) -> Array:
    """Return `values`, and refuse infinity; NaN is allowed, since it marks a missing value.

    Raises
    ------
    NonFiniteError
        With the position of the first infinity.
    """
    infinite = np.isinf(values)
    if infinite.any():
        raise infinity_at(values, np.argwhere(infinite)[0], name)
    return values


def infinity_at(values: Array, position: Iterable[Any], name: str) -> NonFiniteError:
    """Return the error that names the position of an infinity in `values`."""
    at = tuple(int(i) for i in position)
    return NonFiniteError(
        f"{name} holds {values[at]} at index {at}; expected finite numbers, or NaN for a missing"
        " value"
    )


@dataclass(frozen=True)
class Sequences:
    """Sequences in one form, however they were given: all their steps, one sequence after another.

    Attributes
    ----------
    steps : ndarray of shape (total, features), float32 or float64
        Never written to: it may be the caller's memory.
    lengths : ndarray of shape (n,), int
        Steps in each sequence.
    form : {"table", "array", "list", "tuple", "objects", "series"}
        The form of X: ``(n, time)``, ``(n, time, features)``, a container of sequences, or one
        series.
    flat : tuple of bool
        Whether each sequence of a container was ``(time_i,)``, without an axis of features.
    names : tuple of str, or None
        Names of the columns of a frame, or of all frames of a container.
    """

    steps: Array
    lengths: IntArray
    form: str
    flat: tuple[bool, ...] = ()
    names: tuple[str, ...] | None = None

    @property
    def features(self) -> int:
        """Number of features of a step."""
        return self.steps.shape[1]

    def rows(self) -> list[Array]:
        """Return a view ``(time_i, features)`` of each sequence."""
        return split(self.steps, self.lengths)

    def rebuilt(self, steps: Array, lengths: IntArray | None = None) -> Any:
        """Return a container like the one that was given, with other steps in it.

        A table, and sequences without an axis of features, keep their form if `steps` has one
        feature.

        Parameters
        ----------
        steps : ndarray of shape (total, features)
            The steps of all sequences, one sequence after another.
        lengths : ndarray of shape (n,), int, optional
            Number of steps in each sequence, the same for all of a table or an array. ``None``:
            those of the given sequences.
        """
        lengths = self.lengths if lengths is None else lengths
        if self.form == "series":
            return steps
        if self.form in ("table", "array"):
            result = steps.reshape(len(lengths), lengths[0], steps.shape[1])
            return result[:, :, 0] if self.form == "table" and steps.shape[1] == 1 else result
        rows = split(steps, lengths)
        return contained(
            [
                row[:, 0] if flat and row.shape[1] == 1 else row
                for row, flat in zip(rows, self.flat)
            ],
            self.form,
        )


def split(steps: Array, lengths: IntArray) -> list[Array]:
    """Return views of the parts of `steps`, of these lengths, one after another."""
    ends = np.cumsum(lengths).tolist()
    return [steps[start:end] for start, end in zip([0, *ends], ends)]


def contained(rows: list[Array], form: str) -> Any:
    """Return arrays as ``"list"``, ``"tuple"`` or ``"objects"`` (an object array of shape (n,))."""
    if form != "objects":
        return tuple(rows) if form == "tuple" else rows
    result = np.empty(len(rows), object)
    result[:] = rows
    return result


def read_sequences(X: Any, name: str = "X", *, one_series: bool = False) -> Sequences:
    """Read sequences from any form in which they may be given.

    Parameters
    ----------
    X : array_like or list
        - ``(n, time)``, also as a data frame: n sequences of one feature;
        - ``(n, time, features)``;
        - a list, tuple or object array of n sequences, each ``(time_i, features)`` or
          ``(time_i,)``, of any lengths from 0. Nested lists of plain numbers whose rows are all
          equally long are an array.

        float32 and float64 are kept (a container has the widest type of its sequences), float16
        becomes float32, and whole numbers become float64. NaN is allowed.
    name : str, default "X"
        Its name, for messages.
    one_series : bool, default False
        True: a 2-D array is one sequence, ``(steps, features)``.

    Returns
    -------
    Sequences

    Raises
    ------
    ShapeError
        Another rank, no sequence, no features, or sequences of different numbers of features;
        frames whose columns differ from those of the first, or have another order.
    DTypeError, ConfigError
        X holds something other than real numbers.
    NonFiniteError
        X holds infinity.
    """
    check_kind(X, name)
    form, values = _form(X, name, one_series)
    if form == "array":
        return replace(_read_array(values, name, one_series), names=names_of(X))
    return _read_rows(values, name, form)


def container_of(X: Any) -> str | None:
    """Return what holds sequences one by one: "list", "tuple" or "objects"; None for one array.

    "objects" is an object array or a Series.
    Nested lists of plain numbers whose rows are all equally long are one array.
    """
    if isinstance(X, list | tuple):
        kind = "tuple" if isinstance(X, tuple) else "list"
        if any(hasattr(item, "__array__") and np.ndim(item) for item in X):
            return kind
        try:
            X = np.asanyarray(X)
        except ValueError:  # rows of different lengths
            return kind
        if X.ndim > 1 and X.size == 0:  # sequences without a step
            return kind
    if len(getattr(X, "shape", (0,))) != 1:
        return None
    values = np.asanyarray(X)
    one_by_one = (
        values.dtype == object
        and values.ndim == 1
        and (not len(values) or any(map(_is_sequence, values)))
    )
    return "objects" if one_by_one else None


def _is_sequence(item: Any) -> bool:
    return (
        hasattr(item, "__len__")
        and not isinstance(item, str | bytes)
        and getattr(item, "ndim", 1) > 0
    )


def _form(X: Any, name: str, one_series: bool) -> tuple[str, Any]:
    """``"array"`` and an array of rank 2 or 3, or the kind of container and a list of its items."""
    container = container_of(X)
    if container is not None:
        return container, list(X)
    values = np.asanyarray(X)
    if values.ndim not in (2, 3):
        expected, advice = (
            ("(steps, features)", f"{name}[:, np.newaxis] if it is a series of one feature")
            if one_series
            else ("(n, time)", f"{name}[np.newaxis] if it is one sequence")
        )
        raise ShapeError(
            f"{name} has shape {values.shape}; expected {expected}, (n, time, features) or a list"
            f" of sequences. Reshape your data: {advice}"
        )
    return "array", values


def _read_array(values: Array, name: str, one_series: bool) -> Sequences:
    if values.shape[0] == 0:
        raise ShapeError(
            f"Found array with 0 sample(s) (shape={values.shape}) while a minimum of 1 is required:"
            f" {name} holds no sequence"
        )
    if values.shape[-1] == 0:
        raise ShapeError(
            f"Found array with 0 feature(s) (shape={values.shape}) while a minimum of 1 is"
            f" required: {name} holds no values"
        )
    if one_series and values.ndim == 2:
        return Sequences(_numbers(values, name), np.array([len(values)], np.intp), "series")
    form = "table" if values.ndim == 2 else "array"
    n, time, *features = values.shape
    steps = _numbers(values, name).reshape(n * time, *(features or [1]))
    return Sequences(steps, np.full(n, time, np.intp), form)


def _read_rows(items: list[Any], name: str, form: str) -> Sequences:
    if not items:
        raise ShapeError(f"{name} holds no sequence; expected at least one")
    rows, flat, names = [], [], common_names(items, name)
    for number, item in enumerate(items):
        check_kind(item, f"{name}[{number}]")
        if isinstance(item, tuple) and len(item) == 2 and np.ndim(item[0]) > np.ndim(item[1]):
            raise ShapeError(
                f"{name}[{number}] is a pair, as of a sequence and its target; expected the"
                f" sequences alone: {name} = [x for x, y in pairs], and y = [y for x, y in pairs]"
            )
        row = _numbers(item, f"{name}[{number}]")
        if row.ndim not in (1, 2):
            raise ShapeError(
                f"{name}[{number}] has shape {row.shape}; expected (time,) or (time, features)"
            )
        flat.append(row.ndim == 1)
        rows.append(row[:, np.newaxis] if row.ndim == 1 else row)
        if rows[-1].shape[1] == 0 or rows[-1].shape[1] != rows[0].shape[1]:
            raise ShapeError(
                f"{name}[{number}] has {rows[-1].shape[1]} features a step, {name}[0] has"
                f" {rows[0].shape[1]}; expected the same number, at least 1, in every sequence"
            )
    lengths = np.array([len(row) for row in rows], np.intp)
    return Sequences(np.concatenate(rows), lengths, form, tuple(flat), names)


def _holds_none(values: Iterable[Any]) -> bool:
    """Whether nested lists hold None, a missing value, anywhere."""
    return any(
        value is None or (isinstance(value, list | tuple) and _holds_none(value))
        for value in values
    )


def _numbers(given: Any, name: str) -> Array:
    """A floating array without infinity; objects that are numbers are read as float64."""
    if isinstance(given, list | tuple):
        with contextlib.suppress(ValueError):  # rows of different sizes, which are refused below
            array = np.asanyarray(given)
            given = array if array.dtype != object or _holds_none(given) else given
    if hasattr(given, "to_list"):  # steps in a Series of polars: numbers, or lists of them
        given = np.asarray(given)
    kind = getattr(getattr(given, "dtype", None), "kind", None)
    if kind == "c":
        raise ConfigError(
            f"Complex data not supported: {name} holds {given.dtype} values; expected real numbers"
        )
    if kind == "O" and not hasattr(given, "iloc"):
        try:
            given = np.asarray(given.tolist(), np.float64)
        except (TypeError, ValueError) as error:
            raise DTypeError(f"{name} holds objects that are not numbers: {error}") from error
    return no_infinity(real_array(given, name), name)
