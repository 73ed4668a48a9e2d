"""A model as JSON values, and what is built from such a description."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from gatewise import layers
from gatewise.cells import Cell, LSTMCell
from gatewise.errors import CheckpointError, ConfigError
from gatewise.layers.registry import layer_class, layer_config

if TYPE_CHECKING:
    from gatewise.layers import Layer

# What may differ between a saved run and the one that continues it, besides what the file
# restores.
_FREE = {"name", "seed", "iterations", "learning_rate"}
# What a configuration holds only if somebody chose it.
_CHOSEN = {
    "trainable",
    "learned_initial_state",
    "zero_output_for_mask",
    "loss_weights",
    "training",
    "weighted_metrics",
    *Cell._OPTIONS,
    *LSTMCell._OPTIONS,
}


def architecture_of(model: Any) -> dict[str, Any]:
    """Return the description of a model, as JSON values.

    That of a Sequential is its layers; that of a graph also has the inputs, the calls of layers in
    order and the outputs. Arrays have numbers: those of the inputs first, then what each call
    makes.
    """
    if hasattr(model, "_architecture"):  # a class of models with a description of its own
        return model._architecture()
    graph = getattr(model, "_graph", None)
    description = {
        "class_name": "Sequential" if graph is None else "Model",
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype,
    }
    stored = file_layers(model)
    if graph is None:
        shape = model.input_shape
        return description | {
            "input_shape": None if shape is None else list(shape[1:]),
            "layers": [layer_config(layer) for layer in stored],
        }
    numbers = {layer: number for number, layer in enumerate(stored)}
    return description | {
        "inputs": [
            {"name": layer.name, "shape": list(shape[1:])}
            for layer, shape in zip(graph.input_layers, graph.shapes)
        ],
        "layers": [layer_config(layer) for layer in stored],
        "calls": [
            {"layer": numbers[call.layer], "reads": call.sources, "list": call.node.listed}
            | ({} if call.node.training is None else {"training": call.node.training})
            for call in graph.calls
        ],
        "outputs": graph.results,
        "input_names": _dict_names(model, "input") if model._inputs_are == "dict" else None,
        "output_names": _dict_names(model, "output") if model._outputs_are == "dict" else None,
        "lists": [model._inputs_are == "list", model._outputs_are == "list"],
    }


def _dict_names(model: Any, kind: str) -> list[str]:
    """Return the names of the inputs or outputs, in the order of the dict that a model was given.

    Arrays are in the order of their names.
    """
    names = model._input_names if kind == "input" else model._output_names
    return list(model._unsorted_names.get(kind, names))


def file_layers(model: Any) -> list[Layer]:
    """Return the layers that files name, in order: all but those of inputs."""
    return [layer for layer in model._layers if not isinstance(layer, layers.InputLayer)]


def build_layers(architecture: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> list[Layer]:
    """Return the layers of a description, the input's first; they are not built yet.

    Parameters
    ----------
    architecture : dict
        As :func:`architecture_of` gives it. It may come from a damaged file.
    shapes : dict of str to tuple of int
        Shapes of the weights in the file, by ``weights/<layer>/<parameter>``. They are compared
        with those that the layers need before any memory is taken for weights.

    Raises
    ------
    CheckpointError
        A class is not known, or the weights do not have the shapes that the layers need.
    """
    if architecture["class_name"] != "Sequential":
        raise CheckpointError(
            f"the file holds a {architecture['class_name']!r}; expected a Sequential"
        )
    if not architecture["layers"]:
        raise CheckpointError("the architecture has no layers")
    stack: list[Layer] = [layers.Input(architecture["input_shape"], dtype=architecture["dtype"])]
    shape = (None, *architecture["input_shape"])
    expected: dict[str, tuple[int, ...]] = {}
    for entry in architecture["layers"]:
        try:
            cls, config = layer_class(entry["class_name"]), entry["config"]
        except ConfigError as error:
            raise CheckpointError(str(error)) from error
        # A copy of the layer is described, which takes no memory for weights.
        probe = cls.from_config(copy.deepcopy(config))
        probe._describe(shape)
        shape = probe.output_shape
        expected |= {f"weights/{probe.name}/{spec.name}": spec.shape for spec in probe._specs}
        stack.append(cls.from_config(config))
    refuse_other_shapes(shapes, expected)
    return stack


def refuse_other_shapes(
    shapes: dict[str, tuple[int, ...]], expected: dict[str, tuple[int, ...]]
) -> None:
    """Refuse weights in a file that are not those of its architecture."""
    if shapes != expected:
        wrong = min(
            name
            for name in expected.keys() | shapes.keys()
            if expected.get(name) != shapes.get(name)
        )
        raise CheckpointError(
            f"{wrong} has shape {shapes.get(wrong)} in the file; the architecture asks for "
            f"{expected.get(wrong)}"
        )


def difference(there: Any, here: Any, place: str = "") -> str | None:
    """Return what differs between two descriptions of a model, as text; None if nothing does.

    An option that `there` lacks is no difference, since the version that wrote it did not know it.
    An option that is written only if it was chosen is one: it was not chosen there.
    """
    if isinstance(there, dict) and isinstance(here, dict):
        if chosen := sorted((here.keys() - there.keys()) & _CHOSEN):
            name = f"{place} {chosen[0]}".strip()
            return f"its {name} was not given, here it is {here[chosen[0]]!r:.80}"
        for key in sorted(there):
            plain = all(
                isinstance(side.get(key), int | float | str | None) for side in (there, here)
            )
            if key in _FREE and plain:
                continue
            if found := difference(there.get(key), here.get(key), f"{place} {key}".strip()):
                return found
        return None
    both = isinstance(there, list | tuple) and isinstance(here, list | tuple)
    if both and len(there) == len(here):
        return next(filter(None, (difference(a, b, place) for a, b in zip(there, here))), None)
    if there == here:
        return None
    return f"its {place or 'description'} is {there!r:.80}, here {here!r:.80}"
