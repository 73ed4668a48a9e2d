"""A step of some parts of the parameters, while the rest is frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import threads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

    from .base import Optimizer


def update_parts(
    optimizer: Optimizer, p: Array, g: Array, rate: float, decay: float, parts: Sequence[slice]
) -> None:
    """``optimizer.update`` of some parts of the buffers, with the slots of those parts."""
    whole = optimizer._slots
    numbers = {name: array.copy() for name, array in whole.items() if not array.ndim}
    try:
        if getattr(type(optimizer).update, "elementwise", False):
            for part in parts:
                optimizer._slots = {
                    name: array[part] if array.ndim else numbers[name].copy()
                    for name, array in whole.items()
                }
                optimizer.update(
                    p[part], g[part], rate, decay, threads.threads_for(40 * p[part].size)
                )
        elif parts:  # a user's own formula may look at all parameters at once
            at = np.r_[tuple(parts)]
            optimizer._slots = {
                name: array[at] if array.ndim else array.copy() for name, array in whole.items()
            }
            moved = p[at]
            optimizer.update(moved, g[at], rate, decay, threads.threads_for(40 * moved.size))
            p[at] = moved
            for name, array in whole.items():
                if array.ndim:
                    array[at] = optimizer._slots[name]
        for name in numbers if parts else ():
            whole[name][()] = optimizer._slots[name]
    finally:
        optimizer._slots = whole
