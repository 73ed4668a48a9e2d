"""Schedules of cosines: half of one, with restarts, and one cycle up and down."""

from __future__ import annotations

import math

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Formula


class CosineDecay(Formula):
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


class CosineDecayRestarts(Formula):
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


class OneCycle(Formula):
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
