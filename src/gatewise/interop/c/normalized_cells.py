"""Recurrent cells whose sums are normalised; the equations are in kernels/normalized.h."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .cell import Cell, gru_mix
from .sheet import number

if TYPE_CHECKING:
    from gatewise.layers.step_ops import RecurrentOp

    from .sheet import Sheet

EPSILON = 1e-5  # NORM_EPSILON of kernels/norm.h


class _Sums:
    """The two normalised products: z is ``gain norm(x W) + b``, u is ``norm(h' U)``.

    Parameters
    ----------
    cell : Cell
    gates : str
        Names of the blocks of units, in order.
    together : int
        Number of blocks that have one norm; the others have another one.
    """

    def __init__(self, cell: Cell, gates: str, together: int) -> None:
        sheet, op, n = cell.sheet, cell.op, cell.units
        self.cell, self.units = cell, n
        blocks = len(gates.split())
        self.columns = columns = blocks * n
        shape = f"{blocks} * {n}" if blocks > 1 else str(n)
        kernel = sheet.matrix("kernel", cell.weights["kernel"], f"({op.inputs}, {shape}), {gates}")
        recurrent_kernel = sheet.matrix(
            "recurrent_kernel", cell.weights["recurrent_kernel"], f"({n}, {shape}), {gates}"
        )
        gain = sheet.constant("input_gain", cell.weights["input_gain"], "")
        self.gain = sheet.constant("recurrent_gain", cell.weights["recurrent_gain"], "")
        bias_name = sheet.bias(cell.joint_bias())
        sheet.put(
            f"float *z = {sheet.scratch(2 * columns)}; /* x W, {gates} */",
            f"float *u = z + {columns}; /* h U */",
            sheet.call("clear", "z", 2 * columns),
            kernel.add("x", "z"),
            recurrent_kernel.add(cell.h, "u"),
        )
        for sums in ("z", "u"):
            self._normalize(sums, 0, together * n)
            self._normalize(sums, together * n, columns)
        sheet.loop(columns, f"z[j] = z[j] * {gain}[j]{f' + {bias_name}[j]' if bias_name else ''};")

    def _normalize(self, sums: str, first: int, last: int) -> None:
        if first < last:
            start = f"{sums} + {first}" if first else sums
            sheet = self.cell.sheet
            sheet.put(sheet.call("normalize", start, last - first, number(EPSILON)))

    def place(self, block: int) -> str:
        """Index of unit j in a block."""
        return f"{block * self.units} + j" if block else "j"

    def total(self, block: int) -> str:
        """The sum of a block."""
        at = self.place(block)
        return f"z[{at}] + u[{at}] * {self.gain}[{at}]"


def simple_rnn(op: RecurrentOp, sheet: Sheet) -> None:
    """``h = act(sum)``."""
    cell = Cell(op, sheet)
    sheet.title = f"SimpleRNN with layer normalization, {op.inputs} to {cell.units}"
    sums = _Sums(cell, "h", 1)
    sheet.loop(cell.units, cell.keep(f"{cell.h}[j]", cell.candidate(sums.total(0))))


def lstm(op: RecurrentOp, sheet: Sheet) -> None:
    """``c = f c' + i g; h = o out(gain norm(c) + bias)``."""
    cell = Cell(op, sheet)
    n, c = cell.units, f"{cell.states['c']}[j]"
    sheet.title = f"LSTM with layer normalization, {op.inputs} to {n}"
    sums = _Sums(cell, "i f g o", 4)
    gain = sheet.constant("cell_gain", cell.weights["cell_gain"], "")
    bias = sheet.bias(cell.weights.get("cell_bias"), "cell_bias")
    sheet.loop(
        n,
        f"const float i = {cell.gate(sums.total(0))};",
        f"const float f = {cell.gate(sums.total(1))};",
        f"const float g = {cell.candidate(sums.total(2))};",
        cell.keep(c, f"f * {c} + i * g"),
        f"z[j] = {c};",
    )
    sheet.put(sheet.call("normalize", "z", n, number(EPSILON)))
    normal = f"z[j] * {gain}[j]{f' + {bias}[j]' if bias else ''}"
    sheet.loop(
        n,
        f"const float o = {cell.gate(sums.total(3))};",
        cell.keep(f"{cell.h}[j]", f"o * {cell.out(normal)}"),
    )


def gru(op: RecurrentOp, sheet: Sheet) -> None:
    """``n = act(v + r (gain norm(u) + b_h))``, where v are the normalised sums of x."""
    cell = Cell(op, sheet)
    n, h = cell.units, f"{cell.h}[j]"
    sheet.title = f"GRU with layer normalization, {op.inputs} to {n}"
    sums = _Sums(cell, "z r n", 2)
    bias = sheet.bias(cell.bias("recurrent_bias")[2 * n :], "recurrent_bias")
    at = sums.place(2)
    recurrent = f"(u[{at}] * {sums.gain}[{at}]{f' + {bias}[j]' if bias else ''})"
    sheet.loop(
        n,
        f"const float update = {cell.gate(sums.total(0))};",
        f"const float r = {cell.gate(sums.total(1))};",
        f"const float n = {cell.candidate(f'z[{at}] + r * {recurrent}')};",
        cell.keep(h, gru_mix(cell.options.chung, h).replace("z *", "update *")),
    )
