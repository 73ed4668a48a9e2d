"""What the functions of all recurrent cells have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .sheet import number

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Array
    from gatewise.layers.step_ops import RecurrentOp

    from .sheet import Sheet


class Cell:
    """What the functions of all cells need: options, weights and states.

    Parameters
    ----------
    op : RecurrentOp
    sheet : Sheet
    """

    def __init__(self, op: RecurrentOp, sheet: Sheet) -> None:
        self.op: RecurrentOp = op
        self.sheet: Sheet = sheet
        self.units: int = op.kernel.units
        self.weights: dict[str, Array] = op.weights
        self.options: Any = getattr(op.kernel, "options", None)
        self.states: dict[str, str] = {
            name: sheet.state(name, len(start), f"state {name}", start)
            for name, start in zip(op.state_names, op.initial)
        }
        self.h: str = self.states["h"]
        sheet.output = self.h.removeprefix("s->")

    def bias(self, name: str = "bias") -> Array:
        """A bias as an array; zeros if there is none."""
        found = self.weights.get(name)
        blocks = self.weights["kernel"].shape[1] if found is None else len(found)
        return np.zeros(blocks, np.float32) if found is None else found

    def joint_bias(self) -> Array:
        """The bias of a GRU, in which z and r have that of h as well: their sums are one."""
        bias, inner = self.bias().copy(), self.bias("recurrent_bias")
        with np.errstate(over="ignore"):  # the sheet refuses infinity, with the name of the array
            bias[: 2 * self.units] += inner[: 2 * self.units]
        return bias

    def clipped(self, x: str) -> str:
        """The sum of a gate within the cell's limit."""
        if not self.options.clip:
            return x
        self.sheet.helpers.add("clip")
        return f"clip({x}, {number(self.options.clip)})"

    def gate(self, x: str) -> str:
        """Expression of a gate from its sum."""
        return self.sheet.activation(self.options.recurrent_activation)(self.clipped(x))

    def candidate(self, x: str) -> str:
        """Expression of the candidate from its sum."""
        return self.sheet.activation(self.options.activation)(self.clipped(x))

    def keep(self, state: str, value: str) -> str:
        """A statement that sets a number of the state."""
        self.sheet.helpers.add("settled")
        return f"{state} = settled({value});"

    @property
    def out(self) -> Callable[[str], str]:
        """The output activation."""
        return self.sheet.activation(self.options.output_activation)


def mixed(rate: float, before: str, after: str) -> str:
    """What zoneout expects: a part of the old value stays."""
    if not rate:
        return after
    kept = np.float32(rate)
    return f"{number(float(kept))} * {before} + {number(float(1 - kept))} * ({after})"


def gru_mix(chung: bool, h: str) -> str:
    """The new h from z, n and the old one."""
    return f"{h} + z * (n - {h})" if chung else f"n + z * ({h} - n)"
