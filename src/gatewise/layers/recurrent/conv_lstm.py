"""ConvLSTM: LSTMs at each place of images, whose products are convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gatewise import checks, threads
from gatewise.cells import Cell
from gatewise.errors import ConfigError, ShapeError
from gatewise.kernels import activations, conv_lstm
from gatewise.layers.base import Layer
from gatewise.layers.filtering import check_layout
from gatewise.layers.image_convolution import gradient_plane, input_plane, turned
from gatewise.layers.images import checked_padding, numbers_of, output_size, window_axes
from gatewise.layers.options import fixed
from gatewise.layers.tape import Batch, draws

from .base import Recurrent
from .visiting_order import backward_order, take_steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.kernels._planes import Plane
    from gatewise.kernels.activations import ActivationLike
    from gatewise.layers.specs import ParameterSpec
    from gatewise.layers.tape import Tape


class _Cell(Cell):
    """The LSTM of each place, for what asks a recurrent layer for its cell."""

    gates: tuple[str, ...] = ("i", "f", "g", "o")
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    _OPTIONS: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.units, self.units)


@dataclass(slots=True)
class _Pass:
    """What the backward pass needs."""

    x: Array  # as the kernel reads it
    options: dict[str, Any]  # lengths, resets and mask, for the kernel
    planes: tuple[Plane, Plane]
    state_shape: tuple[int, ...]
    source: slice | Array | None  # the order of the steps, if the layer goes backwards
    input_mask: Array | None  # of dropout
    workspace: Any
    work: int  # threads
    states_given: bool


class _ConvLSTM(Recurrent):
    """Base of both: images have `_spatial` axes; one of a single axis is an image of one row."""

    _spatial: int
    window: tuple[int, ...] = fixed("_checked_window")
    strides: tuple[int, ...] = fixed("_checked_strides")
    padding: str = fixed("_checked_padding")
    dilation: tuple[int, ...] = fixed("_checked_dilation")
    unit_forget_bias: bool = fixed(checks.flag)
    learned_initial_state: bool = fixed("_no_learned_state")

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        **kwargs: Any,
    ) -> None:
        check_layout(data_format)
        filters = checks.whole_number(filters, "filters")
        super().__init__(_Cell(filters, activation, recurrent_activation, use_bias), **kwargs)
        self.window, self.strides, self.dilation = kernel_size, strides, dilation_rate
        self.padding, self.unit_forget_bias = padding, unit_forget_bias

    def _checked_window(self, value: Any) -> tuple[int, ...]:
        return numbers_of(value, "the size of the window", self._spatial)

    def _checked_strides(self, value: Any) -> tuple[int, ...]:
        return numbers_of(value, "strides", self._spatial)

    def _checked_dilation(self, value: Any) -> tuple[int, ...]:
        return numbers_of(value, "dilation_rate", self._spatial)

    @staticmethod
    def _checked_padding(value: Any) -> str:
        return checked_padding(value)

    def _no_learned_state(self, value: Any) -> bool:
        if checks.flag(value, "learned_initial_state"):
            raise ConfigError(
                f"{type(self).__name__} has no learned initial state: learned_initial_state is"
                " True; expected False"
            )
        return False

    @property
    def filters(self) -> int:
        """Number of filters, int."""
        return self.cell.units

    # ---- shapes

    @classmethod
    def _shape_of_features(cls, features: int) -> Shape:
        return (None,) * (1 + cls._spatial) + (features,)

    @property
    def _window_axes(self) -> Any:
        return window_axes(self.window, self.strides, self.dilation, self.padding)

    def _output_size(self, size: Any) -> Any:
        return output_size(self._window_axes, size, self.name)

    def _shapes_of_states(self, input_shape: Shape) -> list[Shape]:
        return [(None, *self._output_size(input_shape[2:-1]), self.filters)] * 2

    @property
    def _state_shapes(self) -> tuple[Any, ...]:
        shape = self.input_shape
        shape = (None,) * (3 + self._spatial) if shape is None else shape
        return tuple(shape[1:] for shape in self._shapes_of_states(shape))

    def _check_input_shape(self, input_shape: Any, known_features: bool = True) -> None:
        if len(input_shape) != self._rank or input_shape[-1] is None:
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected {self._axes}"
                " with a known number of channels"
            )

    def _check_shape(self, x: Array) -> None:
        Layer._check_shape(self, x)
        if x.shape[1] == 0:
            raise ShapeError(f"x has shape {x.shape}: no time steps; expected at least 1")

    def parameter_specs(self, input_shape: Any) -> list[ParameterSpec]:
        self._check_input_shape(input_shape)
        width = 4 * self.filters
        shapes = {
            "kernel": (*self.window, input_shape[-1], width),
            "recurrent_kernel": (*self.window, self.filters, width),
        }
        if self.cell.use_bias:
            shapes["bias"] = (width,)
        return [self._spec(name, shape) for name, shape in shapes.items()]

    def compute_output_shape(self, input_shape: Any) -> Any:
        batch, steps, *size = input_shape[:-1]
        image = (*self._output_size(size), self.filters)
        return (batch, steps, *image) if self.return_sequences else (batch, *image)

    def _adopt(self, parameters: Array, gradients: Array) -> None:
        Layer._adopt(self, parameters, gradients)

    def _name_arrays(self) -> None:
        """Do nothing: the kernel takes the parameters by position."""

    def _initialize(self, rng: np.random.Generator) -> None:
        super()._initialize(rng)
        if self.unit_forget_bias and self.cell.use_bias:
            self._parameters["bias"][self.filters : 2 * self.filters] = 1

    def _matrices(self, arrays: Mapping[str, Array]) -> tuple[Array, Array, Array | None]:
        """The kernels as matrices (numbers of a window, 4 * filters), and the bias."""
        width = 4 * self.filters
        return (
            arrays["kernel"].reshape(-1, width),
            arrays["recurrent_kernel"].reshape(-1, width),
            arrays.get("bias"),
        )

    def _pack_now(self) -> Array:
        return conv_lstm.pack(*self._matrices(self._parameters))

    # ---- running

    @property
    def _image_axes(self) -> tuple[Any, Any]:
        """Windows along rows and columns, of x and of h'."""
        one = (1,) * (2 - self._spatial)
        window = one + self.window
        return (
            window_axes(window, one + self.strides, one + self.dilation, self.padding),
            window_axes(window, (1, 1), (1, 1), "same"),
        )

    @property
    def _activations(self) -> tuple[Any, Any, Any]:
        act = activations.code(self.cell.activation)
        return act, activations.code(self.cell.recurrent_activation), act

    def _places(self, image: tuple[int, ...]) -> tuple[int, ...]:
        """The shape (rows, columns, channels) of an image of x or h."""
        return (1,) * (2 - self._spatial) + image

    def _start_images(
        self, states: list[Batch], tape: Tape | None, node: Hashable, shape: tuple[int, ...]
    ) -> list[Array]:
        """New arrays of the initial states."""
        start = self._start(states, tape, node, shape[0])
        if start is None:
            return [np.zeros(shape, self.dtype) for _ in range(2)]
        if start[0].shape != shape:
            raise ShapeError(
                f"layer {self.name!r} continues from states of shape {start[0].shape}; expected"
                f" {shape}, the places of its output for this x"
            )
        return [state.copy() for state in start]

    def _first_state(self, shape: tuple[int, ...]) -> list[Array]:
        image = (shape[0], *self._output_size(shape[2:-1]), self.filters)
        return [np.zeros(image, self.dtype) for _ in range(2)]

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "its steps are images, not vectors"

    def _run_from(
        self, inputs: Batch, states: list[Batch], tape: Tape | None, node: Hashable
    ) -> tuple[Batch, list[Array]]:
        x, steps_of_x, lengths, resets = inputs.values, inputs.steps, None, None
        batch, steps = x.shape[:2]
        if steps_of_x is not None:
            lengths, resets = steps_of_x.lengths, steps_of_x.resets_of(self.go_backwards)
            self._check_steps(lengths, resets, steps)
        shape = (batch, *self._output_size(x.shape[2:-1]), self.filters)
        final = self._start_images(states, tape, node, shape)
        source = backward_order(steps, lengths) if self.go_backwards else None
        if source is not None:
            x = take_steps(x, source)
            resets = None if resets is None else take_steps(resets, source)
        x_axes, h_axes = self._image_axes
        planes = (
            input_plane(self._places(x.shape[2:]), x_axes),
            input_plane(self._places(shape[1:]), h_axes),
        )
        places = planes[1].count[0] * planes[1].count[1]
        saved = 5 * places + planes[1].padded if tape is not None else 0
        checks.fits_memory(
            batch * steps * self.filters * (saved + places * self.return_sequences),
            self.dtype,
            "a batch in layer",
            self.name,
        )
        options: dict[str, Any] = {"lengths": lengths, "resets": resets, "mask": None}
        input_mask = workspace = None
        if draws(tape):
            if self.dropout:
                input_mask = self._draw_mask(self.dropout, (batch, 1, *x.shape[2:]))
                x = x * input_mask
            if self.recurrent_dropout:
                options["mask"] = self._draw_mask(
                    self.recurrent_dropout, (batch, places, self.filters)
                )
        if tape is not None:
            workspace = tape.workspace(node, conv_lstm.ConvLSTMWorkspace)
            workspace.prepare(batch, steps, planes[1], self.filters, self.dtype)
        y = None
        if self.return_sequences:
            make = np.empty if lengths is None else np.zeros  # nothing is written past a row's end
            y = make((batch, steps, *shape[1:]), self.dtype)
        work = threads.threads_for_products(
            8 * batch * steps * places * self.filters * (planes[0].inputs + planes[1].inputs)
        )
        conv_lstm.forward(
            x,
            *planes,
            self._packed.of(self),
            *(state.reshape(batch, places, self.filters) for state in final),
            self._activations,
            y=y,
            workspace=workspace,
            threads=work,
            **options,
        )
        if tape is not None:
            tape.keep(
                node,
                _Pass(x, options, planes, shape, source, input_mask, workspace, work, bool(states)),
            )
        return Batch(final[0]) if y is None else Batch(y, steps_of_x), final

    def run_backward(
        self, gradients: Any, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | Any | None:
        saved = tape.take(node)
        x, (batch, *image) = saved.x, saved.state_shape
        places = saved.planes[1].count[0] * saved.planes[1].count[1]
        d_output, *d_states = gradients if self.return_state else (gradients, None, None)
        d_start = [
            np.zeros(saved.state_shape, self.dtype) if given is None else np.array(given, order="C")
            for given in d_states
        ]
        if not self.return_sequences and d_output is not None:
            d_start[0] += d_output
        x_axes, h_axes = self._image_axes
        x_shape, h_shape = self._places(x.shape[2:]), self._places(tuple(image))
        width, matrices = 4 * self.filters, self._matrices(self._gradients)
        dx = tape.scratch(node, x.shape, self.dtype) if wanted else None
        conv_lstm.backward(
            x,
            *saved.planes,
            gradient_plane(x_shape, x_axes, width) if wanted else None,
            gradient_plane(h_shape, h_axes, width),
            self._turned("kernel") if wanted else None,
            self._turned("recurrent_kernel"),
            saved.workspace,
            *(state.reshape(batch, places, self.filters) for state in d_start),
            self._activations,
            *matrices,
            dy=np.ascontiguousarray(d_output)
            if self.return_sequences and d_output is not None
            else None,
            dx=dx,
            threads=saved.work,
            **saved.options,
        )
        tape.state_gradients[node] = d_start
        if dx is not None:
            if saved.input_mask is not None:
                dx *= saved.input_mask
            if saved.source is not None:
                dx = take_steps(dx, saved.source)  # the order is its own inverse
        return [dx, *d_start] if saved.states_given else dx

    def _turned(self, name: str) -> Array:
        """Weights of the gradient of x or h', by the parameter's name."""
        kernel = self._parameters[name]
        return turned(kernel.reshape(self._places(kernel.shape[:-2]) + kernel.shape[-2:]))

    def get_config(self) -> Config:
        config = super().get_config()
        del config["units"]
        return config | {
            "filters": self.filters,
            "kernel_size": list(self.window),
            "strides": list(self.strides),
            "padding": self.padding,
            "dilation_rate": list(self.dilation),
            "recurrent_activation": activations.config(self.cell.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
        }


class ConvLSTM1D(_ConvLSTM):
    """LSTM whose products are convolutions over a line of places (Shi et al. 2015).

    (batch, steps, places, channels) becomes (batch, places, filters), or with ``return_sequences``
    (batch, steps, places, filters). Names and defaults are those of Keras.

    Parameters
    ----------
    filters : int
        Number of units of each place, from 1.
    kernel_size : int
        Number of places in a window of x, and of h', from 1.
    strides : int, default 1
        Places of x from one window to the next, from 1.
    padding : {"valid", "same"}, default "valid"
        Of x; windows of h' always have padding "same".
    data_format : {"channels_last"}, optional
        There is no other choice.
    dilation_rate : int, default 1
        Places of x from one entry of a window to the next, from 1.
    activation : str or tuple, default "tanh"
        Activation of the candidate and of the cell's output.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    unit_forget_bias : bool, default True
        The forget gate's bias starts at 1.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`. Dropout draws one mask of places and
        channels for all steps. States have the shape (batch, places, filters).

    Notes
    -----
    Weights, in order: kernel (kernel_size, channels, 4 * filters), recurrent_kernel (kernel_size,
    filters, 4 * filters), bias (4 * filters,). The gates' order is i f g o.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import ConvLSTM1D
    >>> ConvLSTM1D(4, 3, padding="same")(np.ones((2, 5, 8, 1), "float32")).shape
    (2, 8, 4)
    """

    _spatial = 1
    _rank, _axes = 4, "(batch, steps, places, channels)"


class ConvLSTM2D(_ConvLSTM):
    """LSTM whose products are convolutions over images (Shi et al. 2015).

    (batch, steps, height, width, channels) becomes (batch, rows, columns, filters), or with
    ``return_sequences`` (batch, steps, rows, columns, filters). Names and defaults are those of
    Keras.

    Parameters
    ----------
    filters : int
        Number of units of each place, from 1.
    kernel_size : int or (int, int)
        Rows and columns of a window of x, and of h', from 1; one number means both.
    strides : int or (int, int), default 1
        Places of x from one window to the next, down and across.
    padding : {"valid", "same"}, default "valid"
        Of x; windows of h' always have padding "same".
    data_format : {"channels_last"}, optional
        There is no other choice.
    dilation_rate : int or (int, int), default 1
        Places of x from one entry of a window to the next, down and across.
    activation : str or tuple, default "tanh"
        Activation of the candidate and of the cell's output.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    unit_forget_bias : bool, default True
        The forget gate's bias starts at 1.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`. Dropout draws one mask of places and
        channels for all steps. States have the shape (batch, rows, columns, filters).

    Notes
    -----
    Weights, in order: kernel (rows, columns, channels, 4 * filters), recurrent_kernel (rows,
    columns, filters, 4 * filters), bias (4 * filters,). The gates' order is i f g o.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import ConvLSTM2D
    >>> ConvLSTM2D(4, 3, padding="same")(np.ones((2, 5, 8, 6, 1), "float32")).shape
    (2, 8, 6, 4)
    """

    _spatial = 2
    _rank, _axes = 5, "(batch, steps, height, width, channels)"
