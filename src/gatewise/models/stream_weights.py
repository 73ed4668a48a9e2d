"""The types in which a stream stores weights, and when a narrow one would not be honest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise.errors import ConfigError
from gatewise.kernels.narrow_weights import STORAGES, rounded
from gatewise.kernels.program_parts import matrices_of, pack, why_not_narrow

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.kernels.narrow import NarrowSums

    from .step_plan import StepPlan

# The most that rounding may change the weights of one unit: as a share of them, and, where they
# multiply a state, whose numbers are about 1 at most, what it may add to the unit's sum. Beyond
# that, a few large weights leave no digits for the others. int8 of normally distributed weights has
# about 0.01 of the first; of 256 units, as they are initialized, 0.01 of the second.
MOST_SHARE, MOST_SHIFT = 0.05, 0.25


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
    norms = np.linalg.norm(matrix.astype(np.float64), axis=0)
    errors = np.linalg.norm(rounded(matrix, weights) - matrix, axis=0)
    share = (errors / np.where(norms > 0, norms, 1)).max()
    shift = errors.max() if what.startswith("recurrent") else 0.0
    if not (share <= MOST_SHARE and shift <= MOST_SHIFT):
        raise ConfigError(
            f"{what} would lose too much to {weights}: rounding changes the weights of one unit by"
            f" {share:.0%}, and its sum by up to {errors.max():.2g}; a few large weights leave no"
            " digits for the others; use weights='bfloat16' or 'float32'"
        )


def packs_of(plan: StepPlan, weights: str) -> list[Array | NarrowSums | None]:
    """Return the packed weights of each operation, None for those without a product."""
    return [pack(planned.op, weights) for planned in plan.ops]
