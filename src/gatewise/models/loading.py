"""A model made from a checkpoint file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checkpoint, checks
from gatewise.described import arguments_of
from gatewise.errors import CheckpointError
from gatewise.memory import names_memory
from gatewise.training import losses, metrics, optimizers
from gatewise.utils import custom_object_scope

from .architecture import file_layers, unbuilt_model, weight_shapes
from .restoring import check_names, file_errors, restore_optimizer, restore_states, take_run
from .sequential import Sequential

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike


@names_memory
def load_model(
    path: PathLike,
    custom_objects: dict[str, type] | None = None,
    compile: bool = True,
    **others: Any,
) -> Sequential:
    """Return the model of a file that :meth:`Sequential.save` wrote.

    Nothing in the file is executed, and every name, shape and dtype is checked before memory is
    taken. A stateful layer has the state that it had when the model was saved, and continues from
    it; if the first call has another number of rows, that state is dropped with a warning.
    ``reset_state()`` drops it without one.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    custom_objects : dict of str to class, optional
        User-defined classes by their names: cells (:class:`gatewise.cells.RNNCell`), initializers,
        regularizers, constraints, losses, metrics and optimizers. None: there are none.
    compile : bool, default True
        False: leave out the loss, the metrics, the optimizer and the run.
    **others
        Arguments that Keras's ``load_model`` has. Values without effect are accepted, others
        refused.

    Returns
    -------
    Sequential
        The model, built and, if it was when saved, compiled.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged or holds something else.
    SizeError
        There is not enough memory.

    Examples
    --------
    >>> import os, tempfile
    >>> from gatewise import Sequential, layers, load_model
    >>> model = Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(1)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.safetensors")
    >>> model.save(path)
    >>> [layer.name for layer in load_model(path).layers] == [layer.name for layer in model.layers]
    True
    """
    checks.refuse_unknown_arguments(
        others, "load_model", "load_model", lambda: arguments_of(load_model)
    )
    compiled = checks.flag(compile, "compile")
    tensors, header = checkpoint.read(path)
    with custom_object_scope({} if custom_objects is None else custom_objects), file_errors(path):
        if "architecture" not in header:
            _refuse_other_contents(header)
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


def _refuse_other_contents(header: dict[str, Any]) -> None:
    if "weights" in header:
        raise CheckpointError("it holds weights alone: make the model and call its load_weights")
    if "estimator" in header:
        raise CheckpointError(
            "it holds an estimator: read it with gatewise.load_estimator, whose model_ is the model"
        )
    for kind in ("pipeline", "transformer"):
        if kind in header:
            raise CheckpointError(f"it holds a {kind}: read it with gatewise.load_estimator")


def model_of(tensors: dict[str, Array], header: dict[str, Any]) -> Sequential:
    """Return the model of what :func:`gatewise.models.saving.contents_of` gave.

    Call it inside :func:`gatewise.models.restoring.file_errors`: whatever it raises is a fault of
    the file.
    """
    model = unbuilt_model(header["architecture"])
    _refuse_other_shapes(model, tensors)
    model._make_parameters()
    run = take_run(header, tensors)
    names = [layer.name for layer in file_layers(model)]
    check_names(model, names, header, tensors)
    _set_weights(model, tensors)
    _restore_training(model, header, tensors)
    model.rng.bit_generator.state = model._checked_rng_state(header["rng"])
    restore_states(model, tensors, names)
    model._states_loaded()
    model._training_run = run
    return model


def _refuse_other_shapes(model: Sequential, tensors: dict[str, Array]) -> None:
    """Refuse weights in a file that are not those of its architecture, before memory is taken."""
    shapes = {name: array.shape for name, array in tensors.items() if name.startswith("weights/")}
    expected = weight_shapes(model)
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


def _set_weights(model: Sequential, tensors: dict[str, Array]) -> None:
    for layer in file_layers(model):
        names = [f"weights/{layer.name}/{spec.name}" for spec in layer._specs]
        for name in names:
            if tensors[name].dtype != model.dtype:
                raise CheckpointError(
                    f"{name} is {tensors[name].dtype}; the model is {model.dtype}"
                )
        layer.set_weights([tensors[name] for name in names])


def _restore_training(model: Sequential, header: dict[str, Any], tensors: dict[str, Array]) -> None:
    training = header.get("training")
    if training is None:
        return
    optimizer = optimizers.get(training["optimizer"])
    loss = training["loss"]
    if isinstance(loss, list):
        loss = [None if one is None else losses.get(one) for one in loss]
    else:
        loss = losses.get(loss)
    model._choose_training(
        optimizer,
        loss,
        _metrics_of(training["metrics"]),
        training.get("loss_weights"),
        _metrics_of(training["weighted_metrics"]) if "weighted_metrics" in training else None,
        fitting=True,
    )
    restore_optimizer(model, header, tensors)


def _metrics_of(configs: list[Any]) -> list[Any]:
    """Return metrics, or a list of them for each output."""
    return [
        _metrics_of(config) if isinstance(config, list) else metrics.get(config)
        for config in configs
    ]
