"""Accuracies: the part of positions that are right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks

from ..targets import ROUNDING, MissedUnlessYesOrNo, OneLargest
from .sums import MeanMetric, class_numbers

if TYPE_CHECKING:
    from gatewise._typing import Array, Config


class Accuracy(MeanMetric):
    """Share of outputs that equal the target.

    Parameters
    ----------
    name : str, optional
        Default "accuracy".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import Accuracy
    >>> Accuracy()([[1], [2]], [[1], [3]])
    0.5
    """

    default_name = "accuracy"
    direction: str | None = "up"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return (y_pred == y_true).mean(axis=-1)


class BinaryAccuracy(MeanMetric):
    """Share of outputs on the target's side of the threshold.

    Targets are 0 or 1. Any other number counts as missed, as in Keras, with a warning.

    Parameters
    ----------
    name : str, optional
        Default "binary_accuracy".
    threshold : float, default 0.5
        Outputs above it count as 1.

    Examples
    --------
    >>> from gatewise.metrics import BinaryAccuracy
    >>> BinaryAccuracy()([[1], [0]], [[0.8], [0.6]])
    0.5
    """

    threshold: float
    default_name = "binary_accuracy"
    _takes = MissedUnlessYesOrNo()
    direction: str | None = "up"
    _elementwise = True

    def __init__(self, name: str | None = None, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = checks.number(threshold, "threshold")

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return (np.abs((y_pred > self.threshold) - y_true) <= ROUNDING).mean(axis=-1)

    def get_config(self) -> Config:
        return super().get_config() | {"threshold": self.threshold}


class CategoricalAccuracy(MeanMetric):
    """Share of positions whose largest output is the class of the one-hot target.

    Parameters
    ----------
    name : str, optional
        Default "categorical_accuracy".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import CategoricalAccuracy
    >>> CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]])
    0.5
    """

    default_name = "categorical_accuracy"
    _takes = OneLargest()
    direction: str | None = "up"

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return (y_true.argmax(axis=-1) == y_pred.argmax(axis=-1)).astype(np.float64)


class SparseCategoricalAccuracy(MeanMetric):
    """Share of positions whose largest output is the class with the target's number.

    Parameters
    ----------
    name : str, optional
        Default "sparse_categorical_accuracy".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import SparseCategoricalAccuracy
    >>> SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.3, 0.7]])
    0.5
    """

    default_name = "sparse_categorical_accuracy"
    direction: str | None = "up"
    _sparse = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        classes = class_numbers(y_true, y_pred.shape[-1], self.name)
        return (classes == y_pred.argmax(axis=-1)).astype(np.float64)


class _TopK(MeanMetric):
    """What both top-k accuracies share: k, and hits by class numbers."""

    k: int
    direction: str | None = "up"

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        self.k = checks.whole_number(k, "k")

    def _hits(self, classes: Array, y_pred: Array) -> Array:
        of_class = np.take_along_axis(y_pred, classes[:, None], axis=-1)
        larger = ~(y_pred <= of_class)  # NaN too: an output that is none is no hit
        return (larger.sum(axis=-1) < self.k).astype(np.float64)

    def get_config(self) -> Config:
        return super().get_config() | {"k": self.k}


class TopKCategoricalAccuracy(_TopK):
    """Share of positions whose one-hot target is among the k largest outputs.

    Outputs as large as the k-th are included.

    Parameters
    ----------
    k : int, default 5
        Number of outputs that are looked at.
    name : str, optional
        Default "top_k_categorical_accuracy".

    Examples
    --------
    >>> from gatewise.metrics import TopKCategoricalAccuracy
    >>> TopKCategoricalAccuracy(k=2)([[0, 0, 1]], [[0.5, 0.2, 0.3]])
    1.0
    """

    default_name = "top_k_categorical_accuracy"
    _takes = OneLargest()

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return self._hits(y_true.argmax(axis=-1), y_pred)


class SparseTopKCategoricalAccuracy(_TopK):
    """Share of positions whose class number is among the k largest outputs.

    Outputs as large as the k-th are included.

    Parameters
    ----------
    k : int, default 5
        Number of outputs that are looked at.
    name : str, optional
        Default "sparse_top_k_categorical_accuracy".
    from_sorted_ids : bool, default False
        Whether predictions are not scores but class numbers, the likeliest first.

    Examples
    --------
    >>> from gatewise.metrics import SparseTopKCategoricalAccuracy
    >>> SparseTopKCategoricalAccuracy(k=2)([2], [[0.5, 0.2, 0.3]])
    1.0
    """

    from_sorted_ids: bool
    default_name = "sparse_top_k_categorical_accuracy"
    _sparse = True

    def __init__(self, k: int = 5, name: str | None = None, from_sorted_ids: bool = False) -> None:
        super().__init__(k, name)
        self.from_sorted_ids = checks.flag(from_sorted_ids, "from_sorted_ids")

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        if self.from_sorted_ids:
            return (y_pred[:, : self.k] == y_true[:, None]).any(axis=-1).astype(np.float64)
        return self._hits(class_numbers(y_true, y_pred.shape[-1], self.name), y_pred)

    def get_config(self) -> Config:
        return super().get_config() | {"from_sorted_ids": self.from_sorted_ids}
