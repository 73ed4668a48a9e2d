"""Callbacks that set the learning rate."""

import inspect

from gatewise import checks
from gatewise.attributes import Checked
from gatewise.errors import ConfigError

from .base import Callback
from .monitor import Monitor, message_level
from .progress import say
from .state import count, count_or_none, read_state, real_or_none


def _rate_can_be_set(optimizer):
    """Fail before the first epoch, not after it, where a schedule rules."""
    optimizer.learning_rate = optimizer.learning_rate


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch; the logs get it as "learning_rate".

    Parameters
    ----------
    schedule : function of (epoch, learning rate), or of (epoch)
        Epochs count from 0; it returns the new rate.
    verbose : int
        1: say what it is.
    """

    def __init__(self, schedule, verbose=0):
        if not callable(schedule):
            raise ConfigError(
                f"schedule is {schedule!r}; expected a function of (epoch, learning rate)"
            )
        self.schedule = schedule
        self.verbose = message_level(verbose)
        self._begun = None  # the epoch that goes on, whose rate is set

    def on_train_begin(self, logs=None):
        self._begun = None
        _rate_can_be_set(self.model.optimizer)

    def on_epoch_begin(self, epoch, logs=None):
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

    def on_epoch_end(self, epoch, logs=None):
        self._begun = None
        if logs is not None:
            logs["learning_rate"] = self.model.optimizer.learning_rate

    def get_state(self):
        """The epoch whose rate is set, in the middle of one."""
        return {"epoch": self._begun}

    def set_state(self, state):
        self._begun = read_state(state, "LearningRateScheduler", epoch=count_or_none)["epoch"]


def _takes_two(function):
    """Whether a function takes the epoch and the rate, rather than the epoch alone."""
    try:
        inspect.signature(function).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # a compiled function that does not tell
        return True
    return True


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when a quantity has not improved for `patience` epochs.

    The logs get the rate as "learning_rate".

    Parameters
    ----------
    monitor : str
        A name in the logs.
    factor : float in [0, 1)
    patience : int
        Epochs without improvement after which the rate is reduced.
    verbose : int
        1: say so.
    mode : {"auto", "min", "max"}
        auto: min for the loss; for a metric, what is better there.
    min_delta : float
        What counts as an improvement.
    cooldown : int
        Epochs after a reduction in which nothing is counted.
    min_lr : float
        The rate does not fall below it.
    """

    factor = Checked(checks.fraction)
    patience, cooldown = Checked(checks.whole_number, low=0), Checked(checks.whole_number, low=0)
    min_lr = Checked(checks.number, low=0.0)

    def __init__(
        self,
        monitor="val_loss",
        factor=0.1,
        patience=10,
        verbose=0,
        mode="auto",
        min_delta=1e-4,
        cooldown=0,
        min_lr=0.0,
    ):
        super().__init__(monitor, mode, min_delta, verbose)
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr
        self._reset()

    def _reset(self):
        self.best = None
        self.wait = self.cooldown_counter = 0
        self._warned = False

    def on_train_begin(self, logs=None):
        self._reset()
        self._wants_more()  # where nobody can say, before an epoch is spent
        _rate_can_be_set(self.model.optimizer)

    def on_epoch_end(self, epoch, logs=None):
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

    def _reduce(self, epoch):
        optimizer = self.model.optimizer
        if optimizer.learning_rate > self.min_lr:
            optimizer.learning_rate = max(optimizer.learning_rate * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                say(f"epoch {epoch + 1}: learning rate reduced to {optimizer.learning_rate:.6g}")

    def get_state(self):
        """The best value and counters; the rate itself is the optimizer's."""
        return {"best": self.best, "wait": self.wait, "cooldown_counter": self.cooldown_counter}

    def set_state(self, state):
        vars(self).update(
            read_state(
                state, "ReduceLROnPlateau", best=real_or_none, wait=count, cooldown_counter=count
            )
        )
