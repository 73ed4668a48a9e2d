"""Metrics of predicted probabilities."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks

from ..targets import Distribution
from .sums import MeanMetric, class_numbers

if TYPE_CHECKING:
    from gatewise._typing import Array, Config

EPSILON = 1e-7  # probabilities are kept this far from 0 and 1, as in Keras


class Perplexity(MeanMetric):
    """Exponential of the mean cross-entropy: a number of equally likely classes.

    Parameters
    ----------
    from_logits : bool, default False
        Whether predictions are scores before a softmax, not probabilities. Probabilities below 1e-7
        count as 1e-7; scores have no such bound.
    name : str, optional
        Default "perplexity".

    Examples
    --------
    >>> from gatewise.metrics import Perplexity
    >>> round(Perplexity()([1], [[0.25, 0.25, 0.25, 0.25]]), 4)
    4.0
    """

    from_logits: bool
    default_name = "perplexity"
    direction: str | None = "down"
    _sparse = None
    _takes = Distribution()

    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits = checks.flag(from_logits, "from_logits")

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        logarithms = self._logarithms(y_pred.astype(np.float64))
        if y_true.ndim == 1:
            classes = class_numbers(y_true, y_pred.shape[-1], self.name)
            return -np.take_along_axis(logarithms, classes[:, None], axis=-1)[:, 0]
        return -(y_true * logarithms).sum(axis=-1)

    def _logarithms(self, y_pred: Array) -> Array:
        if self.from_logits:
            scores = y_pred - y_pred.max(axis=-1, keepdims=True)
            return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        return np.log(np.clip(y_pred / y_pred.sum(axis=-1, keepdims=True), EPSILON, 1 - EPSILON))

    def result(self) -> float:
        """The perplexity so far; 0.0 before any batch.

        Returns
        -------
        float
            From 1.
        """
        if not self._sums["weight"]:
            return 0.0
        try:
            return math.exp(super().result())
        except OverflowError:
            return math.inf

    def get_config(self) -> Config:
        return super().get_config() | {"from_logits": self.from_logits}
