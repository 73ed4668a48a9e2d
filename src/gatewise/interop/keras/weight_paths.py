"""Where the files of Keras have the weights of each layer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewise import layers
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from gatewise.layers import Layer


class Place(NamedTuple):
    """One array in a file."""

    path: str  # of the dataset
    layer: Layer  # that has the parameter
    name: str  # of the parameter


def snake_case(name: str) -> str:
    """Return the name of a class as Keras's files have it.

    Examples
    --------
    >>> from gatewise.interop.keras.weight_paths import snake_case
    >>> snake_case("SeparableConv1D"), snake_case("PReLU")
    ('separable_conv1d', 'p_re_lu')
    """
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def unique_names(kinds: list[str]) -> list[str]:
    """Return snake-case names of classes, numbered where they repeat."""
    counts: dict[str, int] = {}
    names = []
    for kind in kinds:
        name = snake_case(kind)
        number = counts.get(name, 0)
        counts[name] = number + 1
        names.append(f"{name}_{number}" if number else name)
    return names


def places(entries: list[tuple[str, Any]], inside: Any, start: str = "layers/") -> Iterator[Place]:
    """Yield where a file has each array of a model.

    Parameters
    ----------
    entries : list of (str, layer)
        Of a :class:`gatewise.interop.keras.graphs.KerasModel`.
    inside : dict of int to list of (str, layer)
        The entries of models inside, by the id of the model.
    start : str, default "layers/"
        Path of the group of the layers.
    """
    for name, (_, layer) in zip(unique_names([kind for kind, _ in entries]), entries):
        if layer is not None:
            yield from _places(layer, f"{start}{name}", inside)


def _places(layer: Any, path: str, inside: Any) -> Iterator[Place]:
    if not hasattr(layer, "_specs"):  # a model
        yield from places(inside[id(layer)], inside, f"{path}/layers/")
    elif type(layer).__name__ == "ModelLayer":
        yield from _places(layer._inner, path, inside)
    elif isinstance(layer, layers.Bidirectional):
        yield from _places(layer.forward_layer, f"{path}/forward_layer", inside)
        yield from _places(layer.backward_layer, f"{path}/backward_layer", inside)
    elif isinstance(layer, layers.TimeDistributed):
        yield from _places(layer.layer, f"{path}/layer", inside)
    elif isinstance(layer, layers.StackedRNN):
        parts = list(layer._parts.values())
        names = unique_names([f"{type(part).__name__}Cell" for part in parts])
        for name, part in zip(names, parts):
            yield from _numbered(part, f"{path}/cell/cells/{name}")
    elif isinstance(layer, layers.MultiHeadAttention):
        yield from _attention(layer, path)
    elif isinstance(
        layer,
        layers.LSTM | layers.GRU | layers.SimpleRNN | layers.ConvLSTM1D | layers.ConvLSTM2D,
    ):
        yield from _numbered(layer, f"{path}/cell")
    else:
        yield from _numbered(layer, path)


def _numbered(layer: Any, path: str) -> Iterator[Place]:
    for number, spec in enumerate(layer._specs):
        yield Place(f"{path}/vars/{number}", layer, spec.name)


def _attention(layer: Any, path: str) -> Iterator[Place]:
    for spec in layer._specs:
        part, _, kind = spec.name.rpartition("_")
        if kind not in ("kernel", "bias"):
            raise ConfigError(f"layer {layer.name!r} has a parameter {spec.name!r}")
        yield Place(f"{path}/{part}_dense/vars/{int(kind == 'bias')}", layer, spec.name)
