"""Layers that arrange the numbers of each sample anew: Reshape and Permute."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .base import Layer
from .merged_steps import refuse_ragged
from .options import fixed
from .shaping import Flatten
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class Reshape(Flatten):
    """The numbers of each sample in another shape, in the same order.

    The steps of a sequence stay steps, with lengths and masks, if the first axis of the new shape
    is -1 or the number of steps, and the numbers of a step are as many as before. If there is only
    one axis, the layer does what :class:`Flatten` does. Otherwise all rows must have all steps.

    Parameters
    ----------
    target_shape : tuple of int
        Shape of a sample, without the batch. One axis may be -1: what remains.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Reshape
    >>> Reshape((2, -1))([[1.0, 2.0, 3.0, 4.0]]).tolist()
    [[[1.0, 2.0], [3.0, 4.0]]]
    """

    target_shape: tuple[int, ...] = fixed("_checked_target")

    def __init__(self, target_shape: int | Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = target_shape  # type: ignore[assignment]

    @staticmethod
    def _checked_target(value: Any) -> tuple[int, ...]:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            value = (value,)
        target = tuple(checks.whole_number(extent, "target_shape", low=-1) for extent in value)
        if 0 in target or not target or target.count(-1) > 1:
            raise ConfigError(
                f"target_shape is {target}; expected extents from 1, and at most one -1 for what"
                " remains"
            )
        return target

    def _shape_for(self, shape: Any) -> Any:
        """The shape of the output for an input of this shape; None for axes of any extent."""
        rest, known = shape[1:], math.prod(extent for extent in self.target_shape if extent > 0)
        if None in rest:
            target = [None if extent == -1 else extent for extent in self.target_shape]
            if self.target_shape[0] == -1 and self._same_numbers(rest[1:], target[1:]):
                target[0] = rest[0]
            return (shape[0], *target)
        size = math.prod(rest)
        if size % known if -1 in self.target_shape else size != known:
            raise ShapeError(
                f"layer {self.name!r} has target_shape={self.target_shape} and is given shape"
                f" {shape}: {size} numbers a row; expected"
                f" {'a multiple of ' if -1 in self.target_shape else ''}{known}"
            )
        return (
            shape[0],
            *(size // known if extent == -1 else extent for extent in self.target_shape),
        )

    @staticmethod
    def _same_numbers(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
        return None not in a and None not in b and math.prod(a) == math.prod(b)  # type: ignore[type-var]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self._shape_for(input_shape)

    def _keeps(self, shape: Shape) -> bool:
        """Whether the steps of an input of this shape stay steps."""
        found = self._shape_for(shape)
        return (
            len(shape) > 2
            and len(found) > 2
            and self._same_numbers(shape[2:], found[2:])
            and (self.target_shape[0] == -1 or found[1] == shape[1])
        )

    @property
    def keeps_steps(self) -> bool:
        """Whether step t of the output belongs to step t of the input."""
        return self.input_shape is not None and self._keeps(self.input_shape)

    @property
    def causal(self) -> bool:
        """Whether a step depends on no later one: if steps stay steps."""
        return self.keeps_steps

    @property
    def takes_any_length(self) -> bool:
        """Whether x may have another number of steps than the layer was built for."""
        return self.target_shape[0] == -1 and self.keeps_steps

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        if self.output_shape[-1] == self.input_shape[-1] and (
            self.keeps_steps or len(self.input_shape) == len(self.output_shape) == 2
        ):
            return None
        return f"it makes {self.target_shape} of {self.input_shape[1:]}"

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        if self._keeps(x.shape):
            if tape is not None:
                tape.keep(node, {"shape": x.shape, "counted": None, "places": None})
            return inputs.with_values(x.reshape(self._shape_for(x.shape)))
        if len(self.target_shape) > 1 and x.ndim > 2:
            refuse_ragged(self.name, inputs, "the input")
            inputs = Batch(x)
        return super().run(inputs, tape, node)

    def get_config(self) -> Config:
        return super().get_config() | {"target_shape": list(self.target_shape)}


class Permute(Layer):
    """The axes of each sample in another order.

    If the steps do not stay the first axis, all rows must have all steps.

    Parameters
    ----------
    dims : tuple of int
        The axes in their new order: ``(2, 1)`` exchanges the first two. 0, the batch, is not among
        them.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Permute
    >>> Permute((2, 1))([[[1.0, 2.0], [3.0, 4.0]]]).tolist()
    [[[1.0, 3.0], [2.0, 4.0]]]
    """

    _keeps_limits = True
    dims: tuple[int, ...] = fixed("_checked_dims")

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = dims  # type: ignore[assignment]

    @staticmethod
    def _checked_dims(value: Any) -> tuple[int, ...]:
        if not isinstance(value, list | tuple):
            raise DTypeError(f"dims is {value!r:.80}; expected a tuple such as (2, 1)")
        dims = tuple(checks.whole_number(axis, "dims", low=0) for axis in value)
        if not dims or sorted(dims) != list(range(1, len(dims) + 1)):
            raise ConfigError(
                f"dims is {dims}; expected each of the axes 1, 2, ... once, without the batch, 0"
            )
        return dims

    @property
    def keeps_steps(self) -> bool:
        """Whether the steps stay the first axis."""
        return self.dims[0] == 1

    causal = takes_any_length = keeps_steps

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        identity = self.dims == tuple(range(1, len(self.dims) + 1))
        return None if identity else f"it moves axes: dims is {self.dims}"

    def _step_ops(self) -> list[StepOp]:
        return []

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if len(input_shape) != 1 + len(self.dims):
            raise ShapeError(
                f"layer {self.name!r} has dims={self.dims} and is given shape {input_shape};"
                f" expected {1 + len(self.dims)} axes, that of the batch included"
            )
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        y = np.ascontiguousarray(inputs.values.transpose(0, *self.dims))
        if self.keeps_steps:
            return inputs.with_values(y)
        if y.ndim > 2:
            refuse_ragged(self.name, inputs, "the input")
        return Batch(y)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        back = np.argsort((0, *self.dims))
        return np.ascontiguousarray(gradients.transpose(back))

    def get_config(self) -> Config:
        return super().get_config() | {"dims": list(self.dims)}
