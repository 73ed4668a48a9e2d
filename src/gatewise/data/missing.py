"""Missing values of padded sequences, marked by NaN: filled, indicated, or their steps left out.

All functions take ``values`` of shape ``(n, time, features)``, and ``lengths``. They never change
them, and never read values past a row's length: results are zero there. float32 stays float32, and
float64 stays float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checks import finite, fits_memory, sequence_lengths
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.memory import names_memory

from .sequences import infinity_at, real_array

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewise._typing import Array, ArrayLike, BoolArray, IntArray

__all__ = [
    "compress",
    "counted_steps",
    "feature_means",
    "fill_forward",
    "fill_mean",
    "has_missing",
    "missing_indicators",
    "scatter",
]

# Number of values that are read at once. Temporary arrays of this size stay in the cache, however
# large the data is.
BLOCK = 1 << 17


@names_memory
def feature_means(values: ArrayLike, lengths: ArrayLike | None = None) -> Array:
    """Return the mean of each feature over all steps at which it was observed.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.

    Returns
    -------
    ndarray of shape (features,), float32 or float64
        Summed in float64. A feature that was never observed has the mean 0.

    Raises
    ------
    ShapeError, DTypeError
        Arrays of other shapes or types.
    NonFiniteError
        ``values`` holds infinity.

    Examples
    --------
    >>> feature_means([[[1.0, np.nan], [3.0, np.nan]], [[5.0, 2.0], [np.nan, np.nan]]])
    array([3., 2.])
    """
    values, lengths = _given(values, lengths)
    seen = np.empty(values.shape, bool)
    for block in _blocks(values, lengths):
        seen[block.at] = block.seen
    counts = seen.sum(axis=(0, 1))
    sums = values.sum(axis=(0, 1), where=seen, dtype=np.float64)
    return (sums / np.maximum(counts, 1)).astype(values.dtype)


@names_memory
def has_missing(values: ArrayLike, lengths: ArrayLike | None = None) -> bool:
    """Return whether any value is missing.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.

    Returns
    -------
    bool
        False for an array without NaN before the ends of its rows.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        As in :func:`feature_means`.
    """
    values, lengths = _given(values, lengths)
    found = False
    for block in _blocks(values, lengths):  # every block, since each is searched for infinity
        found = found or not block.complete
    return found


@names_memory
def fill_mean(values: ArrayLike, means: ArrayLike, lengths: ArrayLike | None = None) -> Array:
    """Replace each missing value by the mean of its feature.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    means : array_like of shape (features,)
        What :func:`feature_means` returns for the training data.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.

    Returns
    -------
    ndarray of shape (n, time, features), float32 or float64
        A new array.

    Raises
    ------
    ShapeError, DTypeError
        Arrays of other shapes or types.
    NonFiniteError
        ``values`` holds infinity, or ``means`` NaN or infinity.

    Examples
    --------
    >>> fill_mean([[[1.0], [np.nan], [3.0]]], means=[2.0])[0, :, 0]
    array([1., 2., 3.])
    """
    values, lengths = _given(values, lengths)
    means, result = _means(means, values), np.empty(values.shape, values.dtype)
    for block in _blocks(values, lengths):
        block.write(
            result, block.values if block.complete else np.where(block.seen, block.values, means)
        )
    return result


@names_memory
def fill_forward(
    values: ArrayLike, lengths: ArrayLike | None = None, means: ArrayLike | None = None
) -> Array:
    """Replace each missing value by the last observed one.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.
    means : array_like of shape (features,), optional
        Values for the steps before the first observed value of a row. ``None``: 0.

    Returns
    -------
    ndarray of shape (n, time, features), float32 or float64
        A new array.

    Raises
    ------
    ShapeError, DTypeError
        Arrays of other shapes or types.
    NonFiniteError
        ``values`` holds infinity, or ``means`` NaN or infinity.

    Examples
    --------
    >>> fill_forward([[[np.nan], [5.0], [np.nan], [np.nan], [2.0]]])[0, :, 0]
    array([0., 5., 5., 5., 2.])
    """
    values, lengths = _given(values, lengths)
    means, result = _means(means, values), np.empty(values.shape, values.dtype)
    filled = np.empty(0)  # not read: rows begin with `means`
    for block in _blocks(values, lengths):
        # else the last values of the previous block, which has the same rows
        before = means if block.first else filled[:, -1:]
        filled = block.values if block.complete else _carried_on(block, before)
        block.write(result, filled)
    return result


@names_memory
def missing_indicators(
    values: ArrayLike,
    lengths: ArrayLike | None = None,
    times: ArrayLike | None = None,
    means: ArrayLike | None = None,
) -> Array:
    """Return values, whether each was observed, and how long ago: three features for each one.

    The time since a feature was last observed is defined as in Che et al. 2018, equation 2. It is 0
    at the first step. At each later step it is the time from the step before to this one; if the
    feature was missing at the step before, the result of that step is added.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.
    times : array_like of shape (time,) or (n, time), optional
        The time of each step, as numbers that never fall within a row, in the unit that the result
        will have. ``None``: a step takes 1.
    means : array_like of shape (features,), optional
        Values for missing ones. ``None``: 0.

    Returns
    -------
    ndarray of shape (n, time, 3 * features), float32 or float64
        All values, then all masks (1 observed, 0 missing), then all times.

    Raises
    ------
    ShapeError, DTypeError
        Arrays of other shapes or types.
    ConfigError
        ``times`` fall.
    NonFiniteError
        ``values`` holds infinity, or ``means`` or ``times`` NaN or infinity.

    References
    ----------
    Z. Che, S. Purushotham, K. Cho, D. Sontag, Y. Liu. Recurrent neural networks for multivariate
    time series with missing values. Scientific Reports 8, 6085 (2018).

    Examples
    --------
    >>> missing_indicators([[[7.0], [np.nan], [np.nan], [8.0]]])[0]
    array([[7., 1., 0.],
           [0., 0., 1.],
           [0., 0., 2.],
           [8., 1., 3.]])
    """
    values, lengths = _given(values, lengths)
    n, steps, features = values.shape
    times, means = _times(times, n, steps, lengths), _means(means, values)
    fits_memory(3 * values.size, values.dtype, "an array of values, masks and times")
    result = np.empty((n, steps, 3 * features), values.dtype)
    last = np.empty(0)  # not read: rows begin with their first time
    for block in _blocks(values, lengths):
        now = times[block.at][:, :, np.newaxis]
        # The sum of equation 2: the time since the last step before this one at which the feature
        # was observed, or since the first step.
        before = now[:, :1] if block.first else last[:, -1:]
        last = np.maximum.accumulate(np.where(block.seen, now, before), axis=1)  # times never fall
        filled = block.values if block.complete else np.where(block.seen, block.values, means)
        block.write(result[..., :features], filled)
        block.write(result[..., features : 2 * features], block.seen)
        block.write(
            result[..., 2 * features :],
            now
            - np.concatenate([np.broadcast_to(before, last[:, :1].shape), last[:, :-1]], axis=1),
        )
    return result


@names_memory
def counted_steps(values: ArrayLike, lengths: ArrayLike | None = None) -> BoolArray:
    """Return which steps have all their values.

    Parameters
    ----------
    values : array_like of shape (n, time, features)
        NaN where a value is missing.
    lengths : array_like of shape (n,), int, optional
        Number of steps in each row. ``None``: every row has all of them.

    Returns
    -------
    ndarray of shape (n, time), bool
        True if a step is within its row and none of its values is missing.

    Raises
    ------
    ShapeError, DTypeError, NonFiniteError
        As in :func:`feature_means`.

    Examples
    --------
    >>> counted_steps([[[1.0, 2.0], [np.nan, 3.0], [4.0, 5.0]]], lengths=[2])
    array([[ True, False, False]])
    """
    values, lengths = _given(values, lengths)
    counted = np.empty(values.shape[:2], bool)
    for block in _blocks(values, lengths):
        counted[block.at] = block.seen.all(axis=2) & block.inside[:, :, 0]
    return counted


@names_memory
def compress(values: ArrayLike, counted: ArrayLike) -> tuple[Array, IntArray]:
    """Move the steps that count to the front of each row; :func:`scatter` moves them back.

    Parameters
    ----------
    values : array_like of shape (n, time, ...)
        Any dtype.
    counted : array_like of shape (n, time), bool
        What :func:`counted_steps` returns.

    Returns
    -------
    values : ndarray of shape (n, time, ...)
        The steps that count, in their order, then zeros.
    lengths : ndarray of shape (n,), int
        Number of steps that count in each row.

    Raises
    ------
    ShapeError, DTypeError
        The arrays do not fit together, or ``counted`` is not boolean.

    Examples
    --------
    >>> compress([[1, 2, 3], [4, 5, 6]], [[True, False, True], [False, False, False]])
    (array([[1, 3, 0],
           [0, 0, 0]]), array([2, 0]))
    """
    values, counted, front = _to_move(values, counted)
    result = np.zeros_like(values, order="C")
    result[front] = values[counted]
    return result, counted.sum(axis=1)


@names_memory
def scatter(values: ArrayLike, counted: ArrayLike, fill: Any = 0) -> Array:
    """Move the steps at the front of each row to where :func:`compress` took them from.

    Parameters
    ----------
    values : array_like of shape (n, time, ...)
        Results for compressed steps, for example outputs or labels of each step. In each row, only
        as many steps are read as count.
    counted : array_like of shape (n, time), bool
        What :func:`compress` was given.
    fill : scalar, default 0
        Value of the steps that do not count.

    Returns
    -------
    ndarray of shape (n, time, ...)
        A new array of the dtype of `values`.

    Raises
    ------
    ShapeError, DTypeError
        The arrays do not fit together, or ``counted`` is not boolean.

    Examples
    --------
    >>> scatter([[1, 3, 0]], [[True, False, True]], fill=-1)
    array([[ 1, -1,  3]])
    """
    values, counted, front = _to_move(values, counted)
    result = np.full_like(values, fill, order="C")
    result[counted] = values[front]
    return result


def _to_move(values: Any, counted: Any) -> tuple[Array, BoolArray, BoolArray]:
    """Return values, counted and front, as arrays.

    Each row of front has as many True as the same row of counted, all at its beginning.
    """
    try:
        values, counted = np.asarray(values), np.asarray(counted)
    except ValueError as error:
        raise ShapeError(
            "values or counted has rows of different lengths; pad them first"
        ) from error
    if counted.dtype != np.bool_:
        raise DTypeError(f"counted holds {counted.dtype} values; expected booleans")
    if counted.ndim != 2 or values.shape[:2] != counted.shape:
        raise ShapeError(
            f"values has shape {values.shape} and counted {counted.shape}; expected (n, time, ...)"
            " and (n, time)"
        )
    return values, counted, np.arange(counted.shape[1]) < counted.sum(axis=1)[:, np.newaxis]


def _given(values: Any, lengths: Any) -> tuple[Array, IntArray | None]:
    """values and lengths, checked: a floating array of rank 3, and an integer array or None."""
    values = real_array(values, "values")
    if values.ndim != 3:
        raise ShapeError(
            f"values has shape {values.shape}; expected (n, time, features): for one feature pass "
            "values[:, :, np.newaxis]"
        )
    return values, sequence_lengths(lengths, *values.shape[:2])


@dataclass
class _Block:
    """Some steps of some rows.

    Attributes
    ----------
    at : (slice, slice)
        Which rows, and which steps of them.
    values, seen : ndarray (rows, steps, features)
        A view of the given values; and, as bool, whether there is a value, before the end of its
        row.
    inside : ndarray (rows or 1, steps, 1) of bool
        Which steps lie before the end of their row.
    complete : bool
        Nothing is missing before the ends.
    """

    at: tuple[slice, slice]
    values: Array
    seen: BoolArray
    inside: BoolArray
    complete: bool

    @property
    def first(self) -> bool:
        """Whether the rows begin here."""
        return self.at[1].start == 0

    def write(self, result: Array, part: Array) -> None:
        """Write `part` to the steps and rows of the block, with zeros past the ends of rows."""
        result[self.at] = part if self.inside.all() else np.where(self.inside, part, 0)


def _blocks(values: Array, lengths: IntArray | None) -> Iterator[_Block]:
    """Yield all blocks; those with the same rows are consecutive, in order of time.

    Raises
    ------
    NonFiniteError
        A value before the end of its row is infinite.
    """
    n, steps, features = values.shape
    rows = max(1, BLOCK // max(1, steps * features))
    length = max(1, BLOCK // max(1, features))
    for row in range(0, n, rows):
        for step in range(0, steps, length):
            at = slice(row, min(row + rows, n)), slice(step, min(step + length, steps))
            part = values[at]
            inside = np.ones((1, part.shape[1], 1), bool)
            if lengths is not None:
                inside = (np.arange(at[1].start, at[1].stop) < lengths[at[0], np.newaxis])[
                    :, :, np.newaxis
                ]
            seen = ~np.isnan(part) & inside
            infinite = np.isinf(part) & inside
            if infinite.any():
                raise infinity_at(values, np.argwhere(infinite)[0] + [row, step, 0], "values")
            yield _Block(at, part, seen, inside, bool((seen == inside).all()))


def _carried_on(block: _Block, before: Array) -> Array:
    """The last value observed up to each step; before the first one, `before` (..., features)."""
    steps = np.arange(block.seen.shape[1], dtype=np.intp)[:, np.newaxis]
    last = np.maximum.accumulate(np.where(block.seen, steps, -1), axis=1)
    return np.where(
        last >= 0, np.take_along_axis(block.values, np.maximum(last, 0), axis=1), before
    )


def _inside(lengths: IntArray | None, n: int, steps: int) -> BoolArray:
    """(n, time) bool: True up to each row's length."""
    return (
        np.ones((n, steps), bool) if lengths is None else np.arange(steps) < lengths[:, np.newaxis]
    )


def _means(means: Any, values: Array) -> Array:
    """(features,) in the dtype of values; zeros for None."""
    features = values.shape[2]
    if means is None:
        return np.zeros(features, values.dtype)
    means = real_array(means, "means")
    if means.shape != (features,):
        raise ShapeError(
            f"means has shape {means.shape}; expected ({features},), one mean for each feature"
        )
    return finite(means, "means").astype(values.dtype, copy=False)


def _times(times: Any, n: int, steps: int, lengths: IntArray | None) -> Array:
    """Times as float64 (n, time): differences are rounded to the values' dtype only afterwards."""
    if times is None:
        return np.broadcast_to(np.arange(steps, dtype=np.float64), (n, steps))
    times = real_array(times, "times").astype(np.float64, copy=False)
    if times.shape not in ((steps,), (n, steps)):
        raise ShapeError(
            f"times has shape {times.shape}; expected ({steps},), or ({n}, {steps}) if each row"
            " has times of its own"
        )
    inside = _inside(lengths, n, steps)
    times = finite(np.where(inside, times, 0.0), "times")
    falls = (np.diff(times, axis=1) < 0) & inside[:, 1:]
    if falls.any():
        row, step = (int(i) for i in np.argwhere(falls)[0])
        raise ConfigError(
            f"times[{row}] falls from {times[row, step]} at step {step} to {times[row, step + 1]}"
            f" at step {step + 1}; expected steps in order of time"
        )
    return times
