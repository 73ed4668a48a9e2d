"""An estimator to and from one file: what is written, and what is believed when it is read."""

import numpy as np

from gatewise import checkpoint, checks
from gatewise.errors import CheckpointError, DTypeError
from gatewise.models import saving as models
from gatewise.utils import custom_object_scope

from .fitted import OF_THE_NETWORK, OF_TRAINING, parameters_in_use
from .packing import pack, unpack


def save_estimator(estimator, path):
    """See :meth:`SequenceEstimator.save`."""
    names = estimator._get_param_names()
    attributes = {name: value for name, value in vars(estimator).items()
                  if name not in (*names, *estimator._own_state, "model_", "_metadata_request")}
    for name in attributes:
        if name not in CHECKS:
            raise DTypeError(f"{type(estimator).__name__}.{name} is no attribute that files know of; delete it before saving")
    arrays = {}
    packed = {"class_name": type(estimator).__name__,
              "parameters": {name: pack(getattr(estimator, name), arrays, _classes(), f"parameters/{name}") for name in names},
              "attributes": {name: pack(value, arrays, _classes(), f"attributes/{name}") for name, value in attributes.items()},
              "state": pack(estimator._get_state(), arrays, _classes(), "state")}
    with models.at_one_moment(estimator.model_):
        tensors, header = models.contents_of(estimator.model_)
        content = checkpoint.content_of(path, {f"model/{name}": array for name, array in tensors.items()} | arrays,
                                        {"estimator": packed, "model": header})
    checkpoint.replace(path, content)


def load_estimator(path, custom_objects=None):
    """The estimator of a file that its ``save`` wrote.

    Nothing in the file is executed, and names, shapes and types are checked. A parameter that the file does not hold, since it is
    younger than the release that wrote the file, has its default.

    Parameters
    ----------
    path : str or path-like
    custom_objects : dict of str to class, optional
        Cells (:class:`gatewise.cells.RNNCell`), initializers, regularizers, constraints, losses, metrics and optimizers of
        one's own, by the names of their classes.

    Returns
    -------
    SequenceEstimator

    Raises
    ------
    CheckpointError
        The file is damaged or holds something else.
    """
    tensors, header = checkpoint.read(path)
    with custom_object_scope({} if custom_objects is None else custom_objects), models.blaming(path):
        if "estimator" not in header:
            raise CheckpointError("it holds no estimator; a model is read with gatewise.load_model")
        packed = header["estimator"]
        if packed["class_name"] not in _classes():
            raise CheckpointError(f"estimator class {packed['class_name']!r:.80} is not known; expected one of "
                                  f"{sorted(_classes())}")
        cls = _classes()[packed["class_name"]]
        arrays = {name: tensors.pop(name) for name in list(tensors) if not name.startswith("model/")}
        parameters, attributes = ({name: unpack(value, arrays, _classes()) for name, value in packed[part].items()}
                                  for part in ("parameters", "attributes"))
        state = unpack(packed["state"], arrays, _classes())
        if arrays:
            raise CheckpointError(f"tensor {next(iter(arrays))!r:.200} belongs to nothing in the estimator")
        unknown = sorted(set(parameters) - set(cls._get_param_names()))
        if unknown:
            raise CheckpointError(f"the parameter {unknown[0]!r:.80} is none of a {cls.__name__}")
        _check_attributes(cls, attributes)
        estimator = cls(**parameters)
        vars(estimator).update(attributes)
        if "_fitted_parameters" not in attributes:  # a file of an older release
            estimator._fitted_parameters = parameters_in_use(estimator)
        estimator.model_ = models.model_of({name.removeprefix("model/"): array for name, array in tensors.items()}, header["model"])
        _check_model(estimator)
        estimator._set_state(state)
    return estimator


def _classes():
    """dict of name to estimator class."""
    from gatewise import estimators

    found = (getattr(estimators, name) for name in estimators.__all__)
    return {value.__name__: value for value in found if isinstance(value, type) and hasattr(value, "_needed")}


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
        if not isinstance(value, np.ndarray) or value.ndim != 1 or value.dtype.kind not in kinds or not len(value):
            raise CheckpointError(f"{name} is {value!r:.80}; expected an array of one axis")
    return check


def _classes_array(value, name):
    _array("buifOU")(value, name)
    if len(value) > 1 and not (value[:-1] < value[1:]).all():
        raise CheckpointError(f"{name} is {value.tolist()!r:.80}; expected labels in order, each once")


def _means(value, name):
    _array("f")(value, name)
    checks.finite(value, name)


def _reader(value, name):
    """The estimator that reads the targets of an encoder: it has no model."""
    if type(value).__name__ not in ("SequenceClassifier", "SequenceRegressor") or "model_" in vars(value):
        raise CheckpointError(f"{name} is a {type(value).__name__}; expected a classifier or regressor")
    names = value._get_param_names()
    vars(value).update({name: default for name, default in type(value)().get_params(deep=False).items() if name not in vars(value)})
    for attribute, held in vars(value).items():
        if attribute not in names:
            _check(attribute, held)


def _output_config(value, name):
    if not isinstance(value, dict) or not all(part is None or isinstance(part, str) for pair in value.items() for part in pair):
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of text")


def _fitted_parameters(value, name):
    """Those of an estimator class; what they are is checked when its ``fit`` goes on, or X is read."""
    if not isinstance(value, dict) or not set(value) <= {*OF_THE_NETWORK, *OF_TRAINING}:
        raise CheckpointError(f"{name} is {value!r:.80}; expected a dict of parameters")


CHECKS = {
    **dict.fromkeys(("n_features_in_", "n_outputs_", "n_iter_", "t_", "vocabulary_size_", "_step_features", "_columns",
                     "_encoding_layers", "_decoded_steps"), _count),
    **dict.fromkeys(("_fitted_on_table", "_several", "_label_a_row", "_column"), checks.flag),
    "out_activation_": checks.text, "loss_": _real, "loss_curve_": _reals, "validation_scores_": _or_none(_reals),
    **dict.fromkeys(("best_loss_", "best_validation_score_"), _or_none(_real)),
    "classes_": _classes_array, "feature_names_in_": _array("O"), "feature_means_": _means, "_reader": _or_none(_reader),
    "_sklearn_output_config": _output_config, "_fitted_parameters": _fitted_parameters,
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
        raise CheckpointError(f"the model has {model.output_shape[-1]} outputs, the estimator {estimator.n_outputs_}")
    classes = getattr(estimator, "classes_", None)
    if classes is not None and estimator.n_outputs_ not in ({len(classes)} if len(classes) != 2 else {1, 2}):
        raise CheckpointError(f"the model has {estimator.n_outputs_} outputs, and there are {len(classes)} classes")
    if not 0 <= getattr(estimator, "_encoding_layers", 1) - 1 < len(model.layers):
        raise CheckpointError(f"the encoding comes from layer {estimator._encoding_layers}; the model has {len(model.layers)}")
    for needed, why in (("vocabulary_size_", estimator._in_use("embedding") is not None),
                        ("feature_means_", estimator._in_use("missing") != "error")):
        if why and not hasattr(estimator, needed):
            raise CheckpointError(f"attribute {needed!r} is missing")
