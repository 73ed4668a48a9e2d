"""Steps divided by the root of the sum of all squared gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.kernels import optimizers as kernels

from .base import Optimizer, elementwise
from .options import option

if TYPE_CHECKING:
    from gatewise._typing import Array, Config
    from gatewise.training.schedules import LearningRateSchedule


class Adagrad(Optimizer):
    """``a += g^2; p -= lr g / sqrt(a + epsilon)`` (Duchi et al. 2011).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    initial_accumulator_value : float, default 0.1
        From 0: what a is before the first step.
    epsilon : float, default 1e-7
        From 0.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import Adagrad
    >>> p = np.array([1.0, 2.0])
    >>> Adagrad(0.1, initial_accumulator_value=0).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p.round(3)
    array([0.9, 2.1])
    """

    initial_accumulator_value: float = option(checks.number, low=0.0)
    epsilon: float = option(checks.number, low=0.0)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def _array_slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value} | super()._array_slots()

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        kernels.adagrad(p, g, self._slots["accumulator"], rate, self.epsilon, decay, work)

    def get_config(self) -> Config:
        return super().get_config() | {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
