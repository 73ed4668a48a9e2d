"""Gradients made smaller in place: by element, by array, or all together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import threads
from gatewise.kernels import arrays

if TYPE_CHECKING:
    from gatewise._typing import Array


def clip_values(gradients: list[Array], limit: float) -> None:
    """Clip each element to [-limit, limit], in place."""
    for gradient in gradients:
        np.clip(gradient, -limit, limit, out=gradient)


def clip_norm(gradients: list[Array], limit: float) -> None:
    """Scale arrays, in place, so that the norm of all of them together is at most `limit`."""
    squares = sum(
        arrays.sum_of_squares(gradient, threads.threads_for(4 * gradient.size))
        for gradient in gradients
    )
    norm = float(np.sqrt(squares))
    if norm > limit:
        for gradient in gradients:
            gradient *= gradient.dtype.type(limit / norm)
