"""Dropout: of single numbers, and of whole features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.attributes import checked
from gatewise.errors import ShapeError
from gatewise.kernels import arrays

from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.layers.tape import Batch, Tape


class Dropout(Layer):
    """In training, a part of the inputs set to zero and the rest scaled by 1 / (1 - rate).

    Parameters
    ----------
    rate : float in [0, 1)
    noise_shape : tuple, optional
        Shape of the draw, 1 for axes that share it, None for the input's own extent.
    seed : int, optional
        Of a layer used alone; in a model the model's generator draws.
    """

    _keeps_limits = True
    rate: float = checked(checks.fraction)

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate = rate
        self.noise_shape: Any = (
            None if noise_shape is None else checks.shape_tuple(noise_shape, "noise_shape")
        )
        self.seed: int | None = checks.seed(seed)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        if tape is None:
            return inputs
        if self.rate == 0:
            tape.keep(node, None)
            return inputs
        x = inputs.values
        draws = self.random_generator().random(self._draw_shape(x.shape), np.float32)
        mask = arrays.dropout_mask(
            draws, self.rate, self.dtype, threads.threads_for(4 * draws.size)
        )
        tape.keep(node, mask)
        return inputs.with_values(x * mask)

    def _draw_shape(self, shape: tuple[int, ...]) -> Any:
        if self.noise_shape is None:
            return shape
        if len(self.noise_shape) != len(shape):
            raise ShapeError(
                f"noise_shape has {len(self.noise_shape)} axes, x has {len(shape)}: shape {shape}"
            )
        if any(fixed not in (None, 1, extent) for fixed, extent in zip(self.noise_shape, shape)):
            raise ShapeError(
                f"noise_shape is {self.noise_shape}, x has shape {shape}; expected the same"
                " extents, 1 or None"
            )
        return tuple(
            extent if fixed is None else fixed for fixed, extent in zip(self.noise_shape, shape)
        )

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        mask = tape.take(node)
        return gradients if mask is None else gradients * mask

    def get_config(self) -> Config:
        shape = None if self.noise_shape is None else list(self.noise_shape)
        return super().get_config() | {"rate": self.rate, "noise_shape": shape, "seed": self.seed}


class SpatialDropout1D(Dropout):
    """Dropout of whole features: in training, a feature is zero at all steps of a row, or at
    none (Tompson et al. 2015).

    Parameters
    ----------
    rate : float in [0, 1)
    seed : int, optional
        Of a layer used alone; in a model the model's generator draws.
    """

    _rank, _axes = 3, "(batch, steps, features)"

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, (None, 1, None), seed, **kwargs)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["noise_shape"]
        return config
