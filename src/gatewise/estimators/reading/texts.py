"""Texts as rows of tokens that a network learns to continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .sequences import Sequences, padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray
    from gatewise.estimators.targets.base import Examples

MOST_ROWS = 32  # of one long text, trained on together
LEAST_ROWS = 8
STEPS_OF_A_PASS = 16  # of the optimizer, if a text is short


@dataclass
class Pieces(Sequences):
    """Rows of tokens, some of which may be pieces of one text.

    Attributes
    ----------
    cut : bool
        Whether a text was cut into pieces.
    """

    cut: bool = False

    def take(self, rows: Array) -> Pieces:
        """Return some of the rows; `rows` is an array of indices or of bool."""
        lengths = None if self.lengths is None else self.lengths[rows]
        return Pieces(self.values[rows], lengths, cut=self.cut)


def counted_texts(texts: list[Any], sample_weight: Any) -> tuple[list[Any], Array | None]:
    """Return (texts, weights) of the texts whose weight is above 0."""
    weights = text_weights(sample_weight, len(texts))
    if weights is None:
        return texts, None
    kept = weights > 0
    return [text for text, keep in zip(texts, kept) if keep], weights[kept]


def text_weights(sample_weight: Any, count: int) -> Array | None:
    """Return the weights of texts, checked; None if none were given.

    Raises
    ------
    ConfigError, DTypeError, NonFiniteError, ShapeError
    """
    if sample_weight is None:
        return None
    weights = checks.float_array(sample_weight, "sample_weight", "float64", convert=True)
    checks.finite(weights, "sample_weight")
    if weights.shape != (count,):
        raise ShapeError(
            f"sample_weight has shape {weights.shape}; expected ({count},), a weight for each text"
        )
    if not (weights.min(initial=0) >= 0 and weights.sum() > 0):
        raise ConfigError("sample_weight is below zero, or nowhere above zero")
    return weights


def rows_wanted(tokens: int, batch_size: int | str, part: int) -> int:
    """Return into how many rows a text of this number of tokens is cut.

    Parameters
    ----------
    tokens : int
        Number of tokens of all texts.
    batch_size : int or str
        As many as this; a text: as many that a pass makes 16 steps, but at least 8 and at most 32.
    part : int
        Tokens of each row that a step of the optimizer sees.
    """
    if not isinstance(batch_size, str):
        return batch_size
    return int(np.clip(tokens // (part * STEPS_OF_A_PASS), LEAST_ROWS, MOST_ROWS))


def pieces_of(
    texts: Sequence[IntArray], rows: int, shortest: int
) -> tuple[Pieces, Array, IntArray]:
    """Return what a network reads, what it predicts, and the text that each row comes from.

    A text of more than its share, all tokens divided by `rows`, is cut into pieces of nearly equal
    lengths; each piece begins with the last token of the one before.

    Parameters
    ----------
    texts : list of ndarray of int, each of shape (tokens,)
        Texts of at least two tokens.
    rows : int
        Number of rows that there are at least, if a text is long enough.
    shortest : int
        Tokens of a piece, at least.

    Returns
    -------
    pieces : Pieces
    targets : ndarray of shape (n, steps), int32
        The next token at each step.
    source : ndarray of shape (n,), int
        Number of the text.
    """
    counts = np.array([len(text) - 1 for text in texts])
    share = max(shortest, counts.sum() / rows)
    parts = np.maximum(1, np.rint(counts / share)).astype(int)
    starts, lengths = [], []
    for count, number in zip(counts, parts):
        bounds = np.linspace(0, count, number + 1).astype(int)
        starts.append(bounds[:-1])
        lengths.append(np.diff(bounds))
    source = np.repeat(np.arange(len(texts)), parts)
    all_lengths = np.concatenate(lengths)
    spans = list(zip(source, np.concatenate(starts), all_lengths))
    read = np.concatenate([texts[k][at : at + size] for k, at, size in spans])
    said = np.concatenate([texts[k][at + 1 : at + 1 + size] for k, at, size in spans])
    sequences, targets = padded(read, all_lengths), padded(said, all_lengths).values
    cut = bool((parts > 1).any())
    return Pieces(sequences.values, sequences.lengths, cut=cut), targets, source


def split_ends(examples: Examples, fraction: float) -> tuple[Examples, Examples]:
    """Return examples without the last part of each row, and these last parts.

    Raises
    ------
    ConfigError
        These parts have no steps.
    """
    sequences = examples.sequences
    lengths = sequences.each_length
    kept = lengths - np.floor(lengths * fraction).astype(int)
    if (kept == lengths).all():
        raise ConfigError(
            f"validation_fraction is {fraction}: no token of the texts is left to validate on;"
            " raise it, or give more text"
        )
    first = [np.arange(count) for count in kept]
    last = [np.arange(count, length) for count, length in zip(kept, lengths)]
    return _parts(examples, first), _parts(examples, last)


def _parts(examples: Examples, places: list[IntArray]) -> Examples:
    """Return these steps of each row; rows without steps are left out."""
    rows = [row for row, steps in enumerate(places) if len(steps)]
    lengths = np.array([len(places[row]) for row in rows])
    read, said = (
        padded(np.concatenate([array[row, places[row]] for row in rows]), lengths)
        for array in (examples.sequences.values, examples.targets)
    )
    weights = None if examples.weights is None else examples.weights[rows]
    return type(examples)(Pieces(read.values, read.lengths, cut=True), said.values, weights)
