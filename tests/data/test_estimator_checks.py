"""scikit-learn's own checks of the transformers."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from gatewise.data import SequenceScaler

TRANSFORMERS = [SequenceScaler(), SequenceScaler("robust"), SequenceScaler("minmax"), SequenceScaler("minmax", clip=True)]


@parametrize_with_checks(TRANSFORMERS)
def test_check_estimator(estimator, check):
    check(estimator)
