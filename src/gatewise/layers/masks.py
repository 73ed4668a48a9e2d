"""Boolean masks: which steps count. They become what everything else knows, rows with lengths.

A masked step is as if it were not there. So the steps that count move to the front of their row, in
their order, all layers run on rows of these lengths, and where the output has steps it is put back,
with zeros where nothing counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from gatewise._typing import Array


@dataclass(frozen=True)
class Places:
    """Where the steps of rows come from whose counted steps were moved to the front.

    Parameters
    ----------
    mask : ndarray (batch, steps), bool
        True where a step counts.
    front_mask : ndarray (batch, steps), bool
        The same once they were moved: as many in each row, from its beginning.
    """

    mask: np.ndarray
    front_mask: np.ndarray

    def __getitem__(self, rows: Array) -> Places:
        return Places(self.mask[rows], self.front_mask[rows])

    def to_front(self, array: Array) -> Array:
        """The counted steps of (batch, steps, ...) at the front of their rows, zeros behind
        them.
        """
        return _moved(array, self.mask, self.front_mask)

    def back(self, array: Array) -> Array:
        """Steps that were moved to the front in their places again, zeros in the others."""
        return _moved(array, self.front_mask, self.mask)


@dataclass(frozen=True)
class Ends:
    """What :class:`Places` is where the steps that count stand at the front already.

    Parameters
    ----------
    mask : ndarray (batch, steps), bool
        True where a step counts.
    """

    mask: np.ndarray

    def to_front(self, array: Array) -> Array:
        """The counted steps of (batch, steps, ...), zeros behind them."""
        return _moved(array, self.mask, self.mask)

    back = to_front


def counted_steps(lengths: Array | None, shape: tuple[int, ...]) -> Any:
    """Which steps lie within their rows: bool ndarray (batch, steps, 1, ...), of as many axes
    as x of this shape has.
    """
    counted = np.arange(shape[1]) < lengths[:, None]
    return counted.reshape(counted.shape + (1,) * (len(shape) - 2))


def counted_mask(mask: Array, lengths: Array | None, shape: tuple[int, ...]) -> Any:
    """Which steps count, bool ndarray (batch, steps), by a mask and lengths, each perhaps None;
    None if both are.
    """
    inside = None if lengths is None else counted_steps(lengths, shape[:2])
    if mask is None or inside is None:
        return inside if mask is None else mask
    return mask & inside


def held(y: Array, mask: Array, before: Any = 0) -> Any:
    """y (batch, steps, ...) with the last counted step's values at each step that does not count.

    Parameters
    ----------
    y : ndarray (batch, steps, ...)
    mask : ndarray (batch, steps), bool
        True where a step counts.
    before : scalar or ndarray
        What steps hold in front of the first that counts.
    """
    last = np.maximum.accumulate(np.where(mask, np.arange(mask.shape[1]), -1), axis=1)
    result = y[np.arange(len(y))[:, None], np.maximum(last, 0)]
    result[last < 0] = before
    return result


def held_backward(dy: Array, mask: Array) -> Any:
    """The gradient of what :func:`held` was given: that of each counted step and of the steps
    that repeat it.
    """
    result, later = np.zeros_like(dy), np.zeros_like(dy[:, :1])
    for t in range(dy.shape[1] - 1, -1, -1):
        counts = mask[:, t : t + 1].reshape(-1, *(1,) * (dy.ndim - 1))
        later = later + dy[:, t : t + 1]
        result[:, t : t + 1] = np.where(counts, later, 0)
        later = np.where(counts, 0, later)
    return result


def cleared_ends(x: Array, lengths: Array | None) -> Any:
    """x (batch, steps, ...) with zeros past these lengths; x itself if no row ends early.

    What padding holds is any number. Products and exponentials of it can overflow, and 0 times
    infinity is NaN.
    """
    if lengths is None or x.shape[1] <= lengths.min(initial=x.shape[1]):
        return x
    return np.where(counted_steps(lengths, x.shape), x, x.dtype.type(0))


def ends(lengths: Array | None, steps: int) -> Any:
    """Rows of these lengths as :class:`Ends`."""
    return Ends(counted_steps(lengths, (len(lengths), steps)))


def moved_resets(mask: Array, resets: Array | None, lengths: Array | None = None) -> Any:
    """(forward, backward, cleared): what becomes of resets where a mask moves the steps that
    count to the front.

    A flag at a masked step clears the state before the step that counts and is visited next: the
    later one for a layer that goes forward, the earlier one for one that goes backwards. Where none
    is left, it clears the state that is kept for the next call. To a layer that goes backwards a
    row begins at its last counted step, so that what stands behind it is nothing.

    Parameters
    ----------
    mask, resets : ndarray (batch, steps)
    lengths : ndarray (batch,), int, optional
        What stands past them is nothing, flags neither.

    Returns
    -------
    forward, backward : ndarray (batch, steps), uint8
        Where the state is cleared before a counted step, at the front of the rows.
    cleared : ndarray (batch, 2), bool
        Rows whose state is not kept, by layers that go forward, and backwards.
    """
    flags = resets != 0
    if lengths is not None:
        inside = counted_steps(lengths, mask.shape)
        mask, flags = mask & inside, flags & inside
    places = Places(mask, counted_steps(mask.sum(axis=1), mask.shape))
    counted_before = np.cumsum(mask, axis=1) > 0  # at this step or an earlier one
    counted_later = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1] > 0
    inner = flags & counted_later
    before = places.to_front(np.cumsum(inner, axis=1))  # flags up to each counted step
    after = places.to_front(np.cumsum(inner[:, ::-1], axis=1)[:, ::-1])  # and from each on
    forward = np.diff(before, axis=1, prepend=0) > 0
    backward = np.diff(after, axis=1, append=0) < 0
    cleared = np.stack(
        [(flags & ~counted_later).any(axis=1), (inner & ~counted_before).any(axis=1)], axis=1
    )
    return forward.view(np.uint8), backward.view(np.uint8), cleared


def _moved(array: Array, source: Any, target: Any) -> Any:
    moved = np.zeros_like(array)
    moved[target] = array[source]
    return moved


def step_mask(mask: Array, shape: tuple[int, ...]) -> Any:
    """bool ndarray (batch, steps) for an x of this shape.

    Raises
    ------
    DTypeError, ShapeError
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


def lengths_and_places(mask: Array, lengths: Array | None = None) -> Any:
    """What a mask becomes: (lengths or None, Places or None).

    Parameters
    ----------
    mask : ndarray (batch, steps), bool
    lengths : ndarray (batch,), int, optional
        Steps past them do not count either.

    Returns
    -------
    lengths : ndarray (batch,), intp, or None
        None where every step counts.
    places : Places or None
        None where the steps that count stand at the front already.
    """
    if lengths is not None:
        mask = mask & counted_steps(lengths, mask.shape)
    counts = mask.sum(axis=1, dtype=np.intp)
    if lengths is None and (counts == mask.shape[1]).all():
        return None, None
    front_mask = counted_steps(counts, mask.shape)
    return counts, None if np.array_equal(front_mask, mask) else Places(mask, front_mask)
