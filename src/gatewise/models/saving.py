"""What of a model is written to a checkpoint file."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import file_kinds
from gatewise.checkpoint import Contents
from gatewise.checkpoint.codec import Arrays, Codec
from gatewise.checkpoint.writing import content_of, replace
from gatewise.errors import ConfigError, NonFiniteError
from gatewise.training import losses, metrics, optimizers
from gatewise.training.run import Run

from .architecture import architecture_of, file_layers
from .kept_slots import slots_to_write

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike
    from gatewise.layers import Layer

    from .network import Network
    from .trainer import Trainer


# What a run of training holds: in a header with NaN and infinities, arrays apart.
RUN = Codec(Arrays("$tensor"))


def save_model(model: Trainer, path: PathLike) -> None:
    """Write a model to one file: see :meth:`Sequential.save`."""
    file_kinds.warn_of_ending(path)
    with at_one_moment(model):
        contents = contents_of(model)
        content = content_of(path, contents.tensors, contents.header)
    replace(path, content)


def save_weights(model: Network, path: PathLike) -> None:
    """Write the weights alone to one file: see :meth:`Sequential.save_weights`."""
    file_kinds.warn_of_ending(path)
    with model.unchanged():
        weights = named_weights(model)
        _refuse_non_finite(weights)
        header = {
            "weights": list(weights),
            "layers": [layer.name for layer in file_layers(model)],
            "kinds": weight_kinds(file_layers(model)),
        }
        content = content_of(path, weights, header)
    replace(path, content)


@contextlib.contextmanager
def at_one_moment(model: Trainer) -> Iterator[None]:
    """Context manager in which other threads change neither weights nor the optimizer of a model.

    So a file holds the model as it is at one moment.

    Raises
    ------
    StateError
        The model is stateful, and another thread uses it.
    """
    with model._using_state(), model.unchanged():
        yield


def contents_of(model: Trainer) -> Contents:
    """Return the tensors and the header of a file that holds the model.

    :func:`gatewise.models.loading.model_of` makes a model of them. The tensors are the model's own
    arrays: call this and write the file inside :func:`at_one_moment`.

    The progress of training is known only in the thread that trains: a file that another thread
    saves holds no run.

    Raises
    ------
    NonFiniteError
        An array holds NaN or infinity.
    ConfigError
        Two layers have one name, or a layer is of a class that files do not hold.
    """
    run = model._training_run
    if isinstance(run, Run) and run.thread != threading.get_ident():
        run = None
    with model.rng.bit_generator.lock:
        rng = run.rng_state() if isinstance(run, Run) else model.rng.bit_generator.state
    header: dict[str, Any] = {"architecture": architecture_of(model), "rng": rng}
    tensors, paths = named_weights(model), model._state_paths()
    tensors |= {
        f"state/{paths[layer][0].name}/{paths[layer][1]}{part}": array
        for layer, state in model._kept_states().items()
        if state
        for part, array in zip(layer.state_names, state)
    }
    if model.loss is not None:
        header["training"] = training_of(model)
        slots, parts = slots_to_write(model)
        tensors |= {f"optimizer/{name}": array for name, array in slots.items()}
        if parts is not None:
            header["optimizer_parts"] = parts
    _refuse_non_finite(tensors)
    if run is not None:
        state = run.get_state() if isinstance(run, Run) else run
        header["run"] = RUN.encode(state, "run", tensors)
    return Contents(tensors, header)


def training_of(model: Trainer) -> dict[str, Any]:
    """Return what a compiled model is trained with, as JSON values."""
    several = len(model._objectives) > 1
    chosen = [None if one.loss is None else losses.serialize(one.loss) for one in model._objectives]
    used = [[metrics.serialize(each) for each in one.metrics] for one in model._objectives]
    plain = [some[: len(one.choices)] for one, some in zip(model._objectives, used)]
    weighed = [some[len(one.choices) :] for one, some in zip(model._objectives, used)]
    training = {
        "optimizer": optimizers.serialize(model.optimizer),
        "iterations": model._optimizer_state()[0],
        "loss": chosen if several else chosen[0],
        "metrics": plain if several else plain[0],
    }
    if any(weighed):
        training["weighted_metrics"] = weighed if several else weighed[0]
    weights = [objective.weight for objective in model._objectives]
    return training if set(weights) == {1.0} else training | {"loss_weights": weights}


def named_weights(model: Network) -> dict[str, Array]:
    """Return the weights of a model by their names in a file, ``weights/<layer>/<parameter>``.

    Raises
    ------
    ConfigError
        Two layers have one name.
    """
    weights = {}
    for layer in file_layers(model):
        for name, array in layer._parameters.items():
            full_name = f"weights/{layer.name}/{name}"
            if full_name in weights:
                raise ConfigError(
                    f"two layers are named {layer.name!r}, so that a file cannot tell their"
                    " weights apart; give each its own name"
                )
            weights[full_name] = array
    return weights


def weight_kinds(layers: Iterable[Layer]) -> dict[str, str]:
    """Return the kind of cell by layer name, for layers whose shapes do not tell their kind."""
    return {layer.name: kind for layer in layers if (kind := layer._kind()) is not None}


def _refuse_non_finite(tensors: Mapping[str, Array]) -> None:
    """A valid file is never overwritten by one that cannot be read."""
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            raise NonFiniteError(
                f"{name} holds NaN or infinity, which no reader accepts: nothing was written;"
                " restore weights from before that, and train with a smaller learning rate or with"
                " clipnorm"
            )
