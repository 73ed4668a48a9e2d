"""Samples of memory-mapped arrays, which stay in their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, NonFiniteError
from gatewise.layers.masks import step_mask

from .batches import Given
from .class_weights import add_class_weight
from .data import cuts_of_inputs, longest_of, part_of_lengths, total_lengths
from .places import about, by_place
from .preparing import check_rows, is_ragged, prepare_placed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gatewise._typing import Array, BoolArray, Model

    from .data import Rows, Samples


class MappedSamples:
    """Samples of which an x stays in its file: it is read, checked and converted batch by batch.

    Each attribute is a list with an entry for each input, or each output, of the model.
    """

    model: Model
    need_y: bool
    class_weight: Mapping[int, float] | None
    x: list[Any]
    y: list[Any]
    sample_weight: list[Any]
    lengths: list[Array | None]
    resets: list[BoolArray | None]
    mask: list[Array | None]
    follows: list[int | None]  # the input whose time axis the targets of each output have

    def __init__(self, model: Model, given: Given, need_y: bool = True) -> None:
        self._read(model, by_place(model, given), need_y)

    def _read(self, model: Model, parts: Given, need_y: bool) -> None:
        """Take lists with an entry for each input or output."""
        self.model, self.need_y, self.class_weight = model, need_y, None
        self.x = [_rows_of(x) for x in parts.x]
        self.y = [_rows_of(y) for y in parts.y]
        self.sample_weight = [_rows_of(weight) for weight in parts.sample_weight]
        if need_y:
            for j, y in enumerate(self.y):
                if y is not None:
                    with about(model._output_names, j):
                        check_rows(y, self.x[0])
        if len(self) == 0 or any(isinstance(x, np.memmap) and x.ndim < 2 for x in self.x):
            # raises, or is empty
            prepare_placed(model, parts, need_y)
        self.lengths, self.mask, self.resets = [], [], []
        for k, x in enumerate(self.x):
            lengths, mask, resets = parts.lengths[k], parts.mask[k], parts.resets[k]
            with about(model._input_names, k, "input"):
                if is_ragged(x):
                    raise ConfigError(
                        "sequences of different lengths beside a memory-mapped array: pad them"
                        " (gatewise.utils.pad_sequences) and give lengths"
                    )
                if lengths is not None:
                    lengths = checks.sequence_lengths(lengths, *x.shape[:2])
                if resets is not None:
                    resets = checks.reset_flags(resets, *x.shape[:2]).view(np.bool_)
                self.lengths.append(lengths)
                self.mask.append(None if mask is None else step_mask(mask, x.shape))
                self.resets.append(resets)
        # builds the model, and finds what cannot fit
        first = self.take(slice(0, 1))
        self.follows = [None if targets is None else targets.follows for targets in first.targets]

    def __len__(self) -> int:
        return len(self.x[0])

    @property
    def timed(self) -> Sequence[int]:
        """Numbers of the inputs that have a time axis."""
        return self.model._timed_inputs

    @property
    def extents(self) -> list[int]:
        """See :attr:`Samples.extents`."""
        return [self.x[k].shape[1] for k in self.timed]

    @property
    def steps(self) -> int:
        """Extent of the time axis, of several the longest."""
        return max(self.extents, default=1)

    @property
    def row_lengths(self) -> Array | None:
        """See :attr:`Samples.row_lengths`."""
        return total_lengths([self.lengths[k] for k in self.timed])

    def longest(self, rows: Rows = slice(None)) -> int:
        """See :meth:`Samples.longest`."""
        found = [longest_of(self.lengths[k], self.x[k].shape[1], rows) for k in self.timed]
        return max(found, default=1)

    def part(self, rows: slice) -> MappedSamples:
        """Return the samples of a slice, which stay in their file."""
        part = MappedSamples.__new__(MappedSamples)
        part._read(self.model, self._given(rows), self.need_y)
        part.class_weight = self.class_weight
        return part

    def _given(self, rows: Rows, cuts: Sequence[slice | None] = ()) -> Given:
        """Return rows of all parts, and of their steps a slice for each input, or all."""
        of_inputs = [
            [
                None
                if array is None
                else array[rows]
                if not cuts or cuts[k] is None
                else array[rows, cuts[k]]
                for k, array in enumerate(arrays)
            ]
            for arrays in (self.x, self.mask, self.resets)
        ]
        lengths = [
            None
            if array is None
            else part_of_lengths(array, rows, cuts[k])
            if cuts and cuts[k] is not None
            else array[rows]
            for k, array in enumerate(self.lengths)
        ]
        of_outputs = [
            [
                None if array is None else self._of_output(j, array[rows], cuts)
                for j, array in enumerate(arrays)
            ]
            for arrays in (self.y, self.sample_weight)
        ]
        x, mask, resets = of_inputs
        y, weights = of_outputs
        return Given(x, y, weights, lengths, mask, resets)

    def _of_output(self, j: int, array: Any, cuts: Sequence[slice | None]) -> Any:
        """Return targets or weights of the steps that a batch has of them."""
        if not cuts or self.follows[j] is None or array.ndim < 2:
            return array
        return array[:, cuts[self.follows[j]]]

    def take(self, rows: Rows, steps: slice | None = None) -> Samples:
        """See :meth:`Samples.take`. A slice of steps is one of those in the file, masked or not."""
        cuts: Sequence[slice | None] = ()
        if steps is not None:
            extents = [x.shape[1] if k in self.timed else None for k, x in enumerate(self.x)]
            cuts = cuts_of_inputs(extents, self.lengths, rows, steps)
        try:
            samples = prepare_placed(self.model, self._given(rows, cuts), self.need_y)
        except NonFiniteError as error:
            raise NonFiniteError(
                f"{error} (of a batch, whose rows are {np.arange(len(self))[rows].tolist()!s:.400}"
                " of the memory-mapped array)"
            ) from error
        add_class_weight(self.model, samples, self.class_weight)
        return samples


def _rows_of(value: Any) -> Any:
    """Return an array whose rows can be indexed; rows of different lengths stay objects."""
    if value is None or isinstance(value, np.ndarray):
        return value
    if is_ragged(value):
        rows = np.empty(len(value), object)
        rows[:] = list(value)
        return rows
    return np.asarray(value)
