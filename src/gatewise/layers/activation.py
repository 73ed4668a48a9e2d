"""The activation layer, and the base of all layers that end in an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import threads
from gatewise.errors import ShapeError
from gatewise.kernels import activations, arrays

from .base import Layer
from .options import fixed
from .step_ops import ActivationOp, SoftmaxOp

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.kernels.activations import Activation as CheckedActivation
    from gatewise.kernels.activations import ActivationLike
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape

LINEAR = activations.code("linear")


def activation_or_softmax(value: Any, name: str) -> CheckedActivation:
    """Check the option `activation` of layers that may end in a softmax."""
    return activations.check_name(value, also=("softmax",))


class Activated:
    """Base of layers that end in an activation: y = activation(z) forward, dz backward."""

    activation: Any

    def _activation_ops(self, name: str, width: int) -> list[StepOp]:
        """Return the activation of a vector as operations of a step: none if it is linear."""
        if self.activation == "linear":
            return []
        if self.activation == "softmax":
            return [SoftmaxOp(name=name, inputs=width, width=width)]
        code = activations.code(self.activation)
        return [ActivationOp(name=name, inputs=width, width=width, activation=code)]

    @property
    def _limiting_activation(self) -> str | None:
        """The activation's name, without its constants."""
        return self.activation if isinstance(self.activation, str) else self.activation[0]

    def _activate_rows(self, z: Array, y: Array) -> Array:
        """Write activation(z) into y, which may be z itself, and return y."""
        if z.shape[-1] == 0:
            raise ShapeError(
                f"x has shape {z.shape}, with an empty last axis; expected at least 1 feature"
            )
        work = threads.threads_for(20 * z.size)
        if self.activation == "softmax":
            if z.size:
                rows = (z.size // z.shape[-1], z.shape[-1])
                arrays.softmax(z.reshape(rows), y.reshape(rows), work)
        elif self.activation != "linear" or z is not y:
            arrays.activate(z, y, activations.code(self.activation), work)
        return y

    def _slope_times(self, y: Array, dy: Array) -> Array:
        """The gradient dz for the gradient dy: a new array, or dy itself for a linear layer."""
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


class ActivationLayer(Activated, Layer):
    """Base of layers that compute an activation and nothing else."""

    def _step_ops(self) -> list[StepOp]:
        return self._activation_ops(self.name, self.input_shape[-1])

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = inputs.values
        y = self._activate_rows(x, np.empty_like(x))
        if tape is not None:
            tape.keep(node, y.copy())
        return inputs.with_values(y)

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Array:
        return self._slope_times(tape.take(node), gradients)

    def _run_to_scores(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        """The input itself, for a loss that includes the activation."""
        return inputs

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array:
        return gradients


class Activation(ActivationLayer):
    """An activation of each number; ``"softmax"`` goes over the last axis.

    Parameters
    ----------
    activation : str or tuple
        A name such as ``"relu"`` or ``"softmax"``, or a name with its constants, such as
        ``("leaky_relu", 0.01)``. None: linear.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Activation
    >>> Activation("relu")([[-1.0, 2.0]]).tolist()
    [[0.0, 2.0]]
    """

    activation: Any = fixed(activation_or_softmax)

    def __init__(self, activation: ActivationLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation

    def get_config(self) -> Config:
        return super().get_config() | {"activation": activations.config(self.activation)}
