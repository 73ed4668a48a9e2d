"""A model to and from one checkpoint file: what is written, and what is believed when it is read."""

import contextlib
import copy
import itertools
import json

import numpy as np

from gatewise import checkpoint, checks, layers
from gatewise.errors import CheckpointError, ConfigError, GatewiseError
from gatewise.training import losses, metrics, optimizers
from gatewise.training.run import checked_state

_LAYERS = {name: getattr(layers, name) for name in
           ("SimpleRNN", "LSTM", "GRU", "Dense", "Dropout", "Activation", "Flatten", "RepeatVector")}


def save_model(model, path):
    """See :meth:`Sequential.save`."""
    header = {"architecture": _architecture(model), "rng": model.rng.bit_generator.state}
    tensors = _weights(model)
    tensors |= {f"state/{layer.name}/{part}": array for layer in model.layers if getattr(layer, "_state", None)
                for part, array in zip(layer.cell.states, layer._state)}
    if model.loss is not None:
        header["training"] = _training(model)
        tensors |= {f"optimizer/{name}": array for name, array in model.optimizer.slots().items()}
    if model.training_run is not None:
        state = model.training_run
        header["run"] = _without_arrays(state if isinstance(state, dict) else state.get_state(), tensors, "run")
    checkpoint.write(path, tensors, header)


def _architecture(model):
    return {"class_name": "Sequential", "name": model.name, "seed": model.seed, "dtype": model.dtype,
            "input_shape": list(model.input_shape[1:]),
            "layers": [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in model.layers]}


def _training(model):
    return {"optimizer": optimizers.serialize(model.optimizer), "iterations": model.optimizer.iterations,
            "loss": losses.serialize(model.loss), "metrics": [metrics.serialize(metric) for metric in model.metrics]}


def _weights(model):
    return {f"weights/{layer.name}/{name}": array for layer in model.layers for name, array in layer._parameters.items()}


def save_weights(model, path):
    """See :meth:`Sequential.save_weights`."""
    weights = _weights(model)
    checkpoint.write(path, weights, {"weights": list(weights)})


def load_weights(model, path):
    """See :meth:`Sequential.load_weights`. Layers are matched by their order, as in Keras, not by their names."""
    tensors, header = checkpoint.read(path)
    with _blaming(path):
        _take_weights(model, tensors, header)


def _take_weights(model, tensors, header):
    """Copy the weights of a file into a model of the same shapes, whatever its layers are called."""
    if "weights" in header:
        names = header["weights"]
    else:  # a model's: in the order of its layers and their parameters
        order = {layer["config"]["name"]: number for number, layer in enumerate(header["architecture"]["layers"])}
        places = [list(layer._parameters) for layer in model.layers]
        found = [name.split("/", 2) for name in tensors if name.startswith("weights/")]
        found.sort(key=lambda parts: (order[parts[1]], _index(places, order[parts[1]], parts[2])))
        names = ["/".join(parts) for parts in found]
    expected = _weights(model)
    here = [(name.split("/", 2)[2], array.shape, array.dtype.name) for name, array in expected.items()]
    there = [(name.split("/", 2)[2], tensors[name].shape, tensors[name].dtype.name) for name in names]
    if here != there:
        differ = next(pair for pair in itertools.zip_longest(here, there) if pair[0] != pair[1])
        raise CheckpointError(f"the weights are those of another model: {_weight_text(differ[1])} stands where this one has "
                              f"{_weight_text(differ[0])}")
    model.set_weights([tensors[name] for name in names])


def _index(places, layer, name):
    names = places[layer] if layer < len(places) else []
    return names.index(name) if name in names else len(names)


def _weight_text(weight):
    return "nothing" if weight is None else f"{weight[0]} {weight[1]} of {weight[2]}"


def _without_arrays(value, tensors, name):
    """The value as JSON, with the arrays in it moved to `tensors`, under names that begin with `name`."""
    if isinstance(value, np.ndarray):
        while name in tensors:  # a key held a slash
            name += "_"
        tensors[name] = value
        return {"$tensor": name}
    if isinstance(value, dict):
        return {key: _without_arrays(value[key], tensors, f"{name}/{key}") for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_without_arrays(part, tensors, f"{name}/{number}") for number, part in enumerate(value)]
    return value


def _with_arrays(value, tensors):
    """What :func:`_without_arrays` was given."""
    if isinstance(value, dict):
        if value.keys() == {"$tensor"}:
            return tensors[value["$tensor"]]
        return {key: _with_arrays(part, tensors) for key, part in value.items()}
    return [_with_arrays(part, tensors) for part in value] if isinstance(value, list) else value


def resume_model(model, path, run):
    """See :meth:`Sequential.resume`. Nothing has changed where this raises.

    Raises
    ------
    ConfigError
        The file holds another model, or the run of another `fit`.
    CheckpointError
        The file is damaged, or was not saved by a model in training.
    """
    tensors, header = checkpoint.read(path)
    with _blaming(path):
        if "run" not in header or "training" not in header:
            raise CheckpointError("it holds no run to go on with: it was saved by a model that had not been trained by fit")
        saved = checked_state(_with_arrays(header["run"], tensors))
        there = (header["architecture"], header["training"])
        different = _difference(there, json.loads(json.dumps((_architecture(model), _training(model)))))
    if different:
        raise ConfigError(f"resume_from: {path} holds another model than this one: {different}")
    with _blaming(path, ConfigError):
        run.check(saved)
    before, rng, state = model.snapshot(), model.rng.bit_generator.state, [getattr(layer, "_state", None) for layer in model.layers]
    try:
        with _blaming(path):
            names = [layer["config"]["name"] for layer in header["architecture"]["layers"]]
            _take_weights(model, tensors, header)
            _restore_optimizer(model, header["training"], tensors)
            learning_rate = header["training"]["optimizer"]["config"]["learning_rate"]
            if not isinstance(learning_rate, dict):  # a callback may have set it; a schedule goes by the iterations
                model.optimizer.learning_rate = learning_rate
            model.rng.bit_generator.state = model.checked_rng_state(header["rng"])
            model.reset_state()
            _restore_state(model, tensors, names)
    except BaseException:
        model.go_back(before)
        model.rng.bit_generator.state = rng
        for layer, value in zip(model.layers, state):
            if value is not None:
                layer._state = value
        raise
    return saved


# What may differ between a saved run and the one that goes on with it, besides what the file restores.
_FREE = {"name", "seed", "iterations", "learning_rate"}


def _difference(there, here, place=""):
    """Where two descriptions of a model differ, as text; None where they do not."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            plain = isinstance(there.get(key), int | float | str | None) and isinstance(here.get(key), int | float | str | None)
            if not (key in _FREE and plain) and (found := _difference(there.get(key), here.get(key), f"{place} {key}".strip())):
                return found
        return None
    if isinstance(there, list | tuple) and isinstance(here, list | tuple) and len(there) == len(here):
        return next(filter(None, (_difference(a, b, place) for a, b in zip(there, here))), None)
    return None if there == here else f"its {place or 'description'} is {there!r:.80}, here {here!r:.80}"


@contextlib.contextmanager
def _blaming(path, *let_through):
    """Whatever goes wrong with what a file says is the file's fault."""
    try:
        yield
    except let_through:
        raise
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks the entry {error}") from error
    except GatewiseError as error:
        raise CheckpointError(f"{path}: the header does not describe a model of this version: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{path}: the header has an entry of a wrong kind: {error}") from error


def load_model(path, **others):
    """The model of a file that :meth:`Sequential.save` wrote.

    Nothing in the file is executed, and every name, shape and dtype is checked before memory is taken.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    Sequential

    Raises
    ------
    CheckpointError
        The file is damaged or holds something else.
    """
    checks.neutral(others, "load_model", "load_model")
    tensors, header = checkpoint.read(path)
    with _blaming(path):
        model = _build(header, tensors)
        run = _Asked(tensors)
        state = checked_state(_with_arrays(header["run"], run)) if "run" in header else None
        _check_names(model, header, tensors, run.asked)
        _restore_weights(model, tensors)
        _restore_training(model, header.get("training"), tensors)
        model.rng.bit_generator.state = model.checked_rng_state(header["rng"])
        _restore_state(model, tensors, [layer.name for layer in model.layers])
        model.training_run = state
    return model


def _build(header, tensors):
    from .sequential import Sequential

    architecture = header["architecture"]
    if architecture["class_name"] != "Sequential":
        raise CheckpointError(f"the file holds a {architecture['class_name']!r}; expected a Sequential")
    if not architecture["layers"]:
        raise CheckpointError("the architecture has no layers")
    stack = [layers.Input(architecture["input_shape"], dtype=architecture["dtype"])]
    shape = (None, *architecture["input_shape"])
    expected = {}
    for entry in architecture["layers"]:
        if entry["class_name"] not in _LAYERS:
            raise CheckpointError(f"layer class {entry['class_name']!r} is not known; expected one of {sorted(_LAYERS)}")
        cls, config = _LAYERS[entry["class_name"]], entry["config"]
        # Described on a copy: the shapes are compared with the file before memory is taken for them.
        probe = cls.from_config(copy.deepcopy(config))
        probe.describe(shape)
        shape = probe.output_shape
        expected |= {f"weights/{probe.name}/{spec.name}": spec.shape for spec in probe._specs}
        stack.append(cls.from_config(config))
    found = {name: array.shape for name, array in tensors.items() if name.startswith("weights/")}
    if found != expected:
        wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise CheckpointError(f"{wrong[0]} has shape {found.get(wrong[0])} in the file; the architecture asks for "
                              f"{expected.get(wrong[0])}")
    return Sequential(stack, name=architecture["name"], seed=architecture["seed"])


def _restore_weights(model, tensors):
    for layer in model.layers:
        arrays = [tensors[f"weights/{layer.name}/{spec.name}"] for spec in layer._specs]
        for spec, array in zip(layer._specs, arrays):
            if array.dtype != model.dtype:
                raise CheckpointError(f"weights/{layer.name}/{spec.name} is {array.dtype}; the model is {model.dtype}")
        layer.set_weights(arrays)


def _check_names(model, header, tensors, asked):
    """Nothing but what is read here, or belongs to a run that may go on."""
    known = {f"state/{layer.name}/{part}" for layer in model.layers for part in getattr(getattr(layer, "cell", None), "states", ())}
    kinds = ("weights/", *(("optimizer/",) if header.get("training") is not None else ()))
    for name in tensors:
        if not (name.startswith(kinds) or name in known or name in asked):
            raise CheckpointError(f"tensor {name!r} belongs to nothing in the architecture")


class _Asked(dict):
    """A dict that notes which of its keys are asked for."""

    def __init__(self, items):
        super().__init__(items)
        self.asked = set()

    def __getitem__(self, name):
        self.asked.add(name)
        return super().__getitem__(name)


def _restore_training(model, training, tensors):
    if training is None:
        return
    model.compile(optimizers.get(training["optimizer"]), losses.get(training["loss"]),
                  metrics=[metrics.get(metric) for metric in training["metrics"]])
    _restore_optimizer(model, training, tensors)


def _restore_optimizer(model, training, tensors):
    slots = {name.removeprefix("optimizer/"): array for name, array in tensors.items() if name.startswith("optimizer/")}
    model.optimizer.restore(training["iterations"], slots, model._flat_parameters)
    for name, array in slots.items():
        checks.finite(array, f"optimizer/{name}")


def _restore_state(model, tensors, names):
    """The states of stateful layers, which the file knows by these names."""
    for layer, name in zip(model.layers, names):
        found = [tensors[key] for part in getattr(getattr(layer, "cell", None), "states", ())
                 if (key := f"state/{name}/{part}") in tensors]
        if found:
            layer.state = found
