"""A stepper whose single steps run as a stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError

from .step_plan import StepPlan, scores_plan, step_plan
from .stepping import Stepper
from .stream import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewise._typing import Array, IntArray

    from .stream import Stream


class StreamStepper(Stepper):
    """A stepper for a model whose weights do not change while it is used.

    Blocks of steps, such as prompts, run as in :class:`Stepper`; a single step runs as a stream, if
    the model can be one, and gives the same bits.

    Parameters
    ----------
    model, scores
        As in :class:`Stepper`.
    """

    def __init__(self, model: Any, scores: bool = False) -> None:
        super().__init__(model, scores)
        self._can_stream = True
        self._stream: Stream | None = None  # holds the states, if there is one

    def advance(self, x: Array, lengths: IntArray | None = None) -> Array:
        if lengths is None and x.shape[1] == 1:
            stream = self._begin(len(x))
            if stream is not None:
                return stream.step(x[:, 0] if x.ndim > 2 else x[:, 0].astype(np.intp))
        self._end()
        return super().advance(x, lengths)

    def run(self, x: Array, lengths: IntArray | None = None) -> Array:
        self._end()
        return super().run(x, lengths)

    def take(self, rows: IntArray) -> None:
        if self._stream is not None and not len(rows):
            self._end()
        if self._stream is None:
            super().take(rows)
            return
        with self._stream._alone():
            self._stream._take(np.asarray(rows, np.intp), 0)
        self._rows = len(rows)

    def reset(self) -> None:
        self._stream = None
        super().reset()

    def _begin(self, rows: int) -> Stream | None:
        """Move the states into a stream, and return it; None: this is not possible."""
        if self._stream is not None and self._rows == rows:
            return self._stream
        if not (self._can_stream and self._states and self._rows == rows):
            return None
        plan = _plan_of(self._model, self.gives_scores)
        arrays = [array for state in self._states.values() for array in state if array.size]
        stream = None if plan is None else stream_of(self._model, plan, rows)
        known = {} if stream is None else stream._read_state()
        self._can_stream = stream is not None and _shapes(arrays) == _shapes(known.values())
        if stream is None or not self._can_stream:
            return None
        stream._write_state(dict(zip(known, arrays)), 0)
        self._stream = stream
        return stream

    def _end(self) -> None:
        """Move the states out of the stream."""
        if self._stream is None:
            return
        arrays = iter(self._stream._read_state().values())
        rows = self._stream.rows
        self._states = {
            node: [next(arrays) if array.size else array[:1].repeat(rows, 0) for array in state]
            for node, state in self._states.items()
        }
        self._stream = None


def _shapes(arrays: Iterable[Array]) -> list[tuple[int, ...]]:
    return [array.shape for array in arrays]


def _plan_of(model: Any, scores: bool) -> StepPlan | None:
    """Return the plan of a model, without masks; None: it cannot be a stream, or is uneven."""
    try:
        plan = scores_plan(model) if scores else step_plan(model)
    except ConfigError:
        return None
    if any(vector.first or vector.every > 1 for vector in plan.vectors):
        return None
    return replace(plan, inputs=[entry._replace(mask=None) for entry in plan.inputs])
