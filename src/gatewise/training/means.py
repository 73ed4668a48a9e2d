"""The losses and metrics of several batches."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewise import checks
from gatewise.errors import ConfigError

from .metrics.variables import lasting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Model

    from .data import Samples, Targets
    from .metrics import Metric


class Found(NamedTuple):
    """What a step found for one batch.

    Attributes
    ----------
    loss : float
        The sum of the losses of the outputs, each times its weight, and of the penalties.
    losses : sequence of float
        The loss of each output, without its weight; 0 for an output that is not trained.
    outputs : sequence of ndarray or None
        Those that metrics need.
    penalty : float
        The sum of the penalties.
    """

    loss: float
    losses: Sequence[float]
    outputs: Sequence[Array | None]
    penalty: float = 0.0


class _Mean:
    """A mean of numbers with counts."""

    def __init__(self) -> None:
        self.total: float = 0.0
        self.count: float = 0

    def add(self, value: float, count: float) -> None:
        self.total += value * count
        self.count += count

    @property
    def value(self) -> float:
        return self.total / self.count

    def get_state(self) -> dict[str, Any]:
        return {"total": self.total, "count": self.count}

    def set_state(self, state: dict[str, Any]) -> None:
        self.total = checks.number(state["total"], "the sum of losses")
        self.count = checks.number(state["count"], "the number of positions", 0.0)


class RunningMeans:
    """Means over batches of the losses, weighted by what counts, and of metrics.

    Of several outputs the loss is the sum of the means of each, times its weight, and the mean
    penalty over samples.

    Parameters
    ----------
    model : Sequential
        Its metrics are reset, and then updated with each batch.
    apart : bool
        Take copies of the metrics instead.
    """

    def __init__(self, model: Model, apart: bool = False) -> None:
        self.objectives: list[Any] = model._objectives
        self.metrics: list[list[Metric]] = [
            copy.deepcopy(objective.metrics) if apart else objective.metrics
            for objective in self.objectives
        ]
        self.single: bool = len(self.objectives) == 1
        # of each output and, if there are several, of the penalties
        self.means: list[_Mean] = [_Mean() for _ in range(len(self.objectives) + (not self.single))]
        self.counted: bool = False  # whether anything counted so far
        for metrics in self.metrics:
            for metric in metrics:
                metric.reset_state()

    def add(self, batch: Samples, found: Found) -> None:
        """Add one batch. One in which no position counts changes no mean."""
        self.counted = self.counted or (batch.counts and not batch.empty)
        anything = False
        for j, targets in enumerate(batch.targets):
            count = 0 if targets is None else targets.count
            if targets is None or not count:
                continue
            anything = True
            self.means[j].add(found.loss if self.single else found.losses[j], count)
            if self.metrics[j]:
                plain = len(self.objectives[j].choices)
                metrics, outputs = self.metrics[j], found.outputs[j]
                _update(metrics[:plain], targets, outputs, targets.metric_weights)
                _update(metrics[plain:], targets, outputs, targets.weights)
        if anything and not self.single:
            self.means[-1].add(found.penalty, len(batch))

    def logs(self) -> dict[str, Any]:
        """Return the means so far by name; empty as long as nothing has counted."""
        if self.single:
            if not self.means[0].count:
                return {}
            return {"loss": self.means[0].value} | self._of_metrics(0)
        trained = [j for j, objective in enumerate(self.objectives) if objective.loss is not None]
        counted = [j for j in trained if self.means[j].count]
        if not counted:
            return {}
        logs = {
            "loss": self.means[-1].value
            + sum(self.objectives[j].weight * self.means[j].value for j in counted)
        }
        if len(trained) > 1:
            logs |= {
                f"{self.objectives[j].name}_loss": self.means[j].value if j in counted else math.nan
                for j in trained
            }
        for j in trained:
            logs |= self._of_metrics(j)
        return logs

    def _of_metrics(self, j: int) -> dict[str, Any]:
        """Return the metrics of an output by name; NaN where nothing counted so far."""
        if not self.metrics[j]:
            return {}
        names = self.objectives[j].log_names
        if not self.means[j].count:
            return dict.fromkeys(names, math.nan)
        return {name: lasting(metric.result()) for name, metric in zip(names, self.metrics[j])}

    def get_state(self) -> dict[str, Any]:
        """Return what :meth:`set_state` continues from."""
        state: dict[str, Any] = {
            "counted": self.counted,
            "metrics": [metric.get_state() for metrics in self.metrics for metric in metrics],
        }
        if self.single:
            return self.means[0].get_state() | state
        return {"means": [mean.get_state() for mean in self.means]} | state

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        parts = [state] if self.single else state["means"]
        for mean, part in zip(self.means, parts, strict=True):
            mean.set_state(part)
        counted = any(mean.count for mean in self.means)
        self.counted = checks.flag(state.get("counted", counted), "whether anything counted")
        metrics = [metric for metrics in self.metrics for metric in metrics]
        for metric, part in zip(metrics, state["metrics"], strict=True):
            metric.set_state(part)


def _update(
    metrics: Sequence[Metric], targets: Targets, outputs: Any, weights: Array | None
) -> None:
    """Add one batch to metrics of an output."""
    y: Any = targets.y
    # single targets have weights of their own, or are unknown
    if metrics and weights is not None and weights.ndim == outputs.ndim:
        _need_means_over_outputs(metrics)
        # so that a position weighs as much as one of a batch without such targets
        weights = weights / y.shape[-1]
        y, outputs = y[..., None], outputs[..., None]
    for metric in metrics:
        ends = {"lengths": targets.read_lengths} if getattr(metric, "_per_sequence", False) else {}
        metric.update_state(y, outputs, weights, **ends)


def _need_means_over_outputs(metrics: Sequence[Metric]) -> None:
    """Refuse single targets of weight 0 if a metric reads all targets of a position."""
    for metric in metrics:
        if not getattr(metric, "_is_mean_over_outputs", False):
            raise ConfigError(
                f"metric {metric.name} needs all targets of a position, and weights of 0 leave"
                " some of them out, where y holds NaN or what the loss cannot have; leave out"
                " all targets of such positions, or leave out the metric"
            )
