"""What X may be, and the one array that is made of it.

=====================================================  ==========================================================
X                                                      one sequence is
=====================================================  ==========================================================
array (n, time), frame, list of n lists of one length  a row; its columns are steps of one feature
array (n, time, features)                              a block of steps list, tuple or array of
objects: (time_i, features)    one of them; lengths may differ list, tuple or array of objects:
(time_i,)             one of them, of one feature; lengths may differ frame or array (rows,
features) with ``groups``        the rows of one group, in order
=====================================================  ==========================================================

A table of the first kind has a fixed number of columns, as everywhere in scikit-learn; in the
others the number of steps is free.
"""

import contextlib
import math
import numbers
from dataclasses import dataclass

import numpy as np

from gatewise import checks
from gatewise.data.columns import is_frame
from gatewise.data.ordering import is_missing, order_of_time, plain
from gatewise.data.sequences import container_of, read_sequences
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NonFiniteError, ShapeError
from gatewise.kernels.arrays import first_nonfinite

FLOATS = (np.float64, np.float32)


@dataclass
class Sequences:
    """Sequences in one array.

    Attributes
    ----------
    values : ndarray (n, steps, features), or (n, steps) of tokens
        Padded with zeros on the right.
    lengths : ndarray (n,) of int, or None
        Steps of each; None: all of them.
    table : bool
        They came as rows of a table: the number of columns is fixed.
    groups : Groups or None
        How rows of a long table make sequences.
    counted : ndarray (n, all steps) of bool, or None
        Steps with a missing value were left out: which of all were not. `values` and `lengths` know
        the others only.
    given_lengths : ndarray (n,) of int, or None
        The lengths with them.
    names : tuple of str, or None
        Of the columns of frames.
    """

    values: np.ndarray
    lengths: np.ndarray | None = None
    table: bool = False
    groups: "Groups | None" = None
    counted: np.ndarray | None = None
    given_lengths: np.ndarray | None = None
    names: tuple | None = None

    def __len__(self):
        return len(self.values)

    def take(self, rows):
        """The sequences of an index array."""
        lengths, counted, given = (
            None if part is None else part[rows]
            for part in (self.lengths, self.counted, self.given_lengths)
        )
        return Sequences(self.values[rows], lengths, self.table, None, counted, given)

    @property
    def each_length(self):
        """ndarray (n,) of the steps of each sequence."""
        return np.full(len(self), self.values.shape[1]) if self.lengths is None else self.lengths

    @property
    def all_lengths(self):
        """ndarray (n,) of the steps of each sequence, with those that were left out."""
        return self.each_length if self.given_lengths is None else self.given_lengths

    @property
    def valid(self):
        """ndarray (n, steps) of bool: which steps are no padding."""
        return np.arange(self.values.shape[1]) < self.each_length[:, None]


class Groups:
    """Which rows of a long table belong together.

    Parameters
    ----------
    labels : array_like (rows,)
        Rows of equal labels are one sequence; sequences stand in the order in which their labels
        first appear.
    time : array_like (rows,), optional
        When each row was: :func:`gatewise.data.ordering.order_of_time`. None: rows are in order of
        time.
    """

    def __init__(self, labels, time=None):
        # A list as objects: an array of texts and NaN would hold the text "nan".
        labels = np.asarray(labels) if hasattr(labels, "__array__") else np.asarray(labels, object)
        if labels.ndim != 1:
            raise ShapeError(f"groups has shape {labels.shape}; expected one label a row")
        missing = (
            [row for row, label in enumerate(labels) if is_missing(label)]
            if labels.dtype.kind in "OfmM"
            else []
        )
        if missing:
            raise ConfigError(
                f"groups[{missing[0]}] is {labels[missing[0]]!r}; expected a label for each row:"
                " give such rows one, or leave them out"
            )
        try:
            self.labels, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
        except TypeError as error:
            raise DTypeError(
                f"groups holds labels of several kinds, which have no order ({error}); make all of"
                " them text, or all numbers"
            ) from error
        rank = np.argsort(np.argsort(first))
        self.labels = self.labels[np.argsort(first)]
        self.number = rank[inverse.reshape(-1)]  # of the sequence that each row belongs to
        self.order = (
            np.argsort(self.number, kind="stable")
            if time is None
            else order_of_time(time, self.number, self.labels)
        )
        self.lengths = np.bincount(self.number, minlength=len(first))

    def sequences(self, rows):
        """list of ndarray (time_i, ...) of an array with an entry a row."""
        return np.split(rows[self.order], np.cumsum(self.lengths)[:-1])

    def one_each(self, values, name):
        """An entry a sequence, of one a sequence or one a row; those of a sequence's rows must be the same.

        Entries a sequence stand in the order in which the groups first appear. A pandas Series or
        frame whose index holds the labels of the groups, each once, may stand in any order: as what
        ``groupby`` gives, which is sorted by label.

        Raises
        ------
        ShapeError
        """
        if values is None:
            return None
        if len(values) == len(self.lengths):
            at = self._places_in(getattr(values, "index", None))
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

    def _places_in(self, index):
        """Where the label of each group stands in a pandas index that holds these labels and no others, else None."""
        if not hasattr(index, "get_indexer") or index.nlevels > 1 or not index.is_unique:
            return None
        at = index.get_indexer(self.labels)
        return None if (at < 0).any() else at


@contextlib.contextmanager
def checked_by_sklearn():
    """scikit-learn's checks, with their messages, as errors of gatewise."""
    try:
        yield
    except GatewiseError:
        raise
    except TypeError as error:
        raise DTypeError(str(error)) from error
    except ValueError as error:
        kind = (
            NonFiniteError
            if "contains NaN" in str(error) or "contains infinity" in str(error)
            else ConfigError
        )
        raise kind(str(error)) from error


def unmasked(values, name="X"):
    """`values`, unless it is a masked array with masked elements: what lies under a mask is no data.

    Raises
    ------
    NonFiniteError
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise NonFiniteError(
            f"{name} has masked elements; expected values: fill them, with {name}.filled(value) for"
            " example"
        )
    return values


def summable(sample_weight):
    """The weights of a score, unless their sum overflows: the score would be 0 or NaN. What is no array of numbers is returned.

    Raises
    ------
    ConfigError
    """
    weights = None if sample_weight is None else np.asarray(sample_weight)
    return (
        sample_weight
        if weights is None or weights.dtype.kind not in "iuf"
        else checks.summable(weights, "sample_weight")
    )


def axes_of(X):
    """Number of axes of an array, or of what can be made one."""
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def read_each(X):
    """Sequences of a list or an array (n, time, features). NaN passes.

    Parameters
    ----------
    X : what :func:`gatewise.data.sequences.read_sequences` takes

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    read = read_sequences(X)
    sequences = padded(read.steps, read.lengths)
    sequences.names = read.names
    return sequences


def refuse_missing(sequences, name, missing):
    """Refuse NaN where nothing is to be done about it.

    Parameters
    ----------
    sequences : Sequences
    name : str
        Of the estimator's class.
    missing : str or None
        The cure: values of the parameter `missing`. None: with tokens there is none.

    Raises
    ------
    NonFiniteError
    """
    values = sequences.values
    at = first_nonfinite(values) if values.dtype.kind == "f" else -1
    if at < 0:
        return
    row, step, *feature = (int(i) for i in np.unravel_index(at, values.shape))
    where = (
        f"sequence {row}"
        if sequences.groups is None
        else f"group {plain(sequences.groups.labels[row])!r}"
    )
    if feature and values.shape[2] > 1:
        column = (
            feature[0]
            if sequences.names is None or sequences.table
            else sequences.names[feature[0]]
        )
        where += f", feature {column!r}"
    cure = (
        "give what is missing a number of its own"
        if missing is None
        else (
            f"set missing={missing}, which say what the network reads there; or leave such"
            " sequences out"
        )
    )
    raise NonFiniteError(
        f"Input X contains NaN, first in {where}, at step {step}. {name} takes missing values if it"
        f" is told what to do about them: {cure}"
        if missing is not None
        else (
            f"Input X contains NaN, first in {where}, at step {step}; tokens cannot be missing:"
            f" {cure}"
        )
    )


def padded(stacked, lengths):
    """Sequences of the steps of all of them, one behind the other.

    Raises
    ------
    SizeError
        A few long ones beside many short ones: padded to the longest they do not fit into memory.
    """
    if lengths[0] and (lengths == lengths[0]).all():
        return Sequences(stacked.reshape(len(lengths), lengths[0], *stacked.shape[1:]))
    shape = (len(lengths), max(1, int(lengths.max())), *stacked.shape[1:])
    checks.fits_memory(
        math.prod(shape),
        stacked.dtype,
        f"X, {shape[0]} sequences padded to the {shape[1]} steps of the longest,",
    )
    sequences = Sequences(np.zeros(shape, stacked.dtype), lengths)
    sequences.values[sequences.valid] = stacked
    return sequences


def whole_numbers(values):
    """Tokens (n, time) as int64.

    Raises
    ------
    DTypeError, ConfigError
    """
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 2:
        raise ShapeError(
            f"X has shape {values.shape}; with embedding it holds whole numbers, (n, time)"
        )
    if values.dtype.kind in "uf" and values.max(initial=0) >= 2**63:
        raise ConfigError(
            f"X holds {values.max()}; with embedding it holds whole numbers below 2**63"
        )
    if values.dtype.kind == "f" and np.array_equal(values, np.floor(values)):
        values = values.astype(np.int64)
    if values.dtype.kind not in "ui":
        raise DTypeError(f"X holds {values.dtype} values; with embedding it holds whole numbers")
    if values.min(initial=0) < 0:
        raise ConfigError(
            f"X holds {values.min()}; with embedding it holds whole numbers from 0 up"
        )
    return values.astype(np.int64)


def split_groups(X, groups, time=None):
    """X without the columns of groups and times, and how its rows make sequences.

    Parameters
    ----------
    X : array_like
    groups : array_like (rows,), name of a column of X, or None
    time : array_like (rows,), name of a column of X, or None
        Rows are put in this order within their group.

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
            raise ConfigError(
                "time puts the rows of a long table in order, and "
                + (
                    "groups was not given: give groups, which says which rows make a sequence"
                    if container_of(X) is None
                    else (
                        "X holds sequences one by one: give each of them in order of time"
                        " (frame.sort_values(...) of a data frame)"
                    )
                )
            )
        return X, None
    if is_frame(X):
        named = [name for name in (groups, time) if isinstance(name, str | numbers.Integral)]
        rest = X[[column for column in X.columns if column not in named]] if named else X
    else:
        rest = X
    labels, moments = _column(X, groups, "groups", "labels"), _column(X, time, "time", "times")
    if isinstance(groups, str) and isinstance(time, str) and groups == time:
        raise ConfigError(f"groups and time are both {groups!r}; expected two columns")
    groups = Groups(labels, moments)
    if len(groups.number) != len(X):
        raise ShapeError(
            f"groups has {len(groups.number)} labels, X has {len(X)} rows; expected one a row, or"
            " the name of one column"
        )
    return rest, groups


def of_index(frame, label, name):
    """Advice on a label that names no column of a frame but a level of its index, or ""."""
    if label not in getattr(getattr(frame, "index", None), "names", ()):
        return ""
    return (
        f"; it is a level of the index: {name} = {name}.reset_index() makes columns of the levels"
    )


def _column(X, given, name, entries):
    """The column of X that is named, or what was given."""
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
            f"{', '.join(map(str, X.columns))}{of_index(X, given, 'X')}"
        )
    return X[given]
