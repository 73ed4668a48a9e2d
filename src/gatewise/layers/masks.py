"""Boolean masks of the steps that count, and their conversion to lengths.

A masked step is ignored. The steps that count are therefore moved to the front of their rows, in
their order, and all layers run on rows of these lengths. If the output has steps, they are moved
back, with zeros at the steps that do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike


@dataclass(frozen=True)
class Places:
    """Original positions of steps that were moved to the front of their rows.

    Parameters
    ----------
    mask : ndarray of shape (batch, steps), bool
        True where a step counts.
    front_mask : ndarray of shape (batch, steps), bool
        The same after the move: True for the first steps of each row.
    """

    mask: Array
    front_mask: Array

    def __getitem__(self, rows: Array) -> Places:
        return Places(self.mask[rows], self.front_mask[rows])

    def to_front(self, array: Array) -> Array:
        """Return (batch, steps, ...) with the counted steps moved to the front, then zeros."""
        return _moved(array, self.mask, self.front_mask)

    def back(self, array: Array) -> Array:
        """Return the steps moved back to their original positions, zeros at the others."""
        return _moved(array, self.front_mask, self.mask)


@dataclass(frozen=True)
class Ends:
    """Replacement of :class:`Places` if the steps that count are already at the front.

    Parameters
    ----------
    mask : ndarray of shape (batch, steps), bool
        True where a step counts.
    """

    mask: Array

    def to_front(self, array: Array) -> Array:
        """Return (batch, steps, ...) with zeros at the steps that do not count."""
        return _moved(array, self.mask, self.mask)

    back = to_front


def counted_steps(lengths: Array, shape: tuple[int, ...]) -> Array:
    """Return which steps lie within their rows, bool (batch, steps, 1, ...).

    The result has as many axes as an x of this shape.
    """
    counted = np.arange(shape[1]) < lengths[:, None]
    return counted.reshape(counted.shape + (1,) * (len(shape) - 2))


def counted_mask(mask: Array | None, lengths: Array | None, shape: tuple[int, ...]) -> Array | None:
    """Return which steps count by a mask and by lengths, bool (batch, steps); None: all."""
    inside = None if lengths is None else counted_steps(lengths, shape[:2])
    if mask is None or inside is None:
        return inside if mask is None else mask
    return mask & inside


def held(y: Array, mask: Array, before: ArrayLike = 0) -> Array:
    """Repeat the values of the last counted step at each step that does not count.

    Parameters
    ----------
    y : ndarray of shape (batch, steps, ...)
        Outputs.
    mask : ndarray of shape (batch, steps), bool
        True where a step counts.
    before : scalar or ndarray, default 0
        Values of the steps before the first one that counts.

    Returns
    -------
    ndarray of shape (batch, steps, ...)
        A new array.
    """
    last = np.maximum.accumulate(np.where(mask, np.arange(mask.shape[1]), -1), axis=1)
    result = y[np.arange(len(y))[:, None], np.maximum(last, 0)]
    result[last < 0] = before
    return result


def held_backward(dy: Array, mask: Array) -> Array:
    """Return the gradient of the argument of :func:`held`.

    It is, for each counted step, the sum of the gradients of this step and of its repetitions.
    """
    result, later = np.zeros_like(dy), np.zeros_like(dy[:, :1])
    for t in range(dy.shape[1] - 1, -1, -1):
        counts = mask[:, t : t + 1].reshape(-1, *(1,) * (dy.ndim - 1))
        later = later + dy[:, t : t + 1]
        result[:, t : t + 1] = np.where(counts, later, 0)
        later = np.where(counts, 0, later)
    return result


def cleared_ends(x: Array, lengths: Array | None) -> Array:
    """Return x (batch, steps, ...) with zeros past these lengths; x itself if no row ends early.

    Padding may hold any numbers. Products and exponentials of them can overflow, and 0 times
    infinity is NaN.
    """
    if lengths is None or x.shape[1] <= lengths.min(initial=x.shape[1]):
        return x
    return np.where(counted_steps(lengths, x.shape), x, x.dtype.type(0))


def ends(lengths: Array, steps: int) -> Ends:
    """Return rows of these lengths as :class:`Ends`."""
    return Ends(counted_steps(lengths, (len(lengths), steps)))


def moved_resets(
    mask: Array, resets: Array, lengths: Array | None = None
) -> tuple[Array, Array, Array]:
    """Move resets together with the steps that count, which a mask moves to the front.

    A reset at a masked step clears the state before the counted step that is visited next: the
    next later one if a layer goes forward, the next earlier one if it goes backwards. If there is
    none, it clears the state that is kept for the next call. A layer that goes backwards starts
    each row at its last counted step, so that resets after it have no effect.

    Parameters
    ----------
    mask : ndarray of shape (batch, steps), bool
        True where a step counts.
    resets : ndarray of shape (batch, steps)
        Nonzero: the state is cleared before this step.
    lengths : ndarray of shape (batch,), int, optional
        Number of steps of each row; steps and resets past it are ignored. None: all steps count.

    Returns
    -------
    forward, backward : ndarray of shape (batch, steps), uint8
        Resets of the moved steps, for layers that go forward and for those that go backwards.
    cleared : ndarray of shape (batch, 2), bool
        Rows whose state is not kept, for layers that go forward and for those that go backwards.
    """
    flags = resets != 0
    if lengths is not None:
        inside = counted_steps(lengths, mask.shape)
        mask, flags = mask & inside, flags & inside
    places = Places(mask, counted_steps(mask.sum(axis=1), mask.shape))
    counted_before = np.cumsum(mask, axis=1) > 0  # at this step or an earlier one
    counted_later = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] > 0
    inner = flags & counted_later
    before = places.to_front(np.cumsum(inner, axis=1))  # resets up to each counted step
    after = places.to_front(np.cumsum(inner[:, ::-1], axis=1)[:, ::-1])  # from each step on
    forward = np.diff(before, axis=1, prepend=0) > 0
    backward = np.diff(after, axis=1, append=0) < 0
    cleared = np.stack(
        [(flags & ~counted_later).any(axis=1), (inner & ~counted_before).any(axis=1)], axis=1
    )
    return forward.view(np.uint8), backward.view(np.uint8), cleared


def _moved(array: Array, source: Array, target: Array) -> Array:
    moved = np.zeros_like(array)
    moved[target] = array[source]
    return moved


def step_mask(mask: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Check a mask for an x of this shape; return it as a bool ndarray (batch, steps).

    Raises
    ------
    DTypeError
        The mask does not hold booleans.
    ShapeError
        It has another shape.
    """
    if not isinstance(mask, np.ndarray):
        try:
            mask = np.asarray(mask)
        except ValueError as error:
            raise ShapeError("mask has rows of different lengths") from error
    if mask.dtype != np.bool_:
        raise DTypeError(
            f"mask holds {mask.dtype} values; expected booleans, True where a step counts"
        )
    if mask.shape != tuple(shape[:2]):
        raise ShapeError(
            f"mask has shape {mask.shape}, x has {tuple(shape)}; expected {tuple(shape[:2])}, one"
            " flag a step"
        )
    return np.ascontiguousarray(mask)


def lengths_and_places(
    mask: Array, lengths: Array | None = None
) -> tuple[Array | None, Places | None]:
    """Convert a mask to lengths of rows whose counted steps are moved to the front.

    Parameters
    ----------
    mask : ndarray of shape (batch, steps), bool
        True where a step counts.
    lengths : ndarray of shape (batch,), int, optional
        Steps past these lengths do not count either. None: the mask alone decides.

    Returns
    -------
    lengths : ndarray of shape (batch,), intp, or None
        Number of counted steps of each row. None: every step counts.
    places : Places or None
        Original positions of the steps. None: they are already at the front.
    """
    if lengths is not None:
        mask = mask & counted_steps(lengths, mask.shape)
    counts = mask.sum(axis=1, dtype=np.intp)
    if lengths is None and (counts == mask.shape[1]).all():
        return None, None
    front_mask = counted_steps(counts, mask.shape)
    return counts, None if np.array_equal(front_mask, mask) else Places(mask, front_mask)
