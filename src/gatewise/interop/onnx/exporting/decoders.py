"""An encoder and a decoder with attention, the layer of Seq2Seq: the target is given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.layers import EncoderDecoder

from .graph import Value, refuse
from .masks import counted
from .recurrent import run_scan
from .vectors import weight

if TYPE_CHECKING:
    from .graph import Builder
    from .network import Exporter

_LOW = float(np.finfo(np.float32).min)


def encoder_decoder(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """The probabilities of the next token at each step of a target that is given."""
    if e.has_states:
        refuse(layer, "states: its encoder begins anew with each source; export without states")
    b, parts = e.b, layer._parts
    target, source = sources

    def call(part: str, *given: Value) -> list[Value]:
        made = parts[part]
        return e.handler(made)(e, made, list(given), f"{name}/{part}")

    (x,) = call("source_embedding", source)
    starts = []
    for k in range(layer.num_layers):
        x, *states = call(f"encoder_{k}", x)
        starts.append(states)
        if layer.bidirectional:
            half = len(states) // 2
            starts[k] = []
            for state, ahead, back in zip("hc", states[:half], states[half:]):
                both = b.op("Concat", ahead.name, back.name, axis=1)
                starts[k] += call(f"bridge_{k}_{state}", Value(both, (None, 2 * layer.units)))
    memory = call("memory", x)[0] if layer.attention is not None else None
    (y,) = call("target_embedding", target)
    contexts = None
    for k in range(layer.num_layers):
        if k == 0 and layer.attention == "bahdanau":
            assert memory is not None
            (keys,) = call("keys", memory)
            y, contexts = _attending(
                b,
                parts["decoder_0"],
                f"{name}/decoder_0",
                y,
                memory,
                keys,
                [state.name for state in starts[0]],
            )
        else:
            y, *_ = call(f"decoder_{k}", y, *starts[k])
    if layer.attention == "luong":
        assert memory is not None
        (contexts,) = call("attention", y, memory)
    if contexts is not None:
        joined = b.op("Concat", y.name, contexts.name, axis=2)
        y = y.made(joined, (None, None, 2 * layer.units))
    if "combine" in parts:
        (y,) = call("combine", y)
    return _output(e, layer, y, name)


def _output(e: Exporter, layer: Any, y: Value, name: str) -> list[Value]:
    b, part = e.b, layer._parts["output"]
    if not layer.tie_embeddings:
        return e.handler(part)(e, part, [y], f"{name}/output")
    scores = b.op("MatMul", y.name, b.constant(part._matrix(), np.float32, f"{name}/tied"))
    bias = b.constant(part._parameters["bias"], np.float32, f"{name}/output/bias")
    found = b.op("Softmax", b.op("Add", scores, bias), axis=-1)
    return [y.made(found, (None, None, layer.target_size))]


def _attending(
    b: Builder, layer: Any, name: str, x: Value, memory: Value, keys: Value, states: list[str]
) -> tuple[Value, Value]:
    """A decoder whose steps attend to a memory with h' (Bahdanau et al. 2015)."""
    op = replace(layer.layer._step_ops()[0], name=name)
    inside = ""
    if memory.timing is not None:
        inside = counted(b, memory.name, memory.timing.lengths)

    def context(body: Builder, h: str) -> str:
        query = body.op("MatMul", h, weight(body, op, "query", layer.query._parameters["kernel"]))
        pair = body.op("Add", body.op("Unsqueeze", query, body.ints(1)), keys.name)
        scale = weight(body, op, "scale", layer.attention._parameters["scale"][:, None])
        scores = body.op("MatMul", body.op("Tanh", pair), scale)
        scores = body.op("Squeeze", scores, body.ints(2))
        if inside:
            scores = body.op("Where", inside, scores, body.number(_LOW))
        shares = body.op("Unsqueeze", body.op("Softmax", scores, axis=1), body.ints(1))
        return body.op("Squeeze", body.op("MatMul", shares, memory.name), body.ints(1))

    found, contexts = run_scan(b, op, x, states, False, context)
    shape = (*x.shape[:2], op.width)
    return x.made(found.y, shape), x.made(contexts, (*x.shape[:2], memory.shape[-1]))


HANDLERS: dict[type, Any] = {EncoderDecoder: encoder_decoder}
