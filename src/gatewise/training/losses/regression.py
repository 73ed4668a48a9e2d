"""Losses of numbers: the distance between predictions and targets."""

import numpy as np

from gatewise import checks

from ..targets import AtLeast, NotZero
from .base import EPSILON, Loss


class MeanSquaredError(Loss):
    """Mean over the last axis of ``(y_pred - y_true)^2``."""

    name = "mean_squared_error"
    by_target = True
    _kernel = "squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the last axis of ``|y_pred - y_true|``; its slope at 0 is 0."""

    name = "mean_absolute_error"
    by_target = True
    _kernel = "absolute_error"


class MeanAbsolutePercentageError(Loss):
    """Mean over the last axis of ``100 |y_pred - y_true| / max(|y_true|, 1e-7)``."""

    name = "mean_absolute_percentage_error"
    by_target = True
    takes = NotZero()
    _kernel = "percentage_error"


class MeanSquaredLogarithmicError(Loss):
    """Mean over the last axis of ``(log(1 + y_pred) - log(1 + y_true))^2``; below 1e-7 both count as 1e-7."""

    name = "mean_squared_logarithmic_error"
    by_target = True
    takes = AtLeast(0, "all below 0 would count as 0; shift them, or take 'mse'")

    def _positions(self, y_true, y_pred, want_gradient):
        p = np.maximum(y_pred, EPSILON)
        distance = np.log1p(p) - np.log1p(np.maximum(y_true, EPSILON))
        values = np.square(distance).mean(axis=-1)
        if not want_gradient:
            return values, None
        return values, np.where(y_pred >= EPSILON, distance / (1 + p), 0) * p.dtype.type(
            2 / p.shape[-1]
        )


class Huber(Loss):
    """Mean over the last axis of ``e^2 / 2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``; e = y_pred - y_true.

    Parameters
    ----------
    delta : float above 0
        Where the square goes over into a straight line (Huber 1964).
    """

    name = "huber"
    by_target = True
    _kernel = "huber"

    def __init__(self, delta=1.0, **others):
        super().__init__(**others)
        self.delta = checks.number(delta, "delta", 0.0, open_low=True)

    @property
    def _option(self):
        return self.delta

    def get_config(self):
        return {"delta": self.delta} | self._name_given()


class LogCosh(Loss):
    """Mean over the last axis of ``log(cosh(y_pred - y_true))``: e^2 / 2 near 0, |e| - log 2 far out."""

    name = "log_cosh"
    by_target = True
    _kernel = "log_cosh"
