"""R squared of predictions, with weights of samples or of single outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import r2_score

from gatewise.estimators.reading.checking import checked_by_sklearn

if TYPE_CHECKING:
    from gatewise._typing import Array


def weighted_r2(y: Any, predicted: Any, weights: Any) -> float:
    """R squared, the mean over outputs.

    Parameters
    ----------
    y : array_like (n,) or (n, outputs)
        It may be NaN if the weight is 0.
    predicted : array_like (n,) or (n, outputs)
    weights : array_like (n,), or (n, outputs); or None
        Each output is scored by the samples whose weight is above 0; an output without any is left
        out.

    Returns
    -------
    float

    Raises
    ------
    NonFiniteError, ConfigError
    """
    with checked_by_sklearn():
        return _weighted_r2(y, predicted, weights)


def _weighted_r2(y: Any, predicted: Any, weights: Any) -> float:
    if weights is None:
        return r2_score(y, predicted)
    y, predicted, weights = np.asarray(y), np.asarray(predicted), np.asarray(weights)
    if weights.ndim == 1 and not _holds_nan(y):
        return r2_score(y, predicted, sample_weight=weights)
    y, predicted = (part.reshape(len(part), -1) for part in (y, predicted))
    weights = np.broadcast_to(weights.reshape(len(weights), -1), y.shape)
    scores = []
    for column in range(y.shape[1]):
        counted = weights[:, column] > 0
        if counted.any():
            scores.append(
                r2_score(
                    y[counted, column],
                    predicted[counted, column],
                    sample_weight=weights[counted, column],
                )
            )
    return float(np.mean(scores))


def _holds_nan(y: Array) -> bool:
    return y.dtype.kind == "f" and bool(np.isnan(y).any())
