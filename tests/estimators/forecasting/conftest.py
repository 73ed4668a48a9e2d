"""Series and features of the tests of forecasters."""

import numpy as np
import pytest


@pytest.fixture
def y(rng):
    return np.cumsum(rng.normal(size=(60, 2)), axis=0) + 30


@pytest.fixture
def x(rng):
    return rng.normal(3, 2, size=(60, 3))
