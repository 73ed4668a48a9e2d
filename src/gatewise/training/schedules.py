"""Learning rates that follow a plan: functions of the number of steps taken.

Names, arguments and formulas are Keras's, those of ``StepDecay`` and ``OneCycle`` PyTorch's; all is
worked out in double. ``optimizer.learning_rate`` takes a schedule where it takes a number.
"""

import bisect
import copy
import itertools
import math

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError
from gatewise.registry import Registry

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


class LearningRateSchedule(Guarded):
    """Base of all schedules. One of your own overrides ``__call__(step)``; it can train, but not go into a file."""

    def __call__(self, step):
        """The learning rate after `step` steps.

        Parameters
        ----------
        step : int or float
            From 0 up; the first step of training is taken at rate ``schedule(0)``.

        Returns
        -------
        float

        Raises
        ------
        ConfigError
            The formula gives no finite number from 0 up at this step.
        """
        step = checks.number(step, "step", 0.0)
        try:
            rate = self._rate(step)
        except OverflowError:  # Python's power raises where division gives infinity
            rate = math.inf
        if not 0.0 <= rate < math.inf:
            raise ConfigError(
                f"{type(self).__name__} gives a learning rate of {rate} at step {step:g}; expected"
                f" a finite number from 0 up: choose other arguments than {self.get_config()}"
            )
        return rate

    def _rate(self, step):
        raise TypeError(f"{type(self).__name__} defines no __call__(step)")

    def get_config(self):
        """The arguments, as JSON values."""
        return copy.deepcopy(vars(self))

    @classmethod
    def from_config(cls, config):
        """A schedule from what :meth:`get_config` gave."""
        return cls(**config)


class _RateDecay(LearningRateSchedule):
    """A start, and what `decay_rate` makes of it every `decay_steps`."""

    def __init__(self, initial_learning_rate, decay_steps, decay_rate, staircase=False, name=None):
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = checks.number(decay_steps, "decay_steps", 0.0, open_low=True)
        self.decay_rate = checks.number(decay_rate, "decay_rate", 0.0)
        self.staircase = checks.flag(staircase, "staircase")
        self.name = checks.text(type(self).__name__ if name is None else name, "name")

    def _decays(self, step):
        decays = step / self.decay_steps
        return math.floor(decays) if self.staircase else decays


class ExponentialDecay(_RateDecay):
    """``initial_learning_rate * decay_rate ** (step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Steps for one factor of `decay_rate`; above 0.
    decay_rate : float
    staircase : bool
        The exponent is rounded down to a whole number.
    name : str, optional
    """

    def _rate(self, step):
        return self.initial_learning_rate * self.decay_rate ** self._decays(step)


class InverseTimeDecay(_RateDecay):
    """``initial_learning_rate / (1 + decay_rate * step / decay_steps)``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0.
    decay_rate : float
    staircase : bool
        ``step / decay_steps`` is rounded down to a whole number.
    name : str, optional
    """

    def _rate(self, step):
        return self.initial_learning_rate / (1 + self.decay_rate * self._decays(step))


class PiecewiseConstantDecay(LearningRateSchedule):
    """``values[0]`` up to and with step ``boundaries[0]``, then ``values[1]``, and so on.

    Parameters
    ----------
    boundaries : list of float
        Strictly increasing.
    values : list of float
        One more.
    name : str
    """

    def __init__(self, boundaries, values, name="PiecewiseConstant"):
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

    def _rate(self, step):
        return self.values[bisect.bisect_left(self.boundaries, step)]


class PolynomialDecay(LearningRateSchedule):
    """``(initial_learning_rate - end_learning_rate) * (1 - step / decay_steps) ** power + end_learning_rate``.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Above 0. From there on the rate stays at `end_learning_rate`.
    end_learning_rate, power : float
    cycle : bool
        Instead of staying, start again: `decay_steps` becomes its first multiple that is not below
        the step.
    name : str
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        end_learning_rate=0.0001,
        power=1.0,
        cycle=False,
        name="PolynomialDecay",
    ):
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.decay_steps = checks.number(decay_steps, "decay_steps", 0.0, open_low=True)
        self.end_learning_rate = checks.number(end_learning_rate, "end_learning_rate", 0.0)
        self.power = checks.number(power, "power", 0.0)
        self.cycle = checks.flag(cycle, "cycle")
        self.name = checks.text(name, "name")

    def _rate(self, step):
        p = step / self.decay_steps
        p = p / max(1, math.ceil(p)) if self.cycle else min(p, 1.0)
        return (self.initial_learning_rate - self.end_learning_rate) * (
            1 - p
        ) ** self.power + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the start down to `alpha` times the start, after a linear warm-up if one is asked for.

    From Loshchilov and Hutter 2017, without the restarts.

    Parameters
    ----------
    initial_learning_rate : float
    decay_steps : float
        Steps of the cosine, which come after those of the warm-up; above 0.
    alpha : float
        What remains at the end, as a fraction.
    name : str
    warmup_target : float, optional
        Rate at which the warm-up ends and the cosine begins. None: no warm-up.
    warmup_steps : float
        Steps from `initial_learning_rate` to `warmup_target`.
    """

    def __init__(
        self,
        initial_learning_rate,
        decay_steps,
        alpha=0.0,
        name="CosineDecay",
        warmup_target=None,
        warmup_steps=0,
    ):
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

    def _rate(self, step):
        if step < self.warmup_steps:
            return (
                self.initial_learning_rate
                + (self.warmup_target - self.initial_learning_rate) * step / self.warmup_steps
            )
        start = self.initial_learning_rate if self.warmup_target is None else self.warmup_target
        return start * _half_cosine(
            min(1.0, (step - self.warmup_steps) / self.decay_steps), self.alpha
        )


class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine over `first_decay_steps`, then again from the top, each time longer (Loshchilov and Hutter 2017, SGDR).

    Parameters
    ----------
    initial_learning_rate : float
    first_decay_steps : float
        Above 0.
    t_mul, m_mul : float
        What the length (at least 1) and the height of each cosine are multiplied by to give those
        of the next.
    alpha : float
        What remains at the end of each, as a fraction of `initial_learning_rate`.
    name : str
    """

    def __init__(
        self,
        initial_learning_rate,
        first_decay_steps,
        t_mul=2.0,
        m_mul=1.0,
        alpha=0.0,
        name="SGDRDecay",
    ):
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

    def _rate(self, step):
        restarts, done = self._where(step / self.first_decay_steps)
        return self.initial_learning_rate * _half_cosine(done, self.alpha, self.m_mul**restarts)

    def _where(self, x):
        """(cosines that are over, fraction of the present one), x steps in lengths of the first."""
        if self.t_mul == 1.0:
            return math.floor(x), x - math.floor(x)
        restarts = math.floor(math.log1p(x * (self.t_mul - 1)) / math.log(self.t_mul))
        done = self._fraction(x, restarts)
        if done >= 1.0:  # the logarithms came out just below a whole number: a cosine starts here
            restarts, done = restarts + 1, self._fraction(x, restarts + 1)
        return restarts, max(done, 0.0)

    def _fraction(self, x, restarts):
        length = self.t_mul**restarts
        return (x - (length - 1) / (self.t_mul - 1)) / length


def _half_cosine(done, alpha, height=1.0):
    return (1 - alpha) * 0.5 * height * (1 + math.cos(math.pi * done)) + alpha


class StepDecay(LearningRateSchedule):
    """``initial_learning_rate * gamma ** (step // step_size)``: PyTorch's ``StepLR``, in steps of the optimizer.

    Parameters
    ----------
    initial_learning_rate : float
    step_size : int
        At least 1.
    gamma : float
    """

    def __init__(self, initial_learning_rate, step_size, gamma=0.1):
        self.initial_learning_rate = checks.number(
            initial_learning_rate, "initial_learning_rate", 0.0
        )
        self.step_size = checks.whole_number(step_size, "step_size")
        self.gamma = checks.number(gamma, "gamma", 0.0)

    def _rate(self, step):
        return self.initial_learning_rate * self.gamma ** (step // self.step_size)


class OneCycle(LearningRateSchedule):
    """Up to `max_lr` and down to next to nothing: the learning rate of PyTorch's ``OneCycleLR`` (Smith and Topin 2018).

    The rate starts at ``max_lr / div_factor`` and ends, at step ``total_steps - 1``, at that
    divided by `final_div_factor`, where it stays (PyTorch raises an error there).

    Parameters
    ----------
    max_lr : float
    total_steps : int
        At least 1.
    pct_start : float
        Fraction of the steps in which the rate rises.
    anneal_strategy : {"cos", "linear"}
        How it goes from one value to the next.
    div_factor, final_div_factor : float
        Above 0.
    three_phase : bool
        Come down to the start in as many steps as it took to rise, and from there to the end.
    """

    def __init__(
        self,
        max_lr,
        total_steps,
        pct_start=0.3,
        anneal_strategy="cos",
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
    ):
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

    def _phases(self):
        """(last step, rate there) of each phase."""
        rise, last = self.pct_start * self.total_steps, self.total_steps - 1
        start = self.max_lr / self.div_factor
        middle = [(2 * rise - 2, start)] if self.three_phase else []
        return [(rise - 1, self.max_lr), *middle, (last, start / self.final_div_factor)]

    def _rate(self, step):
        step = min(step, self.total_steps - 1)
        first, rate = 0.0, self.max_lr / self.div_factor
        for last, target in self._phases():
            if step <= last:
                done = (step - first) / (last - first) if last > first else 1.0
                return self._between(rate, target, done)
            first, rate = last, target
        return rate

    def _between(self, start, end, done):
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


def get(identifier):
    """A schedule from a schedule or a saved configuration.

    Raises
    ------
    DTypeError, ConfigError
    """
    return SCHEDULES.get(identifier)


def serialize(schedule):
    """What :func:`get` reads back, as JSON values.

    Raises
    ------
    ConfigError
        The class is not one of gatewise's: nobody who reads the file would have it.
    """
    name = type(schedule).__name__
    if SCHEDULES.classes.get(name) is not type(schedule):
        raise ConfigError(
            f"a schedule of class {name} cannot be written to a file; use one of gatewise.schedules"
            f" ({', '.join(sorted(SCHEDULES.classes))}), or a number as learning rate"
        )
    return SCHEDULES.serialize(schedule)
