"""Convolution and pooling, over any number of axes of space."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .helpers import Operator, needs_floats, optional, room_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _numbers(call: Call, name: str, usual: int, count: int) -> list[int]:
    found = call.get(name) or [usual] * count
    if len(found) != count or min(found, default=1) < 1:
        raise ShapeError(f"{name}={found}; expected {count} numbers from 1")
    return [int(value) for value in found]


def paddings(
    call: Call,
    extents: Sequence[int],
    sizes: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
) -> list[tuple[int, int]]:
    """Return (before, after) of each axis of space.

    Raises
    ------
    ConfigError, ShapeError
        Unknown auto_pad, or pads that do not fit.
    """
    mode, count = call.get("auto_pad", "NOTSET"), len(extents)
    if mode == "VALID":
        return [(0, 0)] * count
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        found = []
        for extent, size, stride, dilation in zip(extents, sizes, strides, dilations):
            total = max((-(-extent // stride) - 1) * stride + (size - 1) * dilation + 1 - extent, 0)
            less = total // 2
            found.append((less, total - less) if mode == "SAME_UPPER" else (total - less, less))
        return found
    if mode != "NOTSET":
        raise ConfigError(f"auto_pad={mode!r}")
    pads = call.get("pads") or [0] * (2 * count)
    if len(pads) != 2 * count or min(pads, default=0) < 0:
        raise ShapeError(f"pads={pads}; expected {2 * count} numbers from 0")
    return [(int(pads[k]), int(pads[count + k])) for k in range(count)]


def _conv(call: Call, inputs: list[Any]) -> list[Any]:
    x, w = inputs[:2]
    needs_floats(x, w)
    count = x.ndim - 2
    if count < 1 or w.ndim != x.ndim:
        raise ShapeError(f"x of shape {x.shape}, W of shape {w.shape}")
    sizes, groups = w.shape[2:], call.get("group", 1)
    if list(call.get("kernel_shape") or sizes) != list(sizes):
        raise ShapeError(f"kernel_shape={call.get('kernel_shape')}, W has shape {w.shape}")
    if groups < 1 or w.shape[0] % groups or x.shape[1] != w.shape[1] * groups:
        raise ShapeError(f"group={groups}, x of shape {x.shape}, W of shape {w.shape}")
    strides, dilations = _numbers(call, "strides", 1, count), _numbers(call, "dilations", 1, count)
    pads = paddings(call, x.shape[2:], sizes, strides, dilations)
    extents = [n + a + b for n, (a, b) in zip(x.shape[2:], pads)]
    outputs = [
        (n - (size - 1) * dilation - 1) // stride + 1
        for n, size, stride, dilation in zip(extents, sizes, strides, dilations)
    ]
    if min(outputs) < 1:
        raise ShapeError(f"a window of {sizes} is larger than {extents}")
    room_for(call, (*x.shape[:2], *extents), x.dtype)
    room_for(call, (x.shape[0], w.shape[0], *outputs), x.dtype)
    kind = x.dtype
    if kind == np.float16:  # sums of float16 would lose half of its digits
        x, w = x.astype(np.float32), w.astype(np.float32)
    x = np.pad(x, [(0, 0), (0, 0), *pads]).reshape(x.shape[0], groups, -1, *extents)
    w = w.reshape(groups, -1, *w.shape[1:])
    y = np.zeros((x.shape[0], groups, w.shape[1], *outputs), x.dtype)
    # a product for each place in the window: no matrix of windows
    for place in itertools.product(*map(range, sizes)):
        part = x[(..., *_places(place, outputs, strides, dilations))]
        y += np.einsum("ngc...,gkc->ngk...", part, w[(..., *place)], optimize=True)
    y = y.reshape(x.shape[0], -1, *outputs)
    bias = optional(inputs, 2)
    y = y if bias is None else y + bias.reshape(-1, *(1,) * count)
    return [y.astype(kind, copy=False)]


def _places(
    place: Sequence[int], outputs: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[slice, ...]:
    """Return the numbers that one place in the window reads, for all windows."""
    return tuple(
        slice(k * dilation, k * dilation + (n - 1) * stride + 1, stride)
        for k, n, stride, dilation in zip(place, outputs, strides, dilations)
    )


class _Pooling:
    """The windows of a pooling operator over one array."""

    def __init__(self, call: Call, x: Array) -> None:
        self.count = x.ndim - 2
        if self.count < 1:
            raise ShapeError(f"an array of shape {x.shape}")
        self.sizes = _numbers(call, "kernel_shape", 0, self.count)
        self.strides = _numbers(call, "strides", 1, self.count)
        self.dilations = _numbers(call, "dilations", 1, self.count)
        self.pads = paddings(call, x.shape[2:], self.sizes, self.strides, self.dilations)
        self.outputs, self.ends = [], []
        ceil = bool(call.get("ceil_mode", 0))
        for n, (a, b), size, stride, dilation in zip(
            x.shape[2:], self.pads, self.sizes, self.strides, self.dilations
        ):
            reach = (size - 1) * dilation + 1
            room = n + a + b - reach
            if room < 0:
                raise ShapeError(f"a window of {reach} is larger than {n + a + b}")
            found = (-(-room // stride) if ceil else room // stride) + 1
            if ceil and (found - 1) * stride >= n + a:  # it would begin in the padding at the end
                found -= 1
            self.outputs.append(found)
            self.ends.append(max((found - 1) * stride + reach - n - a, b))
        room_for(call, (*x.shape[:2], *self.outputs), x.dtype)
        if math.prod(self.sizes) > 1_000_000:
            raise ShapeError(f"a window of {self.sizes}")

    def padded(self, x: Array, value: Any) -> Array:
        widths = [(0, 0), (0, 0), *((a, b) for (a, _), b in zip(self.pads, self.ends))]
        return np.pad(x, widths, constant_values=value)

    def parts(self, padded: Array) -> Any:
        for place in itertools.product(*map(range, self.sizes)):
            yield padded[(..., *_places(place, self.outputs, self.strides, self.dilations))]


def _max_pool(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    pooling = _Pooling(call, x)
    low = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    y = np.full((*x.shape[:2], *pooling.outputs), low, x.dtype)
    if len([name for name in call.outputs if name]) < 2:
        for part in pooling.parts(pooling.padded(x, low)):
            np.maximum(y, part, out=y)
        return [y]
    order = "F" if call.get("storage_order", 0) else "C"
    inside = np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:], order=order)
    rows = np.arange(x.shape[0] * x.shape[1]).reshape(x.shape[:2]) * inside.size
    numbers = rows.reshape(*x.shape[:2], *(1,) * pooling.count) + inside
    at = np.full(y.shape, -1, np.int64)
    for part, places in zip(
        pooling.parts(pooling.padded(x, low)), pooling.parts(pooling.padded(numbers, -1))
    ):
        better = (places >= 0) & ((at < 0) | (part > y))
        y, at = np.where(better, part, y), np.where(better, places, at)
    return [y, at]


def _average_pool(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    pooling = _Pooling(call, x)
    total = np.zeros((*x.shape[:2], *pooling.outputs), x.dtype)
    counted = np.zeros(pooling.outputs, x.dtype)
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if call.get("count_include_pad", 0):
        ones = np.pad(ones, [(0, 0), (0, 0), *pooling.pads], constant_values=1)
        widths = [
            (0, 0),
            (0, 0),
            *((0, end - b) for (_, b), end in zip(pooling.pads, pooling.ends)),
        ]
        ones = np.pad(ones, widths)
    else:
        ones = pooling.padded(ones, 0)
    for part, valid in zip(pooling.parts(pooling.padded(x, 0)), pooling.parts(ones)):
        total += part
        counted += valid[0, 0]
    return [total / counted]


def _global(function: Any) -> Operator:
    def run(call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        if x.ndim < 3:
            raise ShapeError(f"an array of shape {x.shape}")
        return [function(x, axis=tuple(range(2, x.ndim)), keepdims=True)]

    return run


OPERATORS: dict[str, Operator] = {
    "AveragePool": _average_pool,
    "Conv": _conv,
    "GlobalAveragePool": _global(np.mean),
    "GlobalMaxPool": _global(np.max),
    "MaxPool": _max_pool,
}
