"""An estimator, a transformer or a pipeline of them made from a file."""

from sklearn.pipeline import Pipeline

from gatewise import checkpoint, checks
from gatewise.data.saving import unpack_transformer
from gatewise.errors import CheckpointError
from gatewise.memory import names_memory
from gatewise.models.loading import model_of
from gatewise.models.restoring import file_errors
from gatewise.utils import custom_object_scope

from .attributes_in_files import OF_TARGETS, check_attributes, reader_of_older_releases
from .fitted import parameters_in_use
from .packing import unpack
from .registry import CLASSES
from .saving import DEEPEST


@names_memory
def load_estimator(path, custom_objects=None):
    """The estimator, transformer or pipeline of a file that :func:`save_estimator` or its ``save`` wrote.

    Nothing in the file is executed, and names, shapes and types are checked. A parameter that the
    file does not hold, since it is younger than the release that wrote the file, has its default.

    Parameters
    ----------
    path : str or path-like
    custom_objects : dict of str to class, optional
        Cells (:class:`gatewise.cells.RNNCell`), initializers, regularizers, constraints, losses,
        metrics and optimizers of one's own, by the names of their classes.

    Returns
    -------
    SequenceEstimator, transformer of :mod:`gatewise.data`, or Pipeline

    Raises
    ------
    CheckpointError
        The file is damaged or holds something else.
    """
    tensors, header = checkpoint.read(path)
    with (
        custom_object_scope({} if custom_objects is None else custom_objects),
        file_errors(path),
    ):
        if not {"estimator", "transformer", "pipeline"} & set(header):
            raise CheckpointError("it holds no estimator; a model is read with gatewise.load_model")
        estimator = _from_contents(tensors, header)
        if tensors:
            raise CheckpointError(
                f"tensor {next(iter(tensors))!r:.200} belongs to nothing in the estimator"
            )
    return estimator


def _from_contents(tensors, header, prefix="", depth=0):
    """The estimator, transformer or pipeline of :func:`_contents_of`; its tensors are taken out of `tensors`."""
    if "pipeline" in header:
        if depth > DEEPEST:
            raise CheckpointError(f"pipelines hold pipelines more than {DEEPEST} levels deep")
        return _pipeline_of(tensors, header["pipeline"], prefix, depth + 1)
    mine = {name: tensors.pop(name) for name in list(tensors) if name.startswith(prefix)}
    if "transformer" in header:
        transformer = unpack_transformer(header["transformer"], mine)
        _need_none(mine)
        return transformer
    packed = header["estimator"]
    if packed["class_name"] not in CLASSES:
        raise CheckpointError(
            f"estimator class {packed['class_name']!r:.80} is not known; expected one of"
            f" {sorted(CLASSES)}"
        )
    cls = CLASSES[packed["class_name"]]
    arrays = {name: mine.pop(name) for name in list(mine) if not name.startswith(f"{prefix}model/")}
    parameters, attributes = (
        {name: unpack(value, arrays, CLASSES) for name, value in packed[part].items()}
        for part in ("parameters", "attributes")
    )
    state = unpack(packed["state"], arrays, CLASSES)
    _need_none(arrays)
    unknown = sorted(set(parameters) - set(cls._get_param_names()))
    if unknown:
        raise CheckpointError(f"the parameter {unknown[0]!r:.80} is none of a {cls.__name__}")
    if "_reader" in attributes:
        attributes["_reader"] = reader_of_older_releases(attributes["_reader"])
    check_attributes(cls, attributes)
    estimator = cls(**parameters)
    vars(estimator).update(attributes)
    if "_fitted_parameters" not in attributes:  # a file of an older release
        estimator._fitted_parameters = parameters_in_use(estimator)
    for name in OF_TARGETS:
        vars(estimator).pop(name, None)
    estimator._restore_target(attributes)
    estimator.model_ = model_of(
        {name.removeprefix(f"{prefix}model/"): array for name, array in mine.items()},
        header["model"],
    )
    _check_model(estimator)
    estimator._set_state(state)
    return estimator


def _need_none(arrays):
    if arrays:
        raise CheckpointError(
            f"tensor {next(iter(arrays))!r:.200} belongs to nothing in the estimator"
        )


def _pipeline_of(tensors, packed, prefix, depth):
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


def _check_model(estimator):
    """The attributes fit the model that came with them."""
    model = estimator.model_
    if model.output_shape[-1] != estimator.n_outputs_:
        raise CheckpointError(
            f"the model has {model.output_shape[-1]} outputs, the estimator {estimator.n_outputs_}"
        )
    classes = getattr(estimator, "classes_", None)
    if classes is not None and estimator.n_outputs_ not in (
        {len(classes)} if len(classes) != 2 else {1, 2}
    ):
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
