"""Fixtures of the model tests."""

import pytest


@pytest.fixture
def xy(rng):
    """Inputs and targets of the small forecaster."""
    return rng.normal(size=(20, 6, 2)), rng.normal(size=(20, 1))
