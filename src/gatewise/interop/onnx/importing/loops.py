"""Loops over the steps of a sequence that are a SimpleRNN or a GRU, as tf2onnx writes Keras's.

The body of such a loop is arithmetic, of which every version of an exporter writes another one. It
is recognised by what it computes: one round is run with random numbers, and compared with the
equations of each cell.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import GatewiseError
from gatewise.interop.gates import GATES, reorder
from gatewise.interop.onnx.control import run_graph
from gatewise.interop.onnx.graphs import Call, Graph

from .builder import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewise._typing import Array

# What the body of a cell consists of; nothing of it takes long.
_CHEAP = frozenset(
    {
        *("Add", "And", "Cast", "Concat", "Gather", "Gemm", "Identity", "Less", "MatMul", "Mul"),
        *("Neg", "Not", "Relu", "Sigmoid", "Slice", "Softsign", "Split", "Squeeze", "Sub", "Tanh"),
        *("Unsqueeze", "Constant", "Max", "Min"),
    }
)
_MOST_CALLS = 200
_ACTIVATIONS: dict[str, Any] = {
    "Tanh": np.tanh,
    "Relu": lambda x: np.maximum(x, 0),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def replace_loops(graph: Graph) -> None:
    """Put RNN and GRU nodes into the places of loops that compute them."""
    readers = {name for call in graph.calls for name in call.reads()}
    readers |= {port.name for port in graph.outputs}
    calls: list[Call] = []
    for call in graph.calls:
        found = None
        if call.op == "Loop" and len(call.bodies) == 1:
            found = _cell_of(graph, call, readers)
        calls += [call] if found is None else found
    graph.calls = calls


def _cell_of(graph: Graph, call: Call, readers: set[str]) -> list[Call] | None:
    """Return the nodes that take the place of a loop, or None."""
    body = call.bodies[0]
    states = call.inputs[2:]
    count = len(states)
    if len(call.inputs) < 3 or not call.inputs[0] or len(body.calls) > _MOST_CALLS:
        return None
    if len(body.inputs) != 2 + count or len(body.outputs) < 1 + count:
        return None
    if not {each.op for each in body.calls} <= _CHEAP:
        return None
    own = [port.name for port in body.inputs[2:]]
    back = [port.name for port in body.outputs[1 : 1 + count]]
    constants = {
        name: graph.constants[given] for name, given in zip(own, states) if given in graph.constants
    }
    counters = [
        name for name, array in constants.items() if array.size == 1 and array.dtype.kind == "i"
    ]
    carried = [k for k, name in enumerate(own) if name not in constants]
    if len(carried) != 1:
        return None
    h = carried[0]
    around = body.reads()
    constants |= {name: graph.constants[name] for name in around & graph.constants.keys()}
    sequences = around - graph.constants.keys()
    if len(sequences) != 1 or not _reads_steps(body, *sequences, {*counters, body.inputs[0].name}):
        return None
    if any(
        name in readers for k, name in enumerate(call.outputs[:count]) if k != h and name
    ):  # who reads the counter needs the loop
        return None
    x = sequences.pop()
    names = {"x": x, "h": own[h], "counters": counters, "answer": back[h]}
    found = _matching(body, names, constants)
    if found is None:
        return None
    op, attributes, weights = found
    return _calls(graph, call, op, attributes, weights, x, states[h], h)


def _reads_steps(body: Graph, x: str, counters: set[str]) -> bool:
    """Return whether the body reads a sequence at the number of the round, and only so."""
    readers = [call for call in body.calls if x in call.inputs]
    return bool(readers) and all(
        call.op == "Gather"
        and len(call.inputs) == 2
        and call.get("axis", 0) == 0
        and call.inputs[0] == x
        and call.inputs[1] in counters
        for call in readers
    )


def _weights(constants: dict[str, Array]) -> Iterator[tuple[Array, Array, Array | None]]:
    """Return what may be kernel, recurrent kernel and bias."""
    matrices = [
        array for array in constants.values() if array.ndim == 2 and array.dtype.kind == "f"
    ]
    for kernel, recurrent in itertools.permutations(matrices[:6], 2):
        units, width = recurrent.shape
        if kernel.shape[1] != width or width not in (units, 3 * units):
            continue
        shapes = ((width,), (2, width))
        rest = [
            array
            for array in constants.values()
            if array.shape in shapes and array is not kernel and array is not recurrent
        ]
        for bias in [*rest[:4], None]:
            yield kernel, recurrent, bias


def _matching(
    body: Graph, names: dict[str, Any], constants: dict[str, Array]
) -> tuple[str, dict[str, Any], tuple[Array, ...]] | None:
    """Return (operator, attributes, (kernel, recurrent kernel, bias)) that the body computes."""
    draw = np.random.default_rng(0)
    for kernel, recurrent, bias in _weights(constants):
        units, dtype = recurrent.shape[0], recurrent.dtype
        x = draw.normal(size=(2, 3, kernel.shape[0])).astype(dtype)
        h = draw.normal(size=(3, units)).astype(dtype)
        values = dict(constants) | {names["x"]: x, names["h"]: h}
        values |= {name: np.ones_like(constants[name]) for name in names["counters"]}
        values |= {body.inputs[0].name: np.array(1, np.int64), body.inputs[1].name: np.array(True)}
        for call in body.calls:
            call.kept["limit"] = MOST_BYTES
        try:
            answers = run_graph(body, values)
        except GatewiseError:
            continue
        found = dict(zip([port.name for port in body.outputs], answers))
        wanted = found[names["answer"]]
        scanned = answers[1 + len(body.inputs) - 2 :]
        if wanted.shape != h.shape or any(
            part.shape != wanted.shape or (part != wanted).any() for part in scanned
        ):
            continue
        for op, attributes, answer in _equations(x[1], h, kernel, recurrent, bias):
            if np.abs(answer - wanted).max() < 1e-4:
                return op, attributes, (kernel, recurrent, *(() if bias is None else (bias,)))
    return None


def _equations(
    x: Array, h: Array, kernel: Array, recurrent: Array, bias: Array | None
) -> Iterator[tuple[str, dict[str, Any], Array]]:
    """Return the answers of all cells that have such weights; gates are Keras's, z r h."""
    units, width = recurrent.shape
    flat = np.zeros(width, x.dtype) if bias is None else bias
    with np.errstate(all="ignore"):
        if width == units:
            if flat.ndim == 1:
                for name, function in _ACTIVATIONS.items():
                    yield (
                        "RNN",
                        {"activations": [name]},
                        function(x @ kernel + h @ recurrent + flat),
                    )
            return
        sigmoid = _ACTIVATIONS["Sigmoid"]
        for name in ("Tanh", "Relu"):
            function = _ACTIVATIONS[name]
            options = {"activations": ["Sigmoid", name]}
            first, second = (flat, np.zeros(width, x.dtype)) if flat.ndim == 1 else flat
            sums, inner = x @ kernel + first, h @ recurrent + second
            z = sigmoid(sums[:, :units] + inner[:, :units])
            r = sigmoid(sums[:, units : 2 * units] + inner[:, units : 2 * units])
            last = sums[:, 2 * units :]
            n = function(last + r * inner[:, 2 * units :])
            yield "GRU", options | {"linear_before_reset": 1}, z * h + (1 - z) * n
            if flat.ndim == 1:
                n = function(last + (r * h) @ recurrent[:, 2 * units :])
                yield "GRU", options | {"linear_before_reset": 0}, z * h + (1 - z) * n


def _calls(
    graph: Graph,
    call: Call,
    op: str,
    attributes: dict[str, Any],
    weights: tuple[Array, ...],
    x: str,
    start: str,
    h: int,
) -> list[Call]:
    """Return the nodes of a cell: an initial state, the cell, its outputs as the loop has them."""
    title = f"{call.name or call.outputs[h]}/cell"
    family = {"RNN": "rnn", "GRU": "gru"}[op]
    orders = GATES["gatewise"][family], GATES["onnx"][family]
    kernel, recurrent, *rest = (reorder(each, *orders) for each in weights)
    made = {"W": kernel.T[None], "R": recurrent.T[None]}
    if rest:
        pair = rest[0] if rest[0].ndim == 2 else np.stack([rest[0], np.zeros_like(rest[0])])
        made["B"] = pair.reshape(1, -1)
    graph.constants |= {
        f"{title}/{name}": np.ascontiguousarray(each) for name, each in made.items()
    }
    bias = f"{title}/B" if rest else ""

    def node(kind: str, inputs: list[str], outputs: list[str], **options: Any) -> Call:
        return Call(kind, call.name, inputs, outputs, options, call.version)

    cell = node(
        op,
        [x, f"{title}/W", f"{title}/R", bias, "", f"{title}/h0"],
        [f"{title}/Y", f"{title}/Y_h"],
        **attributes,
    )
    cell.kept["rounds"] = call.inputs[0]
    made_calls = [node("Unsqueeze", [start], [f"{title}/h0"], axes=[0]), cell]
    made_calls += [
        node("Squeeze", [f"{title}/Y"], [name], axes=[1])
        for name in call.outputs[len(call.inputs) - 2 :]
        if name
    ]
    if call.outputs[h]:
        made_calls.append(node("Squeeze", [f"{title}/Y_h"], [call.outputs[h]], axes=[0]))
    return made_calls
