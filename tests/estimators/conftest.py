"""Fixtures of the tests of estimators."""

import pytest
from small_sequences import ragged, signs


@pytest.fixture
def samples(rng):
    X = ragged(rng, 40)
    return X, signs(X)
