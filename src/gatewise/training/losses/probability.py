"""Losses of distributions: counts, divergence, a normal distribution, quantiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .. import outputs
from ..targets import AtLeast, Distribution
from .base import EPSILON, Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Config


class Poisson(Loss):
    """Mean over the last axis of ``y_pred - y_true log(y_pred + 1e-7)``.

    Predictions are rates: below 0 the loss is NaN. Targets below 0 are refused.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import Poisson
    >>> round(Poisson()([[2.0]], [[1.0]]), 4)
    1.0
    """

    name = "poisson"
    _by_target = True
    _takes = AtLeast(0, "targets are counts; for other numbers take 'mse'")
    _needs = staticmethod(outputs.rates)

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        p = y_pred + y_pred.dtype.type(EPSILON)
        values = (y_pred - y_true * np.log(p)).mean(axis=-1)
        return values, (1 - y_true / p) * p.dtype.type(1 / p.shape[-1]) if want_gradient else None


class KLDivergence(Loss):
    """``sum y_true log(y_true / y_pred)`` over the last axis, both kept in [1e-7, 1].

    Targets are probabilities.

    Parameters
    ----------
    name : str, optional
        Default: that of the class.
    **others
        Arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import KLDivergence
    >>> round(KLDivergence()([[1.0, 0.0]], [[0.5, 0.5]]), 4)
    0.6931
    """

    name = "kl_divergence"
    _takes = Distribution(limited=True)
    _needs = staticmethod(outputs.distribution)

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        y, p = np.clip(y_true, EPSILON, 1), np.clip(y_pred, EPSILON, 1)
        values = (y * np.log(y / p)).sum(axis=-1)
        return values, np.where(p == y_pred, -y / p, 0) if want_gradient else None


class GaussianNLL(Loss):
    """Negative log-likelihood of normal distributions (Nix and Weigend 1994).

    Outputs (..., 2k) are k means, then k logarithms s of variances; targets are (..., k). The value
    is the mean over k of ``(log v + (y - mean)^2 / v) / 2`` with ``v = max(exp(s), eps)``:
    ``torch.nn.functional.gaussian_nll_loss`` of exp(s). As there, a v that is held at eps passes
    its slope on as if it were free, so that the variance can grow again.

    Parameters
    ----------
    full : bool, default False
        Whether to add the constant ``log(2 pi) / 2``.
    eps : float, default 1e-6
        Above 0: the smallest variance.
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import GaussianNLL
    >>> GaussianNLL()([[1.0]], [[2.0, 0.0]])
    0.5
    """

    full: bool
    eps: float
    name = "gaussian_nll"
    _needs = staticmethod(outputs.any_sign)
    _by_target = True

    def __init__(self, full: bool = False, eps: float = 1e-6, **others: Any) -> None:
        super().__init__(**others)
        self.full = checks.flag(full, "full")
        self.eps = checks.number(eps, "eps", 0.0, open_low=True)

    def _targets(self, outputs: int) -> int:
        if outputs % 2:
            raise ShapeError(
                f"the model has {outputs} outputs; loss {self.name} expects an even number: means,"
                " then as many log-variances"
            )
        return outputs // 2

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        k = y_true.shape[-1]
        mean, s = y_pred[..., :k], y_pred[..., k:]
        lowest = s.dtype.type(math.log(self.eps))
        log_v = np.maximum(s, lowest)
        root = np.exp(log_v / -2)  # of 1 / v: a square could overflow where the quotient does not
        off = (mean - y_true) * root
        squares = np.square(off)
        values = (log_v + squares).mean(axis=-1) / 2 + (
            math.log(2 * math.pi) / 2 if self.full else 0
        )
        if not want_gradient:
            return values, None
        slope_of_v = np.exp(np.minimum(s - lowest, 0))
        gradient = np.concatenate([off * root, slope_of_v * (1 - squares) / 2], axis=-1)
        return values, gradient / k

    def get_config(self) -> Config:
        return {"full": self.full, "eps": self.eps} | self._name_given()


class Quantile(Loss):
    """Pinball loss of several quantiles at once (Koenker and Bassett 1978).

    Targets are (..., k), outputs (..., k * q) for q quantiles, quantile by quantile: output ``i * k
    + j`` is quantile i of target j, so that ``outputs.reshape(..., q, k)`` has an axis for each.
    The value is the mean over all outputs of ``max(tau e, (tau - 1) e)`` with ``e = y - output``;
    its slope at e = 0 is 0.

    Parameters
    ----------
    quantiles : list of float, default (0.1, 0.5, 0.9)
        Each in (0, 1).
    **others
        ``name``, and arguments of Keras that change nothing here.

    Examples
    --------
    >>> from gatewise.losses import Quantile
    >>> Quantile([0.5])([[1.0]], [[2.0]])
    0.5
    """

    quantiles: list[float]
    name = "quantile"
    _by_target = True

    def __init__(self, quantiles: Sequence[float] = (0.1, 0.5, 0.9), **others: Any) -> None:
        super().__init__(**others)
        given = checks.listed(quantiles, "quantiles", "numbers between 0 and 1")
        if not given:
            raise ConfigError("quantiles is empty; expected at least one number between 0 and 1")
        self.quantiles = [
            checks.number(tau, f"quantiles[{i}]", 0.0, 1.0, open_low=True, open_high=True)
            for i, tau in enumerate(given)
        ]

    def _targets(self, outputs: int) -> int:
        count = len(self.quantiles)
        if outputs % count:
            raise ShapeError(
                f"the model has {outputs} outputs; loss {self.name} with {count} quantiles expects"
                f" {count} for each target: all targets' first quantile, then their second"
            )
        return outputs // count

    def position_values(
        self, y_true: Array, y_pred: Array, want_gradient: bool
    ) -> tuple[Array, Array | None]:
        e = y_true[..., None, :] - y_pred.reshape(
            *y_true.shape[:-1], len(self.quantiles), y_true.shape[-1]
        )
        tau = np.array(self.quantiles, y_pred.dtype)[:, None]
        slope = np.where(e > 0, tau, np.where(e < 0, tau - 1, e))  # NaN stays NaN
        values = (slope * e).mean(axis=(-2, -1))
        return values, (
            slope.reshape(y_pred.shape) * y_pred.dtype.type(-1 / y_pred.shape[-1])
            if want_gradient
            else None
        )

    def get_config(self) -> Config:
        return {"quantiles": list(self.quantiles)} | self._name_given()
