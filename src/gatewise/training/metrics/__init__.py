"""Metrics: what a person can read of how good predictions are. Names, arguments and formulas are Keras's."""

from gatewise.registry import Registry

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
METRICS: Registry[Metric] = Registry(
    "metric",
    Metric,
    _CLASSES,
    _SHORT
    | {name.upper(): cls for name, cls in _SHORT.items()}
    | {"f_beta_score": FBetaScore}
    | {cls.default_name: cls for cls in _CLASSES},
    namespace="gatewise.metrics",
    guide="docs/losses-and-metrics.md",
)


def get(identifier, loss=None, outputs=None):
    """A metric from a name, a saved configuration, a class or a metric.

    "accuracy" and "acc" mean the accuracy that fits the loss and the number of outputs, as in
    Keras.
    """
    if not isinstance(identifier, str):
        return METRICS.get(identifier)
    if identifier in ("accuracy", "acc"):
        return _fitting_accuracy(loss, outputs)(name=identifier)
    cls = METRICS.class_named(identifier)
    return cls(name=None if identifier == cls.__name__ else identifier)


def _fitting_accuracy(loss, outputs):
    if loss is not None and loss.sparse:
        return SparseCategoricalAccuracy
    return BinaryAccuracy if outputs == 1 else CategoricalAccuracy


def direction_of(name):
    """ "up", "down" or None: what is better of a metric of this name."""
    return "up" if name == "acc" else getattr(METRICS.names.get(name), "direction", None)


def serialize(metric):
    """What :func:`get` reads back, as JSON values."""
    return METRICS.serialize(metric)
