"""The base of schedules, and of those that are a formula."""

from __future__ import annotations

import abc
import copy
import math
from typing import TYPE_CHECKING

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from typing import Self

    from gatewise._typing import Config


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


class Formula(LearningRateSchedule):
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
