"""Callbacks that watch one number of the logs: what counts as better, and early stopping."""

import numpy as np

from gatewise import checks
from gatewise.attributes import Checked
from gatewise.errors import ConfigError, did_you_mean

from ..metrics import direction_of
from .base import Callback
from .progress import say
from .state import arrays_like, count, read_state, real_or_none


def message_level(verbose):
    """An int from 0 to 2; True and False stand for 1 and 0."""
    return (
        int(verbose) if isinstance(verbose, bool) else checks.whole_number(verbose, "verbose", 0, 2)
    )


class Monitor(Callback):
    """Base of callbacks that compare a number of the logs with the best so far.

    Parameters
    ----------
    monitor : str
        A name in the logs.
    mode : {"auto", "min", "max"}
        auto: min for the loss; for a metric, what is better there.
    min_delta : float
        What counts as an improvement.
    verbose : int
        1: say what is done.

    Attributes
    ----------
    best : float or None
        None before there was a value. A first value of NaN counts as the best, as in Keras, and
        nothing is better.
    """

    _always_shown = ("monitor",)

    def __init__(self, monitor, mode, min_delta, verbose):
        if not (isinstance(mode, str) and mode in ("auto", "min", "max")):
            raise ConfigError(f"mode is {mode!r}; expected 'auto', 'min' or 'max'")
        self.monitor = checks.text(monitor, "monitor")
        self.mode = mode
        self.min_delta = abs(checks.number(min_delta, "min_delta"))
        self.verbose = message_level(verbose)
        self.best = None
        self._warned = False

    def _value(self, logs):
        """The number that is watched, or None, after one warning in a run, where there is none."""
        value = (logs or {}).get(self.monitor)
        if isinstance(value, int | float | np.number) or (
            isinstance(value, np.ndarray) and value.shape == ()
        ):
            return float(value)
        if not self._warned and not self._not_validated(logs):
            self._warned = True
            if value is None:
                meant = did_you_mean(self.monitor, logs or {})
                found = f"the logs hold {sorted(map(str, logs or {}))}"
                remedy = "give validation data, or monitor one of these" + meant
            else:
                found, remedy = f"that is {value!r}, not one number", "monitor another name"
            checks.warn(
                f"{type(self).__name__} watches {self.monitor!r} and {found}: it {self._without};"
                f" {remedy}"
            )
        return None

    _without = "does nothing"

    def _not_validated(self, logs):
        """Whether the number is one of validation, which comes in other epochs than this one (validation_freq)."""
        return self.monitor.startswith("val_") and self._without_validation(logs)

    def _without_validation(self, logs):
        """Whether the run is validated, and this epoch was not."""
        return bool((self.params or {}).get("validates")) and not any(
            str(name).startswith("val_") for name in logs or {}
        )

    def _improves(self, value, reference):
        if reference is None:
            return True
        return (
            value - self.min_delta > reference
            if self._wants_more()
            else value + self.min_delta < reference
        )

    def _wants_more(self):
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        metric = next(
            (metric for metric in getattr(self.model, "metrics", []) if metric.name == name), None
        )
        direction = (
            "down" if name == "loss" else getattr(metric, "direction", None) or direction_of(name)
        )
        if direction is None:
            raise ConfigError(
                f"{type(self).__name__} watches {self.monitor!r}, and mode 'auto' does not know"
                " whether more or less of it is better; give mode='max' or mode='min'"
            )
        return direction == "up"


class EarlyStopping(Monitor):
    """Stop when a quantity has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A name in the logs.
    min_delta : float
        The least change that counts as an improvement.
    patience : int
        Epochs without improvement that are allowed.
    verbose : int
        1: say so when stopping.
    mode : {"auto", "min", "max"}
        auto: min for the loss; for a metric, what is better there.
    baseline : float, optional
        Epochs count as without improvement until the quantity is better than this, too.
    restore_best_weights : bool
        Go back to the weights of the best epoch at the end.
    start_from_epoch : int
        Epochs before this one are not looked at.

    Attributes
    ----------
    stopped_epoch : int
        0 where it did not stop.
    best_epoch : int
        The epoch of `best`.
    best : float or None
    _lifts_stop : bool
        It had stopped the run that is resumed, and has more patience now.
    """

    patience, start_from_epoch = (
        Checked(checks.whole_number, low=0),
        Checked(checks.whole_number, low=0),
    )
    restore_best_weights = Checked(checks.flag)

    def __init__(
        self,
        monitor="val_loss",
        min_delta=0.0,
        patience=0,
        verbose=0,
        mode="auto",
        baseline=None,
        restore_best_weights=False,
        start_from_epoch=0,
    ):
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience = patience
        self.baseline = None if baseline is None else checks.number(baseline, "baseline")
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = self.best_weights = None
        self._lifts_stop = False
        self._warned = False

    def on_train_begin(self, logs=None):
        self._reset()
        self._wants_more()  # where nobody can say, before an epoch is spent

    def on_epoch_end(self, epoch, logs=None):
        if epoch < self.start_from_epoch:
            return
        value = self._value(logs)
        if value is None:
            return
        if self.restore_best_weights and self.best_weights is None:
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if self._improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._improves(value, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        if self.stopped_epoch and self.verbose:
            say(
                f"stopped after epoch {self.stopped_epoch + 1}; best was epoch"
                f" {self.best_epoch + 1}"
            )

    def get_state(self):
        """Counters, the best value, and the best weights where they are kept."""
        return {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "best_weights": None if self.best_weights is None else list(self.best_weights),
        }

    def set_state(self, state):
        """See :meth:`Callback.set_state`. Of a run that it had stopped it stops the continuation, unless patience is now larger."""
        state = read_state(
            state,
            "EarlyStopping",
            wait=count,
            stopped_epoch=count,
            best_epoch=count,
            best=real_or_none,
            best_weights=arrays_like(self.model.get_weights()),
        )
        vars(self).update(state)
        if not self.restore_best_weights:
            self.best_weights = None
        self._lifts_stop = bool(self.stopped_epoch) and self.wait < self.patience
        if self._lifts_stop:
            self.stopped_epoch = 0
