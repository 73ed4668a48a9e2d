"""Weights as bfloat16 or int8."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gatewise._typing import Array

__all__ = ["MOST_LOST", "STORAGES", "bfloat16", "int8", "lost", "panels", "widened"]

STORAGES = ("float32", "bfloat16", "int8")  # in the order of gw_storage in table.h

# Beyond this, which is reached if one weight is about nine times the root of the mean square of its
# column, a few large weights leave no digits for the others.
MOST_LOST = 0.02


def bfloat16(w: Array) -> Array:
    """Return the upper halves of float32 numbers, rounded to the nearest, a tie to even.

    Parameters
    ----------
    w : ndarray of float32, any shape
        Finite numbers.

    Returns
    -------
    ndarray of uint16, the shape of `w`
        A number that rounds beyond the largest bfloat16 becomes infinity.

    Examples
    --------
    >>> import numpy as np
    >>> widened(bfloat16(np.array([1.0, 1.0039], np.float32))).tolist()
    [1.0, 1.0]
    """
    bits = np.ascontiguousarray(w, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def widened(w: Array) -> Array:
    """Return bfloat16 numbers, as uint16, as float32."""
    return (w.astype(np.uint32) << 16).view(np.float32)


def int8(w: Array) -> tuple[Array, Array]:
    """Return weights as whole numbers from -127 to 127, with a scale for each column.

    Parameters
    ----------
    w : ndarray of float32, shape (inputs, columns)
        Finite numbers.

    Returns
    -------
    numbers : ndarray of int8, shape (inputs, columns)
        The nearest to w / scale.
    scales : ndarray of float32, shape (columns,)
        The largest magnitude of each column over 127; 0 for a column of zeros.

    Examples
    --------
    >>> import numpy as np
    >>> numbers, scales = int8(np.array([[127.0], [-2.2]], np.float32))
    >>> numbers.tolist(), scales.tolist()
    ([[127], [-2]], [1.0])
    """
    scales = (np.abs(w).max(axis=0, initial=0.0) / 127).astype(np.float32)
    steps = np.where(scales == 0, 1, scales.astype(np.float64))
    return np.rint(np.clip(w / steps, -127, 127)).astype(np.int8), scales


def lost(w: Array, storage: str) -> float:
    """Return how much of a column's weights is lost to rounding.

    It is the norm of what rounding changes, over that of the column: for inputs of equal sizes, the
    expected error of its sums. int8 loses 0.006 to 0.009 of normally distributed weights, and more
    if the largest weight stands out.

    Parameters
    ----------
    w : ndarray, shape (inputs, columns)
        Finite numbers.
    storage : {"bfloat16", "int8"}
        The type.

    Returns
    -------
    float
        That of the worst column.

    Examples
    --------
    >>> import numpy as np
    >>> lost(np.ones((1, 2), np.float32), "int8")
    0.0
    """
    exact = w.astype(np.float64)
    if storage == "bfloat16":
        rounded = widened(bfloat16(w)).astype(np.float64)
    else:
        numbers, scales = int8(w)
        rounded = numbers * scales.astype(np.float64)
    changes = np.linalg.norm(rounded - exact, axis=0)
    norms = np.linalg.norm(exact, axis=0)
    whole = norms >= 1e-30  # smaller columns add nothing
    return float((changes[whole] / norms[whole]).max(initial=0.0))


def panels(w: Array, columns: int, together: int) -> Array:
    """Return a matrix in the order in which ``narrow.h`` reads it.

    Parameters
    ----------
    w : ndarray, shape (inputs, all columns)
        Any dtype.
    columns : int
        Columns of a panel.
    together : int
        Inputs of one column that lie together: 2 or 4.

    Returns
    -------
    ndarray, shape (panels, inputs / together, columns, together)
        Filled up with zeros.
    """
    inputs, width = w.shape
    full = np.zeros((-(-inputs // together) * together, -(-width // columns) * columns), w.dtype)
    full[:inputs, :width] = w
    split = full.reshape(len(full) // together, together, full.shape[1] // columns, columns)
    return np.ascontiguousarray(split.transpose(2, 0, 3, 1))
