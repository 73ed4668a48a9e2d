"""Sums of products of two arrays along an axis of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import batched

from .masks import cleared_ends
from .merged_steps import MergedSteps, merge_steps, refuse_ragged, refuse_resets
from .merging import Merging
from .options import fixed
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.tape import Tape

LEAST_NORM = 1e-7  # `normalize` divides by no less, as in Keras


class Dot(Merging):
    """Sums of products of two arrays along one axis of each.

    The output has the axes of the first input, then those of the second, without the batch and
    without the two axes that are summed over; (batch, 1) if no axis remains. Steps past a row's end
    count as zeros in a sum over steps. If the steps of the second input remain, its rows must not
    end early: :class:`Attention` leaves padding out.

    Parameters
    ----------
    axes : int or (int, int)
        Axis of each input that is summed over; one number for both. Negative: counted from the
        last. Not 0, the batch.
    normalize : bool, default False
        Whether both inputs are divided by their Euclidean norms along these axes first, so that the
        output is the cosine of their angle.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dot
    >>> Dot(axes=1)([np.array([[1.0, 2.0]], "f"), np.array([[3.0, 5.0]], "f")]).tolist()
    [[13.0]]
    """

    causal = False  # a sum may be over steps
    _most_inputs = 2
    axes: Any = fixed("_checked_axes")
    normalize: bool = fixed(checks.flag)

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axes, self.normalize = axes, normalize

    @staticmethod
    def _checked_axes(value: Any) -> int | tuple[int, int]:
        several = isinstance(value, list | tuple)
        if several and len(value) != 2:
            raise DTypeError(f"axes is {value!r}; expected one whole number, or two")
        found = [
            checks.whole_number(axis, "axes", low=-32, high=32)
            for axis in (value if several else [value])
        ]
        if 0 in found:
            raise ConfigError(f"axes is {value!r}; axis 0 is the batch; expected another axis")
        return tuple(found) if several else found[0]  # type: ignore[return-value]

    def _axes_of(self, shapes: Sequence[Shape]) -> tuple[int, int]:
        given = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        found = []
        for k, (axis, shape) in enumerate(zip(given, shapes)):
            at = axis + len(shape) if axis < 0 else axis
            if not 0 < at < len(shape):
                raise ShapeError(
                    f"layer {self.name!r} has axes={self.axes} and is given an array of shape"
                    f" {shape} as input {k}; expected an axis from 1 to {len(shape) - 1}, or from"
                    f" {1 - len(shape)} to -1"
                )
            found.append(at)
        return found[0], found[1]

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        if any(len(shape) > 2 for shape in self.input_shape):
            return "it multiplies steps of one array with all steps of the other"
        return "a stream has no operation that sums products of two arrays that are computed"

    @property
    def reads_steps(self) -> bool:
        """Whether a sum is over the steps of an input."""
        if self.input_shape is None:
            return False
        shapes = self.input_shape
        return any(
            len(shape) > 2 and axis == 1 for shape, axis in zip(shapes, self._axes_of(shapes))
        )

    @property
    def keeps_steps(self) -> bool:
        """Whether step t of the output belongs to step t of the first input."""
        if self.input_shape is None:
            return True
        return self._keeps_steps(self.input_shape)

    def _keeps_steps(self, shapes: Sequence[Shape]) -> bool:
        return (
            len(shapes[0]) > 2
            and self._axes_of(shapes)[0] != 1
            and len(shapes[0]) + len(shapes[1]) > 5
        )

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked_shapes(input_shape)
        axes = self._axes_of(shapes)
        first, second = (shape[axis] for shape, axis in zip(shapes, axes))
        if None not in (first, second) and first != second:
            self._refuse_shapes(
                shapes,
                f"the same extent on axis {axes[0]} of the first and {axes[1]} of the second",
            )
        rest = [
            [extent for k, extent in enumerate(shape) if k not in (0, axis)]
            for shape, axis in zip(shapes, axes)
        ]
        return (shapes[0][0], *(rest[0] + rest[1] or [1]))

    def output_lengths(self, lengths: Any) -> Any:
        """Return the number of steps of each row of the output.

        Parameters
        ----------
        lengths : list of ndarray of shape (batch,), intp, or None
            Those of each input; None: all steps count.

        Returns
        -------
        ndarray of shape (batch,), intp, or None
            Those of the first input. None: all steps count, or the output has no time axis.
        """
        first = lengths[0] if isinstance(lengths, list) else lengths
        return first if self.keeps_steps else None

    def run(self, inputs: list[Batch], tape: Tape | None, node: Hashable) -> Batch:
        shapes = [part.values.shape for part in inputs]
        shape: Any = self.compute_output_shape([*shapes])
        checks.fits_memory(math.prod(shape), self.dtype, "the output of layer", self.name)
        axes, keeps = self._axes_of(shapes), self._keeps_steps(shapes)
        merged, timed = self._merged_steps(inputs, axes, keeps)
        lengths = inputs[0].lengths if keeps else None
        values = merged.values_of(inputs, timed)
        values[0] = cleared_ends(values[0], lengths)
        parts = [_last(part, axis) for part, axis in zip(values, axes)]
        norms = [_norms(part) if self.normalize else None for part in parts]
        parts = [part if norm is None else part / norm for part, norm in zip(parts, norms)]
        y = _products(parts[0], np.ascontiguousarray(parts[1].swapaxes(1, 2))).reshape(shape)
        if tape is not None:
            tape.keep(node, _Saved(shapes, axes, parts, norms, merged, timed, lengths))
        return Batch(y, inputs[0].steps if keeps else None)

    def _merged_steps(
        self, inputs: list[Batch], axes: tuple[int, int], keeps: bool
    ) -> tuple[MergedSteps, list[bool]]:
        """Return which steps count in the sums, and which inputs have those steps."""
        timed = [part.values.ndim > 2 and axis == 1 for part, axis in zip(inputs, axes)]
        for k, (part, over_steps) in enumerate(zip(inputs, timed)):
            if not over_steps and not (k == 0 and keeps):
                refuse_ragged(self.name, part, f"input {k}")
            if not (k == 0 and keeps):
                refuse_resets(self.name, part.steps)
            moved = part.steps is not None and part.steps.places is not None
            if over_steps and moved and not timed[1 - k]:
                raise ShapeError(
                    f"layer {self.name!r} sums over the steps of input {k}, which has a mask with"
                    " holes, and over other numbers of the other input; give lengths instead of a"
                    " mask"
                )
        none = Batch(inputs[0].values)
        return merge_steps(
            self.name, [part if of_sum else none for part, of_sum in zip(inputs, timed)], timed
        ), timed

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> list[Array] | None:
        saved = tape.take(node)
        if not wanted:
            return None
        first, second = saved.parts
        dy = np.ascontiguousarray(cleared_ends(gradients, saved.lengths))
        dy = dy.reshape(len(first), first.shape[1], second.shape[1])
        found = [
            _products(dy, second),
            _products(np.ascontiguousarray(dy.swapaxes(1, 2)), first),
        ]
        for k, norm in enumerate(saved.norms):
            if norm is not None:
                found[k] = _through_norm(found[k], saved.parts[k], norm)
            found[k] = _as_given(found[k], saved.shapes[k], saved.axes[k])
            if saved.timed[k]:
                found[k] = saved.merged.cleared(found[k])
        return saved.merged.back(found)

    def get_config(self) -> Config:
        axes = list(self.axes) if isinstance(self.axes, tuple) else self.axes
        return super().get_config() | {"axes": axes, "normalize": self.normalize}


@dataclass(slots=True)
class _Saved:
    """What the backward pass needs."""

    shapes: list[tuple[int, ...]]
    axes: tuple[int, int]
    parts: list[Array]  # (batch, other numbers, numbers that are summed over)
    norms: list[Array | None]
    merged: MergedSteps  # of the sums
    timed: list[bool]  # whether the sum of an input is over its steps
    lengths: Array | None  # of the output's rows


def _last(x: Array, axis: int) -> Array:
    """x as (batch, all other axes, this axis)."""
    moved = np.moveaxis(x, axis, -1)
    size = math.prod(moved.shape[1:-1])
    return np.ascontiguousarray(moved).reshape(x.shape[0], size, x.shape[axis])


def _as_given(part: Array, shape: tuple[int, ...], axis: int) -> Array:
    """Undo :func:`_last`."""
    moved = (*shape[:axis], *shape[axis + 1 :], shape[axis])
    return np.ascontiguousarray(np.moveaxis(part.reshape(moved), -1, axis))


def _products(a: Array, b: Array) -> Array:
    """a (batch, n, k) times b (batch, k, m)."""
    y = np.empty((*a.shape[:2], b.shape[2]), a.dtype)
    if a.shape[2] == 0:
        y.fill(0)
    elif y.size:
        batched.multiply(a, b, y, threads.threads_for_products(2 * y.size * a.shape[2]))
    return y


def _norms(part: Array) -> Array:
    """The Euclidean norm over the last axis, and at least a small number.

    Sums are added one after the other, so that zeros behind a row change no bit.
    """
    squares = np.add.accumulate(part * part, axis=2)[:, :, -1:]
    return np.maximum(np.sqrt(squares), part.dtype.type(LEAST_NORM))


def _through_norm(gradient: Array, unit: Array, norm: Array) -> Array:
    """The gradient of x for that of x / norm(x), which is `unit`."""
    along = (gradient * unit).sum(axis=2, keepdims=True)
    along[norm <= unit.dtype.type(LEAST_NORM)] = 0  # there, the norm is a constant
    return (gradient - along * unit) / norm
