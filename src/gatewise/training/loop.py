"""The loop: epochs, batches, validation, callbacks."""

import contextlib
import copy
import math
import signal
import threading

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.transaction import Transaction, attributes_of

from .batches import FORMS, PARTS, parts_of, refuse_pairs
from .callbacks import Callback, CallbackList, History, ProgressBar, progress, say
from .data import add_class_weight, refuse_uncounted, split_off_validation
from .feeds import (
    BatchFeed,
    RowFeed,
    feed_of,
    makes_batches,
    refuse_beside_batches,
    rows_in_batch,
    samples_of,
)
from .means import RunningMeans
from .run import Run

_NOBODY = CallbackList([])  # watches: it has nobody to notify
_NOTHING_COUNTS = (
    "every step is masked or past the end of its row, every weight is 0, or the loss ignores every"
    " target; check mask, lengths, sample_weight and ignore_class"
)


def refuse_second_fit(model):
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


def fit(
    model,
    x,
    y,
    *,
    batch_size,
    epochs,
    verbose,
    callbacks,
    validation_split,
    validation_data,
    shuffle,
    class_weight,
    sample_weight,
    lengths,
    resets,
    initial_epoch,
    steps_per_epoch,
    validation_steps,
    validation_batch_size,
    validation_freq,
    bucketing,
    tbptt_steps,
    resume_from,
    mask,
):
    """See :meth:`gatewise.models.Sequential.fit`."""
    epochs = checks.whole_number(epochs, "epochs")
    initial_epoch = checks.whole_number(initial_epoch, "initial_epoch", 0)
    if initial_epoch and resume_from is not None:
        raise ConfigError(
            "initial_epoch and resume_from are both given: the saved run knows its epoch, leave"
            " initial_epoch out"
        )
    validated = _validated_epochs(validation_freq)
    feed, validation = _feeds(
        model,
        x,
        y,
        batch_size,
        shuffle,
        class_weight,
        sample_weight,
        lengths,
        resets,
        mask,
        steps_per_epoch,
        bucketing,
        tbptt_steps,
        validation_split,
        validation_data,
        validation_batch_size,
        validation_steps,
    )
    model._need_trainable("fit")
    to_come = range(initial_epoch + 1, epochs + 1)
    if validation is not None and to_come and not any(map(validated, to_come)):
        checks.warn(
            f"validation_freq is {validation_freq!r}, and none of the epochs up to {epochs} is"
            " validated"
        )
    history = History()
    callbacks = [callbacks] if isinstance(callbacks, Callback) else callbacks or []
    watchers = CallbackList([ProgressBar(verbose), *CallbackList(callbacks).callbacks, history])
    watchers.set_model(model)
    watchers.set_params(
        {
            "epochs": epochs,
            "initial_epoch": initial_epoch,
            "steps": feed.steps,
            "verbose": verbose,
            "validates": validation is not None,
        }
    )
    run = Run(model, feed, watchers, initial_epoch, history, epochs)
    with Transaction(attributes_of(model, "history", "_training_run", "stop_training")):
        if resume_from is None:
            run.begin()
        else:
            model._resume(resume_from, run)
            _replay_validation(
                validation,
                [epoch for epoch in range(1, min(run.epoch, epochs) + 1) if validated(epoch)],
            )
            if model.stop_training and run.epoch < epochs:
                checks.warn(
                    f"the run of {resume_from} was stopped after epoch {run.epoch}: nothing is"
                    " trained; give EarlyStopping more patience or, to train on from these"
                    " weights, read the file with gatewise.load_model and call fit without"
                    " resume_from"
                )
    try:
        with _one_interrupt_waits() as interrupted:
            _run_epochs(model, run, validation, epochs, validated, interrupted)
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


def _end(model, run):
    """Best or averaged weights come back, bars are closed; a file that is saved then can go on from the weights before."""
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


def _state_to_keep(run):
    """Where training has got to, for a file; None where no file can say it."""
    if not run.between_batches:
        return None
    run.take_plan_back()
    try:
        return run.get_state()
    except ConfigError as error:  # what ended the training is not hidden behind it
        checks.warn(f"a file saved now cannot go on to the bit: {error}")
        return None


def _feeds(
    model,
    x,
    y,
    batch_size,
    shuffle,
    class_weight,
    sample_weight,
    lengths,
    resets,
    mask,
    steps_per_epoch,
    bucketing,
    tbptt_steps,
    validation_split,
    validation_data,
    validation_batch_size,
    validation_steps,
):
    """(feed of training, feed of validation or None) of what fit was given."""
    batch_size = checks.optional_number(batch_size, "batch_size")
    validation_batch_size = checks.optional_number(validation_batch_size, "validation_batch_size")
    # whose validation has rows of its own
    if validation_batch_size is None and not model._is_stateful:
        validation_batch_size = batch_size
    validation_split = checks.fraction(
        0.0 if validation_split is None else validation_split, "validation_split"
    )
    # whose rows and batches go on in their places
    shuffle = checks.flag(shuffle, "shuffle") and not model._is_stateful
    options = {
        "shuffle": shuffle,
        "tbptt_steps": (
            None if tbptt_steps is None else checks.whole_number(tbptt_steps, "tbptt_steps")
        ),
    }
    validation = None
    if makes_batches(x):
        refuse_beside_batches(
            y=y,
            sample_weight=sample_weight,
            lengths=lengths,
            resets=resets,
            mask=mask,
            validation_split=validation_split or None,
        )
        _bucketing(model, bucketing, None, False)
        feed = BatchFeed(model, x, steps_per_epoch, class_weight=class_weight, **options)
    else:
        if steps_per_epoch is not None:
            raise ConfigError(
                "steps_per_epoch counts batches that x makes itself; x is an array: leave it out"
            )
        samples = samples_of(model, x, y, sample_weight, lengths, resets, mask)
        if validation_data is None and validation_split:
            samples, held_out = split_off_validation(samples, validation_split)
            refuse_uncounted(held_out, "the validation part")
            validation = RowFeed(
                held_out,
                rows_in_batch(model, validation_batch_size, len(held_out), "the validation part"),
            )
        if len(samples) == 0:
            raise ShapeError("x has 0 samples: nothing to train on")
        add_class_weight(samples, class_weight, model.loss, model.output_shape[-1])
        refuse_uncounted(samples, "x")
        feed = RowFeed(
            samples,
            rows_in_batch(model, batch_size, len(samples), "x"),
            bucketing=_bucketing(model, bucketing, samples, shuffle),
            **options,
        )
    if validation_data is not None:
        validation = _validation_feed(
            model, validation_data, validation_batch_size, validation_steps
        )
    elif validation_steps is not None:
        raise ConfigError(
            "validation_steps counts batches that validation_data makes; there is none: leave"
            " it out"
        )
    _check_truncated(model, options["tbptt_steps"])
    return feed, validation


def _replay_validation(validation, epochs):
    """Bring data of validation to where they were when a run was saved, after it was validated in these epochs."""
    if not isinstance(validation, BatchFeed):
        return
    for _ in epochs:
        validation.begin_epoch()
        validation.end_epoch()
    if validation.once and validation.items is not None:
        validation.skip(len(epochs) * validation.items)


def _validated_epochs(validation_freq):
    """Function of the number of epochs done: whether to validate now."""
    if getattr(validation_freq, "ndim", 1) and hasattr(validation_freq, "__iter__"):
        chosen = {
            checks.whole_number(epoch, "an epoch of validation_freq")
            for epoch in checks.listed(validation_freq, "validation_freq", "epochs, or one number")
        }
        return lambda done: done in chosen
    frequency = checks.whole_number(validation_freq, "validation_freq")
    return lambda done: done % frequency == 0


def _run_epochs(model, run, validation, epochs, validated, interrupted):
    snapshots = []
    while run.epoch < epochs and not model.stop_training:
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
            raise ConfigError(f"nothing in epoch {epoch + 1} of x counts: {_NOTHING_COUNTS}")
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
        if validation is not None and validated(epoch + 1):
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
        if run.feed.ended and run.epoch < epochs:
            _warn_of_end(epoch)
            break
        if interrupted:
            raise KeyboardInterrupt


def _train_epoch(model, run, plan, interrupted):
    """What is left of an epoch: (means of the loss and metrics, batch at which the loss was not finite or None)."""
    watchers, means = run.watchers, run.means
    carries = run.feed.tbptt_steps is not None
    logs = means.logs()
    for samples, begins in run.feed.batches(plan, run.batch):
        number = run.batch
        watchers.on_train_batch_begin(number)
        run.between_batches = False
        if carries:
            run.carried = {} if begins else run.carried
            loss, outputs = model._train_step(samples, run.carried)
        else:
            loss, outputs = model._train_step(samples)
        means.add(samples, loss, outputs)
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


def _advice(model, loss, samples):
    """What to do about a loss that is not finite; the model has the weights from before, with which the cause shows.

    `samples` are those of the batch, None if the weights broke at the epoch's end.
    """
    if model.loss.per_sequence and loss == math.inf:
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
            f"with those weights the loss {model.loss.name} of this batch is not finite either, so"
            " that no learning rate helps: its targets or outputs are out of the range of the"
            " loss; check y (and scale it if it is large) and the activation of the last layer"
        )
    return "try a smaller learning rate, or clipnorm"


def _warn_of_end(epoch):
    checks.warn(
        f"x gave no more batches in epoch {epoch + 1}: training ends; give an iterator that goes"
        " on, or one that can be gone over again"
    )


@contextlib.contextmanager
def _one_interrupt_waits():
    """A first Ctrl-C lets the batch end, a second one does not wait. Gives a list, empty until then."""
    asked = []
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:  # another thread cannot set a handler, and a program's own is left alone
        yield asked
        return

    def remember(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say("interrupted: training ends after this batch; interrupt again to stop at once")

    signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _check_truncated(model, tbptt_steps):
    """Truncated back-propagation goes forward in time, and has a target at each step."""
    if tbptt_steps is None:
        return
    whole = next((layer for layer in model.layers if not layer.causal), None)
    if whole is not None:
        raise ConfigError(
            f"tbptt_steps: layer {whole.name!r} looks at steps of other parts, before or behind its"
            " own, which no state carries from part to part; leave tbptt_steps out"
        )
    if not model._keeps_steps or model.loss.per_sequence or not model._takes_any_length:
        raise ConfigError(
            "tbptt_steps needs an output and a target at each step: give every recurrent layer "
            "return_sequences=True, and a loss of single steps"
        )


def _bucketing(model, bucketing, samples, shuffle):
    """Whether to sort rows into batches by length; "auto": where shuffled rows have lengths."""
    if not (isinstance(bucketing, bool | np.bool_) or bucketing == "auto"):
        raise ConfigError(f"bucketing is {bucketing!r}; expected True, False or 'auto'")
    ragged = samples is not None and samples.lengths is not None
    possible = shuffle and ragged and model._takes_any_length and not model._is_stateful
    if bucketing is True and not possible:
        raise ConfigError(
            "bucketing sorts shuffled rows by their lengths: it needs lengths, shuffle=True, no"
            " stateful layer and no Flatten"
        )
    return bool(bucketing) and possible


def _validation_feed(model, data, batch_size, steps):
    if makes_batches(data, "validation_data"):
        if hasattr(data, "__next__"):
            if steps is None:
                raise ConfigError(
                    "validation_data is an iterator: say with validation_steps how many batches to"
                    " take each time, or give something that can be gone over again"
                )
        return BatchFeed(model, data, steps, steps_name="validation_steps")
    if isinstance(data, list):
        refuse_pairs(data, "validation_data", need_y=False)
    if not (
        isinstance(data, dict) or (isinstance(data, tuple | list) and 2 <= len(data) <= len(PARTS))
    ):
        raise ConfigError(f"validation_data: expected {FORMS}; or batches")
    feed = feed_of(
        model,
        **parts_of(data, "validation_data"),
        batch_size=batch_size,
        steps=steps,
        steps_name="validation_steps",
        name="validation_data",
    )
    if len(feed.samples):
        refuse_uncounted(feed.samples, "validation_data")
    return feed


def metrics_of(model):
    """The model's metrics; copies while it trains, since its own hold what they have seen of the epoch."""
    return copy.deepcopy(model.metrics) if isinstance(model._training_run, Run) else model.metrics


def evaluate_feed(model, feed, verbose=0, watchers=None, interrupted=(), name="x"):
    """dict of the loss and metrics over the batches of a feed, in order.

    Ends early when a callback sets ``model.stop_evaluating``, and raises KeyboardInterrupt when
    `interrupted` is no longer empty.
    """
    watchers = watchers or _NOBODY
    means = RunningMeans(metrics_of(model))
    number = -1
    model.stop_evaluating = False
    with model._apart_from_training():
        watchers.on_test_begin()
        feed.begin_epoch()
        for number, samples in enumerate(progress(feed.all(), verbose, feed.steps)):
            watchers.on_test_batch_begin(number)
            loss, outputs = model._test_step(samples)
            means.add(samples, loss, outputs)
            watchers.on_test_batch_end(number, means.logs())
            if interrupted:
                raise KeyboardInterrupt
            if model.stop_evaluating:
                break
        feed.end_epoch()
    if number < 0:
        raise ShapeError(f"{name} has 0 samples: nothing to evaluate")
    if not means.counted:
        raise ConfigError(f"nothing in {name} counts: {_NOTHING_COUNTS}")
    logs = means.logs()
    watchers.on_test_end(logs)
    return logs


def predict_feed(model, feed, verbose=0, watchers=None, stop=None):
    """Outputs for all batches, of the layers before number `stop` or all; the batch size changes the memory that is used, not
    a bit of the result. Ends early when a callback sets ``model.stop_predicting``."""
    watchers = watchers or _NOBODY
    outputs = []
    model.stop_predicting = False
    with model._apart_from_training():
        watchers.on_predict_begin()
        feed.begin_epoch()
        for number, samples in enumerate(progress(feed.all(), verbose, feed.steps)):
            watchers.on_predict_batch_begin(number)
            outputs.append(model._run(samples, stop))
            watchers.on_predict_batch_end(number, {"outputs": outputs[-1]})
            if model.stop_predicting:
                break
        feed.end_epoch()
    watchers.on_predict_end()
    if not outputs:
        return np.empty(model.compute_output_shape(feed.samples.x.shape), model.dtype)
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
