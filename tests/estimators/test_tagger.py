"""SequenceTagger: labels of steps in all their forms."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from small_sequences import SMALL, fitted, parameters_of, ragged

from gatewise import SequenceTagger
from gatewise.errors import ConfigError, PredictionWarning, ShapeError

TRAINED = {"units": 8, "max_iter": 40, "learning_rate_init": 0.03, "random_state": 0}


def running(row):
    """A label a step, of all steps up to it."""
    return np.where(np.cumsum(row[:, 0]) > 0, "up", "down")


@pytest.fixture
def sequences(rng):
    X = ragged(rng, 40)
    return X, [running(row) for row in X]


def test_learns_what_each_step_is(sequences):
    X, y = sequences
    tagger = fitted(SequenceTagger(**TRAINED), X, y)
    assert list(tagger.classes_) == ["down", "up"]
    predicted = tagger.predict(X)
    assert [len(labels) for labels in predicted] == [len(row) for row in X]
    share = accuracy_score(np.concatenate(y), np.concatenate(predicted))
    assert tagger.score(X, y) == share > 0.9
    p = tagger.predict_proba(X)
    assert all(part.shape == (len(row), 2) for part, row in zip(p, X))
    np.testing.assert_array_equal(
        tagger.classes_[np.concatenate(p).argmax(axis=1)], np.concatenate(predicted)
    )


def test_a_later_step_does_not_change_an_earlier_label_unless_both_directions_are_read(sequences):
    X, y = sequences
    cut = [row[:2] for row in X]
    for bidirectional in (False, True):
        tagger = fitted(SequenceTagger(bidirectional=bidirectional, **SMALL), X, y)
        whole = np.stack([part[:2] for part in tagger.predict_proba(X)])
        assert np.array_equal(whole, np.stack(tagger.predict_proba(cut))) is not bidirectional


def test_padding_counts_in_nothing(sequences):
    X, y = sequences
    tagger = fitted(
        SequenceTagger(
            units=4, max_iter=1, batch_size=40, learning_rate_init=1e-12, random_state=0
        ),
        X,
        y,
    )
    p = np.concatenate(tagger.predict_proba(X))[
        np.arange(sum(map(len, X))), np.searchsorted(tagger.classes_, np.concatenate(y))
    ]
    assert tagger.loss_ == pytest.approx(-np.log(p).mean(), rel=1e-6)


@pytest.mark.parametrize(
    "make", [lambda y: y, tuple, lambda y: [list(row) for row in y], lambda y: pd.Series(y)]
)
def test_forms_of_labels(make, sequences):
    X, y = sequences
    expected = parameters_of(fitted(SequenceTagger(**SMALL), X, y))
    np.testing.assert_array_equal(
        parameters_of(fitted(SequenceTagger(**SMALL), X, make(y))), expected
    )


def test_tables_of_labels(rng):
    X = rng.normal(size=(20, 5))
    y = (np.cumsum(X, axis=1) > 0).astype(int)
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    assert tagger.predict(X).shape == (20, 5) and tagger.predict_proba(X).shape == (20, 5, 2)
    for form in (y[..., None], pd.DataFrame(y), y.tolist()):
        np.testing.assert_array_equal(
            parameters_of(fitted(SequenceTagger(**SMALL), X[..., None], form)),
            parameters_of(tagger),
        )
    assert isinstance(tagger.predict(list(X)), list)


def test_groups_give_a_label_a_row(sequences):
    X, y = sequences
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    step = np.concatenate([np.arange(len(row)) for row in X])
    order = np.argsort(step, kind="stable")
    who = np.repeat(np.arange(40), [len(row) for row in X])[order]
    rows, labels = np.concatenate(X)[order], np.concatenate(y)[order]
    grouped = fitted(SequenceTagger(**SMALL), rows, labels, groups=who)
    np.testing.assert_array_equal(parameters_of(grouped), parameters_of(tagger))
    np.testing.assert_array_equal(
        grouped.predict(rows, groups=who), np.concatenate(tagger.predict(X))[order]
    )
    assert grouped.score(rows, labels, groups=who) == tagger.score(X, y)


def test_a_label_a_row_stands_for_all_its_steps(rng):
    X = ragged(rng, 30)
    y = np.array([row[:, 0].sum() > 0 for row in X]).astype(int)
    a_row = fitted(SequenceTagger(**SMALL), X, y)
    a_step = fitted(
        SequenceTagger(**SMALL), X, [np.full(len(row), label) for row, label in zip(X, y)]
    )
    np.testing.assert_array_equal(parameters_of(a_row), parameters_of(a_step))
    means = np.stack([p.mean(axis=0) for p in a_step.predict_proba(X)])
    np.testing.assert_allclose(a_row.predict_proba(X), means)
    np.testing.assert_array_equal(a_row.predict(X), means.argmax(axis=1))
    assert a_row.score(X, y) == accuracy_score(y, means.argmax(axis=1))
    np.testing.assert_array_equal(
        a_row.predict_proba(X), np.concatenate([a_row.predict_proba([row]) for row in X])
    )
    with pytest.raises(ConfigError, match="y has a label a step; the first call gave one a row"):
        a_row.partial_fit(X, [np.full(len(row), 0) for row in X])


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_and_logarithms(classes, rng):
    X = ragged(rng, 30)
    y = [np.arange(len(row)) % classes for row in X]
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    p, scores = (
        np.concatenate(part) for part in (tagger.predict_proba(X), tagger.decision_function(X))
    )
    np.testing.assert_allclose(np.exp(np.concatenate(tagger.predict_log_proba(X))), p)
    if classes == 2:
        assert scores.shape == p.shape[:1]
        np.testing.assert_allclose(p[:, 1], 1 / (1 + np.exp(-scores.astype(float))))
    else:
        np.testing.assert_allclose(np.diff(scores.astype(float)), np.diff(np.log(p)), atol=1e-6)
    table = rng.normal(size=(5, 4))
    assert fitted(SequenceTagger(**SMALL), table, table > 0).decision_function(table).shape == (
        5,
        4,
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_and_logarithms_of_rows(classes, rng):
    X = ragged(rng, 30)
    tagger = fitted(SequenceTagger(**SMALL), X, np.arange(30) % classes)
    p, scores = tagger.predict_proba(X), tagger.decision_function(X)
    np.testing.assert_allclose(tagger.predict_log_proba(X), np.log(p))
    np.testing.assert_allclose(scores, np.log(p[:, 1] / p[:, 0]) if classes == 2 else np.log(p))
    with pytest.warns(PredictionWarning, match="sequence 0 of X has no step"):
        np.testing.assert_allclose(
            tagger.predict_proba([np.zeros((0, 3)), X[0]]), [np.full(classes, 1 / classes), p[0]]
        )


def test_weights_of_steps(sequences, rng):
    """A step of weight 0 could have any label.

    Two weights of sequences are the same weights of their steps.
    """
    X, y = sequences
    weights = [rng.integers(0, 2, len(row)).astype(float) for row in X]
    options = SMALL | {"dtype": "float64", "batch_size": 40}
    given = fitted(SequenceTagger(**options), X, y, sample_weight=weights)
    other = [np.where(weight > 0, labels, "up") for labels, weight in zip(y, weights)]
    np.testing.assert_allclose(
        parameters_of(fitted(SequenceTagger(**options), X, other, sample_weight=weights)),
        parameters_of(given),
        rtol=1e-9,
    )
    each = rng.uniform(1, 2, 40)
    by_row = fitted(SequenceTagger(**options), X, y, sample_weight=each)
    by_step = fitted(
        SequenceTagger(**options),
        X,
        y,
        sample_weight=[np.full(len(row), part) for row, part in zip(X, each)],
    )
    np.testing.assert_allclose(parameters_of(by_row), parameters_of(by_step), rtol=1e-9)
    assert by_row.score(X, y, sample_weight=each) == pytest.approx(
        by_row.score(X, y, sample_weight=[np.full(len(row), part) for row, part in zip(X, each)])
    )


def test_class_weight(sequences):
    X, y = sequences
    options = SMALL | {"dtype": "float64"}
    given = fitted(SequenceTagger(class_weight={"up": 3.0, "down": 0.5}, **options), X, y)
    by_hand = fitted(
        SequenceTagger(**options),
        X,
        y,
        sample_weight=[np.where(labels == "up", 3.0, 0.5) for labels in y],
    )
    np.testing.assert_allclose(parameters_of(given), parameters_of(by_hand), rtol=1e-9)
    count = dict(zip(*np.unique(np.concatenate(y), return_counts=True)))
    total = sum(count.values())
    balanced = fitted(SequenceTagger(class_weight="balanced", **options), X, y)
    by_hand = fitted(
        SequenceTagger(**options),
        X,
        y,
        sample_weight=[np.array([total / (2 * count[label]) for label in labels]) for labels in y],
    )
    np.testing.assert_allclose(parameters_of(balanced), parameters_of(by_hand), rtol=1e-9)


def test_early_stopping_scores_true_steps(sequences):
    X, y = sequences
    tagger = fitted(SequenceTagger(early_stopping=True, validation_fraction=0.5, **SMALL), X, y)
    steps = [sum(len(X[n]) for n in range(40))]
    assert len(tagger.validation_scores_) == 3
    # Shares of true steps: a score that saw padding would have another denominator.
    assert all(
        any(abs(score * count - round(score * count)) < 1e-9 for count in range(40, steps[0]))
        for score in tagger.validation_scores_
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cross_validation(sequences):
    X, y = sequences
    scores = cross_val_score(SequenceTagger(**SMALL), X, y, cv=3)
    assert scores.shape == (3,) and np.isfinite(scores).all()
    search = GridSearchCV(SequenceTagger(**SMALL), {"units": [2, 3]}, cv=2).fit(X, y)
    assert search.best_params_["units"] in (2, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], "y has 39 rows, X has 40"),
        (lambda y: [labels[:-1] for labels in y], r"y\[0\] has shape"),
        (lambda y: [np.stack([labels, labels]) for labels in y], r"y\[0\] has shape"),
    ],
)
def test_labels_that_do_not_fit(change, message, sequences):
    X, y = sequences
    with pytest.raises(ShapeError, match=message):
        SequenceTagger(**SMALL).fit(X, change(y))


def test_balanced_classes_are_counted_where_steps_count(sequences):
    """A step of weight 0 counts in nothing, the balance of the classes included."""
    X, y = sequences
    cut = [row[:3] for row in X]
    weights = [np.where(np.arange(len(row)) < 3, 1.0, 0.0) for row in X]
    options = {
        "units": 4,
        "max_iter": 5,
        "batch_size": len(X),
        "class_weight": "balanced",
        "random_state": 0,
    }
    whole = fitted(SequenceTagger(**options), X, y, sample_weight=weights)
    short = fitted(SequenceTagger(**options), cut, [row[:3] for row in y])
    for a, b in zip(whole.predict_proba(cut), short.predict_proba(cut)):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([0, 2], [0, 2]),
        ([-1, 1], [-1, 1]),
        ([1.0, 2.0], [1, 2]),
        ([False, True], [False, True]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_two_labels_of_steps_of_any_kind_are_two_classes(labels, classes, rng):
    X, y = rng.normal(size=(12, 3, 2)), np.array(labels)[rng.integers(0, 2, (12, 3))]
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    assert tagger.classes_.tolist() == classes and tagger.n_outputs_ == 1
    assert tagger.predict(X).dtype == y.dtype


def test_a_sparse_matrix_is_not_labels_of_steps(rng):
    X, y = rng.normal(size=(12, 3, 2)), sparse.csr_array(rng.integers(0, 2, (12, 3)))
    with pytest.raises(ConfigError, match="y is a sparse matrix, .* expected one label a step"):
        SequenceTagger(**SMALL).fit(X, y)
