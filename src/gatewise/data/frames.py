"""Stacked frames: each step together with the steps before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from gatewise.checks import fits_memory, whole_number
from gatewise.errors import ConfigError, ShapeError
from gatewise.memory import names_memory

from .sequences import no_infinity, real_array
from .windows import one_series

if TYPE_CHECKING:
    from gatewise._typing import Array, ArrayLike

__all__ = ["stack_frames"]


@names_memory
def stack_frames(
    sequence: ArrayLike, frames: int, stride: int = 1, fill: Literal["first", "zero"] = "first"
) -> Array:
    """Replace each step by the last `frames` steps, the oldest first.

    A network then sees several steps at once. With a stride it also has fewer steps to process (Sak
    et al. 2015 stack 8 frames of speech and keep every third).

    Parameters
    ----------
    sequence : array_like of shape (time,) or (time, features)
        NaN is allowed.
    frames : int
        Number of steps that are stacked.
    stride : int, default 1
        Steps 0, ``stride``, ``2 * stride``, ... are kept.
    fill : {"first", "zero"}, default "first"
        Values before the first step: those of that step, or zeros.

    Returns
    -------
    ndarray of shape (ceil(time / stride), frames * features), float32 or float64
        A new array. Step t depends on no step after it.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        The sequence has another rank, no features, or holds something other than real numbers.
    ConfigError, DTypeError
        A number is not whole, or is below 1; or `fill` is neither of the two.
    SizeError
        The result does not fit into memory.

    References
    ----------
    H. Sak, A. Senior, K. Rao, F. Beaufays. Fast and accurate recurrent neural network acoustic
    models for speech recognition. Interspeech 2015.

    Examples
    --------
    >>> stack_frames([1.0, 2.0, 3.0, 4.0], frames=2)
    array([[1., 1.],
           [1., 2.],
           [2., 3.],
           [3., 4.]])
    """
    frames, stride = whole_number(frames, "frames"), whole_number(stride, "stride")
    if fill not in ("first", "zero"):
        raise ConfigError(f"fill is {fill!r}; expected 'first' or 'zero'")
    given = no_infinity(real_array(one_series(sequence, "sequence"), "sequence"), "sequence")
    if given.ndim not in (1, 2) or (given.ndim == 2 and given.shape[1] == 0):
        raise ShapeError(f"sequence has shape {given.shape}; expected (time,) or (time, features)")
    steps = given[:, np.newaxis] if given.ndim == 1 else given

    time, features = steps.shape
    kept = np.arange(0, time, stride)
    fits_memory(len(kept) * frames * features, steps.dtype, "an array of stacked frames")
    at = kept[:, np.newaxis] + np.arange(1 - frames, 1)
    stacked = steps[np.maximum(at, 0)]
    if fill == "zero":
        stacked[at < 0] = 0
    return stacked.reshape(len(kept), frames * features)
