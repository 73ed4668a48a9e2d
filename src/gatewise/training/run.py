"""Where a run of training is: all that a file holds so that training continues exactly."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checkpoint.codec import is_numeric, storable
from gatewise.errors import CheckpointError, ConfigError, GatewiseError, StateError
from gatewise.transaction import Transaction, attributes_of, draws_of

from .means import RunningMeans

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from contextlib import AbstractContextManager

    from gatewise._typing import Array, Model

    from .callbacks import CallbackList, History
    from .data import Samples
    from .feeds import Feed


_PARTS = {
    "epoch": int,
    "batch": int,
    "drawn": int,
    "stopped": bool,
    "feed": dict,
    "callbacks": dict,
    "rng_before_plan": dict | None,
    "means": dict | None,
    "carried": list | None,
    "weights": np.ndarray | None,
}
_AT_AN_EPOCHS_END = "epoch_end"  # present if some callbacks had not been notified of it yet
_WRONG_ENTRY = (
    GatewiseError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
)
_IN_AN_EPOCH = ("rng_before_plan", "means", "carried")  # None between epochs


def checked_state(saved: Any) -> dict[str, Any]:
    """Return the state of a run from a file, checked; callbacks and metrics check their own parts.

    Raises
    ------
    CheckpointError
        It has another form.
    """
    if not isinstance(saved, dict) or saved.keys() - {_AT_AN_EPOCHS_END} != _PARTS.keys():
        raise CheckpointError(
            f"the saved run is {saved!r:.80}; expected a dict of {', '.join(_PARTS)}"
        )
    for name, kinds in _PARTS.items():
        value = saved[name]
        if not isinstance(value, kinds) or (
            kinds is int and (isinstance(value, bool) or not 0 <= value < 2**62)
        ):
            raise CheckpointError(f"the saved run has {name} {value!r:.80}, which no run can have")
    for name in _IN_AN_EPOCH:
        if (saved[name] is None) != (saved["batch"] == 0):
            raise CheckpointError(
                f"the saved run is at batch {saved['batch']} of an epoch and has {name}"
                f" {saved[name]!r:.80}"
            )
    if _AT_AN_EPOCHS_END in saved:
        _check_epoch_end(saved[_AT_AN_EPOCHS_END], saved)
    return saved


def _check_epoch_end(told: Any, saved: dict[str, Any]) -> None:
    fits = (
        isinstance(told, dict)
        and told.keys() == {"logs", "waiting"}
        and saved["batch"] == 0 < saved["epoch"]
    )
    fits = fits and all(isinstance(part, list) for part in told.values())
    fits = fits and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)
        for part in told.values()
        for pair in part
    )
    fits = (
        fits
        and all(type(number) is int for _, number in told["waiting"])
        and all(_is_log(*pair) for pair in told["logs"])
    )
    if not fits or len({name for name, _ in told["logs"]}) < len(told["logs"]):
        raise CheckpointError(f"the saved run has epoch_end {told!r:.80}, which no run can have")


def _is_log(name: str, value: Any) -> bool:
    """Whether an epoch can have had this entry in its logs; the loss is a number."""
    number = isinstance(value, float) or (type(value) is int and abs(value) < 2**63)
    if name == "loss" or name.startswith("val_loss"):
        return number
    return (
        number
        or value is None
        or isinstance(value, bool | str)
        or (is_numeric(value) and value.ndim > 0)
    )


class Run:
    """A run of training between two batches.

    Parameters
    ----------
    model : Sequential
    feed : RowFeed or BatchFeed
    watchers : CallbackList
    epoch : int
        The first one, counted from 0.
    history : History
        The model's history from the moment when the run begins.
    epochs : int
        The number of epochs after which training ends.

    Attributes
    ----------
    epoch, batch : int
        The current epoch, or the next one, and how many of its batches are done.
    carried : dict of node to list of ndarray
        States that truncated back-propagation takes to the next part of a batch.
    means : RunningMeans
        Of the current epoch.
    thread : int
        The Python thread that trains: only there is the run known to be between two batches.
    between_batches : bool
        Whether the model is in the state after `batch` batches; False while a step is computed.
    failed_on : Samples or None
        The batch whose loss was not finite.
    last_logs : dict
        Those of the last epoch that ended, which ``on_train_end`` receives.
    """

    model: Model
    feed: Feed
    watchers: CallbackList
    epoch: int
    batch: int
    history: History
    epochs: int
    thread: int
    means: RunningMeans

    def __init__(
        self,
        model: Model,
        feed: Feed,
        watchers: CallbackList,
        epoch: int,
        history: History,
        epochs: int,
    ) -> None:
        self.model, self.feed, self.watchers = model, feed, watchers
        self.epoch, self.batch, self.history, self.epochs = epoch, 0, history, epochs
        self.carried: dict[Hashable, list[Array]] = {}
        self.thread = threading.get_ident()
        self.means = RunningMeans(model)
        self.between_batches = True
        # of the epoch whose end the callbacks are notified of
        self._logs: dict[str, Any] = {}
        self.failed_on: Samples | None = None
        self.last_logs: dict[str, Any] = {}
        self._rng_before_plan: Any = None
        # the order of an epoch is drawn, and none of its batches has been trained on
        self._planned = False
        self._drawn_before = 0  # items that the epochs before took from an iterator
        self._to_skip = 0  # of those, how many are still to be taken

    def check_thread(self, doing: str) -> None:
        """Refuse a call by another thread while this one is in fit.

        Parameters
        ----------
        doing : str
            What the other thread does, for the message: "save model 'm'".

        Raises
        ------
        StateError
        """
        if threading.get_ident() != self.thread:
            raise StateError(
                f"cannot {doing}: another thread is in its fit; wait for it, or give each thread a"
                " model of its own: copy.deepcopy(model)"
            )

    def begin(
        self,
        saved: dict[str, Any] | None = None,
        reading: Callable[[], AbstractContextManager[Any]] = contextlib.nullcontext,
    ) -> None:
        """Notify the callbacks that training begins, and continue from a saved state, if given.

        Parameters
        ----------
        saved : dict, optional
            As :meth:`get_state` returns it, with no :meth:`difference` from this run.
        reading : callable
            Returns a context manager, in which `saved` is read. Of the callbacks' code only
            ``set_state`` runs inside.

        Raises
        ------
        CheckpointError
            The state holds something that no run can have. The callbacks have been notified that
            training has ended.
        """
        self.model.history, self.model._training_run, self.model.stop_training = (
            self.history,
            self,
            False,
        )
        if saved is None:
            self.watchers.on_train_begin()
            return
        try:
            self._notify_again(self.watchers.on_train_begin)
            with reading():
                self._restore(saved)
            for _ in range(min(self.epoch, self.epochs)):  # data that change from epoch to epoch
                self.feed.begin_epoch()
                self.feed.end_epoch()
            if self.batch:
                self._notify_again(lambda: self.watchers.on_epoch_begin(self.epoch))
                self.feed.begin_epoch()
                self.watchers._set_steps(self.feed.steps)
            self._check_length(saved["feed"].get("length"))
            with reading():
                self._restore_carried(saved)
                self.watchers.set_state(saved["callbacks"])
            self.model.stop_training = self.watchers._stop(saved["stopped"])
            if _AT_AN_EPOCHS_END in saved:
                end = saved[_AT_AN_EPOCHS_END]
                self._notify_epoch_end(dict(end["logs"]), end["waiting"])
        except BaseException:
            self.watchers.on_train_end()  # bars are closed
            raise

    def begin_epoch(self) -> Any:
        """Return the plan of the epoch's batches; within an epoch, the one it began with."""
        if self._to_skip:
            self.feed.skip(self._to_skip)
            self._to_skip = 0
        if self.batch:
            return self._plan_again()
        self.watchers.on_epoch_begin(self.epoch)
        self.feed.begin_epoch()
        self.watchers._set_steps(self.feed.steps)
        self.means = RunningMeans(self.model)
        self._rng_before_plan, self._drawn_before = (
            self.model.rng.bit_generator.state,
            self._drawn(),
        )
        self._planned = True
        return self.feed.plan(self.model.rng)

    def rng_state(self) -> Any:
        """Return the generator's state for a file: before a plan that resuming draws again."""
        planned = self._planned and self.batch == 0
        return self._rng_before_plan if planned else self.model.rng.bit_generator.state

    def undo_plan(self) -> None:
        """Restore the generator if it drew the plan of an epoch that has not begun."""
        self.model.rng.bit_generator.state = self.rng_state()
        self._planned = False

    @property
    def _once(self) -> bool:
        """Whether the data come from an iterator, which continues from epoch to epoch."""
        return getattr(self.feed, "once", False)

    def _drawn(self) -> int:
        """Return how many items have been taken from the iterator."""
        return self.feed.drawn if self._once else 0

    def _plan_again(self) -> Any:
        """Draw the plan of the current epoch again; the generator is then as before."""
        rng = self.model.rng.bit_generator
        now, rng.state = rng.state, self._rng_before_plan
        plan = self.feed.plan(self.model.rng)
        rng.state = now
        return plan

    def end_epoch(self, logs: dict[str, Any]) -> None:
        """Count the epoch, then notify the callbacks: what they save continues with the next."""
        self.epoch, self.batch, self.carried, self._planned = self.epoch + 1, 0, {}, False
        self._drawn_before = self._drawn()
        self.feed.end_epoch()
        self._notify_epoch_end(logs)

    def _notify_epoch_end(
        self, logs: dict[str, Any], waiting: list[list[Any]] | None = None
    ) -> None:
        """Notify the callbacks of the epoch's end, or those at the places `waiting`.

        A file that one of them saves meanwhile names those that have not been notified yet. If one
        raises, the history is notified all the same.
        """
        self._logs = self.last_logs = logs
        try:
            self.watchers.on_epoch_end(self.epoch - 1, logs, waiting)
        except BaseException:
            self.watchers._tell_at_once(self.history, self.epoch - 1, logs)
            raise

    # ---- saving

    def get_state(self) -> dict[str, Any]:
        """Return what :meth:`begin` continues from: JSON values and arrays."""
        underway, waiting = self.batch > 0, self.watchers._waiting_places()
        state = {
            "epoch": self.epoch,
            "batch": self.batch,
            "stopped": bool(self.model.stop_training),
            "feed": self._feed_state(),
            "drawn": self._drawn_before,
            "rng_before_plan": self._rng_before_plan if underway else None,
            "means": self.means.get_state() if underway else None,
            "carried": (
                [self.carried.get(node) for node in self.model._nodes()] if underway else None
            ),
            "callbacks": self.watchers.get_state(),
            "weights": None,
        }
        if waiting and not underway:
            state[_AT_AN_EPOCHS_END] = {
                "logs": [[str(name), storable(value)] for name, value in self._logs.items()],
                # pairs, since a header sorts the names of an object
                "waiting": waiting,
            }
        return state

    def _feed_state(self) -> dict[str, Any]:
        """Describe the feed; within an epoch also how many batches its plan was drawn for."""
        length = getattr(self.feed, "length", None)
        return self.feed.describe() | (
            {"length": length} if self.batch and length is not None else {}
        )

    def _check_length(self, length: Any) -> None:
        """Refuse to continue an epoch whose plan was drawn for another number of batches.

        Raises
        ------
        ConfigError
        """
        here = getattr(self.feed, "length", None)
        if self.batch and length is not None and here is not None and length != here:
            raise ConfigError(
                f"x makes {here} batches, and made {length!r:.80} in the epoch in which the run was"
                " saved: to go on in the middle of an epoch, x must grow and shrink as it did"
                " then, for example in its on_epoch_end"
            )

    def difference(self, saved: dict[str, Any]) -> str | None:
        """Describe how data or batches differ from those of a saved run; None: they do not."""
        here, there = self.feed.describe(), saved["feed"]
        for name in sorted((here.keys() | there.keys()) - {"length"}):
            if name == "steps_per_epoch" and self.feed.takes_as_many(there.get(name)):
                continue
            if here.get(name) != there.get(name):
                return (
                    f"the saved run had {name} {there.get(name)!r:.80}, this one has"
                    f" {here.get(name)!r}"
                )
        return None

    def _restore(self, saved: dict[str, Any]) -> None:
        """Take the epoch, the batch and the means of a saved run."""
        try:
            self.epoch, self.batch = saved["epoch"], saved["batch"]
            self._drawn_before = self._to_skip = self._checked_drawn(saved["drawn"])
            if self.batch:
                self._rng_before_plan = self.model._checked_rng_state(saved["rng_before_plan"])
                self.means.set_state(saved["means"])
        except CheckpointError:
            raise
        except _WRONG_ENTRY as error:
            raise CheckpointError(
                f"the saved run has an entry that no run can have: {error!r:.300}"
            ) from error

    def _restore_carried(self, saved: dict[str, Any]) -> None:
        """Take the states of the current batch, once the data are those of its epoch."""
        if not self.batch:
            return
        try:
            self.carried = self._checked_carried(saved["carried"])
        except CheckpointError:
            raise
        except _WRONG_ENTRY as error:
            raise CheckpointError(
                f"the saved run has an entry that no run can have: {error!r:.300}"
            ) from error

    def _checked_drawn(self, drawn: int) -> int:
        """Return the number of items taken from an iterator, which must be possible."""
        items = getattr(self.feed, "items", None)
        if (drawn and not self._once) or (items is not None and drawn > self.epoch * items):
            raise CheckpointError(
                f"the saved run took {drawn} batches from x in {self.epoch} epochs, which no run"
                " can have"
            )
        return drawn

    def _checked_carried(self, carried: list[Any]) -> dict[Hashable, list[Array]]:
        """Return states of all recurrent layers, by node, for rows that continue; or none."""
        plan = self._plan_again()
        count, rows = self.feed.count(plan), self.feed.rows_going_on(plan, self.batch)
        if count is not None and self.batch > count:
            raise CheckpointError(
                f"the saved run has done {self.batch} batches of an epoch that has {count}"
            )
        nodes = self.model._nodes()
        carries = [
            self.feed.tbptt_steps is not None and layer._has_state for layer in nodes.values()
        ]
        if [state is not None for state in carried] != carries:
            raise CheckpointError(
                "the saved run carries on the states of other layers than a run like this one does"
            )
        return {
            node: layer._checked_state(state, rows, "a carried state")
            for (node, layer), state in zip(nodes.items(), carried)
            if state is not None
        }

    def _notify_again(self, notify: Callable[[], object]) -> None:
        """Notify the callbacks as the saved run had done, and undo what they do to the model.

        They had done it before the run was saved.
        """
        before = Transaction(
            attributes_of(self.model.optimizer, "_learning_rate"),
            draws_of(self.model.rng),
            self.model._snapshot().restore,
        )
        notify()
        before.restore()
