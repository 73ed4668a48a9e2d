"""Callbacks that set the learning rate."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.attributes import checked
from gatewise.errors import ConfigError

from .base import Callback
from .monitor import Monitor, message_level
from .progress import say
from .state import count, count_or_none, read_state, real_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from .base import Logs


def _rate_can_be_set(optimizer: Any) -> None:
    """Fail before the first epoch, not after it, if the optimizer has a schedule."""
    optimizer.learning_rate = optimizer.learning_rate


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch; the logs get it as "learning_rate".

    Parameters
    ----------
    schedule : callable
        A function of (epoch, learning rate), or of (epoch), that returns the new rate. Epochs count
        from 0.
    verbose : int, default 0
        1: print the rate.

    Raises
    ------
    ConfigError
        `schedule` cannot be called; from a run, if the optimizer has a schedule.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import LearningRateScheduler
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> _ = model.fit(x, y, epochs=2, verbose=0, callbacks=[halve])
    >>> model.optimizer.learning_rate
    0.0025
    """

    verbose: int

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        if not callable(schedule):
            raise ConfigError(
                f"schedule is {schedule!r}; expected a function of (epoch, learning rate)"
            )
        self.schedule = schedule
        self.verbose = message_level(verbose)
        self._begun: int | None = None  # the present epoch, whose rate is set

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._begun = None
        _rate_can_be_set(self.model.optimizer)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch == self._begun:  # resumed in the middle: the rate came with the optimizer
            return
        self._begun = epoch
        optimizer = self.model.optimizer
        rate = (
            self.schedule(epoch, optimizer.learning_rate)
            if _takes_two(self.schedule)
            else self.schedule(epoch)
        )
        optimizer.learning_rate = checks.number(rate, "what schedule returned", 0.0)
        if self.verbose:
            say(f"epoch {epoch + 1}: learning rate {optimizer.learning_rate:.6g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._begun = None
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate

    def get_state(self) -> dict[str, Any]:
        """The present epoch, whose rate is set; None between two.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {"epoch": self._begun}

    def set_state(self, state: dict[str, Any]) -> None:
        self._begun = read_state(state, "LearningRateScheduler", epoch=count_or_none)["epoch"]


def _takes_two(function: Callable[..., Any]) -> bool:
    """Whether a function takes the epoch and the rate, rather than the epoch alone."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a compiled function without a signature
        return True
    return True


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` if a quantity has not improved for `patience` epochs.

    The logs get the rate as "learning_rate".

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the logs.
    factor : float, default 0.1
        In [0, 1).
    patience : int, default 10
        Epochs without improvement after which the rate is reduced.
    verbose : int, default 0
        1: print a line for each reduction.
    mode : {"auto", "min", "max"}, default "auto"
        auto: min for the loss; for a metric, the direction that is better there.
    min_delta : float, default 1e-4
        The least change that counts as an improvement.
    cooldown : int, default 0
        Epochs after a reduction that are not counted.
    min_lr : float, default 0.0
        The rate does not fall below it.

    Raises
    ------
    ConfigError, DTypeError
        An argument cannot be used; from a run, if the optimizer has a schedule, or it is not known
        which direction is better.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import ReduceLROnPlateau
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> plateau = ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    >>> _ = model.fit(x, y, epochs=3, verbose=0, callbacks=[plateau])
    >>> model.optimizer.learning_rate
    0.0025
    """

    wait: int
    cooldown_counter: int
    factor: float = checked(checks.fraction)
    patience: int = checked(checks.whole_number, low=0)
    cooldown: int = checked(checks.whole_number, low=0)
    min_lr: float = checked(checks.number, low=0.0)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = None
        self.wait = self.cooldown_counter = 0
        self._warned = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()
        self._wants_more()  # raises, if it is not known, before an epoch is spent
        _rate_can_be_set(self.model.optimizer)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate
        value = self._value(logs)
        if value is None:
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        if optimizer.learning_rate > self.min_lr:
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                say(f"epoch {epoch + 1}: learning rate reduced to {optimizer.learning_rate:.6g}")

    def get_state(self) -> dict[str, Any]:
        """The best value and counters; the rate itself is the optimizer's.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state: dict[str, Any]) -> None:
        vars(self).update(
            read_state(
                state, "ReduceLROnPlateau", best=real_or_none, wait=count, cooldown_counter=count
            )
        )
