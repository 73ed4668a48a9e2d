"""Attention, and sums of products of two arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import layers
from gatewise.layers.products import LEAST_NORM

from .graph import Value, refuse
from .masks import filled, joined

if TYPE_CHECKING:
    from .graph import Builder, Timing
    from .network import Exporter

_LOW = float(np.finfo(np.float32).min)


def _weights(
    b: Builder, layer: Any, scores: str, query: Value, timing: Timing | None, axes: list[int]
) -> str:
    """Softmax of scores (batch, ..., query steps, value steps) over the steps that count."""
    value_steps = b.extent(scores, len(axes))
    if timing is not None:
        place = b.op(
            "Range", b.constant(0, np.int64), b.op("Squeeze", value_steps), b.constant(1, np.int64)
        )
        inside = b.op("Less", place, b.op("Unsqueeze", timing.lengths, b.ints(*axes)))
        scores = b.op("Where", inside, scores, b.number(_LOW))
    if layer.use_causal_mask:
        zero, one = b.constant(0, np.int64), b.constant(1, np.int64)
        rows = b.op("Range", zero, b.op("Squeeze", b.extent(query.name, 1)), one)
        columns = b.op("Range", zero, b.op("Squeeze", value_steps), one)
        later = b.op("Greater", columns, b.op("Unsqueeze", rows, b.ints(1)))
        scores = b.op("Where", later, b.number(_LOW), scores)
    return b.op("Softmax", scores, axis=-1)


def _inputs(e: Exporter, layer: Any, sources: list[Value]) -> tuple[list[Value], Any]:
    """Query, value and key, and the steps of the value that count."""
    query, value, key = sources[0], sources[min(1, len(sources) - 1)], sources[-1]
    if layer.return_attention_scores and any(x.timing is not None for x in sources):
        refuse(
            layer,
            "return_attention_scores=True, and rows of different lengths, or a mask; export without"
            " lengths",
        )
    if layer.use_causal_mask and len(sources) > 1:
        for x in (query, value):
            if x.timing is not None and x.timing.places is not None:
                refuse(layer, "use_causal_mask=True and a mask that may have holes")
    (value, key), timing = joined(e.b, [value, key], [True, True])
    return [filled(e.b, x) for x in (query, value, key)], timing


def attention(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """Attention and AdditiveAttention."""
    b = e.b
    (query, value, key), timing = _inputs(e, layer, sources)
    scoring = layer._scoring(query.shape[-1])
    scale = float(scoring.get("scale", 1.0))
    if "additive" in scoring:
        pair = b.op(
            "Add", b.op("Unsqueeze", query.name, b.ints(2)), b.op("Unsqueeze", key.name, b.ints(1))
        )
        if scale != 1.0:
            pair = b.op("Mul", pair, b.number(scale))
        weights = np.broadcast_to(scoring["additive"], (query.shape[-1],))
        matrix = b.constant(weights[:, None], np.float32, f"{name}/scale")
        scores = b.op("Squeeze", b.op("MatMul", b.op("Tanh", pair), matrix), b.ints(3))
    else:
        scores = b.op("MatMul", query.name, b.transpose(key.name, 0, 2, 1))
        if scale != 1.0:
            scores = b.op("Mul", scores, b.number(scale))
    shares = _weights(b, layer, scores, query, timing, [1, 2])
    y = b.op("MatMul", shares, value.name, name=name)
    shape = layer.compute_output_shape([x.shape for x in (query, value, key)])
    return _with_scores(layer, query, y, shares, shape)


def _with_scores(layer: Any, query: Value, y: str, shares: str, shape: Any) -> list[Value]:
    """The output, and the weights if the layer returns them."""
    if not layer.return_attention_scores:
        return [query.made(y, shape)]
    return [query.made(y, shape[0]), Value(shares, tuple(shape[1]))]


def multi_head(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b, heads, weights = e.b, layer.num_heads, layer._parameters
    values, timing = _inputs(e, layer, sources)
    query = values[0]

    def projected(part: str, x: str, rank: int) -> str:
        kernel = weights[f"{part}_kernel"]
        inner = int(np.prod(kernel.shape[:rank]))
        matrix = kernel.reshape(inner, -1)
        y = b.op("MatMul", x, b.constant(matrix, np.float32, f"{name}/{part}_kernel"))
        if layer.use_bias:
            bias = weights[f"{part}_bias"].reshape(-1)
            y = b.op("Add", y, b.constant(bias, np.float32, f"{name}/{part}_bias"))
        return y

    parts = []
    for part, x in zip(("query", "value", "key"), values):
        size = layer.value_dim if part == "value" else layer.key_dim
        y = b.op("Reshape", projected(part, x.name, 1), b.ints(0, 0, heads, size))
        parts.append(b.transpose(y, *((0, 2, 3, 1) if part == "key" else (0, 2, 1, 3))))
    scores = b.op("MatMul", parts[0], parts[2])
    scores = b.op("Mul", scores, b.number(1 / np.sqrt(layer.key_dim)))
    shares = _weights(b, layer, scores, query, timing, [1, 2, 3])
    y = b.op("MatMul", shares, parts[1])
    y = b.op("Reshape", b.transpose(y, 0, 2, 1, 3), b.ints(0, 0, heads * layer.value_dim))
    y = projected("output", y, 2)
    shape = layer.compute_output_shape([x.shape for x in values])
    steps = shape[0] if layer.return_attention_scores else shape
    if len(steps) > 3:
        y = b.op("Reshape", y, b.ints(0, 0, *steps[2:]))
    return _with_scores(layer, query, y, shares, shape)


def dot(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    b = e.b
    shapes = [x.shape for x in sources]
    if any(len(shape) > 3 for shape in shapes):
        refuse(layer, f"its inputs have shapes {shapes}; up to three axes are exported")
    axes, shape = layer._axes_of(shapes), layer.compute_output_shape(shapes)
    keeps = layer._keeps_steps(shapes)
    timed = [len(x.shape) > 2 and axis == 1 for x, axis in zip(sources, axes)]
    for k, (x, over) in enumerate(zip(sources, timed)):
        if not over and not (k == 0 and keeps):
            e.refuse_ragged(layer, x)
    values = [filled(b, x) for x in joined(b, sources, timed)[0]]
    parts = []
    for x, axis, other in zip(values, axes, (False, True)):
        y = x.name
        if len(x.shape) == 2:
            y = b.op("Unsqueeze", y, b.ints(2 if other else 1))
        elif (axis == 1) != other:
            y = b.transpose(y, 0, 2, 1)
        if layer.normalize:
            y = _unit(b, y, -2 if other else -1)
        parts.append(y)
    y = b.op("MatMul", *parts, name=name)
    rank = [2 if len(x.shape) == 2 else 3 for x in values]
    squeezed = [1] * (rank[0] == 2) + [2] * (rank[1] == 2)
    if len(squeezed) == 2:
        squeezed = [2]
    y = b.op("Squeeze", y, b.ints(*squeezed)) if squeezed else y
    return [Value(y, shape, sources[0].timing if keeps else None)]


def _unit(b: Builder, x: str, axis: int) -> str:
    """An array divided by its norm along an axis."""
    squares = b.reduce("ReduceSum", b.op("Mul", x, x), [axis])
    return b.op("Div", x, b.op("Max", b.op("Sqrt", squares), b.number(LEAST_NORM)))


HANDLERS: dict[type, Any] = {
    layers.Attention: attention,
    layers.AdditiveAttention: attention,
    layers.MultiHeadAttention: multi_head,
    layers.Dot: dot,
}
