"""Recurrent layers over whole sequences: nodes RNN, GRU and LSTM, or a Scan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.cells import Cell
from gatewise.interop.gates import GATES, PEEPHOLES, reorder, separate_biases
from gatewise.layers import Bidirectional, StackedRNN

from .cells import cell_step
from .graph import Value, refuse
from .masks import counted, filled
from .vectors import KINDS, activated, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gatewise._typing import Array

    from .graph import Builder, Timing
    from .network import Exporter

_NODES = {"rnn": "RNN", "gru": "GRU", "lstm": "LSTM"}
_CONSTANTS = {  # names of ONNX, and how many of alpha and beta they take
    "linear": ("Affine", 2),
    "affine": ("Affine", 2),
    "tanh": ("Tanh", 0),
    "sigmoid": ("Sigmoid", 0),
    "relu": ("Relu", 0),
    "hard_sigmoid": ("HardSigmoid", 2),
    "softsign": ("Softsign", 0),
    "softplus": ("Softplus", 0),
    "elu": ("Elu", 1),
    "leaky_relu": ("LeakyRelu", 1),
    "thresholded_relu": ("ThresholdedRelu", 1),
    "scaled_tanh": ("ScaledTanh", 2),
}


class Found(NamedTuple):
    """What a recurrent layer makes: y (batch, steps, width) or its last output, and its states."""

    y: str
    states: list[str]


class _Node(NamedTuple):
    """The attributes and weights of a node; W, R, B and P without the axis of directions."""

    shared: dict[str, Any]
    activations: list[str]
    alpha: list[float]
    beta: list[float]
    w: Array
    r: Array
    bias: Array
    peephole: Array | None


def node_of(op: Any) -> _Node | None:
    """A cell as a node of ONNX; None: it has an option that the node does not have."""
    options: Any = getattr(op.kernel, "options", None)
    family = op.kernel.family
    if family not in _NODES or options.layer_normalization or options.zoneout_h:
        return None
    codes = {
        "rnn": [options.activation],
        "gru": [options.recurrent_activation, options.activation],
        "lstm": [options.recurrent_activation, options.activation, options.output_activation],
    }[family]
    kinds = [KINDS[code[0]] for code in codes]
    if any(kind not in _CONSTANTS for kind in kinds):
        return None
    n = op.kernel.units
    shared: dict[str, Any] = {"hidden_size": n}
    if options.clip:
        shared["clip"] = float(options.clip)
    w, u, bias = op.weights["kernel"], op.weights["recurrent_kernel"], _bias(op)
    peephole = None
    if family == "gru":
        if options.chung or options.candidate != "reset":
            return None
        shared["linear_before_reset"] = int(options.reset_after)
    if family == "lstm":
        if not _is_plain_lstm(op):
            return None
        w, u, bias = (_in_onnx_order(options, array, n) for array in (w, u, bias))
        if options.coupled:
            shared["input_forget"] = 1
        if options.peepholes:
            rows = dict(zip(options.peepholes, op.weights["peephole"]))
            zeros = np.zeros(n, np.float32)
            peephole = np.concatenate([rows.get(gate, zeros) for gate in PEEPHOLES["onnx"]])
    alpha: list[float] = []
    beta: list[float] = []
    for code, kind in zip(codes, kinds):
        count = _CONSTANTS[kind][1]
        constants = (1.0, 0.0) if kind == "linear" else code[1:]
        alpha += constants[: min(count, 1)]
        beta += constants[1:count]
    names = [_CONSTANTS[kind][0] for kind in kinds]
    return _Node(
        shared,
        names,
        [float(number) for number in alpha],
        [float(number) for number in beta],
        np.ascontiguousarray(w.T),
        np.ascontiguousarray(u.T),
        bias.reshape(-1),
        peephole,
    )


def _is_plain_lstm(op: Any) -> bool:
    options = op.kernel.options
    gates = ("i", "g", "o") if options.coupled else tuple(GATES["gatewise"]["lstm"])
    return (
        tuple(options.gates) == gates
        and not options.output_gate_inside
        and not options.cell_clip
        and not options.zoneout_c
        and op.kernel.width == op.kernel.units
    )


def _in_onnx_order(options: Any, array: Array, units: int) -> Array:
    """Blocks in ONNX's order, with zeros for a forget gate that is ``1 - i``."""
    if options.coupled:
        i, g, o = np.split(array, 3, axis=-1)
        array = np.concatenate([i, np.zeros_like(i), g, o], axis=-1)
    return reorder(array, GATES["gatewise"]["lstm"], GATES["onnx"]["lstm"])


def _bias(op: Any) -> Array:
    """The two biases of a node, (2, gates * units)."""
    columns = op.weights["kernel"].shape[1]
    bias, recurrent = op.weights.get("bias"), op.weights.get("recurrent_bias")
    zeros = np.zeros(columns, np.float32)
    if recurrent is None:
        return np.stack(separate_biases(zeros if bias is None else bias))
    return np.stack([zeros if bias is None else bias, recurrent])


# ---- passes over the steps


def _sequence_lens(b: Builder, timing: Timing | None) -> str:
    return "" if timing is None else b.op("Cast", timing.lengths, to=b.onnx.TensorProto.INT32)


def run_nodes(
    b: Builder,
    ops: list[Any],
    nodes: list[_Node],
    direction: str,
    x: Value,
    initial: list[list[str] | None],
) -> list[Found]:
    """Run one node for one or both directions; outputs are in the order of the input."""
    family, name = ops[0].kernel.family, ops[0].name

    def stacked(part: str, arrays: Sequence[Array]) -> str:
        return b.constant(np.stack(arrays), np.float32, f"{name}/{part}")

    lstm = family == "lstm"
    inputs = [
        b.transpose(x.name, 1, 0, 2),
        stacked("W", [node.w for node in nodes]),
        stacked("R", [node.r for node in nodes]),
        stacked("B", [node.bias for node in nodes]),
        _sequence_lens(b, x.timing),
    ]
    if any(states is not None for states in initial):
        for k in range(2 if lstm else 1):
            starts = [
                b.op("Unsqueeze", states[k] if states else _zeros(b, op, x, k), b.ints(0))
                for op, states in zip(ops, initial)
            ]
            inputs.append(starts[0] if len(starts) == 1 else b.op("Concat", *starts, axis=0))
    else:
        inputs += [""] * (2 if lstm else 1)
    if any(node.peephole is not None for node in nodes):
        zeros = np.zeros(3 * ops[0].kernel.units, np.float32)
        inputs.append(
            stacked("P", [zeros if node.peephole is None else node.peephole for node in nodes])
        )
    while not inputs[-1]:
        inputs.pop()
    attributes = dict(nodes[0].shared, direction=direction)
    attributes["activations"] = [each for node in nodes for each in node.activations]
    for key in ("alpha", "beta"):
        constants = [each for node in nodes for each in getattr(node, key)]
        if constants:
            attributes[f"activation_{key}"] = constants
    y, *final = b.ops(_NODES[family], 3 if lstm else 2, *inputs, name=name, **attributes)
    y = b.transpose(y, 2, 0, 1, 3)  # (batch, steps, directions, units)
    return [
        Found(
            b.op("Squeeze", y, b.ints(2)) if len(ops) == 1 else _direction(b, y, k, 2),
            [_direction(b, state, k, 0) for state in final],
        )
        for k in range(len(ops))
    ]


def _direction(b: Builder, x: str, k: int, axis: int) -> str:
    return b.op("Gather", x, b.constant(k, np.int64), axis=axis)


def _zeros(b: Builder, op: Any, x: Value, k: int) -> str:
    """The state before the first step: zeros, or learned."""
    start = op.initial[k]
    shape = b.op("Concat", b.extent(x.name, 0), b.ints(len(start)), axis=0)
    return b.op("Expand", b.constant(start[None], np.float32, f"{op.name}/initial"), shape)


def run_scan(
    b: Builder,
    op: Any,
    x: Value,
    initial: list[str] | None,
    backwards: bool,
    context: Callable[[Builder, str], str] | None = None,
) -> tuple[Found, str]:
    """Run the step of a cell over all steps.

    Parameters
    ----------
    b : Builder
        Receives the node.
    op : RecurrentOp
        The cell.
    x : Value
        The sequences.
    initial : list of str, or None
        The states before the first step. None: those of `op`.
    backwards : bool
        Whether steps are visited from last to first; outputs are in the order of the visit.
    context : callable, optional
        What is read beside x_t, made of the body's builder and h'.

    Returns
    -------
    found : Found
    contexts : str
        What `context` made, of all steps; "" without it.
    """
    states = initial or [_zeros(b, op, x, k) for k in range(len(op.initial))]
    sequence = b.transpose(x.name, 1, 0, 2)
    if backwards:
        sequence = reversed_steps(b, sequence, x.timing, 0)
    body, helper = b.body(), b.onnx.helper
    real, boolean = b.onnx.TensorProto.FLOAT, b.onnx.TensorProto.BOOL
    inputs, before = [], []
    for start in op.initial:
        before.append(body.name("state"))
        inputs.append(helper.make_tensor_value_info(before[-1], real, [None, len(start)]))
    step = body.name("x")
    inputs.append(helper.make_tensor_value_info(step, real, [None, x.shape[-1]]))
    scanned, made = [sequence], []
    if context is not None:
        made = [context(body, before[0])]
        step = body.op("Concat", step, *made, axis=1)
    y, after = cell_step(body, op, step, before)
    if x.timing is not None:
        counts = body.name("counts")
        inputs.append(helper.make_tensor_value_info(counts, boolean, [None, 1]))
        mask = b.transpose(counted(b, x.name, x.timing.lengths), 1, 0)
        scanned.append(b.op("Unsqueeze", mask, b.ints(2)))
        after = [body.op("Where", counts, new, old) for new, old in zip(after, before)]
        y, *made = [body.op("Where", counts, each, body.number(0)) for each in (y, *made)]
    names = [body.op("Identity", name) for name in (*after, y, *made)]
    sizes = [*(len(start) for start in op.initial), op.width, *(None for _ in made)]
    outputs = [
        helper.make_tensor_value_info(name, real, [None, size]) for name, size in zip(names, sizes)
    ]
    found = b.ops(
        "Scan",
        len(names),
        *states,
        *scanned,
        name=op.name,
        body=body.message("step", inputs, outputs),
        num_scan_inputs=len(scanned),
    )
    y, *contexts = (b.transpose(each, 1, 0, 2) for each in found[len(after) :])
    return Found(y, found[: len(after)]), contexts[0] if contexts else ""


def reversed_steps(b: Builder, x: str, timing: Timing | None, time_axis: int) -> str:
    """The steps of each row from last to first."""
    if timing is None:
        steps, rows = b.extent(x, time_axis), b.extent(x, 1 - time_axis)
        lengths = b.op("Expand", steps, rows)
    else:
        lengths = timing.lengths
    return b.op("ReverseSequence", x, lengths, time_axis=time_axis, batch_axis=1 - time_axis)


# ---- layers


def one_direction(
    e: Exporter, layer: Any, name: str, x: Value, initial: Any, backwards: bool
) -> Found:
    """Run a Recurrent in one direction; outputs are in the order of the input."""
    b = e.b
    if not isinstance(layer.cell, Cell):
        refuse(layer, "its cell is computed in Python, and not a cell of gatewise")
    op = replace(layer._step_ops()[0], name=name)
    initial = initial or _learned(e, layer, op, x)
    node = node_of(op)
    if node is None:
        found, _ = run_scan(b, op, x, initial, backwards)
        if backwards and layer.return_sequences:
            found = found._replace(y=reversed_steps(b, found.y, x.timing, 1))
    else:
        direction = "reverse" if backwards else "forward"
        (found,) = run_nodes(b, [op], [node], direction, x, [initial])
        found = _activated(b, op, found, x)
    return _last(b, layer, op, found)


def _as_visited(e: Exporter, layer: Any, found: Found, x: Value) -> Found:
    """Outputs in the order in which a layer visits the steps."""
    if not (layer.go_backwards and layer.return_sequences):
        return found
    return found._replace(y=reversed_steps(e.b, found.y, x.timing, 1))


def _learned(e: Exporter, layer: Any, op: Any, x: Value) -> list[str] | None:
    if not layer.learned_initial_state:
        return None
    return [_zeros(e.b, op, x, k) for k in range(len(op.initial))]


def _activated(b: Builder, op: Any, found: Found, x: Value) -> Found:
    """The output activation of a GRU, which is no attribute of its node."""
    if not getattr(op.kernel.options, "activates_output", False):
        return found
    y = activated(b, found.y, op.kernel.options.output_activation)
    return found._replace(y=filled(b, Value(y, (None, None, op.width), x.timing)).name)


def _last(b: Builder, layer: Any, op: Any, found: Found) -> Found:
    """The last output in place of all, if the layer returns it."""
    if layer.return_sequences:
        return found
    options: Any = getattr(op.kernel, "options", None)
    y = found.states[0]
    if getattr(options, "activates_output", False):
        y = activated(b, y, options.output_activation)
    return found._replace(y=y)


def recurrent(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """LSTM, GRU, SimpleRNN, MinLSTM, MinGRU."""
    x, *given = sources
    e.refuse_held(layer, x)
    starts = e.states_in(layer, name, given)
    found = one_direction(e, layer, name, x, starts, layer.go_backwards)
    found = _as_visited(e, layer, found, x)
    e.states_out(layer, name, found.states)
    return _values(layer, x, [found.y], found.states)


def _values(layer: Any, x: Value, outputs: list[str], states: list[str]) -> list[Value]:
    shape = layer.compute_output_shape(x.shape)
    shapes = shape if isinstance(shape, list) else [shape]
    timing = x.timing if layer.return_sequences else None
    found = [Value(y, each, timing) for y, each in zip(outputs, shapes)]
    if layer.return_state:
        found += [
            Value(state, each) for state, each in zip(states, layer._shapes_of_states(x.shape))
        ]
    return found


def stacked(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """Recurrent layers on top of each other."""
    x, *given = sources
    e.refuse_held(layer, x)
    starts = e.states_in(layer, name, given)
    found = _as_visited(e, layer, _stack(e, layer, name, x, starts), x)
    e.states_out(layer, name, found.states)
    return _values(layer, x, [found.y], found.states)


def _stack(e: Exporter, layer: Any, name: str, x: Value, starts: list[str] | None) -> Found:
    """All layers of a stack; outputs are in the order of the input."""
    states: list[str] = []
    y = x
    for path, part in layer._parts.items():
        count = len(part.state_names)
        own, starts = (starts[:count], starts[count:]) if starts else (None, None)
        found = one_direction(e, part, f"{name}/{path}", y, own, layer.go_backwards)
        states += found.states
        y = y.made(found.y, part.compute_output_shape(y.shape))
    return Found(y.name, states)


def bidirectional(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """Both directions: one node if there is one for both, else two passes."""
    x, *given = sources
    starts = e.states_in(layer, name, given)
    parts = [layer.forward_layer, layer.backward_layer]
    half = len(layer.state_names) // 2
    halves: list[list[str] | None] = [starts[:half], starts[half:]] if starts else [None, None]
    found = _both(e, layer, name, x, halves)
    if found is None:
        found = []
        for part, path, own in zip(parts, ("forward", "backward"), halves):
            inner = f"{name}/{path}"
            if isinstance(part, StackedRNN):
                found.append(_stack(e, part, inner, x, own))
            else:
                found.append(one_direction(e, part, inner, x, own, part.go_backwards))
    outputs = [each.y for each in found]
    if layer.merge_mode is not None:
        kind = {"concat": "concatenate", "sum": "add", "mul": "multiply", "ave": "average"}
        outputs = [merged(e.b, kind[layer.merge_mode], outputs)]
    states = [state for each in found for state in each.states]
    e.states_out(layer, name, states)
    return _values(layer, x, outputs, states)


def _both(
    e: Exporter, layer: Any, name: str, x: Value, halves: list[list[str] | None]
) -> list[Found] | None:
    """Both directions as one node; None: there is no such node."""
    parts = [layer.forward_layer, layer.backward_layer]
    if any(isinstance(part, StackedRNN) or not isinstance(part.cell, Cell) for part in parts):
        return None
    ops = [replace(part._step_ops()[0], name=name) for part in parts]
    nodes = [node for op in ops if (node := node_of(op)) is not None]
    if len(nodes) < 2 or ops[0].kernel.family != ops[1].kernel.family:
        return None
    if nodes[0].shared != nodes[1].shared:
        return None
    initial = [own or _learned(e, part, op, x) for part, op, own in zip(parts, ops, halves)]
    found = run_nodes(e.b, ops, nodes, "bidirectional", x, initial)
    return [
        _last(e.b, part, op, _activated(e.b, op, each, x))
        for part, op, each in zip(parts, ops, found)
    ]


HANDLERS: dict[type, Any] = {Bidirectional: bidirectional, StackedRNN: stacked}
