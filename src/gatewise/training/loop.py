"""The loop: epochs and batches."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.transaction import Transaction, attributes_of

from .callbacks import Callback, CallbackList, History, ProgressBar
from .evaluation import NOTHING_COUNTS, evaluate_feed
from .feeds import BatchFeed
from .interrupts import one_interrupt_waits
from .reading import read_feeds
from .run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Model

    from .data import Samples
    from .feeds import Feed
    from .reading import Feeds
    from .setup import FitSetup


def refuse_second_fit(model: Model) -> None:
    """Refuse a fit while another one of the model runs, in a callback of it or in another thread.

    Raises
    ------
    StateError
    """
    if isinstance(model._training_run, Run):
        model._training_run.check_thread(f"fit model {model.name!r}")
        raise StateError(
            f"model {model.name!r} is in fit already: a callback cannot call fit, train_on_batch"
            " it can"
        )


def fit(model: Model, setup: FitSetup) -> History:
    """Train a model as a :class:`FitSetup` describes it, and return its History."""
    feeds = read_feeds(model, setup)
    model._need_trainable("fit")
    if feeds.validation is not None:
        setup.warn_if_never_validated()
    history = History()
    watchers = _watchers(model, setup, feeds, history)
    run = Run(model, feeds.training, watchers, setup.initial_epoch, history, setup.epochs)
    with Transaction(attributes_of(model, "history", "_training_run", "stop_training")):
        if setup.resume_from is None:
            run.begin()
        else:
            _resume(run, setup, feeds.validation)
    model._forget_other_runs()
    try:
        with one_interrupt_waits() as interrupted:
            _run_epochs(run, setup, feeds.validation, interrupted)
    except KeyboardInterrupt:
        model._weights_changed()
        when = f"in epoch {run.epoch + 1} after {run.batch} of its batches"
        if run.epoch and not run.batch:
            when = f"after epoch {run.epoch}"
        where = (
            ""
            if run.between_batches
            else ", in the middle of the next, so that a file saved now cannot go on to the bit"
        )
        checks.warn(f"interrupted {when}{where}: weights and history are kept")
    finally:
        _end(model, run)
    return history


def _watchers(model: Model, setup: FitSetup, feeds: Feeds, history: History) -> CallbackList:
    """Return the callbacks, with a progress bar before and the history after them."""
    given = setup.callbacks
    callbacks = [given] if isinstance(given, Callback) else given or []
    watchers = CallbackList(
        [ProgressBar(setup.verbose), *CallbackList(callbacks).callbacks, history]
    )
    watchers.set_model(model)
    watchers.set_params(
        {
            "epochs": setup.epochs,
            "initial_epoch": setup.initial_epoch,
            "steps": feeds.training.steps,
            "verbose": setup.verbose,
            "validates": feeds.validation is not None,
        }
    )
    return watchers


def _resume(run: Run, setup: FitSetup, validation: Feed | None) -> None:
    """Bring a run that begins to where the saved one was."""
    run.model._resume(setup.resume_from, run)
    done = range(1, min(run.epoch, setup.epochs) + 1)
    _replay_validation(validation, [epoch for epoch in done if setup.validates_after(epoch)])
    if run.model.stop_training and run.epoch < setup.epochs:
        checks.warn(
            f"the run of {setup.resume_from} was stopped after epoch {run.epoch}: nothing is"
            " trained; give EarlyStopping more patience or, to train on from these"
            " weights, read the file with gatewise.load_model and call fit without"
            " resume_from"
        )


def _end(model: Model, run: Run) -> None:
    """End training: callbacks restore best weights and close bars, the optimizer takes its mean.

    The state that is kept holds the weights from before that, if they differ, so that a file that
    is saved afterwards can continue from them.
    """
    model._training_run, model._ends_training = None, True
    try:
        with contextlib.ExitStack() as ends:
            ends.callback(run.watchers.on_train_end, run.last_logs)
            ends.callback(model._end_training)
            kept = _state_to_keep(run)
            weights = model._flat_weights()
    finally:
        model._ends_training = False
    if kept is not None and not np.array_equal(weights, model._flat_weights()):
        kept["weights"] = weights
    model._training_run = kept


def _state_to_keep(run: Run) -> dict[str, Any] | None:
    """Return the state of the run for a file; None if no file can hold it."""
    if not run.between_batches:
        return None
    run.undo_plan()
    try:
        return run.get_state()
    except ConfigError as error:  # what ended the training is not hidden behind it
        checks.warn(f"a file saved now cannot go on to the bit: {error}")
        return None


def _replay_validation(validation: Feed | None, epochs: list[int]) -> None:
    """Bring the data of validation to where they were when the run was saved.

    `epochs` are those after which it had been validated.
    """
    if not isinstance(validation, BatchFeed):
        return
    for _ in epochs:
        validation.begin_epoch()
        validation.end_epoch()
    if validation.once and validation.items is not None:
        validation.skip(len(epochs) * validation.items)


def _run_epochs(
    run: Run, setup: FitSetup, validation: Feed | None, interrupted: Sequence[object]
) -> None:
    model = run.model
    snapshots: list[Any] = []
    while run.epoch < setup.epochs and not model.stop_training:
        epoch = run.epoch
        plan = run.begin_epoch()
        snapshots = [*snapshots[-1:], model._snapshot(trained_only=True)]
        logs, failed_at = _train_epoch(model, run, plan, interrupted)
        if run.batch == 0:
            if not getattr(run.feed, "drawn", 0):
                raise ShapeError("x gave no batch: nothing to train on")
            _warn_of_end(epoch)
            break
        if not (run.means.counted or model.stop_training):
            raise ConfigError(f"nothing in epoch {epoch + 1} of x counts: {NOTHING_COUNTS}")
        broken = None
        if failed_at is not None:
            broken, where = f"the loss became {logs['loss']}", f"at batch {failed_at + 1}"
        elif what := model._first_nonfinite():
            broken, where = f"{what} became NaN or infinite", "at its end"
            logs["loss"] = math.nan  # so that no callback takes the epoch for a good one
        if broken:
            # What fails at an epoch's first batch was broken by the last step of the epoch before.
            snapshots[0 if failed_at == 0 else -1].restore()
            model.stop_training = True
            checks.warn(
                f"{broken} in epoch {epoch + 1}: training stopped {where}, and weights and"
                " optimizer are those from before that epoch or, at its first batch, the one"
                " before (of a resumed run, at the earliest those that it resumed with);"
                f" {_advice(model, logs['loss'], run.failed_on)}"
            )
        if validation is not None and setup.validates_after(epoch + 1):
            logs |= {
                f"val_{name}": value
                for name, value in evaluate_feed(
                    model,
                    validation,
                    watchers=run.watchers,
                    interrupted=interrupted,
                    name="validation_data",
                ).items()
            }
        run.end_epoch(logs)
        if run.feed.ended and run.epoch < setup.epochs:
            _warn_of_end(epoch)
            break
        if interrupted:
            raise KeyboardInterrupt


def _train_epoch(
    model: Model, run: Run, plan: Any, interrupted: Sequence[object]
) -> tuple[dict[str, Any], int | None]:
    """Train on the batches that are left of an epoch.

    Return the means of the loss and metrics, and the number of the batch at which the loss was not
    finite, or None.
    """
    watchers, means = run.watchers, run.means
    carries = run.feed.tbptt_steps is not None
    logs = means.logs()
    for samples, begins in run.feed.batches(plan, run.batch):
        number = run.batch
        watchers.on_train_batch_begin(number)
        run.between_batches = False
        if carries:
            run.carried = {} if begins else run.carried
            found = model._train_step(samples, run.carried)
        else:
            found = model._train_step(samples)
        loss = found.loss
        means.add(samples, found)
        logs = means.logs()
        run.batch, run.between_batches = number + 1, True
        watchers.on_train_batch_end(number, logs)
        if not math.isfinite(loss):
            run.failed_on = samples
            return logs | {"loss": loss}, number
        if interrupted:
            raise KeyboardInterrupt
        if model.stop_training:
            break
    return logs, None


def _advice(model: Model, loss: float, samples: Samples | None) -> str:
    """Say what to do about a loss that is not finite.

    The model has the weights from before, which help to find the cause. `samples` are those of the
    batch; None if the weights broke at the epoch's end.
    """
    losses = [objective.loss for objective in model._objectives if objective.loss is not None]
    if loss == math.inf and any(each._per_sequence for each in losses):
        return (
            "a row has fewer steps than its labels need: leave such rows out, or use"
            " CTC(zero_infinity=True)"
        )
    if model._misfit:
        return model._misfit
    breaks = None if samples is None else model._breaks_on(samples)
    if breaks == "outputs":
        return (
            "with those weights the outputs for this batch are not finite either, so that no"
            f" learning rate helps: its x is too large to compute with in {model.dtype}; scale x"
        )
    if breaks == "loss":
        return (
            f"with those weights the loss {' + '.join(each.name for each in losses)} of this batch"
            " is not finite either, so that no learning rate helps: its targets or outputs are out"
            " of the range of the loss; check y (and scale it if it is large) and the activation of"
            " the last layer"
        )
    return "try a smaller learning rate, or clipnorm"


def _warn_of_end(epoch: int) -> None:
    checks.warn(
        f"x gave no more batches in epoch {epoch + 1}: training ends; give an iterator that"
        " continues, or something that can be iterated over again"
    )
