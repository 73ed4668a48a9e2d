"""Configurations of Keras from models."""

from __future__ import annotations

from typing import Any

from gatewise import layers
from gatewise.errors import ConfigError
from gatewise.layers import Layer
from gatewise.layers.operators import Arithmetic, Slice
from gatewise.layers.recurrent.base import Recurrent
from gatewise.models import Model, Sequential

from .graphs import KerasModel
from .layer_configs import entry_of, in_keras

_OPERATIONS = {
    "add": "Add",
    "subtract": "Subtract",
    "multiply": "Multiply",
    "divide": "Divide",
}


def keras_layers(model: Any) -> KerasModel:
    """Return the layers of a model in Keras's order, with their classes there.

    Raises
    ------
    ConfigError
        The model is not built, is none of Keras's two forms, or has a layer that Keras has not.
    """
    if type(model) not in (Sequential, Model):
        raise ConfigError(
            f"a {type(model).__name__} has no counterpart in Keras; save its layers as a Model"
        )
    if not model.built:
        raise ConfigError(f"model {model.name!r} is not built: begin it with Input(shape)")
    found = KerasModel(model)
    _add_entries(model, found)
    found.entries = found.inside[id(model)]
    return found


def _add_entries(model: Any, found: KerasModel) -> None:
    entries: list[tuple[str, Any]] = []
    found.inside[id(model)] = entries
    for layer in model._layers:
        if isinstance(layer, layers.InputLayer):
            if _is_graph(model):  # a Sequential does not count its input
                entries.append(("InputLayer", None))
        elif not isinstance(layer, Arithmetic | Slice):
            inner = getattr(layer, "_inner", None)
            entries.append((keras_class(layer), layer if inner is None else inner))
            for part in (layer, getattr(layer, "layer", None)):
                if (inside := getattr(part, "_inner", None)) is not None:
                    _add_entries(inside, found)


def _is_graph(model: Any) -> bool:
    return getattr(model, "_graph", None) is not None


def keras_class(layer: Any) -> str:
    """Return the name of a layer's class in Keras.

    Raises
    ------
    ConfigError
        Keras has no such layer.
    """
    inner = getattr(layer, "_inner", None)
    if inner is not None:
        return "Functional" if _is_graph(inner) else "Sequential"
    if isinstance(layer, layers.StackedRNN):
        return "RNN"
    kind = type(layer).__name__
    if not in_keras(kind):
        raise ConfigError(f"layer {layer.name!r}, a {kind}: Keras has no such layer")
    return kind


def keras_config(model: Any) -> dict[str, Any]:
    """Return the configuration of a model in Keras 3.

    Raises
    ------
    ConfigError
        Keras has no such layer, or not with these options.
    """
    config = {"name": model.name, "trainable": True, "dtype": model.dtype}
    if not _is_graph(model):
        listed = [_input_entry("input_layer", model.input_shape, model.dtype)]
        for layer in model._layers:
            if not isinstance(layer, layers.InputLayer):
                listed.append(_described(layer))
        kind, module = "Sequential", "keras"
        config |= {"layers": listed}
    else:
        kind, module = "Functional", "keras.src.models.functional"
        config |= _Functional(model, model._graph).config()
    return {"module": module, "class_name": kind, "config": config, "registered_name": kind}


def _input_entry(name: str, shape: Any, dtype: str) -> dict[str, Any]:
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": [None, *shape[1:]], "dtype": dtype, "name": name},
        "registered_name": None,
    }


def _described(layer: Any) -> dict[str, Any]:
    """Return the entry of a layer; of a model inside, and of one inside a wrapper."""
    inner = getattr(layer, "_inner", None)
    if inner is not None:
        return keras_config(inner)
    if isinstance(layer, layers.TimeDistributed) and getattr(layer.layer, "_inner", None):
        return {
            "module": "keras.layers",
            "class_name": "TimeDistributed",
            "config": {"name": layer.name, "layer": _described(layer.layer)},
            "registered_name": None,
        }
    entry = entry_of(layer)
    if not layer.trainable:
        entry["config"]["trainable"] = False
    return entry


class _Functional:
    """The configuration of a graph.

    Parameters
    ----------
    model : Model
        The model.
    graph : Graph
        Its calls.
    """

    def __init__(self, model: Any, graph: Any) -> None:
        self._model, self._graph = model, graph
        # of each array: layer, node, number of the output
        self._histories: list[list[Any]] = [[layer.name, 0, 0] for layer in graph.input_layers]
        self._nodes: dict[Layer, list[Any]] = {}

    def config(self) -> dict[str, Any]:
        """Return what the configuration has beside name and dtype."""
        for call in self._graph.calls:
            own = self._nodes.setdefault(call.layer, [])
            self._histories += [[call.layer.name, len(own), k] for k in range(len(call.outputs))]
            own.append(self._node(call))
        listed = []
        nodes: list[Any]
        for layer in self._graph.layers:
            if layer in self._graph.input_layers:
                shape = self._graph.shapes[self._graph.input_layers.index(layer)]
                entry = _input_entry(layer.name, shape, self._model.dtype)
                nodes = []
            elif isinstance(layer, Arithmetic | Slice):
                kind = "GetItem" if isinstance(layer, Slice) else _OPERATIONS[layer.operation]
                entry = {
                    "module": "keras.src.ops.numpy",
                    "class_name": kind,
                    "config": {"name": layer.name},
                    "registered_name": kind,
                }
                nodes = self._nodes[layer]
            else:
                entry = _described(layer)
                nodes = self._nodes[layer]
            listed.append({**entry, "name": layer.name, "inbound_nodes": nodes})
        inputs = [[layer.name, 0, 0] for layer in self._graph.input_layers]
        outputs = [self._histories[k] for k in self._graph.results]
        return {
            "layers": listed,
            "input_layers": self._in_form(inputs, "input"),
            "output_layers": self._in_form(outputs, "output"),
        }

    def _in_form(self, ends: list[Any], kind: str) -> Any:
        form = self._model._inputs_are if kind == "input" else self._model._outputs_are
        if form == "dict":
            names = self._model._input_names if kind == "input" else self._model._output_names
            return dict(zip(names, ends))
        return ends if form == "list" or len(ends) > 1 else ends[0]

    def _node(self, call: Any) -> dict[str, Any]:
        tensors = [self._tensor(k) for k in call.sources]
        kwargs: dict[str, Any] = {}
        args: list[Any]
        layer = call.layer
        if isinstance(layer, Arithmetic):
            args = [layer.number, *tensors] if layer.number_first else [*tensors, layer.number]
        elif isinstance(layer, Slice):
            args = [*tensors, [_key(part) for part in layer.get_config()["key"]]]
        elif isinstance(layer, layers.MultiHeadAttention):
            args = tensors
        elif isinstance(layer, Recurrent | layers.Bidirectional | layers.StackedRNN):
            args = tensors[:1]
            if len(tensors) > 1:
                kwargs["initial_state"] = tensors[1:]
        else:
            args = [tensors] if call.node.listed else tensors
        if call.node.training is False and isinstance(
            layer, layers.Dropout | layers.BatchNormalization
        ):
            kwargs["training"] = False
        return {"args": args, "kwargs": kwargs}

    def _tensor(self, number: int) -> dict[str, Any]:
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(self._graph.shapes[number]),
                "dtype": self._model.dtype,
                "keras_history": self._histories[number],
            },
        }


def _key(part: Any) -> Any:
    if isinstance(part, list):
        start, stop, step = part
        return {
            "class_name": "__slice__",
            "config": {"start": start, "stop": stop, "step": step},
        }
    return part
