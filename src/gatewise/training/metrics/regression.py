"""Errors of numbers: means over positions, and the coefficient of determination."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from ..targets import AtLeast
from .sums import MeanMetric, SummedMetric, chosen, ratio

if TYPE_CHECKING:
    from gatewise._typing import Array, Config

EPSILON = 1e-7  # the least divisor, as in Keras


def _difference(y_true: Array, y_pred: Array) -> Array:
    return np.subtract(y_pred, y_true, dtype=np.float64)


class MeanSquaredError(MeanMetric):
    """Mean over the last axis of ``(y_pred - y_true)^2``.

    Parameters
    ----------
    name : str, optional
        Default "mean_squared_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import MeanSquaredError
    >>> MeanSquaredError()([[1.0, 2.0]], [[2.0, 4.0]])
    2.5
    """

    default_name = "mean_squared_error"
    direction: str | None = "down"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return np.square(_difference(y_true, y_pred)).mean(axis=-1)


class RootMeanSquaredError(MeanSquaredError):
    """Square root of the mean of ``(y_pred - y_true)^2`` over everything.

    Parameters
    ----------
    name : str, optional
        Default "root_mean_squared_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import RootMeanSquaredError
    >>> RootMeanSquaredError()([[1.0], [2.0]], [[2.0], [1.0]])
    1.0
    """

    default_name = "root_mean_squared_error"

    def result(self) -> float:
        """The root of the mean so far; 0.0 before any batch.

        Returns
        -------
        float
            From 0.
        """
        mean = super().result()
        return math.nan if mean < 0 else math.sqrt(mean)  # negative weights may make it so


class MeanAbsoluteError(MeanMetric):
    """Mean over the last axis of ``|y_pred - y_true|``.

    Parameters
    ----------
    name : str, optional
        Default "mean_absolute_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import MeanAbsoluteError
    >>> MeanAbsoluteError()([[1.0, 2.0]], [[2.0, 4.0]])
    1.5
    """

    default_name = "mean_absolute_error"
    direction: str | None = "down"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        return np.abs(_difference(y_true, y_pred)).mean(axis=-1)


class MeanAbsolutePercentageError(MeanMetric):
    """Mean over the last axis of ``100 |y_pred - y_true| / max(|y_true|, 1e-7)``.

    Parameters
    ----------
    name : str, optional
        Default "mean_absolute_percentage_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import MeanAbsolutePercentageError
    >>> MeanAbsolutePercentageError()([[1.0, 2.0]], [[2.0, 4.0]])
    100.0
    """

    default_name = "mean_absolute_percentage_error"
    direction: str | None = "down"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        scale = np.maximum(np.abs(y_true.astype(np.float64)), EPSILON)
        return 100 * np.abs(_difference(y_true, y_pred) / scale).mean(axis=-1)


class SymmetricMeanAbsolutePercentageError(MeanMetric):
    """Mean over the last axis of ``200 |y_pred - y_true| / (|y_true| + |y_pred|)``.

    0 if both are 0; at most 200. As in the M4 competition (Makridakis et al. 2020). Keras has none.

    Parameters
    ----------
    name : str, optional
        Default "symmetric_mean_absolute_percentage_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import SymmetricMeanAbsolutePercentageError
    >>> SymmetricMeanAbsolutePercentageError()([[1.0]], [[3.0]])
    100.0
    """

    default_name = "symmetric_mean_absolute_percentage_error"
    direction: str | None = "down"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        scale = np.abs(y_true.astype(np.float64)) + np.abs(y_pred.astype(np.float64))
        return 200 * ratio(np.abs(_difference(y_true, y_pred)), scale).mean(axis=-1)


class MeanSquaredLogarithmicError(MeanMetric):
    """Mean over the last axis of ``(log(1 + y_pred) - log(1 + y_true))^2``.

    Values below 1e-7 count as 1e-7.

    Parameters
    ----------
    name : str, optional
        Default "mean_squared_logarithmic_error".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[1.0]], [[3.0]]), 4)
    0.4805
    """

    default_name = "mean_squared_logarithmic_error"
    _takes = AtLeast(0, "all below 0 would count as 0; shift them, or take 'mse'")
    direction: str | None = "down"
    _elementwise = True

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        logarithms = [
            np.log1p(np.maximum(values.astype(np.float64), EPSILON)) for values in (y_true, y_pred)
        ]
        return np.square(logarithms[1] - logarithms[0]).mean(axis=-1)


class CosineSimilarity(MeanMetric):
    """Cosine of the angle between the rows of targets and predictions.

    0 if one of them is all zeros.

    Parameters
    ----------
    name : str, optional
        Default "cosine_similarity".
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.metrics import CosineSimilarity
    >>> round(CosineSimilarity()([[1.0, 0.0]], [[3.0, 4.0]]), 4)
    0.6
    """

    default_name = "cosine_similarity"
    direction: str | None = "up"

    def _positions(self, y_true: Array, y_pred: Array) -> Array:
        a, b = y_true.astype(np.float64), y_pred.astype(np.float64)
        lengths = np.linalg.norm(a, axis=-1), np.linalg.norm(b, axis=-1)
        return (ratio(a, lengths[0][:, None]) * ratio(b, lengths[1][:, None])).sum(axis=-1)


class R2Score(SummedMetric):
    """Coefficient of determination, ``1 - sum (y - p)^2 / sum (y - mean y)^2``, for each output.

    If all targets are equal, 1 if they are met exactly and else 0, as in scikit-learn.

    Parameters
    ----------
    class_aggregation : {"uniform_average", "variance_weighted_average", None}
        How the outputs become one number, by default their mean; None: an ndarray with one for
        each.
    num_regressors : int, default 0
        The p of the adjusted score ``1 - (1 - R2) (n - 1) / (n - p - 1)`` of n samples, which stays
        R2 while n <= p + 1. Positions count, not outputs (Keras counts each output of a sample).
    name : str, optional
        Default "r2_score".

    Examples
    --------
    >>> from gatewise.metrics import R2Score
    >>> R2Score()([[1.0], [2.0], [3.0]], [[1.0], [2.0], [4.0]])
    0.5
    """

    class_aggregation: str | None
    num_regressors: int
    default_name = "r2_score"
    direction: str | None = "up"
    _elementwise = True
    # Sums of y and y^2 counted from the first target: large targets that vary little would cancel
    # in them otherwise, and equal ones give exactly 0.
    _parts = ("origin", "shifted", "squared", "residual", "weight", "count")

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        self.class_aggregation = chosen(
            class_aggregation,
            "class_aggregation",
            ("uniform_average", "variance_weighted_average", None),
        )
        self.num_regressors = checks.whole_number(num_regressors, "num_regressors", 0)

    def _add(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        if not len(y_true):
            return
        y_true = y_true.astype(np.float64)
        origin = self._sums["origin"] if np.ndim(self._sums["origin"]) else y_true[0].copy()
        weights = np.ones((len(y_true), 1)) if weights is None else weights[:, None]
        if origin.shape == y_true.shape[1:]:  # else the sums below are refused
            y_pred, y_true = y_pred - y_true, y_true - origin
        self._accumulate(
            shifted=(weights * y_true).sum(axis=0),
            squared=(weights * np.square(y_true)).sum(axis=0),
            residual=(weights * np.square(y_pred)).sum(axis=0),
            weight=np.full(y_true.shape[1], weights.sum()),
            count=np.full(y_true.shape[1], float(len(y_true))),
        )
        self._sums["origin"] = origin

    def result(self) -> float | Array:
        """The score so far, a float or an ndarray (outputs,); 0.0 before any batch.

        Returns
        -------
        float or ndarray of shape (outputs,)
            At most 1.
        """
        if not np.ndim(self._sums["weight"]):
            return 0.0
        residual, shifted = self._sums["residual"], self._sums["shifted"]
        total = self._sums["squared"] - shifted * ratio(shifted, self._sums["weight"])
        scores = np.where(total == 0, residual == 0, 1 - ratio(residual, total))
        if self.class_aggregation == "uniform_average":
            scores = float(scores.mean())
        elif self.class_aggregation == "variance_weighted_average":
            scores = (
                ratio((total * scores).sum(), total.sum()) if total.sum() else float(scores.mean())
            )
        return self._adjusted(scores)

    def _adjusted(self, score: Any) -> Any:
        n, p = float(self._sums["count"][0]), self.num_regressors
        return score if p == 0 or n <= p + 1 else 1 - (1 - score) * (n - 1) / (n - p - 1)

    def _state_fits(self, sums: dict[str, Any]) -> bool:
        shapes = {np.shape(value) for value in sums.values()}
        return len(shapes) == 1 and len(shapes.pop()) <= 1

    def get_config(self) -> Config:
        return super().get_config() | {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
