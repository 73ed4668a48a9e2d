"""Callbacks that watch one number of the logs: what counts as better, and early stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.attributes import checked
from gatewise.errors import ConfigError, did_you_mean

from ..metrics import direction_of
from .base import Callback
from .progress import say
from .state import arrays_like, count, read_state, real_or_none

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .base import Logs


def message_level(verbose: Any) -> int:
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
        auto: min for the loss; for a metric, the direction that is better there.
    min_delta : float
        The least change that counts as an improvement.
    verbose : int
        1: print a line for what is done.

    Attributes
    ----------
    best : float or None
        None before there was a value. A first value of NaN counts as the best, as in Keras, and
        nothing is better.
    """

    min_delta: float
    monitor: str
    verbose: int
    _always_shown = ("monitor",)

    def __init__(self, monitor: str, mode: str, min_delta: float, verbose: int) -> None:
        if not (isinstance(mode, str) and mode in ("auto", "min", "max")):
            raise ConfigError(f"mode is {mode!r}; expected 'auto', 'min' or 'max'")
        self.monitor = checks.text(monitor, "monitor")
        self.mode = mode
        self.min_delta = abs(checks.number(min_delta, "min_delta"))
        self.verbose = message_level(verbose)
        self.best: float | None = None
        self._warned = False

    def _value(self, logs: Logs | None) -> float | None:
        """The number that is watched; None, with one warning in a run, if there is none."""
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

    def _not_validated(self, logs: Logs | None) -> bool:
        """Whether the number is one of validation, and this epoch has none (validation_freq)."""
        return self.monitor.startswith("val_") and self._without_validation(logs)

    def _without_validation(self, logs: Logs | None) -> bool:
        """Whether the run is validated, and this epoch was not."""
        return bool((self.params or {}).get("validates")) and not any(
            str(name).startswith("val_") for name in logs or {}
        )

    def _improves(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        return (
            value - self.min_delta > reference
            if self._wants_more()
            else value + self.min_delta < reference
        )

    def _wants_more(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        metrics: dict[str, Any] = {}
        losses = ["loss"]
        for objective in getattr(self.model, "_objectives", []):
            metrics |= zip(objective.log_names, objective.metrics)
            losses.append(f"{objective.name}_loss")
        direction = (
            "down"
            if name in losses
            else getattr(metrics.get(name), "direction", None) or direction_of(name)
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
    monitor : str, default "val_loss"
        A name in the logs.
    min_delta : float, default 0.0
        The least change that counts as an improvement.
    patience : int, default 0
        Epochs without improvement that are allowed.
    verbose : int, default 0
        1: print a line when stopping.
    mode : {"auto", "min", "max"}, default "auto"
        auto: min for the loss; for a metric, the direction that is better there.
    baseline : float, optional
        Epochs count as without improvement until the quantity is better than this, too. None: no
        such bound.
    restore_best_weights : bool, default False
        Whether to restore the weights of the best epoch at the end.
    start_from_epoch : int, default 0
        Epochs before this one are ignored.

    Attributes
    ----------
    stopped_epoch : int
        The epoch after which it stopped the run; 0 if it did not.
    best_epoch : int
        The epoch of `best`.
    best : float or None
        The best value.

    Raises
    ------
    ConfigError, DTypeError
        An argument cannot be used; from a run, if it is not known which direction is better.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import EarlyStopping
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> stopping = EarlyStopping("loss", min_delta=1e9, patience=2)
    >>> len(model.fit(x, y, epochs=9, verbose=0, callbacks=[stopping]).epoch)
    3
    """

    stopped_epoch: int
    wait: int
    baseline: float | None
    best_epoch: int
    patience: int = checked(checks.whole_number, low=0)
    start_from_epoch: int = checked(checks.whole_number, low=0)
    restore_best_weights: bool = checked(checks.flag)

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, verbose)
        self.patience = patience
        self.baseline = None if baseline is None else checks.number(baseline, "baseline")
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Array] | None = None
        # It had stopped the run that is resumed, and has more patience now.
        self._lifts_stop = False
        self._warned = False

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._reset()
        self._wants_more()  # raises, if it is not known, before an epoch is spent

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
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

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        if self.stopped_epoch and self.verbose:
            say(
                f"stopped after epoch {self.stopped_epoch + 1}; best was epoch"
                f" {self.best_epoch + 1}"
            )

    def get_state(self) -> dict[str, Any]:
        """Counters, the best value, and the best weights where they are kept.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {
            "wait": self.wait,
            "stopped_epoch": self.stopped_epoch,
            "best_epoch": self.best_epoch,
            "best": self.best,
            "best_weights": None if self.best_weights is None else list(self.best_weights),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """See :meth:`Callback.set_state`.

        If it had stopped the run, it stops the continuation too, unless patience is now larger.

        Parameters
        ----------
        state : dict
            What :meth:`get_state` returned.
        """
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
