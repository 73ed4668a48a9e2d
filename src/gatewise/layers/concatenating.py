"""Concatenation of several arrays along an axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .masks import counted_steps
from .merged_steps import MergedSteps, merge_steps, refuse_resets
from .merging import Merging, merge_op
from .options import fixed
from .tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class Concatenate(Merging):
    """All inputs, one after the other along an axis.

    The other axes must have the same extents. Sequences that are joined along their features must
    have the same lengths or mask, or only one of them any, which then hold for all. Along the steps
    (``axis=1`` of three or more axes), each row of the output has the steps that count of the first
    input, then those of the second, and so on, without padding or masked steps between them.

    Parameters
    ----------
    axis : int, default -1
        The axis; negative: counted from the last. Not 0, the batch.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Concatenate
    >>> Concatenate()([np.array([[1.0, 2.0]], "f"), np.array([[3.0]], "f")]).tolist()
    [[1.0, 2.0, 3.0]]
    """

    _merges_steps = True
    axis: int = fixed("_checked_axis")

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    @staticmethod
    def _checked_axis(value: Any) -> int:
        axis = checks.whole_number(value, "axis", low=-32, high=32)
        if axis == 0:
            raise ConfigError("axis is 0, the batch; expected another axis: -1 is the features")
        return axis

    def _axis_of(self, rank: int) -> int:
        axis = self.axis + rank if self.axis < 0 else self.axis
        if not 0 < axis < rank:
            raise ShapeError(
                f"layer {self.name!r} has axis={self.axis} and is given arrays of {rank} axes;"
                f" expected an axis from 1 to {rank - 1}, or from {1 - rank} to -1"
            )
        return axis

    @property
    def _joins_steps(self) -> bool:
        """Whether the built layer joins sequences along their steps."""
        if self.input_shape is None:
            return False
        rank = len(self.input_shape[0])
        return rank > 2 and self._axis_of(rank) == 1

    @property
    def keeps_steps(self) -> bool:
        """Whether step t of the output belongs to step t of each input."""
        return not self._joins_steps

    @property
    def causal(self) -> bool:
        """Whether a step depends on no later one; not if steps are joined to steps."""
        return not self._joins_steps

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it joins sequences along their steps" if self._joins_steps else None

    def _step_ops(self) -> list[StepOp]:
        return [merge_op(self, "concatenate")]

    def compute_output_shape(self, input_shape: Any) -> Shape:
        shapes = self._checked_shapes(input_shape)
        rank = len(shapes[0])
        axis = self._axis_of(rank)
        extents: list[int | None] = []
        for k, column in enumerate(zip(*shapes)):
            known = {extent for extent in column if extent is not None}
            if k == axis:
                extents.append(None if None in column else sum(column))
            elif len(known) > 1:
                break
            else:
                extents.append(known.pop() if known else None)
        if len(extents) < rank or any(len(shape) != rank for shape in shapes):
            self._refuse_shapes(shapes, f"the same extents on all axes but axis {axis}")
        return tuple(extents)

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

        Raises
        ------
        ShapeError
            An input of an unknown number of steps has no lengths, and another has.
        """
        given = lengths if isinstance(lengths, list) else [lengths]
        if not self._joins_steps or all(each is None for each in given):
            return super().output_lengths(lengths)
        total: Any = 0
        for k, each in enumerate(given):
            steps = self.input_shape[k][1] if each is None else each
            if steps is None:
                raise ShapeError(
                    f"layer {self.name!r} joins sequences along their steps; lengths are given for"
                    f" some of its inputs, but not for input {k}; give lengths for all of them"
                )
            total = total + steps
        return total

    def run(self, inputs: list[Batch], tape: Tape | None, node: Hashable) -> Batch:
        shapes = [part.values.shape for part in inputs]
        shape: Any = self.compute_output_shape([*shapes])
        checks.fits_memory(math.prod(shape), self.dtype, "the output of layer", self.name)
        axis = self._axis_of(len(shape))
        if axis == 1 and len(shape) > 2 and any(part.lengths is not None for part in inputs):
            return self._run_along_steps(inputs, shape, tape, node)
        if axis == 1 and len(shape) > 2:
            for part in inputs:
                refuse_resets(self.name, part.steps)
            timed = [False] * len(inputs)
        else:
            timed = [len(shape) > 2] * len(inputs)
        merged = merge_steps(self.name, inputs, timed)
        y = np.concatenate(merged.values_of(inputs, timed), axis=axis)
        if tape is not None:
            tape.keep(node, _Joined(shapes, merged))
        return Batch(merged.cleared(y), merged.steps)

    def _run_along_steps(
        self, inputs: list[Batch], shape: Any, tape: Tape | None, node: Hashable
    ) -> Batch:
        """Join the steps that count of each row."""
        y = np.zeros(shape, self.dtype)
        end = np.zeros(shape[0], np.intp)
        moves = []
        for part in inputs:
            refuse_resets(self.name, part.steps)
            x, lengths = part.values, part.lengths
            if lengths is None:
                lengths = np.full(len(x), x.shape[1], np.intp)
            begin, end = end, end + lengths
            source = counted_steps(lengths, x.shape[:2])
            target = counted_steps(end, shape[:2]) & ~counted_steps(begin, shape[:2])
            y[target] = x[source]
            moves.append((source, target))
        if tape is not None:
            tape.keep(node, _Moved([part.values.shape for part in inputs], moves))
        return Batch(y, Steps(end))

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> list[Array] | None:
        saved = tape.take(node)
        return saved.split(gradients, self._axis_of(gradients.ndim)) if wanted else None

    def get_config(self) -> Config:
        return super().get_config() | {"axis": self.axis}


@dataclass(slots=True)
class _Joined:
    """Inputs that are whole pieces of the output."""

    shapes: list[tuple[int, ...]]
    merged: MergedSteps

    def split(self, dy: Array, axis: int) -> list[Array]:
        ends = np.cumsum([shape[axis] for shape in self.shapes])[:-1]
        parts = np.split(self.merged.cleared(dy), ends, axis=axis)
        # copies: an array of the caller must not be handed out
        return self.merged.back([part.copy() for part in parts])


@dataclass(slots=True)
class _Moved:
    """Inputs whose steps that count have moved to other places: (where from, where to)."""

    shapes: list[tuple[int, ...]]
    moves: Sequence[tuple[Array, Array]]

    def split(self, dy: Array, axis: int) -> list[Array]:
        found = []
        for shape, (source, target) in zip(self.shapes, self.moves):
            dx = np.zeros(shape, dy.dtype)
            dx[source] = dy[target]
            found.append(dx)
        return found
