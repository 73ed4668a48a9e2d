"""The maximum or the mean of each window of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks

from .masks import counted_steps
from .windows import Windowed

if TYPE_CHECKING:
    from collections.abc import Hashable

    from gatewise._typing import Array, Config
    from gatewise.layers.tape import Batch, Tape


class _Pooling1D(Windowed):
    """What the two share."""

    _keeps_limits = True

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: Any = "valid", **kwargs: Any
    ) -> None:
        super().__init__(pool_size, pool_size if strides is None else strides, padding, 1, **kwargs)

    @staticmethod
    def _checked_dilation(value: Any) -> Any:
        return checks.whole_number(value, "dilation", high=1)  # there is no choice

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check_input_shape(input_shape)
        return (input_shape[0], self._output_steps(input_shape[1]), input_shape[2])

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

    def run_backward(self, gradients: Array, tape: Tape, node: Hashable, wanted: bool) -> Any:
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
    """The maximum of each window of steps: (batch, steps, features) to (batch, steps', features).

    Names and defaults are Keras's. Steps past a row's length are no part of a window. The gradient
    goes to the first of the steps that hold the maximum.

    Parameters
    ----------
    pool_size : int
        Steps in a window.
    strides : int, optional
        Steps from one window to the next. None: pool_size.
    padding : {"valid", "same"}
        Whole windows only; or windows that may reach over the ends of the row, by its own length.
    """

    def _pool(self, x: Array, inside: Any) -> Any:
        windows = np.where(inside, x, x.dtype.type(-np.inf))
        at = windows.argmax(axis=2)[:, :, None]
        y = np.take_along_axis(windows, at, axis=2)[:, :, 0]
        return np.where(inside.any(axis=2), y, x.dtype.type(0)), {"at": at}

    def _pool_backward(self, dy: Array, saved: Any) -> Any:
        d_windows = np.zeros((*dy.shape[:2], self.window, dy.shape[2]), dy.dtype)
        np.put_along_axis(d_windows, saved["at"], dy[:, :, None], axis=2)
        return d_windows


class AveragePooling1D(_Pooling1D):
    """The mean of each window of steps: (batch, steps, features) to (batch, steps', features).

    Names and defaults are Keras's. Neither padding nor steps past a row's length are counted in the
    mean.

    Parameters
    ----------
    pool_size : int
        Steps in a window.
    strides : int, optional
        Steps from one window to the next. None: pool_size.
    padding : {"valid", "same"}
        Whole windows only; or windows that may reach over the ends of the row, by its own length.
    """

    def _pool(self, x: Array, inside: Any) -> Any:
        share = (inside / np.maximum(inside.sum(axis=2, keepdims=True), 1)).astype(x.dtype)
        # what lies past a row's end may be infinite, and 0 times infinity is NaN
        if not inside.all():
            x = np.where(inside, x, x.dtype.type(0))
        return (x * share).sum(axis=2), {"share": share}

    def _pool_backward(self, dy: Array, saved: Any) -> Any:
        return dy[:, :, None] * saved["share"]
