"""Masks from values: steps that only fill up a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .base import Layer
from .options import fixed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.layers.tape import Batch, Tape


class Masking(Layer):
    """Steps do not count where every feature is one value: (batch, steps, features), the first
    layer of a Sequential.

    A masked step is as if it were not there, to all layers, the loss and the metrics: recurrent
    layers leave their state as it is, means go over the other steps. Outputs of the model are zero
    there, and so is this layer's.

    Parameters
    ----------
    mask_value : float
    """

    _keeps_limits = True
    _rank, _axes = 3, "(batch, steps, features)"
    reads_steps = _first_only = True
    mask_value: float = fixed(checks.number)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    @staticmethod
    def _shape_of_features(features: int) -> Any:
        return (None, features)

    def compute_mask(self, x: Array) -> Array | None:
        return (x != np.asarray(self.mask_value, x.dtype)).any(axis=-1)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        mask = self.compute_mask(x)[..., None]
        if tape is not None:
            tape.keep(node, mask)
        return inputs.with_values(np.where(mask, x, x.dtype.type(0)))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
        mask = tape.take(node)
        return np.where(mask, gradients, gradients.dtype.type(0)) if wanted else None

    def get_config(self) -> Config:
        return super().get_config() | {"mask_value": self.mask_value}
