"""SequenceTranslator: texts and rows of tokens, scores, searches, pipelines, files."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_checks

from gatewise import SequenceGenerator, SequenceTranslator, load_estimator
from gatewise.errors import ConfigError, DTypeError, NotFittedError, ShapeError

X = ["abc", "bca", "cab", "ab", "ca", "b", "aac", "cb"] * 12
Y = [text[::-1].upper() for text in X]
OPTIONS = {"units": 16, "embedding": 8, "max_iter": 3, "random_state": 0}


@pytest.mark.parametrize(
    "name",
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
def test_scikit_learns_checks(name):
    """Those that give no data; the others give tables of numbers."""
    getattr(estimator_checks, name)("SequenceTranslator", SequenceTranslator())


def test_a_pickle_predicts_the_same(reverser):
    assert pickle.loads(pickle.dumps(reverser)).predict(X) == reverser.predict(X)


@pytest.fixture(scope="module")
def reverser():
    options = OPTIONS | {"max_iter": 15, "learning_rate_init": 0.02}
    return SequenceTranslator(**options).fit(X, Y)


def test_texts(reverser):
    assert reverser.score(X, Y) > 0.9
    assert reverser.predict(["cab", "b"]) == ["BAC", "B"]
    assert reverser.predict(["cab"], beam=3) == ["BAC"]
    assert reverser.score([*X[:2], "abc"], [*Y[:2], "?"], sample_weight=[1, 1, 2]) == 0.5
    assert reverser.n_iter_ == len(reverser.loss_curve_) == 15
    assert reverser.predict([]) == []


def test_texts_of_words_are_compared_as_they_are_cut():
    """y with other spaces than those that predict writes; beside a text that differs."""
    sources = ["a", "b", "c"] * 20
    spaced = {"a": "well , yes", "b": "no  no", "c": '" oh "'}
    options = OPTIONS | {"max_iter": 12, "learning_rate_init": 0.02}
    translator = SequenceTranslator(tokens=("characters", "words"), **options)
    translator.fit(sources, [spaced[text] for text in sources])
    assert translator.predict(["a", "b", "c"]) == ["well, yes", "no no", '"oh"']
    assert translator.score(["a", "b", "c"], list(spaced.values())) == 1
    assert translator.score(["a", "b"], ["well yes", ["no", "no"]]) == 0.5


def test_reserved_tokens_are_not_written():
    translator = SequenceTranslator(**OPTIONS, label_smoothing=0.5).fit([["x"]] * 9, [["u"]] * 9)
    layer = translator.model_._layer
    layer._parts["output"].parameters["bias"][:3] = 50  # of <pad>, <unk> and <s>
    for beam in (1, 3):
        (found,) = translator.predict([["x"]], beam=beam)
        assert set(found) <= {"u"}


def test_predictions_do_not_depend_on_neighbours(reverser):
    texts = ["abcabcabc", "c", "", "xyz", "aab"]
    for beam in (1, 3):
        assert reverser.predict(texts, beam) == [reverser.predict([t], beam)[0] for t in texts]


def test_attention_weights(reverser):
    (weights,) = reverser.attention_weights(["cab"])
    assert weights.shape == (3, 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)


def test_rows_of_tokens_and_a_pair_of_levels():
    rows = [text.lower().split() for text in ("the cat", "a dog", "the dog", "a cat")] * 8
    translated = [[word.upper() for word in row] for row in rows]
    found = SequenceTranslator(**OPTIONS).fit(rows, translated).predict(rows[:2])
    assert all(isinstance(row, list) for row in found)
    pair = SequenceTranslator(**OPTIONS, tokens=("characters", "words"))
    pair.fit(["abc", "bca"] * 8, ["one two", "two"] * 8)
    assert set(pair.target_vocabulary_.tokens_) >= {"one", "two"}
    assert set(pair.source_vocabulary_.tokens_) >= {"a", "b", "c"}


def test_a_fit_repeats_to_the_bit_for_any_number_of_threads():
    first = SequenceTranslator(**OPTIONS, n_jobs=1, dropout=0.2).fit(X, Y)
    second = SequenceTranslator(**OPTIONS, n_jobs=2, dropout=0.2).fit(X, Y)
    assert first.loss_curve_ == second.loss_curve_


def test_early_stopping_keeps_the_best_weights():
    options = OPTIONS | {"max_iter": 6}
    found = SequenceTranslator(**options, early_stopping=True, n_iter_no_change=2).fit(X, Y)
    assert len(found.validation_losses_) == found.n_iter_
    assert SequenceTranslator(**OPTIONS).fit(X, Y).validation_losses_ is None


def test_a_pair_of_weight_zero_does_not_count():
    weights = np.ones(len(X))
    weights[1::8] = 0
    wrong = [y if weight else "AAA" for y, weight in zip(Y, weights)]
    other = [y if weight else "BBB" for y, weight in zip(Y, weights)]
    found = [
        SequenceTranslator(**OPTIONS).fit(X, y, sample_weight=weights).loss_curve_
        for y in (wrong, other)
    ]
    assert found[0] == found[1]


def test_search():
    search = GridSearchCV(SequenceTranslator(**OPTIONS), {"attention": ["luong", None]}, cv=2)
    search.fit(X[:32], Y[:32])
    assert search.best_params_["attention"] in ("luong", None)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def cut(text):
    return list(text)


@pytest.mark.parametrize("tokens", ["characters", ("characters", cut)])
def test_files(tokens, tmp_path):
    options = OPTIONS | {"tokens": tokens, "attention": "bahdanau", "cell": "gru"}
    found = SequenceTranslator(**options).fit(X, Y)
    found.save(tmp_path / "translator.safetensors")
    read = load_estimator(tmp_path / "translator.safetensors", {"cut": cut})
    assert isinstance(read, SequenceTranslator)
    assert read.get_params() == found.get_params()
    assert read.predict(X, beam=2) == found.predict(X, beam=2)
    assert read.loss_curve_ == found.loss_curve_


def test_a_fit_that_fails_leaves_the_estimator_as_it_was(reverser):
    before = reverser.predict(X)
    with pytest.raises(ShapeError):
        reverser.fit(X, Y[:3])
    assert reverser.predict(X) == before


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: SequenceTranslator().predict(X), NotFittedError, "call fit first"),
        (lambda: SequenceTranslator().fit("abc", Y), DTypeError, "X is the text 'abc'"),
        (lambda: SequenceTranslator().fit([1, 2], ["a", "b"]), DTypeError, r"X\[0\] is int"),
        (lambda: SequenceTranslator().fit(["a"], [[1]]), DTypeError, r"y\[0\] holds the token 1"),
        (lambda: SequenceTranslator().fit({"a": "b"}, ["a"]), DTypeError, "X is dict"),
        (
            lambda: SequenceTranslator().fit(["a"], [["b", "</s>"]]),
            ShapeError,
            r"y\[0\] holds the token '</s>', which stands for the end",
        ),
        (
            lambda: SequenceTranslator().fit(["a"], [["b", "<pad>"]]),
            ShapeError,
            "stands for padding",
        ),
        (
            lambda: SequenceTranslator(tokens="letters").fit(X, Y),
            ConfigError,
            "tokens is 'letters'",
        ),
        (lambda: SequenceTranslator(tokens=("words",) * 3).fit(X, Y), ConfigError, "a pair"),
        (lambda: SequenceTranslator(cell="lsmt").fit(X, Y), ConfigError, "cell is 'lsmt'"),
        (lambda: SequenceTranslator(learning_rate="fast").fit(X, Y), ConfigError, "learning_rate"),
        (lambda: SequenceTranslator(max_iter=0).fit(X, Y), ConfigError, "max_iter"),
        (lambda: SequenceTranslator().fit([], []), ShapeError, "0 rows"),
        (
            lambda: SequenceTranslator().fit(X, Y, sample_weight=[-1.0] + [1.0] * 95),
            ConfigError,
            "below zero",
        ),
        (
            lambda: SequenceTranslator(attention=None, **OPTIONS).fit(X, Y).attention_weights(X),
            ConfigError,
            "attention=None",
        ),
        (
            lambda: SequenceTranslator().fit(X, Y, sample_weight=[1.0]),
            ShapeError,
            "a weight for each text",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("weights", "error"),
    [([1.0], ShapeError), ([0.0, 0.0], ConfigError), ([-1.0, 2.0], ConfigError)],
)
def test_wrong_weights_of_a_score(reverser, weights, error):
    with pytest.raises(error, match="sample_weight"):
        reverser.score(X[:2], Y[:2], sample_weight=weights)


def test_a_table_is_refused(reverser):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": X[:3]})
    with pytest.raises(DTypeError, match="pass one column"):
        reverser.predict(frame)
    with pytest.raises(DTypeError, match="pass one column"):
        SequenceGenerator().fit(frame)
    assert reverser.predict(frame["text"]) == reverser.predict(X[:3])
