"""Sequences in which nothing counts: what is predicted of them is said to come from nothing."""

import warnings

import numpy as np
import pytest
from small_sequences import SMALL, fitted, ragged, signs

from gatewise import SequenceClassifier, SequenceEncoder, SequenceRegressor, SequenceTagger, layers
from gatewise.errors import PredictionWarning

ALONE = (
    r"sequence 2 of X has no step that counts \(1 of 5\): what is predicted for it says nothing"
    r" about it"
)


def warned(call, *arguments):
    """The warnings of a call, and what it gave."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = call(*arguments)
    return [
        str(warning.message) for warning in found if warning.category is PredictionWarning
    ], result


def five(rng):
    X = ragged(rng, 5)
    return [*X[:2], np.zeros((0, 3)), *X[3:]]


@pytest.mark.parametrize(
    ("cls", "methods"),
    [
        (
            SequenceClassifier,
            ["predict", "predict_proba", "predict_log_proba", "decision_function"],
        ),
        (SequenceRegressor, ["predict"]),
        (SequenceEncoder, ["transform"]),
        (SequenceTagger, ["predict", "predict_proba", "predict_log_proba", "decision_function"]),
    ],
)
def test_an_empty_sequence_is_named_once_a_call(cls, methods, rng):
    X = ragged(rng, 24)
    y = np.arange(24.0) if cls is SequenceRegressor else signs(X)  # of a tagger a label a row
    estimator, given = fitted(cls(**SMALL), X, y), five(rng)
    for method in methods:
        with pytest.warns(PredictionWarning, match=ALONE) as found:
            result = getattr(estimator, method)(given)
        assert len(found) == 1 and found[0].filename == __file__
        # The others are what they are without it.
        np.testing.assert_array_equal(
            result[[0, 1, 3, 4]], getattr(estimator, method)([*given[:2], *given[3:]])
        )
    if cls is not SequenceEncoder:
        found, _ = warned(estimator.score, given, y[:5])
        assert len(found) == 1


def test_a_step_that_is_not_there_has_no_prediction(rng):
    X = ragged(rng, 24)
    tagger = fitted(SequenceTagger(**SMALL), X, [np.arange(len(row)) % 2 for row in X])
    numbers = fitted(
        SequenceRegressor(per_step=True, **SMALL), X, [np.arange(len(row)) * 1.0 for row in X]
    )
    for estimator in (tagger, numbers):
        found, result = warned(estimator.predict, five(rng))
        assert found == [] and len(result[2]) == 0


def test_sequences_whose_steps_are_all_left_out(rng):
    X = ragged(rng, 24)
    given = [row.copy() for row in X[:14]]
    for row in given[:12]:
        row[:, 1] = np.nan
    steps = [np.arange(len(row)) % 2 for row in X]
    message = r"sequences 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\. of X have no step .*\(12 of 14\)"
    for cls, y in ((SequenceClassifier, signs(X)), (SequenceTagger, steps)):
        with pytest.warns(PredictionWarning, match=message):
            fitted(cls(missing="mask", **SMALL), X, y).predict(given)
    filled = fitted(SequenceClassifier(missing="mean", **SMALL), X, signs(X))
    assert warned(filled.predict, given)[0] == []  # the others fill in what they know


def test_an_architecture_that_masks_steps(rng):
    X = rng.normal(size=(24, 4, 3))
    estimator = SequenceClassifier(
        architecture=lambda steps, features, outputs: [
            layers.Masking(0.0),
            layers.GRU(3),
            layers.Dense(outputs),
        ],
        **SMALL,
    )
    fitted(estimator, X, X[:, 0, 0] > 0)
    given = X[:5].copy()
    given[2] = 0
    with pytest.warns(PredictionWarning, match=ALONE):
        estimator.predict(given)


def test_training_says_nothing_of_its_validation_part_at_each_pass(rng):
    X = [*ragged(rng, 30), *[np.zeros((0, 3))] * 10]
    estimator = SequenceClassifier(early_stopping=True, validation_fraction=0.5, **SMALL)
    found, _ = warned(estimator.fit, X, np.arange(40) % 2)
    assert found == []
