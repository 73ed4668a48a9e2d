"""Arrays that an optimizer accumulates: how they begin, and what a file may hold of them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, GatewiseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array


def begun(parameters: Array, start: float) -> Array:
    """An array like the parameters that holds `start`.

    Zeros take no memory until they are written to.
    """
    return (
        np.full_like(parameters, start) if start else np.zeros(parameters.shape, parameters.dtype)
    )


def check_slot(name: str, array: object, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse an array of a file that the optimizer could not have made.

    Raises
    ------
    CheckpointError
        Its shape or dtype is another, it is not finite, or a mean of squares is negative.
    """
    if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
        given = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else repr(array)
        raise CheckpointError(f"optimizer state {name} is {given}; expected {dtype} {shape}")
    try:
        checks.finite(np.ascontiguousarray(array), f"optimizer/{name}")
    except GatewiseError as error:
        raise CheckpointError(str(error)) from error
    if name in ("velocity", "velocity_hat", "accumulator") and (array < 0).any():
        raise CheckpointError(
            f"optimizer state {name} holds {array.min()}; a sum of squares is never negative"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Snapshot:
    """What an optimizer had accumulated at a moment.

    `slots` holds copies of the arrays; with `parts`, a list with a copy of each part.
    """

    iterations: int
    slots: dict[str, Any]
    parts: Sequence[slice] | None
