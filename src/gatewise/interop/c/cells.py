"""Recurrent cells; the equations are in kernels/lstm.h, gru.h, rnn.h and scan.h."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .cell import Cell, gru_mix, mixed
from .sheet import number

if TYPE_CHECKING:
    from gatewise.layers.step_ops import RecurrentOp

    from .sheet import Sheet


def simple_rnn(op: RecurrentOp, sheet: Sheet) -> None:
    cell = Cell(op, sheet)
    n, h = cell.units, cell.h
    sheet.title = f"SimpleRNN, {op.inputs} to {n}"
    z = sheet.scratch(n)
    kernel = sheet.matrix("kernel", cell.weights["kernel"], f"({op.inputs}, {n})")
    recurrent_kernel = sheet.matrix(
        "recurrent_kernel", cell.weights["recurrent_kernel"], f"({n}, {n})"
    )
    sheet.put(f"float *z = {z};")
    sheet.start_sums("z", sheet.bias(cell.weights.get("bias")), n)
    sheet.put(kernel.add("x", "z"), recurrent_kernel.add(h, "z"))
    value = mixed(cell.options.zoneout_h, f"{h}[j]", cell.candidate("z[j]"))
    sheet.loop(n, cell.keep(f"{h}[j]", value))


# ---- LSTM


def lstm(op: RecurrentOp, sheet: Sheet) -> None:
    cell = Cell(op, sheet)
    options, n, width = cell.options, cell.units, op.kernel.width
    gates, projects = options.gates, width != n
    sheet.title = f"LSTM, {op.inputs} to {n}" + (f", projected to {width}" if projects else "")
    z = sheet.scratch(max(len(gates) * n, n + width) if projects else len(gates) * n)
    columns = f"{len(gates)} * {n}" if len(gates) > 1 else str(n)
    order = f", of {' '.join(gates)}"
    kernel = sheet.matrix("kernel", cell.weights["kernel"], f"({op.inputs}, {columns}){order}")
    recurrent_kernel = sheet.matrix(
        "recurrent_kernel", cell.weights["recurrent_kernel"], f"({width}, {columns}){order}"
    )
    sheet.put(f"float *z = {z}; /* {' '.join(gates)} */")
    sheet.start_sums("z", sheet.bias(cell.weights.get("bias")), len(gates) * n)
    sheet.put(kernel.add("x", "z"), recurrent_kernel.add(cell.h, "z"))
    to = "z" if projects else cell.h
    sheet.loop(n, *_lstm_unit(cell, f"{to}[j]"))
    if projects:
        _lstm_projection(cell, width)


def _lstm_unit(cell: Cell, to: str) -> list[str]:
    """The statements that make c, and h or what is projected, of unit j."""
    options, n, sheet = cell.options, cell.units, cell.sheet
    gates, c = options.gates, f"{cell.states['c']}[j]"
    peepholes = {}
    if options.peepholes:
        name = sheet.constant(
            "peephole",
            cell.weights["peephole"],
            f"({len(options.peepholes)}, {n}), of {' '.join(options.peepholes)}",
        )
        peepholes = {gate: f"{name}[{_at(k, n)}]" for k, gate in enumerate(options.peepholes)}

    def total(gate: str, seen: str) -> str:
        own = f"z[{_at(gates.index(gate), n)}]"
        return f"{own} + {peepholes[gate]} * {seen}" if gate in peepholes else own

    lines = [f"const float before = {c};"]
    if "i" in gates:
        lines.append(f"const float i = {cell.gate(total('i', 'before'))};")
    if "f" in gates:
        lines.append(f"const float f = {cell.gate(total('f', 'before'))};")
    elif options.coupled:
        lines.append("const float f = 1.0f - i;")
    lines.append(f"const float g = {cell.candidate(total('g', 'before'))};")
    new = f"{'f * before' if 'f' in gates or options.coupled else 'before'}"
    new += f" + {'i * g' if 'i' in gates else 'g'}"
    if options.cell_clip:
        sheet.helpers.add("clip")
        new = f"clip({new}, {number(options.cell_clip)})"
    lines.append(f"const float after = {new};")
    if "o" in gates:
        lines.append(f"const float o = {cell.gate(total('o', 'after'))};")
    lines.append(cell.keep(c, mixed(options.zoneout_c, "before", "after")))
    if options.output_gate_inside:
        made = cell.out("o * after")
    else:
        made = f"o * {cell.out('after')}" if "o" in gates else cell.out("after")
    if to.startswith("z"):
        return [*lines, f"{to} = {made};"]
    return [*lines, cell.keep(to, mixed(options.zoneout_h, to, made))]


def _at(block: int, units: int) -> str:
    """Index of unit j in a block."""
    return f"{block * units} + j" if block else "j"


def _lstm_projection(cell: Cell, width: int) -> None:
    """H = z W_r, where the first numbers of z are what is projected."""
    sheet, rate = cell.sheet, cell.options.zoneout_h
    kernel = sheet.matrix(
        "projection_kernel", cell.weights["projection_kernel"], f"({cell.units}, {width})"
    )
    if not rate:
        sheet.put(sheet.call("clear", cell.h, width), kernel.add("z", cell.h))
        return
    made = f"z + {cell.units}"
    sheet.put(sheet.call("clear", made, width), kernel.add("z", made))
    value = mixed(rate, f"{cell.h}[j]", f"z[{cell.units} + j]")
    sheet.loop(width, cell.keep(f"{cell.h}[j]", value))


# ---- GRU


def gru(op: RecurrentOp, sheet: Sheet) -> None:
    cell = Cell(op, sheet)
    n = cell.units
    sheet.title = f"GRU, {op.inputs} to {n}"
    if cell.options.candidate == "input":
        _gru_without_recurrent_candidate(cell)
    elif cell.options.reset_after:
        _gru_after(cell)
    else:
        _gru_before(cell)
    if cell.options.activates_output:
        sheet.output = ""
        sheet.activate(cell.options.output_activation, n, "y", cell.h)


def _gru_after(cell: Cell) -> None:
    """R multiplies h' U: the sums are n z r q, x W in the first three, h' U in the last three."""
    sheet, op, n = cell.sheet, cell.op, cell.units
    split = cell.options.candidate == "split"
    w, u = cell.weights["kernel"], cell.weights["recurrent_kernel"]
    b, b_h = cell.joint_bias(), cell.bias("recurrent_bias")
    turned = np.ascontiguousarray(np.roll(w, n, axis=1))  # n z r
    kernel = sheet.matrix("kernel", turned, f"({op.inputs}, 3 * {n}), of n z r")
    recurrent_kernel = sheet.matrix("recurrent_kernel", u, f"({n}, 3 * {n}), of z r q")
    z = sheet.scratch(4 * n)
    bias = sheet.bias(np.concatenate([b[2 * n :], b[: 2 * n], b_h[2 * n :]]))
    sheet.put(f"float *sums = {z}; /* n z r q */")
    sheet.start_sums("sums", bias, 4 * n)
    sheet.put(kernel.add("x", "sums"), recurrent_kernel.add(cell.h, f"sums + {n}"))
    v, q = "sums[j]", f"sums[{3 * n} + j]"
    if split:
        new = f"{_reset(cell)} * {v} + (1.0f - z) * {q}"
    else:
        new = f"{v} + {_reset(cell)} * {q}"
    sheet.loop(
        n,
        f"const float z = {cell.gate(f'sums[{n} + j]')};",
        f"const float r = {cell.gate(f'sums[{2 * n} + j]')};",
        f"const float n = {cell.candidate(new)};",
        *_gru_state(cell),
    )


def _gru_without_recurrent_candidate(cell: Cell) -> None:
    sheet, op, n = cell.sheet, cell.op, cell.units
    kernel = sheet.matrix("kernel", cell.weights["kernel"], f"({op.inputs}, 3 * {n}), of z r n")
    recurrent_kernel = sheet.matrix(
        "recurrent_kernel", cell.weights["recurrent_kernel"], f"({n}, 2 * {n}), of z r"
    )
    # Only z and r have a product of h': its sums are on the first two thirds.
    sheet.put(f"float *sums = {sheet.scratch(3 * n)}; /* z r n */")
    sheet.start_sums("sums", sheet.bias(cell.weights.get("bias")), 3 * n)
    sheet.put(kernel.add("x", "sums"), recurrent_kernel.add(cell.h, "sums"))
    sheet.loop(
        n,
        f"const float z = {cell.gate('sums[j]')};",
        f"const float r = {cell.gate(f'sums[{n} + j]')};",
        f"const float n = {cell.candidate(f'r * sums[{2 * n} + j]')};",
        *_gru_state(cell),
    )


def _gru_before(cell: Cell) -> None:
    """R multiplies h' before the product."""
    sheet, op, n = cell.sheet, cell.op, cell.units
    u = cell.weights["recurrent_kernel"]
    kernel = sheet.matrix("kernel", cell.weights["kernel"], f"({op.inputs}, 3 * {n}), of z r n")
    of_gates = sheet.matrix(
        "recurrent_kernel", np.ascontiguousarray(u[:, : 2 * n]), f"({n}, 2 * {n}), of z r"
    )
    of_candidate = sheet.matrix(
        "candidate_kernel", np.ascontiguousarray(u[:, 2 * n :]), f"({n}, {n}), of n"
    )
    sheet.put(
        f"float *sums = {sheet.scratch(4 * n)}; /* z r n */",
        f"float *q = sums + {3 * n}; /* r h */",
    )
    sheet.start_sums("sums", sheet.bias(cell.weights.get("bias")), 3 * n)
    sheet.put(kernel.add("x", "sums"), of_gates.add(cell.h, "sums"))
    sheet.loop(
        n,
        f"const float r = {cell.gate(f'sums[{n} + j]')};",
        f"q[j] = {_reset(cell)} * {cell.h}[j];",
    )
    sheet.put(of_candidate.add("q", f"sums + {2 * n}"))
    sheet.loop(
        n,
        f"const float z = {cell.gate('sums[j]')};",
        f"const float n = {cell.candidate(f'sums[{2 * n} + j]')};",
        *_gru_state(cell),
    )


def _reset(cell: Cell) -> str:
    """R as the candidate reads it."""
    return "(1.0f - r)" if cell.options.candidate == "complement" else "r"


def _gru_state(cell: Cell) -> list[str]:
    """Statements that make h from z and n."""
    h = f"{cell.h}[j]"
    return [cell.keep(h, mixed(cell.options.zoneout_h, h, gru_mix(cell.options.chung, h)))]


# ---- minimal cells


def minimal(op: RecurrentOp, sheet: Sheet) -> None:
    """``h = a h' + (1 - a) n``, where a depends on x only."""
    cell = Cell(op, sheet)
    n, lstm = cell.units, op.kernel.family == "minlstm"
    blocks = 3 if lstm else 2
    sheet.title = f"{'minLSTM' if lstm else 'minGRU'}, {op.inputs} to {n}"
    order = "f i n" if lstm else "z n"
    kernel = sheet.matrix(
        "kernel", cell.weights["kernel"], f"({op.inputs}, {blocks} * {n}), of {order}"
    )
    sheet.helpers.add("sigmoid")
    sheet.put(f"float *z = {sheet.scratch(blocks * n)}; /* {order} */")
    sheet.start_sums("z", sheet.bias(cell.weights.get("bias")), blocks * n)
    sheet.put(kernel.add("x", "z"))
    share = "-z[j]"
    if lstm:
        sheet.helpers.add("softplus")
        share = f"softplus(-z[{n} + j]) - softplus(-z[j])"
    act = sheet.activation(op.kernel.act)
    sheet.loop(
        n,
        f"const float a = sigmoid({share});",
        f"const float n = {act(f'z[{(blocks - 1) * n} + j]')};",
        cell.keep(f"{cell.h}[j]", f"a * {cell.h}[j] + (1.0f - a) * n"),
    )
