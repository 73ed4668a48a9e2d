"""GRU-D; the equations are those of layers/recurrent/grud.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gatewise.layers.step_ops import DecayedOp

    from .sheet import Matrix, Sheet


def decayed(op: DecayedOp, sheet: Sheet) -> None:
    """A GRU whose state, and whose missing values, decay."""
    features, n, w = op.inputs // 3, op.width, op.weights
    sheet.title = f"GRU-D, {features} features to {n}"
    h, seen = (
        sheet.state(name, len(start), f"state {name}", start)
        for name, start in zip(op.state_names, op.initial)
    )
    sheet.output = h.removeprefix("s->")
    sheet.helpers |= {"exponential", "settled"}

    def matrix(name: str, columns: slice = slice(None)) -> Matrix:
        values = w[name]
        assert values is not None
        values = np.ascontiguousarray(values[:, columns])
        suffix = name if columns.start is None else f"{name}_of_n"
        return sheet.matrix(suffix, values, f"({values.shape[0]}, {values.shape[1]})")

    kernel, of_mask, of_time = map(matrix, ("kernel", "mask_kernel", "hidden_decay_kernel"))
    gates = matrix("recurrent_kernel", slice(None, 2 * n))
    candidate = matrix("recurrent_kernel", slice(2 * n, None))
    gate, act = sheet.activation(op.recurrent_activation), sheet.activation(op.activation)
    sheet.put(
        f"float *filled = {sheet.scratch(features + 5 * n)}, *sums = filled + {features};",
        f"float *hidden = sums + {3 * n}, *reset = hidden + {n}; /* sums: z r n */",
    )
    _fill(op, sheet, seen)
    sheet.start_sums("sums", sheet.bias(w["bias"]), 3 * n)
    sheet.put(kernel.add("filled", "sums"), of_mask.add(f"x + {features}", "sums"))
    sheet.start_sums("hidden", sheet.bias(w["hidden_decay_bias"], "hidden_decay_bias"), n)
    sheet.put(of_time.add(f"x + {2 * features}", "hidden"))
    sheet.loop(n, f"hidden[j] = exponential(hidden[j] > 0.0f ? -hidden[j] : 0.0f) * {h}[j];")
    sheet.put(gates.add("hidden", "sums"))
    sheet.loop(n, f"reset[j] = {gate(f'sums[{n} + j]')} * hidden[j];")
    sheet.put(candidate.add("reset", f"sums + {2 * n}"))
    sheet.loop(
        n,
        f"const float z = {gate('sums[j]')}, n = {act(f'sums[{2 * n} + j]')};",
        f"{h}[j] = settled(hidden[j] + z * (n - hidden[j]));",
    )


def _fill(op: DecayedOp, sheet: Sheet, seen: str) -> None:
    """The values, and in place of missing ones what they decay to."""
    features, w = op.inputs // 3, op.weights
    rate, shift = w["input_decay_kernel"], w["input_decay_bias"]
    assert rate is not None
    assert shift is not None
    away, back = "x[j]", ""
    if op.means is not None:
        mean = sheet.constant("means", op.means, "")
        away, back = f"x[j] - {mean}[j]", f" + {mean}[j]"
    speed = f"x[{2 * features} + j] * {sheet.constant('input_decay_kernel', rate, '')}[j]"
    speed += f" + {sheet.constant('input_decay_bias', shift, '')}[j]"
    sheet.loop(
        features,
        f"const float mask = x[{features} + j], away = {away};",
        f"const float rate = {speed};",
        "const float decay = exponential(rate > 0.0f ? -rate : 0.0f);",
        f"if (mask > 0.5f) {seen}[j] = away;",
        f"filled[j] = mask * away + (1.0f - mask) * decay * {seen}[j]{back};",
    )
