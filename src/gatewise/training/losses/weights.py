"""Weights of samples, positions or targets, in the shape that a loss or a metric needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike

    from .base import Loss


def position_weights(
    sample_weight: ArrayLike | None,
    shape: Sequence[int],
    lengths: Array | None,
    loss: Loss | None = None,
    outputs: int = 0,
) -> Array | None:
    """Weights of positions from weights of samples or positions, zero past each row's length.

    Parameters
    ----------
    sample_weight : array_like or None
        A weight for each sample or position; None: all count once.
    shape : tuple of int
        (batch, ...): that of the positions.
    lengths : int ndarray of shape (batch,), or None
        Steps in each row.
    loss : Loss, optional
        If it is a mean over targets, a weight for each target is accepted as well.
    outputs : int
        Number of outputs of the model.

    Returns
    -------
    ndarray of float64 of `shape`, or with a last axis of targets; None if every position counts
    once

    Raises
    ------
    ShapeError, NonFiniteError
    """
    weights = None
    if sample_weight is not None:
        weights = checks.finite(
            checks.float_array(sample_weight, "sample_weight", "float64", convert=True),
            "sample_weight",
        )
        checks.summable(weights, "sample_weight")
        if weights.ndim == len(shape) + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if loss is not None and not loss._per_sequence and weights.shape[:-1] == tuple(shape):
            weights = _target_weights(weights, loss, outputs)
        else:
            weights = _spread(weights, shape)
    if lengths is not None and len(shape) > 1:
        valid = (np.arange(shape[1]) < lengths[:, None]).astype(np.float64)
        valid = np.broadcast_to(valid.reshape(valid.shape + (1,) * (len(shape) - 2)), shape)
        weights = valid if weights is None else weights * valid
    return weights


def _spread(weights: Array, shape: Sequence[int]) -> Array:
    """Weights of samples or positions as weights of all positions."""
    if weights.shape != tuple(shape[: weights.ndim]) or weights.ndim == 0:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}; expected ({shape[0]},), a weight a sample"
            + (f", or {tuple(shape)}, a weight a step" if len(shape) > 1 else "")
        )
    return np.broadcast_to(
        weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim)), shape
    )


def _target_weights(weights: Array, loss: Loss, outputs: int) -> Array:
    """A weight for each target."""
    if not loss._by_target:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}, a weight for each output; loss {loss.name}"
            f" is no mean over outputs: give a weight a position, of shape {weights.shape[:-1]}"
        )
    targets = loss._targets(outputs)
    if weights.shape[-1] != targets:
        raise ShapeError(
            f"sample_weight has shape {weights.shape}; expected {(*weights.shape[:-1], targets)}, a"
            f" weight for each target, or {weights.shape[:-1]}"
        )
    return weights
