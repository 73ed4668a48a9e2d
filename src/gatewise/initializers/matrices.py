"""Initial values that are matrices with a structure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError
from gatewise.memory import numpy_products

from .base import Initializer

if TYPE_CHECKING:
    from gatewise._typing import Array


class Orthogonal(Initializer):
    """Orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2014).

    Parameters
    ----------
    gain : float, default 1.0
        What the values are multiplied by.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import Orthogonal
    >>> q = Orthogonal(seed=0)((3, 3))
    >>> bool(abs(q @ q.T - [[1, 0, 0], [0, 1, 0], [0, 0, 1]]).max() < 1e-6)
    True
    """

    seed: int | None
    gain: float

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = checks.number(gain, "gain"), seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) < 2:
            raise ShapeError(f"orthogonal weights need two axes, got shape {shape}")
        rows, columns = int(np.prod(shape[:-1])), shape[-1]
        numpy_products(8 * 4 * rows * columns)
        q, r = np.linalg.qr(rng.standard_normal((max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # makes the distribution uniform
        return self.gain * (q.T if rows < columns else q).reshape(shape)


class Identity(Initializer):
    """The identity matrix times `gain` (Le et al. 2015); a wide matrix repeats it for each gate.

    Parameters
    ----------
    gain : float, default 1.0
        What the values are multiplied by.

    Examples
    --------
    >>> from gatewise.initializers import Identity
    >>> Identity()((2, 4))
    array([[1., 0., 1., 0.],
           [0., 1., 0., 1.]], dtype=float32)
    """

    gain: float

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = checks.number(gain, "gain")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        if len(shape) != 2 or shape[1] % shape[0]:
            raise ShapeError(f"identity weights need shape (n, k*n), got {shape}")
        return self.gain * np.tile(np.eye(shape[0]), shape[1] // shape[0])
