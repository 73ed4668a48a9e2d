"""Running a graph: its nodes in order, and the graphs inside If, Loop and Scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .operators import run_call
from .operators.helpers import axis_of

if TYPE_CHECKING:
    from .graphs import Call, Graph

CONTROL = ("If", "Loop", "Scan")


def run_graph(graph: Graph, values: dict[str, Any]) -> list[Any]:
    """Return the outputs of a graph.

    Parameters
    ----------
    graph : Graph
        What is computed.
    values : dict of str to ndarray
        Its inputs, and for a graph inside a node the values around it. It is not changed.

    Raises
    ------
    GatewiseError
        A node cannot be computed; the message names it.
    """
    values = {**values, **graph.constants}
    done = _last_uses(graph)
    for call in graph.calls:
        inputs = [values[name] if name else None for name in call.inputs]
        if call.op == "If":
            found = _chosen(call, inputs, values)
        elif call.op == "Loop":
            found = _looped(call, inputs, values)
        elif call.op == "Scan":
            found = _scanned(call, inputs, values)
        else:
            found = run_call(call, inputs)
        if len(found) < sum(bool(name) for name in call.outputs):
            raise ConfigError(f"{call.title()} has {len(call.outputs)} outputs")
        values.update((name, value) for name, value in zip(call.outputs, found) if name)
        for name in done[id(call)]:
            del values[name]
    return [values[port.name] for port in graph.outputs]


def _last_uses(graph: Graph) -> dict[int, list[str]]:
    """Return, for each call, the values of this graph that nothing reads after it."""
    if graph.last_uses is None:
        own = {name for call in graph.calls for name in call.outputs if name}
        seen = {port.name for port in graph.outputs}
        graph.last_uses = {}
        for call in reversed(graph.calls):
            done = ((call.reads() | {name for name in call.outputs if name}) & own) - seen
            seen |= done
            graph.last_uses[id(call)] = sorted(done)
    return graph.last_uses


def _one(call: Call, value: Any, what: str) -> Any:
    found = np.asarray(value)
    if found.size != 1:
        raise ShapeError(f"{call.title()}: {what} has shape {found.shape}; expected one number")
    return found.reshape(())[()]


def _body(call: Call, name: str) -> Graph:
    from .graphs import Graph

    body = call.get(name)
    if not isinstance(body, Graph):
        raise ConfigError(f"{call.title()} has no graph {name!r}")
    return body


def _chosen(call: Call, inputs: list[Any], values: dict[str, Any]) -> list[Any]:
    """Return the outputs of If."""
    if len(inputs) != 1 or inputs[0] is None:
        raise ConfigError(f"{call.title()} has {len(inputs)} inputs; expected its condition")
    condition = _one(call, inputs[0], "the condition")
    return run_graph(_body(call, "then_branch" if condition else "else_branch"), values)


def _looped(call: Call, inputs: list[Any], values: dict[str, Any]) -> list[Any]:
    """Return the outputs of Loop: the last states, then the values of all rounds."""
    body = _body(call, "body")
    most, condition, *states = [*inputs, None, None][: max(len(inputs), 2)]
    count = len(states)
    if len(body.inputs) != 2 + count or len(body.outputs) < 1 + count:
        raise ConfigError(
            f"{call.title()} carries {count} values, its body reads {len(body.inputs) - 2} and"
            f" returns {len(body.outputs) - 1}"
        )
    limit = None if most is None else int(_one(call, most, "the number of rounds"))
    goes_on = True if condition is None else bool(_one(call, condition, "the condition"))
    scanned: list[list[Any]] = [[] for _ in body.outputs[1 + count :]]
    names = [port.name for port in body.inputs]
    rounds = 0
    while goes_on and (limit is None or rounds < limit):
        given = [np.array(rounds, np.int64), np.array(True), *states]
        answer, *found = run_graph(body, values | dict(zip(names, given)))
        goes_on = bool(_one(call, answer, "the condition"))
        states = found[:count]
        for parts, part in zip(scanned, found[count:]):
            parts.append(part)
        rounds += 1
    outputs = list(states)
    for parts, port in zip(scanned, body.outputs[1 + count :]):
        if not parts:
            shape = [each if isinstance(each, int) else 0 for each in port.shape or []]
            outputs.append(np.zeros((0, *shape), port.dtype or np.float32))
        elif any(part.shape != parts[0].shape for part in parts):
            raise ShapeError(f"{call.title()}: {port.name[:80]!r} changes its shape between rounds")
        else:
            outputs.append(np.stack(parts))
    return outputs


def _scanned(call: Call, inputs: list[Any], values: dict[str, Any]) -> list[Any]:
    """Return the outputs of Scan: the last states, then the outputs of all steps."""
    body, count = _body(call, "body"), call.get("num_scan_inputs", 0)
    states, sequences = inputs[: len(inputs) - count], inputs[len(inputs) - count :]
    kept = len(states)
    made = len(body.outputs) - kept
    if count < 1 or kept < 0 or made < 0 or len(body.inputs) != len(inputs):
        raise ConfigError(f"{call.title()} reads {count} sequences and {len(inputs)} inputs")
    if any(array is None for array in inputs):
        raise ConfigError(f"{call.title()} leaves an input out")
    axes = call.get("scan_input_axes") or [0] * count
    ways = call.get("scan_input_directions") or [0] * count
    out_axes = call.get("scan_output_axes") or [0] * made
    out_ways = call.get("scan_output_directions") or [0] * made
    if not (len(axes) == len(ways) == count and len(out_axes) == len(out_ways) == made):
        raise ConfigError(f"{call.title()} has axes or directions of another number of sequences")
    steps = [
        np.moveaxis(array, axis_of(axis, array.ndim), 0)[:: -1 if way else 1]
        for array, axis, way in zip(sequences, axes, ways)
    ]
    length = len(steps[0])
    if any(len(each) != length for each in steps):
        raise ShapeError(f"{call.title()} reads sequences of different lengths")
    names = [port.name for port in body.inputs]
    parts: list[list[Any]] = [[] for _ in range(made)]
    for k in range(length):
        given = [*states, *(each[k] for each in steps)]
        found = run_graph(body, values | dict(zip(names, given)))
        states = found[:kept]
        for kept_parts, part in zip(parts, found[kept:]):
            kept_parts.append(part)
    if not length:
        raise ShapeError(f"{call.title()} reads sequences without steps")
    return [
        *states,
        *(
            np.ascontiguousarray(_stacked(call, each[:: -1 if way else 1], axis))
            for each, axis, way in zip(parts, out_axes, out_ways)
        ),
    ]


def _stacked(call: Call, parts: list[Any], axis: int) -> Any:
    if any(part.shape != parts[0].shape for part in parts):
        raise ShapeError(f"{call.title()}: an output changes its shape between steps")
    return np.stack(parts, axis_of(axis, parts[0].ndim + 1))


def check_control(call: Call) -> None:
    """Refuse a Scan of operator set 8, which had an axis of the batch.

    Raises
    ------
    ConfigError
        It is one.
    """
    if call.op == "Scan" and call.version < 9:
        raise ConfigError(f"{call.title()} is of operator set 8; Scan is supported from 9")
