"""Metrics: what a person can read of how good predictions are. Names, arguments and formulas are Keras's."""

from gatewise.configuration import config_of, object_of
from gatewise.errors import ConfigError, DTypeError, did_you_mean

from .accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from .auc import AUC
from .base import Metric
from .confusion import F1Score, FBetaScore, Precision, Recall
from .labels import LabelErrorRate
from .probabilistic import Perplexity
from .regression import (
    CosineSimilarity,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
    SymmetricMeanAbsolutePercentageError,
)

_CLASSES = (
    AUC,
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    CosineSimilarity,
    F1Score,
    FBetaScore,
    LabelErrorRate,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Perplexity,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    SymmetricMeanAbsolutePercentageError,
    TopKCategoricalAccuracy,
)

__all__ = ["Metric", "get", "serialize", *(cls.__name__ for cls in _CLASSES)]

_SHORT = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "smape": SymmetricMeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "rmse": RootMeanSquaredError,
}
_BY_NAME = (
    _SHORT | {name.upper(): cls for name, cls in _SHORT.items()} | {"f_beta_score": FBetaScore}
)
_BY_NAME |= {cls.default_name: cls for cls in _CLASSES} | {cls.__name__: cls for cls in _CLASSES}


def get(identifier, loss=None, outputs=None):
    """A metric from a name, a saved configuration, a class or a metric.

    "accuracy" and "acc" mean the accuracy that fits the loss and the number of outputs, as in
    Keras.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, str):
        if identifier in ("accuracy", "acc"):
            return _fitting_accuracy(loss, outputs)(name=identifier)
        if identifier not in _BY_NAME:
            raise ConfigError(
                f"metric {identifier!r} is not known; choose one of acc,"
                f" {', '.join(sorted(_BY_NAME))}"
                + did_you_mean(identifier, ["accuracy", "acc", *_BY_NAME])
            )
        return _BY_NAME[identifier](
            name=None if identifier == _BY_NAME[identifier].__name__ else identifier
        )
    if isinstance(identifier, dict):
        return object_of(identifier, Metric, _BY_NAME, "metric")
    own = (
        "; docs/losses-and-metrics.md shows how to write one of your own"
        if callable(identifier)
        else ""
    )
    raise DTypeError(f"metric is {identifier!r}; expected a name or a gatewise.metrics object{own}")


def _fitting_accuracy(loss, outputs):
    if loss is not None and loss.sparse:
        return SparseCategoricalAccuracy
    return BinaryAccuracy if outputs == 1 else CategoricalAccuracy


def direction_of(name):
    """ "up", "down" or None: what is better of a metric of this name."""
    return "up" if name == "acc" else getattr(_BY_NAME.get(name), "direction", None)


def serialize(metric):
    """What :func:`get` reads back, as JSON values."""
    return config_of(metric, _BY_NAME)
