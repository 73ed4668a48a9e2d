"""Adam and its relatives: running means of gradients and of their squares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import CheckpointError
from gatewise.kernels import optimizers as kernels

from .base import Optimizer, elementwise
from .options import option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array, Config
    from gatewise.training.schedules import LearningRateSchedule


class Adam(Optimizer):
    """Steps of the mean gradient over the root of the mean square (Kingma and Ba 2015).

    ``p -= a m / (sqrt(v) + epsilon)`` with ``a = lr sqrt(1 - beta_2^t) / (1 - beta_1^t)``, where m
    and v are running means of g and g^2. If `amsgrad`, the largest v so far takes the place of v
    (Reddi et al. 2018).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1): share of m and of v that stays at each step.
    epsilon : float, default 1e-7
        From 0.
    amsgrad : bool, default False
        Whether the largest v so far takes the place of v.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import Adam
    >>> p = np.array([1.0, 2.0])
    >>> Adam(0.1).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p.round(3)
    array([0.9, 2.1])
    """

    beta_1: float = option(checks.fraction)
    beta_2: float = option(checks.fraction)
    epsilon: float = option(checks.number, low=0.0)
    amsgrad: bool = option(checks.flag)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def slot_names(self) -> tuple[str, ...]:
        return "momentum", "velocity", *(("velocity_hat",) if self.amsgrad else ())

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        t, slots = self.iterations, self._slots
        rate *= math.sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        kernels.adam(
            p,
            g,
            slots["momentum"],
            slots["velocity"],
            slots.get("velocity_hat"),
            rate,
            0.0,
            self.beta_1,
            self.beta_2,
            self.epsilon,
            decay,
            work,
        )

    def get_config(self) -> Config:
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam after ``p -= lr weight_decay p`` (Loshchilov and Hutter 2019).

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    weight_decay : float, default 0.004
        From 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1): share of the running means that stays at each step.
    epsilon : float, default 1e-7
        From 0.
    amsgrad : bool, default False
        See :class:`Adam`.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import AdamW
    >>> p = np.array([1.0, 2.0])
    >>> AdamW(0.1, weight_decay=0.5).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p.round(3)
    array([0.85, 2.  ])
    """

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        weight_decay = checks.number(weight_decay, "weight_decay", 0.0)
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )


class Nadam(Optimizer):
    """Adam with Nesterov momentum (Dozat 2016).

    ``p -= lr (u' m / (1 - U u') + (1 - u) g / (1 - U)) / (sqrt(v / (1 - beta_2^t)) + epsilon)``,
    where ``u = beta_1 (1 - 0.96^t / 2)``, u' is that of the next step, and U the product of all u
    so far.

    Parameters
    ----------
    learning_rate : float or LearningRateSchedule, default 0.001
        From 0; a schedule gives the rate of each step.
    beta_1, beta_2 : float, default 0.9 and 0.999
        In [0, 1): share of m and of v that stays at each step.
    epsilon : float, default 1e-7
        From 0.
    **kwargs
        Options of :class:`Optimizer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.optimizers import Nadam
    >>> p = np.array([1.0, 2.0])
    >>> Nadam(0.1).step(p, np.array([3.0, -4.0]), [slice(0, 2)])
    >>> p.round(3)
    array([0.894, 2.106])
    """

    beta_1: float = option(checks.fraction)
    beta_2: float = option(checks.fraction)
    epsilon: float = option(checks.number, low=0.0)

    def __init__(
        self,
        learning_rate: float | LearningRateSchedule | Config = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def slot_names(self) -> tuple[str, ...]:
        return "momentum", "velocity"

    def _number_slots(self) -> dict[str, float]:
        return super()._number_slots() | {"momentum_product": 1.0}

    def _check_numbers(self, slots: Mapping[str, Array]) -> None:
        super()._check_numbers(slots)
        if "momentum_product" in slots and not 0 <= slots["momentum_product"] <= 1:
            raise CheckpointError(
                f"optimizer state momentum_product is {slots['momentum_product']}; expected 0 to 1"
            )

    def _momentum_at(self, t: int) -> float:
        return self.beta_1 * (1 - 0.5 * 0.96**t)

    @elementwise
    def update(self, p: Array, g: Array, rate: float, decay: float, work: int) -> None:
        t, slots = self.iterations, self._slots
        now, following = self._momentum_at(t), self._momentum_at(t + 1)
        product = float(slots["momentum_product"]) * now
        slots["momentum_product"][()] = product
        # Everything is multiplied by the root of v's correction: Adam's kernel then divides by
        # sqrt(v) + epsilon.
        root = math.sqrt(1 - self.beta_2**t)
        kernels.adam(
            p,
            g,
            slots["momentum"],
            slots["velocity"],
            None,
            rate * root * following / (1 - product * following),
            rate * root * (1 - now) / (1 - product),
            self.beta_1,
            self.beta_2,
            self.epsilon * root,
            decay,
            work,
        )

    def get_config(self) -> Config:
        return super().get_config() | {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
