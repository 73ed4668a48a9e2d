"""Bidirectional and TimeDistributed."""

import numpy as np

from gatewise import layers

from .layer_calls import built, drawn, gradient_of, passes
from .registry import case

LENGTHS = [6, 2, 0, 5]
MASK = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 1], [0] * 6, [1, 1, 1, 0, 0, 0]], bool)
RESETS = np.array([[0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 0], [0] * 6, [0, 0, 0, 1, 0, 0]], bool)
CALLS = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "mask": {"mask": MASK},
    "resets": {"resets": RESETS},
}


def _both_ways(kind, merge_mode, options, call, dtype="float32"):
    inner = getattr(layers, kind)(5, dtype=dtype, **options)
    layer = layers.Bidirectional(inner, merge_mode=merge_mode, dtype=dtype, seed=4)
    return passes(layer, drawn((4, 6, 3), dtype), **call)


for _mode in ("concat", "sum", "mul", "ave", None):
    for _what, _call in CALLS.items():
        case(
            f"wrappers/Bidirectional/{_mode}/{_what}",
            lambda m=_mode, c=_call: _both_ways("LSTM", m, {"return_sequences": True}, c),
        )
    case(
        f"wrappers/Bidirectional/{_mode}/last",
        lambda m=_mode: _both_ways("GRU", m, {}, {"lengths": LENGTHS}, "float64"),
    )
for _kind in ("SimpleRNN", "GRU", "LSTM", "MinGRU", "MinLSTM"):
    case(
        f"wrappers/Bidirectional/{_kind}/states",
        lambda k=_kind: _both_ways(
            k, "concat", {"return_sequences": True, "return_state": True, "dropout": 0.3}, {}
        ),
    )


@case("wrappers/Bidirectional/initial state")
def _initial_state():
    start = [drawn((4, 5), seed=30 + n) for n in range(4)]
    return _both_ways("LSTM", "concat", {"return_sequences": True}, {"initial_state": start})


@case("wrappers/Bidirectional/two layers")
def _two_layers():
    layer = layers.Bidirectional(
        layers.LSTM(4, return_sequences=True),
        backward_layer=layers.GRU(3, return_sequences=True, go_backwards=True),
        seed=4,
    )
    return passes(layer, drawn((4, 6, 3)), mask=MASK)


@case("wrappers/Bidirectional/stateful")
def _stateful():
    layer = layers.Bidirectional(layers.GRU(4, return_sequences=True, stateful=True), seed=4)
    found = passes(layer, drawn((4, 6, 3)))
    return {**found, "next": layer.forward(drawn((4, 3, 3), seed=8)), "states": layer.state}


def _each_step(inner, shape, **call):
    return passes(layers.TimeDistributed(inner, seed=4), drawn(shape), **call)


@case("wrappers/TimeDistributed/Dense")
def _dense():
    return _each_step(layers.Dense(4, "tanh"), (4, 6, 3), lengths=LENGTHS)


@case("wrappers/TimeDistributed/LSTM")
def _lstm():
    return _each_step(layers.LSTM(4), (2, 3, 5, 2))


@case("wrappers/TimeDistributed/Conv1D")
def _conv():
    return _each_step(layers.Conv1D(4, 3, padding="same"), (2, 3, 6, 2))


@case("wrappers/TimeDistributed/mask")
def _masked():
    return _each_step(layers.Dense(2, "relu"), (4, 6, 3), mask=MASK)


@case("wrappers/Bidirectional/frozen")
def _frozen():
    layer = layers.Bidirectional(layers.LSTM(4), seed=4)
    x = drawn((4, 6, 3))
    built(layer, x)
    layer.forward_layer.trainable = False
    y = layer.forward(x, training=True)
    return {"dx": layer.backward(gradient_of(y)), **layer.gradients}
