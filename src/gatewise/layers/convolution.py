"""Convolution over the steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.kernels import dense
from gatewise.kernels._products import uses_blas

from .activation import LINEAR
from .filtering import Filtering, check_layout
from .masks import counted_steps
from .options import fixed
from .step_ops import ConvolutionOp
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


class Conv1D(Filtering, Windowed):
    """Convolution over the steps of a sequence.

    (batch, steps, features) becomes (batch, windows, filters):
    ``y_t = activation(sum_k x_(t * strides + k * dilation_rate) W_k + b)``. Names and defaults are
    those of Keras.

    Parameters
    ----------
    filters : int
        Width of the output, from 1.
    kernel_size : int
        Number of steps in a window, from 1.
    strides : int, default 1
        Number of steps from one window to the next, from 1.
    padding : {"valid", "same", "causal"}, default "valid"
        "valid": only windows that are inside the row. "same": with strides of 1, the output has as
        many steps as the input, and each window has its step in the middle. "causal": likewise, but
        each window ends at its step. Each row's own length counts.
    data_format : {"channels_last"}, optional
        There is no other choice.
    dilation_rate : int, default 1
        Number of steps from one entry of a window to the next, from 1.
    groups : int, default 1
        There is no other choice.
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
    Weights, in order: kernel W (kernel_size, features, filters), bias b (filters,).

    Steps past a row's length count as zeros, like padding, and outputs past the row's end are zero.
    The windows become the rows of one large matrix product.

    Examples
    --------
    >>> from gatewise.layers import Conv1D
    >>> layer = Conv1D(1, kernel_size=2, kernel_initializer="ones")
    >>> layer([[[1.0], [3.0], [8.0]]]).tolist()
    [[[4.0], [11.0]]]
    """

    paddings: tuple[str, ...] = ("valid", "same", "causal")
    filters: int = fixed(checks.whole_number)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
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
        super().__init__(kernel_size, strides, padding, dilation_rate, **kwargs)
        check_layout(data_format, groups)
        self.filters = filters
        self._take_options(
            activation,
            use_bias,
            seed,
            {
                "kernel": WeightOptions(
                    "kernel", kernel_initializer, kernel_regularizer, kernel_constraint
                ),
                "bias": WeightOptions("bias", bias_initializer, bias_regularizer, bias_constraint),
            },
        )

    def parameter_specs(self, input_shape: Shape) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        return self._specs_of(
            {
                "kernel": (self.window, input_shape[-1], self.filters),
                "bias": (self.filters,),
            }
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], self._output_steps(input_shape[1]), self.filters)

    def _matrix(self) -> Array:
        """The kernel as a matrix (kernel_size * features, filters)."""
        kernel = self._parameters["kernel"]
        return kernel.reshape(-1, kernel.shape[-1])

    def _pack_now(self) -> Array:
        return dense.pack(self._matrix(), self._parameters.get("bias"))

    def _step_ops(self) -> list[StepOp]:
        product = ConvolutionOp(
            name=self.name,
            inputs=self.input_shape[-1],
            width=self.filters,
            kernel=self._parameters["kernel"],
            bias=self._parameters.get("bias"),
            activation=self._fused_activation,
            **self._window_options,
        )
        return [product, *self._softmax_ops(self.filters)]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, lengths = inputs.values, inputs.lengths
        batch, steps, features = x.shape
        count = self._output_steps(steps)
        checks.fits_memory(
            batch * count * (self.window * features + self.filters),
            self.dtype,
            "the windows of layer",
            self.name,
        )
        kept = None
        if lengths is not None:
            x = np.where(counted_steps(lengths, x.shape), x, x.dtype.type(0))
            kept = counted_steps(self.output_lengths(lengths), (batch, count, 1))
        rows = np.ascontiguousarray(self._windows(x, 0, lengths)).reshape(
            batch * count, self.window * features
        )
        y = np.empty((len(rows), self.filters), x.dtype)
        dense.forward(
            rows,
            self._packed.of(self),
            y,
            LINEAR,
            threads.threads_for_products(2 * y.size * rows.shape[1]),
        )
        y = self._activate_rows(y, y).reshape(batch, count, self.filters)
        if tape is not None:
            # The output may be handed out and changed; a linear layer's backward does not need it.
            kept_y = None if self.activation == "linear" else y.copy()
            tape.keep(
                node,
                {"rows": rows, "y": kept_y, "kept": kept, "lengths": lengths, "steps": steps},
            )
        return self._with_steps(
            y if kept is None else np.where(kept, y, y.dtype.type(0)), inputs.steps
        )

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved, dy = tape.take(node), gradients
        rows, matrix = saved["rows"], self._matrix()
        if saved["kept"] is not None:
            dy = np.where(saved["kept"], dy, dy.dtype.type(0))
        dz = np.ascontiguousarray(self._slope_times(saved["y"], np.ascontiguousarray(dy))).reshape(
            -1, self.filters
        )
        d_rows = np.empty_like(rows) if wanted else None
        with threads.single_threaded_blas(uses_blas(rows.shape[1])):
            dense.backward(
                rows,
                matrix,
                dz,
                self._gradients["kernel"].reshape(matrix.shape),
                self._gradients.get("bias"),
                d_rows,
                threads.threads_for_products(4 * rows.size * self.filters),
            )
        if d_rows is None:
            return None
        dx = self._add_windows(
            d_rows.reshape(*dy.shape[:2], self.window, self.input_shape[-1]),
            saved["steps"],
            saved["lengths"],
        )
        if saved["lengths"] is None:
            return dx
        return np.where(counted_steps(saved["lengths"], dx.shape), dx, dx.dtype.type(0))

    def get_config(self) -> Config:
        return (
            super().get_config()
            | {
                "filters": self.filters,
                "kernel_size": self.window,
                "strides": self.strides,
                "padding": self.padding,
                "dilation_rate": self.dilation,
            }
            | self._filtering_config()
        )
