"""Symbols that are drawn one after the other from a model's distributions."""

import numpy as np
import pytest

from gatewise import Sequential
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
    StateError,
)
from gatewise.generation import greedy, sample
from gatewise.generation.choosing import Choice
from gatewise.generation.sampling import draw
from gatewise.layers import LSTM, Bidirectional, Dense, Embedding

from .chains import Table, log_probabilities, of_numbers, of_vectors

MODELS = {"numbers": of_numbers, "vectors": of_vectors}
PROMPTS = [[1, 2, 3], [2], [5, 4, 0, 1, 2, 2, 1]]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_each_symbol_is_drawn_from_the_distribution_after_all_before_it(make):
    model = make()
    drawn = sample(model, [1, 2], 12, temperature=0.7, top_k=4, seed=9)
    assert drawn.dtype == np.int32
    assert len(set(drawn.tolist())) > 1
    uniform = np.random.default_rng((9, 0)).random(12)
    text = [1, 2]
    for symbol, u in zip(drawn, uniform):
        scores = log_probabilities(model, text)[None]
        assert symbol == Choice(0.7, 4, None).pick(scores, np.array([u]))[0]
        text.append(int(symbol))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_greedy_takes_the_most_probable_symbol(make):
    model, text = make(), [3, 1]
    for symbol in greedy(model, [3, 1], 9):
        assert symbol == log_probabilities(model, text).argmax()
        text.append(int(symbol))
    assert np.array_equal(text[2:], sample(model, [3, 1], 9, temperature=0, seed=3))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_prompts_together_are_as_alone(make):
    model = make()
    seeds = [7, 8, 9]
    together = sample(model, PROMPTS, 10, seed=seeds, end=0)
    alone = [sample(model, row, 10, seed=seed, end=0) for row, seed in zip(PROMPTS, seeds)]
    assert same(together, alone)
    assert len({len(row) for row in together}) > 1  # some ended before others
    assert same(greedy(model, PROMPTS, 10), [greedy(model, row, 10) for row in PROMPTS])


def test_draws_of_a_prompt_do_not_depend_on_how_many_there_are():
    model = of_numbers()
    assert same(sample(model, PROMPTS[:2], 8, seed=3), sample(model, PROMPTS, 8, seed=3)[:2])
    a, b = sample(model, [[1, 2], [1, 2]], 20, seed=3)
    assert not np.array_equal(a, b)


def test_seeds():
    model = of_numbers()
    assert np.array_equal(sample(model, [1], 30, seed=0), sample(model, [1], 30, seed=0))
    assert not np.array_equal(sample(model, [1], 30, seed=0), sample(model, [1], 30, seed=1))
    assert not np.array_equal(sample(model, [1], 30), sample(model, [1], 30))


def test_long_prompts_are_read_in_pieces(monkeypatch, rng):
    model = of_numbers()
    prompts = [rng.integers(0, 6, size) for size in (25, 3, 8, 16, 1)]
    whole = sample(model, prompts, 5, seed=0)
    monkeypatch.setattr("gatewise.generation.source.PIECE", 4)
    assert same(sample(model, prompts, 5, seed=0), whole)


def test_the_end_symbol_ends_a_row():
    table = Table(6, 3)
    found = draw(table, table.first(), 20, Choice(0, None, None), end=1)
    for row, symbols in enumerate(found):
        text = [row]
        for symbol in [*symbols, 1][:20]:
            assert symbol == table.scores_after(tuple(text)).argmax()
            text.append(symbol)
    assert {len(symbols) for symbols in found} > {0}


def test_a_prompt_may_have_any_form_of_whole_numbers():
    model = of_numbers()
    expected = greedy(model, [1, 2], 4)
    for prompt in ((1, 2), np.array([1, 2], "int64"), np.array([1.0, 2.0])):
        assert np.array_equal(greedy(model, prompt, 4), expected)
    several = greedy(model, np.array([[1, 2], [1, 2]]), 4)
    assert isinstance(several, list)
    assert same(several, [expected, expected])


def test_padding_is_never_drawn():
    model = of_numbers(mask_zero=True)
    weights = model.get_weights()
    weights[-1][0] = 50.0
    model.set_weights(weights)  # symbol 0 would have all the probability
    assert 0 not in sample(model, [1, 2], 50, seed=0)
    with pytest.raises(ShapeError, match="prompt holds 0; .* from 1 to 5 .0 is padding"):
        sample(model, [1, 0], 5)


def test_a_symbol_without_probability_is_not_drawn():
    scores = np.array([[-np.inf, 0.0, -np.inf]])
    for uniform in (0.0, 0.5, np.nextafter(1, 0)):
        assert Choice(1.0, None, None).pick(scores, np.array([uniform])) == [1]


# ---- the choice of a symbol


def kept_by_definition(scores, temperature, top_k, top_p):
    """Probabilities from a plain reading of the definitions, with loops."""
    z = scores / temperature
    kept = np.ones(len(z), bool)
    if top_k is not None:
        kept &= z >= sorted(z)[-min(top_k, len(z))]
    p = np.where(kept, np.exp(z - z.max()), 0)
    p /= p.sum()
    if top_p is not None:
        total = 0.0
        nucleus = np.zeros(len(z), bool)
        for at in np.argsort(-z, kind="stable"):
            nucleus[at] = True
            total += p[at]
            if total >= top_p:
                break
        p = np.where(nucleus, p, 0)
    return p / p.sum()


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("top_k", [None, 1, 3, 50])
@pytest.mark.parametrize("top_p", [None, 0.01, 0.6, 0.95, 1.0])
def test_draws_follow_the_distribution(temperature, top_k, top_p, rng):
    scores = rng.normal(size=8) * 2
    draws = (np.arange(20000) + 0.5) / 20000  # each part of [0, 1) alike
    picked = Choice(temperature, top_k, top_p).pick(np.tile(scores, (20000, 1)), draws)
    shares = np.bincount(picked, minlength=8) / 20000
    expected = kept_by_definition(scores, temperature, top_k, top_p)
    assert np.abs(shares - expected).max() < 1e-4


def test_equal_scores_at_the_limit_of_top_k_stay():
    scores = np.log([[0.4, 0.2, 0.2, 0.2]])
    picked = {
        int(Choice(1.0, 2, None).pick(scores, np.array([u]))[0]) for u in np.arange(0, 1, 0.05)
    }
    assert picked == {0, 1, 2, 3}


def test_extreme_temperatures():
    scores = np.array([[-1.0, -0.5, -3.0]])
    for temperature in (1e-300, 5e-324):  # the least number: a quotient by it is infinite
        assert Choice(temperature, None, None).pick(scores, np.array([0.999])) == [1]
    assert Choice(1e300, None, None).pick(scores, np.array([0.999])) == [2]


def test_a_row_is_chosen_without_regard_to_its_neighbours(rng):
    scores, uniform = rng.normal(size=(50, 37)), rng.random(50)
    choice = Choice(0.9, 20, 0.9)
    together = choice.pick(scores.copy(), uniform)
    for row in range(50):
        assert choice.pick(scores[row : row + 1].copy(), uniform[row : row + 1]) == together[row]


# ---- refusals


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"temperature": -0.1}, ConfigError, "temperature is -0.1"),
        ({"temperature": float("nan")}, ConfigError, "temperature"),
        ({"top_k": 0}, ConfigError, "top_k is 0"),
        ({"top_p": 0.0}, ConfigError, "top_p is 0.0"),
        ({"top_p": 1.1}, ConfigError, "top_p is 1.1"),
        ({"steps": 0}, ConfigError, "steps is 0"),
        ({"steps": 2.5}, GatewiseError, "steps"),
        ({"seed": [1, 2]}, ShapeError, "seed holds 2 seeds; expected one for each of 1"),
        ({"seed": [None]}, ConfigError, "seed holds None"),
        ({"seed": -1}, ConfigError, "seed"),
        ({"end": 6}, ConfigError, "end is 6"),
        ({"prompt": []}, ShapeError, "prompt is empty"),
        ({"prompt": [[1], []]}, ShapeError, "prompt 1 is empty"),
        ({"prompt": np.empty((0, 3))}, ShapeError, "no prompts"),
        ({"prompt": "to be"}, DTypeError, "prompt is 'to be'.*Vocabulary"),
        ({"prompt": ["to", "be"]}, DTypeError, "Vocabulary"),
        ({"prompt": [1, 6]}, ShapeError, "prompt holds 6; the model reads symbols from 0 to 5"),
        ({"prompt": [[1], [2, -1]]}, ShapeError, "prompt 1 holds -1"),
        ({"prompt": np.array(3)}, DTypeError, "prompt is ndarray"),
        ({"prompt": [1.5]}, DTypeError, "prompt holds 1.5"),
        ({"prompt": [[[1]]]}, ShapeError, "shape"),
        ({"prompt": [1, [2]]}, ShapeError, "prompt"),
        ({"prompt": 3}, GatewiseError, "prompt"),
        ({"model": "model"}, DTypeError, "expected a gatewise model"),
    ],
)
def test_wrong_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        sample(**{"model": of_numbers(), "prompt": [1], "steps": 3, "seed": 0} | arguments)


@pytest.mark.parametrize(
    ("stack", "shape", "message"),
    [
        ([LSTM(4), Dense(3, "sigmoid")], (None, None, 3), "is a sigmoid"),
        ([LSTM(4)], (None, None, 4), "is a tanh"),
        ([LSTM(4), Dense(5, "softmax")], (None, None, 3), "reads 3 symbols .* predicts 5"),
        ([Embedding(3, 2), LSTM(4), Dense(5, "softmax")], (None, None), "reads 3 symbols"),
        ([Dense(5, "softmax")], (None, 5), "reads no steps"),
        (
            [Bidirectional(LSTM(4)), Dense(3, "softmax")],
            (None, None, 3),
            "'bidirectional.*cannot run one step after the other",
        ),
    ],
)
def test_models_that_do_not_predict_symbols_are_refused(stack, shape, message):
    model = Sequential(stack)
    model.build(shape)
    with pytest.raises(ConfigError, match=message):
        sample(model, [1], 3)


def test_a_model_that_is_not_built():
    with pytest.raises(StateError, match="not built"):
        sample(Sequential([Embedding(3, 2), LSTM(3)]), [1], 3)


def test_broken_weights_are_reported():
    model = of_vectors()
    model.flat_parameters[-1] = np.nan
    with pytest.raises(NonFiniteError, match="output of the model"):
        sample(model, [1], 3)
