"""Products of matrices, softmax and normalization."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .helpers import Operator, axis_of, needs_floats, optional, room_for

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _matmul(call: Call, inputs: list[Any]) -> list[Any]:
    a, b = inputs
    if a.ndim and b.ndim:
        columns = b.shape[-1:] if b.ndim > 1 else ()
        rows = a.shape[-2:-1] if a.ndim > 1 else ()
        outer = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        room_for(call, (*outer, *rows, *columns), a.dtype)
    return [np.asarray(np.matmul(a, b)).astype(a.dtype, copy=False)]


def _gemm(call: Call, inputs: list[Any]) -> list[Any]:
    a, b = inputs[:2]
    c = optional(inputs, 2)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"matrices of shapes {a.shape} and {b.shape}")
    a = a.T if call.get("transA", 0) else a
    b = b.T if call.get("transB", 0) else b
    room_for(call, (a.shape[0], b.shape[1]), a.dtype)
    y = np.matmul(a, b)
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    if alpha != 1:
        y = (y * alpha).astype(a.dtype)
    if c is not None:
        if np.broadcast_shapes(y.shape, c.shape) != y.shape:
            raise ShapeError(f"C has shape {c.shape}, the product {y.shape}")
        y = y + (c if beta == 1 else (c * beta).astype(a.dtype))
    return [y]


def _einsum(call: Call, inputs: list[Any]) -> list[Any]:
    equation = call.get("equation", "").replace(" ", "")
    if not equation or any(letter not in ",.->" and not letter.isalpha() for letter in equation):
        raise ConfigError(f"equation {equation!r}")
    sizes: dict[str, int] = {}
    terms, _, output = equation.partition("->")
    for term, array in zip(terms.split(","), inputs):
        letters = term.replace("...", "")
        if "..." in term:  # the letters are at both ends
            head = term.partition("...")[0]
            extents = [
                *array.shape[: len(head)],
                *array.shape[array.ndim - len(letters) + len(head) :],
            ]
        else:
            extents = list(array.shape)
        sizes |= dict(zip(letters, extents))
    room_for(call, [sizes.get(letter, 1) for letter in output.replace("...", "")], inputs[0].dtype)
    return [np.asarray(np.einsum(equation, *inputs))]


def _softmax_axes(call: Call, x: Array) -> tuple[int, ...]:
    if call.version >= 13:
        return (axis_of(call.get("axis", -1), x.ndim),)
    return tuple(range(axis_of(call.get("axis", 1), x.ndim), x.ndim))  # as one axis


def _softmax(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    axes = _softmax_axes(call, x)
    y = np.exp(x - x.max(axis=axes, keepdims=True, initial=-np.inf))
    return [y / y.sum(axis=axes, keepdims=True)]


def _log_softmax(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    axes = _softmax_axes(call, x)
    x = x - x.max(axis=axes, keepdims=True, initial=-np.inf)
    return [x - np.log(np.exp(x).sum(axis=axes, keepdims=True))]


def _hardmax(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    axes = _softmax_axes(call, x)
    flat = x.reshape(*x.shape[: axes[0]], -1) if len(axes) > 1 else np.moveaxis(x, axes[0], -1)
    y = np.zeros(flat.shape, x.dtype)
    np.put_along_axis(y, flat.argmax(axis=-1)[..., None], 1, axis=-1)
    return [
        y.reshape(x.shape) if len(axes) > 1 else np.ascontiguousarray(np.moveaxis(y, -1, axes[0]))
    ]


def _along(parameter: Array, rank: int) -> Array:
    """Return a number for each channel, to be broadcast with (batch, channels, ...)."""
    if parameter.ndim != 1 or rank < 2:
        raise ShapeError(f"a parameter of shape {parameter.shape} for {rank} axes")
    return parameter.reshape(-1, *(1,) * (rank - 2))


def _batch_normalization(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    scale, shift, mean, variance = (_along(each, max(x.ndim, 2)) for each in inputs[1:5])
    epsilon = call.get("epsilon", 1e-5)
    if call.get("training_mode", 0):
        axes = tuple(axis for axis in range(x.ndim) if axis != 1)
        now, spread = x.mean(axis=axes), x.var(axis=axes)
        momentum = call.get("momentum", 0.9)
        running = [
            (momentum * old + (1 - momentum) * new).astype(old.dtype)
            for old, new in ((inputs[3], now), (inputs[4], spread))
        ]
        mean, variance = _along(now, x.ndim), _along(spread, x.ndim)
    else:
        running = []
    y = scale * (x - mean) / np.sqrt(variance + epsilon) + shift
    return [y.astype(x.dtype, copy=False), *running]


def _layer_normalization(call: Call, inputs: list[Any]) -> list[Any]:
    x, scale = inputs[:2]
    needs_floats(x)
    axis = axis_of(call.get("axis", -1), x.ndim)
    axes = tuple(range(axis, x.ndim))
    kind = np.float64 if x.dtype == np.float64 else np.float32
    wide = x.astype(kind)
    mean = wide.mean(axis=axes, keepdims=True)
    centred = wide - mean
    inverse = 1 / np.sqrt(
        np.square(centred).mean(axis=axes, keepdims=True) + kind(call.get("epsilon", 1e-5))
    )
    y = (centred * inverse).astype(x.dtype) * scale
    shift = optional(inputs, 2)
    y = y if shift is None else y + shift
    return [y.astype(x.dtype, copy=False), mean, inverse][: max(len(call.outputs), 1)]


def _root_mean_square(call: Call, inputs: list[Any]) -> list[Any]:
    x, scale = inputs[:2]
    needs_floats(x)
    axes = tuple(range(axis_of(call.get("axis", -1), x.ndim), x.ndim))
    kind = np.float64 if x.dtype == np.float64 else np.float32
    wide = x.astype(kind)
    mean = np.square(wide).mean(axis=axes, keepdims=True)
    y = wide / np.sqrt(mean + kind(call.get("epsilon", 1e-5)))
    return [(y.astype(x.dtype) * scale).astype(x.dtype, copy=False)]


def _in_groups(x: Array, groups: int, epsilon: float) -> Array:
    """Return x (batch, channels, ...) with mean 0 and variance 1 in each group of channels."""
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise ShapeError(f"{groups} groups of an array of shape {x.shape}")
    parts = x.reshape(x.shape[0], groups, -1)
    mean, spread = parts.mean(axis=-1, keepdims=True), parts.var(axis=-1, keepdims=True)
    return ((parts - mean) / np.sqrt(spread + x.dtype.type(epsilon))).reshape(x.shape)


def _instance_normalization(call: Call, inputs: list[Any]) -> list[Any]:
    x, scale, shift = inputs
    needs_floats(x)
    y = _in_groups(x, x.shape[1], call.get("epsilon", 1e-5))
    return [(_along(scale, x.ndim) * y + _along(shift, x.ndim)).astype(x.dtype, copy=False)]


def _group_normalization(call: Call, inputs: list[Any]) -> list[Any]:
    x, scale, shift = inputs
    needs_floats(x)
    if call.version < 21:
        raise ConfigError("GroupNormalization before operator set 21 was withdrawn by ONNX")
    y = _in_groups(x, call.get("num_groups", 0), call.get("epsilon", 1e-5))
    return [(_along(scale, x.ndim) * y + _along(shift, x.ndim)).astype(x.dtype, copy=False)]


def _lp_normalization(call: Call, inputs: list[Any]) -> list[Any]:
    x, p = inputs[0], call.get("p", 2)
    needs_floats(x)
    axis = axis_of(call.get("axis", -1), x.ndim)
    if p not in (1, 2):
        raise ConfigError(f"p={p}; expected 1 or 2")
    size = (
        np.abs(x).sum(axis=axis, keepdims=True)
        if p == 1
        else np.sqrt(np.square(x).sum(axis=axis, keepdims=True))
    )
    return [np.where(size == 0, 0, x / np.where(size == 0, 1, size)).astype(x.dtype)]


def _mean_variance(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    axes = tuple(axis_of(axis, x.ndim) for axis in call.get("axes", [0, 2, 3]))
    return [
        (x - x.mean(axis=axes, keepdims=True))
        / (x.std(axis=axes, keepdims=True) + x.dtype.type(1e-9))
    ]


OPERATORS: dict[str, Operator] = {
    "BatchNormalization": _batch_normalization,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "GroupNormalization": _group_normalization,
    "Hardmax": _hardmax,
    "InstanceNormalization": _instance_normalization,
    "LayerNormalization": _layer_normalization,
    "LogSoftmax": _log_softmax,
    "LpNormalization": _lp_normalization,
    "MatMul": _matmul,
    "MeanVarianceNormalization": _mean_variance,
    "RMSNormalization": _root_mean_square,
    "Softmax": _softmax,
}
