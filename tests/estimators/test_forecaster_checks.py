"""scikit-learn's checks of SequenceForecaster, as far as they mean something for it."""

import pytest
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

from gatewise import SequenceForecaster

PREDICTS_STEPS = "predict takes a number of steps to come, not samples"
EXPECTED = {
    "check_fit_score_takes_y": "what is forecast comes first, and what stands beside it second: fit(y, X)",
    "check_fit1d": "one series is an array of one axis",
    **dict.fromkeys((
        "check_n_features_in_after_fitting", "check_estimators_dtypes", "check_dtype_object", "check_estimators_nan_inf",
        "check_estimators_pickle", "check_f_contiguous_array_estimator", "check_methods_sample_order_invariance",
        "check_methods_subset_invariance", "check_dict_unchanged", "check_fit_idempotent", "check_fit2d_predict1d"),
        PREDICTS_STEPS),
}


class OfTables(SequenceForecaster):
    """The same, called an estimator of tables, so that scikit-learn checks it at all."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.one_d_array = True, False
        return tags


@parametrize_with_checks([OfTables(window=3, cell=cell, max_iter=2)
                          for cell in ("lstm", "gru", "rnn")],
                         expected_failed_checks=lambda estimator: EXPECTED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_scikit_learn_knows_that_rows_are_no_samples():
    """Its tag says so, and check_estimator then leaves out what is about samples."""
    with pytest.warns(SkipTestWarning, match="two_d_array=False"):
        results = check_estimator(SequenceForecaster())
    assert {result["status"] for result in results} == {"passed"}
