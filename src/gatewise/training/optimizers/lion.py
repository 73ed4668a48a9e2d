"""Steps of one size: the sign of a running mean of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.kernels import optimizers as kernels

from .base import Optimizer, elementwise
from .options import option

if TYPE_CHECKING:
    from gatewise._typing import Array, Config
    from gatewise.training.schedules import LearningRateSchedule


class Lion(Optimizer):
    """Steps of the sign of a running mean (Chen et al. 2023).

    ``p -= lr sign(beta_1 m + (1 - beta_1) g); m = beta_2 m + (1 - beta_2) g``

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    beta_1 : float, default 0.9
        In (0, 1]: share of the mean in the sign. At 0 only the sign of g would be left.
    beta_2 : float, default 0.99
        In [0, 1): share of the mean that stays at each step.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import Lion
    >>> p = np.array([1.0, 2.0])
    >>> Lion(0.1).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p
    array([0.9, 2.1])
    """

    beta_1: float = option(checks.number, low=0.0, high=1.0, open_low=True)
    beta_2: float = option(checks.fraction)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",)

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        kernels.lion(p, g, self._slots["momentum"], rate, self.beta_1, self.beta_2, decay, work)

    def get_config(self) -> Config:
        return super().get_config() | {"beta_1": self.beta_1, "beta_2": self.beta_2}
