"""Losses of numbers: the distance between predictions and targets."""

from .base import Loss


class MeanSquaredError(Loss):
    """Mean over the last axis of ``(y_pred - y_true)^2``."""

    name = "mean_squared_error"
    _kernel = "squared_error"


class MeanAbsoluteError(Loss):
    """Mean over the last axis of ``|y_pred - y_true|``."""

    name = "mean_absolute_error"
    _kernel = "absolute_error"
