"""Layers that change the shape of their input: Flatten and RepeatVector."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError

from .base import Layer
from .masks import counted_steps
from .options import fixed
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class Flatten(Layer):
    """Make one row of each sample: (batch, a, b, ...) becomes (batch, a * b * ...).

    Steps that do not count become zeros.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Flatten
    >>> Flatten()([[[1.0, 2.0], [3.0, 4.0]]]).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """

    keeps_steps = takes_any_length = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return None if len(self.input_shape) == 2 else "it makes one vector of all steps"

    def _step_ops(self) -> list[StepOp]:
        return []

    def _check_shape(self, x: Array) -> None:
        if x.ndim != len(self.input_shape):
            raise ShapeError(
                f"x has shape {x.shape}; layer {self.name!r} expects {self.input_shape}"
            )
        for axis, (extent, expected) in enumerate(zip(x.shape, self.input_shape)):
            is_free = axis == 0 or (axis == 1 and self.takes_any_length)
            if expected is not None and not is_free and extent != expected:
                raise ShapeError(
                    f"x has shape {x.shape}; layer {self.name!r} expects {self.input_shape}"
                )

    def _shape_for(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the output for an x of this shape."""
        return (shape[0], math.prod(shape[1:]))

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, counted = inputs.values, None
        places = None if inputs.steps is None else inputs.steps.places
        if inputs.lengths is not None:
            counted = counted_steps(inputs.lengths, x.shape)
            x = np.where(counted, x, x.dtype.type(0))
        y = (x if places is None else places.back(x)).reshape(self._shape_for(x.shape))
        if tape is not None:
            tape.keep(node, {"shape": x.shape, "counted": counted, "places": places})
        return Batch(y)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        saved = tape.take(node)
        dx, counted, places = gradients.reshape(saved["shape"]), saved["counted"], saved["places"]
        if places is not None:
            return places.to_front(dx)
        return dx if counted is None else np.where(counted, dx, dx.dtype.type(0))


class RepeatVector(Layer):
    """Repeat each row's vector as n steps: (batch, features) becomes (batch, n, features).

    It connects an encoder, whose last output describes a sequence, to a decoder, which reads that
    output at every step.

    Parameters
    ----------
    n : int
        Number of steps of the output, from 1.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import RepeatVector
    >>> RepeatVector(2)([[1.0, 3.0]]).tolist()
    [[[1.0, 3.0], [1.0, 3.0]]]
    """

    _keeps_limits = True
    _rank, _axes = 2, "(batch, features)"
    n: int = fixed(checks.whole_number)
    _cannot_advance = "it makes steps of a vector that describes a whole sequence"
    _cannot_stream = _cannot_advance

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 2:
            hint = (
                "; the recurrent layer before it needs return_sequences=False"
                if len(input_shape) == 3 and self.model
                else ""
            )
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch,"
                f" features){hint}"
            )
        return (input_shape[0], self.n, input_shape[1])

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        count = x.shape[0] * self.n * x.shape[1]
        checks.fits_memory(count, self.dtype, "the output of layer", self.name)
        return inputs.with_values(np.repeat(x[:, None], self.n, axis=1))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        return gradients.sum(axis=1)

    def get_config(self) -> Config:
        return super().get_config() | {"n": self.n}
