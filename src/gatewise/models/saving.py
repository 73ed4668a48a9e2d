"""A model to and from one checkpoint file: what is written, and what is believed when it is read."""

import copy

from gatewise import checkpoint, checks, layers
from gatewise.errors import CheckpointError, GatewiseError
from gatewise.training import losses, metrics, optimizers

_LAYERS = {name: getattr(layers, name) for name in
           ("SimpleRNN", "LSTM", "GRU", "Dense", "Dropout", "Activation", "Flatten", "RepeatVector")}


def save_model(model, path):
    """See :meth:`Sequential.save`."""
    header = {
        "architecture": {
            "class_name": "Sequential", "name": model.name, "seed": model.seed, "dtype": model.dtype,
            "input_shape": list(model.input_shape[1:]),
            "layers": [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in model.layers],
        },
        "rng": model.rng.bit_generator.state,
    }
    tensors = {f"weights/{layer.name}/{name}": array
               for layer in model.layers for name, array in layer._parameters.items()}
    tensors |= {f"state/{layer.name}/{part}": array for layer in model.layers if getattr(layer, "_state", None)
                for part, array in zip(layer.cell.states, layer._state)}
    if model.loss is not None:
        header["training"] = {
            "optimizer": optimizers.serialize(model.optimizer), "iterations": model.optimizer.iterations,
            "loss": losses.serialize(model.loss), "metrics": [metrics.serialize(metric) for metric in model.metrics],
        }
        tensors |= {f"optimizer/{name}": array for name, array in model.optimizer.slots().items()}
    checkpoint.write(path, tensors, header)


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
    try:
        model = _build(header, tensors)
        _check_names(model, header.get("training"), tensors)
        _restore_weights(model, tensors)
        _restore_training(model, header.get("training"), tensors)
        _restore_rng(model, header["rng"])
        _restore_state(model, tensors)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except KeyError as error:
        raise CheckpointError(f"{path}: the header lacks the entry {error}") from error
    except GatewiseError as error:
        raise CheckpointError(f"{path}: the header does not describe a model of this version: {error}") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{path}: the header has an entry of a wrong kind: {error}") from error
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


def _check_names(model, training, tensors):
    """Nothing but what will be read."""
    known = {f"state/{layer.name}/{part}" for layer in model.layers for part in getattr(getattr(layer, "cell", None), "states", ())}
    for name in tensors:
        if not (name.startswith("weights/") or name in known or (training is not None and name.startswith("optimizer/"))):
            raise CheckpointError(f"tensor {name!r} belongs to nothing in the architecture")


def _restore_training(model, training, tensors):
    slots = {name.removeprefix("optimizer/"): array for name, array in tensors.items() if name.startswith("optimizer/")}
    if training is None:
        return
    model.compile(optimizers.get(training["optimizer"]), losses.get(training["loss"]),
                  metrics=[metrics.get(metric) for metric in training["metrics"]])
    model.optimizer.restore(training["iterations"], slots, model._flat_parameters)
    for name, array in slots.items():
        checks.finite(array, f"optimizer/{name}")


def _restore_state(model, tensors):
    for layer in model.layers:
        found = [tensors[name] for part in getattr(getattr(layer, "cell", None), "states", ())
                 if (name := f"state/{layer.name}/{part}") in tensors]
        if found:
            layer.state = found


def _restore_rng(model, state):
    if state["bit_generator"] != type(model.rng.bit_generator).__name__:
        raise CheckpointError(f"the generator is {state['bit_generator']!r}; expected "
                              f"{type(model.rng.bit_generator).__name__}")
    model.rng.bit_generator.state = state
