"""scikit-learn's own checks of estimators."""

import functools

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks


def with_scikit_checks(estimators, **options):
    """parametrize_with_checks, with each id made once: an estimator's text takes milliseconds."""
    mark = parametrize_with_checks(estimators, **options)
    return pytest.mark.parametrize(*mark.args, ids=functools.cache(mark.kwargs["ids"]))
