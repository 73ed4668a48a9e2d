"""The order in which a layer that goes backwards visits the steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gatewise._typing import Array


def backward_order(steps: int, lengths: Array | None) -> slice | Array:
    """Return the order of the steps if those of each row are visited from last to first.

    The order is its own inverse: steps past a row's end do not move.

    Parameters
    ----------
    steps : int
        Extent of the time axis.
    lengths : ndarray of shape (batch,), int, or None
        Number of steps of each row. None: all steps count.

    Returns
    -------
    ndarray of shape (batch, steps), int, or slice
        Index of the step that is visited at each position; a slice that reverses all rows if all
        steps count.
    """
    if lengths is None:
        return slice(None, None, -1)
    at = lengths[:, None] - 1 - np.arange(steps)
    return np.where(at >= 0, at, np.arange(steps))


def take_steps(x: Array, order: slice | Array) -> Array:
    """Return the steps of x (batch, steps, ...) in this order, as a new array."""
    if isinstance(order, slice):
        return np.ascontiguousarray(x[:, order])
    return x[np.arange(x.shape[0])[:, None], order]
