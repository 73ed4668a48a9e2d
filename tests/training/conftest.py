"""Fixtures of the training tests."""

import pytest


@pytest.fixture
def data(rng):
    x = rng.normal(size=(22, 9, 2))
    return x, x.sum(axis=(1, 2))[:, None]
