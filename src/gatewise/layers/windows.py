"""Windows over the steps of a sequence: what convolution and pooling in one dimension share."""

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .base import Fixed
from .sequences import SequenceLayer


class Windowed(SequenceLayer):
    """Base of layers whose output steps each see `window` steps of the input, `dilation` apart.

    Steps past a row's length are no part of any window. Output steps that see no true step of their row, or with
    "valid" padding a step past its end, are zero.
    """

    paddings = ("valid", "same")
    window, strides, padding, dilation = Fixed(), Fixed(), Fixed(), Fixed()

    def __init__(self, window, strides, padding, dilation, /, **kwargs):
        super().__init__(**kwargs)
        self.window = one_number(window, "the width of the window")
        self.strides = one_number(strides, "strides")
        self.dilation = one_number(dilation, "dilation_rate")
        if padding not in self.paddings:
            raise ConfigError(f"padding is {padding!r}; expected one of {', '.join(map(repr, self.paddings))}")
        self.padding = padding

    @property
    def keeps_steps(self):
        """Whether there is an output step for each input step."""
        return self.window == self.strides == 1 or (self.padding != "valid" and self.strides == 1)

    @property
    def causal(self):
        """Whether an output step sees no other step than its own: windows are not carried over from part to part."""
        return self.window == 1

    def output_lengths(self, lengths):
        """Steps in each row of the output, for these of the input."""
        steps = np.asarray(lengths)
        if self.padding == "valid":
            steps = steps - self._reach
        return np.maximum((steps + self.strides - 1) // self.strides, 0)

    @property
    def _reach(self):
        """Steps from the first to the last of a window."""
        return self.dilation * (self.window - 1)

    def _output_steps(self, steps):
        if steps is None:
            return None
        count = int(self.output_lengths(steps))
        if count == 0:
            raise ShapeError(f"layer {self.name!r} is given {steps} steps, its window reaches over {self._reach + 1}; give at "
                             f"least as many, or padding='same'")
        return count

    # ---- windows of an array, and back

    def _ends(self, steps):
        """(steps that padding puts in front, behind)."""
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return self._reach, 0
        total = max((self._output_steps(steps) - 1) * self.strides + self._reach + 1 - steps, 0)
        return total // 2, total - total // 2

    def _windows(self, x, fill):
        """(batch, output steps, window, ...) of x (batch, steps, ...), a view of a padded copy."""
        front, behind = self._ends(x.shape[1])
        if front or behind:
            padded = np.full((x.shape[0], front + x.shape[1] + behind, *x.shape[2:]), fill, x.dtype)
            padded[:, front:front + x.shape[1]] = x
            x = padded
        count = (x.shape[1] - self._reach - 1) // self.strides + 1
        row, step, *rest = x.strides
        return np.lib.stride_tricks.as_strided(
            x, (x.shape[0], count, self.window, *x.shape[2:]), (row, step * self.strides, step * self.dilation, *rest),
            writeable=False)

    def _add_windows(self, d_windows, steps):
        """The gradient of x, from that of its windows."""
        front, behind = self._ends(steps)
        batch, count, _, features = d_windows.shape
        d_padded = np.zeros((batch, front + steps + behind, features), d_windows.dtype)
        for place in range(self.window):
            at = place * self.dilation
            d_padded[:, at:at + (count - 1) * self.strides + 1:self.strides] += d_windows[:, :, place]
        return np.ascontiguousarray(d_padded[:, front:front + steps])


def one_number(value, name):
    """A whole number, as Keras also takes it: alone in a list."""
    if isinstance(value, list | tuple) and len(value) == 1:
        value = value[0]
    return checks.whole_number(value, name)
