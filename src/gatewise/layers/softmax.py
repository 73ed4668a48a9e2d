"""Softmax over chosen axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import activations, arrays

from .activation import ActivationLayer
from .masks import counted_steps
from .options import fixed
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.tape import Tape

EXPONENTIAL = activations.code("exponential")


class Softmax(ActivationLayer):
    """Softmax over one axis or several: ``exp(x) / sum(exp(x))``.

    Over the axis of the steps (1 of three or more axes), only steps that count take part.

    Parameters
    ----------
    axis : int or list of int, default -1
        The axes whose numbers have the sum 1; negative: counted from the last. Not 0, the batch.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Softmax
    >>> Softmax(axis=1)([[[0.0], [0.0]]], lengths=[1]).tolist()
    [[[1.0], [0.0]]]
    """

    axis: Any = fixed("_checked_axis")

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    @staticmethod
    def _checked_axis(value: Any) -> int | tuple[int, ...]:
        several = isinstance(value, list | tuple)
        found = [
            checks.whole_number(axis, "axis", low=-32, high=32)
            for axis in (value if several else [value])
        ]
        if 0 in found or not found:
            raise ConfigError(f"axis is {value!r}; expected axes without 0, the batch")
        return tuple(found) if several else found[0]

    def _axes_of(self, rank: int) -> tuple[int, ...]:
        """The axes in their order, counted from the first."""
        given = self.axis if isinstance(self.axis, tuple) else (self.axis,)
        axes = sorted({axis + rank if axis < 0 else axis for axis in given})
        if not (0 < axes[0] and axes[-1] < rank) or len(axes) < len(given):
            raise ShapeError(
                f"layer {self.name!r} has axis={self.axis} and is given an array of {rank} axes;"
                f" expected axes from 1 to {rank - 1}, or from {1 - rank} to -1, each once"
            )
        return tuple(axes)

    @property
    def activation(self) -> str | None:
        """ "softmax" if the layer is built, and the axis is the last one."""
        if self.input_shape is None:
            return None
        rank = len(self.input_shape)
        return "softmax" if self._axes_of(rank) == (rank - 1,) else None

    @property
    def _limiting_activation(self) -> str | None:
        return self.activation

    @property
    def reads_steps(self) -> bool:
        """Whether the sum is over steps."""
        rank = 0 if self.input_shape is None else len(self.input_shape)
        return rank > 2 and 1 in self._axes_of(rank)

    @property
    def causal(self) -> bool:
        """Whether a step depends on no later one: if the sum is not over steps."""
        return not self.reads_steps

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return None if self.activation == "softmax" else f"its sums are over axis {self.axis}"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._axes_of(len(input_shape))
        return input_shape

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        axes = self._axes_of(x.ndim)
        if 0 in x.shape[1:]:
            raise ShapeError(f"x has shape {x.shape}; expected at least 1 number on each axis")
        rows = _last(x, axes)
        work = threads.threads_for(20 * x.size)
        if x.ndim > 2 and 1 in axes:
            steps = np.full(len(x), x.shape[1]) if inputs.lengths is None else inputs.lengths
            counted = np.broadcast_to(counted_steps(steps, x.shape), x.shape)
            y = _softmax_of(rows, _last(counted, axes), work)
        else:
            y = np.empty_like(rows)
            if y.size:
                arrays.softmax(rows, y, work)
        if tape is not None:
            tape.keep(node, y.copy())
        return inputs.with_values(_as_given(y, x.shape, axes))

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        y, axes = tape.take(node), self._axes_of(gradients.ndim)
        dz = np.empty_like(y)
        if y.size:
            dy = _last(gradients, axes)
            if 1 in axes:  # at steps that do not count, y is 0, and dy may be anything
                dy = np.where(y == 0, y, dy)
            arrays.softmax_backward(y, dy, dz, threads.threads_for(4 * y.size))
        return _as_given(dz, gradients.shape, axes)

    def get_config(self) -> Config:
        axis = list(self.axis) if isinstance(self.axis, tuple) else self.axis
        return super().get_config() | {"axis": axis}


def _softmax_of(rows: Array, counted: Array, work: int) -> Array:
    """Softmax of the numbers of each row that count; 0 for the others.

    Sums are added one after the other, so that zeros between them change no bit.
    """
    low = rows.dtype.type(-np.inf)
    most = np.where(counted, rows, low).max(axis=1, keepdims=True)
    shifted = np.where(counted, rows - np.where(np.isfinite(most), most, 0), 0)
    y = np.empty_like(rows)
    if y.size:
        arrays.activate(np.ascontiguousarray(shifted, rows.dtype), y, EXPONENTIAL, work)
    y[~counted] = 0
    sums = np.add.accumulate(y, axis=1)[:, -1:]
    sums[sums == 0] = 1  # rows in which nothing counts
    y /= sums
    return y


def _last(x: Array, axes: tuple[int, ...]) -> Array:
    """x as (all other axes, these axes)."""
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    columns = math.prod(x.shape[axis] for axis in axes)
    return np.ascontiguousarray(moved).reshape(x.size // columns, columns)


def _as_given(rows: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Undo :func:`_last`."""
    others = [extent for axis, extent in enumerate(shape) if axis not in axes]
    moved = rows.reshape(*others, *(shape[axis] for axis in axes))
    return np.ascontiguousarray(np.moveaxis(moved, range(-len(axes), 0), axes))
