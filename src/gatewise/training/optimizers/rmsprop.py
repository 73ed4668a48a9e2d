"""Steps divided by the root of a running mean of squared gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.kernels import optimizers as kernels

from .base import Optimizer, elementwise
from .options import option

if TYPE_CHECKING:
    from gatewise._typing import Array, Config
    from gatewise.training.schedules import LearningRateSchedule


class RMSprop(Optimizer):
    """``p -= lr g / sqrt(v + epsilon)``, v a running mean of g^2 (Tieleman and Hinton 2012).

    If `centered`, ``v - mean(g)^2`` takes the place of v. If rounding makes that negative it counts
    as 0 (Keras: NaN).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    rho : float, default 0.9
        In [0, 1): share of the mean that stays at each step.
    momentum : float, default 0.0
        In [0, 1).
    epsilon : float, default 1e-7
        From 0.
    centered : bool, default False
        Divide by the deviation of g instead of the root of its mean square.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import RMSprop
    >>> p = np.array([1.0, 2.0])
    >>> RMSprop(0.1, rho=0.75).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p.round(3)
    array([0.8, 2.2])
    """

    rho: float = option(checks.fraction)
    momentum: float = option(checks.fraction)
    epsilon: float = option(checks.number, low=0.0)
    centered: bool = option(checks.flag)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def slot_names(self) -> tuple[str, ...]:
        return (
            "velocity",
            *(("mean",) if self.centered else ()),
            *(("momentum",) if self.momentum else ()),
        )

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        slots = self._slots
        kernels.rmsprop(
            p,
            g,
            slots["velocity"],
            slots.get("mean"),
            slots.get("momentum"),
            rate,
            self.rho,
            self.momentum,
            self.epsilon,
            decay,
            work,
        )

    def get_config(self) -> Config:
        return super().get_config() | {
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
