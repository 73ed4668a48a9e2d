"""Activations: a layer of its own, and what layers share that end in one."""

from __future__ import annotations

import numpy as np

from gatewise import threads
from gatewise.errors import ShapeError
from gatewise.kernels import activations, arrays

from .base import Layer
from .options import Fixed

LINEAR = activations.code("linear")


def activation_or_softmax(value, name):
    """The check of the option `activation` of layers that may end in a softmax."""
    return activations.check_name(value, also=("softmax",))


class Activated:
    """What layers that end in an activation share: act(z) forward, dz backward."""

    @property
    def _limiting_activation(self):
        """The activation's name, without its constants."""
        return self.activation if isinstance(self.activation, str) else self.activation[0]

    def _activate_rows(self, z, y):
        """y = act(z), in place if z is y."""
        if z.shape[-1] == 0:
            raise ShapeError(
                f"x has shape {z.shape}: nothing along the last axis; expected at least 1 feature"
            )
        work = threads.threads_for(20 * z.size)
        if self.activation == "softmax":
            if z.size:
                rows = (z.size // z.shape[-1], z.shape[-1])
                arrays.softmax(z.reshape(rows), y.reshape(rows), work)
        elif self.activation != "linear" or z is not y:
            arrays.activate(z, y, activations.code(self.activation), work)
        return y

    def _slope_times(self, y, dy):
        """dz of dy, a new array, or dy itself for a linear layer."""
        if self.activation == "linear":
            return dy
        dz = np.empty_like(dy)
        work = threads.threads_for(4 * y.size)
        if self.activation == "softmax":
            if y.size:
                rows = (y.size // y.shape[-1], y.shape[-1])
                arrays.softmax_backward(y.reshape(rows), dy.reshape(rows), dz.reshape(rows), work)
        else:
            arrays.activate_backward(y, dy, dz, activations.code(self.activation), work)
        return dz


class Activation(Activated, Layer):
    """One activation, elementwise; "softmax" over the last axis.

    Parameters
    ----------
    activation : str
    """

    activation = Fixed(activation_or_softmax)

    def __init__(self, activation, **kwargs):
        super().__init__(**kwargs)
        self.activation = activation

    def run(self, inputs, tape, node):
        x = inputs.values
        y = self._activate_rows(x, np.empty_like(x))
        if tape is not None:
            tape.keep(node, y.copy())
        return inputs.with_values(y)

    def run_backward(self, gradients, tape, node, wanted):
        return self._slope_times(tape.take(node), gradients)

    def _run_to_scores(self, inputs, tape, node):
        """The input itself: what a loss that knows the activation starts from."""
        return inputs

    def _run_backward_from_scores(self, gradients, tape, node, wanted):
        return gradients

    def get_config(self):
        return super().get_config() | {"activation": activations.config(self.activation)}
