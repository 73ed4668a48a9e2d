"""One step of each recurrent cell; the equations are in kernels/lstm.h, gru.h, rnn.h and scan.h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .vectors import activated, normalized, weight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

    from .graph import Builder

EPSILON = 1e-5  # NORM_EPSILON of kernels/norm.h


def cell_step(b: Builder, op: Any, x: str, states: Sequence[str]) -> tuple[str, list[str]]:
    """One step of a cell.

    Parameters
    ----------
    b : Builder
        Receives the nodes.
    op : RecurrentOp
        The cell.
    x : str
        (batch, inputs).
    states : sequence of str
        The states before the step, (batch, size) each.

    Returns
    -------
    y : str
        The output, (batch, width).
    states : list of str
        The states after the step.
    """
    cell = _Cell(b, op, x, states)
    options = cell.options
    if op.kernel.family in ("minlstm", "mingru"):
        return cell.minimal()
    if options.layer_normalization:
        return _NORMALIZED[op.kernel.family](cell)
    return _PLAIN[op.kernel.family](cell)


class _Cell:
    def __init__(self, b: Builder, op: Any, x: str, states: Sequence[str]) -> None:
        self.b: Builder = b
        self.op: Any = op
        self.x: str = x
        self.h: str = states[0]
        self.c: str = states[-1]
        self.units: int = op.kernel.units
        self.weights: dict[str, Any] = op.weights
        self.options: Any = getattr(op.kernel, "options", None)

    # ---- sums and gates

    def product(self, x: str, array: Array, name: str) -> str:
        return self.b.op("MatMul", x, weight(self.b, self.op, name, array))

    def plus(self, x: str, name: str, columns: slice = slice(None)) -> str:
        """x plus a bias, if there is one."""
        array = self.weights.get(name)
        if array is None:
            return x
        return self.b.op("Add", x, weight(self.b, self.op, name, array[..., columns]))

    def sums(self) -> str:
        """X W + h U + b."""
        weights = self.weights
        return self.plus(
            self.b.op(
                "Add",
                self.product(self.x, weights["kernel"], "kernel"),
                self.product(self.h, weights["recurrent_kernel"], "recurrent_kernel"),
            ),
            "bias",
        )

    def blocks(self, x: str, count: int) -> list[str]:
        if count == 1:
            return [x]
        return self.b.ops("Split", count, x, self.b.ints(*[self.units] * count), axis=-1)

    def clipped(self, x: str, limit: float) -> str:
        return self.b.op("Clip", x, self.b.number(-limit), self.b.number(limit)) if limit else x

    def gate(self, x: str) -> str:
        limited = self.clipped(x, self.options.clip)
        return activated(self.b, limited, self.options.recurrent_activation)

    def candidate(self, x: str) -> str:
        return activated(self.b, self.clipped(x, self.options.clip), self.options.activation)

    def out(self, x: str) -> str:
        return activated(self.b, x, self.options.output_activation)

    def mixed(self, rate: float, before: str, after: str) -> str:
        """What zoneout expects: a part of the old value stays."""
        if not rate:
            return after
        b, kept = self.b, float(np.float32(rate))
        return b.op(
            "Add",
            b.op("Mul", before, b.number(kept)),
            b.op("Mul", after, b.number(float(np.float32(1) - np.float32(kept)))),
        )

    def one_minus(self, x: str) -> str:
        return self.b.op("Sub", self.b.number(1), x)

    def between(self, share: str, a: str, c: str) -> str:
        """``c + share (a - c)``."""
        b = self.b
        return b.op("Add", c, b.op("Mul", share, b.op("Sub", a, c)))

    # ---- cells

    def minimal(self) -> tuple[str, list[str]]:
        """``h = a h' + (1 - a) n``, where a depends on x only."""
        b, lstm = self.b, self.op.kernel.family == "minlstm"
        z = self.plus(self.product(self.x, self.weights["kernel"], "kernel"), "bias")
        *gates, n = self.blocks(z, 3 if lstm else 2)
        share = b.op("Neg", gates[0])
        if lstm:
            softplus = [b.op("Softplus", b.op("Neg", gate)) for gate in gates]
            share = b.op("Sub", softplus[1], softplus[0])
        n = activated(b, n, self.op.kernel.act)
        h = self.between(b.op("Sigmoid", share), self.h, n)
        return h, [h]

    def gru_state(self, z: str, n: str) -> tuple[str, list[str]]:
        options = self.options
        new = self.between(z, n, self.h) if options.chung else self.between(z, self.h, n)
        h = self.mixed(options.zoneout_h, self.h, new)
        return self.out(h) if options.activates_output else h, [h]


def _simple(cell: _Cell) -> tuple[str, list[str]]:
    h = cell.mixed(cell.options.zoneout_h, cell.h, cell.candidate(cell.sums()))
    return h, [h]


def _lstm(cell: _Cell) -> tuple[str, list[str]]:
    b, options = cell.b, cell.options
    sums = dict(zip(options.gates, cell.blocks(cell.sums(), len(options.gates))))

    def total(gate: str, seen: str) -> str:
        if gate not in options.peepholes:
            return sums[gate]
        row = cell.weights["peephole"][options.peepholes.index(gate)]
        return b.op("Add", sums[gate], b.op("Mul", seen, weight(b, cell.op, "peephole", row)))

    i = cell.gate(total("i", cell.c)) if "i" in options.gates else None
    f = cell.gate(total("f", cell.c)) if "f" in options.gates else None
    if options.coupled and i is not None:
        f = cell.one_minus(i)
    g = cell.candidate(sums["g"])
    new = b.op(
        "Add",
        cell.c if f is None else b.op("Mul", f, cell.c),
        g if i is None else b.op("Mul", i, g),
    )
    new = cell.clipped(new, options.cell_clip)
    o = cell.gate(total("o", new)) if "o" in options.gates else None
    if options.output_gate_inside and o is not None:
        made = cell.out(b.op("Mul", o, new))
    else:
        made = cell.out(new) if o is None else b.op("Mul", o, cell.out(new))
    if cell.op.kernel.width != cell.units:
        made = cell.product(made, cell.weights["projection_kernel"], "projection_kernel")
    h = cell.mixed(options.zoneout_h, cell.h, made)
    return h, [h, cell.mixed(options.zoneout_c, cell.c, new)]


def _gru(cell: _Cell) -> tuple[str, list[str]]:
    b, n, options, weights = cell.b, cell.units, cell.options, cell.weights
    w, u = weights["kernel"], weights["recurrent_kernel"]
    of_x = cell.plus(cell.product(cell.x, w, "kernel"), "bias")
    z, r, v = cell.blocks(of_x, 3)

    def with_state(sums: str, column: int) -> str:
        block = slice(column * n, (column + 1) * n)
        product = cell.product(cell.h, u[:, block], f"recurrent_kernel_{column}")
        return b.op("Add", sums, cell.plus(product, "recurrent_bias", block))

    z, r = cell.gate(with_state(z, 0)), cell.gate(with_state(r, 1))
    if options.candidate == "input":
        new = b.op("Mul", r, v)
    elif options.reset_after:
        last = slice(2 * n, None)
        q = cell.plus(
            cell.product(cell.h, u[:, last], "recurrent_kernel_2"), "recurrent_bias", last
        )
        if options.candidate == "split":
            new = b.op("Add", b.op("Mul", r, v), b.op("Mul", cell.one_minus(z), q))
        else:
            kept = cell.one_minus(r) if options.candidate == "complement" else r
            new = b.op("Add", v, b.op("Mul", kept, q))
    else:
        kept = cell.one_minus(r) if options.candidate == "complement" else r
        new = with_state_of(cell, v, b.op("Mul", kept, cell.h))
    return cell.gru_state(z, cell.candidate(new))


def with_state_of(cell: _Cell, sums: str, h: str) -> str:
    """The sums of the candidate of a GRU that resets before the product."""
    block = slice(2 * cell.units, None)
    array = cell.weights["recurrent_kernel"][:, block]
    return cell.b.op("Add", sums, cell.product(h, array, "recurrent_kernel_2"))


# ---- with layer normalization (kernels/normalized.h)


def _normalized_sums(cell: _Cell, together: int, count: int) -> tuple[list[str], list[str]]:
    """The blocks of ``gain norm(x W) + b`` and of ``gain norm(h U)``.

    The first `together` blocks have one norm, the others another one.
    """
    b, n, weights = cell.b, cell.units, cell.weights
    bias = weights.get("bias")
    recurrent = weights.get("recurrent_bias")
    if recurrent is not None and bias is not None:
        bias = bias.copy()
        bias[: 2 * n] += recurrent[: 2 * n]
    found = []
    for x, kernel, gain, shift in (
        (cell.x, "kernel", "input_gain", bias),
        (cell.h, "recurrent_kernel", "recurrent_gain", None),
    ):
        z = cell.product(x, weights[kernel], kernel)
        parts = [z]
        if together < count:
            sizes = b.ints(together * n, (count - together) * n)
            parts = b.ops("Split", 2, z, sizes, axis=-1)
        parts = [normalized(b, part, EPSILON) for part in parts]
        z = parts[0] if len(parts) == 1 else b.op("Concat", *parts, axis=-1)
        z = b.op("Mul", z, weight(b, cell.op, gain, weights[gain]))
        if shift is not None:
            z = b.op("Add", z, weight(b, cell.op, "bias", shift))
        found.append(cell.blocks(z, count))
    return found[0], found[1]


def _normalized_simple(cell: _Cell) -> tuple[str, list[str]]:
    (v,), (u,) = _normalized_sums(cell, 1, 1)
    h = cell.candidate(cell.b.op("Add", v, u))
    return h, [h]


def _normalized_lstm(cell: _Cell) -> tuple[str, list[str]]:
    b = cell.b
    i, f, g, o = (b.op("Add", v, u) for v, u in zip(*_normalized_sums(cell, 4, 4)))
    c = b.op(
        "Add",
        b.op("Mul", cell.gate(f), cell.c),
        b.op("Mul", cell.gate(i), cell.candidate(g)),
    )
    gain = weight(b, cell.op, "cell_gain", cell.weights["cell_gain"])
    normal = cell.plus(b.op("Mul", normalized(b, c, EPSILON), gain), "cell_bias")
    h = b.op("Mul", cell.gate(o), cell.out(normal))
    return h, [h, c]


def _normalized_gru(cell: _Cell) -> tuple[str, list[str]]:
    b = cell.b
    v, u = _normalized_sums(cell, 2, 3)
    z, r = (cell.gate(b.op("Add", v[k], u[k])) for k in range(2))
    q = cell.plus(u[2], "recurrent_bias", slice(2 * cell.units, None))
    return cell.gru_state(z, cell.candidate(b.op("Add", v[2], b.op("Mul", r, q))))


_PLAIN = {"rnn": _simple, "lstm": _lstm, "gru": _gru}
_NORMALIZED = {"rnn": _normalized_simple, "lstm": _normalized_lstm, "gru": _normalized_gru}
