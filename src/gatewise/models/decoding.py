"""Targets that a network of encoder and decoder finds for sources: greedy, and by beam search.

A chunk of sources is decoded together. Rows that have ended are taken out, and no number of a row
depends on another row, so that a source gives the same alone and in any batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gatewise.generation.beams import search
from gatewise.generation.source import checked_scores, log_softmax
from gatewise.layers.tape import Batch, Steps

from .tokens import padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, IntArray
    from gatewise.layers.encoder_decoder import Encoded, EncoderDecoder

ROWS = 256  # that are decoded together


@dataclass(frozen=True)
class Options:
    """How targets are searched for.

    Attributes
    ----------
    start, end : int
        The token that the decoder reads first, which is never written, and the one that ends a
        target.
    beam : int
        Number of hypotheses for each source; 1: greedy.
    max_steps : int or None
        The most tokens of a target. None: twice those of the source, and 10.
    length_penalty : float
        A target's score is its log-probability divided by its number of tokens, the end included,
        to this power.
    attention : bool
        Whether the weights of the attention are wanted.
    never : tuple of int
        Other tokens that are never written.
    """

    start: int
    end: int
    beam: int = 1
    max_steps: int | None = None
    length_penalty: float = 0.0
    attention: bool = False
    never: tuple[int, ...] = ()

    def most_steps(self, source: Array) -> int:
        """The most tokens of a source's target."""
        return 2 * len(source) + 10 if self.max_steps is None else self.max_steps


@dataclass(slots=True)
class Found:
    """A target.

    Attributes
    ----------
    tokens : list of int
        Without start and end.
    score : float
        Its log-probability, with the length penalty.
    weights : list of ndarray
        Of the attention, one row (source steps,) for each token; empty if they are not wanted.
    """

    tokens: list[int]
    score: float
    weights: list[Array]


def decode(layer: EncoderDecoder, sources: Sequence[Array], options: Options) -> list[Found]:
    """Return the best target found for each source."""
    found: dict[int, Found] = {}
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    size = max(1, ROWS // options.beam)
    for first in range(0, len(order), size):
        chunk = order[first : first + size]
        tokens, lengths = padded([sources[row] for row in chunk])
        encoded = layer._encode(Batch(tokens, Steps(lengths)))
        decoder = Decoder(layer, encoded, [options.start, *options.never], options.attention)
        targets = search(
            decoder,
            decoder.step(np.full(len(chunk), options.start)),
            [options.most_steps(sources[row]) for row in chunk],
            options.beam,
            length_penalty=options.length_penalty,
            end=options.end,
        )
        for row, (best,) in zip(chunk, targets):
            weights = decoder.weights_at(best.rows) if options.attention else []
            found[row] = Found(best.symbols.tolist(), best.score, weights)
    return [found[row] for row in range(len(sources))]


class Decoder:
    """The decoder over sources that are encoded, as a source of scores of next tokens.

    Parameters
    ----------
    layer : EncoderDecoder
        Of which it is the decoder.
    encoded : Encoded
        What it reads of the sources; a row for each.
    never : list of int
        Tokens that never come next.
    wants_weights : bool
        Whether the weights of the attention are to be kept.
    """

    def __init__(
        self, layer: EncoderDecoder, encoded: Encoded, never: list[int], wants_weights: bool
    ) -> None:
        self._layer = layer
        self._encoded = encoded
        self._never = never
        self._wants_weights = wants_weights
        self._weights: list[Array] = []  # of each step, (rows, source steps)
        self._sources = np.arange(len(encoded.states[0][0].values))  # that the rows are of

    def step(self, symbols: IntArray, /) -> Array:
        """Read a token for each row; return the log-probabilities of the next ones."""
        weights: list[Array] | None = [] if self._wants_weights else None
        tokens = Batch(symbols[:, None].astype(np.int32))
        scores, states = self._layer._scores(tokens, self._encoded, weights)
        self._encoded = replace(self._encoded, states=states)
        if weights is not None:
            self._weights.append(weights[0][:, 0])
        return checked_scores(log_softmax(scores[:, 0].astype(np.float64)), self._never)

    def take(self, rows: IntArray, /) -> None:
        """Put the rows into another order, repeat or drop some."""
        sources = self._sources[rows]
        if np.array_equal(sources, self._sources):
            if not np.array_equal(rows, np.arange(len(rows))):
                self._encoded = self._encoded.states_of(rows)
        else:
            self._encoded, self._sources = self._encoded.rows(rows), sources

    def weights_at(self, rows: IntArray) -> list[Array]:
        """Return the weights of the attention at each step, of these rows of the steps."""
        return [weights[row] for weights, row in zip(self._weights, rows)]
