"""Operations on the last axis of an array, of any rank: those of a step, and of whole sequences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.kernels import activations
from gatewise.layers import step_ops

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise.kernels.activations import ActivationCode

    from .graph import Builder

KINDS = activations._KINDS
LINEAR = activations.code("linear")
SOFTMAX = "softmax"


def activated(b: Builder, x: str, code: ActivationCode) -> str:
    """An activation of each number."""
    kind, alpha, beta = KINDS[code[0]], code[1], code[2]
    if kind == "linear":
        return x
    if kind in _PLAIN:
        return b.op(_PLAIN[kind], x)
    if kind == "hard_sigmoid":
        return b.op("HardSigmoid", x, alpha=alpha, beta=beta)
    if kind == "elu":
        return b.op("Elu", x, alpha=alpha)
    if kind == "leaky_relu":
        return b.op("LeakyRelu", x, alpha=alpha)
    if kind == "thresholded_relu":
        above = b.op("Greater", x, b.number(alpha))
        return b.op("Where", above, x, b.number(0))
    if kind == "scaled_tanh":
        return b.op("Mul", b.op("Tanh", b.op("Mul", x, b.number(beta))), b.number(alpha))
    return b.op("Add", b.op("Mul", x, b.number(alpha)), b.number(beta))  # affine


_PLAIN = {
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "relu": "Relu",
    "softsign": "Softsign",
    "softplus": "Softplus",
    "exponential": "Exp",
}


def weight(b: Builder, op: Any, name: str, array: Any) -> str:
    """A constant that is named after its layer."""
    return b.constant(array, np.float32, f"{op.name}/{name}")


def _dense(b: Builder, op: Any, x: str) -> str:
    y = b.op("MatMul", x, weight(b, op, "kernel", op.kernel))
    if op.bias is not None:
        y = b.op("Add", y, weight(b, op, "bias", op.bias))
    return activated(b, y, op.activation)


def _affine(b: Builder, op: Any, x: str) -> str:
    for kind, name in (("Sub", "mean"), ("Mul", "scale"), ("Add", "shift")):
        array = getattr(op, name)
        if array is not None:
            x = b.op(kind, x, weight(b, op, name, array))
    return x


def normalized(b: Builder, x: str, epsilon: float) -> str:
    """The last axis with mean 0 and variance 1."""
    centered = b.op("Sub", x, b.reduce("ReduceMean", x, [-1]))
    variance = b.reduce("ReduceMean", b.op("Mul", centered, centered), [-1])
    deviation = b.op("Sqrt", b.op("Add", variance, b.number(epsilon)))
    return b.op("Div", centered, deviation)


def _normalization(b: Builder, op: Any, x: str) -> str:
    y = normalized(b, x, op.epsilon)
    if op.gamma is not None:
        y = b.op("Mul", y, weight(b, op, "gamma", op.gamma))
    return y if op.beta is None else b.op("Add", y, weight(b, op, "beta", op.beta))


def _quotient(b: Builder, op: Any, x: str) -> str:
    number = b.number(op.number)
    return b.op("Div", number, x) if op.number_first else b.op("Div", x, number)


def _rectifier(b: Builder, op: Any, x: str) -> str:
    above = b.op("Greater", x, b.number(op.threshold))
    kept = x if math.isinf(op.most) else b.op("Min", x, b.number(op.most))
    low = b.op("Mul", b.op("Sub", x, b.number(op.threshold)), b.number(op.slope))
    return b.op("Where", above, kept, low)


def _select(b: Builder, op: Any, x: str) -> str:
    return b.op("Gather", x, b.constant(op.columns, np.int64, "columns"), axis=-1)


VECTOR_OPS: dict[type, Callable[[Builder, Any, str], str]] = {
    step_ops.DenseOp: _dense,
    step_ops.ActivationOp: lambda b, op, x: activated(b, x, op.activation),
    step_ops.SoftmaxOp: lambda b, _op, x: b.op("Softmax", x, axis=-1),
    step_ops.AffineOp: _affine,
    step_ops.NormalizationOp: _normalization,
    step_ops.QuotientOp: _quotient,
    step_ops.RectifierOp: _rectifier,
    step_ops.SelectOp: _select,
}

_MERGES = {"add": "Add", "multiply": "Mul", "maximum": "Max", "minimum": "Min", "subtract": "Sub"}


def merged(b: Builder, kind: str, parts: list[str], axis: int = -1) -> str:
    """Several arrays in one; they have equal shapes, or extents of 1."""
    if kind == "concatenate":
        return b.op("Concat", *parts, axis=axis)
    operator = _MERGES["add" if kind == "average" else kind]
    y = parts[0]
    for part in parts[1:]:
        y = b.op(operator, y, part)
    return b.op("Div", y, b.number(len(parts))) if kind == "average" else y
