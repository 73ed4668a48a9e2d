"""Fixtures of the tests of optimizers."""

import pytest

from .optimizer_cases import make_problem


@pytest.fixture
def problem(rng):
    return make_problem(rng)
