"""Operators that arrange, select and make numbers, without arithmetic."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .helpers import Operator, axes_of, axis_of, given, optional, room_for

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _reshape(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    shape = given(call, inputs, 1, "shape") or []
    if not call.get("allowzero", 0):
        shape = [x.shape[k] if extent == 0 else extent for k, extent in enumerate(shape)]
    return [x.reshape(shape)]


def _transpose(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    order = call.get("perm")
    order = tuple(reversed(range(x.ndim))) if order is None else axes_of(order, x.ndim)
    return [np.ascontiguousarray(x.transpose(order))]


def _squeeze(call: Call, inputs: list[Any]) -> list[Any]:
    x, axes = inputs[0], given(call, inputs, 1, "axes")
    return [x.squeeze() if axes is None else x.squeeze(axes_of(axes, x.ndim))]


def _unsqueeze(call: Call, inputs: list[Any]) -> list[Any]:
    x, axes = inputs[0], given(call, inputs, 1, "axes") or []
    return [np.expand_dims(x, axes_of(axes, x.ndim + len(axes)))]


def _flatten(call: Call, inputs: list[Any]) -> list[Any]:
    x, axis = inputs[0], call.get("axis", 1)
    axis = x.ndim if axis == x.ndim else axis_of(axis, x.ndim)
    return [x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))]


def _concat(call: Call, inputs: list[Any]) -> list[Any]:
    axis = axis_of(call.get("axis", 0), inputs[0].ndim)
    room_for(call, [sum(x.size for x in inputs)], inputs[0].dtype)
    return [np.concatenate(inputs, axis)]


def _split(call: Call, inputs: list[Any]) -> list[Any]:
    x, axis = inputs[0], axis_of(call.get("axis", 0), inputs[0].ndim)
    extent, sizes = x.shape[axis], given(call, inputs, 1, "split")
    if sizes is None:
        count = call.get("num_outputs", len(call.outputs))
        if count < 1:
            raise ShapeError(f"Split into {count} parts")
        each = -(-extent // count)
        sizes = [min(each, max(extent - k * each, 0)) for k in range(count)]
    if sum(sizes) != extent or min(sizes, default=0) < 0 or len(sizes) != len(call.outputs):
        raise ShapeError(f"parts {sizes} of an axis of {extent}, for {len(call.outputs)} outputs")
    return [np.ascontiguousarray(part) for part in np.split(x, np.cumsum(sizes)[:-1], axis)]


def slices_of(call: Call, inputs: list[Any], rank: int) -> dict[int, slice]:
    """Return what Slice takes of each axis that it names."""
    starts, ends = given(call, inputs, 1, "starts"), given(call, inputs, 2, "ends")
    if starts is None or ends is None:
        raise ConfigError("starts or ends are left out")
    axes = given(call, inputs, 3, "axes")
    axes = list(range(len(starts))) if axes is None else axes
    steps = given(call, inputs, 4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise ShapeError("starts, ends, axes and steps are not of the same number")
    found = {}
    for start, end, axis, step in zip(starts, ends, axes_of(axes, rank), steps):
        # the end before the first number cannot be written as a number in Python
        stop = None if step < 0 and end < -(2**31) + 1 else end
        found[axis] = slice(start, stop, step)
    return found


def _slice(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    entries: list[slice] = [slice(None)] * x.ndim
    for axis, entry in slices_of(call, inputs, x.ndim).items():
        start, stop, step, extent = entry.start, entry.stop, entry.step, x.shape[axis]
        if step < 0 and stop is not None and stop < -extent:
            stop = None
        entries[axis] = slice(start, stop, step)
    return [np.ascontiguousarray(x[tuple(entries)])]


def _indices(indices: Array, extent: int) -> Array:
    """Return indices counted from the front.

    Raises
    ------
    ShapeError
        One is outside.
    """
    if indices.size and not -extent <= indices.min() <= indices.max() < extent:
        raise ShapeError(f"indices {indices.min()} to {indices.max()} of an axis of {extent}")
    return np.where(indices < 0, indices + extent, indices)


def _gather(call: Call, inputs: list[Any]) -> list[Any]:
    x, indices = inputs
    axis = axis_of(call.get("axis", 0), x.ndim)
    room_for(call, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x.dtype)
    return [np.asarray(np.take(x, _indices(indices, x.shape[axis]), axis))]


def _gather_elements(call: Call, inputs: list[Any]) -> list[Any]:
    x, indices = inputs
    axis = axis_of(call.get("axis", 0), x.ndim)
    places = np.ix_(*(range(extent) for extent in indices.shape))
    return [x[(*places[:axis], _indices(indices, x.shape[axis]), *places[axis + 1 :])]]


def _scatter_elements(call: Call, inputs: list[Any]) -> list[Any]:
    x, indices, updates = inputs
    axis = axis_of(call.get("axis", 0), x.ndim)
    places = np.ix_(*(range(extent) for extent in indices.shape))
    at = (*places[:axis], _indices(indices, x.shape[axis]), *places[axis + 1 :])
    kind = call.get("reduction", "none")
    y = x.copy()
    if kind == "none":
        y[at] = updates
    else:
        functions = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
        if kind not in functions:
            raise ConfigError(f"reduction {kind!r}")
        functions[kind].at(y, at, updates)
    return [y]


def _gather_nd(call: Call, inputs: list[Any]) -> list[Any]:
    x, indices = inputs
    batch = call.get("batch_dims", 0)
    if not 0 <= batch < min(x.ndim, indices.ndim) or x.shape[:batch] != indices.shape[:batch]:
        raise ShapeError(f"batch_dims={batch} of arrays of shapes {x.shape}, {indices.shape}")
    depth = indices.shape[-1]
    if batch + depth > x.ndim:
        raise ShapeError(f"{depth} indices of an array of shape {x.shape}")
    room_for(call, (*indices.shape[:-1], *x.shape[batch + depth :]), x.dtype)
    places = np.ix_(*(range(extent) for extent in x.shape[:batch]))
    rest = indices.ndim - 1 - batch
    places = tuple(place.reshape(place.shape + (1,) * rest) for place in places)
    at = tuple(_indices(indices[..., k], x.shape[batch + k]) for k in range(depth))
    return [np.asarray(x[(*places, *at)])]


def _expand(call: Call, inputs: list[Any]) -> list[Any]:
    x, shape = inputs[0], [int(extent) for extent in inputs[1]]
    if any(extent < 0 for extent in shape):
        raise ShapeError(f"shape {shape}")
    wanted = np.broadcast_shapes(x.shape, tuple(shape))
    room_for(call, wanted, x.dtype)
    return [np.array(np.broadcast_to(x, wanted))]


def _tile(call: Call, inputs: list[Any]) -> list[Any]:
    x, repeats = inputs[0], [int(n) for n in inputs[1]]
    if len(repeats) != x.ndim:
        raise ShapeError(f"{len(repeats)} repeats of {x.ndim} axes")
    room_for(call, [extent * n for extent, n in zip(x.shape, repeats)], x.dtype)
    return [np.tile(x, repeats)]


def _pad(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    pads = given(call, inputs, 1, "pads") or []
    constant = call.get("value", 0.0) if call.version < 11 else optional(inputs, 2)
    axes = given(call, inputs, 3, "axes")
    axes = list(range(x.ndim)) if axes is None else list(axes_of(axes, x.ndim))
    if len(pads) != 2 * len(axes):
        raise ShapeError(f"{len(pads)} pads for {len(axes)} axes")
    widths = [(0, 0)] * x.ndim
    for k, axis in enumerate(axes):
        widths[axis] = (pads[k], pads[len(axes) + k])
    # a negative number cuts
    cut = tuple(slice(max(-a, 0), extent - max(-b, 0)) for (a, b), extent in zip(widths, x.shape))
    x, widths = x[cut], [(max(a, 0), max(b, 0)) for a, b in widths]
    room_for(call, [n + a + b for n, (a, b) in zip(x.shape, widths)], x.dtype)
    mode = call.get("mode", "constant")
    if mode == "constant":
        value = np.zeros((), x.dtype) if constant is None else np.asarray(constant).reshape(())
        return [np.pad(x, widths, constant_values=value.astype(x.dtype))]
    if mode not in ("edge", "reflect", "wrap"):
        raise ConfigError(f"mode {mode!r}")
    return [np.pad(x, widths, mode=mode)]


def _shape(call: Call, inputs: list[Any]) -> list[Any]:
    shape = inputs[0].shape[call.get("start", 0) : call.get("end")]
    return [np.array(shape, np.int64)]


def _size(call: Call, inputs: list[Any]) -> list[Any]:
    return [np.array(inputs[0].size, np.int64)]


def _constant(call: Call, inputs: list[Any]) -> list[Any]:
    kinds: dict[str, Any] = {"value_float": np.float32, "value_floats": np.float32}
    kinds |= {"value_int": np.int64, "value_ints": np.int64}
    for name, value in call.attributes.items():
        if name == "value" and isinstance(value, np.ndarray):
            return [value]
        if name in kinds:
            return [np.array(value, kinds[name])]
    raise ConfigError("a Constant without a value, or with one of strings")


def _filled(call: Call, inputs: list[Any]) -> list[Any]:
    shape = [int(extent) for extent in inputs[0]]
    value = call.get("value")
    value = np.zeros(1, np.float32) if value is None else value
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise ConfigError("value is no tensor of one number")
    room_for(call, shape, value.dtype)
    return [np.full(shape, value.reshape(()), value.dtype)]


def _range(call: Call, inputs: list[Any]) -> list[Any]:
    start, limit, step = (np.asarray(value).reshape(()) for value in inputs)
    if step == 0:
        raise ConfigError("steps of 0")
    if not all(np.isfinite(value) for value in (start, limit, step)):
        raise ConfigError(f"from {start} to {limit} in steps of {step}")
    # in Python's numbers, whose whole numbers do not overflow
    first, last, by = start.item(), limit.item(), step.item()
    count = max(math.ceil((last - first) / by), 0)
    room_for(call, [count], start.dtype)
    return [(start + np.arange(count) * step).astype(start.dtype)]


def _eye_like(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    kind = _kind(call.get("dtype"), x.dtype)
    return [np.eye(*x.shape, k=call.get("k", 0), dtype=kind)]


def _kind(number: int | None, usual: Any) -> np.dtype[Any]:
    from gatewise.interop.onnx.tensors import DTYPES, type_name

    if number is None:
        return np.dtype(usual)
    if number not in DTYPES:
        raise ConfigError(f"numbers become {type_name(number)}, which is not supported")
    return DTYPES[number][0]


def _cast(call: Call, inputs: list[Any]) -> list[Any]:
    return [inputs[0].astype(_kind(call.get("to"), None))]


def _cast_like(call: Call, inputs: list[Any]) -> list[Any]:
    return [inputs[0].astype(inputs[1].dtype)]


def _reverse_sequence(call: Call, inputs: list[Any]) -> list[Any]:
    x, lengths = inputs
    time, batch = call.get("time_axis", 0), call.get("batch_axis", 1)
    if {time, batch} != {0, 1}:
        raise ConfigError(f"time_axis={time}, batch_axis={batch}; expected 0 and 1")
    y = (x if batch == 0 else x.swapaxes(0, 1)).copy()
    if lengths.shape != (len(y),) or (
        len(y) and not 0 <= lengths.min() <= lengths.max() <= y.shape[1]
    ):
        raise ShapeError(f"lengths {lengths} for an array of shape {x.shape}")
    for row, length in zip(y, lengths):
        row[:length] = row[:length][::-1].copy()
    return [y if batch == 0 else np.ascontiguousarray(y.swapaxes(0, 1))]


def _triangle(call: Call, inputs: list[Any]) -> list[Any]:
    x, k = inputs[0], optional(inputs, 1)
    k = 0 if k is None else int(np.asarray(k).reshape(()))
    k = max(min(k, 2**31), -(2**31))
    return [np.triu(x, k) if call.get("upper", 1) else np.tril(x, k)]


def _one_hot(call: Call, inputs: list[Any]) -> list[Any]:
    indices, depth, values = inputs
    depth = int(np.asarray(depth).reshape(()))
    if depth < 0 or values.shape != (2,):
        raise ShapeError(f"depth {depth}, values of shape {values.shape}")
    axis = axis_of(call.get("axis", -1), indices.ndim + 1)
    shape = [*indices.shape[:axis], depth, *indices.shape[axis:]]
    room_for(call, shape, values.dtype)
    places = np.where(indices < 0, indices + depth, indices)
    found = np.expand_dims(places, axis) == np.arange(depth).reshape(
        [depth if k == axis else 1 for k in range(len(shape))]
    )
    return [np.where(found, values[1], values[0])]


def _dropout(call: Call, inputs: list[Any]) -> list[Any]:
    x, ratio, training = inputs[0], optional(inputs, 1), optional(inputs, 2)
    ratio = 0.5 if ratio is None else float(np.asarray(ratio).reshape(()))
    mask = np.ones(x.shape, bool)
    if training is not None and np.asarray(training).reshape(()) and ratio:
        if not 0 <= ratio < 1:
            raise ConfigError(f"ratio is {ratio}; expected a number in [0, 1)")
        # the generator of ONNX's reference, so that a seed draws the same
        mask = np.random.RandomState(call.get("seed")).uniform(0, 1, x.shape) >= ratio
        x = (x * mask / (1 - ratio)).astype(x.dtype)
    return [x, mask][: max(len(call.outputs), 1)]


def _compress(call: Call, inputs: list[Any]) -> list[Any]:
    x, condition = inputs
    axis = call.get("axis")
    places = np.flatnonzero(condition)
    return [x.reshape(-1)[places] if axis is None else np.take(x, places, axis_of(axis, x.ndim))]


OPERATORS: dict[str, Operator] = {
    "Cast": _cast,
    "CastLike": _cast_like,
    "Compress": _compress,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Dropout": _dropout,
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "NonZero": lambda call, inputs: [np.array(np.nonzero(inputs[0]), np.int64)],
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "ScatterElements": _scatter_elements,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Trilu": _triangle,
    "Unsqueeze": _unsqueeze,
}
