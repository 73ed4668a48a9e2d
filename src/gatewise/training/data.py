"""The samples of a call: checked inputs with their steps, targets of the outputs, and parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise._typing import IntArray
from gatewise.layers.tape import Batch, Steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array

Rows = slice | IntArray  # which rows of samples


@dataclass(slots=True)
class Targets:
    """What one output is trained on, with one row a sample; None for what was not given.

    Attributes
    ----------
    y : ndarray
        Targets in the shape that the loss takes.
    weights : ndarray
        What the loss multiplies by, 0 at padding; of the shape of positions or of y.
    valid : ndarray
        1 at positions that count, 0 at padding: what metrics weigh by.
    known : ndarray
        0 where a target is NaN, which its weight of 0 allows; of the shape of positions or of y.
    follows : int
        Number of the input whose time axis y, weights and valid have; None: they have no such axis.
    read_lengths : ndarray
        Steps in each row of the output, if the loss has labels of whole rows.
    """

    y: Array
    weights: Array | None = None
    valid: Array | None = None
    known: Array | None = None
    follows: int | None = None
    read_lengths: Array | None = None

    @property
    def count(self) -> float:
        """How many samples count, or steps if y has steps; a fraction if some outputs do not."""
        whole = len(self.y) * (1 if self.follows is None else self.y.shape[1])
        return whole if self.valid is None else whole * float(self.valid.mean())

    @property
    def counts(self) -> bool:
        """Whether anything counts in the loss, with a weight other than 0."""
        return self.weights is None or bool(self.weights.any())

    @property
    def metric_weights(self) -> Array | None:
        """Weights for metrics: 1 where positions or targets count and are known; None: all 1."""
        if self.known is None or self.valid is None:
            return self.valid if self.known is None else self.known
        return self.known * (
            self.valid if self.known.ndim == self.valid.ndim else self.valid[..., None]
        )

    def take(self, rows: Rows, steps: Sequence[slice | None] = ()) -> Targets:
        """Return the targets of rows, and of the steps of each input a slice, or all."""
        cut = None if self.follows is None or not steps else steps[self.follows]
        parts = {
            name: array[rows] if cut is None else np.ascontiguousarray(array[rows, cut])
            for name in ("y", "weights", "valid", "known")
            if (array := getattr(self, name)) is not None
        }
        ends = self.read_lengths
        return replace(self, **parts, read_lengths=None if ends is None else ends[rows])


@dataclass(slots=True)
class Samples:
    """Checked arrays with one row a sample.

    Attributes
    ----------
    inputs : list of Batch
        What the layers read, one for each input of the model.
    targets : sequence of Targets or None
        One for each output; None for an output that is not trained. Empty: there are no targets.
    timed : sequence of int
        Numbers of the inputs that have a time axis.
    """

    inputs: list[Batch]
    targets: Sequence[Targets | None] = ()
    timed: Sequence[int] = (0,)

    def __len__(self) -> int:
        return len(self.inputs[0].values)

    @property
    def trained(self) -> list[Targets]:
        """The targets of the outputs that are trained."""
        return [targets for targets in self.targets if targets is not None]

    @property
    def counts(self) -> bool:
        """Whether anything counts in a loss, with a weight other than 0."""
        for targets in self.targets:
            if targets is not None and targets.counts:
                return True
        return False

    @property
    def empty(self) -> bool:
        """Whether no sequence has a step."""
        for batch in self.inputs:
            lengths = batch.lengths
            if lengths is None or lengths.any():
                return False
        return True

    @property
    def extents(self) -> list[int]:
        """Extents of the time axes of the inputs that have one."""
        return [self._extent(k) for k in self.timed]

    @property
    def steps(self) -> int:
        """Extent of the time axis, of several the longest; 1 without one."""
        return max(self.extents, default=1)

    @property
    def row_lengths(self) -> Array | None:
        """Steps in each row, of several inputs their sum; None if no input has lengths."""
        return total_lengths([self.inputs[k].lengths for k in self.timed])

    def longest(self, rows: Rows = slice(None)) -> int:
        """Return the steps of the longest of these rows, at least 1."""
        return max(
            (longest_of(self.inputs[k].lengths, self._extent(k), rows) for k in self.timed),
            default=1,
        )

    def _extent(self, k: int) -> int:
        """Return the extent of the time axis of an input."""
        shape = self.inputs[k].values.shape
        return shape[1] if len(shape) > 1 else 1

    def take(self, rows: Rows, steps: slice | None = None) -> Samples:
        """Return the samples of an index array or slice, and of their steps a slice or all."""
        if steps is None:
            return Samples(
                [_rows_of(batch, rows) for batch in self.inputs],
                [targets and targets.take(rows) for targets in self.targets],
                self.timed,
            )
        cuts = cuts_of_inputs(
            [self._extent(k) if k in self.timed else None for k in range(len(self.inputs))],
            [batch.lengths for batch in self.inputs],
            rows,
            steps,
        )
        return Samples(
            [
                _rows_of(batch, rows) if cut is None else _steps_of(batch, rows, cut)
                for batch, cut in zip(self.inputs, cuts)
            ],
            [targets and targets.take(rows, cuts) for targets in self.targets],
            self.timed,
        )


def total_lengths(lengths: Sequence[Array | None]) -> Array | None:
    """Return the sum of the lengths of several inputs in each row; None if none has lengths."""
    given = [array for array in lengths if array is not None]
    return None if not given else given[0] if len(given) == 1 else np.sum(given, axis=0)


def longest_of(lengths: Array | None, extent: int, rows: Rows) -> int:
    """Return the steps of the longest of these rows of an input, at least 1."""
    return extent if lengths is None else max(1, int(lengths[rows].max()))


def cuts_of_inputs(
    extents: Sequence[int | None], lengths: Sequence[Array | None], rows: Rows, steps: slice
) -> list[slice | None]:
    """Return the slice of steps of each input, for a slice of steps of the batch.

    A time axis ends with the longest row that the batch has of it. Axes of the same extent end
    together, since layers may join them.

    Parameters
    ----------
    extents : sequence of int or None
        Steps of each input; None: it has no time axis, and no slice.
    lengths : sequence of ndarray or None
        Steps in each row of each input.
    rows : slice or ndarray
        The rows of the batch.
    steps : slice
        Steps of the longest input.
    """
    if len(extents) == 1:
        return [steps]
    ends: dict[int, int] = {}
    for extent, array in zip(extents, lengths):
        if extent is not None:
            ends[extent] = max(ends.get(extent, 0), longest_of(array, extent, rows))
    return [
        None if extent is None else slice(steps.start, min(steps.stop, ends[extent]))
        for extent in extents
    ]


def _rows_of(batch: Batch, rows: Rows) -> Batch:
    """Return rows of an input."""
    steps = batch.steps
    if steps is None:
        return Batch(batch.values[rows])
    parts: Any = (steps.lengths, steps.resets, steps.resets_back, steps.places, steps.cleared)
    return Batch(
        batch.values[rows], Steps(*(None if part is None else part[rows] for part in parts))
    )


def _steps_of(batch: Batch, rows: Rows, cut: slice) -> Batch:
    """Return a slice of the steps of rows of an input.

    Where the steps of such a part came from is not needed: it is trained on, by layers that take
    any length.
    """
    x = np.ascontiguousarray(batch.values[rows, cut])
    steps = batch.steps
    if steps is None:
        return Batch(x)
    last = cut.stop >= batch.values.shape[1]
    resets, back = (
        None if array is None else np.ascontiguousarray(array[rows, cut])
        for array in (steps.resets, steps.resets_back)
    )
    return Batch(
        x,
        Steps(
            part_of_lengths(steps.lengths, rows, cut),
            resets,
            back,
            None,
            steps.cleared[rows] if last and steps.cleared is not None else None,
        ),
    )


def part_of_lengths(lengths: Array | None, rows: Rows, steps: slice) -> Array | None:
    """Return how many of these steps belong to each of the rows; None stays None."""
    return (
        None
        if lengths is None
        else np.clip(lengths[rows] - steps.start, 0, steps.stop - steps.start)
    )


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Return (first, last) of each batch."""
    return [(first, min(first + batch_size, count)) for first in range(0, count, batch_size)]
