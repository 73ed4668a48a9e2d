"""A model as JSON values, and the model of such a description; nothing here knows files.

:func:`architecture_of` describes a model of any class, :func:`build_model` builds it again. Who
must look at the weights before they take memory calls the parts of the latter:
:func:`unbuilt_model`, then :func:`weight_shapes`, then the model's ``_make_parameters``.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

from gatewise import checks, layers
from gatewise.cells import Cell, LSTMCell
from gatewise.errors import ConfigError, GatewiseError, SizeError
from gatewise.layers.registry import layer_config, layer_from_config
from gatewise.layers.symbol import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewise.layers import Layer, Symbol

_M = TypeVar("_M", bound=type)

# Classes of models by the names that descriptions give them: each class registers itself.
_CLASSES: dict[str, Any] = {}

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


def described(cls: _M) -> _M:
    """Class decorator: descriptions may name this class of models.

    It has the methods ``_architecture()``, which returns what its description has besides name,
    seed and dtype, and the class method ``_from_architecture(description)``, which returns a model
    without parameters.
    """
    _CLASSES[cls.__name__] = cls
    return cls


def architecture_of(model: Any) -> dict[str, Any]:
    """Return the description of a model, as JSON values: what :func:`build_model` takes.

    That of a Sequential is its layers; that of a graph also has the inputs, the calls of layers in
    order and the outputs. Arrays have numbers: those of the inputs first, then what each call
    makes. It holds no weights, and nothing of ``compile``.

    Parameters
    ----------
    model : Model, Sequential or Seq2Seq
        It does not change, and need not be built.

    Returns
    -------
    dict
        With ``class_name``, ``name``, ``seed``, ``dtype``, ``layers`` and what the class adds.

    Raises
    ------
    ConfigError
        A layer does not say what it was made with.

    Examples
    --------
    >>> from gatewise import Sequential, layers
    >>> from gatewise.models.architecture import architecture_of, build_model
    >>> model = Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(1)])
    >>> description = architecture_of(model)
    >>> [layer["class_name"] for layer in description["layers"]]
    ['LSTM', 'Dense']
    >>> build_model(description).count_params() == model.count_params()
    True
    """
    mro = type(model).__mro__
    return {
        "class_name": next(cls.__name__ for cls in mro if _CLASSES.get(cls.__name__) is cls),
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype,
    } | model._architecture()


def build_model(description: dict[str, Any]) -> Any:
    """Return the model of a description, with new initial weights.

    Parameters
    ----------
    description : dict
        As :func:`architecture_of` returns it; its seed determines the initial weights. User-defined
        classes that it names are found in a ``custom_object_scope``.

    Returns
    -------
    Model, Sequential or Seq2Seq
        Built, unless it is a Sequential that does not know the shape of its input. It is not
        compiled, except for a Seq2Seq, which its constructor compiles.

    Raises
    ------
    ConfigError
        It describes no model, or names a class that is not known.
    SizeError
        There is not enough memory.

    Examples
    --------
    >>> from gatewise.models import Seq2Seq
    >>> from gatewise.models.architecture import architecture_of, build_model
    >>> model = Seq2Seq(6, 6, units=4, embedding=2, seed=0)
    >>> same = build_model(architecture_of(model))
    >>> all((a == b).all() for a, b in zip(model.get_weights(), same.get_weights()))
    True
    """
    with _description_errors():
        model = unbuilt_model(description)
        model._make_parameters()
    return model


def unbuilt_model(description: Any) -> Any:
    """Return the model of a description without parameters: it takes no memory for them.

    The description may come from a damaged file. Besides a ConfigError, it may raise whatever an
    entry that lacks or is of a wrong kind leads to: call it where these are expected.

    Raises
    ------
    ConfigError
        It describes no model, or names a class that is not known.
    """
    name = description["class_name"]
    cls = _CLASSES.get(name) if isinstance(name, str) else None
    if cls is None:
        raise ConfigError(
            f"a model is of class {name!r:.80}; expected one of {', '.join(sorted(_CLASSES))}"
        )
    return cls._from_architecture(description)


def weight_shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """Return the shapes that the weights of a model will have, by their names in files.

    Parameters
    ----------
    model : Model, Sequential or Seq2Seq
        Of :func:`unbuilt_model`. It stays without parameters.

    Returns
    -------
    dict of str to tuple of int
        By ``weights/<layer>/<parameter>``.

    Raises
    ------
    ConfigError
        The model has no layers, or does not know the shape of its input.
    """
    if not model._layers:
        raise ConfigError("the architecture has no layers")
    shape = model.input_shape
    if shape is None:
        raise ConfigError("the architecture has no input shape, which the weights depend on")
    try:
        model._describe_layers(shape)
        return {
            f"weights/{layer.name}/{spec.name}": spec.shape
            for layer in file_layers(model)
            for spec in layer._specs
        }
    finally:
        for layer in model._layers:
            layer._unbuild()


@contextlib.contextmanager
def _description_errors() -> Iterator[None]:
    """Context manager that turns every error about a description into a ConfigError."""
    try:
        yield
    except SizeError:
        raise
    except KeyError as error:
        raise ConfigError(f"config describes no model: it lacks {error}") from error
    except (
        GatewiseError,
        TypeError,
        ValueError,
        AttributeError,
        IndexError,
        OverflowError,
    ) as error:
        raise ConfigError(f"config describes no model: {error!s:.500}") from error


def described_layers(model: Any) -> list[dict[str, Any]]:
    """Return the descriptions of the layers of a model."""
    return [layer_config(layer) for layer in file_layers(model)]


def layers_of(description: dict[str, Any]) -> list[Layer]:
    """Return the layers of a description, which are not built.

    Raises
    ------
    ConfigError
        It has no list of layers, or a class is not known.
    """
    entries = description["layers"]
    if not isinstance(entries, list | tuple):
        raise ConfigError(
            f"the architecture has no layers: a list is expected, not {entries!r:.80}"
        )
    return [layer_from_config(entry, "a layer") for entry in entries]


def described_graph(model: Any) -> dict[str, Any]:
    """Return what the description of a graph has: inputs, layers, calls and outputs."""
    graph = model._graph
    numbers = {layer: number for number, layer in enumerate(file_layers(model))}
    return {
        "inputs": [
            {"name": layer.name, "shape": list(shape[1:])}
            for layer, shape in zip(graph.input_layers, graph.shapes)
        ],
        "layers": described_layers(model),
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


def read_graph(description: dict[str, Any]) -> tuple[Any, Any, list[Layer]]:
    """Return inputs and outputs of a described graph, as Model takes them, and its layers.

    Raises
    ------
    ConfigError
        The calls are not those of a graph.
    """
    arrays: list[Any] = [
        layers.Input(entry["shape"], dtype=description["dtype"], name=entry["name"])
        for entry in description["inputs"]
    ]
    inputs = list(arrays)
    made = layers_of(description)
    for call in description["calls"]:
        listed = checks.flag(call["list"], "list")
        sources = [_number(k, len(arrays)) for k in call["reads"]]
        if not sources or (len(sources) > 1 and not listed):
            raise ConfigError(f"a call reads {len(sources)} arrays, which no layer does")
        training = call.get("training")
        if training is not None and training is not False:
            raise ConfigError(f"a call has training {training!r:.40}; expected false")
        reads, number = [arrays[k] for k in sources], _number(call["layer"], len(made))
        found = connect(made[number], reads, listed, training)
        arrays += found if isinstance(found, list) else [found]
    outputs = [arrays[_number(k, len(arrays))] for k in description["outputs"]]
    lists = description["lists"]
    return (
        _in_form(inputs, description["input_names"], lists[0]),
        _in_form(outputs, description["output_names"], lists[1]),
        made,
    )


def _number(value: Any, count: int) -> int:
    if type(value) is not int or not 0 <= value < count:
        raise ConfigError(f"a call names number {value!r:.40} of {count}")
    return value


def _in_form(symbols: list[Symbol], names: Any, listed: bool) -> Any:
    if names is not None:
        if len(names) != len(symbols) or len(set(names)) != len(names):
            raise ConfigError(f"names {names!r:.80} are not those of {len(symbols)} arrays")
        by_name = dict(zip(sorted(names), symbols))
        return {name: by_name[name] for name in names}
    return symbols if listed or len(symbols) != 1 else symbols[0]


def file_layers(model: Any) -> list[Layer]:
    """Return the layers that files name, in order: all but those of inputs."""
    return [layer for layer in model._layers if not isinstance(layer, layers.InputLayer)]


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
