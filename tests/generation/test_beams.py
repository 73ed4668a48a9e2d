"""Beam search against all possible texts, and its options."""

import tracemalloc

import numpy as np
import pytest

from gatewise.errors import ConfigError, SizeError
from gatewise.generation import beam_search, greedy
from gatewise.generation.beams import search

from .chains import Table, all_texts, log_probabilities, of_numbers, of_vectors

PROMPTS = [[1, 2, 3], [2], [5, 4, 0, 1, 2, 2, 1]]


def pairs(hypotheses):
    return [(tuple(each.symbols.tolist()), each.score) for each in hypotheses]


@pytest.mark.parametrize("penalty", [0.0, 0.7, 1.0, 2.0, -0.5])
@pytest.mark.parametrize("end", [None, 2])
def test_a_wide_beam_finds_the_best_texts(penalty, end):
    table = Table(4, 3)
    found = search(table, table.first(), 4, 81, length_penalty=penalty, n_best=5, end=end)
    for row, hypotheses in enumerate(found):
        expected = all_texts(Table(4, 3), row, 4, end, penalty)[:5]
        for (symbols, score), (best, text) in zip(pairs(hypotheses), expected, strict=True):
            assert symbols == text
            assert score == pytest.approx(best, abs=1e-12)


def one_row(table, row, steps, beam, penalty, end):
    """Beam search of one row as its definition says, with Python lists and no early stop."""
    running, ended = [(0.0, ())], []
    for length in range(1, steps + 1):
        extended = [
            (total + score, (*text, symbol))
            for total, text in running
            for symbol, score in enumerate(table.scores_after((row, *text)))
        ]
        extended = sorted(extended, key=lambda pair: -pair[0])[: 2 * beam]
        ended += [
            (total / length**penalty, text[:-1])
            for total, text in extended[:beam]
            if text[-1] == end
        ]
        if beam == 1:  # greedy: the best extension, whatever it is
            extended = extended[:1]
        running = [pair for pair in extended if pair[1][-1] != end][:beam]
        if not running:
            break
    ended += [(total / steps**penalty, text) for total, text in running]
    return max(ended)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 1.5])
@pytest.mark.parametrize("beam", [1, 2, 5])
def test_a_narrow_beam_follows_the_definition(penalty, beam):
    table = Table(8, 5, seed=1)
    found = search(table, table.first(), 7, beam, length_penalty=penalty, end=0)
    for row, (best,) in enumerate(found):
        score, text = one_row(table, row, 7, beam, penalty, 0)
        assert tuple(best.symbols.tolist()) == text
        assert best.score == pytest.approx(score, abs=1e-12)


def test_rows_do_not_influence_each_other():
    table = Table(6, 5, seed=2)
    options = {"length_penalty": 1.0, "n_best": 3, "end": 1, "no_repeat_ngram": 2}
    together = search(table, table.first(), 9, 4, **options)
    for row, hypotheses in enumerate(together):
        alone = Table(6, 5, seed=2).of_row(row)
        assert pairs(search(alone, alone.first(), 9, 4, **options)[0]) == pairs(hypotheses)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("beam", [1, 3])
def test_each_row_has_its_own_limit(penalty, beam):
    limits = [4, 1, 7, 2, 4]
    options = {"length_penalty": penalty, "n_best": beam, "end": 0}
    table = Table(5, 4, seed=3)
    together = search(table, table.first(), limits, beam, **options)
    for row, (limit, hypotheses) in enumerate(zip(limits, together)):
        alone = Table(5, 4, seed=3).of_row(row)
        assert pairs(search(alone, alone.first(), limit, beam, **options)[0]) == pairs(hypotheses)
        assert max(len(each.symbols) for each in hypotheses) <= limit


class Recorded(Table):
    """A table that records the text of each row at each step."""

    def first(self):
        self.history = [*getattr(self, "history", []), list(self.texts)]
        return super().first()


@pytest.mark.parametrize("end", [None, 1])
def test_rows_say_where_a_step_left_what_it_made(end):
    table = Recorded(4, 5, seed=4)
    found = search(table, table.first(), [6, 2, 6, 3], 3, n_best=3, end=end)
    for row, hypotheses in enumerate(found):
        for each in hypotheses:
            assert len(each.rows) == len(each.symbols)
            for step, place in enumerate(each.rows):
                assert table.history[step][place] == (row, *each.symbols[:step].tolist())


@pytest.mark.parametrize("make", [of_numbers, of_vectors])
def test_scores_are_those_of_the_model(make):
    model = make()
    found, scores = beam_search(
        model, PROMPTS, 6, beam=3, n_best=2, end=0, length_penalty=0.5, return_scores=True
    )
    for prompt, texts, values in zip(PROMPTS, found, scores, strict=True):
        assert values == sorted(values, reverse=True)
        for text, value in zip(texts, values, strict=True):
            symbols = text.tolist() + [0] * (len(text) < 6)
            total = sum(
                log_probabilities(model, prompt + symbols[:at])[symbol]
                for at, symbol in enumerate(symbols)
            )
            assert value == pytest.approx(total / len(symbols) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("make", [of_numbers, of_vectors])
def test_prompts_together_are_as_alone(make):
    model = make()
    together = beam_search(model, PROMPTS, 8, beam=3, n_best=2, end=0, return_scores=True)
    for row, prompt in enumerate(PROMPTS):
        texts, scores = beam_search(model, prompt, 8, beam=3, n_best=2, end=0, return_scores=True)
        assert scores == together[1][row]
        assert all(np.array_equal(a, b) for a, b in zip(texts, together[0][row], strict=True))


def test_one_beam_is_greedy():
    model = of_numbers()
    for prompt in PROMPTS:
        for penalty in (0.0, 2.0):
            found = beam_search(model, prompt, 9, beam=1, end=3, length_penalty=penalty)
            assert np.array_equal(found, greedy(model, prompt, 9, end=3))


def test_the_forms_of_the_result():
    model = of_numbers()
    assert beam_search(model, [1], 4).shape == (4,)
    one = beam_search(model, [1], 4, n_best=1)
    assert isinstance(one, list)
    assert one[0].dtype == np.int32
    symbols, score = beam_search(model, [1], 4, return_scores=True)
    assert np.array_equal(symbols, one[0])
    assert isinstance(score, float)
    several = beam_search(model, [[1], [2]], 4)
    assert [row.shape for row in several] == [(4,), (4,)]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_ngram_comes_twice(size):
    model = of_numbers()
    for prompt in PROMPTS:
        text = [*prompt, *beam_search(model, prompt, 15, no_repeat_ngram=size).tolist()]
        ngrams = [tuple(text[at : at + size]) for at in range(len(text) - size + 1)]
        # those of the prompt itself may be there already
        fresh = ngrams[max(len(prompt) - size + 1, 0) :]
        assert len(set(fresh)) == len(fresh)
        assert not set(fresh) & set(ngrams[: len(ngrams) - len(fresh)])


def test_without_the_option_they_do():
    text = beam_search(of_numbers(), [1], 15).tolist()
    assert len({tuple(text[at : at + 2]) for at in range(14)}) < 14


def test_a_text_that_nothing_may_follow_ends():
    model = of_numbers()
    text = beam_search(model, [1, 2], 15, no_repeat_ngram=1)
    assert sorted(text.tolist()) == [0, 3, 4, 5]


def test_memory_is_that_of_the_steps_that_are_taken():
    """Not of the largest number of them."""
    table = Table(2, 3)
    short = search(table, table.first(), 50, 3, n_best=2, end=2)
    table = Table(2, 3)
    tracemalloc.start()
    found = search(table, table.first(), 10**9, 3, n_best=2, end=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [pairs(row) for row in found] == [pairs(row) for row in short]
    assert peak < 2**20


def test_a_search_that_needs_too_much_memory_says_so():
    with pytest.raises(SizeError, match="beams of a search"):
        beam_search(of_numbers(), [[1]] * 20, 3, beam=2**31 - 1)


def test_the_end_symbol_may_come_whatever_there_was():
    model = of_numbers()
    weights = model.get_weights()
    weights[-1][3] += 30.0
    model.set_weights(weights)
    assert len(beam_search(model, [1, 3], 5, no_repeat_ngram=1, end=3)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam is 0"),
        ({"n_best": 5}, "n_best is 5"),
        ({"n_best": 0}, "n_best is 0"),
        ({"no_repeat_ngram": 0}, "no_repeat_ngram is 0"),
        ({"length_penalty": float("inf")}, "length_penalty is inf"),
        ({"steps": 0}, "steps is 0"),
        ({"end": -1}, "end is -1"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        beam_search(**{"model": of_numbers(), "prompt": [1], "steps": 3} | arguments)
