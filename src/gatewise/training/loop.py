"""The loop: epochs, batches, validation, callbacks."""

import math
import warnings

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError, TrainingWarning

from .callbacks import Callback, CallbackList, History, ProgressBar, progress
from .data import add_class_weight, batch_bounds, prepare_samples, split_off_validation


def fit(model, x, y, *, batch_size, epochs, verbose, callbacks, validation_split, validation_data, shuffle, class_weight,
        sample_weight, lengths, resets, initial_epoch):
    """See :meth:`gatewise.models.Sequential.fit`."""
    epochs = checks.whole_number(epochs, "epochs")
    initial_epoch = checks.whole_number(initial_epoch, "initial_epoch", 0)
    batch_size = checks.whole_number(32 if batch_size is None else batch_size, "batch_size")
    samples = prepare_samples(model, x, y, sample_weight, lengths, resets)
    validation = None
    if validation_data is not None:
        validation = _validation_samples(model, validation_data)
    elif validation_split:
        samples, validation = split_off_validation(samples, validation_split)
    if len(samples) == 0:
        raise ShapeError("x has 0 samples: nothing to train on")
    add_class_weight(samples, class_weight, model.loss, model.output_shape[-1])

    _check_stateful(model, samples, batch_size, "x")
    if validation is not None:
        _check_stateful(model, validation, batch_size, "the validation samples")
    history = History()
    callbacks = [callbacks] if isinstance(callbacks, Callback) else callbacks or []
    watchers = CallbackList([ProgressBar(verbose), *CallbackList(callbacks).callbacks, history])
    bounds = batch_bounds(len(samples), batch_size)
    watchers.set_model(model)
    watchers.set_params({"epochs": epochs, "initial_epoch": initial_epoch, "steps": len(bounds), "verbose": verbose})
    model.history = history
    model.stop_training = False
    watchers.on_train_begin()
    try:
        _run_epochs(model, samples, validation, range(initial_epoch, epochs), bounds, checks.flag(shuffle, "shuffle"),
                    batch_size, watchers)
    finally:  # Ctrl-C too: best weights come back, bars are closed
        watchers.on_train_end()
    return history


def _run_epochs(model, samples, validation, epochs, bounds, shuffle, batch_size, watchers):
    snapshots = []
    for epoch in epochs:
        watchers.on_epoch_begin(epoch)
        snapshots = [*snapshots[-1:], model.snapshot()]
        order = model.rng.permutation(len(samples)) if shuffle else None
        logs, failed_at = _train_epoch(model, samples, order, bounds, watchers)
        if failed_at is not None:
            # What fails at an epoch's first batch was broken by the last step of the epoch before.
            model.go_back(snapshots[0 if failed_at == 0 else -1])
            model.stop_training = True
            warnings.warn(f"the loss became {logs['loss']} in epoch {epoch + 1}: training stopped at batch "
                          f"{failed_at + 1}, and weights and optimizer are those from before that epoch or, at its first "
                          f"batch, the one before; try a smaller learning rate, or clipnorm", TrainingWarning, stacklevel=4)
        if validation is not None:
            logs |= {f"val_{name}": value for name, value in evaluate_samples(model, validation, batch_size).items()}
        watchers.on_epoch_end(epoch, logs)
        if model.stop_training:
            break


def _check_stateful(model, samples, batch_size, name):
    """A stateful layer keeps a row of state for each row of a batch, so that batches are of one size."""
    layer = next((layer for layer in model.layers if getattr(layer, "stateful", False)), None)
    if layer is not None and len(samples) > batch_size and len(samples) % batch_size:
        raise ShapeError(f"{name}: {len(samples)} samples make a last batch of {len(samples) % batch_size} rows, and "
                         f"layer {layer.name!r} is stateful; choose a batch_size that divides the number of samples")


def _validation_samples(model, data):
    if not (isinstance(data, tuple | list) and 2 <= len(data) <= 4):
        raise ConfigError("validation_data: expected (x, y), (x, y, sample_weight) or (x, y, sample_weight, lengths)")
    x, y, weights, lengths = (*data, *(None,) * (4 - len(data)))
    return prepare_samples(model, x, y, weights, lengths=lengths)


def _train_epoch(model, samples, order, bounds, watchers):
    """One pass over the batches: (means of the loss and metrics, batch at which the loss was not finite or None)."""
    running = RunningMeans(model.metrics)
    for number, (first, last) in enumerate(bounds):
        batch = samples.take(slice(first, last) if order is None else order[first:last])
        watchers.on_train_batch_begin(number)
        loss, outputs = model.train_step(batch)
        running.add(batch, loss, outputs)
        logs = running.logs()
        watchers.on_train_batch_end(number, logs)
        if not math.isfinite(loss):
            return logs | {"loss": loss}, number
    return logs, None


def evaluate_samples(model, samples, batch_size, verbose=0):
    """dict of the loss and metrics over the samples, batches in order."""
    if len(samples) == 0:
        raise ShapeError("x has 0 samples: nothing to evaluate")
    running = RunningMeans(model.metrics)
    for first, last in progress(batch_bounds(len(samples), batch_size), verbose):
        batch = samples.take(slice(first, last))
        loss, outputs = model.test_step(batch)
        running.add(batch, loss, outputs)
    return running.logs()


class RunningMeans:
    """Mean of the loss, weighted by the samples of each batch (or the steps that count), and of each metric."""

    def __init__(self, metrics):
        self.metrics = metrics
        self.total, self.count = 0.0, 0
        for metric in metrics:
            metric.reset_state()

    def add(self, batch, loss, outputs):
        """Add one batch."""
        count = len(batch) if batch.valid is None else float(batch.valid.sum())
        self.total += loss * count
        self.count += count
        for metric in self.metrics:
            metric.update_state(batch.y, outputs, batch.valid)

    def logs(self):
        """dict name -> float of the means so far."""
        mean = self.total / self.count if self.count else 0.0
        return {"loss": mean} | {metric.name: metric.result() for metric in self.metrics}


def predict_samples(model, samples, batch_size, verbose=0):
    """Outputs for all samples; the batch size changes the memory that is used, not a bit of the result."""
    bounds = progress(batch_bounds(len(samples), batch_size), verbose)
    outputs = [model.run(samples.take(slice(first, last))) for first, last in bounds]
    if not outputs:
        return np.empty(model.compute_output_shape(samples.x.shape), model.dtype)
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
