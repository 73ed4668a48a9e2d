"""The running mean of the parameters (Polyak and Juditsky 1992)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise import threads
from gatewise.kernels import optimizers as kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array


def update_average(
    parameters: Array,
    average: Array,
    momentum: float,
    overwrite: bool,
    parts: Sequence[slice] | None,
) -> None:
    """``average = momentum * average + (1 - momentum) * parameters``, in place.

    With `overwrite` the parameters become the average afterwards. `parts` are those to go through,
    None: everything.
    """
    for part in (slice(None),) if parts is None else parts:
        p = parameters[part]
        kernels.average(p, average[part], momentum, overwrite, threads.threads_for(8 * p.size))
