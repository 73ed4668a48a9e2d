"""An estimator to and from one file: what is written, and what is believed when it is read."""

import contextlib

import numpy as np
from sklearn.pipeline import Pipeline

from gatewise import checkpoint, checks, file_kinds
from gatewise.data.saving import is_transformer, pack_transformer, unpack_transformer
from gatewise.errors import CheckpointError, DTypeError
from gatewise.memory import names_memory
from gatewise.models import loading, restoring
from gatewise.models import saving as model_saving
from gatewise.utils import custom_object_scope

from .fitted import OF_THE_NETWORK, OF_TRAINING, parameters_in_use
from .packing import pack, unpack

DEEPEST = 8  # levels of pipelines inside a pipeline


@names_memory
def save_estimator(estimator, path):
    """Write an estimator, a transformer or a pipeline of them to one file, atomically: what :func:`load_estimator` reads.

    Nothing in the file is pickled. A function given as ``architecture`` is not kept, the layers
    that it made are. Requests for metadata are not kept, nor is a pipeline's ``memory``.

    Parameters
    ----------
    estimator : fitted estimator of gatewise, transformer of :mod:`gatewise.data`, or Pipeline
        The steps of a pipeline are estimators and transformers of gatewise, pipelines of them,
        ``"passthrough"`` or None.
    path : str or path-like

    Raises
    ------
    NotFittedError
    CheckpointError
        The file could not be written; an older file of that name is still whole.
    DTypeError
        A step, a parameter or a label is of a kind that files cannot hold; steps are named.
    """
    file_kinds.warn_of_ending(path)
    with contextlib.ExitStack() as moment:
        tensors, header = _contents_of(estimator, "", type(estimator).__name__, moment)
        content = checkpoint.content_of(path, tensors, header)
    checkpoint.replace(path, content)


def _contents_of(estimator, prefix, what, moment):
    """(tensors, header) of an estimator, transformer or pipeline; names of tensors begin with `prefix`.

    Models of it are held as they are until the ExitStack `moment` is left.
    """
    if isinstance(estimator, Pipeline) and type(estimator) is Pipeline:
        return _contents_of_pipeline(estimator, prefix, what, moment)
    if is_transformer(estimator):
        arrays = {}
        return arrays, {"transformer": pack_transformer(estimator, arrays, prefix)}
    if type(estimator) is not _classes().get(type(estimator).__name__):
        cure = "; give its best_estimator_" if hasattr(estimator, "best_estimator_") else ""
        raise DTypeError(
            f"{what} is a {type(estimator).__name__}, which files cannot hold; expected an"
            f" estimator or transformer of gatewise, or a pipeline of them{cure}"
        )
    estimator._need_fitted()
    names = estimator._get_param_names()
    attributes = {
        name: value
        for name, value in vars(estimator).items()
        if name not in (*names, *estimator._own_state, "model_", "_metadata_request")
    }
    for name in attributes:
        if name not in CHECKS:
            raise DTypeError(
                f"{type(estimator).__name__}.{name} is no attribute that files know of; delete it"
                " before saving"
            )
    arrays = {}
    packed = {
        "class_name": type(estimator).__name__,
        "parameters": {
            name: pack(getattr(estimator, name), arrays, _classes(), f"{prefix}parameters/{name}")
            for name in names
        },
        "attributes": {
            name: pack(value, arrays, _classes(), f"{prefix}attributes/{name}")
            for name, value in attributes.items()
        },
        "state": pack(estimator._get_state(), arrays, _classes(), f"{prefix}state"),
    }
    moment.enter_context(model_saving.at_one_moment(estimator.model_))
    tensors, header = model_saving.contents_of(estimator.model_)
    return {f"{prefix}model/{name}": array for name, array in tensors.items()} | arrays, {
        "estimator": packed,
        "model": header,
    }


def _contents_of_pipeline(pipeline, prefix, what, moment):
    if prefix.count("/") > DEEPEST:
        raise DTypeError(
            f"pipelines hold pipelines more than {DEEPEST} levels deep, which files do not hold"
        )
    if getattr(pipeline, "transform_input", None) is not None:
        raise DTypeError(f"{what} has transform_input, which files do not keep; leave it out")
    tensors, steps = {}, []
    for number, (name, step) in enumerate(pipeline.steps):
        header = {"passthrough": step is not None}
        if step is not None and not (isinstance(step, str) and step == "passthrough"):
            arrays, header = _contents_of(step, f"{prefix}step{number}/", f"step {name!r}", moment)
            tensors |= arrays
        steps.append({"name": name} | header)
    return tensors, {"pipeline": {"steps": steps, "verbose": bool(pipeline.verbose)}}


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
        restoring.file_errors(path),
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
    if packed["class_name"] not in _classes():
        raise CheckpointError(
            f"estimator class {packed['class_name']!r:.80} is not known; expected one of"
            f" {sorted(_classes())}"
        )
    cls = _classes()[packed["class_name"]]
    arrays = {name: mine.pop(name) for name in list(mine) if not name.startswith(f"{prefix}model/")}
    parameters, attributes = (
        {name: unpack(value, arrays, _classes()) for name, value in packed[part].items()}
        for part in ("parameters", "attributes")
    )
    state = unpack(packed["state"], arrays, _classes())
    _need_none(arrays)
    unknown = sorted(set(parameters) - set(cls._get_param_names()))
    if unknown:
        raise CheckpointError(f"the parameter {unknown[0]!r:.80} is none of a {cls.__name__}")
    _check_attributes(cls, attributes)
    estimator = cls(**parameters)
    vars(estimator).update(attributes)
    if "_fitted_parameters" not in attributes:  # a file of an older release
        estimator._fitted_parameters = parameters_in_use(estimator)
    estimator.model_ = loading.model_of(
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


def _classes():
    """dict of name to estimator class."""
    from gatewise import estimators

    found = (getattr(estimators, name) for name in estimators.__all__)
    return {
        value.__name__: value
        for value in found
        if isinstance(value, type) and hasattr(value, "_needed")
    }


# ---- what attributes may be


def _count(value, name):
    checks.whole_number(value, name, 0, 2**62)


def _real(value, name):
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{name} is {value!r:.80}; expected a number")


def _reals(value, name):
    for number, part in enumerate(checks.listed(value, name, "numbers")):
        _real(part, f"{name}[{number}]")


def _or_none(check):
    return lambda value, name: None if value is None else check(value, name)


def _array(kinds):
    def check(value, name):
        if (
            not isinstance(value, np.ndarray)
            or value.ndim != 1
            or value.dtype.kind not in kinds
            or not len(value)
        ):
            raise CheckpointError(f"{name} is {value!r:.80}; expected an array of one axis")

    return check


def _classes_array(value, name):
    _array("buifOU")(value, name)
    if len(value) > 1 and not (value[:-1] < value[1:]).all():
        raise CheckpointError(
            f"{name} is {value.tolist()!r:.80}; expected labels in order, each once"
        )


def _means(value, name):
    _array("f")(value, name)
    checks.finite(value, name)


def _reader(value, name):
    """The estimator that reads the targets of an encoder: it has no model."""
    if type(value).__name__ not in ("SequenceClassifier", "SequenceRegressor") or "model_" in vars(
        value
    ):
        raise CheckpointError(
            f"{name} is a {type(value).__name__}; expected a classifier or regressor"
        )
    names = value._get_param_names()
    vars(value).update(
        {
            name: default
            for name, default in type(value)().get_params(deep=False).items()
            if name not in vars(value)
        }
    )
    for attribute, held in vars(value).items():
        if attribute not in names:
            _check(attribute, held)


def _output_config(value, name):
    if not isinstance(value, dict) or not all(
        part is None or isinstance(part, str) for pair in value.items() for part in pair
    ):
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of text")


def _fitted_parameters(value, name):
    """Those of an estimator class; what they are is checked when its ``fit`` goes on, or X is read."""
    if not isinstance(value, dict) or not set(value) <= {*OF_THE_NETWORK, *OF_TRAINING}:
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of parameters")


CHECKS = {
    **dict.fromkeys(
        (
            "n_features_in_",
            "n_outputs_",
            "n_iter_",
            "t_",
            "vocabulary_size_",
            "_step_features",
            "_columns",
            "_encoding_layers",
            "_decoded_steps",
        ),
        _count,
    ),
    **dict.fromkeys(("_fitted_on_table", "_several", "_label_a_row", "_column"), checks.flag),
    "out_activation_": checks.text,
    "loss_": _real,
    "loss_curve_": _reals,
    "validation_scores_": _or_none(_reals),
    **dict.fromkeys(("best_loss_", "best_validation_score_"), _or_none(_real)),
    "classes_": _classes_array,
    "feature_names_in_": _array("O"),
    "feature_means_": _means,
    "_reader": _or_none(_reader),
    "_sklearn_output_config": _output_config,
    "_fitted_parameters": _fitted_parameters,
}


def _check(name, value):
    if name not in CHECKS:
        raise CheckpointError(f"attribute {name!r:.80} is not known")
    CHECKS[name](value, name)


def _check_attributes(cls, attributes):
    for name in cls._needed:
        if name not in attributes:
            raise CheckpointError(f"attribute {name!r} of a {cls.__name__} is missing")
    for name, value in attributes.items():
        _check(name, value)


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
