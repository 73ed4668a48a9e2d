"""Checkpoints while training."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, DTypeError, NonFiniteError

from .monitor import Monitor
from .progress import say
from .state import count, read_state, real_or_none

if TYPE_CHECKING:
    from gatewise._typing import PathLike

    from .base import Logs


class ModelCheckpoint(Monitor):
    """Save the model after epochs, after a number of batches, or after some minutes.

    It runs after all other callbacks, so that a file holds their state at the end of the epoch. A
    file is replaced only by a complete one: if writing fails, the older one is kept.

    Parameters
    ----------
    filepath : str or path-like
        May hold ``{epoch}`` (from 1), ``{batch}`` if batches are counted, and names of the logs,
        with formats: ``"{epoch:02d}-{val_loss:.3f}.safetensors"``. Folders are made.
    monitor : str, default "val_loss"
        A name in the logs, for `save_best_only`.
    verbose : int, default 0
        1: print a line for each file.
    save_best_only : bool, default False
        Save only if `monitor` is better than ever before. If the logs lack it, everything is saved.
    save_weights_only : bool, default False
        ``model.save_weights`` instead of ``model.save``: no optimizer, and nothing to resume from.
    mode : {"auto", "min", "max"}, default "auto"
        auto: min for the loss; for a metric, the direction that is better there.
    save_freq : "epoch" or int, default "epoch"
        After each epoch, or every n batches.
    initial_value_threshold : float, optional
        What the first value must be better than. None: nothing.
    minutes : float, optional
        Save also at the end of the batch in which this time has passed since the last save. None:
        do not.

    Raises
    ------
    CheckpointError
        From a run: the file could not be written.
    ConfigError, DTypeError
        An argument cannot be used.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from gatewise.layers import Dense, Input
    >>> from gatewise.models import Sequential
    >>> from gatewise.callbacks import ModelCheckpoint
    >>> model = Sequential([Input((2,)), Dense(1)], seed=0)
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 2)), np.ones((8, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/model.gatewise"
    ...     checkpoint = ModelCheckpoint(path, monitor="loss", save_best_only=True)
    ...     _ = model.fit(x, y, verbose=0, callbacks=[checkpoint])
    """

    save_weights_only: bool
    minutes: float | None
    save_best_only: bool
    filepath: str
    runs_last = True
    _without = "saves everything"

    def __init__(
        self,
        filepath: PathLike,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
        minutes: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, 0.0, verbose)
        self.filepath = _path_text(filepath)
        self.save_best_only = checks.flag(save_best_only, "save_best_only")
        self.save_weights_only = checks.flag(save_weights_only, "save_weights_only")
        self.save_freq: Any = (
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

    def on_train_begin(self, logs: Logs | None = None) -> None:
        if (
            "{" not in self.filepath
        ):  # a file that cannot be written is reported before an epoch is spent
            _make_folder(self.filepath)
            if not self.filepath or os.path.isdir(self.filepath):
                raise CheckpointError(f"filepath is {self.filepath!r}; expected the name of a file")
        self._warned = False
        self._batches = 0
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        # training ends and restores older weights; no run could continue from here
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            return
        if self.save_freq != "epoch":
            self._batches += 1
            if self._batches >= self.save_freq:
                self._consider(self._epoch, {"batch": batch + 1} | (logs or {}), logs)
                return
        if self.minutes is not None and time.monotonic() - self._saved_at >= 60 * self.minutes:
            self._save(self._path(self._epoch, {"batch": batch + 1} | (logs or {})), self._epoch)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch" or (self.save_best_only and self._not_validated(logs)):
            return
        if "{val_" in self.filepath and self._without_validation(logs):
            return
        if math.isfinite((logs or {}).get("loss", 0.0)):  # else the run ends: its last file is good
            self._consider(epoch, logs or {}, logs)

    def _consider(self, epoch: int, names: dict[str, Any], logs: Logs | None) -> None:
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

    def _save(self, path: str, epoch: int) -> bool:
        """Whether a file was written: weights that are not finite never replace an older file."""
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

    def _tell(self, epoch: int, text: str) -> None:
        if self.verbose:
            say(f"epoch {epoch + 1}: {text}")

    def _path(self, epoch: int, names: dict[str, Any]) -> str:
        try:
            return self.filepath.format(**(names | {"epoch": epoch + 1}))
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"filepath is {self.filepath!r}, which cannot be filled in ({type(error).__name__}:"
                f" {error}); there are {', '.join(sorted({*map(str, names), 'epoch'}))}"
            ) from error

    def get_state(self) -> dict[str, Any]:
        """The best value, and batches since the last save.

        Returns
        -------
        dict
            What :meth:`set_state` continues from.
        """
        return {"best": self.best, "batches": self._batches}

    def set_state(self, state: dict[str, Any]) -> None:
        state = read_state(state, "ModelCheckpoint", best=real_or_none, batches=count)
        self.best, self._batches = state["best"], state["batches"]


def _make_folder(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise CheckpointError(
            f"cannot write {path!r}: {getattr(error, 'strerror', None) or error}"
        ) from error


def _path_text(filepath: Any) -> str:
    try:
        path = os.fspath(filepath)
    except TypeError as error:
        raise DTypeError(f"filepath is {filepath!r}; expected a path") from error
    return checks.text(path, "filepath")


def _batches(save_freq: Any) -> int:
    if isinstance(save_freq, str):
        raise ConfigError(f"save_freq is {save_freq!r}; expected 'epoch' or a number of batches")
    return checks.whole_number(save_freq, "save_freq")
