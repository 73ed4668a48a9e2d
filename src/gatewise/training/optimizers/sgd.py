"""Gradient descent, with momentum or without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.kernels import optimizers as kernels

from .base import Optimizer, elementwise
from .options import option

if TYPE_CHECKING:
    from gatewise._typing import Array, Config
    from gatewise.training.schedules import LearningRateSchedule


class SGD(Optimizer):
    """Gradient descent, with momentum if asked for (Sutskever et al. 2013).

    ``v = momentum v - lr g; p += v``, and with Nesterov momentum ``p += momentum v - lr g``.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.01
        From 0; a schedule gives the rate of each step.
    momentum : float, default 0.0
        In [0, 1).
    nesterov : bool, default False
        Whether momentum looks one step ahead.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import SGD
    >>> p = np.array([1.0, 2.0])
    >>> SGD(0.1).step(p, np.array([1.0, -1.0]), [slice(0, 2)])
    >>> p
    array([0.9, 2.1])
    """

    momentum: float = option(checks.fraction)
    nesterov: bool = option(checks.flag)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.momentum = momentum
        self.nesterov = nesterov

    def slot_names(self) -> tuple[str, ...]:
        return ("momentum",) if self.momentum else ()

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        kernels.sgd(
            p, g, self._slots.get("momentum"), rate, self.momentum, self.nesterov, decay, work
        )

    def get_config(self) -> Config:
        return super().get_config() | {"momentum": self.momentum, "nesterov": self.nesterov}
