"""scikit-learn's checks of SequenceForecaster, as far as they mean something for it."""

import copy

import pytest
from scikit_checks import with_scikit_checks
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator

from gatewise import SequenceForecaster

pytestmark = pytest.mark.long

ONE_AXIS = "one series is an array of one axis"
ROWS_ARE_STEPS = "rows are steps, each of which comes after the one before"
EXPECTED = {
    "check_n_features_in_after_fitting": (
        "the check wants the data to be called X, and they are steps of y"
    ),
    "check_fit1d": ONE_AXIS,
    "check_fit2d_predict1d": ONE_AXIS,
    "check_methods_sample_order_invariance": ROWS_ARE_STEPS,
    "check_methods_subset_invariance": ROWS_ARE_STEPS,
}


class OfTables(SequenceForecaster):
    """The same with the signatures that scikit-learn checks.

    X is a series, or goes on from it, and nothing stands beside it.
    """

    def fit(self, X, y=None):
        return super().fit(X)

    def predict(self, X):
        """What comes after X, which came after what was seen."""
        return super(OfTables, copy.deepcopy(self).update(X)).predict()

    def score(self, X, y=None):
        return super().score(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
        return tags


@with_scikit_checks(
    [OfTables(window=3, cell=cell, max_iter=2) for cell in ("lstm", "gru", "rnn")],
    expected_failed_checks=lambda estimator: EXPECTED,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_scikit_learn_knows_that_rows_are_no_samples():
    """Its tag says so, and check_estimator then leaves out what is about samples."""
    with pytest.warns(SkipTestWarning, match="two_d_array=False"):
        results = check_estimator(SequenceForecaster())
    assert {result["status"] for result in results} == {"passed"}
