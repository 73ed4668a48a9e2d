"""Learning rates that follow a plan: functions of the number of steps taken.

Names, arguments and formulas are Keras's, those of ``StepDecay`` and ``OneCycle`` PyTorch's; all is
computed in double precision. ``optimizer.learning_rate`` takes a schedule in place of a number.
"""

from __future__ import annotations

import abc
import bisect
import copy
import itertools
import math
from typing import TYPE_CHECKING

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError
from gatewise.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gatewise._typing import Config

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
    "get",
    "serialize",
]


class LearningRateSchedule(Guarded, abc.ABC):
    """Base of all schedules.

    A user-defined schedule defines :meth:`__call__`. It can train, but no file can hold it.

    Examples
    --------
    >>> from gatewise.optimizers import SGD
    >>> from gatewise.schedules import LearningRateSchedule
    >>> class Halved(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5**step
    >>> SGD(Halved()).learning_rate
    0.1
    """

    @abc.abstractmethod
    def __call__(self, step: float) -> float:
        """The learning rate after a number of steps.

        Parameters
        ----------
        step : int or float
            From 0; the first step of training is taken at rate ``schedule(0)``.

        Returns
        -------
        float

        Raises
        ------
        ConfigError
            The formula gives no finite number from 0 at this step.
        """

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.
        """
        return copy.deepcopy(vars(self))

    @classmethod
    def from_config(cls, config: Config) -> Self:
        """A new schedule with these arguments.

        Parameters
        ----------
        config : dict
            What :meth:`get_config` returned.
        """
        return cls(**config)


class _Formula(LearningRateSchedule):
    """Base of the library's schedules: a formula whose values are checked."""

    def __call__(self, step: float) -> float:
        step = checks.number(step, "step", 0.0)
        try:
            rate = self._rate(step)
        except OverflowError:  # Python's power raises an error, its division returns infinity
            rate = math.inf
        if not 0.0 <= rate < math.inf:
            raise ConfigError(
                f"{type(self).__name__} gives a learning rate of {rate} at step {step:g}; expected"
                f" a finite number from 0 up: choose other arguments than {self.get_config()}"
            )
        return rate

    @abc.abstractmethod
    def _rate(self, step: float) -> float:
        """The rate after this many steps; it may be anything, and overflow."""


class _RateDecay(_Formula):
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


class PiecewiseConstantDecay(_Formula):
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


class PolynomialDecay(_Formula):
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


class CosineDecay(_Formula):
    """Half a cosine from the start down to `alpha` times the start, after an optional warm-up.

    From Loshchilov and Hutter 2017, without the restarts. The warm-up is linear.

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    decay_steps : float
        Above 0: steps of the cosine, which come after those of the warm-up.
    alpha : float, default 0.0
        From 0: what remains at the end, as a fraction.
    name : str, default "CosineDecay"
        Default: that of the class.
    warmup_target : float, optional
        Rate at which the warm-up ends and the cosine begins. None: no warm-up.
    warmup_steps : float, default 0
        Steps from `initial_learning_rate` to `warmup_target`.

    Examples
    --------
    >>> from gatewise.schedules import CosineDecay
    >>> round(CosineDecay(0.1, decay_steps=10)(5), 4)
    0.05
    """

    decay_steps: float
    warmup_target: float | None
    alpha: float
    initial_learning_rate: float
    warmup_steps: float
    name: str

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = checks.number(decay_steps, "decay_steps", 0.0, open_low=True)
        self.alpha = checks.number(alpha, "alpha", 0.0)
        self.name = checks.text(name, "name")
        self.warmup_target = (
            None if warmup_target is None else checks.number(warmup_target, "warmup_target", 0.0)
        )
        self.warmup_steps = checks.number(warmup_steps, "warmup_steps", 0.0)
        if self.warmup_steps and self.warmup_target is None:
            raise ConfigError(
                f"warmup_steps is {self.warmup_steps:g} and warmup_target None; give the rate to"
                " warm up to"
            )

    def _rate(self, step: float) -> float:
        if self.warmup_target is not None and step < self.warmup_steps:
            return (
                self.initial_learning_rate
                + (self.warmup_target - self.initial_learning_rate) * step / self.warmup_steps
            )
        start = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
        return start * _half_cosine(
            min(1.0, (step - self.warmup_steps) / self.decay_steps), self.alpha
        )


class CosineDecayRestarts(_Formula):
    """Half a cosine again and again, each longer than the one before (Loshchilov and Hutter 2017).

    The schedule is called SGDR.

    Parameters
    ----------
    initial_learning_rate : float
        From 0.
    first_decay_steps : float
        Above 0: steps of the first cosine.
    t_mul : float, default 2.0
        At least 1: what the length of each cosine is multiplied by to give that of the next.
    m_mul : float, default 1.0
        From 0: the same for the height.
    alpha : float, default 0.0
        From 0: what remains at the end of each, as a fraction of `initial_learning_rate`.
    name : str, default "SGDRDecay"
        Default: that of the class.

    Examples
    --------
    >>> from gatewise.schedules import CosineDecayRestarts
    >>> CosineDecayRestarts(0.1, first_decay_steps=10)(10)
    0.1
    """

    name: str
    initial_learning_rate: float
    t_mul: float
    m_mul: float
    alpha: float
    first_decay_steps: float

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.first_decay_steps = checks.number(
            first_decay_steps, "first_decay_steps", 0.0, open_low=True
        )
        # below, all restarts would be over after finitely many steps
        self.t_mul = checks.number(t_mul, "t_mul", 1.0)
        self.m_mul = checks.number(m_mul, "m_mul", 0.0)
        self.alpha = checks.number(alpha, "alpha", 0.0)
        self.name = checks.text(name, "name")

    def _rate(self, step: float) -> float:
        restarts, done = self._where(step / self.first_decay_steps)
        return self.initial_learning_rate * _half_cosine(done, self.alpha, self.m_mul**restarts)

    def _where(self, x: float) -> tuple[int, float]:
        """(cosines that are over, fraction of the present one), x steps in lengths of the first."""
        if self.t_mul == 1.0:
            return math.floor(x), x - math.floor(x)
        restarts = math.floor(math.log1p(x * (self.t_mul - 1)) / math.log(self.t_mul))
        done = self._fraction(x, restarts)
        if done >= 1.0:  # the logarithms came out just below a whole number: a cosine starts here
            restarts, done = restarts + 1, self._fraction(x, restarts + 1)
        return restarts, max(done, 0.0)

    def _fraction(self, x: float, restarts: int) -> float:
        length = self.t_mul**restarts
        return (x - (length - 1) / (self.t_mul - 1)) / length


def _half_cosine(done: float, alpha: float, height: float = 1.0) -> float:
    return (1 - alpha) * 0.5 * height * (1 + math.cos(math.pi * done)) + alpha


class StepDecay(_Formula):
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


class OneCycle(_Formula):
    """Up to `max_lr` and down to almost 0: PyTorch's ``OneCycleLR`` (Smith and Topin 2018).

    The rate starts at ``max_lr / div_factor`` and ends, at step ``total_steps - 1``, at that
    divided by `final_div_factor`, where it stays (PyTorch raises an error there). The momentum
    stays as it is.

    Parameters
    ----------
    max_lr : float
        From 0.
    total_steps : int
        At least 1.
    pct_start : float, default 0.3
        In [0, 1]: fraction of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}, default "cos"
        How it goes from one value to the next.
    div_factor : float, default 25.0
        Above 0.
    final_div_factor : float, default 1e4
        Above 0.
    three_phase : bool, default False
        Whether to come down to the start in as many steps as it took to rise, and from there to the
        end.

    Examples
    --------
    >>> from gatewise.schedules import OneCycle
    >>> OneCycle(0.1, total_steps=11, pct_start=0.5, anneal_strategy="linear")(0)
    0.004
    """

    total_steps: int
    pct_start: float
    final_div_factor: float
    three_phase: bool
    max_lr: float
    div_factor: float

    def __init__(
        self,
        max_lr: float,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        self.max_lr = checks.number(max_lr, "max_lr", 0.0)
        self.total_steps = checks.whole_number(total_steps, "total_steps")
        self.pct_start = checks.number(pct_start, "pct_start", 0.0, 1.0)
        if not isinstance(anneal_strategy, str) or anneal_strategy not in ("cos", "linear"):
            raise ConfigError(f"anneal_strategy is {anneal_strategy!r}; expected 'cos' or 'linear'")
        self.anneal_strategy = anneal_strategy
        self.div_factor = checks.number(div_factor, "div_factor", 0.0, open_low=True)
        self.final_div_factor = checks.number(
            final_div_factor, "final_div_factor", 0.0, open_low=True
        )
        self.three_phase = checks.flag(three_phase, "three_phase")

    def _phases(self) -> list[tuple[float, float]]:
        """(last step, rate there) of each phase."""
        rise, last = self.pct_start * self.total_steps, self.total_steps - 1
        start = self.max_lr / self.div_factor
        middle = [(2 * rise - 2, start)] if self.three_phase else []
        return [(rise - 1, self.max_lr), *middle, (last, start / self.final_div_factor)]

    def _rate(self, step: float) -> float:
        step = min(step, self.total_steps - 1)
        first, rate = 0.0, self.max_lr / self.div_factor
        for last, target in self._phases():
            if step <= last:
                done = (step - first) / (last - first) if last > first else 1.0
                return self._between(rate, target, done)
            first, rate = last, target
        return rate

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * done
        return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


SCHEDULES: Registry[LearningRateSchedule] = Registry(
    "learning rate schedule",
    LearningRateSchedule,
    (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        OneCycle,
        PiecewiseConstantDecay,
        PolynomialDecay,
        StepDecay,
    ),
    namespace="gatewise.schedules",
)


def get(identifier: Config | LearningRateSchedule) -> LearningRateSchedule:
    """A schedule from a saved configuration or a schedule.

    Parameters
    ----------
    identifier : dict or LearningRateSchedule
        What :func:`serialize` returned, or a schedule, which is returned itself.

    Returns
    -------
    LearningRateSchedule
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The class is not known, or the configuration does not fit.
    DTypeError
        It is neither.

    Examples
    --------
    >>> from gatewise import schedules
    >>> config = {"initial_learning_rate": 0.1, "step_size": 10}
    >>> schedules.get({"class_name": "StepDecay", "config": config})
    StepDecay(initial_learning_rate=0.1, step_size=10)
    """
    return SCHEDULES.get(identifier)


def serialize(schedule: LearningRateSchedule) -> Config:
    """The class and arguments of a schedule as JSON values, which :func:`get` reads.

    Parameters
    ----------
    schedule : LearningRateSchedule
        The schedule to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        The class is user-defined: no reader of the file would have it.

    Examples
    --------
    >>> from gatewise import schedules
    >>> schedules.serialize(schedules.StepDecay(0.1, 10))["class_name"]
    'StepDecay'
    """
    name = type(schedule).__name__
    if SCHEDULES.classes.get(name) is not type(schedule):
        raise ConfigError(
            f"a schedule of class {name} cannot be written to a file; use one of gatewise.schedules"
            f" ({', '.join(sorted(SCHEDULES.classes))}), or a number as learning rate"
        )
    return SCHEDULES.serialize(schedule)
