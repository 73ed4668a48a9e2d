"""Groups: which rows of a long table make a sequence, and in what order."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.columns import is_frame
from gatewise.data.ordering import is_missing, order_of_time, plain
from gatewise.data.sequences import container_of
from gatewise.errors import ConfigError, DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray


class Groups:
    """Which rows of a long table belong together.

    Parameters
    ----------
    labels : array_like of shape (rows,)
        Rows of equal labels are one sequence. Sequences are in the order in which their labels
        first appear.
    time : array_like of shape (rows,), optional
        The time of each row, see :func:`gatewise.data.ordering.order_of_time`. None: rows are in
        order of time.

    Attributes
    ----------
    labels : ndarray of shape (n,)
        The label of each sequence.
    number : ndarray of shape (rows,), int
        The sequence that each row belongs to.
    order : ndarray of shape (rows,), int
        The rows of the first sequence in order of time, then those of the second, and so on.
    lengths : ndarray of shape (n,), int
        The number of rows of each sequence.

    Raises
    ------
    ShapeError, ConfigError, DTypeError, NonFiniteError
    """

    labels: Array
    number: IntArray
    order: IntArray
    lengths: IntArray

    def __init__(self, labels: Any, time: Any = None) -> None:
        # A list is read as objects: an array of text would turn NaN into the text "nan".
        labels = np.asarray(labels) if hasattr(labels, "__array__") else np.asarray(labels, object)
        if labels.ndim != 1:
            raise ShapeError(f"groups has shape {labels.shape}; expected one label a row")
        _refuse_missing_labels(labels)
        try:
            self.labels, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        except TypeError as error:
            raise DTypeError(
                f"groups holds labels of several kinds, which have no order ({error}); make all of"
                " them text, or all numbers"
            ) from error
        rank = np.argsort(np.argsort(first))
        self.labels = self.labels[np.argsort(first)]
        self.number = rank[inverse.reshape(-1)]
        self.order = (
            np.argsort(self.number, kind="stable")
            if time is None
            else order_of_time(time, self.number, self.labels)
        )
        self.lengths = np.bincount(self.number, minlength=len(first))

    def sequences(self, rows: Array) -> list[Array]:
        """Return the part of each sequence, (time_i, ...), of an array with an entry a row."""
        return np.split(rows[self.order], np.cumsum(self.lengths)[:-1])

    def one_each(self, values: Any, name: str) -> Any:
        """Return an entry for each sequence.

        Parameters
        ----------
        values : array_like of shape (n, ...) or (rows, ...), or None
            Entries of sequences, in the order in which the groups first appear, or of rows, equal
            in all rows of a sequence. A pandas Series or frame whose index holds the labels of the
            groups, each once, may be in any order: ``groupby`` sorts its results by label.
        name : str
            The argument, for messages.

        Returns
        -------
        array_like of shape (n, ...), or None

        Raises
        ------
        ShapeError
        """
        if values is None:
            return None
        if len(values) == len(self.lengths):
            at = self._positions_in(getattr(values, "index", None))
            return values if at is None else values.iloc[at]
        values = np.asarray(values)
        if len(values) != len(self.number):
            raise ShapeError(
                f"{name} has {len(values)} entries; expected {len(self.lengths)}, one a group, or"
                f" {len(self.number)}, one a row"
            )
        parts = self.sequences(values)
        for label, part in zip(self.labels, parts):
            # NaN and NaN are one value
            if ((part != part[0]) & ((part == part) | (part[0] == part[0]))).any():
                raise ShapeError(
                    f"{name} changes within group {plain(label)!r}; expected one value a group"
                )
        return np.stack([part[0] for part in parts])

    def _positions_in(self, index: Any) -> Array | None:
        """Return the positions of the labels in a pandas index that holds just these, else None."""
        if not hasattr(index, "get_indexer") or index.nlevels > 1 or not index.is_unique:
            return None
        at = index.get_indexer(self.labels)
        return None if (at < 0).any() else at


def _refuse_missing_labels(labels: Array) -> None:
    """Refuse rows that have no label.

    Raises
    ------
    ConfigError
    """
    if labels.dtype.kind not in "OfmM":
        return
    missing = next((row for row, label in enumerate(labels) if is_missing(label)), None)
    if missing is not None:
        raise ConfigError(
            f"groups[{missing}] is {labels[missing]!r}; expected a label for each row: give such"
            " rows one, or leave them out"
        )


def split_groups(X: Any, groups: Any, time: Any = None) -> tuple[Any, Groups | None]:
    """Return X without the columns of groups and times, and how its rows make sequences.

    Parameters
    ----------
    X : array_like
    groups : array_like of shape (rows,), name of a column of X, or None
    time : array_like of shape (rows,), name of a column of X, or None
        The order of the rows within their group.

    Returns
    -------
    X : array_like
    groups : Groups or None

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    if groups is None:
        if time is not None:
            _refuse_time_alone(X)
        return X, None
    labels, moments = _column(X, groups, "groups", "labels"), _column(X, time, "time", "times")
    if isinstance(groups, str) and isinstance(time, str) and groups == time:
        raise ConfigError(f"groups and time are both {groups!r}; expected two columns")
    made = Groups(labels, moments)
    if len(made.number) != len(X):
        raise ShapeError(
            f"groups has {len(made.number)} labels, X has {len(X)} rows; expected one a row, or"
            " the name of one column"
        )
    return _without_columns(X, (groups, time)), made


def _refuse_time_alone(X: Any) -> None:
    """Refuse `time` without `groups`.

    Raises
    ------
    ConfigError
    """
    if container_of(X) is None:
        advice = "groups was not given: give groups, the labels of the rows of each sequence"
    else:
        advice = (
            "X holds sequences one by one: give each of them in order of time"
            " (frame.sort_values(...) of a data frame)"
        )
    raise ConfigError(f"time puts the rows of a long table in order, and {advice}")


def _without_columns(X: Any, names: Sequence[Any]) -> Any:
    """Return a frame without the columns that are named; anything else as it is."""
    named = [name for name in names if isinstance(name, str | numbers.Integral)]
    if not named or not is_frame(X):
        return X
    return X[[column for column in X.columns if column not in named]]


def _column(X: Any, given: Any, name: str, entries: str) -> Any:
    """Return the column of X that is named, or the array that was given.

    Raises
    ------
    ConfigError
        X has no such column.
    """
    if not isinstance(given, str | numbers.Integral):
        return given
    if not is_frame(X):
        raise ConfigError(
            f"{name} is {given!r} and X is a {type(X).__name__}, which has no named columns; give"
            f" the {entries}, one a row"
        )
    if given not in list(X.columns):
        raise ConfigError(
            f"{name} is {given!r}, which is no column of X; there are "
            f"{', '.join(map(str, X.columns))}{advice_on_level(X, given, 'X')}"
        )
    return X[given]


def advice_on_level(frame: Any, label: Any, name: str) -> str:
    """Return advice on a label that names a level of the index of a frame, not a column, or ""."""
    if label not in getattr(getattr(frame, "index", None), "names", ()):
        return ""
    return (
        f"; it is a level of the index: {name} = {name}.reset_index() makes columns of the levels"
    )
