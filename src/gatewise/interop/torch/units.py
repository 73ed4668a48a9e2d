"""The layers of a model that have counterparts in PyTorch, and what each of them must be like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatewise import layers
from gatewise.errors import ConfigError
from gatewise.layers.wrappers import Container

if TYPE_CHECKING:
    from gatewise.layers import Layer

# Options of recurrent layers that change what they compute, and what PyTorch's have in their place.
_PLAIN: dict[str, dict[str, Any]] = {
    "lstm": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": (None, "tanh"),
        "peepholes": False,
        "coupled": False,
        "input_gate": True,
        "forget_gate": True,
        "output_gate": True,
        "clip": None,
        "cell_clip": None,
        "output_gate_inside": False,
        "zoneout": 0.0,
        "layer_normalization": False,
        "learned_initial_state": False,
    },
    "gru": {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "output_activation": None,
        "reset_after": True,
        "update": "cho",
        "candidate": "reset",
        "clip": None,
        "zoneout": 0.0,
        "layer_normalization": False,
        "learned_initial_state": False,
    },
    "rnn": {
        "activation": ("tanh", "relu"),
        "clip": None,
        "zoneout": 0.0,
        "layer_normalization": False,
        "learned_initial_state": False,
    },
}
_CLASSES = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}
_KINDS: dict[type, str] = {
    layers.Dense: "linear",
    layers.Embedding: "embedding",
    layers.LayerNormalization: "layer_norm",
    layers.BatchNormalization: "batch_norm",
    layers.Conv1D: "conv1d",
    layers.Conv2D: "conv2d",
    layers.MultiHeadAttention: "attention",
}


@dataclass(slots=True)
class Unit:
    """A layer, or the layers of both directions, with the weights of one module of PyTorch.

    Parameters
    ----------
    name : str
        Of the layer in the model; in a model or wrapper inside, with its path: "inner/dense".
    kind : str
        As that of a :class:`gatewise.interop.torch.modules.Module`.
    layer : Layer
        The layer; that of the forward direction.
    owner : Layer
        The layer of the model that has the parameters.
    prefixes : tuple of str
        Of the names of the parameters there, for each direction: ("forward/", "backward/").
    """

    name: str
    kind: str
    layer: Any
    owner: Layer
    prefixes: tuple[str, ...]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a parameter of the (forward) layer; None if it has none."""
        full = self.prefixes[0] + name
        return next((spec.shape for spec in self.owner._specs if spec.name == full), None)


def units_of(model: Any) -> list[Unit]:
    """Return the units of a model, in the order of its layers.

    Raises
    ------
    ConfigError
        The model is not built, or a layer with weights has no counterpart in PyTorch.
    """
    if not model.built:
        raise ConfigError(
            f"model {model.name!r} is not built, so that its weights have no shapes: begin it with"
            " Input(shape), or call model.build(shape)"
        )
    return [unit for layer in model._layers for unit in _units(layer, layer, layer.name, "")]


def _units(layer: Any, owner: Layer, name: str, prefix: str) -> list[Unit]:
    if not layer._specs:
        return []
    if isinstance(layer, layers.Bidirectional):
        forward = layer.forward_layer
        kind = _recurrent_kind(forward, name)
        _recurrent_kind(layer.backward_layer, name)
        return [Unit(name, kind, forward, owner, (f"{prefix}forward/", f"{prefix}backward/"))]
    if isinstance(layer, layers.StackedRNN):
        return [
            unit
            for path, part in layer._parts.items()
            for unit in _units(part, owner, f"{name}/{path}", f"{prefix}{path}/")
        ]
    if isinstance(layer, layers.TimeDistributed):
        inner = layer.layer
        return _units(inner, owner, name, f"{prefix}layer/")
    if isinstance(layer, tuple(_CLASSES.values())):
        return [Unit(name, _recurrent_kind(layer, name), layer, owner, (prefix,))]
    if type(layer) in _KINDS:
        return [Unit(name, _KINDS[type(layer)], layer, owner, (prefix,))]
    if type(layer).__name__ == "ModelLayer" and isinstance(layer, Container):
        return [
            unit
            for path, part in layer._parts.items()
            for unit in _units(part, owner, f"{name}/{path}", f"{prefix}{path}/")
        ]
    raise ConfigError(
        f"layer {name!r}, a {type(layer).__name__}, has no counterpart in PyTorch; set its weights"
        " with set_weights"
    )


def _recurrent_kind(layer: Any, name: str) -> str:
    kind = next((kind for kind, cls in _CLASSES.items() if type(layer) is cls), None)
    if kind is None:
        raise ConfigError(
            f"layer {name!r} has a {type(layer).__name__}, which PyTorch does not have"
        )
    config = layer.get_config()
    for option, plain in _PLAIN[kind].items():
        has = config.get(option, plain)
        if has != plain and not (isinstance(plain, tuple) and has in plain):
            theirs = {"lstm": "nn.LSTM", "gru": "nn.GRU", "rnn": "nn.RNN"}[kind]
            allowed = " or ".join(map(repr, plain)) if isinstance(plain, tuple) else repr(plain)
            raise ConfigError(
                f"layer {name!r} has {option}={has!r}; {theirs} computes what {option}={allowed}"
                " does, and no weights make one of the other"
            )
    return kind
