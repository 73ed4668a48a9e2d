"""What recurrent layers do with steps, rows and states."""

import numpy as np

from gatewise import layers

from .layer_calls import drawn, passes
from .registry import case

LENGTHS = [6, 2, 0, 5]
MASK = np.array([[1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 1, 1], [0] * 6, [1, 1, 1, 0, 0, 0]], bool)
RESETS = np.array([[0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 1, 0], [0] * 6, [0, 0, 0, 1, 0, 0]], bool)
WAYS = {
    "last": ({}, {}),
    "last, lengths": ({}, {"lengths": LENGTHS}),
    "last, mask": ({}, {"mask": MASK}),
    "states": ({"return_state": True}, {"lengths": LENGTHS}),
    "sequences and states": ({"return_sequences": True, "return_state": True}, {}),
    "lengths": ({"return_sequences": True}, {"lengths": LENGTHS}),
    "mask": ({"return_sequences": True}, {"mask": MASK}),
    "resets": ({"return_sequences": True}, {"resets": RESETS}),
    "resets, mask": ({"return_sequences": True}, {"resets": RESETS, "mask": MASK}),
    "resets, lengths": ({"return_state": True}, {"resets": RESETS, "lengths": LENGTHS}),
    "backwards": ({"return_sequences": True, "go_backwards": True}, {"lengths": LENGTHS}),
    "backwards, resets": ({"go_backwards": True}, {"resets": RESETS, "lengths": LENGTHS}),
    "backwards, mask": ({"go_backwards": True, "return_state": True}, {"mask": MASK}),
    "held": ({"return_sequences": True, "zero_output_for_mask": False}, {"mask": MASK}),
    "held, lengths": (
        {"return_sequences": True, "zero_output_for_mask": False},
        {"lengths": LENGTHS},
    ),
    "initial state": ({"return_sequences": True, "return_state": True}, {"initial_state": True}),
    "initial state, resets": ({"return_state": True}, {"initial_state": True, "resets": RESETS}),
}
DRAWN = {
    "dropout": ({"dropout": 0.4}, {}),
    "recurrent dropout": ({"recurrent_dropout": 0.3, "return_sequences": True}, {}),
    "dropouts, lengths": ({"dropout": 0.2, "recurrent_dropout": 0.3}, {"lengths": LENGTHS}),
    "learned start": ({"learned_initial_state": True, "return_sequences": True}, {}),
}
KINDS = ("SimpleRNN", "LSTM", "GRU", "MinGRU", "MinLSTM", "GRUD")


def _layer(kind, dtype, **options):
    return getattr(layers, kind)(5, dtype=dtype, seed=3, **options)


def _data(kind, dtype, seed=0):
    x = drawn((4, 6, 3), dtype, seed)
    if kind == "GRUD":
        x[..., 1] = x[..., 1] > 0
        x[..., 2] = abs(x[..., 2])
    return x


def _start(kind, dtype):
    widths = {"LSTM": (5, 5), "GRUD": (5, 1)}.get(kind, (5,))
    return [drawn((4, width), dtype, 20 + number) for number, width in enumerate(widths)]


def _run(kind, options, call, dtype):
    call = call | ({"initial_state": _start(kind, dtype)} if "initial_state" in call else {})
    return passes(_layer(kind, dtype, **options), _data(kind, dtype), **call)


def _stateful(kind):
    layer = _layer(kind, "float32", stateful=True, return_sequences=True)
    found = {"first": passes(layer, _data(kind, "float32"))}
    found["second"] = layer.forward(_data(kind, "float32", 5), lengths=LENGTHS)
    found["third"] = layer.forward(_data(kind, "float32", 6), mask=MASK, resets=RESETS)
    found["state"] = layer.state
    layer.state = _start(kind, "float32")
    found["set"] = layer.forward(_data(kind, "float32", 7))
    layer.reset_state()
    found["reset"] = layer.forward(_data(kind, "float32", 8))
    return found


def _possible(kind, options):
    """GRUD has no dropouts and no learned start; minimal cells have no recurrent kernel."""
    refused = {"GRUD": {"dropout", "recurrent_dropout", "learned_initial_state"}}
    return not options.keys() & refused.get(
        kind, {"recurrent_dropout"} if kind[:3] == "Min" else set()
    )


def _twice(kind):
    """Gradients are added; the second dropout mask is another one."""
    layer = _layer(kind, "float32", dropout=0.5)
    first = passes(layer, _data(kind, "float32"))
    y = layer.forward(_data(kind, "float32", 9), training=True)
    dx = layer.backward(np.ones_like(y))
    return {"first": first, "dx": dx, **layer.gradients}


for _kind in KINDS:
    for _what, (_options, _call) in (WAYS | DRAWN).items():
        if not _possible(_kind, _options):
            continue
        for _dtype in ("float32", "float64") if _kind in ("LSTM", "GRUD") else ("float32",):
            case(
                f"recurrent/{_kind}/{_what}/{_dtype}",
                lambda k=_kind, o=_options, c=_call, d=_dtype: _run(k, o, c, d),
            )
    case(f"recurrent/{_kind}/stateful", lambda k=_kind: _stateful(k))
    if _kind != "GRUD":
        case(f"recurrent/{_kind}/twice", lambda k=_kind: _twice(k))


@case("recurrent/encoder and decoder")
def _encoder_and_decoder():
    encoder = layers.LSTM(6, return_state=True, seed=0)
    decoder = layers.LSTM(6, return_sequences=True, seed=1)
    summary, h, c = encoder.forward(drawn((4, 9, 3)), training=True)
    y = decoder.forward(drawn((4, 7, 2), seed=1), initial_state=[h, c], training=True)
    dx = decoder.backward(np.ones_like(y))
    d_source = encoder.backward([None, *decoder.initial_state_gradient])
    return {"y": y, "dx": dx, "source": d_source, **encoder.gradients}
