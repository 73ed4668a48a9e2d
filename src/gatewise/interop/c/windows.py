"""Operations over a window of steps, which the state holds as a ring."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewise.layers.step_ops import ConvolutionOp, DepthwiseOp, PoolingOp, WindowOp

    from .sheet import Sheet


def convolution(op: ConvolutionOp, sheet: Sheet) -> None:
    """``activation(sum over k of x[t - (window - 1 - k) dilation] kernel[k] + bias)``."""
    size = op.inputs * op.width
    sheet.title = f"Convolution over {op.window} steps, {op.inputs} to {op.width}"
    kernel = sheet.matrix(
        "kernel", op.kernel.reshape(-1, op.width), f"({op.window}, {op.inputs}, {op.width})"
    )
    ring = _begin(op, sheet)
    sheet.start_sums("y", sheet.bias(op.bias), op.width)
    _each_step(
        op,
        sheet,
        kernel.add(f"{ring} + at * {op.inputs}", "y", op.inputs, f" + k * {size}"),
    )
    sheet.activate(op.activation, op.width)
    _end(sheet)


def depthwise(op: DepthwiseOp, sheet: Sheet) -> None:
    """A convolution of each feature by itself."""
    multiplier = op.width // op.inputs
    sheet.title = f"Convolution of each feature over {op.window} steps, {op.inputs} to {op.width}"
    kernel = sheet.constant("kernel", op.kernel, f"({op.window}, {op.inputs}, {multiplier})")
    ring = _begin(op, sheet)
    sheet.start_sums("y", sheet.bias(op.bias), op.width)
    feature = "j" if multiplier == 1 else f"j / {multiplier}"
    value = f"{ring}[at * {op.inputs} + {feature}] * {kernel}[k * {op.width} + j]"
    _each_step(op, sheet, f"for (j = 0; j < {op.width}; j++) y[j] += {value};")
    sheet.activate(op.activation, op.width)
    _end(sheet)


def pooling(op: PoolingOp, sheet: Sheet) -> None:
    """The maximum or the mean over a window."""
    n = op.width
    sheet.title = f"{'Maximum' if op.maximum else 'Mean'} over {op.window} steps, {n} numbers"
    ring = _begin(op, sheet)
    value = f"{ring}[at * {n} + j]"
    if op.maximum:
        larger = f"if (k == 0 || {value} > y[j] || {value} != {value}) y[j] = {value};"
        _each_step(op, sheet, f"for (j = 0; j < {n}; j++)", f"    {larger}")
    else:
        sheet.put(sheet.call("clear", "y", n))
        _each_step(op, sheet, f"for (j = 0; j < {n}; j++) y[j] += {value};")
        sheet.loop(n, f"y[j] /= {op.window}.0f;")
    _end(sheet)


def _span(op: WindowOp) -> int:
    """Steps from the first to the last of a window, both included."""
    return (op.window - 1) * op.dilation + 1


def _begin(op: WindowOp, sheet: Sheet) -> str:
    """Put x into the ring, and return if no output is due; the expression of the ring."""
    span, n = _span(op), op.inputs
    sheet.due = op.strides > 1 or not op.padded
    ring = sheet.state("ring", span * n, f"the last {span} inputs")
    place = sheet.counter("at", "place of the newest input", span - 1, 0, span - 1)
    sheet.put(
        "int k, at;",
        f"{place} = {place} + 1 < {span} ? {place} + 1 : 0;",
        sheet.call("copy", "x", n, f"{ring} + {place} * {n}"),
    )
    if sheet.due:
        first = 1 if op.padded else span
        wait = sheet.counter("wait", "steps to the next output", first, 1, max(first, op.strides))
        sheet.put(f"if (--{wait} > 0) return 0;", f"{wait} = {op.strides};")
    sheet.put(f"at = {place} + 1 < {span} ? {place} + 1 : 0; /* the oldest input */")
    return ring


def _each_step(op: WindowOp, sheet: Sheet, *lines: str) -> None:
    """Add statements for each step k of the window, whose place in the ring is `at`."""
    span, n = _span(op), op.dilation
    move = f"at = at + {n} < {span} ? at + {n} : at + {n} - {span};"
    if n == span:  # of a window of one step
        move = ""
    sheet.loop(op.window, *lines, *([move] if move else []), index="k")


def _end(sheet: Sheet) -> None:
    if sheet.due:
        sheet.put("return 1;")
