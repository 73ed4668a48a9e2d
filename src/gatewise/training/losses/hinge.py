"""Hinge losses: nothing to pay beyond the margin. Labels are -1 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import outputs
from ..targets import ROUNDING, Distribution, Signs
from .base import Loss
from .compiled import CompiledLoss

if TYPE_CHECKING:
    from gatewise._typing import Array


class _Hinge(CompiledLoss):
    """A label 0 stands for -1. (In Keras only if all labels of a batch are 0 or 1.)"""

    _takes = Signs()
    _needs = staticmethod(outputs.margins)

    def value_and_gradient(
        self,
        y_true: Array,
        y_pred: Array,
        weights: Array | None = None,
        normalizer: float | None = None,
        *,
        scores: bool = False,
        want_gradient: bool = True,
    ) -> tuple[float, Array | None]:
        signs = np.where(np.abs(y_true) <= ROUNDING, y_true.dtype.type(-1), y_true)
        return super().value_and_gradient(
            signs, y_pred, weights, normalizer, scores=scores, want_gradient=want_gradient
        )


class Hinge(_Hinge):
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)``.

    Labels are -1 or 1; 0 stands for -1. (In Keras only if all labels of a batch are 0 or 1.)

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import Hinge
    >>> Hinge()([[1.0, -1.0]], [[0.5, -2.0]])
    0.25
    """

    name = "hinge"
    _by_target = True
    _kernel = "hinge"


class SquaredHinge(_Hinge):
    """Mean over the last axis of ``max(1 - y_true y_pred, 0)^2``.

    Labels are -1 or 1; 0 stands for -1. (In Keras only if all labels of a batch are 0 or 1.)

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import SquaredHinge
    >>> SquaredHinge()([[1.0, -1.0]], [[0.5, -2.0]])
    0.125
    """

    name = "squared_hinge"
    _by_target = True
    _kernel = "squared_hinge"


class CategoricalHinge(Loss):
    """``max(neg - pos + 1, 0)``: the margin between the class and the best of the others.

    ``pos = sum(y_true y_pred)`` and ``neg = max((1 - y_true) y_pred)``; y_true holds one-hot rows.
    If several classes share the maximum, the first has its slope.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import CategoricalHinge
    >>> CategoricalHinge()([[1.0, 0.0]], [[0.5, 0.25]])
    0.75
    """

    name = "categorical_hinge"
    _takes = Distribution(limited=True)
    _needs = staticmethod(outputs.one_of_columns)
    _one_hot = True

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
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
