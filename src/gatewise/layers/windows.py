"""Windows over the steps of a sequence: the base of convolution and pooling in one dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .masks import cleared_ends
from .options import fixed
from .sequences import SequenceLayer
from .tape import Batch, Steps
from .window_axis import WindowAxis, one_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray

    # Rows of a batch as an index, and the number of padded steps in front of them.
    Placement = tuple[slice | IntArray, int]


class Windowed(SequenceLayer):
    """Base of layers that compute each output step from a window of input steps.

    A window has `window` steps that are `dilation` apart. Steps past a row's length are not part of
    any window, and windows are placed by the row's own length. An output step is zero if its window
    has no step of the row, or, with "valid" padding, a step past the row's end.
    """

    paddings: tuple[str, ...] = ("valid", "same")
    window: int = fixed("_checked_window")
    strides: int = fixed("_checked_strides")
    padding: str = fixed("_checked_padding")
    dilation: int = fixed("_checked_dilation")

    def __init__(
        self,
        window: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str,
        dilation: int | Sequence[int],
        /,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window, self.strides, self.dilation, self.padding = window, strides, dilation, padding

    @staticmethod
    def _checked_window(value: Any) -> int:
        return one_number(value, "the width of the window")

    @staticmethod
    def _checked_strides(value: Any) -> int:
        return one_number(value, "strides")

    @staticmethod
    def _checked_dilation(value: Any) -> int:
        return one_number(value, "dilation_rate")

    def _checked_padding(self, value: Any) -> str:
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
        """Whether each window is one step.

        Wider windows are not causal for truncated back-propagation, which cuts sequences into
        parts: no window reaches from one part into the next.
        """
        return self.window == 1

    @property
    def _axis(self) -> WindowAxis:
        return WindowAxis(self.window, self.strides, self.dilation, self.padding)

    def output_lengths(self, lengths: Array) -> Array:
        return self._axis.count(lengths)

    def advance(self, inputs: Batch, state: list[Array] | None) -> tuple[Batch, list[Array]]:
        """Compute the next steps behind the last steps of the input, which are the state."""
        x, lengths, reach = inputs.values, inputs.lengths, self._reach
        before = np.zeros((x.shape[0], reach, *x.shape[2:]), x.dtype) if state is None else state[0]
        x = np.concatenate([before, cleared_ends(x, lengths)], axis=1)
        if lengths is None:
            after = x[:, x.shape[1] - reach :].copy()
        else:
            places = lengths[:, None] + np.arange(reach)
            after = x[np.arange(len(x))[:, None], places]
        steps = None if lengths is None else Steps(lengths + reach)
        y = self.run(Batch(x, steps), None, None).values[:, reach:]
        return Batch(np.ascontiguousarray(y), inputs.steps), [after]

    @property
    def _cannot_advance(self) -> str | None:
        """Why the next step cannot be computed from a state; None: it can."""
        if self.keeps_steps and (self.window == 1 or self.padding == "causal"):
            return None
        return "its windows are not causal: padding is not 'causal', or strides are not 1"

    @property
    def _cannot_stream(self) -> str | None:
        """Why a stream cannot run the layer; None: it can."""
        if self.padding == "same" and self.window > 1:
            return "its windows hold later steps: padding is 'same', and not 'causal' or 'valid'"
        return None

    @property
    def _window_options(self) -> dict[str, Any]:
        """The arguments of a WindowOp."""
        return {
            "window": self.window,
            "dilation": self.dilation,
            "strides": self.strides,
            "padded": self.padding != "valid",
        }

    def _with_steps(self, y: Array, steps: Steps | None) -> Batch:
        """The output as a Batch, for an input with these steps."""
        if steps is None or self.keeps_steps:
            return Batch(y, steps)
        lengths = steps.lengths
        return Batch(y, None if lengths is None else Steps(self.output_lengths(lengths)))

    @property
    def _reach(self) -> int:
        """Distance from the first to the last step of a window, in steps."""
        return self._axis.reach

    def _output_steps(self, steps: Any) -> Any:
        """Number of output steps for a number of input steps; None for None."""
        if steps is None:
            return None
        count = int(self.output_lengths(steps))
        if count == 0:
            raise ShapeError(
                f"layer {self.name!r} is given {steps} steps, and its window spans"
                f" {self._reach + 1}; give at least as many, or padding='same'"
            )
        return count

    # ---- windows of an array, and their gradient

    def _placement(
        self, batch: int, steps: int, lengths: Array | None
    ) -> tuple[list[Placement], int]:
        """Where the rows of a batch are in the padded array.

        With "same" padding and strides of more than 1, the number of padded steps in front of a row
        depends on its number of steps. Each row is placed by its own length, so that its result
        does not depend on the other rows of the batch.

        Returns
        -------
        places : list of (rows, front)
            Rows with the same number of padded steps in front, and that number.
        width : int
            Number of steps of the padded array.
        """
        width = max((self._output_steps(steps) - 1) * self.strides + self._reach + 1, steps)
        if lengths is None:
            front = int(self._axis.front(np.intp(steps)))
            return [(slice(None), front)], max(width, front + steps)
        fronts = self._axis.front(lengths)
        found = np.unique(fronts).tolist()
        if len(found) <= 1:
            return [(slice(None), front) for front in found], max(
                width, max(found, default=0) + steps
            )
        return [(np.flatnonzero(fronts == front), front) for front in found], max(
            width, max(found) + steps
        )

    def _padded(self, x: Array, fill: float, lengths: Array | None) -> Array:
        """Return x with padded steps of value `fill`; x itself if the windows need none."""
        places, width = self._placement(*x.shape[:2], lengths)
        if width == x.shape[1]:
            return x
        padded = np.full((x.shape[0], width, *x.shape[2:]), fill, x.dtype)
        for rows, front in places:
            padded[rows, front : front + x.shape[1]] = x[rows]
        return padded

    def _windows(self, x: Array, fill: float, lengths: Array | None) -> Array:
        """The windows of x, as a view of x or of a padded copy.

        Parameters
        ----------
        x : ndarray (batch, steps, ...)
            Windows contain the values past a row's length, too: the caller sets them first.
        fill : scalar
            Value of padded steps.
        lengths : ndarray (batch,), intp, or None
            Number of steps in each row; None: all of them.

        Returns
        -------
        ndarray (batch, output steps, window, ...)
            Read-only.
        """
        count = self._output_steps(x.shape[1])
        x = self._padded(x, fill, lengths)
        row, step, *rest = x.strides
        return np.lib.stride_tricks.as_strided(
            x,
            (x.shape[0], count, self.window, *x.shape[2:]),
            (row, step * self.strides, step * self.dilation, *rest),
            writeable=False,
        )

    def _add_windows(self, d_windows: Array, steps: int, lengths: Array | None) -> Array:
        """The gradient of x (batch, steps, features) for the gradient of its windows."""
        batch, count, _, features = d_windows.shape
        _, width = self._placement(batch, steps, lengths)
        d_padded = np.zeros((batch, width, features), d_windows.dtype)
        for place in range(self.window):
            at = place * self.dilation
            d_padded[:, at : at + (count - 1) * self.strides + 1 : self.strides] += d_windows[
                :, :, place
            ]
        return self._without_padding(d_padded, steps, lengths)

    def _without_padding(self, d_padded: Array, steps: int, lengths: Array | None) -> Array:
        """Return the part of the gradient of :meth:`_padded`'s result that belongs to x."""
        places, _ = self._placement(d_padded.shape[0], steps, lengths)
        if len(places) == 1:
            ((_, front),) = places
            return np.ascontiguousarray(d_padded[:, front : front + steps])
        dx = np.empty((d_padded.shape[0], steps, *d_padded.shape[2:]), d_padded.dtype)
        for rows, front in places:
            dx[rows] = d_padded[rows, front : front + steps]
        return dx
