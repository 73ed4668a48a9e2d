"""The maximum or the mean of windows of images, and of whole images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks, threads
from gatewise.kernels import pooling

from .filtering import check_layout
from .images import ImageLayer, WindowedImage
from .options import fixed
from .pooling import GlobalAveragePooling1D, GlobalMaxPooling1D
from .tape import Batch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.tape import Tape


class _Pooling2D(WindowedImage):
    """Base of both poolings over windows."""

    _keeps_limits = True
    _maximum: bool

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, pool_size if strides is None else strides, padding, 1, **kwargs)
        check_layout(data_format)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_input_shape(input_shape)
        return (input_shape[0], *self._output_size(input_shape[1:3]), input_shape[3])

    def _geometry(self, x: Array) -> tuple[Any, ...]:
        front = tuple(
            int(axis.front(extent)) for axis, extent in zip(self._window_axes, x.shape[1:3])
        )
        return self._maximum, self.window, self.strides, front

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = self._images(inputs)
        y = np.empty((x.shape[0], *self._output_size(x.shape[1:3]), x.shape[3]), x.dtype)
        pooling.pool(x, y, *self._geometry(x), threads.threads_for(4 * x.size))
        if tape is not None:
            tape.keep(node, x)
        return Batch(y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        x = tape.take(node)
        if not wanted:
            return None
        dx = tape.scratch(node, x.shape, self.dtype)
        pooling.pool_backward(
            x,
            np.ascontiguousarray(gradients),
            dx,
            *self._geometry(x),
            threads.threads_for(8 * x.size),
        )
        return dx

    def get_config(self) -> Config:
        return super().get_config() | {
            "pool_size": list(self.window),
            "strides": list(self.strides),
            "padding": self.padding,
        }


class MaxPooling2D(_Pooling2D):
    """The maximum of each window of an image.

    (batch, height, width, channels) becomes (batch, rows, columns, channels). If several places of
    a window have the maximum, the gradient goes to the first of them. Names and defaults are those
    of Keras.

    Parameters
    ----------
    pool_size : int or (int, int), default (2, 2)
        Rows and columns of a window, from 1; one number means both.
    strides : int or (int, int), optional
        Places from one window to the next, down and across. None: `pool_size`.
    padding : {"valid", "same"}, default "valid"
        "valid": only windows that are inside the image. "same": also windows that extend past its
        edges; places outside do not count.
    data_format : {"channels_last"}, optional
        There is no other choice.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import MaxPooling2D
    >>> MaxPooling2D(2)(np.arange(16.0, dtype="f").reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """

    _maximum = True


class AveragePooling2D(_Pooling2D):
    """The mean of each window of an image.

    (batch, height, width, channels) becomes (batch, rows, columns, channels). Padding does not
    count in the mean. Names and defaults are those of Keras.

    Parameters
    ----------
    pool_size : int or (int, int), default (2, 2)
        Rows and columns of a window, from 1; one number means both.
    strides : int or (int, int), optional
        Places from one window to the next, down and across. None: `pool_size`.
    padding : {"valid", "same"}, default "valid"
        "valid": only windows that are inside the image. "same": also windows that extend past its
        edges; places outside do not count.
    data_format : {"channels_last"}, optional
        There is no other choice.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import AveragePooling2D
    >>> AveragePooling2D(2)(np.arange(16.0, dtype="f").reshape(1, 4, 4, 1))[0, :, :, 0].tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """

    _maximum = False


class _GlobalPooling2D(ImageLayer):
    """Base of poolings of whole images: that of a sequence with a step for each place."""

    _keeps_limits = True
    keepdims: bool = fixed(checks.flag)
    _of_sequences: Any  # the class that pools a sequence

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_layout(data_format)
        self.keepdims = keepdims
        self._pooling = self._of_sequences(name=self.name)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_input_shape(input_shape)
        batch, channels = input_shape[0], input_shape[3]
        return (batch, 1, 1, channels) if self.keepdims else (batch, channels)

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x = self._images(inputs)
        places = Batch(x.reshape(len(x), x.shape[1] * x.shape[2], x.shape[3]))
        y = self._pooling.run(places, tape, (node, "places")).values
        if tape is not None:
            tape.keep(node, x.shape)
        return Batch(y.reshape(len(x), 1, 1, x.shape[3]) if self.keepdims else y)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        shape = tape.take(node)
        dy = gradients.reshape(len(gradients), gradients.shape[-1])
        dx = self._pooling.run_backward(dy, tape, (node, "places"), wanted)
        return None if dx is None else dx.reshape(shape)

    def get_config(self) -> Config:
        return super().get_config() | {"keepdims": self.keepdims}


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean over all places of each image.

    (batch, height, width, channels) becomes (batch, channels).

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        There is no other choice.
    keepdims : bool, default False
        Return (batch, 1, 1, channels).
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GlobalAveragePooling2D
    >>> GlobalAveragePooling2D()(np.arange(4.0, dtype="f").reshape(1, 2, 2, 1)).tolist()
    [[1.5]]
    """

    _of_sequences = GlobalAveragePooling1D


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The maximum over all places of each image.

    (batch, height, width, channels) becomes (batch, channels). If several places have the maximum,
    the gradient goes to the first of them.

    Parameters
    ----------
    data_format : {"channels_last"}, optional
        There is no other choice.
    keepdims : bool, default False
        Return (batch, 1, 1, channels).
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GlobalMaxPooling2D
    >>> GlobalMaxPooling2D()(np.arange(4.0, dtype="f").reshape(1, 2, 2, 1)).tolist()
    [[3.0]]
    """

    _of_sequences = GlobalMaxPooling1D
