"""The types in which a stream stores weights, and when a narrow one would not be honest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import ConfigError
from gatewise.kernels.narrow_weights import MOST_LOST, STORAGES, lost
from gatewise.kernels.program_parts import matrices_of, pack, why_not_narrow

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.kernels.narrow import NarrowSums

    from .step_plan import StepPlan


def storage_of(plan: StepPlan, weights: str | None) -> str:
    """Return the type of a stream's weights, after checks.

    Parameters
    ----------
    plan : StepPlan
        What the stream will run.
    weights : str, optional
        What the user asks for. None: the dtype of the model.

    Raises
    ------
    ConfigError
        There is no such type, the model is not float32, or a layer cannot have it; the message
        names the layer.
    """
    if weights is None or weights == plan.dtype:
        return plan.dtype
    if weights not in STORAGES or plan.dtype != "float32":
        choices = STORAGES if plan.dtype == "float32" else (plan.dtype,)
        raise ConfigError(
            f"weights is {weights!r}; expected {', '.join(map(repr, choices))} or None for a model"
            f" of {plan.dtype}"
        )
    for planned in plan.ops:
        op = planned.op
        reason = why_not_narrow(op)
        if reason:
            raise ConfigError(
                f"layer {op.name!r} cannot have weights of {weights}: {reason}; use"
                " weights='float32'"
            )
        for name, matrix in matrices_of(op).items():
            _check_rounding(matrix, f"{name} of layer {op.name!r}", weights)
    return weights


def _check_rounding(matrix: Array, what: str, weights: str) -> None:
    """Refuse a type that would change the products of a unit."""
    if not np.isfinite(matrix).all():
        return  # a stream takes the weights as they are, as predict does
    share = lost(matrix, weights)
    if share <= MOST_LOST:
        return
    if weights == "bfloat16":  # 8 bits lose less, so that one has become infinite
        raise ConfigError(
            f"{what} holds {np.abs(matrix).max():.3g}, which rounds beyond the largest bfloat16,"
            " 3.39e+38; use weights='float32'"
        )
    raise ConfigError(
        f"{what} would lose {share:.1%} of a unit's weights to {weights}, more than"
        f" {MOST_LOST:.0%}: a few large ones leave no digits for the others; use"
        " weights='bfloat16' or 'float32'"
    )


def packs_of(plan: StepPlan, weights: str) -> list[Array | NarrowSums | None]:
    """Return the packed weights of each operation, None for those without a product."""
    return [pack(planned.op, weights) for planned in plan.ops]
