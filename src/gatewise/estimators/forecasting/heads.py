"""What the last layer of a forecaster says of each number: the number itself, a normal distribution, or quantiles."""

import math

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.estimators.targets.base import Output, Target
from gatewise.training import losses


class Head(Target):
    """What all heads share: the loss, and a score that is minus the loss."""

    score_name = "score (minus the loss)"
    loss: losses.Loss
    outputs: int  # for each number

    def output(self, targets):
        """See the base."""
        return Output(self.loss, self.outputs * targets.shape[1], "linear")

    def score(self, targets, scores, sample_weight):
        """Minus the loss."""
        return -self.loss(targets, scores)


class PointHead(Head):
    """One output for each number.

    Parameters
    ----------
    loss : str or Loss
    """

    outputs = 1  # for each number
    quantiles = ()  # that it says

    def __init__(self, loss):
        self.loss = losses.get(loss)

    def point(self, said):
        """The forecast (n, numbers) in outputs (n, outputs * numbers)."""
        return said

    def bounds(self, said, coverage):
        """(lower, upper) of the interval that holds a number with probability `coverage`, each (n, numbers)."""
        raise ConfigError(
            "predict_interval needs a forecaster that was built with distribution='gaussian', or"
            " with quantiles, for example quantiles=[0.05, 0.5, 0.95] for a coverage of 0.9"
        )

    def at(self, said, levels):
        """The quantiles `levels`, a list of (n, numbers)."""
        raise ConfigError(
            "predict_quantiles needs a forecaster that was built with quantiles, for example "
            "quantiles=[0.1, 0.5, 0.9], or with distribution='gaussian'"
        )

    def check_levels(self, levels):
        """Refuse quantiles that this head cannot give."""
        self.at(None, levels)


class GaussianHead(Head):
    """A mean and the logarithm of a variance for each number (:class:`gatewise.losses.GaussianNLL`)."""

    outputs = 2
    quantiles = ()

    def __init__(self):
        self.loss = losses.GaussianNLL()

    def point(self, said):
        """The means."""
        return said[:, : said.shape[1] // 2]

    def deviation(self, said):
        """The standard deviations."""
        log_variance = np.maximum(said[:, said.shape[1] // 2 :], math.log(self.loss.eps))
        return np.exp(log_variance / 2)

    def bounds(self, said, coverage):
        """See :meth:`PointHead.bounds`."""
        from scipy.special import ndtri

        half = ndtri((1 + coverage) / 2) * self.deviation(said)
        return self.point(said) - half, self.point(said) + half

    def at(self, said, levels):
        """See :meth:`PointHead.at`."""
        from scipy.special import ndtri

        point, deviation = self.point(said), self.deviation(said)
        return [point + ndtri(level) * deviation for level in levels]

    def check_levels(self, levels):
        """Any level between 0 and 1 is possible."""

    def sample(self, said, rng):
        """One draw of each number."""
        return self.point(said) + self.deviation(said) * rng.standard_normal(
            (len(said), said.shape[1] // 2)
        )


class QuantileHead(Head):
    """Some quantiles of each number (:class:`gatewise.losses.Quantile`).

    Where the network's quantiles cross they are put in order (Chernozhukov et al. 2010).

    Parameters
    ----------
    quantiles : list of float in (0, 1), with 0.5 among them
    """

    def __init__(self, quantiles):
        self.loss = losses.Quantile(quantiles)
        self.quantiles = np.array(self.loss.quantiles)
        self.outputs = len(self.quantiles)
        if not (np.diff(self.quantiles) > 0).all():
            raise ConfigError(
                f"quantiles are {self.loss.quantiles}; expected rising numbers, each once"
            )
        if 0.5 not in self.quantiles:
            raise ConfigError(
                f"quantiles are {self.loss.quantiles}; 0.5 must be among them: it is what predict"
                " gives"
            )

    def _quantile(self, said, level):
        number = int(np.flatnonzero(np.isclose(self.quantiles, level, rtol=0, atol=1e-9))[0])
        return np.sort(said.reshape(len(said), self.outputs, -1), axis=1)[:, number]

    def at(self, said, levels):
        """See :meth:`PointHead.at`."""
        return [self._quantile(said, level) for level in levels]

    def check_levels(self, levels):
        """Refuse quantiles that the network was not trained for."""
        for level in levels:
            if not np.isclose(self.quantiles, level, rtol=0, atol=1e-9).any():
                raise ConfigError(
                    f"quantile {level:g} was asked for; the forecaster was built with"
                    f" {self.loss.quantiles}: ask for one of these, or fit with quantiles that"
                    f" include {level:g}"
                )

    def point(self, said):
        """The medians."""
        return self._quantile(said, 0.5)

    def bounds(self, said, coverage):
        """See :meth:`PointHead.bounds`."""
        levels = (1 - coverage) / 2, (1 + coverage) / 2
        if not all(np.isclose(self.quantiles, level, rtol=0, atol=1e-9).any() for level in levels):
            has = [
                float(round(1 - 2 * low, 12))
                for low in self.quantiles
                if low < 0.5 and np.isclose(self.quantiles, 1 - low, rtol=0, atol=1e-9).any()
            ]
            raise ConfigError(
                f"coverage={coverage:g} needs quantiles {levels[0]:g} and {levels[1]:g}; the"
                f" forecaster was built with {self.loss.quantiles}"
                + (f", which give coverage {', '.join(map(str, has))}" if has else "")
            )
        return tuple(self._quantile(said, level) for level in levels)


def head_of(loss, quantiles, distribution, recursive):
    """The head that a forecaster's parameters ask for.

    Raises
    ------
    ConfigError
    """
    if distribution is not None and not (
        isinstance(distribution, str) and distribution == "gaussian"
    ):
        raise ConfigError(f"distribution is {distribution!r}; expected 'gaussian' or None")
    if quantiles is None and distribution is None:
        return PointHead(loss)
    if quantiles is not None and distribution is not None:
        raise ConfigError(
            "quantiles and distribution were both given; a forecaster says one or the other"
        )
    if quantiles is None:
        return GaussianHead()
    if recursive:
        raise ConfigError(
            "quantiles need strategy='direct': quantiles of one step do not follow from those of"
            " the step before; with strategy='recursive' give distribution='gaussian'"
        )
    return QuantileHead(checks.listed(quantiles, "quantiles", "numbers between 0 and 1"))
