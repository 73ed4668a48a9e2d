"""Schedules that decay: exponentially, inversely, in pieces, as a polynomial, in steps."""

from __future__ import annotations

import bisect
import itertools
import math
from typing import TYPE_CHECKING

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Formula

if TYPE_CHECKING:
    from collections.abc import Sequence


class _RateDecay(Formula):
    """A start, and what `decay_rate` makes of it every `decay_steps`."""

    decay_steps: float
    initial_learning_rate: float
    decay_rate: float
    name: str
    staircase: bool

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = None,
    ) -> None:
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = checks.number(decay_steps, "decay_steps", 0.0, open_low=True)
        self.decay_rate = checks.number(decay_rate, "decay_rate", 0.0)
        self.staircase = checks.flag(staircase, "staircase")
        self.name = checks.text(type(self).__name__ if name is None else name, "name")

    def _decays(self, step: float) -> float:
        decays = step / self.decay_steps
        return math.floor(decays) if self.staircase else decays


class ExponentialDecay(_RateDecay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    decay_steps : float
        Above 0: steps for one factor of `decay_rate`.
    decay_rate : float
        From 0.
    staircase : bool, default False
        Whether the exponent is rounded down to a whole number.
    name : str, default "ExponentialDecay"
        Default: that of the class.

    Examples
    --------
    >>> from gatewise.schedules import ExponentialDecay
    >>> ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.025
    """

    def _rate(self, step: float) -> float:
        return self.initial_learning_rate * self.decay_rate ** self._decays(step)


class InverseTimeDecay(_RateDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    decay_steps : float
        Above 0.
    decay_rate : float
        From 0.
    staircase : bool, default False
        Whether ``step / decay_steps`` is rounded down to a whole number.
    name : str, default "InverseTimeDecay"
        Default: that of the class.

    Examples
    --------
    >>> from gatewise.schedules import InverseTimeDecay
    >>> InverseTimeDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
    0.05
    """

    def _rate(self, step: float) -> float:
        return self.initial_learning_rate / (1 + self.decay_rate * self._decays(step))


class PiecewiseConstantDecay(Formula):
    """``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : list of float
        Steps, strictly increasing.
    values : list of float
        Rates from 0, one more than boundaries.
    name : str, default "PiecewiseConstant"
        Default: that of the class.

    Examples
    --------
    >>> from gatewise.schedules import PiecewiseConstantDecay
    >>> PiecewiseConstantDecay([10], [0.1, 0.01])(11)
    0.01
    """

    values: list[float]
    boundaries: list[float]
    name: str

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        self.boundaries = [
            checks.number(bound, "a boundary")
            for bound in checks.listed(boundaries, "boundaries", "steps")
        ]
        self.values = [
            checks.number(value, "a value", 0.0)
            for value in checks.listed(values, "values", "learning rates")
        ]
        self.name = checks.text(name, "name")
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigError(
                f"{len(self.boundaries)} boundaries part {len(self.boundaries) + 1} learning rates;"
                f" got {len(self.values)} values"
            )
        if any(a >= b for a, b in itertools.pairwise(self.boundaries)):
            raise ConfigError(
                f"boundaries is {self.boundaries}; expected steps in strictly increasing order"
            )

    def _rate(self, step: float) -> float:
        return self.values[bisect.bisect_left(self.boundaries, step)]


class PolynomialDecay(Formula):
    """A polynomial from the initial rate down to the end rate.

    ``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power +
    end_learning_rate``

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    decay_steps : float
        Above 0. After them the rate stays at `end_learning_rate`.
    end_learning_rate : float, default 0.0001
        From 0.
    power : float, default 1.0
        From 0.
    cycle : bool, default False
        Instead of staying, start again: `decay_steps` becomes its first multiple that is not below
        the step.
    name : str, default "PolynomialDecay"
        Default: that of the class.

    Examples
    --------
    >>> from gatewise.schedules import PolynomialDecay
    >>> PolynomialDecay(0.1, decay_steps=10, end_learning_rate=0.0)(5)
    0.05
    """

    name: str
    end_learning_rate: float
    cycle: bool
    initial_learning_rate: float
    decay_steps: float
    power: float

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = checks.number(decay_steps, "decay_steps", 0.0, open_low=True)
        self.end_learning_rate = checks.number(end_learning_rate, "end_learning_rate", 0.0)
        self.power = checks.number(power, "power", 0.0)
        self.cycle = checks.flag(cycle, "cycle")
        self.name = checks.text(name, "name")

    def _rate(self, step: float) -> float:
        p = step / self.decay_steps
        p = p / max(1, math.ceil(p)) if self.cycle else min(p, 1.0)
        return (self.initial_learning_rate - self.end_learning_rate) * (
            1 - p
        ) ** self.power + self.end_learning_rate


class StepDecay(Formula):
    """``initial_learning_rate * gamma ** (step // step_size)``: PyTorch's ``StepLR``.

    It counts steps of the optimizer.

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    step_size : int
        At least 1.
    gamma : float, default 0.1
        From 0.

    Examples
    --------
    >>> from gatewise.schedules import StepDecay
    >>> StepDecay(0.1, step_size=10, gamma=0.5)(25)
    0.025
    """

    gamma: float
    initial_learning_rate: float
    step_size: int

    def __init__(self, initial_learning_rate: float, step_size: int, gamma: float = 0.1) -> None:
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.step_size = checks.whole_number(step_size, "step_size")
        self.gamma = checks.number(gamma, "gamma", 0.0)

    def _rate(self, step: float) -> float:
        return self.initial_learning_rate * self.gamma ** (step // self.step_size)
