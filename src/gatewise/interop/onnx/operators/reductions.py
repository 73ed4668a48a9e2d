"""Operators that reduce axes to one number each, and running sums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .helpers import Operator, axes_of, axis_of, given

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _reduction(function: Callable[..., Any]) -> Operator:
    """Return the operator of ``function(x, axis=, keepdims=)``."""

    def run(call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        axes = given(call, inputs, 1, "axes")
        if not axes:
            if call.get("noop_with_empty_axes", 0):
                # the reduction of no axes: squares and logarithms are still taken
                return [np.asarray(function(x, axis=(), keepdims=True)).astype(x.dtype)]
            axes = list(range(x.ndim))
        kept = bool(call.get("keepdims", 1))
        found = function(x, axis=axes_of(axes, x.ndim), keepdims=kept)
        return [np.asarray(found).astype(x.dtype, copy=False)]

    return run


def _log_sum_exp(x: Array, axis: Any, keepdims: bool) -> Array:
    high = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    high = np.where(np.isfinite(high), high, 0)
    found = np.log(np.sum(np.exp(x - high), axis=axis, keepdims=True)) + high
    return found if keepdims else found.squeeze(axis)


def _extreme(function: Any, sign: int) -> Callable[..., Any]:
    """Return np.max or np.min, with the least or greatest number for no numbers."""

    def run(x: Array, axis: Any, keepdims: bool) -> Any:
        if x.dtype == bool:
            whole = function(x.astype(np.int8), axis=axis, keepdims=keepdims, initial=sign < 0)
            return whole.astype(bool)
        if x.dtype.kind == "f":
            start = -sign * np.inf
        else:
            limits = np.iinfo(x.dtype)
            start = limits.min if sign > 0 else limits.max
        return function(x, axis=axis, keepdims=keepdims, initial=start)

    return run


def _position(find: Callable[..., Any]) -> Operator:
    """Return the operator of np.argmax or np.argmin."""

    def run(call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        axis = axis_of(call.get("axis", 0), x.ndim)
        if call.get("select_last_index", 0):
            found = x.shape[axis] - 1 - find(np.flip(x, axis), axis=axis)
        else:
            found = find(x, axis=axis)
        found = np.asarray(found, np.int64)
        return [np.expand_dims(found, axis) if call.get("keepdims", 1) else found]

    return run


def _running_sum(call: Call, inputs: list[Any]) -> list[Any]:
    x, axis = inputs[0], axis_of(int(np.asarray(inputs[1]).reshape(())), inputs[0].ndim)
    if x.dtype == bool:
        raise ConfigError("CumSum of booleans")
    backwards = bool(call.get("reverse", 0))
    x = np.flip(x, axis) if backwards else x
    found = np.cumsum(x, axis=axis, dtype=x.dtype)
    if call.get("exclusive", 0):
        found = found - x
    return [np.ascontiguousarray(np.flip(found, axis)) if backwards else found]


def _largest(call: Call, inputs: list[Any]) -> list[Any]:
    x, count = inputs[0], inputs[1] if len(inputs) > 1 else call.get("k", 0)
    axis = axis_of(call.get("axis", -1), x.ndim)
    count = int(np.asarray(count).reshape(()))
    if not 0 <= count <= x.shape[axis]:
        raise ShapeError(f"{count} numbers of an axis of {x.shape[axis]}")
    if call.get("largest", 1):
        # of equal numbers the first one, whatever their type
        order = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
        places = x.shape[axis] - 1 - order
    else:
        places = np.argsort(x, axis, kind="stable")
    places = places.take(np.arange(count), axis)
    return [np.take_along_axis(x, places, axis), places.astype(np.int64)]


OPERATORS: dict[str, Operator] = {
    "ArgMax": _position(np.argmax),
    "ArgMin": _position(np.argmin),
    "CumSum": _running_sum,
    "ReduceL1": _reduction(lambda x, **o: np.sum(np.abs(x), **o)),
    "ReduceL2": _reduction(lambda x, **o: np.sqrt(np.sum(np.square(x), **o))),
    "ReduceLogSum": _reduction(lambda x, **o: np.log(np.sum(x, **o))),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(_extreme(np.max, 1)),
    "ReduceMean": _reduction(np.mean),
    "ReduceMin": _reduction(_extreme(np.min, -1)),
    "ReduceProd": _reduction(np.prod),
    "ReduceSum": _reduction(np.sum),
    "TopK": _largest,
    "ReduceSumSquare": _reduction(lambda x, **o: np.sum(np.square(x), **o)),
}
