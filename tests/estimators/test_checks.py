"""scikit-learn's own checks of every estimator and cell."""

import pytest
from scikit_checks import with_scikit_checks

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    SequenceTagger,
    SequenceTranscriber,
)

ESTIMATORS = (SequenceClassifier, SequenceRegressor, SequenceTagger, SequenceEncoder)

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@with_scikit_checks([estimator() for estimator in ESTIMATORS])
def test_estimators_as_they_are(estimator, check):
    check(estimator)


@with_scikit_checks(
    [SequenceTranscriber(max_iter=3)],
    expected_failed_checks=lambda estimator: {
        "check_estimators_pickle": "rows of labels have different lengths, and are no array"
    },
)
def test_transcribers(estimator, check):
    check(estimator)


# A simple RNN that tags 30 random steps trains chaotically: a weight of k and k copies differ by
# rounding, 3e-16 in the weights of the network after 30 passes, and 3e-5 after 100.
OTHERS = [
    *(estimator("gru") for estimator in ESTIMATORS),
    SequenceClassifier("rnn"),
    SequenceRegressor("rnn"),
    SequenceTagger("rnn", max_iter=30),
    SequenceEncoder("rnn"),
]


@pytest.mark.slow
@with_scikit_checks(OTHERS)
def test_other_cells(estimator, check):
    check(estimator)


@pytest.mark.slow
@with_scikit_checks(
    [
        estimator("gru", missing=missing)
        for estimator in ESTIMATORS
        for missing in ("forward_fill", "mean", "mask", "indicator", "decay")
    ]
)
def test_missing_values(estimator, check):
    check(estimator)
