"""Heads: what a forecaster's network outputs for each number that it forecasts.

A head is the target of a forecaster: a number itself, a normal distribution, or quantiles. Outputs
are in the units of the scaled differences, see
:class:`gatewise.estimators.forecasting.preparation.Preparation`.
"""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError
from gatewise.estimators.targets.base import Output, Target
from gatewise.training import losses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise.training.losses import Loss

    from .preparation import Preparation


class Head(Target):
    """Base of the heads.

    Attributes
    ----------
    loss : Loss
    outputs_per_number : int
        Outputs of the network for each number that is forecast.
    quantiles : ndarray of shape (n,), float64
        The quantiles that the network was trained for; none for other heads.
    """

    score_name = "score (minus the loss)"
    outputs_per_number: int = 1
    quantiles: np.ndarray = np.empty(0)
    loss: Loss

    def output(self, targets: np.ndarray) -> Output:
        """Return the loss, the number of outputs and the activation for targets (n, numbers)."""
        return Output(self.loss, self.outputs_per_number * targets.shape[1], "linear")

    def read(
        self, preparation: Preparation, number: int, y: np.ndarray, origins: np.ndarray
    ) -> np.ndarray:
        """Return the targets of the windows that end at each origin.

        Parameters
        ----------
        preparation : Preparation
        number : int
            The series.
        y : ndarray of shape (T, k)
        origins : ndarray of int of shape (n,)

        Returns
        -------
        ndarray of shape (n, horizon * k)
        """
        return preparation.targets(number, y, origins)

    def score(
        self, targets: np.ndarray, scores: np.ndarray, sample_weight: np.ndarray | None
    ) -> float:
        """Return minus the loss."""
        return -self.loss(targets, scores)

    def stored(self) -> dict[str, Any]:
        """Return what a file holds of the head; :func:`restored_head` reads it."""
        return {"head": type(self).__name__, "loss": self.loss}

    @abc.abstractmethod
    def point(self, outputs: np.ndarray) -> np.ndarray:
        """Return the forecast (n, numbers) of outputs (n, outputs_per_number * numbers)."""

    @abc.abstractmethod
    def bounds(self, outputs: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the interval that holds each number with probability `coverage`.

        Returns
        -------
        lower, upper : ndarray of shape (n, numbers)

        Raises
        ------
        ConfigError
            The head has no interval of this coverage.
        """

    @abc.abstractmethod
    def at(self, outputs: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
        """Return the quantiles `levels`, an array (n, numbers) for each.

        Raises
        ------
        ConfigError
            The head does not have these quantiles.
        """

    @abc.abstractmethod
    def check_levels(self, levels: Sequence[float]) -> None:
        """Refuse quantiles that the head does not have.

        Raises
        ------
        ConfigError
        """

    def sample(self, outputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw each number once, (n, numbers).

        Raises
        ------
        ConfigError
            The head has no distribution.
        """
        raise ConfigError(
            "paths are drawn by a forecaster that was built with distribution='gaussian'"
        )


class PointHead(Head):
    """One output for each number, the number itself.

    Parameters
    ----------
    loss : str or Loss
    """

    def __init__(self, loss: str | Loss) -> None:
        self.loss: Loss = losses.get(loss)

    def point(self, outputs: np.ndarray) -> np.ndarray:
        """Return the outputs."""
        return outputs

    def bounds(self, outputs: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Refuse: the outputs have no distribution."""
        raise ConfigError(
            "predict_interval needs a forecaster that was built with distribution='gaussian', or"
            " with quantiles, for example quantiles=[0.05, 0.5, 0.95] for a coverage of 0.9"
        )

    def at(self, outputs: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
        """Refuse: the outputs have no distribution."""
        raise ConfigError(
            "predict_quantiles needs a forecaster that was built with quantiles, for example "
            "quantiles=[0.1, 0.5, 0.9], or with distribution='gaussian'"
        )

    def check_levels(self, levels: Sequence[float]) -> None:
        """Refuse all quantiles."""
        self.at(np.empty((0, 0)), levels)


class GaussianHead(Head):
    """A mean and the logarithm of a variance for each number.

    The loss is :class:`gatewise.losses.GaussianNLL`. The first half of the outputs are the means.
    """

    outputs_per_number = 2

    def __init__(self) -> None:
        self.loss: losses.GaussianNLL = losses.GaussianNLL()

    def point(self, outputs: np.ndarray) -> np.ndarray:
        """Return the means."""
        return outputs[:, : outputs.shape[1] // 2]

    def deviation(self, outputs: np.ndarray) -> np.ndarray:
        """Return the standard deviations, (n, numbers)."""
        log_variance = np.maximum(outputs[:, outputs.shape[1] // 2 :], math.log(self.loss.eps))
        return np.exp(log_variance / 2)

    def bounds(self, outputs: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of the interval around the mean."""
        from scipy.special import ndtri

        half = ndtri((1 + coverage) / 2) * self.deviation(outputs)
        return self.point(outputs) - half, self.point(outputs) + half

    def at(self, outputs: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
        """Return quantiles of the normal distribution."""
        from scipy.special import ndtri

        point, deviation = self.point(outputs), self.deviation(outputs)
        return [point + ndtri(level) * deviation for level in levels]

    def check_levels(self, levels: Sequence[float]) -> None:
        """Accept all: a normal distribution has every quantile."""

    def sample(self, outputs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw each number once from its normal distribution."""
        return self.point(outputs) + self.deviation(outputs) * rng.standard_normal(
            (len(outputs), outputs.shape[1] // 2)
        )


class QuantileHead(Head):
    """Several quantiles of each number.

    The loss is :class:`gatewise.losses.Quantile`. Quantiles that cross are sorted (Chernozhukov et
    al. 2010).

    Parameters
    ----------
    quantiles : list of float in (0, 1)
        Rising; 0.5 is among them.
    """

    def __init__(self, quantiles: Sequence[float]) -> None:
        self.loss: losses.Quantile = losses.Quantile(quantiles)
        self.quantiles: np.ndarray = np.array(self.loss.quantiles)
        self.outputs_per_number: int = len(self.quantiles)
        if not (np.diff(self.quantiles) > 0).all():
            raise ConfigError(
                f"quantiles are {self.loss.quantiles}; expected rising numbers, each once"
            )
        if 0.5 not in self.quantiles:
            raise ConfigError(
                f"quantiles are {self.loss.quantiles}; 0.5 must be among them: predict returns it"
            )

    def _has(self, level: float) -> bool:
        return bool(np.isclose(self.quantiles, level, rtol=0, atol=1e-9).any())

    def _quantile(self, outputs: np.ndarray, level: float) -> np.ndarray:
        number = int(np.flatnonzero(np.isclose(self.quantiles, level, rtol=0, atol=1e-9))[0])
        by_quantile = outputs.reshape(len(outputs), self.outputs_per_number, -1)
        return np.sort(by_quantile, axis=1)[:, number]

    def point(self, outputs: np.ndarray) -> np.ndarray:
        """Return the medians."""
        return self._quantile(outputs, 0.5)

    def at(self, outputs: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
        """Return some of the quantiles that the network was trained for."""
        return [self._quantile(outputs, level) for level in levels]

    def check_levels(self, levels: Sequence[float]) -> None:
        """Refuse quantiles that the network was not trained for."""
        for level in levels:
            if not self._has(level):
                raise ConfigError(
                    f"quantile {level:g} was asked for; the forecaster was built with"
                    f" {self.loss.quantiles}: ask for one of these, or fit with quantiles that"
                    f" include {level:g}"
                )

    def bounds(self, outputs: np.ndarray, coverage: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the two quantiles that have `coverage` between them."""
        low, high = (1 - coverage) / 2, (1 + coverage) / 2
        if not (self._has(low) and self._has(high)):
            possible = [
                float(round(1 - 2 * level, 12))
                for level in self.quantiles
                if level < 0.5 and self._has(1 - level)
            ]
            raise ConfigError(
                f"coverage={coverage:g} needs quantiles {low:g} and {high:g}; the forecaster was"
                f" built with {self.loss.quantiles}"
                + (f", which give coverage {', '.join(map(str, possible))}" if possible else "")
            )
        return self._quantile(outputs, low), self._quantile(outputs, high)


def head_of(
    loss: str | Loss,
    quantiles: Sequence[float] | None,
    distribution: str | None,
    recursive: bool,
) -> Head:
    """Return the head that the parameters of a forecaster describe.

    Parameters
    ----------
    loss, quantiles, distribution
        See :class:`gatewise.SequenceForecaster`.
    recursive : bool
        Whether the strategy is "recursive".

    Raises
    ------
    ConfigError
    """
    if distribution is not None and not (
        isinstance(distribution, str) and distribution == "gaussian"
    ):
        raise ConfigError(f"distribution is {distribution!r}; expected 'gaussian' or None")
    if quantiles is None:
        return PointHead(loss) if distribution is None else GaussianHead()
    if distribution is not None:
        raise ConfigError(
            "quantiles and distribution were both given; a forecaster has one or the other"
        )
    if recursive:
        raise ConfigError(
            "quantiles need strategy='direct': quantiles of one step do not follow from those of"
            " the step before; with strategy='recursive' give distribution='gaussian'"
        )
    return QuantileHead(checks.listed(quantiles, "quantiles", "numbers between 0 and 1"))


def restored_head(name: Any, loss: Any, recursive: bool) -> Head:
    """Return the head of :meth:`Head.stored`.

    Raises
    ------
    CheckpointError, ConfigError
        The values, which come from a file of any origin, describe no head.
    """
    quantiles = loss.quantiles if name == "QuantileHead" else None
    head = head_of(loss, quantiles, "gaussian" if name == "GaussianHead" else None, recursive)
    if type(head).__name__ != name or type(head.loss) is not type(loss):
        raise CheckpointError(f"the head is {name!r:.80}, with loss {loss!r:.80}")
    return head


def levels_of(quantiles: Any, head: Head) -> list[float]:
    """Return the quantiles that ``predict_quantiles`` was asked for.

    Parameters
    ----------
    quantiles : float, list of float, or None
        None: all that the network was trained for.
    head : Head

    Raises
    ------
    ConfigError
        They are not between 0 and 1, or the head does not have them.
    """
    if quantiles is None:
        if not len(head.quantiles):
            head.check_levels([])  # a head without distribution refuses here
            raise ConfigError(
                "quantiles is None, and the forecaster was built with distribution='gaussian',"
                " which has any: name them, for example quantiles=[0.1, 0.5, 0.9]"
            )
        return [float(level) for level in head.quantiles]
    given = (
        [quantiles]
        if np.ndim(quantiles) == 0
        else checks.listed(quantiles, "quantiles", "numbers between 0 and 1")
    )
    levels = [
        checks.number(level, "quantiles", 0.0, 1.0, open_low=True, open_high=True)
        for level in given
    ]
    if not levels or len(set(levels)) < len(levels):
        raise ConfigError(f"quantiles is {quantiles!r}; expected one quantile or more, each once")
    head.check_levels(levels)
    return levels
