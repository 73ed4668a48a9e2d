"""Metrics: numbers for people, of how good predictions are.

Names, arguments and formulas are Keras's. :func:`bleu` and :func:`token_error_rate`, which Keras
does not have, compare sequences of any length; they are functions, for use after training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from .translation import bleu, token_error_rate

if TYPE_CHECKING:
    from gatewise._typing import Config
    from gatewise.training.losses import Loss

_CLASSES: tuple[type[Metric], ...] = (
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

__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "LabelErrorRate",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Perplexity",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "SymmetricMeanAbsolutePercentageError",
    "TopKCategoricalAccuracy",
    "bleu",
    "get",
    "serialize",
    "token_error_rate",
]

_SHORT: dict[str, type[Metric]] = {
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


def get(
    identifier: str | Config | type[Metric] | Metric,
    loss: Loss | None = None,
    outputs: int | None = None,
) -> Metric:
    """A metric from a name, a class, a saved configuration or a metric.

    Parameters
    ----------
    identifier : str, dict, type or Metric
        A name such as ``"mae"``, ``"mean_absolute_error"`` or ``"MeanAbsoluteError"``; what
        :func:`serialize` returned; a class, which is made with its defaults; or a metric, which is
        returned itself. "accuracy" and "acc" mean the accuracy that fits the loss and the number of
        outputs, as in Keras.
    loss : Loss, optional
        Loss of the model, for "accuracy".
    outputs : int, optional
        Number of outputs of the model, for "accuracy".

    Returns
    -------
    Metric
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import metrics
    >>> metrics.get("mae").name
    'mae'
    """
    if not isinstance(identifier, str):
        return METRICS.get(identifier)
    if identifier in ("accuracy", "acc"):
        return _fitting_accuracy(loss, outputs)(name=identifier)
    cls = METRICS.class_named(identifier)
    return cls(name=None if identifier == cls.__name__ else identifier)


def _fitting_accuracy(loss: Loss | None, outputs: int | None) -> type[Metric]:
    if loss is not None and loss._sparse:
        return SparseCategoricalAccuracy
    return BinaryAccuracy if outputs == 1 else CategoricalAccuracy


def direction_of(name: str) -> str | None:
    """Which values of a metric of this name are better: "up", "down", or None if not known."""
    return "up" if name == "acc" else getattr(METRICS.names.get(name), "direction", None)


def serialize(metric: Metric) -> Config:
    """The class and arguments of a metric as JSON values, which :func:`get` reads.

    Parameters
    ----------
    metric : Metric
        The metric to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or lacks an argument.

    Examples
    --------
    >>> from gatewise import metrics
    >>> metrics.serialize(metrics.MeanAbsoluteError())
    {'class_name': 'MeanAbsoluteError', 'config': {'name': 'mean_absolute_error'}}
    """
    return METRICS.serialize(metric)
