"""Losses of numbers: the distance between predictions and targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from ..targets import AtLeast, NotZero
from .base import EPSILON, Loss
from .compiled import CompiledLoss

if TYPE_CHECKING:
    from gatewise._typing import Array, Config


class MeanSquaredError(CompiledLoss):
    """Mean over the last axis of ``(y_pred - y_true)^2``.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import MeanSquaredError
    >>> MeanSquaredError()([[1.0, 2.0]], [[2.0, 4.0]])
    2.5
    """

    name = "mean_squared_error"
    _by_target = True
    _kernel = "squared_error"


class MeanAbsoluteError(CompiledLoss):
    """Mean over the last axis of ``|y_pred - y_true|``; its slope at 0 is 0.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import MeanAbsoluteError
    >>> MeanAbsoluteError()([[1.0, 2.0]], [[2.0, 4.0]])
    1.5
    """

    name = "mean_absolute_error"
    _by_target = True
    _kernel = "absolute_error"


class MeanAbsolutePercentageError(CompiledLoss):
    """Mean over the last axis of ``100 |y_pred - y_true| / max(|y_true|, 1e-7)``.

    Targets of 0 are warned of.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import MeanAbsolutePercentageError
    >>> MeanAbsolutePercentageError()([[1.0, 2.0]], [[2.0, 4.0]])
    100.0
    """

    name = "mean_absolute_percentage_error"
    _by_target = True
    _takes = NotZero()
    _kernel = "percentage_error"


class MeanSquaredLogarithmicError(Loss):
    """Mean over the last axis of ``(log(1 + y_pred) - log(1 + y_true))^2``.

    Below 1e-7 both count as 1e-7. Targets below 0 are refused.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import MeanSquaredLogarithmicError
    >>> round(MeanSquaredLogarithmicError()([[1.0, 2.0]], [[3.0, 5.0]]), 4)
    0.4805
    """

    name = "mean_squared_logarithmic_error"
    _by_target = True
    _takes = AtLeast(0, "all below 0 would count as 0; shift them, or take 'mse'")

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        p = np.maximum(y_pred, EPSILON)
        distance = np.log1p(p) - np.log1p(np.maximum(y_true, EPSILON))
        values = np.square(distance).mean(axis=-1)
        if not want_gradient:
            return values, None
        return values, np.where(y_pred >= EPSILON, distance / (1 + p), 0) * p.dtype.type(
            2 / p.shape[-1]
        )


class Huber(CompiledLoss):
    """Mean over the last axis of a square near 0 and a straight line far out (Huber 1964).

    ``e^2 / 2`` if ``|e| <= delta``, else ``delta (|e| - delta / 2)``, with e = y_pred - y_true.

    Parameters
    ----------
    delta : float, default 1.0
        Above 0: error at which the square becomes a straight line.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import Huber
    >>> Huber(delta=1.0)([[1.0, 2.0]], [[2.0, 4.0]])
    1.0
    """

    delta: float
    name = "huber"
    _by_target = True
    _kernel = "huber"

    def __init__(self, delta: float = 1.0, **others: Any) -> None:
        super().__init__(**others)
        self.delta = checks.number(delta, "delta", 0.0, open_low=True)

    @property
    def _option(self) -> float:
        return self.delta

    def get_config(self) -> Config:
        return {"delta": self.delta} | self._name_given()


class LogCosh(CompiledLoss):
    """Mean over the last axis of ``log(cosh(y_pred - y_true))``.

    About e^2 / 2 near 0 and |e| - log 2 far out.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import LogCosh
    >>> round(LogCosh()([[1.0]], [[2.0]]), 4)
    0.4338
    """

    name = "log_cosh"
    _by_target = True
    _kernel = "log_cosh"
