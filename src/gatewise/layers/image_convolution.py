"""Convolution over the rows and columns of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.kernels import convolution, dense
from gatewise.kernels._planes import Plane

from .activation import LINEAR
from .filtering import Filtering, check_layout
from .images import WindowedImage
from .options import fixed
from .tape import Batch
from .weights import WeightOptions

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.kernels.activations import ActivationLike
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape
    from gatewise.layers.window_axis import WindowAxis

    from .weights import ConstraintLike, InitializerLike, RegularizerLike


class Conv2D(Filtering, WindowedImage):
    """Convolution over the rows and columns of images.

    (batch, height, width, channels) becomes (batch, rows, columns, filters). Each place of the
    output is ``activation(sum of a window times W + b)``. Names and defaults are those of Keras.
    For sequences of images, put the layer into :class:`TimeDistributed`.

    Parameters
    ----------
    filters : int
        Width of the output, from 1.
    kernel_size : int or (int, int)
        Rows and columns of a window, from 1; one number means both.
    strides : int or (int, int), default (1, 1)
        Places from one window to the next, down and across.
    padding : {"valid", "same"}, default "valid"
        "valid": only windows that are inside the image. "same": with strides of 1, the output has
        as many rows and columns as the input; places outside the image count as zeros.
    data_format : {"channels_last"}, optional
        There is no other choice: ``numpy.moveaxis(x, 1, -1)`` moves the channels of
        (batch, channels, height, width) to the last axis.
    dilation_rate : int or (int, int), default (1, 1)
        Places from one entry of a window to the next, down and across.
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
    Weights, in order: kernel W (rows, columns, channels, filters), bias b (filters,).

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import Conv2D
    >>> layer = Conv2D(1, (1, 2), kernel_initializer="ones")
    >>> layer(np.array([[1.0, 3.0, 8.0]], "float32").reshape(1, 1, 3, 1))[0, 0, :, 0].tolist()
    [4.0, 11.0]
    """

    filters: int = fixed(checks.whole_number)

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
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
                "kernel": (*self.window, input_shape[-1], self.filters),
                "bias": (self.filters,),
            }
        )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *self._output_size(input_shape[1:3]), self.filters)

    def _pack_now(self) -> Array:
        return dense.pack(
            self._parameters["kernel"].reshape(-1, self.filters), self._parameters.get("bias")
        )

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = self._images(inputs)
        size = self._output_size(x.shape[1:3])
        shape = (x.shape[0], *size, self.filters)
        checks.fits_memory(
            shape[0] * size[0] * size[1] * self.filters,
            self.dtype,
            "the output of layer",
            self.name,
        )
        y, plane = np.empty(shape, x.dtype), input_plane(x.shape, self._window_axes)
        convolution.correlate(
            x,
            plane,
            self._packed.of(self),
            y,
            self._fused_activation,
            threads.threads_for_products(2 * y.size * plane.inputs),
        )
        if self.activation == "softmax":
            self._activate_rows(y, y)
        if tape is not None:
            kept_y = None
            if self.activation != "linear":  # the output may be handed out and changed
                kept_y = tape.scratch((node, "y"), shape, self.dtype)
                kept_y[...] = y
            tape.keep(node, {"x": x, "y": kept_y})
        return Batch(y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved = tape.take(node)
        x, axes, kernel = saved["x"], self._window_axes, self._parameters["kernel"]
        dz = self._slope_times(saved["y"], np.ascontiguousarray(gradients))
        plane = input_plane(x.shape, axes)
        work = threads.threads_for_products(2 * dz.size * plane.inputs)
        convolution.weight_gradient(
            x,
            plane,
            dz,
            self._gradients["kernel"].reshape(-1, self.filters),
            self._gradients.get("bias"),
            work,
        )
        if not wanted:
            return None
        dx = tape.scratch(node, x.shape, self.dtype)
        convolution.correlate(
            dz, gradient_plane(x.shape, axes, self.filters), turned(kernel), dx, LINEAR, work
        )
        return dx

    def get_config(self) -> Config:
        return (
            super().get_config()
            | {
                "filters": self.filters,
                "kernel_size": list(self.window),
                "strides": list(self.strides),
                "padding": self.padding,
                "dilation_rate": list(self.dilation),
            }
            | self._filtering_config()
        )


def input_plane(shape: Shape, axes: tuple[WindowAxis, WindowAxis]) -> Plane:
    """Return the windows over images of this shape (..., height, width, channels)."""
    size = shape[-3:-1]
    return Plane(
        size,
        shape[-1],
        *_numbers(axes, "window", "strides", "dilation"),
        [int(axis.front(extent)) for axis, extent in zip(axes, size)],
        [int(axis.count(extent)) for axis, extent in zip(axes, size)],
        (1, 1),
    )


def gradient_plane(shape: Shape, axes: tuple[WindowAxis, WindowAxis], filters: int) -> Plane:
    """Return the windows over the gradient of the output that give that of the images.

    Each place of an image has a window of the output's places that read it; :func:`turned` gives
    their weights. Strides spread the output.
    """
    size = shape[-3:-1]
    window, spread, dilation = _numbers(axes, "window", "strides", "dilation")
    return Plane(
        [int(axis.count(extent)) for axis, extent in zip(axes, size)],
        filters,
        window,
        (1, 1),
        dilation,
        [axis.reach - int(axis.front(extent)) for axis, extent in zip(axes, size)],
        size,
        spread,
    )


def turned(kernel: Array) -> Array:
    """Return a kernel (rows, columns, channels, filters) packed for :func:`gradient_plane`."""
    weights = np.ascontiguousarray(kernel[::-1, ::-1].swapaxes(2, 3))
    return dense.pack(weights.reshape(-1, kernel.shape[2]), None)


def _numbers(axes: tuple[WindowAxis, WindowAxis], *names: str) -> list[tuple[int, int]]:
    return [tuple(getattr(axis, name) for axis in axes) for name in names]
