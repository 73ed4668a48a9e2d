"""Weights in bytes: whole numbers from -127 to 127, and a scale for each column of a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import ConfigError
from gatewise.kernels.narrow_weights import MOST_LOST, int8

if TYPE_CHECKING:
    from gatewise._typing import Array


def quantize(matrix: Array, name: str) -> tuple[Array, Array, float]:
    """Round each column of a matrix to 127 steps of its largest number.

    The error of a column is the norm of what rounding changes, divided by the norm of the column:
    for inputs of equal sizes, the expected error of its sums. Normally distributed weights have
    0.6 to 0.9 %. The error grows with the largest weight of a column: it reaches 2 % when that is
    about nine times the root of the mean square.

    Parameters
    ----------
    matrix : ndarray of shape (n, columns)
        Weights.
    name : str
        Name of the matrix in messages.

    Returns
    -------
    bytes : ndarray of shape (n, columns), int8
    scales : ndarray of shape (columns,), float32
    error : float
        Largest error of a column.

    Raises
    ------
    ConfigError
        The error of a column is above 2 %: a few of its weights are so large that the others
        would be lost.

    Examples
    --------
    >>> import numpy as np
    >>> whole, scales, error = quantize(np.array([[0.5], [-1.0]], np.float32), "kernel")
    >>> whole.ravel().tolist(), round(error, 4)
    ([64, -127], 0.0035)
    """
    exact = matrix.astype(np.float64)
    largest = np.abs(exact).max(axis=0, initial=0.0)
    whole, scales = int8(matrix)
    change = np.sqrt(np.square(whole * scales - exact).sum(axis=0))
    norms = np.sqrt(np.square(exact).sum(axis=0))
    errors = np.divide(change, norms, out=np.zeros_like(change), where=largest >= 1e-30)
    worst = int(errors.argmax()) if errors.size else 0
    error = float(errors[worst]) if errors.size else 0.0
    if error > MOST_LOST:
        raise ConfigError(
            f"{name}: column {worst} would lose {error:.1%} of its weights in int8, of which at"
            f" most {MOST_LOST:.0%} is honest: its largest weight, {largest[worst]:.3g}, is"
            f" {largest[worst] / (norms[worst] / np.sqrt(len(exact))):.0f} times as large as the"
            " root of their mean square; use weights='float32', or train with a constraint or a"
            " penalty on large weights"
        )
    return whole, scales, error
