"""Beam search: the most probable sequences that a breadth-limited search finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.memory import names_memory

from .sampling import checked_end
from .source import ModelSource, read_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, ArrayLike, IntArray

    from .source import Source


@names_memory
def beam_search(
    model: Any,
    prompt: ArrayLike | Sequence[ArrayLike],
    steps: int,
    beam: int = 4,
    *,
    length_penalty: float = 0.0,
    n_best: int | None = None,
    no_repeat_ngram: int | None = None,
    end: int | None = None,
    return_scores: bool = False,
) -> Any:
    """Continue sequences by the most probable symbols taken together.

    At each step the `beam` best beginnings are extended by every symbol. The result is the
    continuation with the highest score, the sum of the logarithms of the probabilities of its
    symbols divided by ``length ** length_penalty``. A search ends when nothing that is still
    running can become better than what has ended.

    Parameters
    ----------
    model : Sequential or Model
        As in :func:`sample`.
    prompt : array_like of int, shape (symbols,), or a list of them
        What has come before, or several prompts.
    steps : int
        The largest number of symbols of a continuation.
    beam : int, default 4
        Number of beginnings that are kept at each step. 1: as :func:`greedy`.
    length_penalty : float, default 0.0
        0: the sum of the logarithms; 1: their mean. Larger values prefer longer continuations. The
        symbol `end` counts in the length.
    n_best : int, optional
        Return this number of continuations for each prompt, at most `beam`, the best one first.
        None: the best one alone, not in a list.
    no_repeat_ngram : int, optional
        No sequence of this number of symbols appears twice, the prompt included. None: all may.
    end : int, optional
        The symbol that ends a sequence. It is not returned. None: there is none.
    return_scores : bool, default False
        Return the scores, too.

    Returns
    -------
    symbols : ndarray of shape (symbols,), int32
        The best continuation, without `end`. A list of ndarray with `n_best`, which is shorter if
        fewer are possible. A list, with an entry for each prompt, if there are several.
    scores : float
        With `return_scores`: in the same form.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, StateError
        As in :func:`sample`.

    Examples
    --------
    >>> from gatewise import Sequential, layers
    >>> from gatewise.generation import beam_search
    >>> model = Sequential(
    ...     [layers.GRU(8, input_shape=(None, 5)), layers.Dense(5, "softmax")], seed=0
    ... )
    >>> model.build((None, None, 5))
    >>> len(beam_search(model, [0, 3], 6, beam=3, n_best=2, end=0))
    2
    """
    steps = checks.whole_number(steps, "steps")
    beam = checks.whole_number(beam, "beam")
    length_penalty = checks.number(length_penalty, "length_penalty")
    count = 1 if n_best is None else checks.whole_number(n_best, "n_best", 1, beam)
    no_repeat_ngram = checks.optional_number(no_repeat_ngram, "no_repeat_ngram")
    return_scores = checks.flag(return_scores, "return_scores")
    source = ModelSource(model)
    prompts, single = read_prompts(prompt)
    end = checked_end(end, source.symbols)
    with model.unchanged():
        found = search(
            source,
            source.begin(prompts),
            steps,
            beam,
            length_penalty=length_penalty,
            n_best=count,
            no_repeat_ngram=no_repeat_ngram,
            end=end,
            before=prompts,
        )
    symbols = [_only([each.symbols for each in row], n_best) for row in found]
    scores = [_only([each.score for each in row], n_best) for row in found]
    if single:
        symbols, scores = symbols[0], scores[0]
    return (symbols, scores) if return_scores else symbols


def _only(found: list[Any], n_best: int | None) -> Any:
    return found[0] if n_best is None else found


@dataclass(frozen=True)
class Hypothesis:
    """A continuation that a search has found.

    Parameters
    ----------
    symbols : ndarray of shape (symbols,), int32
        Without the end symbol.
    score : float
        The sum of the scores of its symbols, the end symbol included, divided by the penalty.
    rows : ndarray of shape (symbols,), int
        The row that the source had for the hypothesis when each symbol was chosen: where to find
        what else a step has made.
    """

    symbols: IntArray
    score: float
    rows: IntArray


def search(
    source: Source,
    scores: Array,
    steps: int | Sequence[int],
    beam: int,
    *,
    length_penalty: float = 0.0,
    n_best: int = 1,
    no_repeat_ngram: int | None = None,
    end: int | None = None,
    before: Sequence[IntArray] | None = None,
) -> list[list[Hypothesis]]:
    """Search each row of a source; the rows do not influence each other.

    Parameters
    ----------
    source : Source
        Rows of sequences; during the search it has `beam` rows for each.
    scores : ndarray of shape (rows, symbols), float64
        The scores of the first symbols.
    steps : int, or list of int
        The largest number of symbols, of all rows or of each.
    beam : int
        Number of beginnings that are kept for each row. 1: a row ends with its first end symbol.
    length_penalty : float, default 0.0
        Sums of scores are divided by the length to this power.
    n_best : int, default 1
        Number of hypotheses to return for each row, at most `beam`.
    no_repeat_ngram : int, optional
        No sequence of this number of symbols appears twice.
    end : int, optional
        The symbol that ends a hypothesis. None: all have `steps` symbols.
    before : list of ndarray of int, optional
        Symbols that come before, for `no_repeat_ngram`.

    Returns
    -------
    list of list of Hypothesis
        For each row, at most `n_best`, the best one first. At least one.
    """
    rows, symbols = scores.shape
    limits = np.broadcast_to(np.asarray(steps), (rows,))
    most = int(limits.max())
    checks.fits_memory(2 * rows * beam * symbols, "float64", "the beams of a search")
    found = _Found(rows, n_best)
    texts = _histories(before, rows, beam) if no_repeat_ngram else None
    source.take(np.repeat(np.arange(rows), beam))
    scores = np.repeat(scores, beam, axis=0)
    sums = np.full((rows, beam), -np.inf)
    sums[:, 0] = 0  # the beams of a row are still the same: only the first one is extended
    running = np.arange(rows)
    chains = _Chains.empty(rows, beam)
    places = np.broadcast_to(running[:, None], (rows, beam))  # the first scores have no beams
    for length in range(1, most + 1):
        if texts is not None and no_repeat_ngram:
            _forbid_repeats(scores, texts, chains.symbols, no_repeat_ngram, end)
        last_sums = sums
        sums, parents, chosen = _extended(sums, scores.reshape(len(running), beam, symbols))
        stuck = np.isneginf(sums[:, 0])
        if stuck.any():  # nothing may follow: what there is ends here
            ended = last_sums[stuck] / max(length - 1, 1) ** length_penalty
            found.add(running[stuck], ended, chains.of(stuck))
        ends = np.zeros(chosen.shape, bool) if end is None else chosen == end
        if ends.any():
            ended = np.where(ends & (np.arange(ends.shape[1]) < beam), sums, -np.inf)
            found.add(running, ended / length**length_penalty, chains.taken(parents))
            sums = np.where(ends, -np.inf, sums)
        # At most one extension of each beam ends, so that enough others are left.
        order = np.argsort(ends, axis=1, kind="stable")[:, :beam]
        sums, parents, chosen = (
            np.take_along_axis(array, order, axis=1) for array in (sums, parents, chosen)
        )
        read = np.take_along_axis(places, parents, axis=1)
        chains = chains.taken(parents).extended(chosen, read)
        last = limits[running] == length
        if last.any():
            found.add(running[last], sums[last] / length**length_penalty, chains.of(last))
        # the best score that a running hypothesis can still reach
        longest = limits[running] if length_penalty > 0 else length + 1
        is_open = ~last & (sums[:, 0] / longest**length_penalty > found.worst(running))
        if not is_open.any():
            break
        following = (np.flatnonzero(is_open)[:, None] * beam + parents[is_open]).ravel()
        source.take(following)
        if texts is not None:
            texts = texts[following]
        running, sums, chains = running[is_open], sums[is_open], chains.of(is_open)
        places = np.arange(len(following)).reshape(-1, beam)
        scores = source.step(chosen[is_open].ravel())
    return found.hypotheses()


def _extended(sums: Array, scores: Array) -> tuple[Array, IntArray, IntArray]:
    """Return the best extensions of the beams, in falling order, twice as many as beams.

    Parameters
    ----------
    sums : ndarray of shape (rows, beam)
        Sum of the scores of each beginning.
    scores : ndarray of shape (rows, beam, symbols)
        The scores of the next symbols.

    A row of one beam has one extension, the best: if it ends, the row does.

    Returns
    -------
    sums : ndarray of shape (rows, extensions)
        With the new symbol.
    parents : ndarray of shape (rows, extensions)
        The beam that is extended.
    symbols : ndarray of shape (rows, extensions), int32
        The new symbol.
    """
    rows, beam, symbols = scores.shape
    totals = (sums[:, :, None] + scores).reshape(rows, beam * symbols)
    if beam == 1:
        places = totals.argmax(axis=1)[:, None]
    else:
        count = min(2 * beam, beam * symbols)
        places = np.argpartition(-totals, count - 1, axis=1)[:, :count]
        places.sort(axis=1)  # of equal sums, the lowest number comes first
        order = np.argsort(-np.take_along_axis(totals, places, axis=1), axis=1, kind="stable")
        places = np.take_along_axis(places, order, axis=1)
    parents, chosen = np.divmod(places, symbols)
    return np.take_along_axis(totals, places, axis=1), parents, chosen.astype(np.int32)


@dataclass(frozen=True, slots=True)
class _Chains:
    """The symbols of hypotheses, and the rows of the source where each was chosen.

    Both are (rows, hypotheses, symbols).
    """

    symbols: IntArray
    places: IntArray

    @classmethod
    def empty(cls, rows: int, beam: int) -> _Chains:
        return cls(np.empty((rows, beam, 0), np.int32), np.empty((rows, beam, 0), np.intp))

    def of(self, rows: Array) -> _Chains:
        """Return those of some rows."""
        return _Chains(self.symbols[rows], self.places[rows])

    def taken(self, hypotheses: IntArray) -> _Chains:
        """Return these hypotheses of each row, (rows, new hypotheses)."""
        chosen = hypotheses[..., None]
        return _Chains(
            np.take_along_axis(self.symbols, chosen, axis=1),
            np.take_along_axis(self.places, chosen, axis=1),
        )

    def extended(self, symbols: IntArray, places: IntArray) -> _Chains:
        """Return them with one more symbol each."""
        return _Chains(
            np.concatenate([self.symbols, symbols[..., None]], axis=2),
            np.concatenate([self.places, places[..., None]], axis=2),
        )


class _Found:
    """The best hypotheses of each row that have ended.

    Their arrays are as wide as the longest of them: `steps` may be far more than a search takes.
    """

    def __init__(self, rows: int, count: int) -> None:
        self.scores = np.full((rows, count), -np.inf)
        self.lengths = np.zeros((rows, count), np.intp)
        self.symbols = np.zeros((rows, count, 0), np.int32)
        self.places = np.zeros((rows, count, 0), np.intp)

    def add(self, rows: IntArray, scores: Array, chains: _Chains) -> None:
        """Add hypotheses of `rows` that have these scores, (rows, hypotheses)."""
        count, length = self.scores.shape[1], chains.symbols.shape[2]
        wider = ((0, 0), (0, 0), (0, length - self.symbols.shape[2]))
        self.symbols, self.places = np.pad(self.symbols, wider), np.pad(self.places, wider)
        everything = np.concatenate([self.scores[rows], scores], axis=1)
        order = np.argsort(-everything, axis=1, kind="stable")[:, :count]
        is_new = order >= count
        old = np.where(is_new, 0, order)
        fresh = chains.taken(np.where(is_new, order - count, 0))
        self.scores[rows] = np.take_along_axis(everything, order, axis=1)
        self.lengths[rows] = np.where(
            is_new, length, np.take_along_axis(self.lengths[rows], old, axis=1)
        )
        for held, new in ((self.symbols, fresh.symbols), (self.places, fresh.places)):
            kept = np.take_along_axis(held[rows], old[..., None], axis=1)
            kept[..., :length] = np.where(is_new[..., None], new, kept[..., :length])
            held[rows] = kept

    def worst(self, rows: IntArray) -> Array:
        """Return the score that a hypothesis must exceed to be among the best."""
        return self.scores[rows, -1]

    def hypotheses(self) -> list[list[Hypothesis]]:
        return [
            [
                Hypothesis(chain[:length].copy(), float(score), read[:length].copy())
                for chain, read, length, score in zip(chains, places, lengths, scores)
                if score > -np.inf
            ]
            for chains, places, lengths, scores in zip(
                self.symbols, self.places, self.lengths, self.scores
            )
        ]


def _histories(before: Sequence[IntArray] | None, rows: int, beam: int) -> IntArray:
    """Return the symbols before each beam, (rows * beam, symbols), -1 in front of shorter ones."""
    before = [np.empty(0, np.int32)] * rows if before is None else before
    longest = max(len(row) for row in before)
    histories = np.full((rows, longest), -1, np.int32)
    for history, row in zip(histories, before):
        history[longest - len(row) :] = row
    return np.repeat(histories, beam, axis=0)


def _forbid_repeats(
    scores: Array, texts: IntArray, chains: IntArray, size: int, end: int | None
) -> None:
    """Set the scores of symbols that would complete a sequence that is there already.

    `end` is no part of the sequence and may always come.
    """
    texts = np.concatenate([texts, chains.reshape(len(scores), -1)], axis=1)
    if texts.shape[1] < size:
        return
    windows = np.lib.stride_tricks.sliding_window_view(texts, size, axis=1)
    tails = texts[:, None, texts.shape[1] - size + 1 :]
    repeated = ((windows[..., :-1] == tails) & (windows[..., :-1] >= 0)).all(axis=2)
    repeated &= windows[..., -1] >= 0
    if end is not None:
        repeated &= windows[..., -1] != end
    rows, places = np.nonzero(repeated)
    scores[rows, windows[rows, places, -1]] = -np.inf
