"""The dense layer: a product with a matrix, and an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.errors import ShapeError
from gatewise.kernels import activations, dense
from gatewise.kernels._packed_weights import PackedWeights
from gatewise.kernels._products import uses_blas

from .activation import LINEAR, Activated, activation_or_softmax
from .base import Layer
from .options import fixed
from .step_ops import DenseOp
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config, Shape
    from gatewise.kernels.activations import ActivationLike
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape

    from .weights import ConstraintLike, InitializerLike, RegularizerLike


class Dense(Activated, Layer):
    """``y = activation(x W + b)`` over the last axis.

    The input has two axes or more, (batch, ..., features); the output has `units` in place of
    `features`.

    Parameters
    ----------
    units : int
        Width of the output, from 1.
    activation : str or tuple, optional
        A name such as ``"relu"`` or ``"softmax"``, or a name with its constants, such as
        ``("leaky_relu", 0.01)``. None: linear.
    use_bias : bool, default True
        Whether b is added.
    kernel_initializer : str, dict or Initializer, default "glorot_uniform"
        How the initial W is drawn.
    bias_initializer : str, dict or Initializer, default "zeros"
        How the initial b is drawn.
    kernel_regularizer, bias_regularizer : str, dict or Regularizer, optional
        Penalty on W and on b, added to the loss in training. None: no penalty.
    kernel_constraint, bias_constraint : str, dict or Constraint, optional
        Applied to W and to b after each step of the optimizer. None: no constraint.
    seed : int, optional
        Seed of the initial weights of a layer used alone, from 0. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: kernel W (features, units), bias b (units,).

    Examples
    --------
    >>> from gatewise.layers import Dense
    >>> Dense(2, kernel_initializer="ones")([[1.0, 2.0, 3.0]]).tolist()
    [[6.0, 6.0]]
    """

    units: int = fixed(checks.whole_number)
    activation: Any = fixed(activation_or_softmax)
    use_bias: bool = fixed(checks.flag)

    def __init__(
        self,
        units: int,
        activation: ActivationLike = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        kernel_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units, self.activation, self.use_bias = units, activation, use_bias
        self._weight_options = {
            "kernel": WeightOptions(
                "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
            ),
            "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
        }
        self.seed: int | None = checks.seed(seed)
        self._packed = PackedWeights()

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected (batch, ...,"
                " features) with a known number of features"
            )
        shapes = {"kernel": (input_shape[-1], self.units)} | (
            {"bias": (self.units,)} if self.use_bias else {}
        )
        return [self._weight_options[name].spec(name, shape) for name, shape in shapes.items()]

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def _weights_changed(self) -> None:
        self._packed.forget()

    def _pack_now(self) -> Array:
        return dense.pack(self._parameters["kernel"], self._parameters.get("bias"))

    def _step_ops(self) -> list[StepOp]:
        softmax = self.activation == "softmax"
        product = DenseOp(
            name=self.name,
            inputs=self.input_shape[-1],
            width=self.units,
            kernel=self._parameters["kernel"],
            bias=self._parameters.get("bias"),
            activation=LINEAR if softmax else activations.code(self.activation),
        )
        return [product, *(self._activation_ops(self.name, self.units) if softmax else [])]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        z = self._product(inputs.values)
        if self.activation != "linear":
            self._activate_rows(z, z)
        if tape is not None:
            # The output may be handed out and changed; a linear layer's backward does not need it.
            y = None if self.activation == "linear" else z.copy()
            tape.keep(node, {"x": inputs.values, "y": y})
        return inputs.with_values(z)

    def _run_to_scores(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        """x W + b without the activation, for a loss that includes the activation."""
        z = self._product(inputs.values)
        if tape is not None:
            tape.keep(node, {"x": inputs.values})
        return inputs.with_values(z)

    def _product(self, x: Array) -> Array:
        """x W + b."""
        features, units = x.shape[-1], self.units
        rows = x if x.ndim == 2 else x.reshape(-1, features)
        count = len(rows)
        checks.fits_memory(count * units, self._dtype, "the output of layer", self._name)
        z = np.empty((count, units), x.dtype)
        work = threads.threads_for_products(2 * count * units * features)
        dense.forward(rows, self._packed.of(self), z, LINEAR, work)
        return z if x.ndim == 2 else z.reshape(*x.shape[:-1], units)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved = tape.take(node)
        return self._product_backward(
            saved["x"], self._slope_times(saved["y"], gradients), tape, node, wanted
        )

    def _run_backward_from_scores(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        """As run_backward, for gradients of the output of :meth:`_run_to_scores`."""
        return self._product_backward(tape.take(node)["x"], gradients, tape, node, wanted)

    def _product_backward(
        self, x: Array, dz: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        """Add the gradients of W and b, return that of x, for the gradient dz of x W + b."""
        rows = x.reshape(-1, x.shape[-1])
        dx = tape.scratch(node, rows.shape, self.dtype) if wanted else None
        with threads.single_threaded_blas(uses_blas(x.shape[-1])):
            dense.backward(
                rows,
                self._parameters["kernel"],
                np.ascontiguousarray(dz).reshape(-1, self.units),
                self._gradients["kernel"],
                self._gradients.get("bias"),
                dx,
                threads.threads_for_products(4 * rows.shape[0] * x.shape[-1] * self.units),
            )
        return None if dx is None else dx.reshape(x.shape)

    def get_config(self) -> Config:
        config = super().get_config() | {
            "units": self.units,
            "activation": activations.config(self.activation),
            "use_bias": self.use_bias,
            "seed": self.seed,
        }
        for options in self._weight_options.values():
            config |= options.get_config()
        return config
