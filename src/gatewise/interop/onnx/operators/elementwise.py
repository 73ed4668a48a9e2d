"""Operators that work number by number, with broadcasting."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gatewise.errors import ConfigError

from .helpers import Operator, needs_floats, optional, room_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _of_one(function: Callable[..., Any]) -> Operator:
    """Return the operator of a function of one array; the dtype stays."""

    def run(call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        return [np.asarray(function(x)).astype(x.dtype, copy=False)]

    return run


def _of_floats(function: Callable[..., Any], **defaults: float) -> Operator:
    """Return the operator of a function of floats and of attributes."""

    def run(call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        needs_floats(x)
        constants = [x.dtype.type(call.get(name, value)) for name, value in defaults.items()]
        return [np.asarray(function(x, *constants)).astype(x.dtype, copy=False)]

    return run


def _of_several(function: Callable[..., Any], dtype: Any = None) -> Operator:
    """Return the operator of a function of broadcast arrays."""

    def run(call: Call, inputs: list[Any]) -> list[Any]:
        arrays = [np.asarray(array) for array in inputs]
        kind = arrays[0].dtype if dtype is None else np.dtype(dtype)
        room_for(call, np.broadcast_shapes(*(array.shape for array in arrays)), kind)
        return [np.asarray(function(*arrays)).astype(kind, copy=False)]

    return run


def _sigmoid(x: Array) -> Array:
    return np.asarray(special.expit(x.astype(np.float32) if x.dtype == np.float16 else x))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, x.dtype.type(0)))


def _elu(x: Array, alpha: Any) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(x: Array, alpha: Any) -> Array:
    return np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _selu(x: Array, alpha: Any, gamma: Any) -> Array:
    return gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _shrink(x: Array, bias: float, lambd: float) -> Array:
    return np.where(x < -lambd, x + bias, np.where(x > lambd, x - bias, 0))


def _hard_sigmoid(x: Array, alpha: Any, beta: Any) -> Array:
    return np.clip(alpha * x + beta, 0, 1)


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.asarray(np.true_divide(x, y))
    quotient = np.asarray(np.floor_divide(x, y))
    if x.dtype.kind == "u":
        return quotient
    # ONNX rounds towards 0, NumPy towards minus infinity
    return np.where((quotient < 0) & (quotient * y != x), quotient + 1, quotient)


def _power(x: Array, y: Array) -> Array:
    if x.dtype.kind in "iu" and y.dtype.kind == "f":
        return np.asarray(np.power(x.astype(np.float64), y))
    if x.dtype.kind in "iu" and (y < 0).any():
        return np.asarray(np.power(x.astype(np.float64), y.astype(np.float64)))
    return np.asarray(np.power(x, y))


def _modulo(call: Call, inputs: list[Any]) -> list[Any]:
    function = np.fmod if call.get("fmod", 0) else np.mod
    if inputs[0].dtype.kind == "f" and function is np.mod and call.version < 26:
        raise ConfigError("Mod of floats needs fmod=1")
    return _of_several(function)(call, inputs)


def _gelu(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    needs_floats(x)
    half = x.dtype.type(0.5)
    if call.get("approximate", "none") == "tanh":
        inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + x.dtype.type(0.044715) * x**3)
        return [half * x * (1 + np.tanh(inner))]
    inner = special.erf(x / x.dtype.type(math.sqrt(2)))
    return [(half * x * (1 + inner)).astype(x.dtype, copy=False)]


def _clip(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    low, high = (
        call.get(name) if call.version < 11 else optional(inputs, place)
        for place, name in ((1, "min"), (2, "max"))
    )
    if low is not None:
        x = np.maximum(x, np.asarray(low).astype(x.dtype).reshape(()))
    if high is not None:
        x = np.minimum(x, np.asarray(high).astype(x.dtype).reshape(()))
    return [np.asarray(x)]


def _leaky_relu(x: Array, alpha: Any) -> Array:
    return np.where(x < 0, alpha * x, x)


def _parametric_relu(x: Array, slope: Array) -> Array:
    return np.where(x < 0, slope * x, x)


def _is_infinite(call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    found = np.zeros(x.shape, bool)
    if call.get("detect_positive", 1):
        found |= np.isposinf(x)
    if call.get("detect_negative", 1):
        found |= np.isneginf(x)
    return [found]


def _reduced(function: Any) -> Operator:
    """Return the operator of a function of two arrays for any number of arrays."""
    return _of_several(lambda *arrays: functools.reduce(function, arrays))


def _where(call: Call, inputs: list[Any]) -> list[Any]:
    condition, x, y = inputs
    room_for(call, np.broadcast_shapes(condition.shape, x.shape, y.shape), x.dtype)
    return [np.asarray(np.where(condition, x, y))]


def _mean(call: Call, inputs: list[Any]) -> list[Any]:
    total = _reduced(np.add)(call, inputs)[0]
    return [total / total.dtype.type(len(inputs))]


def _same(call: Call, inputs: list[Any]) -> list[Any]:
    return [inputs[0]]


OPERATORS: dict[str, Operator] = {
    "Identity": _same,
    "Abs": _of_one(np.abs),
    "Neg": _of_one(np.negative),
    "Sign": _of_one(np.sign),
    "Not": _of_one(np.logical_not),
    "Relu": _of_one(lambda x: np.maximum(x, x.dtype.type(0))),
    "Clip": _clip,
    "PRelu": _of_several(_parametric_relu),
    "IsInf": _is_infinite,
    "IsNaN": _of_several(np.isnan, bool),
    "Shrink": lambda call, inputs: [
        _shrink(inputs[0], call.get("bias", 0.0), call.get("lambd", 0.5)).astype(inputs[0].dtype)
    ],
    "Gelu": _gelu,
    "Mod": _modulo,
    "Where": _where,
    "Mean": _mean,
    "Sum": _reduced(np.add),
    "Max": _reduced(np.maximum),
    "Min": _reduced(np.minimum),
    "Add": _of_several(np.add),
    "Sub": _of_several(np.subtract),
    "Mul": _of_several(np.multiply),
    "Div": _of_several(_divide),
    "Pow": _of_several(_power),
    "And": _of_several(np.logical_and, bool),
    "Or": _of_several(np.logical_or, bool),
    "Xor": _of_several(np.logical_xor, bool),
    "Equal": _of_several(np.equal, bool),
    "Less": _of_several(np.less, bool),
    "LessOrEqual": _of_several(np.less_equal, bool),
    "Greater": _of_several(np.greater, bool),
    "GreaterOrEqual": _of_several(np.greater_equal, bool),
    **{
        name: _of_floats(function)
        for name, function in {
            "Acos": np.arccos,
            "Acosh": np.arccosh,
            "Asin": np.arcsin,
            "Asinh": np.arcsinh,
            "Atan": np.arctan,
            "Atanh": np.arctanh,
            "Ceil": np.ceil,
            "Cos": np.cos,
            "Cosh": np.cosh,
            "Erf": special.erf,
            "Exp": np.exp,
            "Floor": np.floor,
            "Log": np.log,
            "Reciprocal": np.reciprocal,
            "Round": np.rint,
            "Sigmoid": _sigmoid,
            "Sin": np.sin,
            "Sinh": np.sinh,
            "Softplus": _softplus,
            "Softsign": lambda x: x / (1 + np.abs(x)),
            "Sqrt": np.sqrt,
            "Tan": np.tan,
            "Tanh": np.tanh,
            "Mish": lambda x: x * np.tanh(_softplus(x)),
            "HardSwish": lambda x: x * np.clip(x / 6 + x.dtype.type(0.5), 0, 1),
        }.items()
    },
    "Celu": _of_floats(_celu, alpha=1.0),
    "Elu": _of_floats(_elu, alpha=1.0),
    "HardSigmoid": _of_floats(_hard_sigmoid, alpha=0.2, beta=0.5),
    "LeakyRelu": _of_floats(_leaky_relu, alpha=0.01),
    "Selu": _of_floats(_selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "Swish": _of_floats(lambda x, alpha: x * _sigmoid(alpha * x), alpha=1.0),
    "ThresholdedRelu": _of_floats(lambda x, alpha: np.where(x > alpha, x, 0), alpha=1.0),
}
