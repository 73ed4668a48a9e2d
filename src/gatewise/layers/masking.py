"""Masks made from values: steps that are only padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError

from .base import Layer
from .options import fixed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, BoolArray, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape


class Masking(Layer):
    """Mask the steps at which every feature has a given value.

    The first layer of a Sequential, for inputs (batch, steps, features). For all layers, the loss
    and the metrics, a masked step does not exist: recurrent layers do not change their state, and
    means are over the other steps. The outputs of the model are zero there, and so are those of
    this layer.

    Parameters
    ----------
    mask_value : float, default 0.0
        The value that marks a step.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise import Sequential
    >>> from gatewise.layers import GlobalAveragePooling1D, Masking
    >>> model = Sequential([Masking(-1.0), GlobalAveragePooling1D()])
    >>> model.predict([[[2.0], [4.0], [-1.0]]]).tolist()  # the last step is masked
    [[3.0]]
    """

    _keeps_limits = True
    _rank, _axes = 3, "(batch, steps, features)"
    reads_steps = _first_only = _masks_steps = True
    mask_value: float = fixed(checks.number)

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    @staticmethod
    def _shape_of_features(features: int) -> Shape:
        return (None, features)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 3:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected {self._axes}:"
                " for other sequences, give lengths or a mask together with x"
            )
        return input_shape

    def compute_mask(self, x: Array) -> BoolArray:
        return (x != np.asarray(self.mask_value, x.dtype)).any(axis=-1)

    def _step_ops(self) -> list[StepOp]:
        return []

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        mask = self.compute_mask(x)[..., None]
        if tape is not None:
            tape.keep(node, mask)
        return inputs.with_values(np.where(mask, x, x.dtype.type(0)))

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        mask = tape.take(node)
        return np.where(mask, gradients, gradients.dtype.type(0)) if wanted else None

    def get_config(self) -> Config:
        return super().get_config() | {"mask_value": self.mask_value}
