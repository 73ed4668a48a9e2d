"""Sequences: what estimators make of X, one padded array."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks

if TYPE_CHECKING:
    from gatewise._typing import Array, BoolArray, IntArray

    from .groups import Groups


@dataclass
class Sequences:
    """Sequences in one array.

    Attributes
    ----------
    values : ndarray of shape (n, steps, features), or (n, steps) of tokens
        Padded with zeros on the right.
    lengths : ndarray of shape (n,), int, or None
        The number of steps of each sequence; None: all have the same.
    table : bool
        Whether they came as rows of a table: the number of columns is then fixed.
    groups : Groups or None
        How the rows of a long table make sequences.
    counted : ndarray of shape (n, all steps), bool, or None
        If steps with a missing value were left out: which steps were not. `values` and `lengths`
        have only those that were not.
    given_lengths : ndarray of shape (n,), int, or None
        The lengths before steps were left out.
    names : tuple of str, or None
        The columns of frames.
    """

    values: Array
    lengths: IntArray | None = None
    table: bool = False
    groups: Groups | None = None
    counted: BoolArray | None = None
    given_lengths: IntArray | None = None
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Array) -> Sequences:
        """Return some of the sequences; `rows` is an array of indices or of bool."""
        return Sequences(
            self.values[rows],
            None if self.lengths is None else self.lengths[rows],
            table=self.table,
            counted=None if self.counted is None else self.counted[rows],
            given_lengths=None if self.given_lengths is None else self.given_lengths[rows],
        )

    @property
    def each_length(self) -> IntArray:
        """The number of steps of each sequence, (n,)."""
        return np.full(len(self), self.values.shape[1]) if self.lengths is None else self.lengths

    @property
    def all_lengths(self) -> IntArray:
        """The number of steps of each sequence before steps were left out, (n,)."""
        return self.each_length if self.given_lengths is None else self.given_lengths

    @property
    def valid(self) -> BoolArray:
        """Which steps are not padding, (n, steps)."""
        return np.arange(self.values.shape[1]) < self.each_length[:, None]


def padded(stacked: Array, lengths: IntArray) -> Sequences:
    """Return sequences of their steps, which follow each other in one array.

    Parameters
    ----------
    stacked : ndarray of shape (all steps, ...)
        The steps of the first sequence, then those of the second, and so on.
    lengths : ndarray of shape (n,), int

    Raises
    ------
    SizeError
        A few long sequences among many short ones: padded to the longest they do not fit into
        memory.
    """
    if lengths[0] and (lengths == lengths[0]).all():
        return Sequences(stacked.reshape(len(lengths), lengths[0], *stacked.shape[1:]))
    shape = (len(lengths), max(1, int(lengths.max())), *stacked.shape[1:])
    checks.fits_memory(
        math.prod(shape),
        stacked.dtype,
        f"X, {shape[0]} sequences padded to the {shape[1]} steps of the longest,",
    )
    sequences = Sequences(np.zeros(shape, stacked.dtype), lengths)
    sequences.values[sequences.valid] = stacked
    return sequences
