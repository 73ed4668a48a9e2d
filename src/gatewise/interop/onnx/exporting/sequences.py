"""Layers that look at the steps of a sequence, its axes, or several arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import layers

from .graph import Timing, Value, refuse
from .masks import back, counted, filled, joined
from .vectors import merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise.layers.window_axis import WindowAxis

    from .graph import Builder
    from .network import Exporter

_LOW = float(np.finfo(np.float32).min)


def embedding(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    (x,) = sources
    b = e.b
    table = b.constant(layer._parameters["embeddings"], np.float32, f"{name}/embeddings")
    y = b.op("Gather", table, x.name, axis=0, name=name)
    return [x.made(y, layer.compute_output_shape(x.shape))]


def same(_e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    """Layers that change nothing at inference; masks are those of the inputs."""
    return [sources[0].made(sources[0].name, layer.compute_output_shape(sources[0].shape))]


def prelu(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    (x,) = sources
    slope = e.b.constant(layer._parameters["alpha"], np.float32, f"{name}/alpha")
    return [x.made(e.b.op("PRelu", x.name, slope, name=name), x.shape)]


def softmax(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    (x,) = sources
    axes = layer._axes_of(len(x.shape))
    if len(axes) > 1:
        refuse(layer, f"its sums are over several axes, {layer.axis}")
    if axes[0] == 1 and len(x.shape) > 2:
        x = filled(e.b, x, _LOW)
    return [x.made(e.b.op("Softmax", x.name, axis=axes[0], name=name), x.shape)]


# ---- windows


def _pads(axis: WindowAxis) -> tuple[int, int] | None:
    """Padding before and after; None: it depends on the extent."""
    if axis.padding == "valid":
        return 0, 0
    if axis.padding == "causal":
        return axis.reach, 0
    if axis.strides == 1:
        return axis.reach // 2, axis.reach - axis.reach // 2
    return None


def pads_of(axes: Sequence[WindowAxis]) -> dict[str, Any]:
    """The attributes of padding of a node, for the axes of its windows."""
    found = [_pads(axis) for axis in axes]
    pads = [pad for pad in found if pad is not None]
    if len(pads) < len(found):
        return {"auto_pad": "SAME_UPPER"}
    return {"pads": [pad[0] for pad in pads] + [pad[1] for pad in pads]}


def windows_after(e: Exporter, layer: Any, x: Value) -> Timing | None:
    """The steps that count after windows of steps."""
    if x.timing is None or layer.keeps_steps:
        return x.timing
    axis: WindowAxis = layer._axis
    if axis.padding == "same" and axis.strides > 1:
        refuse(
            layer,
            "padding='same' with strides depends on the length of each row; export without"
            " lengths, and without a layer that masks",
        )
    b = e.b
    shift = axis.strides - 1 - (axis.reach if axis.padding == "valid" else 0)
    count = b.op(
        "Div",
        b.op("Max", b.op("Add", x.timing.lengths, b.ints(shift)), b.ints(0)),
        b.ints(axis.strides),
    )
    return Timing(count)


def _after_windows(e: Exporter, layer: Any, x: Value, y: str) -> list[Value]:
    timing = windows_after(e, layer, x)
    return [Value(y, layer.compute_output_shape(x.shape), timing)]


def convolution(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b, x = e.b, filled(e.b, sources[0])
    windows_after(e, layer, x)  # refuses
    kernel = layer._parameters["kernel"].transpose(2, 1, 0)  # (filters, features, window)
    y = _convolved(b, layer, b.transpose(x.name, 0, 2, 1), kernel, name, 1)
    y = e.activation(layer, b.transpose(y, 0, 2, 1), name)
    return _after_windows(e, layer, x, y)


def _convolved(
    b: Builder, layer: Any, x: str, kernel: Any, name: str, group: int, bias: Any = "bias"
) -> str:
    axis: WindowAxis = layer._axis
    inputs = [x, b.constant(np.ascontiguousarray(kernel), np.float32, f"{name}/kernel")]
    if bias in layer._parameters:
        inputs.append(b.constant(layer._parameters[bias], np.float32, f"{name}/bias"))
    return b.op(
        "Conv",
        *inputs,
        name=name,
        kernel_shape=[axis.window],
        strides=[axis.strides],
        dilations=[axis.dilation],
        group=group,
        **pads_of([axis]),
    )


def depthwise(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """DepthwiseConv1D and SeparableConv1D."""
    b, x = e.b, filled(e.b, sources[0])
    windows_after(e, layer, x)  # refuses
    separable = isinstance(layer, layers.SeparableConv1D)
    weights = layer._parameters
    kernel = weights["depthwise_kernel" if separable else "kernel"]
    window, features, multiplier = kernel.shape
    kernel = kernel.reshape(window, features * multiplier).T[:, None]
    y = _convolved(
        b,
        layer,
        b.transpose(x.name, 0, 2, 1),
        kernel,
        name,
        features,
        None if separable else "bias",
    )
    y = b.transpose(y, 0, 2, 1)
    if separable:
        pointwise = weights["pointwise_kernel"]
        matrix = pointwise.reshape(pointwise.shape[-2:])
        y = b.op("MatMul", y, b.constant(matrix, np.float32, f"{name}/pointwise_kernel"))
        if "bias" in weights:
            y = b.op("Add", y, b.constant(weights["bias"], np.float32, f"{name}/bias"))
    return _after_windows(e, layer, x, e.activation(layer, y, name))


def pooling(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b, (x,) = e.b, sources
    windows_after(e, layer, x)  # refuses
    options = {
        "kernel_shape": [layer.window],
        "strides": [layer.strides],
        **pads_of([layer._axis]),
    }
    if layer._maximum:
        z = b.transpose(filled(b, x, _LOW).name, 0, 2, 1)
        y = b.op("MaxPool", z, name=name, **options)
    else:
        z = b.transpose(filled(b, x).name, 0, 2, 1)
        y = b.op("AveragePool", z, name=name, count_include_pad=0, **options)
        if x.timing is not None:  # the mean of the steps that count
            mask = counted(b, x.name, x.timing.lengths)
            ones = b.op("Cast", b.op("Unsqueeze", mask, b.ints(1)), to=b.onnx.TensorProto.FLOAT)
            share = b.op("AveragePool", ones, count_include_pad=0, **options)
            y = b.op("Div", y, b.op("Max", share, b.number(1e-9)))
    found = _after_windows(e, layer, x, b.transpose(y, 0, 2, 1))
    return [filled(b, found[0])]


def global_pooling(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    b, (x,) = e.b, sources
    shape = layer.compute_output_shape(x.shape)
    if layer._maximum:
        y = b.reduce("ReduceMax", filled(b, x, _LOW).name, [1], False)
        if x.timing is not None:
            some = b.op("Greater", x.timing.lengths, b.ints(0))
            y = b.op("Where", b.op("Unsqueeze", some, b.ints(1)), y, b.number(0))
    elif x.timing is None:
        y = b.reduce("ReduceMean", x.name, [1], False)
    else:
        total = b.reduce("ReduceSum", filled(b, x).name, [1], False)
        count = b.op("Unsqueeze", b.op("Max", x.timing.lengths, b.ints(1)), b.ints(1))
        y = b.op("Div", total, b.op("Cast", count, to=b.onnx.TensorProto.FLOAT))
    return [Value(y, shape)]


# ---- axes


def flatten(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """Flatten and Reshape."""
    (x,) = sources
    shape = layer.compute_output_shape(x.shape)
    keeps = isinstance(layer, layers.Reshape) and layer._keeps(x.shape)
    if not keeps:
        if len(shape) > 2 and len(x.shape) > 2:
            e.refuse_ragged(layer, x)
        x = back(e.b, x) if x.timing is not None else x
    rest = list(shape[1:])
    if keeps:  # the steps stay
        rest[0] = 0
    rest = [-1 if extent is None else extent for extent in rest]
    y = e.b.op("Reshape", x.name, e.b.ints(0, *rest), name=name)
    return [Value(y, shape, x.timing if keeps else None)]


def permute(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    (x,) = sources
    if not layer.keeps_steps:
        e.refuse_ragged(layer, x)
    y = e.b.transpose(x.name, 0, *layer.dims)
    timing = x.timing if layer.keeps_steps else None
    return [Value(y, layer.compute_output_shape(x.shape), timing)]


def repeat(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    (x,) = sources
    y = e.b.op("Tile", e.b.op("Unsqueeze", x.name, e.b.ints(1)), e.b.ints(1, layer.n, 1))
    return [Value(y, layer.compute_output_shape(x.shape))]


def part(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    """Slice: what brackets behind a symbol take."""
    b, (x,) = e.b, sources
    key = layer._whole_key(len(x.shape))
    keeps = len(key) < 2 or key[1] == slice(None)
    if not keeps:
        e.refuse_ragged(layer, x)
    y, axis = x.name, 0
    single: list[int] = []
    new: list[int] = []
    for place, entry in enumerate(key):
        if entry is None:
            new.append(place - len(single))
            continue
        if isinstance(entry, slice) and entry != slice(None):
            step = 1 if entry.step is None else entry.step
            last = 2**31 - 1
            begin = entry.start if entry.start is not None else (0 if step > 0 else last)
            end = entry.stop if entry.stop is not None else (last if step > 0 else -last)
            y = b.op("Slice", y, b.ints(begin), b.ints(end), b.ints(axis), b.ints(step))
        elif not isinstance(entry, slice):
            end = 2**31 - 1 if entry == -1 else entry + 1
            y = b.op("Slice", y, b.ints(entry), b.ints(end), b.ints(axis))
            single.append(axis)
        axis += 1
    if single:
        y = b.op("Squeeze", y, b.ints(*single))
    if new:
        y = b.op("Unsqueeze", y, b.ints(*new))
    return [Value(y, layer.compute_output_shape(x.shape), x.timing if keeps else None)]


def resized(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """ZeroPadding1D, Cropping1D and UpSampling1D."""
    b, x = e.b, filled(e.b, sources[0])
    shape = layer.compute_output_shape(x.shape)
    lengths = None if x.timing is None else x.timing.lengths
    if isinstance(layer, layers.UpSampling1D):
        count = layer.size
        y = b.op("Tile", b.op("Unsqueeze", x.name, b.ints(2)), b.ints(1, 1, count, 1))
        y = b.op("Reshape", y, b.ints(0, -1, shape[-1]), name=name)
        lengths = lengths and b.op("Mul", lengths, b.ints(count))
    elif isinstance(layer, layers.ZeroPadding1D):
        before, after = layer.padding
        y = b.op("Pad", x.name, b.ints(0, before, 0, 0, after, 0), name=name)
        lengths = lengths and b.op("Add", lengths, b.ints(before + after))
    else:
        before, after = layer.cropping
        end = 2**31 - 1 if after == 0 else -after
        y = b.op("Slice", x.name, b.ints(before), b.ints(end), b.ints(1), name=name)
        lengths = lengths and b.op("Max", b.op("Sub", lengths, b.ints(before + after)), b.ints(0))
    return [filled(b, Value(y, shape, Timing(lengths) if lengths else None))]


# ---- several arrays


def merging(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    """Concatenate, Add and the like."""
    b = e.b
    shape = layer.compute_output_shape([x.shape for x in sources])
    rank = len(shape)
    concatenates = isinstance(layer, layers.Concatenate)
    if concatenates and layer._joins_steps and any(x.timing is not None for x in sources):
        refuse(layer, "it joins sequences of rows of different lengths along their steps")
    timed = [
        rank > 2 and len(x.shape) == rank and (x.shape[1] == shape[1] or x.shape[1] != 1)
        for x in sources
    ]
    for x, has in zip(sources, timed):
        if not has:
            e.refuse_ragged(layer, x)
    values, timing = joined(b, sources, timed)
    names = []
    for x in values:
        missing = rank - len(x.shape)
        axes = b.ints(*range(1, 1 + missing)) if missing else ""
        names.append(b.op("Unsqueeze", x.name, axes) if missing else x.name)
    kind = "concatenate" if concatenates else layer._operation
    y = merged(b, kind, names, layer._axis_of(rank) if concatenates else -1)
    return [Value(y, shape, timing)]


def arithmetic(e: Exporter, layer: Any, sources: list[Value], _name: str) -> list[Value]:
    b, (x,) = e.b, sources
    kind = {"add": "Add", "subtract": "Sub", "multiply": "Mul", "divide": "Div"}[layer.operation]
    if kind == "Div" and layer.number_first:
        x = filled(b, x, 1.0)
    pair = [x.name, b.number(layer.number)]
    y = b.op(kind, *(reversed(pair) if layer.number_first else pair))
    return [x.made(y, x.shape)]


HANDLERS: dict[type, Any] = {
    layers.Embedding: embedding,
    layers.Masking: same,
    layers.PReLU: prelu,
    layers.Softmax: softmax,
    layers.Conv1D: convolution,
    layers.DepthwiseConv1D: depthwise,
    layers.SeparableConv1D: depthwise,
    layers.MaxPooling1D: pooling,
    layers.AveragePooling1D: pooling,
    layers.GlobalMaxPooling1D: global_pooling,
    layers.GlobalAveragePooling1D: global_pooling,
    layers.Flatten: flatten,
    layers.Reshape: flatten,
    layers.Permute: permute,
    layers.RepeatVector: repeat,
    layers.operators.Slice: part,
    layers.operators.Arithmetic: arithmetic,
    layers.ZeroPadding1D: resized,
    layers.Cropping1D: resized,
    layers.UpSampling1D: resized,
    layers.Concatenate: merging,
    layers.Add: merging,
    layers.Subtract: merging,
    layers.Multiply: merging,
    layers.Average: merging,
    layers.Maximum: merging,
    layers.Minimum: merging,
}
