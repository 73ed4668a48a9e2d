"""One vector for a sequence: the mean or the maximum over its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import threads
from gatewise.kernels import rows

from .masks import counted_steps
from .sequences import SequenceLayer
from .step_ops import RunningOp
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Tape


class _GlobalPooling(SequenceLayer):
    """Base of layers that make (batch, features) from (batch, steps, features)."""

    _keeps_limits = True
    keeps_steps = False
    _maximum: bool

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_input_shape(input_shape, known_features=False)
        return (input_shape[0], input_shape[2])

    def _step_ops(self) -> list[StepOp]:
        width = self.input_shape[-1]
        return [RunningOp(name=self.name, inputs=width, width=width, maximum=self._maximum)]


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over the steps of each row.

    (batch, steps, features) becomes (batch, features). A row of no steps gives zeros.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import GlobalAveragePooling1D
    >>> GlobalAveragePooling1D()([[[1.0, 8.0], [3.0, 4.0]]]).tolist()
    [[2.0, 6.0]]
    """

    _maximum = False

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        y = np.empty((x.shape[0], x.shape[2]), x.dtype)
        rows.mean_of_steps(x, inputs.lengths, y, threads.threads_for(x.size))
        if tape is not None:
            tape.keep(node, {"shape": x.shape, "lengths": inputs.lengths})
        return Batch(y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved, dy = tape.take(node), gradients
        if not wanted:
            return None
        lengths, shape = saved["lengths"], saved["shape"]
        if lengths is None:
            return np.repeat((dy / shape[1])[:, None], shape[1], axis=1)
        share = dy / np.maximum(lengths, 1)[:, None].astype(dy.dtype)
        return np.where(counted_steps(lengths, shape), share[:, None], dy.dtype.type(0))


class GlobalMaxPooling1D(_GlobalPooling):
    """The maximum over the steps of each row.

    (batch, steps, features) becomes (batch, features). A row of no steps gives zeros. If several
    steps have the maximum, the gradient goes to the first of them.

    Parameters
    ----------
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import GlobalMaxPooling1D
    >>> GlobalMaxPooling1D()([[[1.0, 8.0], [3.0, 4.0]]]).tolist()
    [[3.0, 8.0]]
    """

    _maximum = True

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, lengths = inputs.values, inputs.lengths
        if lengths is None:
            candidates = x
        else:
            candidates = np.where(counted_steps(lengths, x.shape), x, x.dtype.type(-np.inf))
        at = candidates.argmax(axis=1)[:, None]
        y = np.take_along_axis(x, at, axis=1)[:, 0]
        if lengths is not None:
            y[lengths == 0] = 0
        if tape is not None:
            tape.keep(node, {"shape": x.shape, "lengths": lengths, "at": at})
        return Batch(y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved, dy = tape.take(node), gradients
        if not wanted:
            return None
        dx = np.zeros(saved["shape"], dy.dtype)
        if saved["lengths"] is not None:
            dy = np.where((saved["lengths"] > 0)[:, None], dy, dy.dtype.type(0))
        np.put_along_axis(dx, saved["at"], dy[:, None], axis=1)
        return dx
