"""The loss and metrics of several batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError

from .metrics.variables import lasting

if TYPE_CHECKING:
    from .data import Samples
    from .metrics import Metric


class RunningMeans:
    """Means over batches of the loss, weighted by the samples or steps that count, and of metrics.

    Parameters
    ----------
    metrics : list of Metric
        They are reset, and then updated with each batch.
    """

    def __init__(self, metrics: list[Metric]) -> None:
        self.metrics = metrics
        self.total: float = 0.0
        self.count: float = 0
        self.counted: bool = False  # whether anything counted so far
        for metric in metrics:
            metric.reset_state()

    def add(self, batch: Samples, loss: float, outputs: Any) -> None:
        """Add one batch. One in which no position counts changes no mean."""
        count = batch.count
        self.counted = self.counted or (batch.counts and not batch.empty)
        if not count:
            return
        self.total += loss * count
        self.count += count
        weights = batch.metric_weights
        y: Any = batch.y
        # single targets are unknown
        if self.metrics and weights is not None and weights.ndim == outputs.ndim:
            self._need_means_over_outputs()
            # so that a position weighs as much as one of a batch without such targets
            weights = weights / y.shape[-1]
            y, outputs = y[..., None], outputs[..., None]
        for metric in self.metrics:
            ends = (
                {"lengths": batch.read_lengths} if getattr(metric, "_per_sequence", False) else {}
            )
            metric.update_state(y, outputs, weights, **ends)

    def _need_means_over_outputs(self) -> None:
        """Refuse single targets of weight 0 if a metric reads all targets of a position."""
        for metric in self.metrics:
            if not getattr(metric, "_is_mean_over_outputs", False):
                raise ConfigError(
                    f"metric {metric.name} needs all targets of a position, and weights of 0 leave"
                    " some of them out, where y holds NaN or what the loss cannot have; leave out"
                    " all targets of such positions, or leave out the metric"
                )

    def logs(self) -> dict[str, Any]:
        """Return the means so far by name; empty as long as nothing has counted."""
        if not self.count:
            return {}
        mean = self.total / self.count
        return {"loss": mean} | {metric.name: lasting(metric.result()) for metric in self.metrics}

    def get_state(self) -> dict[str, Any]:
        """Return what :meth:`set_state` continues from."""
        return {
            "total": self.total,
            "count": self.count,
            "counted": self.counted,
            "metrics": [metric.get_state() for metric in self.metrics],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.total = checks.number(state["total"], "the sum of losses")
        self.count = checks.number(state["count"], "the number of positions", 0.0)
        self.counted = checks.flag(state.get("counted", self.count > 0), "whether anything counted")
        for metric, part in zip(self.metrics, state["metrics"], strict=True):
            metric.set_state(part)
