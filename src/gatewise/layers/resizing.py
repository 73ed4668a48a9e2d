"""Layers that change the number of steps of a sequence: padding, cropping and repetition."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

from .filtering import check_layout
from .masks import cleared_ends
from .merged_steps import refuse_resets
from .options import fixed
from .sequences import SequenceLayer
from .tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, Config, Shape
    from gatewise.layers.tape import Tape


class _Resizing(SequenceLayer):
    """Base of layers whose rows have another number of steps, by the length of each row alone."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    @abc.abstractmethod
    def output_lengths(self, lengths: Any) -> Any: ...

    @abc.abstractmethod
    def _resized(self, x: Array) -> Array:
        """The output for x, in which steps past a row's end are zeros."""

    @abc.abstractmethod
    def _resized_backward(self, dy: Array, steps: int) -> Array:
        """The gradient of x, of this number of steps, as a new array."""

    @property
    def keeps_steps(self) -> bool:
        """Whether the layer changes nothing."""
        return bool(self.output_lengths(1) == 1)

    @property
    def causal(self) -> bool:
        """Whether a sequence may be cut into parts: not if each part would be resized."""
        return self.keeps_steps

    def _output_steps(self, steps: int | None) -> int | None:
        if steps is None:
            return None
        count = int(self.output_lengths(steps))
        if count <= 0:
            raise ShapeError(f"layer {self.name!r} is given {steps} steps, and none remains")
        return count

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_input_shape(input_shape, known_features=False)
        return (input_shape[0], self._output_steps(input_shape[1]), input_shape[2])

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        return "it adds, removes or repeats steps"

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, lengths = inputs.values, inputs.lengths
        if tape is not None:
            tape.keep(node, (x.shape[1], lengths))
        if self.keeps_steps:
            return inputs
        refuse_resets(self.name, inputs.steps)
        batch, steps, features = x.shape
        count = self._output_steps(steps) or 0
        checks.fits_memory(batch * count * features, self.dtype, "the output of layer", self.name)
        y = self._resized(cleared_ends(x, lengths))
        if lengths is None:
            return Batch(y)
        ends = self.output_lengths(lengths)
        return Batch(cleared_ends(y, ends), Steps(ends))

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        steps, lengths = tape.take(node)
        if not wanted:
            return None
        if self.keeps_steps:
            return gradients
        if lengths is None:
            return self._resized_backward(gradients, steps)
        dy = cleared_ends(gradients, self.output_lengths(lengths))
        return cleared_ends(self._resized_backward(dy, steps), lengths)


class ZeroPadding1D(_Resizing):
    """Steps of zeros in front of each row and behind it.

    (batch, steps, features) becomes (batch, steps + before + after, features). The steps behind a
    row follow its own last step; they count as steps.

    Parameters
    ----------
    padding : int or (int, int), default 1
        Number of steps before and after; one number for both.
    data_format : {"channels_last"}, optional
        There is no other choice.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import ZeroPadding1D
    >>> ZeroPadding1D((2, 0))([[[1.0], [3.0]]]).tolist()
    [[[0.0], [0.0], [1.0], [3.0]]]
    """

    padding: tuple[int, int] = fixed("_checked_padding")

    def __init__(
        self,
        padding: int | Sequence[int] = 1,
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_layout(data_format)
        self.padding = padding  # type: ignore[assignment]

    @staticmethod
    def _checked_padding(value: Any) -> tuple[int, int]:
        return _two_ends(value, "padding")

    def output_lengths(self, lengths: Any) -> Any:
        return lengths + sum(self.padding)

    def _resized(self, x: Array) -> Array:
        before, after = self.padding
        y = np.zeros((len(x), before + x.shape[1] + after, x.shape[2]), x.dtype)
        y[:, before : before + x.shape[1]] = x
        return y

    def _resized_backward(self, dy: Array, steps: int) -> Array:
        return dy[:, self.padding[0] : self.padding[0] + steps].copy()

    def get_config(self) -> Config:
        return super().get_config() | {"padding": list(self.padding)}


class Cropping1D(_Resizing):
    """Each row without its first and last steps.

    (batch, steps, features) becomes (batch, steps - first - last, features). The last steps are
    those before the row's own end.

    Parameters
    ----------
    cropping : int or (int, int), default (1, 1)
        Number of first and of last steps; one number for both.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import Cropping1D
    >>> Cropping1D((0, 1))([[[1.0], [3.0], [8.0]]]).tolist()
    [[[1.0], [3.0]]]
    """

    _keeps_limits = True
    cropping: tuple[int, int] = fixed("_checked_cropping")

    def __init__(self, cropping: int | Sequence[int] = (1, 1), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cropping = cropping  # type: ignore[assignment]

    @staticmethod
    def _checked_cropping(value: Any) -> tuple[int, int]:
        return _two_ends(value, "cropping")

    def output_lengths(self, lengths: Any) -> Any:
        return np.maximum(lengths - sum(self.cropping), 0)

    @property
    def keeps_steps(self) -> bool:
        """Whether the layer changes nothing."""
        return self.cropping == (0, 0)

    def _resized(self, x: Array) -> Array:
        return x[:, self.cropping[0] : x.shape[1] - self.cropping[1]].copy()

    def _resized_backward(self, dy: Array, steps: int) -> Array:
        dx = np.zeros((len(dy), steps, dy.shape[2]), dy.dtype)
        dx[:, self.cropping[0] : steps - self.cropping[1]] = dy
        return dx

    def get_config(self) -> Config:
        return super().get_config() | {"cropping": list(self.cropping)}


class UpSampling1D(_Resizing):
    """Each step several times in a row.

    (batch, steps, features) becomes (batch, steps * size, features).

    Parameters
    ----------
    size : int, default 2
        How many times each step is repeated, from 1.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import UpSampling1D
    >>> UpSampling1D(2)([[[1.0], [3.0]]]).tolist()
    [[[1.0], [1.0], [3.0], [3.0]]]
    """

    _keeps_limits = True
    size: int = fixed(checks.whole_number)

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size = size

    def output_lengths(self, lengths: Any) -> Any:
        return lengths * self.size

    def _resized(self, x: Array) -> Array:
        return np.repeat(x, self.size, axis=1)

    def _resized_backward(self, dy: Array, steps: int) -> Array:
        return dy.reshape(len(dy), steps, self.size, dy.shape[2]).sum(axis=2)

    def get_config(self) -> Config:
        return super().get_config() | {"size": self.size}


def _two_ends(value: Any, name: str) -> tuple[int, int]:
    """Return numbers of steps at the beginning and at the end; one number for both."""
    if isinstance(value, list | tuple):
        if len(value) != 2:
            raise DTypeError(f"{name} is {value!r}; expected a whole number, or two")
        first, last = (checks.whole_number(part, name, low=0) for part in value)
        return first, last
    number = checks.whole_number(value, name, low=0)
    return number, number
