"""Metrics of right and wrong decisions: precision, recall, F scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ShapeError
from gatewise.memory import numpy_products

from ..targets import YesOrNo
from .sums import SummedMetric, chosen, one_hot, ratio

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Config


class _Decisions(SummedMetric):
    """Counts of decisions that ``y_pred > threshold``, at each of some thresholds.

    Targets are 0 or 1; class numbers stand for one-hot rows.

    Parameters
    ----------
    thresholds : float or list of float, optional
        In [0, 1]; several give a value for each. None: 0.5; with `top_k`, none.
    top_k : int, optional
        Only a position's k largest outputs can be positive; of equal ones, the first. None: all.
    class_id : int, optional
        Look at this output alone. None: at all outputs.
    name : str, optional
        Default: that of the class.
    """

    top_k: int | None
    thresholds: Any | None
    class_id: int | None
    direction: str | None = "up"
    _sparse = None
    _takes = YesOrNo(soft=False)
    _elementwise = True
    _wrong: str = ""  # which wrong decisions are counted beside the true positives

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        self._parts = ("true_positives", self._wrong)
        super().__init__(name)
        self.thresholds = thresholds if thresholds is None else _thresholds(thresholds)
        self.top_k = None if top_k is None else checks.whole_number(top_k, "top_k")
        self.class_id = None if class_id is None else checks.whole_number(class_id, "class_id", 0)
        if self.thresholds is None:
            self._limits = [0.5 if top_k is None else -np.inf]
        else:
            self._limits = (
                self.thresholds if isinstance(self.thresholds, list) else [self.thresholds]
            )

    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        if y_true.ndim == 1:
            y_true = one_hot(y_true, y_pred.shape[-1], self.name)
        for name, number, least in (("top_k", self.top_k, 1), ("class_id", self.class_id, 0)):
            if number is not None and number >= y_pred.shape[-1] + least:
                raise ShapeError(
                    f"metric {self.name} has {name}={number}, and there are {y_pred.shape[-1]}"
                    " outputs"
                )
        if self.top_k is not None:
            y_pred = _largest(y_pred, self.top_k)
        if self.class_id is not None:
            y_true, y_pred = y_true[:, self.class_id, None], y_pred[:, self.class_id, None]
        truth = y_true > 0.5
        counts = [self._count(truth, y_pred > limit, weights) for limit in self._limits]
        right, wrong = np.array(counts, np.float64).T if len(counts) > 1 else counts[0]
        self._accumulate(**{"true_positives": right, self._wrong: wrong})

    def _count(self, truth: Array, positive: Array, weights: Array | None) -> tuple[float, float]:
        """(true positives, wrong decisions of the kind that matters), floats."""
        wrong = positive & ~truth if self._wrong == "false_positives" else truth & ~positive
        return _total(truth & positive, weights), _total(wrong, weights)

    def result(self) -> float | Array:
        """The metric so far; with several thresholds an ndarray. 0.0 before any batch.

        Returns
        -------
        float or ndarray of shape (thresholds,)
            In [0, 1].
        """
        right = self._sums["true_positives"]
        return ratio(right, right + self._sums[self._wrong])

    def _state_fits(self, sums: dict[str, Any]) -> bool:
        count = len(self._limits)
        shapes = {np.shape(value) for value in sums.values()}
        return len(shapes) == 1 and shapes <= ({(), (count,)} if count > 1 else {()})

    def get_config(self) -> Config:
        return super().get_config() | {
            "thresholds": self.thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


def _thresholds(given: Any) -> Any:
    if np.ndim(given) == 0:
        return checks.number(given, "thresholds", 0.0, 1.0)
    values = [
        checks.number(value, "thresholds", 0.0, 1.0)
        for value in checks.listed(given, "thresholds", "numbers")
    ]
    return values or chosen(values, "thresholds", ("a number", "a list of numbers"))


def _largest(y_pred: Array, k: int) -> Array:
    """y_pred with -inf in place of all but the k largest of each row."""
    order = np.argsort(-y_pred.astype(np.float64), axis=-1, kind="stable")[:, :k]
    kept = np.full(y_pred.shape, -np.inf)
    np.put_along_axis(kept, order, np.take_along_axis(y_pred, order, axis=-1), axis=-1)
    return kept


def _total(hits: Array, weights: Array | None) -> float:
    """Weighted number of hits (n, outputs), a float."""
    if weights is None:
        return float(np.count_nonzero(hits))
    return float(weights @ hits.sum(axis=-1))


class Precision(_Decisions):
    """Share of the positive decisions that are right: TP / (TP + FP).

    Targets are 0 or 1; class numbers stand for one-hot rows.

    Parameters
    ----------
    thresholds : float or list of float, optional
        In [0, 1]; several give a value for each. None: 0.5; with `top_k`, none.
    top_k : int, optional
        Only a position's k largest outputs can be positive; of equal ones, the first. None: all.
    class_id : int, optional
        Look at this output alone. None: at all outputs.
    name : str, optional
        Default "precision".

    Examples
    --------
    >>> from gatewise.metrics import Precision
    >>> Precision()([[1], [0], [1]], [[0.9], [0.8], [0.2]])
    0.5
    """

    default_name = "precision"
    _wrong = "false_positives"


class Recall(_Decisions):
    """Share of the true targets that are found: TP / (TP + FN).

    Targets are 0 or 1; class numbers stand for one-hot rows.

    Parameters
    ----------
    thresholds : float or list of float, optional
        In [0, 1]; several give a value for each. None: 0.5; with `top_k`, none.
    top_k : int, optional
        Only a position's k largest outputs can be positive; of equal ones, the first. None: all.
    class_id : int, optional
        Look at this output alone. None: at all outputs.
    name : str, optional
        Default "recall".

    Examples
    --------
    >>> from gatewise.metrics import Recall
    >>> Recall()([[1], [0], [1]], [[0.9], [0.8], [0.2]])
    0.5
    """

    default_name = "recall"
    _wrong = "false_negatives"


class FBetaScore(SummedMetric):
    """``(1 + beta^2) TP / ((1 + beta^2) TP + beta^2 FN + FP)`` of each output.

    Targets are one-hot or multi-label rows, or class numbers.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        None, the default: a score for each output, an ndarray. micro: of all outputs together.
        macro: the mean over outputs. weighted: that mean, weighted by how often each is the target.
    beta : float, default 1.0
        Above 0: how much more recall counts than precision.
    threshold : float, optional
        In (0, 1]: outputs above it are positive. None: the largest of each row; give a threshold
        for a single output, which is always the largest.
    name : str, optional
        Default "fbeta_score".

    Examples
    --------
    >>> from gatewise.metrics import FBetaScore
    >>> FBetaScore("micro", beta=2.0)([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    """

    average: str | None
    threshold: float | None
    beta: float
    default_name = "fbeta_score"
    direction: str | None = "up"
    _sparse = None
    _takes = YesOrNo(soft=False)
    _elementwise = True
    _parts = ("true_positives", "false_positives", "false_negatives")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.average = chosen(average, "average", (None, "micro", "macro", "weighted"))
        self.beta = checks.number(beta, "beta", 0.0, open_low=True)
        self.threshold = (
            None
            if threshold is None
            else checks.number(threshold, "threshold", 0.0, 1.0, open_low=True)
        )

    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        y_true = (
            one_hot(y_true, y_pred.shape[-1], self.name)
            if y_true.ndim == 1
            else y_true.astype(np.float64)
        )
        if self.threshold is None and y_pred.shape[-1] == 1:
            checks.warn(
                f"metric {self.name} takes the largest output of each row for positive, and there"
                " is one output, which is always the largest: give a threshold,"
                f" {type(self).__name__}(threshold=0.5)"
            )
        if self.threshold is not None:
            positive = y_pred > self.threshold
        elif len(y_pred):
            # As in Keras, a row of zeros has no largest output.
            positive = (y_pred >= y_pred.max(axis=-1, keepdims=True)) & (np.abs(y_pred) > 1e-9)
        else:
            positive = np.zeros(y_pred.shape, bool)
        weights = np.ones(len(y_true)) if weights is None else weights
        numpy_products()
        hits = weights @ (y_true * positive)
        self._accumulate(
            true_positives=hits,
            false_positives=weights @ positive - hits,
            false_negatives=weights @ y_true - hits,
        )

    def result(self) -> float | Array:
        """The score so far; without average an ndarray (outputs,). 0.0 before any batch.

        Returns
        -------
        float or ndarray of shape (outputs,)
            In [0, 1].
        """
        hits, false, missed = (self._sums[name] for name in self._parts)
        if self.average == "micro":
            hits, false, missed = np.sum(hits), np.sum(false), np.sum(missed)
        square = self.beta**2
        scores = ratio((1 + square) * hits, (1 + square) * hits + square * missed + false)
        if np.ndim(scores) == 0 or self.average is None:
            return scores
        if self.average == "macro":
            return float(scores.mean())
        return ratio((scores * (hits + missed)).sum(), (hits + missed).sum())

    def _state_fits(self, sums: dict[str, Any]) -> bool:
        shapes = {np.shape(value) for value in sums.values()}
        return len(shapes) == 1 and len(shapes.pop()) <= 1

    def get_config(self) -> Config:
        return super().get_config() | {
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


class F1Score(FBetaScore):
    """Harmonic mean of precision and recall, ``2 TP / (2 TP + FN + FP)``, of each output.

    Targets are one-hot or multi-label rows, or class numbers.

    Parameters
    ----------
    average : {None, "micro", "macro", "weighted"}
        None, the default: a score for each output, an ndarray. micro: of all outputs together.
        macro: the mean over outputs. weighted: that mean, weighted by how often each is the target.
    threshold : float, optional
        In (0, 1]: outputs above it are positive. None: the largest of each row; give a threshold
        for a single output, which is always the largest.
    name : str, optional
        Default "f1_score".

    Examples
    --------
    >>> from gatewise.metrics import F1Score
    >>> F1Score("micro")([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    0.5
    """

    default_name = "f1_score"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name)

    def get_config(self) -> Config:
        config = super().get_config()
        del config["beta"]
        return config
