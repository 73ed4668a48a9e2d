"""The loss and metrics of several batches."""

from gatewise import checks


class RunningMeans:
    """Mean of the loss, weighted by the samples of each batch (or the steps that count), and of each metric."""

    def __init__(self, metrics):
        self.metrics = metrics
        self.total, self.count = 0.0, 0
        for metric in metrics:
            metric.reset_state()

    def add(self, batch, loss, outputs):
        """Add one batch."""
        count = batch.count
        self.total += loss * count
        self.count += count
        for metric in self.metrics:
            metric.update_state(batch.y, outputs, batch.valid)

    def logs(self):
        """dict name -> float of the means so far."""
        mean = self.total / self.count if self.count else 0.0
        return {"loss": mean} | {metric.name: metric.result() for metric in self.metrics}

    def get_state(self):
        """What :meth:`set_state` goes on from."""
        return {"total": self.total, "count": self.count, "metrics": [metric.get_state() for metric in self.metrics]}

    def set_state(self, state):
        """Go on from a saved state."""
        self.total = checks.number(state["total"], "the sum of losses")
        self.count = checks.number(state["count"], "the number of positions", 0.0)
        for metric, part in zip(self.metrics, state["metrics"], strict=True):
            metric.set_state(part)
