"""Models from the configurations of Keras."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gatewise import layers
from gatewise.checkpoint.refusal import short
from gatewise.errors import CheckpointError, ConfigError
from gatewise.layers.symbol import Symbol
from gatewise.models import Model, Sequential

from .layer_configs import checked_entry, dtype_of, layer_of

if TYPE_CHECKING:
    from collections.abc import Callable

# What operators of Keras's symbols make.
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": lambda a, b: a + b,
    "Subtract": lambda a, b: a - b,
    "Multiply": lambda a, b: a * b,
    "Divide": lambda a, b: a / b,
    "TrueDivide": lambda a, b: a / b,
    "GetItem": lambda a, key: a[tuple(key) if isinstance(key, list) else key],
}
_OPERATOR_MODULE = "keras.src.ops.numpy"


@dataclass(frozen=True, slots=True)
class _Mask:
    """What Keras writes of a mask: which steps of an array differ from a value."""

    source: Any  # a symbol
    value: float


# Operators that compute masks in Keras. Here a mask goes with its array.
_MASKS: dict[str, Callable[..., Any]] = {
    "NotEqual": lambda source, value: _Mask(source, float(value)),
    "Any": lambda mask, *_, **__: mask,
}


@dataclass
class KerasModel:
    """A model, and its layers in the order in which Keras has them.

    Parameters
    ----------
    model : Sequential or Model
        The model.
    entries : list of (str, layer)
        Class of each layer in Keras, and the layer here: a Layer, a model, or None for an input.
    inside : dict of int to list of (str, layer)
        The same for models inside, by the id of the model.
    """

    model: Any
    entries: list[tuple[str, Any]] = field(default_factory=list)
    inside: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)


@dataclass
class _Reading:
    """The reading of one configuration, models inside included."""

    old: bool
    inside: dict[int, list[tuple[str, Any]]]
    axes: list[tuple[Any, int]] = field(default_factory=list)

    def model(self, entry: Any) -> Any:
        """Return a model inside another one."""
        return self.whole(entry).model

    def whole(self, entry: Any) -> KerasModel:
        """Return a model with its layers."""
        kind, config = checked_entry(entry)
        if kind == "Sequential":
            found = _sequential(config, self)
        elif kind in ("Functional", "Model"):
            found = _Graph(config, self).built()
        else:
            raise ConfigError(
                f"the file holds a {short(kind)}; a subclassed model has no configuration: make its"
                " layers here and call load_weights"
            )
        self.inside[id(found.model)] = found.entries
        return found


def model_of(entry: Any, old: bool) -> KerasModel:
    """Return the model of a configuration, with new weights.

    Parameters
    ----------
    entry : dict
        With "class_name" and "config". It may come from a damaged file.
    old : bool
        Whether a version of Keras before 3 wrote it.

    Raises
    ------
    CheckpointError
        It is that of no model.
    ConfigError
        gatewise has no such layer, or not with these options.
    """
    reading = _Reading(old, {})
    found = reading.whole(entry)
    found.inside = reading.inside
    for layer, axis in reading.axes:
        if layer.built and axis != len(layer.input_shape) - 1:
            raise ConfigError(
                f"layer {layer.name!r} normalises axis {axis} of {len(layer.input_shape)}; gatewise"
                " has the last one"
            )
    return found


def _sequential(config: dict[str, Any], reading: _Reading) -> KerasModel:
    entries = config.get("layers")
    if not isinstance(entries, list):
        raise CheckpointError("its Sequential has no list of layers")
    found = KerasModel(None)
    made: list[Any] = []
    for number, entry in enumerate(entries):
        kind, inner = checked_entry(entry)
        if kind == "InputLayer":
            made.append(_input(inner))
            continue
        if number == 0 and (shape := inner.get("batch_input_shape")) is not None:
            made.append(layers.Input(batch_shape=_shape(shape)))
        layer = layer_of(entry, reading)
        made.append(layer)
        found.entries.append((kind, layer))
    shape = config.get("build_input_shape")
    if shape is not None and not (made and isinstance(made[0], Symbol)):
        made.insert(0, layers.Input(batch_shape=_shape(shape)))
    found.model = Sequential(made, name=config.get("name"))
    return found


def _shape(shape: Any) -> tuple[int | None, ...]:
    if not isinstance(shape, list) or len(shape) > 16:
        raise CheckpointError(f"its configuration has the input shape {short(shape)}")
    return tuple(shape)


def _input(config: dict[str, Any]) -> Any:
    shape = config.get("batch_shape", config.get("batch_input_shape"))
    name, dtype = config.get("name"), config.get("dtype")
    if isinstance(dtype, str) and dtype.startswith(("int", "uint")):
        dtype = None
    return layers.Input(batch_shape=_shape(shape), name=name, dtype=dtype_of(dtype, str(name)))


class _Graph:
    """The layers of a functional model, called one after the other.

    Parameters
    ----------
    config : dict
        Of the model.
    reading : _Reading
        How.
    """

    def __init__(self, config: dict[str, Any], reading: _Reading) -> None:
        self._config, self._reading = config, reading
        self._symbols: dict[tuple[str, int, int], Any] = {}
        # of symbols: the masks that go with them here
        self._masked: dict[Any, set[_Mask]] = {}
        self._found = KerasModel(None)

    def built(self) -> KerasModel:
        """Return the model."""
        entries = self._config.get("layers")
        if not isinstance(entries, list):
            raise CheckpointError("its functional model has no list of layers")
        waiting: list[tuple[str, int, Any, Any]] = []
        for entry in entries:
            kind, config = checked_entry(entry)
            name = entry.get("name", config.get("name"))
            nodes = entry.get("inbound_nodes", [])
            if not isinstance(name, str) or not isinstance(nodes, list):
                raise CheckpointError("its functional model has a layer without name and nodes")
            if kind == "InputLayer":
                self._symbols[name, 0, 0] = _input(config)
                self._found.entries.append((kind, None))
                continue
            if _is_operator(entry, nodes):
                layer: Any = _operator(kind, name)
            else:
                layer = layer_of(entry, self._reading)
                self._found.entries.append((kind, layer))
            # Keras 2 counts the call by which a model was made
            first = int(self._reading.old and kind in ("Sequential", "Functional", "Model"))
            waiting += [(name, number, layer, node) for number, node in enumerate(nodes, first)]
        self._call(waiting)
        inputs = self._ends("input_layers")
        self._found.model = Model(
            inputs, self._ends("output_layers"), name=self._config.get("name")
        )
        return self._found

    def _call(self, waiting: list[tuple[str, int, Any, Any]]) -> None:
        while waiting:
            later = []
            for name, number, layer, node in waiting:
                args, kwargs = self._arguments(node)
                if not self._ready([args, kwargs]):
                    later.append((name, number, layer, node))
                    continue
                args, kwargs = self._with_symbols(args), self._with_symbols(kwargs)
                if isinstance(kwargs.get("mask"), _Mask):
                    self._check_mask(kwargs.pop("mask"), args, name)
                found = layer(*args, **_wanted(kwargs, name))
                masks = self._masks_behind(layer, args)
                for k, symbol in enumerate(found if isinstance(found, list | tuple) else [found]):
                    self._symbols[name, number, k] = symbol
                    if isinstance(symbol, Symbol):
                        self._masked[symbol] = masks
            if len(later) == len(waiting):
                raise CheckpointError(
                    f"its functional model calls layer {short(later[0][0])} with an array that no"
                    " layer makes before"
                )
            waiting = later

    def _masks_behind(self, layer: Any, args: list[Any]) -> set[_Mask]:
        read = [one for arg in args for one in (arg if isinstance(arg, list) else [arg])]
        masks = {
            mask for one in read if isinstance(one, Symbol) for mask in self._masked.get(one, ())
        }
        if isinstance(layer, layers.Embedding) and layer.mask_zero:
            masks |= {_Mask(args[0], 0.0)}
        elif isinstance(layer, layers.Masking):
            masks |= {_Mask(args[0], float(layer.mask_value))}
        return masks

    def _check_mask(self, mask: _Mask, args: list[Any], name: str) -> None:
        """Refuse a mask that is not the one that goes with the array here."""
        if not args or not isinstance(args[0], Symbol) or mask not in self._masked.get(args[0], ()):
            raise ConfigError(
                f"layer {name!r} is called with a mask that is not that of its input; gatewise has"
                " those of Embedding(mask_zero=True) and Masking, which go with their arrays"
            )

    def _arguments(self, node: Any) -> tuple[Any, Any]:
        """Return arguments of a call, with :class:`_Reference` in place of arrays."""
        if isinstance(node, dict):  # Keras 3
            args, kwargs = node.get("args", []), node.get("kwargs", {})
            if not isinstance(args, list) or not isinstance(kwargs, dict):
                raise CheckpointError("its functional model has a node without arguments")
            return _parsed(args), {str(name): _parsed(value) for name, value in kwargs.items()}
        if not isinstance(node, list) or not node:
            raise CheckpointError(f"its functional model has the node {short(node)}")
        if not isinstance(node[0], list):  # one array without a list around it
            node = [node]
        references = [_reference(each[:3]) for each in node if isinstance(each, list)]
        kwargs = node[0][3] if len(node[0]) > 3 and isinstance(node[0][3], dict) else {}
        kwargs = {name: _parsed(value) for name, value in kwargs.items()}
        return [references if len(references) > 1 else references[0]], kwargs

    def _ready(self, value: Any) -> bool:
        if isinstance(value, _Reference):
            return value.key in self._symbols
        if isinstance(value, dict):
            return all(map(self._ready, value.values()))
        return not isinstance(value, list | tuple) or all(map(self._ready, value))

    def _with_symbols(self, value: Any) -> Any:
        if isinstance(value, _Reference):
            return self._symbols[value.key]
        if isinstance(value, dict):
            return {name: self._with_symbols(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self._with_symbols(each) for each in value]
        return value

    def _ends(self, name: str) -> Any:
        """Return symbols in the form in which the model was given them."""
        value = self._config.get(name)
        if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
            return self._end(value)
        if isinstance(value, dict):
            return {key: self._end(each) for key, each in value.items()}
        if not isinstance(value, list):
            raise CheckpointError(f"its functional model has no {name}")
        # Keras 2 writes a list of one for an array without a list as well
        ends = [self._end(each) for each in value]
        return ends[0] if len(ends) == 1 and self._reading.old else ends

    def _end(self, value: Any) -> Any:
        reference = _reference(value)
        if reference.key not in self._symbols:
            raise CheckpointError(f"its functional model has no array {short(value)}")
        return self._symbols[reference.key]


@dataclass(frozen=True, slots=True)
class _Reference:
    """An array in a configuration: layer, node and number of the output."""

    key: tuple[str, int, int]


def _reference(history: Any) -> _Reference:
    fits = (
        isinstance(history, list)
        and len(history) >= 3
        and isinstance(history[0], str)
        and all(type(number) is int for number in history[1:3])
    )
    if not fits:
        raise CheckpointError(f"its functional model names the array {short(history)}")
    return _Reference((history[0], history[1], history[2]))


def _parsed(value: Any, depth: int = 0) -> Any:
    if depth > 20:
        raise CheckpointError("its functional model has arguments that are nested too deeply")
    if isinstance(value, list):
        # Keras 2 names an array in a keyword argument by a list
        if len(value) == 3 and isinstance(value[0], str) and all(type(n) is int for n in value[1:]):
            return _reference(value)
        return [_parsed(each, depth + 1) for each in value]
    if isinstance(value, dict):
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__keras_tensor__" and isinstance(config, dict):
            return _reference(config.get("keras_history"))
        if kind == "__slice__" and isinstance(config, dict):
            return slice(config.get("start"), config.get("stop"), config.get("step"))
        if kind is not None:
            raise ConfigError(f"its functional model has an argument of the kind {short(kind)}")
        return {name: _parsed(each, depth + 1) for name, each in value.items()}
    return value


def _wanted(kwargs: dict[str, Any], name: str) -> dict[str, Any]:
    """Return keyword arguments of a call without those that say nothing."""
    if kwargs.get("training"):
        raise ConfigError(
            f"layer {name!r} is called with training=True; gatewise has no such graph"
        )
    return {key: value for key, value in kwargs.items() if value is not None and key != "training"}


_NO_LAYERS = ("GetItem", "NotEqual", "Any", "TFOpLambda")


def _is_operator(entry: dict[str, Any], nodes: list[Any]) -> bool:
    """Return whether an entry is an operator of symbols, and no layer of the same name."""
    kind, module = entry["class_name"], entry.get("module")
    if module is not None or kind in _NO_LAYERS:
        return module == _OPERATOR_MODULE or kind in _NO_LAYERS
    # An HDF5 file has no module: a layer that merges is called with one list.
    first = nodes[0] if nodes else None
    args = first.get("args") if isinstance(first, dict) else None
    return kind in _OPERATORS and isinstance(args, list) and len(args) == 2


def _operator(kind: str, name: str) -> Callable[..., Any]:
    if kind in _MASKS:
        return _MASKS[kind]
    if kind not in _OPERATORS:
        raise ConfigError(
            f"{name!r} is the operation {short(kind)} of Keras; of these gatewise has"
            f" {', '.join(_OPERATORS)}"
        )
    return _OPERATORS[kind]
