"""Checkpoints while training."""

import math
import os
import time

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, DTypeError, NonFiniteError

from .monitor import Monitor
from .progress import say
from .state import count, read_state, real_or_none


class ModelCheckpoint(Monitor):
    """Save the model after epochs, after a number of batches, or after some minutes.

    It runs after all other callbacks, so that a file holds their state as the epoch leaves it. A
    file is replaced only by one that is whole: where writing fails, the older one is kept.

    Parameters
    ----------
    filepath : str or path-like
        May hold ``{epoch}`` (from 1), ``{batch}`` where batches are counted, and names of the logs,
        with formats: ``"{epoch:02d}-{val_loss:.3f}.safetensors"``. Folders are made.
    monitor : str
        A name in the logs, for `save_best_only`.
    verbose : int
        1: say what is done.
    save_best_only : bool
        Save only what is better than all before. Where the logs lack `monitor`, everything is
        saved.
    save_weights_only : bool
        ``model.save_weights`` instead of ``model.save``: no optimizer, and nothing to resume from.
    mode : {"auto", "min", "max"}
        auto: min for the loss; for a metric, what is better there.
    save_freq : "epoch" or int
        After each epoch, or after so many batches.
    initial_value_threshold : float, optional
        What the first value must be better than.
    minutes : float, optional
        Save also at the end of the batch in which so much time has passed since the last save.

    Raises
    ------
    CheckpointError
        From a run: the file could not be written.
    """

    runs_last = True
    _without = "saves everything"

    def __init__(
        self,
        filepath,
        monitor="val_loss",
        verbose=0,
        save_best_only=False,
        save_weights_only=False,
        mode="auto",
        save_freq="epoch",
        initial_value_threshold=None,
        minutes=None,
    ):
        super().__init__(monitor, mode, 0.0, verbose)
        self.filepath = _path_text(filepath)
        self.save_best_only = checks.flag(save_best_only, "save_best_only")
        self.save_weights_only = checks.flag(save_weights_only, "save_weights_only")
        self.save_freq = (
            save_freq
            if isinstance(save_freq, str) and save_freq == "epoch"
            else _batches(save_freq)
        )
        self.best = (
            None
            if initial_value_threshold is None
            else checks.number(initial_value_threshold, "initial_value_threshold")
        )
        self.minutes = (
            None if minutes is None else checks.number(minutes, "minutes", 0.0, open_low=True)
        )
        if self.minutes is not None and self.save_best_only:
            raise ConfigError(
                "minutes and save_best_only are both given: in the middle of an epoch there is"
                " nothing to compare; use two ModelCheckpoints"
            )
        self._epoch = self._batches = 0
        self._saved_at = time.monotonic()

    def on_train_begin(self, logs=None):
        if "{" not in self.filepath:  # what cannot be written says so before an epoch is spent
            _make_folder(self.filepath)
            if not self.filepath or os.path.isdir(self.filepath):
                raise CheckpointError(f"filepath is {self.filepath!r}; expected the name of a file")
        self._warned = False
        self._batches = 0
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # training ends and goes back; nobody could go on from here
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        if self.save_freq != "epoch":
            self._batches += 1
            if self._batches >= self.save_freq:
                self._consider(self._epoch, {"batch": batch + 1} | (logs or {}), logs)
                return
        if self.minutes is not None and time.monotonic() - self._saved_at >= 60 * self.minutes:
            self._save(self._path(self._epoch, {"batch": batch + 1} | (logs or {})), self._epoch)

    def on_epoch_end(self, epoch, logs=None):
        if self.save_freq != "epoch" or (self.save_best_only and self._not_validated(logs)):
            return
        if "{val_" in self.filepath and self._without_validation(logs):
            return
        if math.isfinite((logs or {}).get("loss", 0.0)):  # else the run ends: its last file is good
            self._consider(epoch, logs or {}, logs)

    def _consider(self, epoch, names, logs):
        """Save, unless only the best is wanted and this is not it."""
        self._batches = 0
        before = self.best
        value = self._value(logs) if self.save_best_only else None
        if value is not None:
            if not self._improves(value, before):
                self._tell(
                    epoch,
                    f"{self.monitor} {value:.5g} is no better than {before:.5g}, nothing saved",
                )
                return
            self.best = value  # first, since the file holds it
        saved = False
        try:
            saved = self._save(self._path(epoch, names), epoch)
        finally:
            if not saved:
                self.best = before

    def _save(self, path, epoch):
        """Whether a file was written: one that is there stays where there is nothing better than broken weights."""
        _make_folder(path)
        try:
            if self.save_weights_only:
                self.model.save_weights(path)
            else:
                self.model.save(path)
        except NonFiniteError as error:
            checks.warn(f"ModelCheckpoint saved nothing in epoch {epoch + 1}: {error}")
            return False
        self._saved_at = time.monotonic()
        self._tell(epoch, f"saved {path}")
        return True

    def _tell(self, epoch, text):
        if self.verbose:
            say(f"epoch {epoch + 1}: {text}")

    def _path(self, epoch, names):
        try:
            return self.filepath.format(**(names | {"epoch": epoch + 1}))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"filepath is {self.filepath!r}, which cannot be filled in ({type(error).__name__}:"
                f" {error}); there are {', '.join(sorted({*map(str, names), 'epoch'}))}"
            ) from error

    def get_state(self):
        """The best value, and batches since the last save."""
        return {"best": self.best, "batches": self._batches}

    def set_state(self, state):
        state = read_state(state, "ModelCheckpoint", best=real_or_none, batches=count)
        self.best, self._batches = state["best"], state["batches"]


def _make_folder(path):
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise CheckpointError(
            f"cannot write {path!r}: {getattr(error, 'strerror', None) or error}"
        ) from error


def _path_text(filepath):
    try:
        path = os.fspath(filepath)
    except TypeError as error:
        raise DTypeError(f"filepath is {filepath!r}; expected a path") from error
    return checks.text(path, "filepath")


def _batches(save_freq):
    if isinstance(save_freq, str):
        raise ConfigError(f"save_freq is {save_freq!r}; expected 'epoch' or a number of batches")
    return checks.whole_number(save_freq, "save_freq")
