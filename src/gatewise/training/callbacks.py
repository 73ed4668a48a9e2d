"""Callbacks: what may watch a training run and steer it. Names and arguments are Keras's."""

import math
import sys
import warnings

from gatewise import checks
from gatewise.errors import ConfigError, TrainingWarning

__all__ = ["Callback", "CallbackList", "EarlyStopping", "History", "LambdaCallback", "ProgressBar"]


class Callback:
    """Base: override the moments of interest. ``self.model`` and ``self.params`` are set before the run."""

    model = None
    params = None

    def set_model(self, model):
        """Called before the run."""
        self.model = model

    def set_params(self, params):
        """Called before the run with ``{"epochs", "steps", "verbose"}``."""
        self.params = params

    def get_state(self):
        return {}

    def set_state(self, state):
        pass

    def on_test_begin(self, logs=None): ...
    def on_test_end(self, logs=None): ...
    def on_test_batch_begin(self, batch, logs=None): ...
    def on_test_batch_end(self, batch, logs=None): ...
    def on_predict_begin(self, logs=None): ...
    def on_predict_end(self, logs=None): ...
    def on_predict_batch_begin(self, batch, logs=None): ...
    def on_predict_batch_end(self, batch, logs=None): ...

    def on_train_begin(self, logs=None):
        """Before the first epoch."""

    def on_train_end(self, logs=None):
        """After the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        """Before an epoch; epochs count from 0."""

    def on_epoch_end(self, epoch, logs=None):
        """After an epoch; logs holds its loss and metrics, and ``val_`` ones."""

    def on_train_batch_begin(self, batch, logs=None):
        """Before a batch; calls ``on_batch_begin``, its older name."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        """After a batch; logs holds the means of the epoch so far. Calls ``on_batch_end``, its older name."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch, logs=None):
        """Before a batch."""

    def on_batch_end(self, batch, logs=None):
        """After a batch."""


class CallbackList(Callback):
    """Several callbacks as one."""

    def __init__(self, callbacks):
        self.callbacks = checks.listed(callbacks, "callbacks", "gatewise.callbacks.Callback objects")
        for callback in self.callbacks:
            if isinstance(callback, type) or not hasattr(callback, "on_epoch_end"):
                raise ConfigError(f"callbacks holds {callback!r}; expected gatewise.callbacks.Callback objects")
            if False:
                raise ConfigError(f"{type(callback).__name__} defines {never[0]}, which is never called: callbacks watch fit, "
                                  f"and hear of validation in on_epoch_end")


def _forward_to_all(name):
    def call(self, *args, **kwargs):
        for callback in self.callbacks:
            getattr(callback, name)(*args, **kwargs)

    return call


for _name in [name for name in vars(Callback) if name.startswith(("on_", "set_"))]:
    setattr(CallbackList, _name, _forward_to_all(_name))


class History(Callback):
    """What happened.

    Attributes
    ----------
    history : dict of str to list
        One value an epoch of the loss, each metric, and ``val_`` of both.
    epoch : list of int
    """

    def __init__(self):
        self.history = {}
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """Functions for the moments of interest, by keyword: ``on_epoch_end=lambda epoch, logs: ...``."""

    def __init__(self, **functions):
        for name, function in functions.items():
            if not (name.startswith("on_") and hasattr(Callback, name) and callable(function)):
                known = ", ".join(sorted(moment for moment in vars(Callback) if moment.startswith("on_")))
                raise ConfigError(f"{name}={function!r}: expected a function for one of {known}")
            setattr(self, name, function)


class EarlyStopping(Callback):
    """Stop when a quantity has not improved for `patience` epochs.

    Parameters
    ----------
    monitor : str
        A name in the logs.
    min_delta : float
        What counts as an improvement.
    patience : int
        Epochs without improvement that are allowed.
    verbose : int
        1: say so when stopping.
    mode : {"auto", "min", "max"}
        auto: max for accuracies, else min.
    baseline : float, optional
        The first improvement must be on this.
    restore_best_weights : bool
        Go back to the weights of the best epoch at the end.
    start_from_epoch : int
        Epochs before this one are not looked at.

    Attributes
    ----------
    stopped_epoch, best_epoch : int
        0 where it did not stop.
    best : float
    """

    def __init__(self, monitor="val_loss", min_delta=0.0, patience=0, verbose=0, mode="auto", baseline=None,
                 restore_best_weights=False, start_from_epoch=0):
        if mode not in ("auto", "min", "max"):
            raise ConfigError(f"mode is {mode!r}; expected 'auto', 'min' or 'max'")
        self.monitor = checks.text(monitor, "monitor")
        self.min_delta = checks.number(min_delta, "min_delta", 0.0)
        self.patience = checks.whole_number(patience, "patience", 0)
        self.verbose = verbose
        self.sign = 1 if mode == "max" or (mode == "auto" and "acc" in monitor) else -1
        self.baseline = None if baseline is None else checks.number(baseline, "baseline")
        self.restore_best_weights = checks.flag(restore_best_weights, "restore_best_weights")
        self.start_from_epoch = checks.whole_number(start_from_epoch, "start_from_epoch", 0)

    def on_train_begin(self, logs=None):
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = -self.sign * math.inf
        self.best_weights = None

    def _improves(self, value, reference):
        return self.sign * (value - reference) > self.min_delta

    def on_epoch_end(self, epoch, logs=None):
        if epoch < self.start_from_epoch:
            return
        value = (logs or {}).get(self.monitor)
        if value is None:
            warnings.warn(f"EarlyStopping watches {self.monitor!r} and the logs hold {sorted(logs or {})}: it does nothing; "
                          f"give validation data, or monitor one of these", TrainingWarning, stacklevel=2)
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
            print(f"stopped after epoch {self.stopped_epoch + 1}; best was epoch {self.best_epoch + 1}")


def check_verbose(verbose):
    """Refuse what is not "auto", 0, 1 or 2."""
    if not (isinstance(verbose, str | int) and verbose in ("auto", 0, 1, 2)):
        raise ConfigError(f"verbose is {verbose!r}; expected 'auto', 0, 1 or 2")


# The bar keeps ten columns, whatever else there is to say.
BAR_FORMAT = "{desc} {bar:10} {percentage:3.0f}% {remaining} left{postfix}"


class ProgressBar(Callback):
    """One bar for the run, with the time left, the loss and the metrics.

    Parameters
    ----------
    verbose : {"auto", 0, 1, 2}
        0: nothing. 1 or "auto": a bar, in a terminal only. 2: one line an epoch, anywhere.
    """

    def __init__(self, verbose="auto"):
        check_verbose(verbose)
        self.lines = verbose == 2
        self.shows_bar = verbose in ("auto", 1) and sys.stderr.isatty()
        self.bar = None

    def on_train_begin(self, logs=None):
        if self.shows_bar:
            from tqdm import tqdm

            steps = self.params["steps"] * (self.params["epochs"] - self.params["initial_epoch"])
            self.bar = tqdm(total=steps, unit="batch", dynamic_ncols=True, bar_format=BAR_FORMAT)

    def on_train_batch_end(self, batch, logs=None):
        if self.bar is not None:
            self.bar.update()

    def on_epoch_end(self, epoch, logs=None):
        text = ", ".join(f"{name} {value:.4g}" for name, value in (logs or {}).items())
        if self.lines:
            print(f"epoch {epoch + 1}/{self.params['epochs']}: {text}")
        if self.bar is not None:
            self.bar.set_description(f"epoch {epoch + 1}/{self.params['epochs']}")
            self.bar.set_postfix_str(text)

    def on_train_end(self, logs=None):
        if self.bar is not None:
            self.bar.total = self.bar.n  # less than planned where training stopped early
            self.bar.close()
            self.bar = None


def progress(items, verbose, total=None):
    """The items one by one, with a bar and the time left: in a terminal, once the work has taken a second."""
    if verbose not in ("auto", 1) or not sys.stderr.isatty():
        return items
    from tqdm import tqdm

    return tqdm(items, total=total, unit="batch", dynamic_ncols=True, delay=1, leave=False)
