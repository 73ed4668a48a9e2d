"""Evaluation and prediction over the batches of a feed."""

from __future__ import annotations

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


_NOBODY = CallbackList([])  # no callbacks
NOTHING_COUNTS = (
    "every step is masked or past the end of its row, every weight is 0, or the loss ignores every"
    " target; check mask, lengths, sample_weight and ignore_class"
)


def new_means(model: Model) -> RunningMeans:
    """Return means of no batch; while the model trains, its metrics hold values of the epoch."""
    return RunningMeans(model, apart=isinstance(model._training_run, Run))


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
    means = new_means(model)
    number = -1
    model.stop_evaluating = False
    with model._apart_from_training():
        watchers.on_test_begin()
        feed.begin_epoch()
        for number, samples in enumerate(progress(feed.all(), verbose, feed.steps)):
            watchers.on_test_batch_begin(number)
            means.add(samples, model._test_step(samples))
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
) -> Any:
    """Return the outputs for all batches, of the layers before number `stop` or of all layers.

    The batch size changes the memory that is used, but not a bit of the result. Ends early when a
    callback sets ``model.stop_predicting``.
    """
    watchers = watchers or _NOBODY
    found: list[Sequence[Array]] = []
    vars(model)["stop_predicting"] = False  # as an attribute it takes a microsecond
    with model._apart_from_training():
        watchers.on_predict_begin()
        feed.begin_epoch()
        for number, samples in enumerate(progress(feed.all(), verbose, feed.steps)):
            watchers.on_predict_batch_begin(number)
            found.append(model._run(samples.inputs, stop))
            watchers.on_predict_batch_end(number, {"outputs": model._as_given(found[-1])})
            if model.stop_predicting:
                break
        feed.end_epoch()
    watchers.on_predict_end()
    if not found:
        shapes = [batch.values.shape for batch in feed.samples.inputs]
        found.append([np.empty(shape, model.dtype) for shape in model._output_shapes(shapes)])
    if len(found) == 1:
        return model._as_given(found[0])
    return model._as_given([np.concatenate(parts) for parts in zip(*found)])
