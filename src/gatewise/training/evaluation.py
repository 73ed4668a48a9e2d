"""Evaluation and prediction over the batches of a feed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .callbacks import CallbackList, progress
from .means import RunningMeans
from .run import Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Model

    from .feeds import Feed
    from .metrics import Metric


_NOBODY = CallbackList([])  # no callbacks
NOTHING_COUNTS = (
    "every step is masked or past the end of its row, every weight is 0, or the loss ignores every"
    " target; check mask, lengths, sample_weight and ignore_class"
)


def metrics_of(model: Model) -> list[Metric]:
    """Return the metrics; while the model trains copies, since its own hold values of the epoch."""
    return copy.deepcopy(model.metrics) if isinstance(model._training_run, Run) else model.metrics


def evaluate_feed(
    model: Model,
    feed: Feed,
    verbose: str | int = 0,
    watchers: CallbackList | None = None,
    interrupted: Sequence[object] = (),
    name: str = "x",
) -> dict[str, Any]:
    """Return the loss and metrics over the batches of a feed, in order, by name.

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
        raise ConfigError(f"nothing in {name} counts: {NOTHING_COUNTS}")
    logs = means.logs()
    watchers.on_test_end(logs)
    return logs


def predict_feed(
    model: Model,
    feed: Feed,
    verbose: str | int = 0,
    watchers: CallbackList | None = None,
    stop: int | None = None,
) -> Array:
    """Return the outputs for all batches, of the layers before number `stop` or of all layers.

    The batch size changes the memory that is used, but not a bit of the result. Ends early when a
    callback sets ``model.stop_predicting``.
    """
    watchers = watchers or _NOBODY
    outputs = []
    vars(model)["stop_predicting"] = False  # as an attribute it takes a microsecond
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
