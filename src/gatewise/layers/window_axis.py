"""Windows along one axis: how many there are, and how much padding is in front of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

if TYPE_CHECKING:
    from gatewise._typing import Array


@dataclass(frozen=True)
class WindowAxis:
    """Windows along one axis, as Keras places them.

    Parameters
    ----------
    window : int
        Number of places in a window.
    strides : int
        Number of places from one window to the next.
    dilation : int
        Number of places from one entry of a window to the next.
    padding : {"valid", "same", "causal"}
        "valid": only windows inside the axis. "same": as many windows as every `strides`-th place.
        "causal": likewise, but each window ends at its place.
    """

    window: int
    strides: int
    dilation: int
    padding: str

    @property
    def reach(self) -> int:
        """Distance from the first to the last place of a window."""
        return self.dilation * (self.window - 1)

    def count(self, extent: Any) -> Array:
        """Return the number of windows on an axis of this extent, or of these extents."""
        places = np.asarray(extent)
        if self.padding == "valid":
            places = places - self.reach
        return np.maximum((places + self.strides - 1) // self.strides, 0)

    def front(self, extent: Any) -> Array:
        """Return the number of padded places in front of an axis of this extent."""
        if self.padding == "valid":
            return np.zeros_like(extent)
        if self.padding == "causal":
            return np.full_like(extent, self.reach)
        covered = (self.count(extent) - 1) * self.strides + self.reach + 1
        return np.maximum(covered - extent, 0) // 2


def one_number(value: Any, name: str) -> int:
    """Return an int from 1 up; as in Keras, it may be the only entry of a list."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return checks.whole_number(value, name)
