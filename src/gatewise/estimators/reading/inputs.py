"""What X may be, and how it becomes one array.

==================================================  ===============================================
X                                                   a sequence is
==================================================  ===============================================
array (n, time), frame, list of n lists of one      a row; its columns are steps of one feature
length
array (n, time, features)                           a block of steps
list, tuple or array of objects, (time_i,           one of them; lengths may differ
features) each
list, tuple or array of objects, (time_i,) each     one of them, of one feature; lengths may differ
frame or array (rows, features) with ``groups``     the rows of one group, in order
==================================================  ===============================================

A table of the first kind has a fixed number of columns, as everywhere in scikit-learn; in the
others the number of steps is free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.data.ordering import plain
from gatewise.data.sequences import read_sequences
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.kernels.arrays import first_nonfinite

from .sequences import Sequences, padded

if TYPE_CHECKING:
    from gatewise._typing import Array, IntArray

FLOATS = (np.float64, np.float32)


def read_each(X: Any) -> Sequences:
    """Read sequences that are given one by one, or as an array (n, time, features).

    Parameters
    ----------
    X : list or array
        See :func:`gatewise.data.sequences.read_sequences`. NaN is accepted.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    read = read_sequences(X)
    sequences = padded(read.steps, read.lengths)
    sequences.names = read.names
    return sequences


def refuse_missing(sequences: Sequences, name: str, missing: str | None) -> None:
    """Refuse NaN, with the place of the first one and advice.

    Parameters
    ----------
    sequences : Sequences
    name : str
        The class of the estimator.
    missing : str or None
        Values of the parameter `missing` that accept NaN. None: tokens, which cannot be missing.

    Raises
    ------
    NonFiniteError
    """
    values = sequences.values
    at = first_nonfinite(values) if values.dtype.kind == "f" else -1
    if at < 0:
        return
    place = f"Input X contains NaN, first in {_place(sequences, at)}"
    if missing is None:
        raise NonFiniteError(
            f"{place}; tokens cannot be missing: give what is missing a number of its own"
        )
    raise NonFiniteError(
        f"{place}. {name} accepts missing values if the parameter missing is one of {missing},"
        " which define what the network reads there; or leave such sequences out"
    )


def _place(sequences: Sequences, at: int) -> str:
    """Return the sequence, feature and step of an element of the flat array, for messages."""
    row, step, *feature = (int(i) for i in np.unravel_index(at, sequences.values.shape))
    where = (
        f"sequence {row}"
        if sequences.groups is None
        else f"group {plain(sequences.groups.labels[row])!r}"
    )
    if feature and sequences.values.shape[2] > 1:
        number = feature[0]
        names = None if sequences.table else sequences.names
        where += f", feature {number if names is None else names[number]!r}"
    return f"{where}, at step {step}"


def whole_numbers(values: Array) -> IntArray:
    """Return tokens (n, time) as int64.

    Parameters
    ----------
    values : ndarray of shape (n, time) or (n, time, 1)

    Raises
    ------
    ShapeError, DTypeError, ConfigError
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
