"""What of a checkpoint file is put into a model that exists: weights, or a run to continue."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from gatewise import checkpoint, checks
from gatewise.errors import CheckpointError, ConfigError, GatewiseError, SizeError
from gatewise.layers.registry import layer_from_config
from gatewise.training.run import checked_state
from gatewise.transaction import Transaction, attributes_of, draws_of

from .architecture import architecture_of, difference, file_layers
from .kept_slots import slots_read
from .saving import RUN, named_weights, training_of, weight_kinds

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike
    from gatewise.training.run import Run

    from .network import Network
    from .trainer import Trainer


@contextlib.contextmanager
def file_errors(path: PathLike) -> Iterator[None]:
    """Context manager that turns every error about the contents of a file into a CheckpointError.

    The message names the file. It is cut short, since what a file holds may be long. A SizeError
    is a matter of the machine and stays what it is.

    Raises
    ------
    CheckpointError
        The block raised something that contents of a wrong kind lead to.
    """
    try:
        yield
    except SizeError:
        raise
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error!s:.500}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks the entry {error!s:.500}") from error
    except GatewiseError as error:
        raise CheckpointError(
            f"{path}: the header does not describe a model of this version: {error!s:.500}"
        ) from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(
            f"{path}: the header has an entry of a wrong kind: {error!s:.500}"
        ) from error


def load_weights(model: Network, path: PathLike) -> None:
    """Copy the weights of a file into a model: see :meth:`Sequential.load_weights`.

    Layers are matched by their order, as in Keras, not by their names.

    Raises
    ------
    CheckpointError
        The file cannot be read, or its weights do not fit. No weight has changed.
    """
    tensors, header = checkpoint.read(path)
    with file_errors(path):
        _take_weights(model, tensors, header)


def _take_weights(model: Network, tensors: dict[str, Array], header: dict[str, Any]) -> None:
    """Copy the weights of a file into a model of the same shapes, whatever its layers' names."""
    ours_by_name = named_weights(model)
    names = _layer_names(tensors, header)
    weights = {name: array for name, array in tensors.items() if name.startswith("weights/")}
    if "weights" in header:
        orders = list(ours_by_name), header["weights"]
    else:
        orders = (
            _in_order(ours_by_name, architecture_of(model)),
            _in_order(weights, header["architecture"]),
        )
    places = _places(orders[0], [layer.name for layer in file_layers(model)])
    here = {place: ours_by_name[name] for name, place in places.items()}
    there = {place: weights[name] for name, place in _places(orders[1], names).items()}
    for place in sorted(here.keys() | there.keys()):
        ours, theirs = here.get(place), there.get(place)
        if (
            ours is None
            or theirs is None
            or (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype)
        ):
            raise CheckpointError(
                f"the weights are those of another model: {_weight_text(place, theirs)} is where"
                f" this one has {_weight_text(place, ours)}"
            )
    _refuse_other_kinds(model, weights, names, header)
    model.set_weights([there[places[name]] for name in ours_by_name])


def _refuse_other_kinds(
    model: Network, weights: dict[str, Array], names: list[str], header: dict[str, Any]
) -> None:
    """Refuse weights that have the right shapes but belong to another kind of cell."""
    kinds = _kinds_in(header)
    if kinds is None:
        return
    known = set(names)
    with_weights = {_layer_and_parameter(name, known)[0] for name in weights}
    there = [name for name in names if name in with_weights]
    here = [layer for layer in file_layers(model) if layer._parameters]
    for name, layer in zip(there, here):
        if kinds.get(name) != layer._kind():
            raise CheckpointError(
                f"the weights are those of another model: layer {name!r} is {kinds.get(name)},"
                f" layer {layer.name!r} of this model {layer._kind()}, whose weights have the same"
                " shapes and another meaning; build the model as the file's was"
            )


def _layer_names(tensors: dict[str, Array], header: dict[str, Any]) -> list[str]:
    """Names of the layers of a file in order, those that have no weights included perhaps."""
    if "weights" not in header:
        return [entry["config"]["name"] for entry in header["architecture"]["layers"]]
    names = header["weights"]
    if sorted(names) != sorted(tensors) or not all(name.startswith("weights/") for name in names):
        raise CheckpointError("the list of its weights does not name its tensors, each once")
    # Files of version 0.1 lack the list of layers; in those no layer held others.
    layers = (
        header["layers"]
        if "layers" in header
        else [name.removeprefix("weights/").rpartition("/")[0] for name in names]
    )
    return list(dict.fromkeys(layers))


# the number of a layer, that of the layer inside it, and the name of the parameter
_Place = tuple[int, int, str]


def _in_order(names: Iterable[str], architecture: dict[str, Any]) -> list[str]:
    """Return names of weights in the order of the layers of a description, also inside models."""
    paths = [path for entry in architecture["layers"] for path in _paths_of(entry)]
    order = {f"weights/{path}": number for number, path in enumerate(paths)}

    def key(name: str) -> tuple[int, str]:
        path = name
        while path not in order and "/" in path:
            path = path.rpartition("/")[0]
        return order.get(path, -1), name.removeprefix(path)

    return sorted(names, key=key)


def _paths_of(entry: dict[str, Any], name: str | None = None) -> Iterator[str]:
    """Return the path of a layer in a description, and those of the layers inside it."""
    config = entry["config"]
    path = config["name"] if name is None else name
    yield path
    inside = [(part, None) for part in config.get("model", {}).get("layers", ())]
    if isinstance(config.get("layer"), dict):
        inside.append((config["layer"], "layer"))
    for part, known_as in inside:
        for below in _paths_of(part, known_as):
            yield f"{path}/{below}"


def _places(names: Iterable[str], layers: list[str]) -> dict[str, _Place]:
    """Return the place of each weight: whatever the layers are named, those inside included.

    A layer without weights has no number.
    """
    known = set(layers)
    split = {name: _layer_and_parameter(name, known) for name in names}
    with_weights = {layer for layer, _ in split.values()}
    numbers = {
        layer: number
        for number, layer in enumerate(layer for layer in layers if layer in with_weights)
    }
    inside: dict[str, dict[str, int]] = {layer: {} for layer in numbers}
    found = {}
    for name, (layer, parameter) in split.items():
        path, _, last = parameter.rpartition("/")
        number = inside[layer].setdefault(path, len(inside[layer]))
        found[name] = numbers[layer], number, last
    return found


def _layer_and_parameter(name: str, layers: set[str]) -> tuple[str, str]:
    """Split "weights/<layer>/<parameter>", of which both parts may hold slashes."""
    path = name.removeprefix("weights/")
    end = path.rfind("/")
    # the longest name of a layer that the path begins with
    while end > 0 and path[:end] not in layers:
        end = path.rfind("/", 0, end)
    if end <= 0:
        raise CheckpointError(f"tensor {name!r:.200} belongs to none of its layers")
    return path[:end], path[end + 1 :]


def _weight_text(place: _Place, array: Array | None) -> str:
    return "nothing" if array is None else f"{place[-1]} {array.shape} of {array.dtype}"


def _kinds_in(header: dict[str, Any]) -> dict[str, str] | None:
    """What :func:`weight_kinds` gave for a file; None if its version did not write it."""
    if "weights" in header:
        kinds = header.get("kinds")
        if kinds is not None and not (
            isinstance(kinds, dict) and all(isinstance(kind, str) for kind in kinds.values())
        ):
            raise CheckpointError("kinds, of its weights, is no dict of names to text")
        return kinds
    found = []
    for entry in header["architecture"]["layers"]:
        with contextlib.suppress(GatewiseError):  # a user's cell: nothing is known of its weights
            found.append(layer_from_config(entry, "a layer"))
    return weight_kinds(found)


# ---- continuing a run


def resume_model(model: Trainer, path: PathLike, run: Run) -> None:
    """Continue the run of a file: see :meth:`Sequential._resume`.

    If this raises, the model is as it was.

    Raises
    ------
    ConfigError
        The file holds another model, or the run of another `fit`.
    CheckpointError
        The file is damaged, or was not saved by a model in training.
    """
    tensors, header = checkpoint.read(path)
    with file_errors(path):
        if "run" not in header or "training" not in header:
            raise CheckpointError(
                "it holds no run to continue: the model that was saved had not been trained by"
                " fit or had been changed since, was a copy of one, or fit was at its very end, in"
                " the middle of a batch or in another thread"
            )
        saved = take_run(header, tensors)
        assert saved is not None
        here = json.loads(json.dumps((architecture_of(model), training_of(model))))
        different = difference((header["architecture"], header["training"]), here)
        names = [entry["config"]["name"] for entry in header["architecture"]["layers"]]
        check_names(model, names, header, tensors)
        another_run = run.difference(saved)
    if different:
        raise ConfigError(f"resume_from: {path} holds another model than this one: {different}")
    if another_run:
        raise ConfigError(
            f"resume_from: {path} holds another run than this one: {another_run}; give fit the same"
            " data and options"
        )
    optimizer = model.optimizer
    with Transaction(
        attributes_of(optimizer, "_learning_rate"), draws_of(model.rng), model._snapshot().restore
    ):
        with file_errors(path):
            _restore_model(model, header, tensors, names)
            _take_weights_of_run(model, saved["weights"])
        run.begin(saved, lambda: file_errors(path))


def _restore_model(
    model: Trainer, header: dict[str, Any], tensors: dict[str, Array], names: list[str]
) -> None:
    """Restore weights, optimizer, random draws and states of a file that fits the model."""
    _take_weights(model, tensors, header)
    restore_optimizer(model, header, tensors)
    learning_rate = header["training"]["optimizer"]["config"]["learning_rate"]
    # A callback may have set it. A schedule needs nothing: it follows the iterations.
    if not isinstance(learning_rate, dict):
        model.optimizer.learning_rate = learning_rate
    model.rng.bit_generator.state = model._checked_rng_state(header["rng"])
    model.reset_state()
    restore_states(model, tensors, names)


def _take_weights_of_run(model: Trainer, weights: Array | None) -> None:
    """Take the weights that training continues with, if the file's are best or averaged ones."""
    if weights is None:
        return
    expected = model._flat_weights()
    if weights.shape != expected.shape or weights.dtype != model.dtype:
        raise CheckpointError(
            f"the run's weights are {weights.dtype} {weights.shape}; the model has {model.dtype} "
            f"{expected.shape}"
        )
    model._set_flat_weights(checks.finite(weights, "the run's weights"))


def check_names(
    model: Trainer, names: Iterable[str], header: dict[str, Any], tensors: dict[str, Array]
) -> None:
    """Refuse tensors that nothing here reads; `names` are the file's names of the model's layers.

    Raises
    ------
    CheckpointError
    """
    known = {key for keys in _state_keys(model, names).values() for key in keys}
    kinds = ("weights/", *(("optimizer/",) if header.get("training") is not None else ()))
    for name in tensors:
        if not (name.startswith(kinds) or name in known):
            raise CheckpointError(f"tensor {name!r:.200} belongs to nothing in the architecture")


def restore_optimizer(model: Trainer, header: dict[str, Any], tensors: dict[str, Array]) -> None:
    """Give the optimizer of a compiled model the iterations and arrays of a file.

    Raises
    ------
    CheckpointError
        The arrays do not fit the model.
    NonFiniteError
        One of them holds NaN or infinity.
    """
    slots = {
        name.removeprefix("optimizer/"): array
        for name, array in tensors.items()
        if name.startswith("optimizer/")
    }
    slots = slots_read(model, slots, header.get("optimizer_parts"))
    model.optimizer._load_slots(header["training"]["iterations"], slots, model._flat_parameters)
    for name, array in slots.items():
        checks.finite(array, f"optimizer/{name}")


def restore_states(model: Trainer, tensors: dict[str, Array], names: Iterable[str]) -> None:
    """Give stateful layers the states of a file, which knows the layers by these names."""
    for layer, keys in _state_keys(model, names).items():
        found = [tensors[key] for key in keys if key in tensors]
        if found:
            layer.state = found


def _state_keys(model: Trainer, names: Iterable[str]) -> dict[Any, list[str]]:
    """Return the names in a file of the states of each layer; `names` are those of the layers."""
    outer = dict(zip(file_layers(model), names))
    return {
        layer: [f"state/{outer[top]}/{path}{part}" for part in layer.state_names]
        for layer, (top, path) in model._state_paths().items()
    }


def take_run(header: dict[str, Any], tensors: dict[str, Array]) -> dict[str, Any] | None:
    """Return the run of a file, None if it holds none; its arrays are taken out of `tensors`.

    Raises
    ------
    CheckpointError
        The run is damaged.
    """
    arrays = {name: tensors.pop(name) for name in list(tensors) if name.startswith("run/")}
    run = checked_state(RUN.decode(header["run"], arrays)) if "run" in header else None
    if arrays:
        raise CheckpointError(f"tensor {next(iter(arrays))!r:.200} belongs to nothing in the run")
    return run
