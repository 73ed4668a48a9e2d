"""The base of layers that read images, and of those that compute windows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .base import Layer
from .options import fixed
from .window_axis import WindowAxis

if TYPE_CHECKING:
    from gatewise._typing import Array, Shape
    from gatewise.layers.tape import Batch


class ImageLayer(Layer):
    """Base of layers that read (batch, height, width, channels)."""

    _rank, _axes = 4, "(batch, height, width, channels)"
    keeps_steps = False
    causal = False

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it reads images, not vectors"

    @staticmethod
    def _shape_of_features(features: int) -> Shape:
        return (None, None, features)

    def _check_input_shape(self, input_shape: Any) -> None:
        if len(input_shape) != 4 or input_shape[-1] is None:
            hint = (
                "; TimeDistributed applies the layer to each step of (batch, steps, height, width,"
                " channels)"
                if len(input_shape) == 5
                else ""
            )
            raise ShapeError(
                f"layer {self.name!r} is given input shape {input_shape}; expected {self._axes}"
                f" with a known number of channels{hint}"
            )

    def _images(self, inputs: Batch) -> Array:
        """The images of a batch, which has no steps that a mask could hide."""
        steps = inputs.steps
        if steps is not None and (steps.lengths is not None or steps.resets is not None):
            raise ConfigError(
                f"layer {self.name!r} reads images, which have no steps: lengths, masks and resets"
                " cannot reach it; for sequences of images, put it into TimeDistributed"
            )
        return inputs.values


class WindowedImage(ImageLayer):
    """Base of layers that compute each place of the output from a window of an image."""

    window: tuple[int, ...] = fixed("_checked_window")
    strides: tuple[int, ...] = fixed("_checked_strides")
    padding: str = fixed("_checked_padding")
    dilation: tuple[int, ...] = fixed("_checked_dilation")

    def __init__(
        self, window: Any, strides: Any, padding: Any, dilation: Any, /, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.window, self.strides, self.dilation, self.padding = window, strides, dilation, padding

    @staticmethod
    def _checked_window(value: Any) -> tuple[int, ...]:
        return numbers_of(value, "the size of the window", 2)

    @staticmethod
    def _checked_strides(value: Any) -> tuple[int, ...]:
        return numbers_of(value, "strides", 2)

    @staticmethod
    def _checked_dilation(value: Any) -> tuple[int, ...]:
        return numbers_of(value, "dilation_rate", 2)

    @staticmethod
    def _checked_padding(value: Any) -> str:
        return checked_padding(value)

    @property
    def _window_axes(self) -> tuple[WindowAxis, WindowAxis]:
        """Windows along the rows, and along the columns, of an image."""
        return window_axes(self.window, self.strides, self.dilation, self.padding)

    def _output_size(self, size: Any) -> Any:
        """Rows and columns of the output for those of an image; None for None."""
        return output_size(self._window_axes, size, self.name)


def window_axes(
    window: tuple[int, ...], strides: tuple[int, ...], dilation: tuple[int, ...], padding: str
) -> Any:
    """Return a :class:`WindowAxis` for each axis."""
    return tuple(WindowAxis(*numbers, padding) for numbers in zip(window, strides, dilation))


def output_size(axes: Any, size: Any, name: str) -> Any:
    """Return the number of windows along each axis; None for an extent that is None.

    Raises
    ------
    ShapeError
        There is no window on an axis.
    """
    counts = []
    for axis, extent in zip(axes, size):
        count = None if extent is None else int(axis.count(extent))
        if count == 0:
            raise ShapeError(
                f"layer {name!r} is given images of {' x '.join(map(str, size))} places, and its"
                f" window spans {' x '.join(str(axis.reach + 1) for axis in axes)}; give at least"
                " as many, or padding='same'"
            )
        counts.append(count)
    return tuple(counts)


def checked_padding(value: Any) -> str:
    """Check the padding of windows over images."""
    if value not in ("valid", "same"):
        raise ConfigError(f"padding is {value!r}; expected one of 'valid', 'same'")
    return value


def numbers_of(value: Any, name: str, count: int) -> tuple[int, ...]:
    """Return ints from 1 up: one for each of `count` axes, or one for all of them."""
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise DTypeError(
                f"{name} is {value!r}; expected a number{f', or {count}' if count > 1 else ''}"
            )
        return tuple(checks.whole_number(number, name) for number in value)
    return (checks.whole_number(value, name),) * count
