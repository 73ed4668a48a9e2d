"""Hinge losses: nothing to pay beyond the margin. Labels are -1 and 1."""

import numpy as np

from .. import outputs
from ..targets import ROUNDING, Distribution, Signs
from .base import Loss


class _Hinge(Loss):
    """A label 0 stands for -1. (Keras reads it so only where all labels of a batch are 0 or 1.)"""

    takes = Signs()
    needs = staticmethod(outputs.margins)

    def value_and_gradient(
        self, y_true, y_pred, weights=None, normalizer=None, *, scores=False, want_gradient=True
    ):
        signs = np.where(np.abs(y_true) <= ROUNDING, y_true.dtype.type(-1), y_true)
        return super().value_and_gradient(
            signs, y_pred, weights, normalizer, scores=scores, want_gradient=want_gradient
        )


class Hinge(_Hinge):
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)``. Labels are -1 or 1; 0 stands for -1."""

    name = "hinge"
    by_target = True
    _kernel = "hinge"


class SquaredHinge(_Hinge):
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)^2``. Labels are -1 or 1; 0 stands for -1."""

    name = "squared_hinge"
    by_target = True
    _kernel = "squared_hinge"


class CategoricalHinge(Loss):
    """``max(neg - pos + 1, 0)`` with ``pos = sum(y_true y_pred)`` and ``neg = max((1 - y_true) y_pred)``; y holds one-hot rows.

    Of classes that share the maximum the first has its slope.
    """

    name = "categorical_hinge"
    takes = Distribution(limited=True)
    needs = staticmethod(outputs.one_of_columns)
    one_hot = True

    def _positions(self, y_true, y_pred, want_gradient):
        others = (1 - y_true) * y_pred
        worst = others.argmax(axis=-1)[..., None]
        short_by = (
            np.take_along_axis(others, worst, -1)[..., 0] - (y_true * y_pred).sum(axis=-1) + 1
        )
        values = np.maximum(short_by, 0)
        if not want_gradient:
            return values, None
        slopes = -y_true
        np.put_along_axis(slopes, worst, np.take_along_axis(1 - 2 * y_true, worst, -1), -1)
        return values, np.where((short_by > 0)[..., None], slopes, 0)
