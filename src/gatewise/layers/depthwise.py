"""Convolutions over steps that treat each feature by itself: DepthwiseConv1D, SeparableConv1D."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.kernels import convolution, dense
from gatewise.kernels._products import uses_blas

from .activation import LINEAR
from .filtering import Filtering, check_layout
from .masks import counted_steps
from .options import fixed
from .step_ops import DenseOp, DepthwiseOp
from .weights import WeightOptions
from .windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.kernels.activations import ActivationLike
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape

    from .weights import ConstraintLike, InitializerLike, RegularizerLike


class _Depthwise(Filtering, Windowed):
    """Base of both: `depth_multiplier` sums over windows for each feature."""

    paddings: tuple[str, ...] = ("valid", "same", "causal")
    depth_multiplier: int = fixed(checks.whole_number)
    _depthwise_name: str  # of the parameter

    def _kernel_shape(self, input_shape: Shape) -> tuple[int, ...]:
        return (self.window, input_shape[-1], self.depth_multiplier)

    def _as_matrix(self, kernel: Array) -> Array:
        """A kernel, or its gradient, as (window, features * depth_multiplier)."""
        return kernel.reshape(self.window, -1)

    def _each_feature_op(self, bias: Array | None, activation: Any) -> DepthwiseOp:
        """The sums over windows as an operation of a step."""
        features = self.input_shape[-1]
        return DepthwiseOp(
            name=self.name,
            inputs=features,
            width=features * self.depth_multiplier,
            kernel=self._parameters[self._depthwise_name],
            bias=bias,
            activation=activation,
            **self._window_options,
        )

    def _each_feature(self, inputs: Batch, bias: Array | None) -> tuple[Array, dict[str, Any]]:
        """Return the sums over windows, (batch, windows, features * depth_multiplier).

        And what the backward pass needs.
        """
        x, lengths = inputs.values, inputs.lengths
        batch, steps, features = x.shape
        count, width = self._output_steps(steps), features * self.depth_multiplier
        checks.fits_memory(
            batch * (steps + count) * width, self.dtype, "the sums of layer", self.name
        )
        kept = None
        if lengths is not None:
            x = np.where(counted_steps(lengths, x.shape), x, x.dtype.type(0))
            kept = counted_steps(self.output_lengths(lengths), (batch, count, 1))
        if self.depth_multiplier > 1:
            x = np.repeat(x, self.depth_multiplier, axis=2)
        x = self._padded(x, 0, lengths)
        y = np.empty((batch, count, width), x.dtype)
        convolution.depthwise(
            np.ascontiguousarray(x),
            self._as_matrix(self._parameters[self._depthwise_name]),
            bias,
            y,
            self.strides,
            self.dilation,
            threads.threads_for(2 * self.window * y.size),
        )
        return y, {"x": x, "kept": kept, "lengths": lengths, "steps": steps}

    def _each_feature_backward(
        self, dz: Array, saved: dict[str, Any], wanted: bool
    ) -> Array | None:
        x, lengths, steps = saved["x"], saved["lengths"], saved["steps"]
        d_padded = np.zeros_like(x) if wanted else None
        convolution.depthwise_backward(
            x,
            self._as_matrix(self._parameters[self._depthwise_name]),
            dz,
            self._as_matrix(self._gradients[self._depthwise_name]),
            d_padded,
            self.strides,
            self.dilation,
            threads.threads_for(4 * self.window * dz.size),
        )
        if d_padded is None:
            return None
        dx = self._without_padding(d_padded, steps, lengths)
        if self.depth_multiplier > 1:
            dx = dx.reshape(*dx.shape[:2], self.input_shape[2], self.depth_multiplier).sum(axis=3)
        if lengths is None:
            return dx
        return np.where(counted_steps(lengths, dx.shape), dx, dx.dtype.type(0))

    def _finish(self, z: Array, kept: Array | None, inputs: Batch, record: Any) -> Batch:
        """The output for the sums z, which it overwrites; the record receives what it needs."""
        y = self._activate_rows(z, z)
        if record is not None:
            record["y"] = None if self.activation == "linear" else y.copy()
        return self._with_steps(
            y if kept is None else np.where(kept, y, y.dtype.type(0)), inputs.steps
        )

    def _finish_backward(self, dy: Array, saved: dict[str, Any]) -> Array:
        if saved["kept"] is not None:
            dy = np.where(saved["kept"], dy, dy.dtype.type(0))
        return np.ascontiguousarray(self._slope_times(saved["y"], np.ascontiguousarray(dy)))

    def _windows_config(self) -> Config:
        return {
            "kernel_size": self.window,
            "strides": self.strides,
            "padding": self.padding,
            "dilation_rate": self.dilation,
            "depth_multiplier": self.depth_multiplier,
        }


class DepthwiseConv1D(_Depthwise):
    """Convolution over the steps of a sequence, of each feature by itself.

    (batch, steps, features) becomes (batch, windows, features * depth_multiplier). Names and
    defaults are those of Keras.

    Parameters
    ----------
    kernel_size : int
        Number of steps in a window, from 1.
    strides : int, default 1
        Number of steps from one window to the next, from 1.
    padding : {"valid", "same", "causal"}, default "valid"
        As in :class:`Conv1D`. Each row's own length counts.
    depth_multiplier : int, default 1
        Number of outputs for each feature, from 1.
    data_format : {"channels_last"}, optional
        There is no other choice.
    dilation_rate : int, default 1
        Number of steps from one entry of a window to the next, from 1.
    activation : str or tuple, optional
        A name such as ``"relu"`` or ``"softmax"``, or a name with its constants, such as
        ``("leaky_relu", 0.01)``. None: linear.
    use_bias : bool, default True
        Whether a bias is added.
    depthwise_initializer : str, dict or Initializer, default "glorot_uniform"
        How the initial kernel is drawn.
    bias_initializer : str, dict or Initializer, default "zeros"
        How the initial bias is drawn.
    depthwise_regularizer, bias_regularizer : str, dict or Regularizer, optional
        Penalty on the kernel and on the bias, added to the loss in training. None: no penalty.
    depthwise_constraint, bias_constraint : str, dict or Constraint, optional
        Applied to the kernel and to the bias after each step of the optimizer. None: no constraint.
    seed : int, optional
        Seed of the initial weights of a layer used alone, from 0. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: kernel (kernel_size, features, depth_multiplier), bias (features *
    depth_multiplier,).

    Examples
    --------
    >>> from gatewise.layers import DepthwiseConv1D
    >>> layer = DepthwiseConv1D(2, depthwise_initializer="ones")
    >>> layer([[[1.0, 10.0], [3.0, 20.0], [8.0, 50.0]]]).tolist()
    [[[4.0, 30.0], [11.0, 70.0]]]
    """

    _depthwise_name = "kernel"

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, dilation_rate, **kwargs)
        check_layout(data_format)
        self.depth_multiplier = depth_multiplier
        self._take_options(
            activation,
            use_bias,
            seed,
            {
                "kernel": WeightOptions(
                    "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
                ),
                "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
            },
        )

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        shape = self._kernel_shape(input_shape)
        return self._specs_of({"kernel": shape, "bias": (shape[1] * shape[2],)})

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (
            input_shape[0],
            self._output_steps(input_shape[1]),
            input_shape[2] * self.depth_multiplier,
        )

    def _step_ops(self) -> list[StepOp]:
        op = self._each_feature_op(self._parameters.get("bias"), self._fused_activation)
        return [op, *self._softmax_ops(op.width)]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        z, saved = self._each_feature(inputs, self._parameters.get("bias"))
        if tape is not None:
            tape.keep(node, saved)
        return self._finish(z, saved["kept"], inputs, None if tape is None else saved)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved = tape.take(node)
        dz = self._finish_backward(gradients, saved)
        if self.use_bias:
            self._gradients["bias"] += dz.reshape(-1, dz.shape[2]).sum(axis=0)
        return self._each_feature_backward(dz, saved, wanted)

    def get_config(self) -> Config:
        return super().get_config() | self._windows_config() | self._filtering_config()


class SeparableConv1D(_Depthwise):
    """Convolution of each feature by itself, then a product over the features.

    (batch, steps, features) becomes (batch, windows, filters): a :class:`DepthwiseConv1D` without
    bias and activation, then a :class:`Dense` on each step. Names and defaults are those of Keras.

    Parameters
    ----------
    filters : int
        Width of the output, from 1.
    kernel_size : int
        Number of steps in a window, from 1.
    strides : int, default 1
        Number of steps from one window to the next, from 1.
    padding : {"valid", "same", "causal"}, default "valid"
        As in :class:`Conv1D`. Each row's own length counts.
    data_format : {"channels_last"}, optional
        There is no other choice.
    dilation_rate : int, default 1
        Number of steps from one entry of a window to the next, from 1.
    depth_multiplier : int, default 1
        Number of sums over a window for each feature, from 1.
    activation : str or tuple, optional
        A name such as ``"relu"`` or ``"softmax"``, or a name with its constants, such as
        ``("leaky_relu", 0.01)``. None: linear.
    use_bias : bool, default True
        Whether a bias is added.
    depthwise_initializer, pointwise_initializer : str, dict or Initializer
        How the initial kernels are drawn; the default is "glorot_uniform".
    bias_initializer : str, dict or Initializer, default "zeros"
        How the initial bias is drawn.
    depthwise_regularizer, pointwise_regularizer : str, dict or Regularizer, optional
        Penalties on the kernels, added to the loss in training. None: no penalty.
    bias_regularizer : str, dict or Regularizer, optional
        Penalty on the bias. None: no penalty.
    depthwise_constraint, pointwise_constraint : str, dict or Constraint, optional
        Applied to the kernels after each step of the optimizer. None: no constraint.
    bias_constraint : str, dict or Constraint, optional
        Applied to the bias after each step of the optimizer. None: no constraint.
    seed : int, optional
        Seed of the initial weights of a layer used alone, from 0. None: a random one.
    **kwargs
        Options of :class:`Layer`.

    Notes
    -----
    Weights, in order: depthwise_kernel (kernel_size, features, depth_multiplier), pointwise_kernel
    (1, features * depth_multiplier, filters), bias (filters,).

    Examples
    --------
    >>> from gatewise.layers import SeparableConv1D
    >>> layer = SeparableConv1D(
    ...     1, 2, depthwise_initializer="ones", pointwise_initializer="ones"
    ... )
    >>> layer([[[1.0, 10.0], [3.0, 20.0], [8.0, 50.0]]]).tolist()
    [[[34.0], [81.0]]]
    """

    _depthwise_name = "depthwise_kernel"
    filters: int = fixed(checks.whole_number)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        depth_multiplier: int = 1,
        activation: ActivationLike = None,
        use_bias: bool = True,
        depthwise_initializer: InitializerLike = "glorot_uniform",
        pointwise_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        depthwise_regularizer: RegularizerLike = None,
        pointwise_regularizer: RegularizerLike = None,
        bias_regularizer: RegularizerLike = None,
        depthwise_constraint: ConstraintLike = None,
        pointwise_constraint: ConstraintLike = None,
        bias_constraint: ConstraintLike = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(kernel_size, strides, padding, dilation_rate, **kwargs)
        check_layout(data_format)
        self.filters = filters
        self.depth_multiplier: int = depth_multiplier
        self._take_options(
            activation,
            use_bias,
            seed,
            {
                "depthwise_kernel": WeightOptions(
                    "depthwise", depthwise_initializer, depthwise_regularizer, depthwise_constraint
                ),
                "pointwise_kernel": WeightOptions(
                    "pointwise", pointwise_initializer, pointwise_regularizer, pointwise_constraint
                ),
                "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
            },
        )

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        shape = self._kernel_shape(input_shape)
        return self._specs_of(
            {
                "depthwise_kernel": shape,
                "pointwise_kernel": (1, shape[1] * shape[2], self.filters),
                "bias": (self.filters,),
            }
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self._output_steps(input_shape[1]), self.filters)

    def _pack_now(self) -> Array:
        return dense.pack(self._parameters["pointwise_kernel"][0], self._parameters.get("bias"))

    def _step_ops(self) -> list[StepOp]:
        sums = self._each_feature_op(None, LINEAR)
        product = DenseOp(
            name=self.name,
            inputs=sums.width,
            width=self.filters,
            kernel=self._parameters["pointwise_kernel"][0],
            bias=self._parameters.get("bias"),
            activation=self._fused_activation,
        )
        return [sums, product, *self._softmax_ops(self.filters)]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        sums, saved = self._each_feature(inputs, None)
        rows = sums.reshape(-1, sums.shape[2])
        z = np.empty((*sums.shape[:2], self.filters), sums.dtype)
        dense.forward(
            rows,
            self._packed.of(self),
            z.reshape(-1, self.filters),
            LINEAR,
            threads.threads_for_products(2 * z.size * rows.shape[1]),
        )
        if tape is not None:
            saved["rows"] = rows
            tape.keep(node, saved)
        return self._finish(z, saved["kept"], inputs, None if tape is None else saved)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved = tape.take(node)
        dz, rows = self._finish_backward(gradients, saved), saved["rows"]
        d_rows = np.empty_like(rows)
        with threads.single_threaded_blas(uses_blas(rows.shape[1])):
            dense.backward(
                rows,
                self._parameters["pointwise_kernel"][0],
                dz.reshape(-1, self.filters),
                self._gradients["pointwise_kernel"][0],
                self._gradients.get("bias"),
                d_rows,
                threads.threads_for_products(4 * rows.size * self.filters),
            )
        return self._each_feature_backward(
            d_rows.reshape(*dz.shape[:2], rows.shape[1]), saved, wanted
        )

    def get_config(self) -> Config:
        return (
            super().get_config()
            | {"filters": self.filters}
            | self._windows_config()
            | self._filtering_config()
        )
