"""Operations on the vector of one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .quantization import quantize
from .sheet import number

if TYPE_CHECKING:
    from gatewise.layers.step_ops import (
        ActivationOp,
        AffineOp,
        DenseOp,
        LookupOp,
        MergeOp,
        NormalizationOp,
        QuotientOp,
        RectifierOp,
        RunningOp,
        SelectOp,
        SlopesOp,
        SoftmaxOp,
    )

    from .sheet import Sheet


def dense(op: DenseOp, sheet: Sheet) -> None:
    """``y = activation(x kernel + bias)``."""
    sheet.title = f"Dense, {op.inputs} to {op.width}"
    kernel = sheet.matrix("kernel", op.kernel, f"({op.inputs}, {op.width})")
    sheet.start_sums("y", sheet.bias(op.bias), op.width)
    sheet.put(kernel.add("x", "y"))
    sheet.activate(op.activation, op.width)


def activation(op: ActivationOp, sheet: Sheet) -> None:
    """An activation of each number; y may be x."""
    sheet.title = f"Activation of {op.width} numbers"
    of = sheet.activation(op.activation)
    sheet.loop(op.width, f"y[j] = {of('x[j]')};")


def softmax(op: SoftmaxOp, sheet: Sheet) -> None:
    """``exp(x - max(x)) / sum(exp(x - max(x)))``; y may be x."""
    sheet.title = f"Softmax over {op.width} numbers"
    sheet.helpers.add("exp_of_negative")
    sheet.put("float largest = x[0], sum = 0.0f;")
    sheet.loop(op.width, "if (x[j] > largest) largest = x[j];")
    sheet.loop(op.width, "y[j] = exp_of_negative(x[j] - largest);", "sum += y[j];")
    sheet.put("sum = 1.0f / sum;")
    sheet.loop(op.width, "y[j] *= sum;")


def affine(op: AffineOp, sheet: Sheet) -> None:
    """``(x - mean) scale + shift``; y may be x."""
    sheet.title = f"Scale and shift of {op.width} numbers"
    value = "x[j]"
    for name, array, form in (
        ("mean", op.mean, "({} - {})"),
        ("scale", op.scale, "{} * {}"),
        ("shift", op.shift, "{} + {}"),
    ):
        if array is None:
            continue
        same = np.isfinite(array).all() and (array == array[0]).all()
        place = number(array[0]) if same else f"{sheet.constant(name, array, '')}[j]"
        value = form.format(value, place)
    sheet.loop(op.width, f"y[j] = {value};")


def normalization(op: NormalizationOp, sheet: Sheet) -> None:
    """``(x - mean(x)) / sqrt(variance(x) + epsilon) gamma + beta``; y may be x."""
    sheet.title = f"Layer normalization of {op.width} numbers"
    sheet.helpers.add("normalize")
    value = "y[j]"
    if op.gamma is not None:
        value += f" * {sheet.constant('gamma', op.gamma, '')}[j]"
    if op.beta is not None:
        value += f" + {sheet.constant('beta', op.beta, '')}[j]"
    sheet.put(f"if (y != x) {sheet.call('copy', 'x', op.width, 'y')}")
    sheet.put(f"normalize(y, {op.width}, {number(op.epsilon)});")
    if value != "y[j]":
        sheet.loop(op.width, f"y[j] = {value};")


def quotient(op: QuotientOp, sheet: Sheet) -> None:
    """``x / number``, or ``number / x``; y may be x."""
    sheet.title = f"Division of {op.width} numbers"
    value = number(op.number)
    sheet.loop(op.width, f"y[j] = {f'{value} / x[j]' if op.number_first else f'x[j] / {value}'};")


def rectifier(op: RectifierOp, sheet: Sheet) -> None:
    """``min(x, most)`` above the threshold, else ``slope (x - threshold)``; y may be x."""
    sheet.title = f"Rectifier of {op.width} numbers"
    threshold, above = number(op.threshold), "x[j]"
    if not np.isinf(op.most):
        above = f"(x[j] < {number(op.most)} ? x[j] : {number(op.most)})"
    below = f"{number(op.slope)} * (x[j] - {threshold})" if op.slope else "0.0f"
    sheet.loop(op.width, f"y[j] = x[j] > {threshold} ? {above} : {below};")


def slopes(op: SlopesOp, sheet: Sheet) -> None:
    """``slopes x`` below 0; y may be x."""
    sheet.title = f"Slopes of {op.width} numbers"
    below = sheet.constant("slopes", op.slopes, "")
    sheet.loop(op.width, f"y[j] = x[j] < 0.0f ? x[j] * {below}[j] : x[j];")


def select(op: SelectOp, sheet: Sheet) -> None:
    """Some numbers of the vector."""
    n, columns = op.width, op.columns
    sheet.title = f"{n} of {op.inputs} numbers"
    step = int(columns[1] - columns[0]) if n > 1 else 1
    if np.array_equal(columns, columns[0] + step * np.arange(n)):
        first = f"{columns[0]} + " if columns[0] else ""
        place = f"{first}j" if step == 1 else f"{first}{step} * j"
    else:
        place = f"{sheet.constant('columns', columns.astype(np.int32), '')}[j]"
    sheet.loop(n, f"y[j] = x[{place}];")


def lookup(op: LookupOp, sheet: Sheet) -> None:
    """The row of a table; x is a whole number, which the program has checked."""
    size = len(op.table)
    sheet.title = f"Row of a table of {size}, {op.width} numbers each"
    sheet.reads_number = True
    if sheet.weights == "float32":
        table = sheet.constant("table", op.table, f"({size}, {op.width})")
        sheet.loop(op.width, f"y[j] = {table}[x * {op.width} + j];")
        return
    # A scale for each row: the rows are the columns of the transposed table.
    whole, scales, error = quantize(op.table.T, f"{sheet.name}_table")
    table = sheet.constant("table", whole.T, f"({size}, {op.width})")
    scale = sheet.constant("table_scale", scales, f"of the rows of {table}")
    sheet.errors[table] = error
    sheet.loop(op.width, f"y[j] = {scale}[x] * (float){table}[x * {op.width} + j];")


def running(op: RunningOp, sheet: Sheet) -> None:
    """The maximum or the mean over all steps so far."""
    n = op.width
    if op.maximum:
        sheet.title = f"Maximum over all steps, {n} numbers"
        first = sheet.counter("first", "1 before the first step", 1, 0, 1)
        largest = sheet.state("max", n, "over the steps so far")
        sheet.loop(
            n,
            f"if ({first} || x[j] > {largest}[j] || x[j] != x[j]) {largest}[j] = x[j];",
            f"y[j] = {largest}[j];",
        )
        sheet.put(f"{first} = 0;")
        return
    sheet.title = f"Mean over all steps, {n} numbers"
    # Sums in two floats each (Kahan 1965), as a float alone stops growing in a long run.
    count = sheet.counter("count", "steps so far", 0, 0, 2**30)
    total = sheet.state("sum", n, "of the steps so far")
    lost = sheet.state("lost", n, "what rounding has taken from the sums")
    sheet.put(
        f"if ({count} == 1 << 30) {{ /* old steps count less from now on */",
        f"    for (j = 0; j < {n}; j++) {{",
        f"        {total}[j] *= 0.5f;",
        f"        {lost}[j] *= 0.5f;",
        "    }",
        f"    {count} /= 2;",
        "}",
        f"{count}++;",
    )
    sheet.loop(
        n,
        f"const float more = x[j] - {lost}[j], sum = {total}[j] + more;",
        f"{lost}[j] = (sum - {total}[j]) - more;",
        f"{total}[j] = sum;",
        f"y[j] = (sum - {lost}[j]) / (float){count};",
    )


_OPERATORS = {"add": "+", "average": "+", "subtract": "-", "multiply": "*"}


def merge(op: MergeOp, sheet: Sheet) -> None:
    """Several vectors x0, x1, ... in one."""
    names = [f"x{k}" for k in range(len(op.widths))]
    sheet.title = f"{op.kind.capitalize()}, {' and '.join(map(str, op.widths))} numbers"
    if op.kind == "concatenate":
        at = 0
        for name, width in zip(names, op.widths):
            sheet.put(sheet.call("copy", name, width, f"y + {at}" if at else "y"))
            at += width
        return
    each = [f"{name}[{'0' if width == 1 else 'j'}]" for name, width in zip(names, op.widths)]
    if op.kind in _OPERATORS:
        value = f" {_OPERATORS[op.kind]} ".join(each)
        if op.kind == "average":
            value = f"({value}) / {len(each)}.0f"
        sheet.loop(op.width, f"y[j] = {value};")
        return
    sign = ">" if op.kind == "maximum" else "<"
    sheet.loop(
        op.width,
        f"float best = {each[0]};",
        *(f"if ({other} {sign} best || {other} != {other}) best = {other};" for other in each[1:]),
        "y[j] = best;",
    )
