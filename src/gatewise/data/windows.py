"""Windows of a long series: what a forecaster sees, and what it has to say."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewise.checks import finite, fits_memory, whole_number
from gatewise.errors import ShapeError

from .sequences import real_array

__all__ = ["cut", "windows"]


def windows(series, input_steps, horizon=1, stride=1):
    """Cut a series into pairs of past steps and the steps that follow them.

    Row ``i`` starts at step ``s = i * stride``: ``x[i]`` is steps ``s`` to ``s + input_steps - 1``
    and ``y[i]`` the ``horizon`` steps after them. Steps left over at the end give no row.

    Parameters
    ----------
    series : array_like of shape (T,) or (T, features)
        Steps in order of time. float32 and float64 are kept, float16 becomes float32, whole
        numbers and lists float64. Never changed.
    input_steps : int
        Steps of the past in each window.
    horizon : int, default 1
        Steps to forecast after each window.
    stride : int, default 1
        Steps from the start of one window to the start of the next.

    Returns
    -------
    x : ndarray of shape (n, input_steps, features)
        ``n = (T - input_steps - horizon) // stride + 1``; a 1-D series has one feature.
    y : ndarray of shape (n, horizon), or (n, horizon, features) for a 2-D series
        Both are C-contiguous copies: ``fit`` takes them as they are, and changing one window
        changes no other.

    Raises
    ------
    ShapeError
        The series has another rank, no features, or too few steps for one window.
    ConfigError
        A number of steps is below 1.
    DTypeError
        A number of steps is not whole, or the series holds something other than real numbers
        that float64 can represent.
    NonFiniteError
        The series holds NaN or infinity.
    SizeError
        The windows do not fit into memory.

    Examples
    --------
    >>> x, y = windows([0.0, 1.0, 2.0, 3.0, 4.0], input_steps=3)
    >>> x[:, :, 0]
    array([[0., 1., 2.],
           [1., 2., 3.]])
    >>> y
    array([[3.],
           [4.]])
    """
    input_steps = whole_number(input_steps, "input_steps")
    horizon = whole_number(horizon, "horizon")
    stride = whole_number(stride, "stride")
    series = _series(series)

    steps, n_features = len(series), series[:1].size
    if steps < input_steps + horizon:
        raise ShapeError(f"series has {steps} steps; input_steps={input_steps} and horizon={horizon} need "
                         f"at least {input_steps + horizon}: give a longer series or shorter windows")
    rows = (steps - input_steps - horizon) // stride + 1
    fits_memory(rows * (input_steps + horizon) * n_features, series.dtype, f"an array of {rows} windows")

    x = cut(series.reshape(steps, n_features), input_steps, stride, rows)
    y = cut(series[input_steps:], horizon, stride, rows)
    return x, y


def _series(series):
    """The series as a finite, C-contiguous float array of rank 1 or 2."""
    given = real_array(series, "series")
    if given.ndim not in (1, 2):
        raise ShapeError(f"series has shape {given.shape}; expected (steps,) or (steps, features): cut one "
                         f"series at a time, so that no window runs from one into the next")
    if given.ndim == 2 and given.shape[1] == 0:
        raise ShapeError(f"series has no features (shape {given.shape}); expected at least one")
    return finite(given, "series") if given.size else given


def cut(series, length, stride, rows):
    """Copies of `rows` stretches of `length` steps; the feature axis, if there is one, stays last."""
    stretches = sliding_window_view(series, length, axis=0)[::stride][:rows]
    return np.moveaxis(stretches, -1, 1).copy(order="C")
