"""scikit-learn's own checks of every estimator and cell."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import gatewise

CELLS = ("lstm", "gru", "rnn")


@parametrize_with_checks([estimator(cell) for estimator in (gatewise.SequenceClassifier, gatewise.SequenceRegressor)
                          for cell in CELLS])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)
