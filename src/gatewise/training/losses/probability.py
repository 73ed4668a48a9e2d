"""Losses of distributions: counts, divergence, a normal distribution, quantiles."""

import math

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .. import outputs
from ..targets import AtLeast, Distribution
from .base import EPSILON, Loss


class Poisson(Loss):
    """Mean over the last axis of ``y_pred - y_true log(y_pred + 1e-7)``. Predictions are rates: NaN below 0."""

    name = "poisson"
    by_target = True
    takes = AtLeast(0, "targets are counts; for other numbers take 'mse'")
    needs = staticmethod(outputs.rates)

    def _positions(self, y_true, y_pred, want_gradient):
        p = y_pred + y_pred.dtype.type(EPSILON)
        values = (y_pred - y_true * np.log(p)).mean(axis=-1)
        return values, (1 - y_true / p) * p.dtype.type(1 / p.shape[-1]) if want_gradient else None


class KLDivergence(Loss):
    """``sum y_true log(y_true / y_pred)`` over the last axis, both kept in [1e-7, 1]."""

    name = "kl_divergence"
    takes = Distribution(limited=True)
    needs = staticmethod(outputs.distribution)

    def _positions(self, y_true, y_pred, want_gradient):
        y, p = np.clip(y_true, EPSILON, 1), np.clip(y_pred, EPSILON, 1)
        values = (y * np.log(y / p)).sum(axis=-1)
        return values, np.where(p == y_pred, -y / p, 0) if want_gradient else None


class GaussianNLL(Loss):
    """Negative log-likelihood of a normal distribution, whose mean and log-variance the model gives.

    Outputs (..., 2k) are k means, then k logarithms s of variances; targets are (..., k). The value
    is the mean over k of ``(log v + (y - mean)^2 / v) / 2`` with ``v = max(exp(s), eps)`` (Nix and
    Weigend 1994): ``torch.nn.functional.gaussian_nll_loss`` of exp(s). As there, v that is held at
    eps passes its slope on as if it were free, so that a variance can come back.

    Parameters
    ----------
    full : bool
        Add the constant ``log(2 pi) / 2``.
    eps : float above 0
        The smallest variance.
    """

    name = "gaussian_nll"
    needs = staticmethod(outputs.any_sign)
    by_target = True

    def __init__(self, full=False, eps=1e-6, **others):
        super().__init__(**others)
        self.full = checks.flag(full, "full")
        self.eps = checks.number(eps, "eps", 0.0, open_low=True)

    def _targets(self, outputs):
        if outputs % 2:
            raise ShapeError(
                f"the model has {outputs} outputs; loss {self.name} expects an even number: means,"
                " then as many log-variances"
            )
        return outputs // 2

    def _positions(self, y_true, y_pred, want_gradient):
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

    def get_config(self):
        return {"full": self.full, "eps": self.eps} | self._name_given()


class Quantile(Loss):
    """Pinball loss of several quantiles at once (Koenker and Bassett 1978).

    Targets are (..., k), outputs (..., k * q) for q quantiles, quantile by quantile: output ``i * k
    + j`` is quantile i of target j, so that ``outputs.reshape(..., q, k)`` has an axis for each.
    The value is the mean over all outputs of ``max(tau e, (tau - 1) e)`` with ``e = y - output``;
    its slope at e = 0 is 0.

    Parameters
    ----------
    quantiles : list of float in (0, 1)
    """

    name = "quantile"
    by_target = True

    def __init__(self, quantiles=(0.1, 0.5, 0.9), **others):
        super().__init__(**others)
        given = checks.listed(quantiles, "quantiles", "numbers between 0 and 1")
        if not given:
            raise ConfigError("quantiles is empty; expected at least one number between 0 and 1")
        self.quantiles = [
            checks.number(tau, f"quantiles[{i}]", 0.0, 1.0, open_low=True, open_high=True)
            for i, tau in enumerate(given)
        ]

    def _targets(self, outputs):
        count = len(self.quantiles)
        if outputs % count:
            raise ShapeError(
                f"the model has {outputs} outputs; loss {self.name} with {count} quantiles expects"
                f" {count} for each target: all targets' first quantile, then their second"
            )
        return outputs // count

    def _positions(self, y_true, y_pred, want_gradient):
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

    def get_config(self):
        return {"quantiles": list(self.quantiles)} | self._name_given()
