"""Models made of descriptions, without parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks, layers
from gatewise.errors import CheckpointError, ConfigError
from gatewise.layers.registry import layer_from_config
from gatewise.layers.symbol import connect

from .architecture import refuse_other_shapes
from .graph import Model
from .nested import UNBUILT
from .sequential import Sequential

if TYPE_CHECKING:
    from gatewise.layers import Layer


def unbuilt_model(description: dict[str, Any]) -> Any:
    """Return the model of a description, which may come from a damaged file.

    It has no parameters yet, and takes no memory for them.

    Raises
    ------
    CheckpointError
        The description is that of no model.
    """
    name, seed = description["name"], description["seed"]
    if description["class_name"] == "Sequential":
        model = Sequential(name=name, seed=seed)
        shape = description["input_shape"]
        if shape is not None:
            model._append(layers.InputLayer(input_shape=shape, dtype=description["dtype"]))
        for entry in description["layers"]:
            model._append(_layer_of(entry))
        return model
    if description["class_name"] != "Model":
        raise CheckpointError(
            f"the file holds a {description['class_name']!r}; expected a Sequential or a Model"
        )
    arrays: list[Any] = [
        layers.Input(entry["shape"], dtype=description["dtype"], name=entry["name"])
        for entry in description["inputs"]
    ]
    inputs = list(arrays)
    made = [_layer_of(entry) for entry in description["layers"]]
    for call in description["calls"]:
        listed = checks.flag(call["list"], "list")
        reads = [arrays[_number(k, len(arrays))] for k in call["reads"]]
        if not reads or (len(reads) > 1 and not listed):
            raise CheckpointError(f"a call reads {len(reads)} arrays, which no layer does")
        training = call.get("training")
        if training is not None and training is not False:
            raise CheckpointError(f"a call has training {training!r:.40}; expected false")
        found = connect(made[_number(call["layer"], len(made))], reads, listed, training)
        arrays += found if isinstance(found, list) else [found]
    outputs = [arrays[_number(k, len(arrays))] for k in description["outputs"]]
    lists = description["lists"]
    graph = Model.__new__(Model)
    graph._begin(
        _in_form(inputs, description["input_names"], lists[0]),
        _in_form(outputs, description["output_names"], lists[1]),
        name,
        seed,
    )
    unused = [layer.name for layer in made if layer not in graph._layers]
    if unused:
        raise CheckpointError(f"no output depends on layer {unused[0]!r}")
    return graph


def _layer_of(entry: Any) -> Layer:
    try:
        return layer_from_config(entry, "a layer")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def _number(value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise CheckpointError(f"a call names number {value!r:.40} of {count}")
    return value


def _in_form(symbols: list[Any], names: Any, listed: bool) -> Any:
    if names is not None:
        if len(names) != len(symbols) or len(set(names)) != len(names):
            raise CheckpointError(f"names {names!r:.80} are not those of {len(symbols)} arrays")
        by_name = dict(zip(sorted(names), symbols))
        return {name: by_name[name] for name in names}
    return symbols if listed or len(symbols) != 1 else symbols[0]


def build_graph(architecture: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Any:
    """Return the Model of a description; weights are made once their shapes are known to fit.

    Parameters and errors are those of :func:`build_layers`.
    """
    model = unbuilt_model(architecture)
    expected = {
        f"weights/{call.layer.name}/{spec.name}": spec.shape
        for call in model._graph.calls
        for spec in call.node.specs
    }
    refuse_other_shapes(shapes, expected)
    model._make_parameters()
    return model


UNBUILT["model"] = unbuilt_model
