"""Accuracies: the part of positions that are right."""

import numpy as np

from gatewise import checks

from ..targets import ROUNDING, MissedUnlessYesOrNo, OneLargest
from .base import MeanMetric, class_numbers


class Accuracy(MeanMetric):
    """Part of outputs that equal the target."""

    default_name = "accuracy"
    direction = "up"
    elementwise = True

    def _positions(self, y_true, y_pred):
        return (y_pred == y_true).mean(axis=-1)


class BinaryAccuracy(MeanMetric):
    """Part of outputs on the target's side of the threshold.

    Targets are 0 or 1. Any other number counts as missed, as in Keras, with a warning.

    Parameters
    ----------
    threshold : float
    """

    default_name = "binary_accuracy"
    takes = MissedUnlessYesOrNo()
    direction = "up"
    elementwise = True

    def __init__(self, name=None, threshold=0.5):
        super().__init__(name)
        self.threshold = checks.number(threshold, "threshold")

    def _positions(self, y_true, y_pred):
        return (np.abs((y_pred > self.threshold) - y_true) <= ROUNDING).mean(axis=-1)

    def get_config(self):
        return super().get_config() | {"threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """Part of positions whose largest output is the class of the one-hot target."""

    default_name = "categorical_accuracy"
    takes = OneLargest()
    direction = "up"

    def _positions(self, y_true, y_pred):
        return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(np.float64)


class SparseCategoricalAccuracy(MeanMetric):
    """Part of positions whose largest output is the class with the target's number."""

    default_name = "sparse_categorical_accuracy"
    direction = "up"
    sparse = True

    def _positions(self, y_true, y_pred):
        classes = class_numbers(y_true, y_pred.shape[-1], self.name)
        return (classes == y_pred.argmax(axis=-1)).astype(np.float64)


class _TopK(MeanMetric):
    """What both top-k accuracies share: k, and hits by class numbers."""

    direction = "up"

    def __init__(self, k=5, name=None):
        super().__init__(name)
        self.k = checks.whole_number(k, "k")

    def _hits(self, classes, y_pred):
        of_class = np.take_along_axis(y_pred, classes[:, None], axis=-1)
        larger = ~(y_pred <= of_class)  # NaN too: an output that is none is no hit
        return (larger.sum(axis=-1) < self.k).astype(np.float64)

    def get_config(self):
        return super().get_config() | {"k": self.k}


class TopKCategoricalAccuracy(_TopK):
    """Part of positions whose one-hot target is among the k largest outputs, those as large as the k-th included.

    Parameters
    ----------
    k : int
    name : str, optional
    """

    default_name = "top_k_categorical_accuracy"
    takes = OneLargest()

    def _positions(self, y_true, y_pred):
        return self._hits(y_true.argmax(axis=-1), y_pred)


class SparseTopKCategoricalAccuracy(_TopK):
    """Part of positions whose class number is among the k largest outputs, those as large as the k-th included.

    Parameters
    ----------
    k : int
    name : str, optional
    from_sorted_ids : bool
        Predictions are not scores but class numbers, the likeliest first.
    """

    default_name = "sparse_top_k_categorical_accuracy"
    sparse = True

    def __init__(self, k=5, name=None, from_sorted_ids=False):
        super().__init__(k, name)
        self.from_sorted_ids = checks.flag(from_sorted_ids, "from_sorted_ids")

    def _positions(self, y_true, y_pred):
        if self.from_sorted_ids:
            return (y_pred[:, : self.k] == y_true[:, None]).any(axis=-1).astype(np.float64)
        return self._hits(class_numbers(y_true, y_pred.shape[-1], self.name), y_pred)

    def get_config(self):
        return super().get_config() | {"from_sorted_ids": self.from_sorted_ids}
