"""Windows over the steps of a sequence: what convolution and pooling in one dimension share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .options import fixed
from .sequences import SequenceLayer
from .tape import Batch, Steps

if TYPE_CHECKING:
    from gatewise._typing import Array


class Windowed(SequenceLayer):
    """Base of layers whose output steps each see `window` steps of the input, `dilation` apart.

    Steps past a row's length are no part of any window, and windows are placed by the row's own
    length. Output steps that see no true step of their row, or with "valid" padding a step past its
    end, are zero.
    """

    paddings: tuple[str, ...] = ("valid", "same")
    window: int = fixed("_checked_window")
    strides: int = fixed("_checked_strides")
    padding: str = fixed("_checked_padding")
    dilation: int = fixed("_checked_dilation")

    def __init__(
        self, window: Any, strides: Any, padding: Any, dilation: Any, /, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.window, self.strides, self.dilation, self.padding = window, strides, dilation, padding

    @staticmethod
    def _checked_window(value: Any) -> Any:
        return one_number(value, "the width of the window")

    @staticmethod
    def _checked_strides(value: Any) -> Any:
        return one_number(value, "strides")

    @staticmethod
    def _checked_dilation(value: Any) -> Any:
        return one_number(value, "dilation_rate")

    def _checked_padding(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in self.paddings:
            raise ConfigError(
                f"padding is {value!r}; expected one of {', '.join(map(repr, self.paddings))}"
            )
        return value

    @property
    def keeps_steps(self) -> bool:
        """Whether there is an output step for each input step."""
        return self.window == self.strides == 1 or (self.padding != "valid" and self.strides == 1)

    @property
    def causal(self) -> bool:
        """Whether an output step sees no other step than its own: windows are not carried over
        from part to part.
        """
        return self.window == 1

    def output_lengths(self, lengths: Array | None) -> Array | None:
        """Steps in each row of the output, for these of the input."""
        steps = np.asarray(lengths)
        if self.padding == "valid":
            steps = steps - self._reach
        return np.maximum((steps + self.strides - 1) // self.strides, 0)

    def _with_steps(self, y: Array, steps: int) -> Batch:
        """The output as a Batch, for an input of these Steps or None."""
        if steps is None or self.keeps_steps:
            return Batch(y, steps)
        lengths = steps.lengths
        return Batch(y, None if lengths is None else Steps(self.output_lengths(lengths)))

    @property
    def _reach(self) -> Any:
        """Steps from the first to the last of a window."""
        return self.dilation * (self.window - 1)

    def _output_steps(self, steps: int) -> Any:
        if steps is None:
            return None
        count = int(self.output_lengths(steps))
        if count == 0:
            raise ShapeError(
                f"layer {self.name!r} is given {steps} steps, its window reaches over"
                f" {self._reach + 1}; give at least as many, or padding='same'"
            )
        return count

    # ---- windows of an array, and back

    def _in_front(self, steps: int) -> Any:
        """How many steps padding puts in front of rows of this many steps, an int or ndarray of
        them.
        """
        if self.padding == "valid":
            return np.zeros_like(steps)
        if self.padding == "causal":
            return np.full_like(steps, self._reach)
        covered = (self.output_lengths(steps) - 1) * self.strides + self._reach + 1
        return np.maximum(covered - steps, 0) // 2

    def _placement(self, batch: int, steps: int, lengths: Array | None) -> Any:
        """[(rows, where their first step lies in the padded array)], and how many steps the
        padded array has.

        With "same" padding and strides of more than 1, this depends on the number of steps of a
        row: each row is placed by its own length, so that it gives the same whatever rows it is
        padded beside.
        """
        width = max((self._output_steps(steps) - 1) * self.strides + self._reach + 1, steps)
        if lengths is None:
            front = int(self._in_front(np.intp(steps)))
            return [(slice(None), front)], max(width, front + steps)
        fronts = self._in_front(lengths)
        found = np.unique(fronts).tolist()
        if len(found) <= 1:
            return [(slice(None), front) for front in found], max(
                width, max(found, default=0) + steps
            )
        return [(np.flatnonzero(fronts == front), front) for front in found], max(
            width, max(found) + steps
        )

    def _windows(self, x: Array, fill: Any, lengths: Array | None) -> Any:
        """(batch, output steps, window, ...) of x (batch, steps, ...), a view of it or of a
        padded copy.

        Parameters
        ----------
        x : ndarray (batch, steps, ...)
            What lies past a row's length is seen by the windows: it holds what they should see
            there.
        fill : scalar
            What padding holds.
        lengths : ndarray (batch,), intp, or None
            Steps in each row; None: all of them.
        """
        count = self._output_steps(x.shape[1])
        places, width = self._placement(*x.shape[:2], lengths)
        if width > x.shape[1]:
            padded = np.full((x.shape[0], width, *x.shape[2:]), fill, x.dtype)
            for rows, front in places:
                padded[rows, front : front + x.shape[1]] = x[rows]
            x = padded
        row, step, *rest = x.strides
        return np.lib.stride_tricks.as_strided(
            x,
            (x.shape[0], count, self.window, *x.shape[2:]),
            (row, step * self.strides, step * self.dilation, *rest),
            writeable=False,
        )

    def _add_windows(self, d_windows: Any, steps: int, lengths: Array | None) -> Any:
        """The gradient of x, from that of its windows."""
        batch, count, _, features = d_windows.shape
        places, width = self._placement(batch, steps, lengths)
        d_padded = np.zeros((batch, width, features), d_windows.dtype)
        for place in range(self.window):
            at = place * self.dilation
            d_padded[:, at : at + (count - 1) * self.strides + 1 : self.strides] += d_windows[
                :, :, place
            ]
        if len(places) == 1:
            ((_, front),) = places
            return np.ascontiguousarray(d_padded[:, front : front + steps])
        dx = np.empty((batch, steps, features), d_windows.dtype)
        for rows, front in places:
            dx[rows] = d_padded[rows, front : front + steps]
        return dx


def one_number(value: Any, name: str) -> Any:
    """A whole number, as Keras also takes it: alone in a list."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return checks.whole_number(value, name)
