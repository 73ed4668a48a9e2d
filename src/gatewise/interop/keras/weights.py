"""Weights of a model from the HDF5 files of Keras, and to them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import layers
from gatewise.checkpoint.refusal import Refused, short
from gatewise.transaction import Transaction, value_of

from .hdf5 import Tree, h5py
from .weight_paths import places, unique_names

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .graphs import KerasModel


def read_weights(found: KerasModel, tree: Tree, legacy: bool) -> None:
    """Give a model the weights of a file.

    Raises
    ------
    Refused
        The file is damaged, or its arrays are not those of the model.
    """
    model = found.model
    arrays = _legacy(found, tree) if legacy else _by_path(found, tree)
    with (
        model._guard.writing,
        Transaction(value_of(model._flat_weights, model._set_flat_weights)),
    ):
        for layer, own in arrays:
            layer.set_weights(own)


def _by_path(found: KerasModel, tree: Tree) -> list[tuple[Any, list[Array]]]:
    by_layer: dict[Any, dict[str, Array]] = {}
    missing: dict[Any, str] = {}
    for place in places(_renamed(found, tree), found.inside):
        path, layer, name = place
        if name in by_layer.get(layer, {}):
            continue
        if not tree.has_array(path):
            # a model that is used twice is in the file once
            missing.setdefault(layer, path)
            continue
        shape = next(spec.shape for spec in layer._specs if spec.name == name)
        by_layer.setdefault(layer, {})[name] = tree.array(path, shape)
    for layer, path in missing.items():
        if len(by_layer.get(layer, {})) < len(layer._specs):
            raise Refused(
                f"has no {path} for layer {layer.name!r}: it is the file of another model"
            )
    return [(layer, [own[spec.name] for spec in layer._specs]) for layer, own in by_layer.items()]


def _renamed(found: KerasModel, tree: Tree) -> list[tuple[str, Any]]:
    """Return the entries of a model with the classes that the file's names are made of.

    An LSTM may be an RNN of an LSTMCell there. Then the names of layers, which a file has as
    attributes, tell which group is meant.
    """
    names = unique_names([kind for kind, _ in found.entries])
    if all(
        layer is None or not _has_weights(layer) or tree.has_group(f"layers/{name}")
        for name, (_, layer) in zip(names, found.entries)
    ):
        return found.entries
    return [
        ("RNN" if kind in ("LSTM", "GRU", "SimpleRNN") and _is_rnn(tree, layer) else kind, layer)
        for kind, layer in found.entries
    ]


def _has_weights(layer: Any) -> bool:
    return bool(getattr(layer, "_specs", True))


def _is_rnn(tree: Tree, layer: Any) -> bool:
    return any(
        tree.text(f"layers/{name}/vars", "name") == layer.name
        for name in tree.names("layers")
        if name == "rnn" or name.startswith("rnn_")
    )


# ---- Keras 2, and its form in Keras 3


def _legacy(found: KerasModel, tree: Tree) -> list[tuple[Any, list[Array]]]:
    start = "model_weights/" if tree.has_group("model_weights") else ""
    filled = [
        (name, weights)
        for name in tree.texts(start.rstrip("/"), "layer_names")
        if (weights := tree.texts(f"{start}{name}", "weight_names"))
    ]
    own = [(kind, layer) for kind, layer in found.entries if layer is not None and _count(layer)]
    if len(filled) != len(own):
        raise Refused(
            f"has weights of {len(filled)} layers, the model of {len(own)}: it is that of another"
            " model"
        )
    arrays: list[tuple[Any, list[Array]]] = []
    for (kind, layer), (name, weights) in zip(own, filled):
        targets = _targets(layer)
        if len(weights) != len(targets):
            raise Refused(
                f"has {len(weights)} arrays for layer {short(name)}, a {kind} with {len(targets)}"
            )
        by_layer: dict[Any, dict[str, Array]] = {}
        for (part, spec), path in zip(targets, weights):
            by_layer.setdefault(part, {})[spec.name] = _legacy_array(
                kind, spec, tree, f"{start}{name}/{path}"
            )
        arrays += [
            (part, [given[spec.name] for spec in part._specs]) for part, given in by_layer.items()
        ]
    return arrays


def _legacy_array(kind: str, spec: Any, tree: Tree, path: str) -> Array:
    if kind in ("CuDNNLSTM", "CuDNNGRU"):
        return _from_gpu(spec, tree, path, 4 if kind == "CuDNNLSTM" else 3)
    return tree.array(path, spec.shape)


def _from_gpu(spec: Any, tree: Tree, path: str, gates: int) -> Array:
    """Return an array of a layer for GPUs: its matrices are transposed, gate by gate."""
    if spec.name == "bias":
        width = spec.shape[-1]
        array = tree.array(path, (2 * width,))
        return array.reshape(2, width) if len(spec.shape) == 2 else array[:width] + array[width:]
    array = tree.array(path, spec.shape)
    blocks = np.split(array, gates, axis=1)
    if spec.name == "kernel":
        blocks = [block.T.reshape(block.shape, order="F") for block in blocks]
    else:
        blocks = [block.T for block in blocks]
    return np.concatenate(blocks, axis=1)


def _count(layer: Any) -> int:
    return len(_targets(layer))


def _targets(layer: Any) -> list[tuple[Any, Any]]:
    """Return (layer, spec) of all arrays, in the order of Keras's `weights`: trained ones first."""
    inner = layer if not hasattr(layer, "_specs") else getattr(layer, "_inner", None)
    if inner is None:
        return [(layer, spec) for spec in layer._specs]
    own = [
        target
        for part in inner._layers
        if not isinstance(part, layers.InputLayer)
        for target in _targets(part)
    ]
    kept = ("moving_mean", "moving_variance")
    return sorted(own, key=lambda target: target[1].name.endswith(kept))


# ---- to Keras


def weights_content(found: KerasModel) -> bytes:
    """Return an HDF5 file of the weights, in the form of Keras 3."""
    buffer = io.BytesIO()
    with h5py().File(buffer, "w") as file:
        file.create_group("layers")
        _name(file, found.model.name, "vars")
        written: set[tuple[Any, str]] = set()
        for path, layer, name in places(found.entries, found.inside):
            if (layer, name) not in written:  # a model that is used twice is in the file once
                written.add((layer, name))
                file[path] = layer._parameters[name]
        for name, (_, layer) in zip(unique_names([k for k, _ in found.entries]), found.entries):
            if layer is not None:
                _name(file, layer.name, f"layers/{name}/vars")
    return buffer.getvalue()


def _name(file: Any, name: str, path: str) -> None:
    file.require_group(path).attrs["name"] = name


def write_legacy(file: Any, found: KerasModel, version: str) -> None:
    """Write weights by names of layers into a group of an open HDF5 file."""
    names = [layer.name for _, layer in found.entries if layer is not None]
    file.attrs["layer_names"] = np.array([name.encode() for name in names], dtype=object).astype(
        "S"
    )
    file.attrs["backend"] = b"numpy"
    file.attrs["keras_version"] = version
    for _, layer in found.entries:
        if layer is None:
            continue
        group = file.create_group(layer.name)
        targets = _targets(layer)
        paths = [f"{part.name}/{spec.name}" for part, spec in targets]
        group.attrs["weight_names"] = np.array([path.encode() for path in paths], dtype="S")
        for path, (part, spec) in zip(paths, targets):
            group[path] = part._parameters[spec.name]
