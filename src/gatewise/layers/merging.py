"""Layers that merge several arrays number by number: sum, difference, product, mean, extremes."""

from __future__ import annotations

import abc
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

from .base import Layer
from .merged_steps import MergedSteps, merge_steps
from .step_ops import MergeOp
from .symbol import OPERATORS
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class Merging(Layer):
    """Base of layers that read a list of at least two arrays."""

    several_inputs = _merges_steps = True
    _most_inputs: int | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def _checked_input(self, x: Any) -> NoReturn:
        """Refuse what :meth:`_is_several` does not take for several inputs."""
        given = f"a list of {len(x)}" if isinstance(x, list | tuple) else type(x).__name__
        raise DTypeError(
            f"layer {self.name!r} reads a list of at least two arrays, each an ndarray (batch,"
            f" ...); x is {given}"
        )

    def _checked_shapes(self, input_shape: Any) -> list[Shape]:
        """Return the shapes of the inputs, at least two of them."""
        if not isinstance(input_shape, list) or len(input_shape) < 2:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected a list of the"
                " shapes of at least two inputs"
            )
        if self._most_inputs is not None and len(input_shape) > self._most_inputs:
            raise ShapeError(
                f"layer {self.name!r} is given {len(input_shape)} inputs; expected"
                f" {self._most_inputs}"
            )
        for shape in input_shape:
            if len(shape) < 2:
                raise ShapeError(
                    f"layer {self.name!r} is given input shapes {_listed(input_shape)}; expected"
                    " at least two axes in each"
                )
        return input_shape

    def _refuse_shapes(self, shapes: Sequence[Shape], expected: str) -> NoReturn:
        raise ShapeError(
            f"layer {self.name!r} is given input shapes {_listed(shapes)}; expected {expected}"
        )

    def _read_several(self, x: Sequence[Array], lengths: Any) -> list[Batch]:
        if lengths is not None:
            for part, given in zip(x, checks.listed(lengths, "lengths", "arrays")):
                if given is not None and part.ndim < 3:
                    raise ShapeError(
                        f"lengths were given for an array of shape {part.shape}, which has no"
                        " steps; give None for it"
                    )
        return super()._read_several(x, lengths)

    def output_lengths(self, lengths: Any) -> Any:
        """Return the number of steps of each row of the output.

        Parameters
        ----------
        lengths : list of ndarray of shape (batch,), intp, or None
            Those of each input; None: all steps count.

        Returns
        -------
        ndarray of shape (batch,), intp, or None
            None: all steps count, or the output has no time axis.
        """
        given = lengths if isinstance(lengths, list) else [lengths]
        return next((each for each in given if each is not None), None)


@dataclass(slots=True)
class _Saved:
    """What the backward pass of a layer needs."""

    parts: list[Array]  # the inputs with as many axes as the output
    shapes: list[tuple[int, ...]]
    merged: MergedSteps


class _Elementwise(Merging):
    """Base of layers whose output has one number for one number of each input."""

    _merges_steps = True
    _operation: str  # of MergeOp

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked_shapes(input_shape)
        return self._common_shape(shapes)

    def _step_ops(self) -> list[StepOp]:
        return [merge_op(self, self._operation)]

    def _common_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape to which all inputs can be widened; None for axes of any extent."""
        rank = max(map(len, shapes))
        extents = []
        for axis, column in enumerate(zip(*(_widened(shape, rank) for shape in shapes))):
            found = {
                extent for extent in column if extent is not None and (extent != 1 or not axis)
            }
            if len(found) > 1:
                self._refuse_shapes(shapes, "the same shapes, or 1 for an axis to be repeated")
            extents.append(found.pop() if found else None if None in column else 1)
        return tuple(extents)

    def run(self, inputs: list[Batch], tape: Tape | None, node: Hashable) -> Batch:
        shapes = [part.values.shape for part in inputs]
        shape: Any = self._common_shape(shapes)
        checks.fits_memory(math.prod(shape), self.dtype, "the output of layer", self.name)
        timed = [len(each) == len(shape) > 2 and each[1] == shape[1] for each in shapes]
        merged = merge_steps(self.name, inputs, timed)
        parts = [
            part.reshape(_widened(part.shape, len(shape)))
            for part in merged.values_of(inputs, timed)
        ]
        y = np.empty(shape, self.dtype)
        self._merge(parts, y)
        if tape is not None:
            tape.keep(node, _Saved(parts, shapes, merged))
        return Batch(merged.cleared(y), merged.steps)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> list[Array] | None:
        saved = tape.take(node)
        if not wanted:
            return None
        dy = saved.merged.cleared(gradients)
        found = [
            _narrowed(part, given.shape).reshape(shape)
            for part, given, shape in zip(
                self._gradients_of(dy, saved.parts), saved.parts, saved.shapes
            )
        ]
        return saved.merged.back(found)

    @abc.abstractmethod
    def _merge(self, parts: list[Array], y: Array) -> None:
        """Write the output; the parts have its number of axes."""

    @abc.abstractmethod
    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        """Return a new array of the shape of the output for each part."""


class Add(_Elementwise):
    """The sum of all inputs.

    As in Keras, axes of extent 1 are repeated, and an input with fewer axes has axes of extent 1
    behind its first: (batch, features) is added to each step of (batch, steps, features). The
    inputs must have the same lengths or mask, or only one of them any, which then hold for all.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Add
    >>> Add()([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 4.0]], "f")]).tolist()
    [[4.0, 6.0]]
    """

    _operation = "add"

    def _merge(self, parts: list[Array], y: Array) -> None:
        np.add(parts[0], parts[1], out=y)
        for part in parts[2:]:
            y += part

    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        return [dy.copy() for _ in parts]


class Subtract(_Elementwise):
    """The first input minus the second.

    Shapes, lengths and masks are as in :class:`Add`.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Subtract
    >>> Subtract()([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[-2.0, -3.0]]
    """

    _operation = "subtract"
    _most_inputs = 2

    def _merge(self, parts: list[Array], y: Array) -> None:
        np.subtract(parts[0], parts[1], out=y)

    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        return [dy.copy(), -dy]


class Multiply(_Elementwise):
    """The product of all inputs, number by number.

    Shapes, lengths and masks are as in :class:`Add`.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Multiply
    >>> Multiply()([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[3.0, 10.0]]
    """

    _operation = "multiply"

    def _merge(self, parts: list[Array], y: Array) -> None:
        np.multiply(parts[0], parts[1], out=y)
        for part in parts[2:]:
            y *= part

    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        found = []
        for k in range(len(parts)):
            gradient = dy
            for other in parts[:k] + parts[k + 1 :]:
                gradient = gradient * other
            found.append(gradient)
        return found


class Average(_Elementwise):
    """The mean of all inputs, number by number.

    Shapes, lengths and masks are as in :class:`Add`.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Average
    >>> Average()([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[2.0, 3.5]]
    """

    _operation = "average"
    _keeps_limits = True

    def _merge(self, parts: list[Array], y: Array) -> None:
        np.add(parts[0], parts[1], out=y)
        for part in parts[2:]:
            y += part
        y /= len(parts)

    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        return [dy / len(parts) for _ in parts]


class _Extreme(_Elementwise):
    """Base of Maximum and Minimum: the gradient goes to the first input that has the extreme."""

    _keeps_limits = True
    _of_two: np.ufunc

    def _merge(self, parts: list[Array], y: Array) -> None:
        self._of_two(parts[0], parts[1], out=y)
        for part in parts[2:]:
            self._of_two(y, part, out=y)

    def _gradients_of(self, dy: Array, parts: list[Array]) -> list[Array]:
        y = np.empty_like(dy)
        self._merge(parts, y)
        free, found = np.ones(dy.shape, bool), []
        for part in parts:
            here = free & (part == y)
            free &= ~here
            found.append(np.where(here, dy, dy.dtype.type(0)))
        return found


class Maximum(_Extreme):
    """The largest number of all inputs, number by number.

    If several inputs have it, the gradient goes to the first of them. Shapes, lengths and masks are
    as in :class:`Add`.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Maximum
    >>> Maximum()([np.array([[1.0, 7.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[3.0, 7.0]]
    """

    _operation = "maximum"
    _of_two = np.maximum


class Minimum(_Extreme):
    """The smallest number of all inputs, number by number.

    If several inputs have it, the gradient goes to the first of them. Shapes, lengths and masks are
    as in :class:`Add`.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Minimum
    >>> Minimum()([np.array([[1.0, 7.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[1.0, 5.0]]
    """

    _operation = "minimum"
    _of_two = np.minimum


def merge_op(layer: Merging, kind: str) -> MergeOp:
    """The operation of a built layer that merges the vectors of its inputs."""
    widths = tuple(shape[-1] for shape in layer.input_shape)
    return MergeOp(
        name=layer.name,
        inputs=sum(widths),
        width=layer.output_shape[-1],
        kind=kind,
        widths=widths,
    )


def _widened(shape: Any, rank: int) -> Any:
    """The shape with axes of extent 1 behind the first, `rank` axes in all."""
    return (shape[0], *(1,) * (rank - len(shape)), *shape[1:])


def _narrowed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The sum of a gradient over the axes that were repeated."""
    axes = tuple(k for k, extent in enumerate(shape) if extent != gradient.shape[k])
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


def _listed(shapes: Sequence[Shape]) -> str:
    return ", ".join(map(str, shapes))


# What + - * of symbols make.
OPERATORS["add"] = lambda left, right: Add()([left, right])
OPERATORS["subtract"] = lambda left, right: Subtract()([left, right])
OPERATORS["multiply"] = lambda left, right: Multiply()([left, right])
