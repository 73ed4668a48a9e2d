"""An estimator, a transformer or a pipeline of them made from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sklearn.pipeline import Pipeline

from gatewise import checkpoint, checks
from gatewise.data.loading import unpack_transformer
from gatewise.errors import CheckpointError
from gatewise.memory import names_memory
from gatewise.models.loading import model_of
from gatewise.models.restoring import file_errors
from gatewise.utils import custom_object_scope

from .attributes_in_files import OF_TARGETS, check_attributes, known_of_y
from .fitted import parameters_in_use
from .packing import VALUES
from .registry import CLASSES
from .saving import DEEPEST

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike

    from .base import SequenceEstimator


@names_memory
def load_estimator(path: PathLike, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return what :func:`save_estimator`, or the ``save`` of an estimator or transformer, wrote.

    Nothing in the file is executed, and names, shapes and types are checked. A parameter that the
    file does not hold, since it is younger than the release that wrote the file, has its default.

    Parameters
    ----------
    path : str or path-like
        The file to read.
    custom_objects : dict of str to class or function, optional
        User-defined classes by their names: cells (:class:`gatewise.cells.RNNCell`), initializers,
        regularizers, constraints, losses, metrics and optimizers; functions that cut or join texts
        (:class:`gatewise.data.Vocabulary`). None: there are none.

    Returns
    -------
    SequenceEstimator, transformer of :mod:`gatewise.data`, or Pipeline
        What was saved, fitted.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged or holds something else.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from gatewise import load_estimator
    >>> from gatewise.data import SequenceScaler
    >>> path = os.path.join(tempfile.mkdtemp(), "scaler.safetensors")
    >>> SequenceScaler().fit(np.arange(12.0).reshape(2, 3, 2)).save(path)
    >>> load_estimator(path).transform(np.arange(12.0).reshape(2, 3, 2)).shape
    (2, 3, 2)
    """
    tensors, header = checkpoint.read(path)
    with (
        custom_object_scope({} if custom_objects is None else custom_objects),
        file_errors(path),
    ):
        if not {"estimator", "transformer", "pipeline"} & set(header):
            raise CheckpointError("it holds no estimator; a model is read with gatewise.load_model")
        estimator = _from_contents(tensors, header)
        _need_none(tensors)
    return estimator


def _from_contents(
    tensors: dict[str, Array], header: dict[str, Any], prefix: str = "", depth: int = 0
) -> Any:
    """An estimator, transformer or pipeline of a header; its tensors are taken out of `tensors`."""
    if "pipeline" in header:
        if depth > DEEPEST:
            raise CheckpointError(f"pipelines hold pipelines more than {DEEPEST} levels deep")
        return _pipeline_of(tensors, header["pipeline"], prefix, depth + 1)
    mine = {name: tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    if "transformer" in header:
        transformer = unpack_transformer(header["transformer"], mine)
        _need_none(mine)
        return transformer
    return _estimator_of(header["estimator"], header["model"], mine, prefix)


def _estimator_of(
    packed: dict[str, Any], model_header: dict[str, Any], tensors: dict[str, Array], prefix: str
) -> SequenceEstimator:
    """The estimator of its part of a header and its tensors."""
    if packed["class_name"] not in CLASSES:
        raise CheckpointError(
            f"estimator class {packed['class_name']!r:.80} is not known; expected one of"
            f" {sorted(CLASSES)}"
        )
    cls: Any = CLASSES[packed["class_name"]]
    if hasattr(cls, "_of_contents"):  # a class with a form of its own
        return cls._of_contents(packed, model_header, tensors, prefix)
    of_model = f"{prefix}model/"
    arrays = {name: array for name, array in tensors.items() if not name.startswith(of_model)}
    parameters, attributes = (
        {name: VALUES.decode(value, arrays) for name, value in packed[part].items()}
        for part in ("parameters", "attributes")
    )
    state = VALUES.decode(packed["state"], arrays)
    _need_none(arrays)
    unknown = sorted(set(parameters) - set(cls._get_param_names()))
    if unknown:
        raise CheckpointError(f"the parameter {unknown[0]!r:.80} is none of a {cls.__name__}")
    if "_reader" in attributes:
        attributes["_reader"] = known_of_y(attributes["_reader"])
    check_attributes(cls, attributes)
    estimator: Any = cls(**parameters)
    vars(estimator).update(attributes)
    if "_fitted_parameters" not in attributes:  # a file of an older release
        estimator._fitted_parameters = parameters_in_use(estimator)
    for name in OF_TARGETS:
        vars(estimator).pop(name, None)
    estimator._restore_target(attributes)
    model_tensors = {
        name.removeprefix(of_model): array
        for name, array in tensors.items()
        if name.startswith(of_model)
    }
    estimator.model_ = model_of(model_tensors, model_header)
    _check_model(estimator)
    estimator._set_state(state)
    return estimator


def _need_none(arrays: dict[str, Array]) -> None:
    """Refuse tensors that are left when everything has been read."""
    if arrays:
        raise CheckpointError(
            f"tensor {next(iter(arrays))!r:.200} belongs to nothing in the estimator"
        )


def _pipeline_of(
    tensors: dict[str, Array], packed: dict[str, Any], prefix: str, depth: int
) -> Pipeline:
    steps = []
    for number, header in enumerate(checks.listed(packed["steps"], "steps", "steps of a pipeline")):
        name = checks.text(header["name"], "the name of a step")
        if "passthrough" in header:
            steps.append(
                (name, "passthrough" if checks.flag(header["passthrough"], "passthrough") else None)
            )
        else:
            steps.append((name, _from_contents(tensors, header, f"{prefix}step{number}/", depth)))
    if not steps or len({name for name, _ in steps}) < len(steps):
        raise CheckpointError(
            f"a pipeline has the steps {[name for name, _ in steps]!r:.100}; expected different"
            " names"
        )
    return Pipeline(steps, verbose=checks.flag(packed["verbose"], "verbose"))


def _check_model(estimator: SequenceEstimator) -> None:
    """Refuse attributes that do not fit the model that came with them."""
    model = estimator.model_
    if model.output_shape[-1] != estimator.n_outputs_:
        raise CheckpointError(
            f"the model has {model.output_shape[-1]} outputs, the estimator {estimator.n_outputs_}"
        )
    classes = getattr(estimator, "classes_", None)
    if classes is not None and estimator.n_outputs_ not in estimator._outputs_for(len(classes)):
        raise CheckpointError(
            f"the model has {estimator.n_outputs_} outputs, and there are {len(classes)} classes"
        )
    if not 0 <= getattr(estimator, "_encoding_layers", 1) - 1 < len(model.layers):
        raise CheckpointError(
            f"the encoding comes from layer {estimator._encoding_layers}; the model has"
            f" {len(model.layers)}"
        )
    for needed, why in (
        ("vocabulary_size_", estimator._in_use("embedding") is not None),
        ("feature_means_", estimator._in_use("missing") != "error"),
    ):
        if why and not hasattr(estimator, needed):
            raise CheckpointError(f"attribute {needed!r} is missing")
