"""RNN, GRU and LSTM, computed by gatewise's kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.interop.onnx.recurrent import (
    directions_of,
    make_layer,
    sizes_of,
    weights_of,
)

from .helpers import Operator, optional

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call


def _run(call: Call, inputs: list[Any]) -> list[Any]:
    x, w, r = inputs[:3]
    if x.dtype not in (np.float32, np.float64):
        raise ConfigError(f"X is of {x.dtype}; expected float32 or float64")
    batch_first = call.get("layout", 0) == 1
    if x.ndim != 3:
        raise ShapeError(f"X has shape {x.shape}; expected three axes")
    features, units = sizes_of(call, w, r)
    if x.shape[2] != features:
        raise ShapeError(f"X has {x.shape[2]} features, W has shape {w.shape}")
    x = x if batch_first else np.ascontiguousarray(x.transpose(1, 0, 2))
    rows, steps = x.shape[:2]
    lengths = _lengths(optional(inputs, 4), rows, steps)
    starts = [
        _start(optional(inputs, place), (rows, len(w), units), x.dtype, batch_first)
        for place in ((5, 6) if call.op == "LSTM" else (5,))
    ]
    outputs, finals = [], []
    for k, layer in enumerate(_layers(call, inputs)):
        y, *final = _pass(layer, x, lengths, [start[:, k] for start in starts])
        outputs.append(y)
        finals.append(final)
    y = np.stack(outputs, axis=2)  # (rows, steps, directions, units)
    states = [np.stack(parts, axis=1) for parts in zip(*finals)]
    if not batch_first:
        y = y.transpose(1, 2, 0, 3)
        states = [state.transpose(1, 0, 2) for state in states]
    found = [np.ascontiguousarray(each) for each in (y, *states)]
    return found[: max(len(call.outputs), 1)]


def _lengths(given: Array | None, rows: int, steps: int) -> Array | None:
    if given is None:
        return None
    if given.shape != (rows,) or (rows and not 0 <= given.min() <= given.max() <= steps):
        raise ShapeError(
            f"sequence_lens is {given.tolist()!s:.80}; expected {rows} numbers from 0 to {steps}"
        )
    return np.asarray(given, np.int64)


def _start(given: Array | None, shape: tuple[int, ...], dtype: Any, batch_first: bool) -> Array:
    """Return an initial state as (rows, directions, units); zeros if it is left out."""
    if given is None:
        return np.zeros(shape, dtype)
    expected = shape if batch_first else (shape[1], shape[0], shape[2])
    if given.shape != expected:
        raise ShapeError(f"an initial state has shape {given.shape}; expected {expected}")
    return given if batch_first else given.transpose(1, 0, 2)


def _layers(call: Call, inputs: list[Any]) -> list[Any]:
    """Return the layer of each direction: made once, and again if other weights come."""
    parameters = [optional(inputs, place) for place in (1, 2, 3)]
    parameters.append(optional(inputs, 7) if call.op == "LSTM" else None)
    before = call.kept.get("weights")
    if before is not None and all(a is b for a, b in zip(before, parameters)):
        return list(call.kept["layers"])
    w, r, b, p = parameters
    features, units = sizes_of(call, w, r)
    layers = []
    for k, direction in enumerate(directions_of(call)):
        layer = make_layer(
            call,
            direction,
            units,
            b is not None,
            p is not None,
            dtype=str(inputs[0].dtype),
            return_sequences=True,
            return_state=True,
            go_backwards=direction.backwards,
        )
        layer.build((None, None, features))
        layer.set_weights(weights_of(call, k, direction.options, w, r, b, p))
        layers.append(layer)
    if not any(array is not None and array.flags.writeable for array in parameters):
        call.kept |= {"weights": parameters, "layers": layers}  # constants of the model
    return layers


def _pass(layer: Any, x: Array, lengths: Array | None, start: list[Array]) -> list[Array]:
    """Return [outputs in forward order, final states...] of one direction."""
    rows, steps = x.shape[:2]
    if not rows or not steps:  # nothing to compute
        empty = lengths is not None or not steps
        return [
            np.zeros((rows, steps, layer.units), x.dtype),
            *(np.zeros_like(state) if empty else state for state in start),
        ]
    start = [np.ascontiguousarray(state) for state in start]
    y, *final = layer.forward(x, lengths=lengths, initial_state=start)
    if layer.go_backwards:
        from gatewise.layers.recurrent.visiting_order import backward_order, take_steps

        y = take_steps(y, backward_order(steps, lengths))
    if lengths is not None:
        # as in ONNX Runtime: a row without steps ends in zeros, and not in its initial state
        for state in final:
            state[lengths == 0] = 0
    return [y, *final]


OPERATORS: dict[str, Operator] = {"RNN": _run, "GRU": _run, "LSTM": _run}
