"""Which step of a sequence a layer visits s-th."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gatewise._typing import Array


def backward_order(steps: int, lengths: Array | None) -> slice | Array:
    """Which step of x comes s-th if each row's true steps are visited from last to first.

    The order is its own inverse: steps past a row's end stay where they are.

    Parameters
    ----------
    steps : int
        Extent of the time axis.
    lengths : ndarray (batch,), int, or None
        Steps in each row; None: all of them.

    Returns
    -------
    ndarray (batch, steps) of int, or a slice that turns all rows
    """
    if lengths is None:
        return slice(None, None, -1)
    at = lengths[:, None] - 1 - np.arange(steps)
    return np.where(at >= 0, at, np.arange(steps))


def take_steps(x: Array, order: slice | Array) -> Array:
    """The steps of x (batch, steps, ...) in this order, a new array."""
    if isinstance(order, slice):
        return np.ascontiguousarray(x[:, order])
    return x[np.arange(x.shape[0])[:, None], order]
