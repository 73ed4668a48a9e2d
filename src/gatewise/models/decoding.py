"""Targets that a network of encoder and decoder finds for sources: greedy, and by beam search.

A chunk of sources is decoded together. Rows that have ended are taken out, and no number of a row
depends on another row, so that a source gives the same alone and in any batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gatewise.kernels import arrays
from gatewise.layers.tape import Batch, Steps

from .tokens import padded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array
    from gatewise.layers.encoder_decoder import Encoded, EncoderDecoder

ROWS = 256  # that are decoded together


@dataclass(frozen=True)
class Options:
    """How targets are searched for.

    Attributes
    ----------
    start, end : int
        The token that the decoder reads first, and the one that ends a target.
    beam : int
        Number of hypotheses for each source; 1: greedy.
    max_steps : int or None
        The most tokens of a target. None: twice those of the source, and 10.
    length_penalty : float
        A target's score is its log-probability divided by its number of tokens, the end included,
        to this power.
    attention : bool
        Whether the weights of the attention are wanted.
    """

    start: int
    end: int
    beam: int = 1
    max_steps: int | None = None
    length_penalty: float = 0.0
    attention: bool = False

    def most_steps(self, source: Array) -> int:
        """The most tokens of a source's target."""
        return 2 * len(source) + 10 if self.max_steps is None else self.max_steps

    def score(self, log_probability: float, tokens: int) -> float:
        """The score of a target of so many tokens, the end included."""
        return log_probability / max(1, tokens) ** self.length_penalty


@dataclass(slots=True)
class Found:
    """A target, or the beginning of one."""

    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    weights: list[Array] = field(default_factory=list)  # of the attention, one row a token
    score: float = -np.inf  # once it has ended

    def grown(self, token: int, log_probability: float, weights: Array | None) -> Found:
        """The target with one more token."""
        return Found(
            [*self.tokens, token],
            log_probability,
            self.weights if weights is None else [*self.weights, weights],
        )

    def ended(self, options: Options, log_probability: float, tokens: int) -> Found:
        """The target at its end."""
        score = options.score(log_probability, tokens)
        return Found(self.tokens, log_probability, self.weights, score)


def decode(layer: EncoderDecoder, sources: Sequence[Array], options: Options) -> list[Found]:
    """Return the best target found for each source."""
    found: list[Found] = [Found()] * len(sources)
    order = sorted(range(len(sources)), key=lambda row: len(sources[row]))
    size = max(1, ROWS // options.beam)
    for first in range(0, len(order), size):
        chunk = order[first : first + size]
        tokens, lengths = padded([sources[row] for row in chunk])
        encoded = layer._encode(Batch(tokens, Steps(lengths)))
        search = _greedy if options.beam == 1 else _beam_search
        limits = [options.most_steps(sources[row]) for row in chunk]
        for row, best in zip(chunk, search(layer, encoded, limits, options)):
            found[row] = best
    return found


def _step(
    layer: EncoderDecoder, tokens: Array, encoded: Encoded, wants_weights: bool
) -> tuple[Array, Encoded, Array | None]:
    """Return log-probabilities (rows, tokens), the decoder after the step, and weights."""
    weights: list[Array] | None = [] if wants_weights else None
    scores, states = layer._scores(Batch(tokens[:, None].astype(np.int32)), encoded, weights)
    probabilities = np.empty_like(scores[:, 0])
    arrays.softmax(np.ascontiguousarray(scores[:, 0]), probabilities)
    with np.errstate(divide="ignore"):  # a probability of zero
        logs = np.log(probabilities.astype(np.float64))
    shown = None if weights is None else weights[0][:, 0]
    return logs, replace(encoded, states=states), shown


def _greedy(
    layer: EncoderDecoder, encoded: Encoded, limits: list[int], options: Options
) -> list[Found]:
    """The most probable token at each step."""
    found = [Found() for _ in limits]
    running = np.arange(len(limits))
    tokens = np.full(len(limits), options.start)
    for step in range(max(limits)):
        logs, encoded, weights = _step(layer, tokens, encoded, options.attention)
        tokens = logs.argmax(axis=1)
        stays = []
        for place, (row, token) in enumerate(zip(running, tokens.tolist())):
            best = found[row]
            best.log_probability += float(logs[place, token])
            if token != options.end:
                best.tokens.append(token)
                if weights is not None:
                    best.weights.append(weights[place])
            if token == options.end or step + 1 >= limits[row]:
                best.score = options.score(best.log_probability, step + 1)
            else:
                stays.append(place)
        if not stays:
            break
        if len(stays) < len(running):
            chosen = np.array(stays)
            encoded, running, tokens = encoded.rows(chosen), running[chosen], tokens[chosen]
    return found


@dataclass(slots=True)
class _Beam:
    """The hypotheses of one source."""

    limit: int
    open: list[Found] = field(default_factory=lambda: [Found()])
    ended: list[Found] = field(default_factory=list)

    def grow(
        self, logs: Array, weights: Array | None, options: Options
    ) -> tuple[list[int], list[int]]:
        """Add a token to each hypothesis; return which ones continue, and with which tokens.

        `logs` (hypotheses, tokens) are log-probabilities of the next token.
        """
        total = logs + np.array([one.log_probability for one in self.open])[:, None]
        flat = total.reshape(-1)
        best = np.argsort(-flat, kind="stable")[: 2 * options.beam]
        steps = len(self.open[0].tokens) + 1
        parents, tokens, grown = [], [], []
        for place in best[np.isfinite(flat[best])].tolist():
            parent, token = divmod(place, logs.shape[1])
            before, value = self.open[parent], float(flat[place])
            if token == options.end:
                self.ended.append(before.ended(options, value, steps))
            elif len(grown) < options.beam:
                row = None if weights is None else weights[parent]
                grown.append(before.grown(token, value, row))
                parents.append(parent)
                tokens.append(token)
        self.open = grown
        if steps >= self.limit:
            self.ended += [one.ended(options, one.log_probability, steps) for one in grown]
            self.open = []
        elif grown and self.ended and self._is_decided(options):
            self.open = []
        return (parents, tokens) if self.open else ([], [])

    def _is_decided(self, options: Options) -> bool:
        """Whether no open hypothesis can become better than the best one that has ended."""
        longest = self.limit if options.length_penalty > 0 else len(self.open[0].tokens) + 1
        reached = max(
            options.score(self.open[0].log_probability, steps)
            for steps in (len(self.open[0].tokens) + 1, longest)
        )
        return max(one.score for one in self.ended) >= reached


def _beam_search(
    layer: EncoderDecoder, encoded: Encoded, limits: list[int], options: Options
) -> list[Found]:
    """The best of `beam` hypotheses of each source."""
    beams = [_Beam(limit) for limit in limits]
    owners = list(range(len(beams)))  # whose hypotheses the rows are, in order
    tokens = np.full(len(beams), options.start)
    while owners:
        logs, encoded, weights = _step(layer, tokens, encoded, options.attention)
        rows: list[int] = []
        following: list[int] = []
        remaining = []
        first = 0
        for owner in owners:
            beam = beams[owner]
            here = slice(first, first + len(beam.open))
            shown = None if weights is None else weights[here]
            parents, grown = beam.grow(logs[here], shown, options)
            rows += [first + parent for parent in parents]
            following += grown
            first = here.stop
            if beam.open:
                remaining.append(owner)
        owners = remaining
        if owners:
            encoded, tokens = encoded.rows(np.array(rows)), np.array(following)
    # of equal scores the one that ended first
    return [max(beam.ended, key=lambda one: one.score, default=Found()) for beam in beams]
