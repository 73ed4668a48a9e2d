"""SequenceTranscriber: rows of labels in all their forms, without their places in time."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted, parameters_of

from gatewise import SequenceTranscriber, load_estimator
from gatewise.data import SequenceScaler
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import LSTM, Conv1D, Dense

ONE = {"units": 4, "max_iter": 1, "batch_size": 40, "learning_rate_init": 1e-12, "random_state": 0}


def spelled(rng, count=40, letters="abc", longest=4):
    """Texts, and their letters as frames with frames of silence between them."""
    texts = ["".join(rng.choice(list(letters), rng.integers(1, longest + 1))) for _ in range(count)]
    frames = []
    for text in texts:
        each = [[np.zeros(len(letters))]]
        for letter in text:
            column = np.eye(len(letters))[letters.index(letter)]
            each += [[column] * rng.integers(1, 4), [np.zeros(len(letters))]]
        sequence = np.array(list(itertools.chain(*each)))
        frames.append(sequence + rng.normal(0, 0.05, sequence.shape))
    return frames, texts


@pytest.fixture
def spoken(rng):
    return spelled(rng)


def distance(a, b):
    """Edit distance of two rows, by its recursion."""
    if not a or not b:
        return len(a) + len(b)
    return min(
        distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0])
    )


def test_learns_to_read_texts(rng):
    X, y = spelled(rng, 120)
    transcriber = SequenceTranscriber(
        "gru", 16, max_iter=30, learning_rate="cosine", learning_rate_init=0.02, random_state=0
    )
    fitted(transcriber, X[:80], y[:80])
    assert list(transcriber.classes_) == ["a", "b", "c"] and transcriber.n_outputs_ == 4
    predicted = transcriber.predict(X[80:])
    assert all(isinstance(text, str) for text in predicted)
    edits = sum(distance(a, b) for a, b in zip(y[80:], predicted))
    score = transcriber.score(X[80:], y[80:])
    assert score == pytest.approx(1 - edits / sum(map(len, y[80:]))) and score > 0.9
    assert transcriber.predict(X[80:], beam=4) == [
        transcriber.predict([row], beam=4)[0] for row in X[80:]
    ]


@pytest.mark.parametrize(
    ("make", "back"),
    [
        (list, list),
        (lambda text: tuple("abc".index(letter) for letter in text), list),
        (lambda text: np.array([7 + "abc".index(letter) for letter in text]), list),
        (lambda text: [f"word {letter}" for letter in text], list),
    ],
)
def test_lists_of_labels_are_read_as_texts_are(make, back, spoken):
    X, y = spoken
    by_text = fitted(SequenceTranscriber(**SMALL), X, y)
    given = [make(text) for text in y]
    other = fitted(SequenceTranscriber(**SMALL), X, given)
    np.testing.assert_array_equal(parameters_of(other), parameters_of(by_text))
    assert other.predict(X) == [
        [label.item() if hasattr(label, "item") else label for label in make(text)]
        for text in by_text.predict(X)
    ]
    assert other.score(X, given) == by_text.score(X, y)


@pytest.mark.parametrize("make", [tuple, pd.Series, np.array, lambda y: np.array(y, object)])
def test_forms_of_texts(make, spoken):
    X, y = spoken
    expected = parameters_of(fitted(SequenceTranscriber(**SMALL), X, y))
    np.testing.assert_array_equal(
        parameters_of(fitted(SequenceTranscriber(**SMALL), X, make(y))), expected
    )


def test_the_loss_is_that_of_ctc_over_all_alignments(rng):
    X, y = spelled(rng, 6, longest=2)
    X = [row[: len(text) + 3] for row, text in zip(X, y)]
    transcriber = fitted(SequenceTranscriber(**ONE), X, y)
    losses = []
    for row, text in zip(X, y):
        p = np.exp(log_softmax(transcriber._scores(transcriber._read_X([row], None))[0], axis=-1))
        total = 0.0
        for path in itertools.product(range(4), repeat=len(row)):
            kept = [k for n, k in enumerate(path) if k and (n == 0 or path[n - 1] != k)]
            if "".join("-abc"[k] for k in kept) == text:
                total += np.prod([step[k] for step, k in zip(p, path)])
        losses.append(-np.log(total))
    assert transcriber.loss_ == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_sequence_alone_and_among_longer_ones(spoken):
    X, y = spoken
    transcriber = fitted(SequenceTranscriber(**SMALL), X, y)
    together = transcriber._scores(transcriber._read_X(X, None))
    for row, scores in zip(X, together):
        alone = transcriber._scores(transcriber._read_X([row], None))[0]
        np.testing.assert_array_equal(scores[: len(row)], alone)
    assert transcriber.predict(X) == [transcriber.predict([row])[0] for row in X]


def test_steps_that_an_architecture_merges(rng):
    """The output has every second step; nothing is read past its end."""
    X, y = spelled(rng, 30, longest=2)
    X = [np.repeat(row, 3, axis=0) for row in X]

    def architecture(n_steps, n_features, n_outputs):
        return [
            Conv1D(8, 4, strides=2, padding="same", activation="relu"),
            LSTM(8, return_sequences=True),
            Dense(n_outputs),
        ]

    transcriber = fitted(SequenceTranscriber(architecture=architecture, **SMALL), X, y)
    assert transcriber.predict(X) == [transcriber.predict([row])[0] for row in X]
    stopped = SequenceTranscriber(architecture=architecture, early_stopping=True, **SMALL)
    assert len(fitted(stopped, X, y).validation_scores_) == 3


def test_the_validation_score_is_the_score_of_the_held_out_rows(spoken):
    X, y = spoken
    options = SMALL | {"max_iter": 6, "learning_rate_init": 0.05}
    transcriber = SequenceTranscriber(early_stopping=True, validation_fraction=0.5, **options)
    fitted(transcriber, X, y)
    scores = transcriber.validation_scores_
    assert transcriber.best_validation_score_ == max(scores)
    labels = sum(map(len, y))
    assert all(
        any(
            abs((1 - score) * count - round((1 - score) * count)) < 1e-9
            for count in range(1, labels)
        )
        for score in scores
    )


def test_weights(spoken):
    X, y = spoken
    options = SMALL | {"batch_size": 80, "dtype": "float64"}
    weights = np.array([2, 0, 1, 1] * 10)
    weighted = fitted(SequenceTranscriber(**options), X, y, sample_weight=weights)
    copies = np.repeat(np.arange(40), weights)
    copied = fitted(SequenceTranscriber(**options), [X[n] for n in copies], [y[n] for n in copies])
    np.testing.assert_allclose(parameters_of(weighted), parameters_of(copied), rtol=1e-9)
    assert weighted.score(X, y, sample_weight=weights) == pytest.approx(
        weighted.score([X[n] for n in copies], [y[n] for n in copies])
    )


def test_groups_have_a_row_of_labels_each(spoken):
    X, y = spoken
    plain = fitted(SequenceTranscriber(**SMALL), X, y)
    rows, who = np.concatenate(X), np.repeat(np.arange(40), [len(row) for row in X])
    grouped = fitted(SequenceTranscriber(**SMALL), rows, y, groups=who)
    np.testing.assert_array_equal(parameters_of(grouped), parameters_of(plain))
    assert grouped.predict(rows, groups=who) == plain.predict(X)
    assert grouped.score(rows, y, groups=who) == plain.score(X, y)
    with pytest.raises(ShapeError, match=f"y has {len(rows)} rows of labels, and there are 40"):
        SequenceTranscriber(**SMALL).fit(rows, ["a"] * len(rows), groups=who)


def test_partial_fit_and_later_labels(spoken):
    X, y = spoken
    transcriber = SequenceTranscriber(**SMALL).partial_fit(X[:8], ["a"] * 8, classes=list("abc"))
    transcriber.partial_fit(X, y)
    assert transcriber.n_iter_ == 2
    with pytest.raises(ConfigError, match="y holds the label 'd'"):
        transcriber.partial_fit(X, ["d"] * 40)
    with pytest.raises(ConfigError, match="y holds lists of labels; the first call had texts"):
        transcriber.partial_fit(X, [list(text) for text in y])
    assert transcriber.score(X[:2], ["dd", "d"]) <= 0  # a label that was never seen is an error


def test_a_row_may_be_empty_and_a_sequence_too(spoken):
    X, y = spoken
    y = ["", *y[1:]]
    transcriber = fitted(SequenceTranscriber(**SMALL), X, y)
    assert transcriber.predict([X[0][:0], X[1]])[0] == ""
    as_lists = fitted(SequenceTranscriber(**SMALL), X, [list(text) for text in y])
    assert as_lists.predict([X[0][:0], X[1]])[0] == []


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda y: y[:-1], ShapeError, "y has 39 entries, X has 40 samples"),
        (lambda y: "".join(y), ConfigError, "y is the text .*; expected a list with a text"),
        (lambda y: [""] * 40, ConfigError, "y holds no label"),
        (lambda y: [[0.5], *y[1:]], ConfigError, r"y\[0\] is \[0.5\]; expected a text, or labels"),
        (lambda y: [[True], *y[1:]], ConfigError, r"y\[0\] is \[True\]; expected"),
        (lambda y: [["a", 1], *y[1:]], ConfigError, r"y\[0\] is \['a', 1\]; expected"),
        (lambda y: [[1], *map(list, y[1:])], ConfigError, "labels that are text and labels that"),
        (lambda y: [[["a"]], *y[1:]], ShapeError, r"y\[0\] has shape \(1, 1\)"),
        (lambda y: None, ConfigError, "requires y"),
        (
            lambda y: ["abcabcabcabcabcabcabcabc", *y[1:]],
            ShapeError,
            r"y\[0\] has 24 labels, which",
        ),
    ],
)
def test_rows_that_cannot_be_read(change, error, message, spoken):
    X, y = spoken
    transcriber = SequenceTranscriber(**SMALL)
    with pytest.raises(error, match=message):
        transcriber.fit(X, change(y))
    assert not hasattr(transcriber, "model_")


def test_equal_neighbours_need_a_step_between_them():
    X = [np.ones((3, 1)), np.ones((2, 1))]
    with pytest.raises(ShapeError, match=r"y\[1\] has 2 labels, which need 3 steps .* has 2"):
        SequenceTranscriber(**SMALL).fit(X, ["aa", "aa"])
    fitted(SequenceTranscriber(**SMALL), X, ["aa", "ab"])


def test_a_score_with_a_beam_is_that_of_its_predictions(spoken):
    """Of outputs that are unsure, so that beams differ from the likeliest labels."""
    X, y = spoken
    transcriber = fitted(SequenceTranscriber(**SMALL | {"max_iter": 60}), X, y)
    scores = [
        1 - sum(map(distance, y, transcriber.predict(X, beam))) / sum(map(len, y))
        for beam in (1, 8)
    ]
    assert scores[0] != scores[1]
    assert transcriber.score(X, y) == pytest.approx(scores[0])
    assert transcriber.score(X, y, beam=8) == pytest.approx(scores[1])


def test_wrong_beams(spoken):
    X, y = spoken
    transcriber = fitted(SequenceTranscriber(**SMALL), X, y)
    with pytest.raises(ConfigError, match="beam is 0; expected 1"):
        transcriber.predict(X, beam=0)
    with pytest.raises(DTypeError, match="beam is 1.5"):
        transcriber.predict(X, beam=1.5)
    with pytest.raises(ConfigError, match="beam is 0; expected 1"):
        transcriber.score(X, y, beam=0)


@pytest.mark.parametrize("lists", [False, True])
def test_files(lists, spoken, tmp_path):
    X, y = spoken
    y = [list(text) for text in y] if lists else y
    pipeline = make_pipeline(SequenceScaler(), SequenceTranscriber(**SMALL))
    fitted(pipeline, X, y)
    pipeline[-1].save(tmp_path / "transcriber")
    read, inputs = load_estimator(tmp_path / "transcriber"), pipeline[0].transform(X)
    assert read.predict(inputs) == pipeline.predict(X)
    fitted(clone(read), inputs, y)
    np.testing.assert_array_equal(
        parameters_of(read.partial_fit(inputs, y)),
        parameters_of(pipeline[-1].partial_fit(inputs, y)),
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_searches(spoken):
    X, y = spoken
    assert cross_val_score(SequenceTranscriber(**SMALL), X, y, cv=3).shape == (3,)
    search = GridSearchCV(SequenceTranscriber(**SMALL), {"units": [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["units"] in (2, 3)
