"""Gradients of several calls that make one step together, with their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise import threads
from gatewise.kernels import optimizers as kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array


def accumulate(
    gradients: Array, total: Array, held: Array, count: int, parts: Sequence[slice] | None
) -> bool:
    """Take gradients in; True: they were the last of a step, and now hold the mean of all.

    Parameters
    ----------
    gradients : ndarray (n,)
        Changed in place by the last call of a step.
    total : ndarray (n,)
        Sum of the gradients of the step so far.
    held : float64 ndarray ()
        Number of calls of the step so far.
    count : int
        Calls that make a step.
    parts : list of slice or None
        What is trained; None: everything.
    """
    last = bool(held == count - 1)
    for part in (slice(None),) if parts is None else parts:
        new = gradients[part]
        kernels.accumulate(
            total[part], new, count if last else 0, threads.threads_for(8 * new.size)
        )
    if last and parts is not None:
        total.fill(0)  # of what was frozen since the first of them
    held[()] = 0 if last else held + 1
    return last
