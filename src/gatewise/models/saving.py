"""A model to and from one checkpoint file: what is written, and what is believed when it is read."""

import contextlib
import copy
import json
import threading
from collections import Counter

import numpy as np

from gatewise import checkpoint, checks, file_kinds, layers
from gatewise.cells import Cell, LSTMCell
from gatewise.described import arguments_of
from gatewise.errors import CheckpointError, ConfigError, GatewiseError, NonFiniteError, SizeError
from gatewise.layers.registry import layer_classes, layer_config, layer_from_config
from gatewise.memory import names_memory
from gatewise.training import losses, metrics, optimizers
from gatewise.training.run import Run, checked_state
from gatewise.transaction import Transaction, attributes_of, draws_of
from gatewise.utils import custom_object_scope

from .kept_slots import slots_read, slots_to_write

_LAYERS = layer_classes()


def save_model(model, path):
    """See :meth:`Sequential.save`."""
    file_kinds.warn_of_ending(path)
    with at_one_moment(model):
        content = checkpoint.content_of(path, *contents_of(model))
    checkpoint.replace(path, content)


@contextlib.contextmanager
def at_one_moment(model):
    """Other threads change neither the model's weights nor its optimizer inside, so that a file holds one moment of them.

    Raises
    ------
    StateError
        The model is stateful, and another thread uses it.
    """
    with model.alone(), model.unchanged():
        yield


def contents_of(model):
    """(tensors, header) of a file that holds the model: what :func:`model_of` makes one of. The tensors are the arrays themselves:
    call it, and make a file of them, :func:`at_one_moment`.

    Where training has got to is known in the thread that trains; a file that another one saves
    holds no run.
    """
    run = model.training_run
    if isinstance(run, Run) and run.thread != threading.get_ident():
        run = None
    with model.rng.bit_generator.lock:
        rng = run.rng_state() if isinstance(run, Run) else model.rng.bit_generator.state
    header = {"architecture": _architecture(model), "rng": rng}
    tensors = _weights(model)
    tensors |= {
        f"state/{layer.name}/{part}": array
        for layer, state in model.kept_states().items()
        if state
        for part, array in zip(layer.state_names, state)
    }
    if model.loss is not None:
        header["training"] = _training(model)
        slots, parts = slots_to_write(model)
        tensors |= {f"optimizer/{name}": array for name, array in slots.items()}
        if parts is not None:
            header["optimizer_parts"] = parts
    _refuse_nonfinite(tensors)
    if run is not None:
        header["run"] = _without_arrays(
            run.get_state() if isinstance(run, Run) else run, tensors, "run"
        )
    return tensors, header


def _architecture(model):
    return {
        "class_name": "Sequential",
        "name": model.name,
        "seed": model.seed,
        "dtype": model.dtype,
        "input_shape": list(model.input_shape[1:]),
        "layers": [layer_config(layer) for layer in model.layers],
    }


def _training(model):
    return {
        "optimizer": optimizers.serialize(model.optimizer),
        "iterations": model.optimizer_state()[0],
        "loss": losses.serialize(model.loss),
        "metrics": [metrics.serialize(metric) for metric in model.metrics],
    }


def _weights(model):
    weights = [
        (f"weights/{layer.name}/{name}", array)
        for layer in model.layers
        for name, array in layer._parameters.items()
    ]
    found = dict(weights)
    if len(found) < len(weights):
        twice = next(
            name
            for name, count in Counter(layer.name for layer in model.layers).items()
            if count > 1
        )
        raise ConfigError(
            f"two layers are named {twice!r}, so that a file cannot tell their weights "
            "apart; give each its own name"
        )
    return found


def _refuse_nonfinite(tensors):
    """A valid file is never overwritten by one that no reader takes."""
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise NonFiniteError(
                f"{name} holds NaN or infinity, which no reader takes: nothing was written; go back"
                " to weights from before that, and train with a smaller learning rate, or clipnorm"
            )


def save_weights(model, path):
    """See :meth:`Sequential.save_weights`."""
    file_kinds.warn_of_ending(path)
    with model.unchanged():
        weights = _weights(model)
        _refuse_nonfinite(weights)
        header = {
            "weights": list(weights),
            "layers": [layer.name for layer in model.layers],
            "kinds": _kinds(model.layers),
        }
        content = checkpoint.content_of(path, weights, header)
    checkpoint.replace(path, content)


def _kinds(layers_in_order):
    """{name: what its weights are those of} of layers whose shapes do not say it."""
    return {layer.name: layer.kind() for layer in layers_in_order if layer.kind() is not None}


def _kinds_in(header):
    """The same of a file; None if it is of a version that did not write it."""
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
    return _kinds(found)


def load_weights(model, path):
    """See :meth:`Sequential.load_weights`. Layers are matched by their order, as in Keras, not by their names."""
    tensors, header = checkpoint.read(path)
    with blaming(path):
        _take_weights(model, tensors, header)


def _take_weights(model, tensors, header):
    """Copy the weights of a file into a model of the same shapes, whatever its layers are called."""
    here = _places(_weights(model), [layer.name for layer in model.layers])
    there = _places(*_listed_weights(tensors, header))
    for place in sorted(here.keys() | there.keys()):
        ours, theirs = here.get(place), there.get(place)
        if (
            ours is None
            or theirs is None
            or (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype)
        ):
            raise CheckpointError(
                f"the weights are those of another model: {_weight_text(place, theirs)} stands"
                f" where this one has {_weight_text(place, ours)}"
            )
    _refuse_other_kinds(model, tensors, header)
    model.set_weights([there[place] for place in here])


def _refuse_other_kinds(model, tensors, header):
    """Refuse weights whose shapes fit, of cells that are others."""
    theirs = _kinds_in(header)
    if theirs is None:
        return
    weights, names = _listed_weights(tensors, header)
    with_weights = {
        layer for layer, _ in (_layer_and_parameter(name, set(names)) for name in weights)
    }
    names = [name for name in names if name in with_weights]
    for name, layer in zip(names, (layer for layer in model.layers if layer._parameters)):
        if theirs.get(name) != layer.kind():
            raise CheckpointError(
                f"the weights are those of another model: layer {name!r} is {theirs.get(name)},"
                f" layer {layer.name!r} of this model {layer.kind()}, whose weights have the same"
                " shapes and another meaning; build the model as the file's was"
            )


def _listed_weights(tensors, header):
    """(weights of a file by name, names of its layers in order)."""
    if "weights" not in header:
        weights = {name: array for name, array in tensors.items() if name.startswith("weights/")}
        return weights, [entry["config"]["name"] for entry in header["architecture"]["layers"]]
    names = header["weights"]
    if sorted(names) != sorted(tensors) or not all(name.startswith("weights/") for name in names):
        raise CheckpointError("the list of its weights does not name its tensors, each once")
    # Files of version 0.1 lack the list of layers; in those no layer held others.
    known = (
        header["layers"]
        if "layers" in header
        else [name.removeprefix("weights/").rpartition("/")[0] for name in names]
    )
    return {name: tensors[name] for name in names}, list(dict.fromkeys(known))


def _places(weights, layers_in_order):
    """Weights by (number of the layer, name of the parameter); a layer without any has no number."""
    names = set(layers_in_order)
    split = {name: _layer_and_parameter(name, names) for name in weights}
    kept = {layer for layer, _ in split.values()}
    numbers = {
        layer: number
        for number, layer in enumerate(layer for layer in layers_in_order if layer in kept)
    }
    return {
        (numbers[layer], parameter): weights[name] for name, (layer, parameter) in split.items()
    }


def _layer_and_parameter(name, layers):
    """The two parts of "weights/<layer>/<parameter>", both of which may hold slashes."""
    path = name.removeprefix("weights/")
    end = path.rfind("/")
    # the longest name of a layer that the path begins with
    while end > 0 and path[:end] not in layers:
        end = path.rfind("/", 0, end)
    if end <= 0:
        raise CheckpointError(f"tensor {name!r:.200} belongs to none of its layers")
    return path[:end], path[end + 1 :]


def _weight_text(place, array):
    return "nothing" if array is None else f"{place[1]} {array.shape} of {array.dtype}"


# ---- a run, its arrays apart


def _without_arrays(value, tensors, name):
    """The value as JSON, with the arrays in it moved to `tensors`, under names that begin with `name`.

    An array becomes ``{"$tensor": name}``. A key of a dict that begins with ``$`` gets one more, so
    that none is taken for it.
    """
    if isinstance(value, np.ndarray):
        while name in tensors:  # a key held a slash
            name += "_"
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, dict):
        return {
            f"${key}" if isinstance(key, str) and key.startswith("$") else key: _without_arrays(
                part, tensors, f"{name}/{key}"
            )
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [
            _without_arrays(part, tensors, f"{name}/{number}") for number, part in enumerate(value)
        ]
    return value


def _with_arrays(value, arrays):
    """What :func:`_without_arrays` was given; takes each array out of `arrays`, so that none stands in two places."""
    if isinstance(value, list):
        return [_with_arrays(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"$tensor"}:
        if value["$tensor"] not in arrays:
            raise CheckpointError(
                f"the run asks for the tensor {value['$tensor']!r:.80}, which is missing or stands"
                " elsewhere too"
            )
        return arrays.pop(value["$tensor"])
    return {key.removeprefix("$"): _with_arrays(part, arrays) for key, part in value.items()}


def _take_run(header, tensors):
    """The run of a file, None where it holds none; its arrays leave `tensors`."""
    arrays = {name: tensors.pop(name) for name in list(tensors) if name.startswith("run/")}
    run = checked_state(_with_arrays(header["run"], arrays)) if "run" in header else None
    if arrays:
        raise CheckpointError(f"tensor {next(iter(arrays))!r:.200} belongs to nothing in the run")
    return run


# ---- going on with a run


def resume_model(model, path, run):
    """See :meth:`Sequential.resume`. Where this raises, the model is as it was.

    Raises
    ------
    ConfigError
        The file holds another model, or the run of another `fit`.
    CheckpointError
        The file is damaged, or was not saved by a model in training.
    """
    tensors, header = checkpoint.read(path)
    with blaming(path):
        if "run" not in header or "training" not in header:
            raise CheckpointError(
                "it holds no run to go on with: the model that was saved had not been trained by"
                " fit or had been changed since, was a copy of one, or fit was at its very end, in"
                " the middle of a batch or in another thread"
            )
        saved = _take_run(header, tensors)
        here = json.loads(json.dumps((_architecture(model), _training(model))))
        different = _difference((header["architecture"], header["training"]), here)
        names = [entry["config"]["name"] for entry in header["architecture"]["layers"]]
        _check_names(model, names, header, tensors)
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
        with blaming(path):
            _put_back(model, header, tensors, names)
            _take_weights_of_run(model, saved["weights"])
        run.begin(saved, lambda: blaming(path))


def _put_back(model, header, tensors, names):
    """Weights, optimizer, random draws and states of a file whose description fits the model."""
    _take_weights(model, tensors, header)
    _restore_optimizer(model, header, tensors)
    learning_rate = header["training"]["optimizer"]["config"]["learning_rate"]
    # a callback may have set it; a schedule goes by the iterations
    if not isinstance(learning_rate, dict):
        model.optimizer.learning_rate = learning_rate
    model.rng.bit_generator.state = model.checked_rng_state(header["rng"])
    model.reset_state()
    _restore_state(model, tensors, names)


def _take_weights_of_run(model, weights):
    """The weights that training goes on with, where the model was left with best or averaged ones."""
    if weights is None:
        return
    expected = model.flat_weights()
    if weights.shape != expected.shape or weights.dtype != model.dtype:
        raise CheckpointError(
            f"the run's weights are {weights.dtype} {weights.shape}; the model has {model.dtype} "
            f"{expected.shape}"
        )
    model.set_flat_weights(checks.finite(weights, "the run's weights"))


# What may differ between a saved run and the one that goes on with it, besides what the file
# restores.
_FREE = {"name", "seed", "iterations", "learning_rate"}
# What a configuration holds only where somebody chose it.
_CHOSEN = {
    "trainable",
    "learned_initial_state",
    "zero_output_for_mask",
    *Cell.OPTIONS,
    *LSTMCell.OPTIONS,
}


def _difference(there, here, place=""):
    """Where two descriptions of a model differ, as text; None where they do not.

    An option that `there` lacks is no difference, since the version that wrote it did not know it;
    but one that is written only where it was chosen was not chosen there.
    """
    if isinstance(there, dict) and isinstance(here, dict):
        if chosen := sorted((here.keys() - there.keys()) & _CHOSEN):
            return f"its {place} {chosen[0]} was not given, here it is {here[chosen[0]]!r:.80}"
        for key in sorted(there):
            plain = isinstance(there.get(key), int | float | str | None) and isinstance(
                here.get(key), int | float | str | None
            )
            if not (key in _FREE and plain) and (
                found := _difference(there.get(key), here.get(key), f"{place} {key}".strip())
            ):
                return found
        return None
    if (
        isinstance(there, list | tuple)
        and isinstance(here, list | tuple)
        and len(there) == len(here)
    ):
        return next(filter(None, (_difference(a, b, place) for a, b in zip(there, here))), None)
    return (
        None
        if there == here
        else f"its {place or 'description'} is {there!r:.80}, here {here!r:.80}"
    )


@contextlib.contextmanager
def blaming(path):
    """Whatever goes wrong with what a file says is the file's fault. What it says may be long: messages are cut."""
    try:
        yield
    except SizeError:  # the fault of the machine, which says nothing of the file
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


@names_memory
def load_model(path, custom_objects=None, compile=True, **others):
    """The model of a file that :meth:`Sequential.save` wrote.

    Nothing in the file is executed, and every name, shape and dtype is checked before memory is
    taken. A stateful layer has the state that it had when the model was saved, and goes on from it;
    if the first call has another number of rows, that state is dropped with a warning.
    ``reset_state()`` drops it without one.

    Parameters
    ----------
    path : str or os.PathLike
    custom_objects : dict of str to class, optional
        Cells (:class:`gatewise.cells.RNNCell`), initializers, regularizers, constraints, losses,
        metrics and optimizers of one's own, by the names of their classes.
    compile : bool
        False: leave the loss, the metrics, the optimizer and the run out.

    Returns
    -------
    Sequential

    Raises
    ------
    CheckpointError
        The file is damaged or holds something else.
    """
    checks.refuse_unknown_arguments(
        others, "load_model", "load_model", lambda: arguments_of(load_model)
    )
    compiled = checks.flag(compile, "compile")
    tensors, header = checkpoint.read(path)
    with custom_object_scope({} if custom_objects is None else custom_objects), blaming(path):
        if "architecture" not in header and "weights" in header:
            raise CheckpointError(
                "it holds weights alone: make the model and call its load_weights"
            )
        if "architecture" not in header and "estimator" in header:
            raise CheckpointError(
                "it holds an estimator: read it with gatewise.load_estimator, whose model_ is the"
                " model"
            )
        for kind in ("pipeline", "transformer"):
            if "architecture" not in header and kind in header:
                raise CheckpointError(f"it holds a {kind}: read it with gatewise.load_estimator")
        if not compiled:
            header = {
                name: value for name, value in header.items() if name not in ("training", "run")
            }
            tensors = {
                name: array
                for name, array in tensors.items()
                if not name.startswith(("optimizer/", "run/"))
            }
        return model_of(tensors, header)


def model_of(tensors, header):
    """The model of what :func:`contents_of` gave; whatever is raised is the file's fault."""
    model = _build(header, tensors)
    run = _take_run(header, tensors)
    names = [layer.name for layer in model.layers]
    _check_names(model, names, header, tensors)
    _restore_weights(model, tensors)
    _restore_training(model, header, tensors)
    model.rng.bit_generator.state = model.checked_rng_state(header["rng"])
    _restore_state(model, tensors, names)
    model.states_loaded()
    model.training_run = run
    return model


def _build(header, tensors):
    from .sequential import Sequential

    architecture = header["architecture"]
    if architecture["class_name"] != "Sequential":
        raise CheckpointError(
            f"the file holds a {architecture['class_name']!r}; expected a Sequential"
        )
    if not architecture["layers"]:
        raise CheckpointError("the architecture has no layers")
    stack = [layers.Input(architecture["input_shape"], dtype=architecture["dtype"])]
    shape = (None, *architecture["input_shape"])
    expected = {}
    for entry in architecture["layers"]:
        if entry["class_name"] not in _LAYERS:
            raise CheckpointError(
                f"layer class {entry['class_name']!r} is not known; expected one of"
                f" {sorted(_LAYERS)}"
            )
        cls, config = _LAYERS[entry["class_name"]], entry["config"]
        # Described on a copy: the shapes are compared with the file before memory is taken for
        # them.
        probe = cls.from_config(copy.deepcopy(config))
        probe.describe(shape)
        shape = probe.output_shape
        expected |= {f"weights/{probe.name}/{spec.name}": spec.shape for spec in probe._specs}
        stack.append(cls.from_config(config))
    found = {name: array.shape for name, array in tensors.items() if name.startswith("weights/")}
    if found != expected:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)
        )
        raise CheckpointError(
            f"{wrong[0]} has shape {found.get(wrong[0])} in the file; the architecture asks for "
            f"{expected.get(wrong[0])}"
        )
    return Sequential(stack, name=architecture["name"], seed=architecture["seed"])


def _restore_weights(model, tensors):
    for layer in model.layers:
        arrays = [tensors[f"weights/{layer.name}/{spec.name}"] for spec in layer._specs]
        for spec, array in zip(layer._specs, arrays):
            if array.dtype != model.dtype:
                raise CheckpointError(
                    f"weights/{layer.name}/{spec.name} is {array.dtype}; the model is {model.dtype}"
                )
        layer.set_weights(arrays)


def _check_names(model, names, header, tensors):
    """Nothing but what is read here: of a model whose layers the file knows by these names."""
    known = {
        f"state/{name}/{part}"
        for layer, name in zip(model.layers, names)
        for part in layer.state_names
    }
    kinds = ("weights/", *(("optimizer/",) if header.get("training") is not None else ()))
    for name in tensors:
        if not (name.startswith(kinds) or name in known):
            raise CheckpointError(f"tensor {name!r:.200} belongs to nothing in the architecture")


def _restore_training(model, header, tensors):
    training = header.get("training")
    if training is None:
        return
    model.choose_training(
        optimizers.get(training["optimizer"]),
        losses.get(training["loss"]),
        [metrics.get(metric) for metric in training["metrics"]],
        fitting=True,
    )
    _restore_optimizer(model, header, tensors)


def _restore_optimizer(model, header, tensors):
    slots = {
        name.removeprefix("optimizer/"): array
        for name, array in tensors.items()
        if name.startswith("optimizer/")
    }
    slots = slots_read(model, slots, header.get("optimizer_parts"))
    model.optimizer.restore(header["training"]["iterations"], slots, model._flat_parameters)
    for name, array in slots.items():
        checks.finite(array, f"optimizer/{name}")


def _restore_state(model, tensors, names):
    """The states of stateful layers, which the file knows by these names."""
    for layer, name in zip(model.layers, names):
        found = [
            tensors[key] for part in layer.state_names if (key := f"state/{name}/{part}") in tensors
        ]
        if found:
            layer.state = found
