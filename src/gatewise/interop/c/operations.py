"""Which function prints which operation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.layers import step_ops

from . import cells, decays, normalized_cells, vectors, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise.layers.step_ops import StepOp

    from .sheet import Sheet

_CELLS: dict[str, Callable[[Any, Sheet], None]] = {
    "rnn": cells.simple_rnn,
    "lstm": cells.lstm,
    "gru": cells.gru,
    "mingru": cells.minimal,
    "minlstm": cells.minimal,
}
_NORMALIZED_CELLS: dict[str, Callable[[Any, Sheet], None]] = {
    "rnn": normalized_cells.simple_rnn,
    "lstm": normalized_cells.lstm,
    "gru": normalized_cells.gru,
}


def _recurrent(op: step_ops.RecurrentOp, sheet: Sheet) -> None:
    normalized = getattr(op.kernel, "normalized", False)
    (_NORMALIZED_CELLS if normalized else _CELLS)[op.kernel.family](op, sheet)


_WRITERS: dict[type[StepOp], Callable[[Any, Sheet], None]] = {
    step_ops.RecurrentOp: _recurrent,
    step_ops.DecayedOp: decays.decayed,
    step_ops.DenseOp: vectors.dense,
    step_ops.ActivationOp: vectors.activation,
    step_ops.SoftmaxOp: vectors.softmax,
    step_ops.AffineOp: vectors.affine,
    step_ops.NormalizationOp: vectors.normalization,
    step_ops.LookupOp: vectors.lookup,
    step_ops.ConvolutionOp: windows.convolution,
    step_ops.DepthwiseOp: windows.depthwise,
    step_ops.PoolingOp: windows.pooling,
    step_ops.RunningOp: vectors.running,
    step_ops.MergeOp: vectors.merge,
    step_ops.SelectOp: vectors.select,
    step_ops.QuotientOp: vectors.quotient,
    step_ops.RectifierOp: vectors.rectifier,
    step_ops.SlopesOp: vectors.slopes,
}

# Operations whose result may be where their argument is.
IN_PLACE = (
    step_ops.ActivationOp,
    step_ops.SoftmaxOp,
    step_ops.AffineOp,
    step_ops.NormalizationOp,
    step_ops.QuotientOp,
    step_ops.RectifierOp,
    step_ops.SlopesOp,
)


def write(op: StepOp, sheet: Sheet) -> None:
    """Print an operation on its sheet."""
    _WRITERS[type(op)](op, sheet)
