"""The maximum or the mean of each window of a sequence."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .masks import counted_steps
from .step_ops import PoolingOp
from .windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from gatewise._typing import Array, BoolArray, Config, Shape
    from gatewise.layers.step_ops import StepOp
    from gatewise.layers.tape import Batch, Tape


class _Pooling1D(Windowed):
    """Base of both: the windows and the steps that count in them; subclasses pool."""

    _keeps_limits = True
    _maximum: bool

    def __init__(
        self,
        pool_size: int | Sequence[int] = 2,
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, pool_size if strides is None else strides, padding, 1, **kwargs)

    @staticmethod
    def _checked_dilation(value: Any) -> int:
        return checks.whole_number(value, "dilation", high=1)  # the only choice

    @abc.abstractmethod
    def _pool(self, windows: Array, inside: BoolArray) -> tuple[Array, dict[str, Any]]:
        """One value for each window and feature, and what :meth:`_pool_backward` needs.

        `windows` has shape (batch, output steps, window, features); `inside`, whose last axis is 1,
        is True for the steps that count.
        """

    @abc.abstractmethod
    def _pool_backward(self, dy: Array, saved: dict[str, Any]) -> Array:
        """The gradient of the windows."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        self._check_input_shape(input_shape)
        return (input_shape[0], self._output_steps(input_shape[1]), input_shape[2])

    def _step_ops(self) -> list[StepOp]:
        width = self.input_shape[-1]
        return [
            PoolingOp(
                name=self.name,
                inputs=width,
                width=width,
                maximum=self._maximum,
                **self._window_options,
            )
        ]

    def run(self, inputs: Batch, tape: Tape | None, node: Hashable) -> Batch:
        x, given = inputs.values, inputs.lengths
        lengths = np.full(x.shape[0], x.shape[1]) if given is None else given
        inside = self._windows(counted_steps(lengths, x.shape), False, given)
        kept = counted_steps(self.output_lengths(lengths), inside.shape[:3])
        y, saved = self._pool(self._windows(x, 0, given), inside)
        if given is not None:
            y *= kept
        if tape is not None:
            tape.keep(
                node,
                saved | {"inside": inside, "kept": kept, "lengths": given, "steps": x.shape[1]},
            )
        return self._with_steps(y, inputs.steps)

    def run_backward(
        self, gradients: Array, tape: Tape, node: Hashable, wanted: bool
    ) -> Array | None:
        saved, dy = tape.take(node), gradients
        if not wanted:
            return None
        if saved["lengths"] is not None:
            dy = np.where(saved["kept"], dy, dy.dtype.type(0))
        d_windows = self._pool_backward(dy, saved)
        return self._add_windows(d_windows, saved["steps"], saved["lengths"])

    def get_config(self) -> Config:
        return super().get_config() | {
            "pool_size": self.window,
            "strides": self.strides,
            "padding": self.padding,
        }


class MaxPooling1D(_Pooling1D):
    """The maximum of each window of steps.

    (batch, steps, features) becomes (batch, windows, features). Steps past a row's length are not
    part of any window. If several steps have the maximum, the gradient goes to the first of them.
    Names and defaults are those of Keras.

    Parameters
    ----------
    pool_size : int, default 2
        Number of steps in a window, from 1.
    strides : int, optional
        Number of steps from one window to the next, from 1. None: `pool_size`.
    padding : {"valid", "same"}, default "valid"
        "valid": only windows that are inside the row. "same": also windows that extend past its
        ends. Each row's own length counts.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import MaxPooling1D
    >>> MaxPooling1D(2)([[[1.0], [3.0], [8.0], [4.0]]]).tolist()
    [[[3.0], [8.0]]]
    """

    _maximum = True

    def _pool(self, windows: Array, inside: BoolArray) -> tuple[Array, dict[str, Any]]:
        zero = windows.dtype.type(0)
        windows = np.where(inside, windows, windows.dtype.type(-np.inf))
        at = windows.argmax(axis=2)[:, :, None]
        y = np.take_along_axis(windows, at, axis=2)[:, :, 0]
        return np.where(inside.any(axis=2), y, zero), {"at": at}

    def _pool_backward(self, dy: Array, saved: dict[str, Any]) -> Array:
        d_windows = np.zeros((*dy.shape[:2], self.window, dy.shape[2]), dy.dtype)
        np.put_along_axis(d_windows, saved["at"], dy[:, :, None], axis=2)
        return d_windows


class AveragePooling1D(_Pooling1D):
    """The mean of each window of steps.

    (batch, steps, features) becomes (batch, windows, features). Neither padding nor steps past a
    row's length count in the mean. Names and defaults are those of Keras.

    Parameters
    ----------
    pool_size : int, default 2
        Number of steps in a window, from 1.
    strides : int, optional
        Number of steps from one window to the next, from 1. None: `pool_size`.
    padding : {"valid", "same"}, default "valid"
        "valid": only windows that are inside the row. "same": also windows that extend past its
        ends. Each row's own length counts.
    **kwargs
        Options of :class:`Layer`.

    Examples
    --------
    >>> from gatewise.layers import AveragePooling1D
    >>> AveragePooling1D(2)([[[1.0], [3.0], [8.0], [4.0]]]).tolist()
    [[[2.0], [6.0]]]
    """

    _maximum = False

    def _pool(self, windows: Array, inside: BoolArray) -> tuple[Array, dict[str, Any]]:
        counts = np.maximum(inside.sum(axis=2, keepdims=True), 1)
        share = (inside / counts).astype(windows.dtype)
        # Values past a row's end may be infinite, and 0 times infinity is NaN.
        if not inside.all():
            windows = np.where(inside, windows, windows.dtype.type(0))
        y = windows[:, :, 0] * share[:, :, 0]
        for k in range(1, self.window):  # one after the other, as a stream adds them
            y += windows[:, :, k] * share[:, :, k]
        return y, {"share": share}

    def _pool_backward(self, dy: Array, saved: dict[str, Any]) -> Array:
        return dy[:, :, None] * saved["share"]
