"""How probable sequences are to a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .source import log_softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray

# Sequences that are read together, and scores that are held at once; they bound the memory.
ROWS = 64
NUMBERS = 2**22


def log_likelihoods(model: Any, rows: Sequence[IntArray]) -> Array:
    """Return the logarithm of the probability of each sequence, given its first symbol.

    Parameters
    ----------
    model : Sequential or Model
        Reads whole numbers and gives a distribution over the next one at each step.
    rows : list of ndarray of int, each of shape (symbols,)
        Sequences of at least two symbols.

    Returns
    -------
    ndarray of shape (rows,), float64
        That of a sequence does not depend on the others.
    """
    sums = np.zeros(len(rows))
    order = np.argsort([len(row) for row in rows], kind="stable")
    with model.unchanged():
        for at in range(0, len(rows), ROWS):
            some = order[at : at + ROWS]
            sums[some] = _of_some(model, [rows[row] for row in some])
    return sums


def _of_some(model: Any, rows: Sequence[IntArray]) -> Array:
    stepper = model._stepper(scores=True)
    steps = np.array([len(row) - 1 for row in rows])
    symbols = model.output_shape[-1]
    piece = max(1, NUMBERS // (len(rows) * symbols))
    sums = np.zeros((len(rows), 1))
    for at in range(0, int(steps.max()), piece):
        counts = np.clip(steps - at, 0, piece)
        width = int(counts.max())
        numbers = np.zeros((len(rows), width + 1), np.int32)
        for row, given, count in zip(numbers, rows, counts):
            if count:
                row[: count + 1] = given[at : at + count + 1]
        full = bool(counts.min() == width)
        scores = stepper.run(numbers[:, :-1], None if full else counts).astype(np.float64)
        values = log_softmax(scores.reshape(-1, symbols))
        chosen = numbers[:, 1:].reshape(-1, 1)
        values = np.take_along_axis(values, chosen, axis=1).reshape(len(rows), width)
        values[np.arange(width) >= counts[:, None]] = 0
        # added one after the other, so that a sum does not depend on the width of the piece
        sums = np.cumsum(np.concatenate([sums, values], axis=1), axis=1)[:, -1:]
    return sums[:, 0]
