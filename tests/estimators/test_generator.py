"""SequenceGenerator: texts that continue as those that it has read."""

import math
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from gatewise import SequenceGenerator, Sequential, layers, load_estimator
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NotFittedError,
    PredictionWarning,
    ShapeError,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"units": 8, "num_layers": 1, "embedding": 6, "max_iter": 3, "random_state": 0}
NAMES = ["anna", "hanna", "johanna", "susanna", "marianna", "rosanna", "ann", "o"]
LONG = "the cat sat on the mat; the dog sat on the cat. " * 30


@pytest.fixture(scope="module", params=[6, None], ids=["vectors", "one-hot"])
def generator(request):
    options = SMALL | {"units": 16, "learning_rate_init": 0.03, "max_iter": 40}
    options["embedding"] = request.param
    return SequenceGenerator("gru", **options).fit(NAMES * 4)


def weights_of(estimator):
    return np.array(estimator.model_.flat_parameters)


def log_probabilities(generator, text):
    """Of each token of a text, and of its end, from one pass of the network."""
    numbers = generator.vocabulary_.encode(text)
    y = generator.model_.predict(numbers[None, :-1])[0].astype(float)
    return np.log(y[np.arange(len(y)), numbers[1:]])


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_tags_renamed",
        "check_valid_tag_types",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_mixin_order",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_do_not_raise_errors_in_init_or_set_params",
    ],
)
def test_scikit_checks_that_give_no_data(check):
    """The others give tables of numbers, and X is made of texts, as the tags say."""
    getattr(estimator_checks, check)("SequenceGenerator", SequenceGenerator())
    with pytest.warns(SkipTestWarning, match="string=True"):
        assert not list(estimator_checks._yield_all_checks(SequenceGenerator(), legacy=True))


def test_it_learns_the_texts(generator):
    assert generator.loss_curve_[-1] < 0.5 * generator.loss_curve_[0]
    assert generator.perplexity(NAMES) < generator.perplexity(["nnao", "ojjhs"])
    assert generator.generate("hann", temperature=0) == "a"


def test_perplexity_is_that_of_the_network(generator):
    texts = ["hanna", "", "jo"]
    each = [log_probabilities(generator, text) for text in texts]
    expected = math.exp(-np.concatenate(each).mean())
    assert generator.perplexity(texts) == pytest.approx(expected, rel=1e-5)
    assert generator.score(texts) == -generator.perplexity(texts)
    weights = [1.0, 0.0, 2.5]
    total = sum(weight * logs.sum() for weight, logs in zip(weights, each))
    count = sum(weight * len(logs) for weight, logs in zip(weights, each))
    weighted = generator.perplexity(texts, sample_weight=weights)
    assert weighted == pytest.approx(math.exp(-total / count), rel=1e-5)


def test_long_texts_are_scored_in_pieces(generator, monkeypatch):
    texts = ["hannajo" * 9, "anna", "so" * 20]
    whole = generator.perplexity(texts)
    monkeypatch.setattr("gatewise.generation.likelihood.NUMBERS", 200)
    assert generator.perplexity(texts) == whole
    monkeypatch.setattr("gatewise.generation.likelihood.ROWS", 1)
    assert generator.perplexity(texts) == whole


def test_drawn_texts_repeat_with_their_random_state(generator):
    assert generator.generate(random_state=1) == generator.generate(random_state=1)
    drawn = {generator.generate(random_state=state) for state in range(8)}
    assert len(drawn) > 1
    state = np.random.RandomState(0)
    assert len({generator.generate(random_state=state) for _ in range(8)}) > 1


def test_several_prompts(generator):
    texts = generator.generate(["h", "", "marian"], 10, random_state=3)
    assert [type(text) for text in texts] == [str] * 3
    assert texts[0] == generator.generate("h", 10, random_state=3)
    assert generator.generate(["hann", "mariann"], temperature=0) == ["a", "a"]


def test_steps_limit_the_text():
    generator = SequenceGenerator(end_token=False, **SMALL).fit([LONG])
    assert len(generator.generate("the ", 37, random_state=0)) == 37
    assert len(generator.generate(steps=5, top_k=3, top_p=0.9, random_state=0)) == 5


def test_only_tokens_of_texts_are_drawn():
    options = SMALL | {"max_iter": 1, "learning_rate_init": 1e-6, "vocabulary_size": 6}
    generator = SequenceGenerator(**options).fit(NAMES)
    assert generator.vocabulary_.tokens_ == ["<pad>", "<unk>", "<s>", "</s>", "a", "n"]
    drawn = "".join(generator.generate([""] * 50, 50, temperature=100.0, random_state=0))
    assert set(drawn) == {"n", "a"}


def test_words_and_lists_of_tokens():
    words = SequenceGenerator(tokens="words", lowercase=True, **SMALL).fit(["The cat sat."] * 4)
    assert words.vocabulary_.tokens_[4:] == [".", "cat", "sat", "the"]
    assert isinstance(words.generate("The", 3, random_state=0), str)
    lists = SequenceGenerator(**SMALL).fit([["the", "cat"], ["the", "dog"]])
    drawn = lists.generate(["the"], 3, random_state=0)
    assert isinstance(drawn, list)
    assert set(drawn) <= {"the", "cat", "dog"}
    assert isinstance(lists.generate(steps=3, random_state=0), list)
    assert len(lists.generate([["the"], []], 3, random_state=0)) == 2
    cut = SequenceGenerator(tokens=str.split, **SMALL).fit(["a b", "b  c"])
    assert cut.vocabulary_.tokens_[4:] == ["b", "a", "c"]


def test_a_text_may_begin_with_what_is_unknown(generator):
    with pytest.warns(PredictionWarning, match="2 tokens of the prompt did not occur"):
        text = generator.generate("é7h", 5, random_state=0)
    assert isinstance(text, str)


def test_a_long_text_is_cut_into_pieces():
    from gatewise.estimators.reading.texts import pieces_of

    texts = [np.arange(101), np.arange(200, 204)]
    pieces, targets, source = pieces_of(texts, 4, 5)
    assert source.tolist() == [0, 0, 0, 0, 1]
    assert pieces.cut
    read = [row[:count] for row, count in zip(pieces.values, pieces.lengths)]
    said = [row[:count] for row, count in zip(targets, pieces.lengths)]
    assert np.array_equal(np.concatenate(read[:4]), texts[0][:-1])
    assert np.array_equal(np.concatenate(said[:4]), texts[0][1:])
    assert pieces.lengths[:4].max() - pieces.lengths[:4].min() <= 1
    assert np.array_equal(said[4], texts[1][1:])


def test_texts_of_about_the_same_length_are_not_cut():
    from gatewise.estimators.reading.texts import pieces_of

    texts = [np.arange(size) for size in (90, 100, 110, 131)]
    pieces, _, source = pieces_of(texts, 4, 5)
    assert not pieces.cut
    assert source.tolist() == [0, 1, 2, 3]


def test_short_texts_are_not_cut():
    from gatewise.estimators.reading.texts import pieces_of

    pieces, _, _ = pieces_of([np.arange(9)] * 2, 8, 64)
    assert pieces.values.shape == (2, 8)
    assert not pieces.cut


def test_early_stopping_of_one_text_holds_out_the_ends_of_its_pieces():
    options = SMALL | {"max_iter": 4, "early_stopping": True, "tbptt_steps": 16}
    generator = SequenceGenerator(**options).fit([LONG])
    assert len(generator.validation_scores_) == generator.n_iter_ == 4
    assert generator.best_validation_score_ == max(generator.validation_scores_) < -1


def test_early_stopping_of_several_texts_holds_out_texts():
    options = SMALL | {"early_stopping": True, "validation_fraction": 0.25}
    generator = SequenceGenerator(**options).fit(NAMES)
    assert generator.t_ == 3 * 6
    assert -generator.validation_scores_[-1] > 1


def test_the_score_while_training_is_the_perplexity():
    options = SMALL | {"early_stopping": True, "validation_fraction": 0.5, "max_iter": 1}
    generator = SequenceGenerator(**options).fit(["anna", "anna", "anna", "anna"])
    assert generator.validation_scores_ == [generator.score(["anna"])]


def test_fits_with_one_seed_are_the_same_to_the_bit():
    first, second = (SequenceGenerator(**SMALL).fit(NAMES) for _ in range(2))
    assert np.array_equal(weights_of(first), weights_of(second))
    other = SequenceGenerator(**SMALL | {"random_state": 1}).fit(NAMES)
    assert not np.array_equal(weights_of(first), weights_of(other))


def test_n_jobs_changes_no_bit():
    one, two = (SequenceGenerator(n_jobs=jobs, **SMALL).fit([LONG]) for jobs in (1, 2))
    assert np.array_equal(weights_of(one), weights_of(two))
    assert one.perplexity([LONG]) == two.perplexity([LONG])


def test_one_hot_tokens():
    generator = SequenceGenerator(**SMALL | {"embedding": None}).fit(NAMES)
    vectors = generator.model_.layers[0].get_weights()[0]
    assert np.array_equal(vectors, np.eye(generator.vocabulary_size_))
    copies = [type(layer).from_config(layer.get_config()) for layer in generator.model_.layers[1:]]
    reads_vectors = Sequential([layers.Input((None, generator.vocabulary_size_)), *copies])
    reads_vectors.set_weights(generator.model_.get_weights()[1:])
    numbers = generator.vocabulary_.encode("marianna")[None]
    expected = reads_vectors.predict(np.eye(generator.vocabulary_size_, dtype="float32")[numbers])
    assert np.array_equal(generator.model_.predict(numbers), expected)


def test_one_hot_tokens_remain_when_training_continues():
    generator = SequenceGenerator(warm_start=True, **SMALL | {"embedding": None}).fit(NAMES)
    before = weights_of(generator)
    generator.fit(NAMES).partial_fit(NAMES)
    assert not np.array_equal(weights_of(generator), before)
    vectors = generator.model_.layers[0].get_weights()[0]
    assert np.array_equal(vectors, np.eye(generator.vocabulary_size_))
    with pytest.raises(ConfigError, match="embedding changed since"):
        generator.set_params(embedding=6).fit(NAMES)


def test_partial_fit_continues_and_keeps_the_tokens():
    generator = SequenceGenerator(**SMALL).partial_fit(["abc", "bca"])
    before = weights_of(generator)
    generator.partial_fit(["cab", "xyz"])
    assert generator.vocabulary_.tokens_[4:] == ["a", "b", "c"]
    assert len(generator.loss_curve_) == 2
    assert not np.array_equal(weights_of(generator), before)
    with pytest.raises(ConfigError, match="early_stopping"):
        SequenceGenerator(early_stopping=True).partial_fit(["abc"])
    with pytest.raises(ConfigError, match="tokens changed since"):
        generator.set_params(tokens="words").partial_fit(["abc"])


def test_warm_start_continues():
    generator = SequenceGenerator(warm_start=True, **SMALL).fit(NAMES)
    before = generator.loss_
    generator.fit(NAMES)
    assert generator.loss_ < before
    assert len(generator.loss_curve_) == 6


def test_a_weight_counts_as_copies():
    options = SMALL | {"dtype": "float64", "dropout": 0.0, "batch_size": 32}
    weighted = SequenceGenerator(**options).fit(["ab", "ba", "bb"], sample_weight=[2, 1, 0])
    copied = SequenceGenerator(**options).fit(["ab", "ab", "ba"])
    # initial weights depend on the tokens alone
    assert weighted.vocabulary_.tokens_ == copied.vocabulary_.tokens_
    assert np.allclose(weights_of(weighted), weights_of(copied), rtol=0, atol=1e-9)


def test_a_failed_fit_leaves_the_generator_as_it_was(generator):
    before = vars(generator).copy(), weights_of(generator)
    with pytest.raises(DTypeError):
        generator.fit([3, 4])
    assert vars(generator) == before[0]
    assert np.array_equal(weights_of(generator), before[1])


def test_files(generator, tmp_path):
    path = tmp_path / "generator.safetensors"
    generator.save(path)
    loaded = load_estimator(path)
    assert loaded.get_params() == generator.get_params()
    assert loaded.perplexity(NAMES) == generator.perplexity(NAMES)
    assert loaded.generate("s", random_state=5) == generator.generate("s", random_state=5)
    loaded.partial_fit(NAMES)
    copied = pickle.loads(pickle.dumps(generator))
    assert copied.perplexity(NAMES) == generator.perplexity(NAMES)


def cut_at_dashes(text):
    return text.split("-")


def test_files_of_a_user_defined_cut(tmp_path):
    generator = SequenceGenerator(tokens=cut_at_dashes, **SMALL).fit(["a-b", "b-c"])
    generator.save(tmp_path / "cut.safetensors")
    loaded = load_estimator(
        tmp_path / "cut.safetensors", custom_objects={"cut_at_dashes": cut_at_dashes}
    )
    assert loaded.perplexity(["a-b-c"]) == generator.perplexity(["a-b-c"])


def test_in_pipelines_and_searches(tmp_path):
    lower = FunctionTransformer(lambda X: [text.lower() for text in X])
    pipeline = make_pipeline(lower, SequenceGenerator(**SMALL)).fit([n.upper() for n in NAMES])
    assert pipeline.score(["ANNA"]) < -1
    scores = cross_val_score(SequenceGenerator(**SMALL), NAMES, cv=2)
    assert (scores < -1).all()
    search = GridSearchCV(SequenceGenerator(**SMALL), {"units": [4, 8]}, cv=2).fit(NAMES)
    assert search.best_params_["units"] in (4, 8)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_custom_layers():
    def convolution(steps, features, outputs):
        return [layers.Conv1D(8, 3, padding="causal", activation="tanh"), layers.Dense(outputs)]

    generator = SequenceGenerator(architecture=convolution, **SMALL).fit(NAMES)
    assert isinstance(generator.generate("jo", random_state=0), str)
    sizes = []

    def dense(steps, features, outputs):
        sizes.append((features, outputs))
        return [layers.Dense(outputs)]

    SequenceGenerator(architecture=dense, **SMALL | {"embedding": None}).fit(["abc"])
    SequenceGenerator(architecture=dense, **SMALL).fit(["abc"])
    assert sizes == [(7, 7), (6, 7)]
    normal = SequenceGenerator(architecture="normalization", **SMALL).fit(NAMES)
    assert isinstance(normal.generate("jo", random_state=0), str)

    def both_ways(steps, features, outputs):
        recurrent = layers.GRU(4, return_sequences=True)
        return [layers.Bidirectional(recurrent), layers.Dense(outputs)]

    with pytest.raises(ConfigError, match="cannot run one step after the other"):
        SequenceGenerator(architecture=both_ways, **SMALL).fit(NAMES)


@pytest.mark.parametrize(
    ("options", "X", "error", "message"),
    [
        ({}, "one text", DTypeError, r"X is the text 'one text'.*\[X\]"),
        ({}, 3, DTypeError, "X is int"),
        ({}, [1, 2], GatewiseError, "X"),
        ({}, [], ShapeError, "no text"),
        ({"end_token": False}, ["", ""], ConfigError, "no tokens beside"),
        ({"tokens": "letters"}, ["a"], GatewiseError, "letters"),
        ({"end_token": 1}, ["a"], DTypeError, "end_token"),
        ({"embedding": 0}, ["a"], ConfigError, "embedding"),
        ({"embedding": "one-hot"}, ["a"], GatewiseError, "embedding"),
        ({"tbptt_steps": 0}, ["a"], ConfigError, "tbptt_steps"),
        ({"batch_size": "all"}, ["a"], ConfigError, "batch_size"),
        ({"architecture": "attention"}, ["a"], ConfigError, "architecture"),
        ({"vocabulary_size": 4}, ["a"], ConfigError, "vocabulary_size is 4"),
        ({"vocabulary_size": 2}, ["a"], ConfigError, "vocabulary_size is 2; expected 5"),
        ({"tokens": "letters"}, ["a"], ConfigError, "tokens is 'letters'"),
        (
            {"early_stopping": True, "validation_fraction": 0.001, "batch_size": 2},
            ["abcabcabcabc" * 40],
            ConfigError,
            "no token of the texts is left",
        ),
    ],
)
def test_what_cannot_be_fitted(options, X, error, message):
    with pytest.raises(error, match=message):
        SequenceGenerator(**SMALL | options).fit(X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"prompt": 3}, DTypeError, "prompt is int"),
        ({"prompt": []}, ShapeError, "no prompts"),
        ({"steps": 0}, ConfigError, "steps"),
        ({"temperature": -1}, ConfigError, "temperature"),
        ({"top_k": 0}, ConfigError, "top_k"),
        ({"top_p": 2.0}, ConfigError, "top_p"),
        ({"random_state": "x"}, ConfigError, "x"),
    ],
)
def test_what_cannot_be_generated(generator, arguments, error, message):
    with pytest.raises(error, match=message):
        generator.generate(**arguments)


def test_a_generator_of_lists_takes_lists():
    generator = SequenceGenerator(**SMALL).fit([["a", "b"]])
    with pytest.raises(DTypeError, match="fitted with lists of tokens"):
        generator.generate("a")


@pytest.mark.parametrize("weights", [[1.0], [-1.0, 1.0], [0.0, 0.0], [np.nan, 1.0]])
def test_wrong_weights(weights):
    with pytest.raises(GatewiseError, match="sample_weight"):
        SequenceGenerator(**SMALL).fit(["a", "b"], sample_weight=weights)


@pytest.mark.parametrize("call", ["generate", "perplexity", "score"])
def test_not_fitted(call):
    with pytest.raises(NotFittedError):
        getattr(SequenceGenerator(), call)(["a"])
