"""Targets that are unknown where nothing counts: NaN, or a number that is no class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .losses import Loss


def without_unknown(
    y: Any, weights: Array | None, positions: tuple[int, ...]
) -> tuple[Any, Array | None]:
    """Return targets with 0 instead of NaN where the weight is 0; where they are known, or None.

    Anything else, NaN at other places above all, stays for the loss to refuse. 0 is a target that
    every loss takes.
    """
    if weights is None or not (weights == 0).any():
        return y, None
    try:
        given = np.asarray(y)
    except ValueError:  # rows of different lengths, of which the loss says what they are
        return y, None
    if (
        given.dtype.kind != "f"
        or given.shape[: len(positions)] != tuple(positions)
        or not np.isnan(given).any()
    ):
        return y, None
    unknown = np.isnan(given)
    columns = unknown.reshape(*positions, -1)  # one column where y lacks the last axis
    left_out = (
        np.broadcast_to((weights == 0).reshape(*positions, -1), columns.shape)
        if weights.ndim > len(positions)
        else (np.broadcast_to((weights == 0)[..., None], columns.shape))
    )
    columns = columns & left_out
    known = ~columns
    if (known == known[..., :1]).all():
        known = known[..., 0]
    return np.where(columns.reshape(given.shape), given.dtype.type(0), given), known.astype(
        np.float64
    )


def counted_steps(
    lengths: Array | None, mask: Array | None, positions: tuple[int, ...]
) -> Array | None:
    """Return which steps are not padding, bool, broadcasting to positions; None: all."""
    counted = None if lengths is None else np.arange(positions[1]) < lengths[:, None]
    if mask is not None:
        counted = mask if counted is None else mask & counted
    return None if counted is None else counted.reshape(counted.shape + (1,) * (len(positions) - 2))


def without_wrong_classes(
    y: Any,
    weights: Array | None,
    counted: Array | None,
    positions: tuple[int, ...],
    loss: Loss,
    outputs: int,
) -> tuple[Any, Array | None]:
    """Return class numbers with 0 instead of others, such as -1, where nothing counts.

    The second value is where the targets are known, or None.
    """
    if weights is None and counted is None:
        return y, None
    try:
        given = np.asarray(y)
    except ValueError:  # rows of different lengths, of which the loss says what they are
        return y, None
    if given.dtype.kind not in "iuf" or given.shape not in (tuple(positions), (*positions, 1)):
        return y, None
    wrong = ~((given >= 0) & (given < outputs)).reshape(positions)
    if getattr(loss, "ignore_class", None) is not None:
        wrong &= given.reshape(positions) != loss.ignore_class
    if not wrong.any():
        return y, None
    padded = np.zeros(positions, bool) if counted is None else np.broadcast_to(~counted, positions)
    unknown = wrong & (weights == 0) if weights is not None else np.zeros(positions, bool)
    blanked = np.where((wrong & padded | unknown).reshape(given.shape), given.dtype.type(0), given)
    return blanked, (~unknown).astype(np.float64) if unknown.any() else None


def known_targets(loss: Any, y: Any, weights: Array | None) -> Array | None:
    """Return 0 where the weight is 0 and the loss allows no such target, as -1; None: nowhere."""
    if weights is None or loss._takes is None or loss._takes.settled(y) or not (weights == 0).any():
        return None
    absent = loss._takes.absent(y)
    unknown = (absent if weights.ndim == y.ndim else absent.any(axis=-1)) & (weights == 0)
    return (~unknown).astype(np.float64) if unknown.any() else None
