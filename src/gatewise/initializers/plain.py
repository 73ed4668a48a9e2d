"""Initial values that do not depend on the shape: constants and distributions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks

from .base import Initializer

if TYPE_CHECKING:
    from gatewise._typing import Array


class Zeros(Initializer):
    """All values are 0.

    Examples
    --------
    >>> from gatewise.initializers import Zeros
    >>> Zeros()((2,))
    array([0., 0.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """All values are 1.

    Examples
    --------
    >>> from gatewise.initializers import Ones
    >>> Ones()((2,))
    array([1., 1.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """All values are `value`.

    Parameters
    ----------
    value : float, default 0.0
        The value of every weight.

    Examples
    --------
    >>> from gatewise.initializers import Constant
    >>> Constant(0.5)((2,))
    array([0.5, 0.5], dtype=float32)
    """

    value: float

    def __init__(self, value: float = 0.0) -> None:
        self.value = checks.number(value, "value")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, self.value)


class RandomNormal(Initializer):
    """A normal distribution with `mean` and `stddev`.

    Parameters
    ----------
    mean : float, default 0.0
        The mean of the distribution.
    stddev : float, default 0.05
        From 0.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import RandomNormal
    >>> RandomNormal(mean=1.0, stddev=0.0)((2,))
    array([1., 1.], dtype=float32)
    """

    mean: float
    stddev: float

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number(mean, "mean")
        self.stddev = checks.number(stddev, "stddev", 0.0)
        self.seed = seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class RandomUniform(Initializer):
    """A uniform distribution over [minval, maxval).

    Parameters
    ----------
    minval : float, default -0.05
        The least value.
    maxval : float, default 0.05
        From `minval`.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import RandomUniform
    >>> values = RandomUniform(0, 1, seed=0)((100,))
    >>> bool((values >= 0).all() and (values < 1).all())
    True
    """

    maxval: float
    minval: float

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        self.minval = checks.number(minval, "minval")
        self.maxval = checks.number(maxval, "maxval", self.minval)
        self.seed = seed
        checks.number(self.maxval - self.minval, "maxval - minval")

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)


def truncated_normal(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Standard normal values, drawn again if they lie more than two deviations from 0."""
    draw = rng.standard_normal(shape)
    while (outside := np.abs(draw) > 2).any():
        draw[outside] = rng.standard_normal(int(outside.sum()))
    return draw


class TruncatedNormal(Initializer):
    """A normal distribution, drawn again if a value lies more than two deviations from the mean.

    Parameters
    ----------
    mean : float, default 0.0
        The mean of the distribution.
    stddev : float, default 0.05
        From 0; that of the distribution before values are drawn again.
    seed : int, optional
        Of a generator of its own. None: draws come from that of the model.

    Examples
    --------
    >>> from gatewise.initializers import TruncatedNormal
    >>> bool((abs(TruncatedNormal(stddev=0.5, seed=0)((1000,))) <= 1).all())
    True
    """

    stddev: float
    mean: float

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean = checks.number(mean, "mean")
        self.stddev = checks.number(stddev, "stddev", 0.0)
        self.seed = seed

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.mean + self.stddev * truncated_normal(shape, rng)
