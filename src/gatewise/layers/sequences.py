"""The base of layers that read the steps of sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import ShapeError

from .base import Layer

if TYPE_CHECKING:
    from gatewise._typing import Array, Shape


class SequenceLayer(Layer):
    """Base of layers that read (batch, steps, features) with at least one step."""

    _rank, _axes = 3, "(batch, steps, features)"
    reads_steps = True

    @staticmethod
    def _shape_of_features(features: int) -> Shape:
        return (None, features)

    def _check_input_shape(self, input_shape: Any, known_features: bool = True) -> None:
        if len(input_shape) == 3 and not (known_features and input_shape[-1] is None):
            return
        number = " with a known number of features" if known_features else ""
        hint = (
            "; the recurrent layer before it needs return_sequences=True"
            if len(input_shape) == 2 and self.model
            else ""
        )
        raise ShapeError(
            f"layer {self.name!r} is given input shape {input_shape}; expected"
            f" {self._axes}{number}{hint}"
        )

    def _check_shape(self, x: Array) -> None:
        super()._check_shape(x)
        if x.shape[1] == 0:
            raise ShapeError(f"x has shape {x.shape}: no time steps; expected at least 1")
