"""Nodes that work number by number, products with matrices, and reductions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.interop.onnx.graphs import Call
from gatewise.interop.onnx.operators.helpers import axes_of, axis_of
from gatewise.layers import (
    Activation,
    Add,
    Average,
    Dense,
    Dot,
    Dropout,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Maximum,
    Minimum,
    Multiply,
    PReLU,
    ReLU,
    Subtract,
)

from .affine import affine, along_one, moved_last
from .builder import (
    Builder,
    Expanded,
    Handler,
    constant,
    evaluated,
    is_extents,
    number_of,
    numbers_of,
)
from .sizes import Size, product, simplified
from .views import Atom, Tensor, arranged, same, shown, with_last

if TYPE_CHECKING:
    from gatewise._typing import Array

_LOW = -1e30  # what cannot be the largest number
_MERGING: dict[str, Any] = {"Add": Add, "Sub": Subtract, "Mul": Multiply}
_MERGING |= {"Max": Maximum, "Min": Minimum, "Sum": Add, "Mean": Average}


# ---- activations


def _activation(name: str, **constants: float) -> Handler:
    """Return the handler of an activation with constants of these defaults."""

    def run(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
        values = [float(call.get(key, usual)) for key, usual in constants.items()]
        return [activated(builder, inputs[0], (name, *values) if values else name)]

    return run


def activated(builder: Builder, x: Any, name: Any) -> Tensor:
    """Return an array after an activation.

    Raises
    ------
    ConfigError
        It is not an array that a layer computes.
    """
    x = computed(builder, x)
    return x.made(Activation(name)(x.symbol))


def computed(builder: Builder, x: Any) -> Tensor:
    """Return an array that a layer is to read.

    Raises
    ------
    ConfigError
        It holds whole numbers, or is no array.
    """
    if not isinstance(x, Tensor):
        raise ConfigError("a constant that depends on the number of rows is computed with")
    if x.whole:
        raise ConfigError("whole numbers are computed with; only an Embedding reads them")
    if x.summed or x.masked not in (None, 0):
        raise ConfigError("what depends on the lengths of rows is read by something else")
    return builder.use(x)


def _softmax(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = computed(builder, inputs[0])
    rank = len(x.view)
    axis = axis_of(call.get("axis", -1 if call.version >= 13 else 1), rank)
    if call.version < 13 and axis != rank - 1:
        if any(size != 1 for size in x.shape[axis + 1 :]):
            raise ConfigError("a softmax over several axes")
    moved = with_last(x.seen([*x.view[:axis], *x.view[axis + 1 :], x.view[axis]]))
    return [moved.seen(x.view).made(Activation("softmax")(moved.symbol))]


def _clip(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    if is_extents(inputs[0]):
        raise ConfigError("extents are limited")
    low, high = (
        call.get(name)
        if call.version < 11
        else (None if len(inputs) <= place or inputs[place] is None else number_of(inputs[place]))
        for place, name in ((1, "min"), (2, "max"))
    )
    if low == 0:
        x = computed(builder, inputs[0])
        high = None if high is None or high > 1e30 else float(high)
        return [x.made(ReLU(max_value=high)(x.symbol))]
    if low == -1 and high == 1:
        # clip(x, -1, 1) = 2 clip(x / 2 + 1 / 2, 0, 1) - 1
        x = activated(builder, inputs[0], ("hard_sigmoid", 0.5, 0.5))
        return [x.made(x.symbol * 2.0 - 1.0)]
    raise ConfigError(f"numbers are limited to [{low}, {high}]; there are layers for [0, n]")


def _parametric_relu(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, slope = computed(builder, inputs[0]), inputs[1]
    if not constant(slope):
        raise ConfigError("a slope that is computed")
    number = number_of(slope)
    if number is not None:
        shared = list(range(1, len(x.axes)))
        layer = builder.keep(PReLU(shared_axes=shared), [np.full((1,) * len(shared), number)])
        return [x.made(layer(x.symbol))]
    axis, values = along_one(x, slope)
    moved = with_last(moved_last(x, axis))
    shared = list(range(1, len(moved.axes) - 1))
    layer = PReLU(shared_axes=shared) if shared else PReLU()
    builder.keep(layer, [values.reshape(*(1,) * len(shared), -1)])
    return [moved.seen(x.view).made(layer(moved.symbol))]


def _dropout(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = computed(builder, inputs[0])
    given = inputs[1] if len(inputs) > 1 else None
    rate = call.get("ratio", 0.5) if given is None else number_of(given)
    if rate is None or not 0 <= rate < 1:
        raise ConfigError(f"ratio is {rate}; expected a number in [0, 1)")
    return [x.made(Dropout(rate)(x.symbol)) if rate else x]


# ---- two operands


def _binary(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    if not any(isinstance(x, Tensor) for x in inputs):
        return [_of_extents(call, inputs)]
    if len(inputs) == 1:
        return [inputs[0]]
    if len(inputs) > 2:  # Sum, Mean, Max, Min
        return [_merged(builder, call.op, inputs)]
    a, b = inputs
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        if a.whole or b.whole:
            raise ConfigError("whole numbers are computed with; only an Embedding reads them")
        if call.op == "Div":
            b = builder.use(b)
            return [_merged(builder, "Mul", [a, b.made(1.0 / b.symbol)])]
        return [_merged(builder, call.op, inputs)]
    x, other, first = (a, b, False) if isinstance(a, Tensor) else (b, a, True)
    return [_with_constant(builder, call, x, other, first)]


def _of_extents(call: Call, inputs: list[Any]) -> Any:
    """Return the result of arithmetic with extents."""
    inputs = [
        np.full(x.shape, x.number)
        if isinstance(x, Expanded) and not any(isinstance(size, Size) for size in x.shape)
        else x
        for x in inputs
    ]
    arrays = [np.asarray(x, object) for x in inputs if isinstance(x, np.ndarray)]
    if len(arrays) != len(inputs):
        rows = _of_rows(call, inputs)
        if rows is not None:
            return rows
        zero = [x for x in inputs if isinstance(x, Expanded)]
        rest = [number_of(x) for x in inputs if not isinstance(x, Expanded)]
        if len(zero) == 1 and len(rest) == 1 and rest[0] is not None and call.op == "Mul":
            return Expanded(zero[0].number * rest[0], zero[0].shape)
        raise ConfigError("constants that depend on the number of rows are computed with")
    if call.op == "Add":
        return simplified(np.asarray(arrays[0] + arrays[1], object))
    if call.op == "Sub":
        return simplified(np.asarray(arrays[0] - arrays[1], object))
    if call.op == "Mul":
        return simplified(np.asarray(arrays[0] * arrays[1], object))
    if call.op == "Div":
        return simplified(np.asarray(arrays[0] // arrays[1], object))
    raise ConfigError("extents that are not known are compared")


def _of_rows(call: Call, inputs: list[Any]) -> Any:
    """Return zeros of every row plus a constant: the constant, which is then the same in all."""
    if call.op == "Add" and len(inputs) == 2:
        for zero, other in (inputs, inputs[::-1]):
            if isinstance(zero, Expanded) and zero.number == 0 and constant(other):
                missing = len(zero.shape) - other.ndim
                if missing >= 0 and other.shape[-1:] == zero.shape[-1:]:
                    return other.reshape((1,) * missing + other.shape)
    return None


def _with_constant(builder: Builder, call: Call, x: Tensor, other: Any, first: bool) -> Any:
    if isinstance(other, Expanded):
        if call.op == "Mul" and other.number == 0:
            return other
        other = np.asarray(other.number)
    if not constant(other):
        raise ConfigError("extents that are not known are computed with")
    number = number_of(other)
    missing = max(other.ndim - len(x.view), 0)
    if number is not None:
        x = x.seen([*[()] * missing, *x.view])
        neutral = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1}.get(call.op)
        if number == neutral and not (first and call.op in ("Sub", "Div")):
            return x
        x = computed(builder, x)
        if call.op in ("Max", "Min"):
            if call.op == "Max" and number == 0:
                return x.made(ReLU()(x.symbol))
            raise ConfigError(f"the larger or smaller of an array and {number}")
        left, right = (number, x.symbol) if first else (x.symbol, number)
        made = {
            "Add": lambda: left + right,
            "Sub": lambda: left - right,
            "Mul": lambda: left * right,
            "Div": lambda: left / right,
        }[call.op]()
        return x.made(made)
    x = computed(builder, x)
    if missing and other.shape[:missing] != (1,) * missing:
        raise ConfigError(f"a constant of shape {other.shape} and an array of shape {x.shape}")
    x = x.seen([*[()] * missing, *x.view])
    if first and call.op == "Div":
        raise ConfigError("a constant is divided by an array")
    axis, values = along_one(x, other)
    if call.op == "Add" and x.product is not None and same(x.view[axis], x.axes[-1]):
        symbol, matrix = x.product
        return x.made(_dense_layer(builder, matrix, values)(symbol))
    if call.op == "Sub" and first:
        x = x.made(x.symbol * -1.0)
    scale = shift = None
    if call.op in ("Mul", "Div"):
        scale = values if call.op == "Mul" else 1 / values
    elif call.op in ("Add", "Sub"):
        shift = -values if call.op == "Sub" and not first else values
    else:
        raise ConfigError(f"a constant of shape {other.shape}")
    return affine(builder, x, axis, scale, shift)


def _merged(builder: Builder, op: str, inputs: list[Any]) -> Tensor:
    """Return what a merging layer makes of arrays, with broadcasting."""
    tensors = [computed(builder, x) for x in inputs]
    rank = max(len(x.view) for x in tensors)
    padded = [x.seen([*[()] * (rank - len(x.view)), *x.view]) for x in tensors]
    batch = tensors[0].batch
    groups: list[list[tuple[Atom, ...]]] = [[x.axes[0]] for x in padded]
    axes: list[tuple[Atom, ...]] = [tensors[0].axes[0]]
    view: list[tuple[Atom, ...]] = []
    for k in range(rank):
        at_place = [x.view[k] for x in padded]
        largest = max(at_place, key=lambda group: len(shown(group)))
        wide = product(atom.size for atom in largest)
        if any(atom.batch for group in at_place for atom in group):
            if any(
                [a.size for a in shown(group)] != [a.size for a in shown(largest)]
                for group in at_place
                if shown(group)
            ) or (wide != 1 and not all(shown(group) for group in at_place)):
                raise ConfigError(f"shapes {[x.shape for x in padded]} meet in the batch")
            # merged with other axes: these are axes of their own here
            for number, group in enumerate(at_place):
                rest = [atom for atom in group if not atom.batch]
                if shown(rest):
                    groups[number] += [(atom,) for atom in rest]
            rest = [atom for atom in largest if not atom.batch]
            if shown(rest):
                axes += [(atom,) for atom in rest]
            view.append(largest)
            continue
        sizes = [product(atom.size for atom in group) for group in at_place]
        if any(size not in (1, wide) for size in sizes):
            raise ConfigError(f"shapes {[x.shape for x in padded]} do not fit")
        view.append(largest)
        if wide == 1 and not any(at_place):
            continue
        axes.append(largest)
        for number, group in enumerate(at_place):
            groups[number].append(group)
    if len(axes) == 1:
        axes.append(())
        groups = [[*each, ()] for each in groups]
    parts = [arranged(x, each) for x, each in zip(padded, groups)]
    symbol = _MERGING[op]()([part.symbol for part in parts])
    found = parts[0].made(symbol, axes=tuple(axes), view=tuple(view))
    if found.batch is not batch:
        raise ConfigError("rows of different batches meet")
    return found


def _power(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    exponent = number_of(inputs[1]) if isinstance(inputs[0], Tensor) else None
    x = inputs[0]
    if exponent == 1:
        return [x]
    if exponent == 2:
        return [_merged(builder, "Mul", [x, x])]
    raise ConfigError(f"a power of {exponent}")


def _negative(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = computed(builder, inputs[0])
    return [x.made(x.symbol * -1.0)]


def _reciprocal(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = computed(builder, inputs[0])
    return [x.made(1.0 / x.symbol)]


def _gated(name: Any) -> Handler:
    """Return the handler of ``x * activation(x)``."""

    def run(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
        if call.get("alpha", 1.0) != 1.0:
            raise ConfigError(f"alpha={call.get('alpha')}")
        x = computed(builder, inputs[0])
        return [_merged(builder, "Mul", [x, activated(builder, x, name)])]

    return run


def _compared(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Whole numbers that an Embedding reads are from 0, and extents from 1."""
    a, b = inputs
    if all(isinstance(x, np.ndarray) for x in inputs):
        functions = {
            "Equal": np.equal,
            "Less": np.less,
            "LessOrEqual": np.less_equal,
            "Greater": np.greater,
            "GreaterOrEqual": np.greater_equal,
        }
        found = functions[call.op](np.asarray(a, object), np.asarray(b, object))
        return [np.asarray(found, bool)]
    turned = {"Less": "Greater", "LessOrEqual": "GreaterOrEqual"}
    turned |= {value: key for key, value in turned.items()}
    op = call.op
    if isinstance(b, Tensor):
        a, b, op = b, a, turned.get(op, op)
    limit = number_of(b)
    if isinstance(a, Tensor) and a.natural and limit is not None:
        if (op == "Less" and limit <= 0) or (op in ("LessOrEqual", "Equal") and limit < 0):
            return [np.zeros((1,) * len(a.view), bool)]
        if (op == "GreaterOrEqual" and limit <= 0) or (op == "Greater" and limit < 0):
            return [np.ones((1,) * len(a.view), bool)]
    raise ConfigError("values are compared")


def _where(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    if all(isinstance(x, np.ndarray) for x in inputs):
        return evaluated(call, inputs)
    raise ConfigError("values are chosen by a condition")


# ---- products


def _matmul(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    a, b = inputs
    if isinstance(a, Expanded) and constant(b) and b.ndim == 2 and a.number == 0:
        return [Expanded(a.number, (*a.shape[:-1], b.shape[1]))]
    if isinstance(a, Tensor) and constant(b):
        if b.ndim != 2 or not a.view:
            raise ConfigError(f"a product with a constant of shape {b.shape}")
        return [dense(builder, call, a, b)]
    if constant(a) and isinstance(b, Tensor):
        if a.ndim != 2 or len(b.view) < 2:
            raise ConfigError(f"a product of a constant of shape {a.shape} and {b.shape}")
        turned = b.seen([*b.view[:-2], b.view[-1], b.view[-2]])
        found = dense(builder, call, turned, a.T, fuse=False)
        return [found.seen([*found.view[:-2], found.view[-1], found.view[-2]])]
    if not (isinstance(a, Tensor) and isinstance(b, Tensor)):
        raise ConfigError("a product with a constant that depends on the number of rows")
    a, b = computed(builder, a), computed(builder, b)
    if not (len(a.view) == len(b.view) == 3 and all(same(x.view[0], x.axes[0]) for x in (a, b))):
        raise ConfigError(f"a product of arrays of shapes {a.shape} and {b.shape}")
    if a.shape[2] != b.shape[1]:
        raise ConfigError(f"a product of arrays of shapes {a.shape} and {b.shape}")
    a, b = arranged(a, a.view), arranged(b, b.view)
    symbol = Dot(axes=(2, 1))([a.symbol, b.symbol])
    axes = (a.axes[0], a.axes[1], b.axes[2])
    return [a.made(symbol, axes=axes, view=axes)]


def dense(builder: Builder, call: Call, x: Tensor, w: Array, fuse: bool = True) -> Tensor:
    """Return the product of the last axis with a matrix, and the bias that the next node adds."""
    if x.shape[-1] != w.shape[0]:
        raise ConfigError(f"an array of shape {x.shape} and a matrix of shape {w.shape}")
    x = with_last(computed(builder, x))
    reader = builder.only_reader(call.outputs[0]) if fuse else None
    bias = None
    if reader is not None and reader.op == "Add" and len(reader.inputs) == 2:
        (other,) = [name for name in reader.inputs if name != call.outputs[0]] or [""]
        value = builder.values.get(other)
        if constant(value) and value.size == w.shape[1] and value.shape[-1:] == (w.shape[1],):
            if value.ndim <= len(x.view):
                bias = value.reshape(-1)
    layer = _dense_layer(builder, w, bias)
    found = x.with_features(layer(x.symbol), w.shape[1])
    if reader is not None and bias is not None:
        builder.fused[reader.outputs[0]] = found
    elif reader is not None:  # an Add may come after a change of the shape
        found = replace(found, product=(x.symbol, w))
    return found


def _dense_layer(builder: Builder, w: Array, bias: Array | None) -> Any:
    """Return the layer of a matrix: the same for the same constants, which are then shared."""
    key = ("Dense", id(w), None if bias is None else bias.tobytes())
    if key not in builder.shared:
        weights = [w] if bias is None else [w, bias]
        layer = builder.keep(Dense(w.shape[1], use_bias=bias is not None), weights)
        builder.shared[key] = layer
        builder.shared["kept", id(w)] = w  # its id stays its own
    return builder.shared[key]


def _gemm(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    a, b = inputs[:2]
    c = inputs[2] if len(inputs) > 2 else None
    if isinstance(a, Expanded) and a.number == 0 and constant(b) and not call.get("transA", 0):
        zeros = Expanded(a.number, (a.shape[0], b.shape[0 if call.get("transB", 0) else 1]))
        if not constant(c):
            return [zeros]
        return [_of_rows(Call("Add", call.name, [], [], {}, call.version), [zeros, c])]
    if not isinstance(a, Tensor) or not constant(b) or call.get("transA", 0):
        raise ConfigError("a product of two computed matrices, or of a transposed one")
    w = b.T if call.get("transB", 0) else b
    w = w * call.get("alpha", 1.0) if call.get("alpha", 1.0) != 1 else w
    a = with_last(computed(builder, a))
    if a.shape[-1] != w.shape[0]:
        raise ConfigError(f"an array of shape {a.shape} and a matrix of shape {w.shape}")
    bias = None
    if constant(c):
        if c.size not in (1, w.shape[1]) or c.shape[-1:] not in ((), (1,), (w.shape[1],)):
            raise ConfigError(f"C has shape {c.shape}")
        bias = np.broadcast_to(c.reshape(-1) * call.get("beta", 1.0), (w.shape[1],))
    key = ("Gemm", id(b), call.get("transB", 0), call.get("alpha", 1.0))
    w = builder.shared.setdefault(key, w)
    layer = _dense_layer(builder, w, bias)
    found = a.with_features(layer(a.symbol), w.shape[1])
    if c is not None and bias is None:
        found = _merged(builder, "Add", [found, c])
    return [found]


# ---- reductions


def _reduction(pooling: Any) -> Handler:
    """Return the handler of a reduction that is a pooling over steps."""

    def run(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
        x = inputs[0]
        if is_extents(x):
            return evaluated(call, inputs)
        if isinstance(x, Tensor) and x.masked is not None:
            if x.masked > _LOW or pooling is not GlobalMaxPooling1D:
                raise ConfigError("steps past a row's end take part")
            x = replace(x, masked=None)
        x = computed(builder, x)
        rank = len(x.view)
        axes = numbers_of(call, inputs, 1, "axes")
        if not axes and call.get("noop_with_empty_axes", 0):
            return [x]
        chosen = range(rank) if not axes else sorted(axes_of(axes, rank))
        gone = tuple(atom for axis in chosen for atom in x.view[axis])
        if any(atom.batch for atom in gone):
            raise ConfigError("rows of the batch are reduced to one")
        kept = bool(call.get("keepdims", 1))
        view = [
            () if k in chosen else group
            for k, group in enumerate(x.view)
            if kept or k not in chosen
        ]
        rest = tuple(
            atom
            for group in x.axes[1:]
            for atom in shown(group)
            if not any(atom is each for each in gone)
        )
        x = arranged(x, [x.axes[0], gone, rest])
        made = pooling()(x.symbol)
        return [x.made(made, axes=(x.axes[0], rest), view=tuple(map(tuple, view)))]

    return run


def _sum(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    if isinstance(inputs[0], Tensor) and inputs[0].masked == 0:
        x = replace(inputs[0], masked=None)
        (mean,) = _reduction(GlobalAveragePooling1D)(builder, call, [x, *inputs[1:]])
        return [replace(mean, summed=True)]
    (mean,) = _reduction(GlobalAveragePooling1D)(builder, call, inputs)
    if not isinstance(mean, Tensor):
        return evaluated(call, inputs)
    x = inputs[0]
    axes = numbers_of(call, inputs, 1, "axes") or range(len(x.view))
    count = product(x.shape[axis] for axis in axes_of(list(axes), len(x.view)))
    if isinstance(count, Size):
        raise ConfigError("the sum of an axis of unknown extent")
    return [mean.made(mean.symbol * float(count))]


HANDLERS: dict[str, Handler] = {
    "Clip": _clip,
    "Dropout": _dropout,
    "Elu": _activation("elu", alpha=1.0),
    "Exp": _activation("exponential"),
    "Gemm": _gemm,
    "HardSigmoid": _activation("hard_sigmoid", alpha=0.2, beta=0.5),
    "HardSwish": _gated(("hard_sigmoid", 1 / 6, 0.5)),
    "LeakyRelu": _activation("leaky_relu", alpha=0.01),
    "MatMul": _matmul,
    "Neg": _negative,
    "PRelu": _parametric_relu,
    "Pow": _power,
    "Reciprocal": _reciprocal,
    "ReduceMax": _reduction(GlobalMaxPooling1D),
    "ReduceMean": _reduction(GlobalAveragePooling1D),
    "ReduceSum": _sum,
    "Relu": _activation("relu"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": _softmax,
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Swish": _gated("sigmoid"),
    "Tanh": _activation("tanh"),
    "ThresholdedRelu": _activation("thresholded_relu", alpha=1.0),
    "Where": _where,
    **dict.fromkeys(["Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean"], _binary),
    **dict.fromkeys(["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"], _compared),
}
