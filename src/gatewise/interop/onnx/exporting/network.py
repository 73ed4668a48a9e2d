"""The layers of a model as nodes, one call after the other, models inside opened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import layers
from gatewise.attributes import _is_ours
from gatewise.errors import ConfigError

from . import attention, decoders, images, recurrent, sequences
from .graph import Builder, Timing, Value, refuse
from .masks import as_wide, counted, filled, masked, to_front
from .vectors import VECTOR_OPS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Handler = Any  # (Exporter, layer, sources, name) -> list of Value

HANDLERS: dict[type, Handler] = {
    **sequences.HANDLERS,
    **images.HANDLERS,
    **attention.HANDLERS,
    **recurrent.HANDLERS,
    **decoders.HANDLERS,
}
for _layer in (layers.LSTM, layers.GRU, layers.SimpleRNN, layers.MinLSTM, layers.MinGRU):
    HANDLERS[_layer] = recurrent.recurrent

# Layers that compute each step alone and say how in `_step_ops`.
_OF_VECTORS = (
    layers.Dense,
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.ELU,
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.Dropout,
    layers.GaussianNoise,
    layers.GaussianDropout,
)
_REASONS: dict[type, str] = {
    layers.GRUD: "what is missing in its inputs decays by the time that has passed, for which ONNX"
    " has no recurrent node",
    layers.RNN: "its cell is computed in Python, step by step",
    layers.ConvLSTM1D: "ONNX has no recurrent node that convolves",
    layers.ConvLSTM2D: "ONNX has no recurrent node that convolves",
}


class Exporter:
    """Prints the calls of a model.

    Parameters
    ----------
    b : Builder
        Receives the nodes.
    states : bool
        Whether states are inputs and outputs.
    """

    def __init__(self, b: Builder, states: bool) -> None:
        self.b = b
        self.has_states = states
        self.state_inputs: list[tuple[str, Any]] = []  # (name, size)
        self.state_outputs: list[tuple[str, str]] = []  # (name, value)
        self._names: dict[str, int] = {}

    # ---- networks

    def network(self, network: Any, inputs: list[Value], path: str) -> list[Value]:
        """All calls of a network."""
        graph = getattr(network, "_graph", None)
        if graph is None:
            value = inputs
            for layer in network._layers:
                value = self.call(layer, value[:1], path)
            return value[:1]
        arrays: dict[int, Value] = dict(enumerate(inputs))
        for call in graph.calls:
            made = self.call(call.layer, [arrays[number] for number in call.sources], path)
            arrays.update(zip(call.outputs, made))
        return [arrays[number] for number in graph.results]

    def call(self, layer: Any, sources: list[Value], path: str) -> list[Value]:
        """One call of a layer."""
        inner = getattr(layer, "_inner", None)
        if inner is not None:
            return self.network(inner, sources, f"{path}{layer.name}/")
        name = self.unique(f"{path}{layer.name}")
        return self.handler(layer)(self, layer, sources, name)

    def unique(self, name: str) -> str:
        """The name of a call: a layer that is called again has a number, too."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}:{count}"

    def handler(self, layer: Any) -> Callable[..., list[Value]]:
        """What prints a layer.

        Raises
        ------
        ConfigError
            Nothing does.
        """
        for cls in type(layer).__mro__:
            if cls in HANDLERS:
                return HANDLERS[cls]
            if cls is layers.TimeDistributed:
                return distributed
            if cls in _OF_VECTORS:
                return vectors
            if cls in _REASONS:
                refuse(layer, _REASONS[cls])
            if not _is_ours(cls.__module__) and "run" in vars(cls):
                break
        refuse(layer, "it is user-defined, and not known to the export")

    # ---- what layers use

    def activation(self, layer: Any, x: str, name: str) -> str:
        """The activation of a layer that has one behind its sums."""
        for op in layer._activation_ops(name, 1):
            x = VECTOR_OPS[type(op)](self.b, op, x)
        return x

    def states_in(self, layer: Any, name: str, given: list[Value]) -> list[str] | None:
        """The states before the first step: arrays of the graph, inputs of the file, or None."""
        if given or not self.has_states:
            return [value.name for value in given] or None
        sizes = _sizes_of_states(layer)
        names = [self.b.name(f"{name}/{state}") for state in layer.state_names]
        self.state_inputs += zip(names, sizes)
        return names

    def states_out(self, layer: Any, name: str, states: list[str]) -> None:
        """Make the states after the last step outputs of the file."""
        if not self.has_states:
            return
        for state, value in zip(layer.state_names, states):
            self.state_outputs.append((self.b.name(f"{name}/{state}/next"), value))

    def refuse_held(self, layer: Any, x: Value) -> None:
        """Refuse to repeat outputs at steps that do not count."""
        if x.timing is not None and layer._holds_outputs:
            refuse(layer, "zero_output_for_mask=False repeats outputs at steps that do not count")

    def refuse_ragged(self, layer: Any, x: Value) -> None:
        """Refuse rows of different lengths where steps do not stay steps."""
        if x.timing is not None:
            refuse(
                layer,
                "its steps do not stay steps, and rows have different lengths, or a mask; export"
                " without lengths",
            )


def _sizes_of_states(layer: Any) -> list[int]:
    return [shape[-1] for shape in layer._shapes_of_states((None, *layer.input_shape[1:]))]


def vectors(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """Layers that compute each step, or each place, alone."""
    (x,) = sources
    y = x.name
    for op in layer._step_ops():
        kind = VECTOR_OPS[type(op)]
        y = kind(e.b, replace(op, name=name), y)
    return [x.made(y, layer.compute_output_shape(x.shape))]


def distributed(e: Exporter, layer: Any, sources: list[Value], name: str) -> list[Value]:
    """TimeDistributed: each step is a row."""
    b, (x,) = e.b, sources
    part = layer.layer
    inner_shape = (None, *x.shape[2:])
    if None in inner_shape[1:]:
        refuse(layer, "its steps have axes of unknown extents")
    rows = Value(b.op("Reshape", x.name, b.ints(-1, *inner_shape[1:])), inner_shape)
    mask = mask_of([part], rows, b)
    if mask is not None:
        refuse(layer, "it masks steps inside of steps")
    found = e.call(part, [rows], f"{name}/")
    made = found[0]
    extents = [b.extent(x.name, 0), b.extent(x.name, 1), b.ints(*made.shape[1:])]
    y = b.op("Reshape", made.name, b.op("Concat", *extents, axis=0))
    return [x.made(y, (*x.shape[:2], *made.shape[1:]))]


def mask_of(ports: Sequence[Any], x: Value, b: Builder) -> str | None:
    """Which steps of an input its readers count, bool (batch, steps); None: all.

    Raises
    ------
    ConfigError
        They count different ones.
    """
    masks = {_mask_value(port) for port in ports}
    if masks <= {None}:
        return None
    if len(masks) > 1:
        raise ConfigError(
            f"layers that read input {x.name!r} mask different steps; give all of them the output"
            " of the layer that masks"
        )
    kind, value = next(each for each in masks if each is not None)
    dtype = np.int64 if kind == "zero" else np.float32
    differs = b.op("Not", b.op("Equal", x.name, b.constant(value, dtype)))
    if kind == "zero":
        return differs
    some = b.op("Cast", differs, to=b.onnx.TensorProto.FLOAT)
    return b.op("Greater", b.reduce("ReduceMax", some, [2], False), b.number(0))


def _mask_value(port: Any) -> tuple[str, float] | None:
    if isinstance(port, layers.Masking):
        return "value", port.mask_value
    return ("zero", 0) if isinstance(port, layers.Embedding) and port.mask_zero else None


def entering(b: Builder, x: Value, mask: str | None, lengths: str | None, whole: bool) -> Value:
    """An input with its steps that count at the front of their rows, and zeros behind."""
    if mask is not None:
        timing = masked(b, mask, lengths)
        if whole:
            return _whole_to_front(b, x, timing)
        return to_front(b, x, timing)
    if lengths is None:
        return x
    timing = Timing(lengths)
    if whole:
        zero = b.constant(0, np.int64)
        within = as_wide(b, counted(b, x.name, lengths), len(x.shape))
        inside = b.op("Where", within, x.name, zero)
        return Value(inside, x.shape, timing)
    return filled(b, Value(x.name, x.shape, timing))


def _whole_to_front(b: Builder, x: Value, timing: Timing) -> Value:
    assert timing.places is not None
    moved = b.op("GatherND", x.name, timing.places.order, batch_dims=1)
    within = as_wide(b, counted(b, moved, timing.lengths), len(x.shape))
    inside = b.op("Where", within, moved, b.constant(0, np.int64))
    return Value(inside, x.shape, timing)
