"""Gaussian noise in training: added, or as a factor."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.attributes import checked

from .base import Layer
from .tape import draws

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape


class _Noise(Layer):
    """Base of both: at inference the output is the input itself."""

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed: int | None = checks.seed(seed)

    def _step_ops(self) -> list[StepOp]:
        return []

    def _normal(self, x: Array, deviation: float) -> Array:
        """Normal numbers of mean 0, as many as x has."""
        normal = self.random_generator().standard_normal(x.shape, dtype=x.dtype)
        normal *= x.dtype.type(deviation)
        return normal


class GaussianNoise(_Noise):
    """Add normal noise of mean 0 in training.

    At inference the output is the input itself.

    Parameters
    ----------
    stddev : float
        Standard deviation of the noise, from 0.
    seed : int, optional
        Seed of the draws of a layer used alone, from 0. None: a random one. In a model, the
        generator of the model draws.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GaussianNoise
    >>> y = GaussianNoise(0.5, seed=0).forward(np.zeros((1, 1000), "f"), training=True)
    >>> round(float(y.std()), 1)
    0.5
    """

    stddev: float = checked(checks.number, low=0)

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.stddev = stddev

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        if not draws(tape) or self.stddev == 0:
            return inputs
        noise = self._normal(inputs.values, self.stddev)
        noise += inputs.values
        return inputs.with_values(noise)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        return gradients

    def get_config(self) -> Config:
        return super().get_config() | {"stddev": self.stddev, "seed": self.seed}


class GaussianDropout(_Noise):
    """Multiply by normal noise of mean 1 in training.

    Its variance is that of :class:`Dropout` of the same rate. At inference the output is the input
    itself.

    Parameters
    ----------
    rate : float
        The rate of a dropout of the same variance, in [0, 1): the noise has the standard deviation
        ``sqrt(rate / (1 - rate))``.
    seed : int, optional
        Seed of the draws of a layer used alone, from 0. None: a random one. In a model, the
        generator of the model draws.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GaussianDropout
    >>> y = GaussianDropout(0.5, seed=0).forward(np.ones((1, 1000), "f"), training=True)
    >>> round(float(y.mean())), round(float(y.std()))
    (1, 1)
    """

    rate: float = checked(checks.fraction)

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed, **kwargs)
        self.rate = rate

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        if tape is None:
            return inputs
        if self.rate == 0 or not tape.training:
            tape.keep(node, None)
            return inputs
        factors = self._normal(inputs.values, math.sqrt(self.rate / (1 - self.rate)))
        factors += 1
        tape.keep(node, factors)
        return inputs.with_values(inputs.values * factors)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        factors = tape.take(node)
        return gradients if factors is None else gradients * factors

    def get_config(self) -> Config:
        return super().get_config() | {"rate": self.rate, "seed": self.seed}
