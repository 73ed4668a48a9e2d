"""Classes that a user might write: a cell, a loss, a metric, an initializer, batches."""

import numpy as np

from gatewise import initializers, losses, metrics
from gatewise.cells import RNNCell


class LeakyCell(RNNCell):
    """The cell of Jordan and Elman that leaks, as in docs/custom-cells.md."""

    def __init__(self, units, rate=0.5):
        self.units = units
        self.rate = rate

    def parameter_shapes(self, inputs):
        """Names and shapes."""
        square = (self.units, self.units)
        return {"kernel": (inputs, self.units), "recurrent_kernel": square, "bias": (self.units,)}

    def step(self, x, states, parameters):
        """One step."""
        (h,) = states
        sums = x @ parameters["kernel"] + h @ parameters["recurrent_kernel"] + parameters["bias"]
        n = np.tanh(sums)
        new_h = (1 - self.rate) * h + self.rate * n
        return new_h, [new_h], (x, h, n)

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        """One step back."""
        x, h, n = saved
        d_h = d_output + d_states[0]
        d_a = self.rate * d_h * (1 - n**2)
        gradients["kernel"] += x.T @ d_a
        gradients["recurrent_kernel"] += h.T @ d_a
        gradients["bias"] += d_a.sum(axis=0)
        back = (1 - self.rate) * d_h + d_a @ parameters["recurrent_kernel"].T
        return d_a @ parameters["kernel"].T, [back]


class Asymmetric(losses.Loss):
    """Squared error that counts more where the prediction is too low."""

    def __init__(self, factor=3.0, name=None):
        super().__init__(name=name)
        self.factor = factor

    def _positions(self, y_true, y_pred, want_gradient):
        e = y_pred - y_true
        weight = np.where(e < 0, self.factor, 1).astype(e.dtype)
        values = (weight * e**2).mean(axis=-1)
        return values, 2 * weight * e / e.shape[-1] if want_gradient else None


class Bias(metrics.Metric):
    """Mean of prediction minus target."""

    direction = "down"

    def __init__(self, name="bias", **kwargs):
        super().__init__(name=name, **kwargs)
        self.total = self.add_variable(shape=(), initializer="zeros", name="total")
        self.count = self.add_variable(shape=(), initializer="zeros", name="count")

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch."""
        error = (np.asarray(y_pred) - np.asarray(y_true)).mean(axis=-1)
        weights = np.ones(error.shape) if sample_weight is None else sample_weight
        counted = weights != 0
        self.total.assign_add((error * weights)[counted].sum())
        self.count.assign_add(weights.sum())

    def result(self):
        """The mean so far."""
        return (self.total / self.count).item() if self.count else 0.0


class Ramp(initializers.Initializer):
    """Numbers that rise."""

    def __init__(self, top=0.5):
        self.top = top

    def __call__(self, shape, rng=None, dtype="float32"):
        return np.linspace(-self.top, self.top, int(np.prod(shape))).reshape(shape).astype(dtype)


class Batches:
    """A sequence of batches of rows."""

    def __init__(self, x, y, size=5):
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return len(self.x) // self.size

    def __getitem__(self, number):
        rows = slice(number * self.size, (number + 1) * self.size)
        return self.x[rows], self.y[rows]
