"""ONNX's RNN, GRU and LSTM as layers: attributes, weights and layouts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.interop.gates import GATES, PEEPHOLES, Biases, joined_bias, reorder
from gatewise.layers import GRU, LSTM, SimpleRNN

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .graphs import Call

FAMILIES = {"RNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
_LAYERS: dict[str, Any] = {"RNN": SimpleRNN, "GRU": GRU, "LSTM": LSTM}
_USUAL = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
# What each activation is called here, with the usual values of its constants.
_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu": ("relu", ()),
    "tanh": ("tanh", ()),
    "sigmoid": ("sigmoid", ()),
    "softsign": ("softsign", ()),
    "softplus": ("softplus", ()),
    "affine": ("affine", (1.0, 0.0)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "thresholdedrelu": ("thresholded_relu", (1.0,)),
    "scaledtanh": ("scaled_tanh", (1.0, 1.0)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "elu": ("elu", (1.0,)),
}


@dataclass(slots=True)
class Direction:
    """One direction of a recurrent node."""

    backwards: bool
    options: dict[str, Any]  # arguments of the layer


def directions_of(call: Call) -> list[Direction]:
    """Return the directions of a node, in the order of its weights.

    Raises
    ------
    ConfigError
        An attribute has a value that ONNX, or gatewise, does not have.
    """
    name = call.get("direction", "forward")
    found = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}.get(name)
    if found is None:
        raise ConfigError(f"direction={name!r}; expected forward, reverse or bidirectional")
    if call.get("layout", 0) not in (0, 1):
        raise ConfigError(f"layout={call.get('layout')}; expected 0 or 1")
    of_all = _activations(call, len(found))
    shared: dict[str, Any] = {}
    if call.get("clip") is not None:
        shared["clip"] = call.get("clip")
    if call.op == "GRU":
        shared["reset_after"] = bool(call.get("linear_before_reset", 0))
    if call.op == "LSTM":
        shared["coupled"] = bool(call.get("input_forget", 0))
    count, directions = len(_USUAL[call.op]), []
    for k, backwards in enumerate(found):
        chosen = of_all[k * count : (k + 1) * count]
        options = dict(shared)
        if call.op == "RNN":
            options["activation"] = chosen[0]
        else:
            options["recurrent_activation"], options["activation"] = chosen[:2]
        if call.op == "LSTM" and chosen[2] != chosen[1]:
            options["output_activation"] = chosen[2]
        directions.append(Direction(backwards, options))
    return directions


def _activations(call: Call, directions: int) -> list[Any]:
    """Return the activations of all directions; those with constants take them in order."""
    usual = _USUAL[call.op] * directions
    names = call.get("activations") or usual
    if len(names) != len(usual):
        raise ConfigError(
            f"{len(names)} activations for {directions} directions; expected {len(usual)}"
        )
    alphas = list(call.get("activation_alpha") or [])
    betas = list(call.get("activation_beta") or [])
    found: list[Any] = []
    for name in names:
        if name.lower() not in _ACTIVATIONS:
            raise ConfigError(f"activation {name!r:.80} is none of ONNX's")
        kind, constants = _ACTIVATIONS[name.lower()]
        values = [
            given.pop(0) if given else value for given, value in zip((alphas, betas), constants)
        ]
        if kind == "affine" and values == [1.0, 0.0]:
            kind, values = "linear", []
        found.append((kind, *values) if values else kind)
    return found


def sizes_of(call: Call, w: Array, r: Array) -> tuple[int, int]:
    """Return (inputs, units) of the weights of a node.

    Raises
    ------
    ShapeError
        The weights do not fit each other or the attributes.
    """
    gates = len(GATES["onnx"][FAMILIES[call.op]])
    directions = 2 if call.get("direction", "forward") == "bidirectional" else 1
    if w.ndim != 3 or r.ndim != 3:
        raise ShapeError(f"W has shape {w.shape}, R has shape {r.shape}; expected three axes")
    units = r.shape[2]
    if call.get("hidden_size", units) != units or not units:
        raise ShapeError(f"hidden_size is {call.get('hidden_size')}, R has shape {r.shape}")
    if w.shape[:2] != (directions, gates * units) or r.shape[:2] != (directions, gates * units):
        raise ShapeError(
            f"W has shape {w.shape}, R has shape {r.shape}; expected ({directions},"
            f" {gates * units}, ...) for {units} units"
        )
    return w.shape[2], units


def weights_of(
    call: Call,
    k: int,
    options: dict[str, Any],
    w: Array,
    r: Array,
    b: Array | None,
    p: Array | None,
) -> list[Array]:
    """Return the weights of the layer of one direction, in the order of ``set_weights``.

    Parameters
    ----------
    call : Call
        The node.
    k : int
        Number of the direction.
    options : dict
        Arguments of its layer.
    w, r, b, p : ndarray or None
        Inputs of the node, for all directions.
    """
    family = FAMILIES[call.op]
    theirs, ours = GATES["onnx"][family], GATES["gatewise"][family]
    units, gates = r.shape[2], len(theirs)
    if options.get("coupled"):
        ours = ours.replace("f", "")
    found = [
        np.ascontiguousarray(reorder(np.ascontiguousarray(each[k].T), theirs, ours))
        for each in (w, r)
    ]
    if b is not None:
        if b.shape != (w.shape[0], 2 * gates * units):
            raise ShapeError(f"B has shape {b.shape}; expected {(w.shape[0], 2 * gates * units)}")
        biases = Biases(*(reorder(half, theirs, ours) for half in np.split(b[k], 2)))
        after = options.get("reset_after")
        found.append(np.stack(biases) if after else np.asarray(joined_bias(biases)))
    if p is not None:
        if p.shape != (w.shape[0], 3 * units):
            raise ShapeError(f"P has shape {p.shape}; expected {(w.shape[0], 3 * units)}")
        wanted = PEEPHOLES["gatewise"].replace("f", "" if options.get("coupled") else "f")
        found.append(reorder(p[k], PEEPHOLES["onnx"], wanted).reshape(len(wanted), units))
    return found


def make_layer(
    call: Call, direction: Direction, units: int, biased: bool, peepholes: bool, **options: Any
) -> Any:
    """Return the layer of one direction, without weights."""
    if peepholes:
        options["peepholes"] = True
    if call.op == "LSTM":
        options["unit_forget_bias"] = False
    return _LAYERS[call.op](units, use_bias=biased, **direction.options, **options)
