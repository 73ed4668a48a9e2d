"""Dropout of single numbers, and of whole features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import checked
from gatewise.errors import ShapeError
from gatewise.kernels import arrays

from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape


class Dropout(Layer):
    """Set some inputs to zero in training, at random, and scale the others by 1 / (1 - rate).

    At inference the output is the input itself.

    Parameters
    ----------
    rate : float
        Probability that an input is set to zero, in [0, 1).
    noise_shape : tuple of int or None, optional
        Shape of the random draw: 1 for an axis whose entries are kept or dropped together, None for
        an axis of the input's size. None instead of a tuple: each number is drawn by itself.
    seed : int, optional
        Seed of the draws of a layer used alone, from 0. None: a random one. In a model, the
        generator of the model draws.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dropout
    >>> y = Dropout(0.5, seed=0).forward(np.ones((1, 100), "float32"), training=True)
    >>> np.unique(y).tolist()
    [0.0, 2.0]
    """

    _keeps_limits = True
    rate: float = checked(checks.fraction)

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.noise_shape: Shape | None = (
            None if noise_shape is None else checks.shape_tuple(noise_shape, "noise_shape")
        )
        self.seed: int | None = checks.seed(seed)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        if tape is None:
            return inputs
        if self.rate == 0 or not tape.training:
            tape.keep(node, None)
            return inputs
        x = inputs.values
        draws = self.random_generator().random(self._draw_shape(x.shape), np.float32)
        mask = arrays.dropout_mask(
            draws, self.rate, self.dtype, threads.threads_for(4 * draws.size)
        )
        tape.keep(node, mask)
        return inputs.with_values(x * mask)

    def _draw_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the random draw for an input of this shape."""
        if self.noise_shape is None:
            return shape
        if len(self.noise_shape) != len(shape):
            raise ShapeError(
                f"noise_shape has {len(self.noise_shape)} axes, x has {len(shape)}: shape {shape}"
            )
        if any(fixed not in (None, 1, extent) for fixed, extent in zip(self.noise_shape, shape)):
            raise ShapeError(
                f"noise_shape is {self.noise_shape}, x has shape {shape}; expected the same"
                " sizes, 1 or None"
            )
        return tuple(
            extent if fixed is None else fixed for fixed, extent in zip(self.noise_shape, shape)
        )

    def _step_ops(self) -> list[StepOp]:
        return []

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        mask = tape.take(node)
        return gradients if mask is None else gradients * mask

    def get_config(self) -> Config:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return super().get_config() | {"rate": self.rate, "noise_shape": shape, "seed": self.seed}


class SpatialDropout1D(Dropout):
    """Dropout of whole features: in each row, a feature is zero at all steps or at none.

    The input has shape (batch, steps, features). Published by Tompson et al. (2015).

    Parameters
    ----------
    rate : float
        Probability that a feature is set to zero in a row, in [0, 1).
    seed : int, optional
        Seed of the draws of a layer used alone, from 0. None: a random one. In a model, the
        generator of the model draws.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import SpatialDropout1D
    >>> x = np.ones((1, 5, 4), "float32")
    >>> y = SpatialDropout1D(0.5, seed=0).forward(x, training=True)
    >>> bool((y == y[:, :1]).all())
    True
    """

    _rank, _axes = 3, "(batch, steps, features)"

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["noise_shape"]
        return config
