"""Fixtures of the model tests."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # rivals.py


@pytest.fixture
def rng():
    """A generator that starts alike in every test; any seed must pass."""
    return np.random.default_rng(20250)


@pytest.fixture
def xy(rng):
    """What the small forecaster reads and says."""
    return rng.normal(size=(20, 6, 2)), rng.normal(size=(20, 1))


@pytest.fixture
def keras_rival():
    """A process with Keras on torch."""
    import rivals

    if not rivals.installed("keras", "torch"):
        pytest.skip("Keras with torch is not installed")
    return rivals.rival()


@pytest.fixture
def torch_rival():
    """A process with torch."""
    import rivals

    if not rivals.installed("torch"):
        pytest.skip("torch is not installed")
    return rivals.rival()


@pytest.fixture
def gradients_of():
    """Central differences of a function of one float64 array, fourth order."""

    def differences(function, at, step=1e-4):
        at = np.array(at, np.float64)
        slopes = np.empty_like(at)
        for index in np.ndindex(at.shape):
            here = at[index]
            f = []
            for k in (1, -1, 2, -2):
                at[index] = here + k * step
                f.append(function(at))
            at[index] = here
            slopes[index] = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (12 * step)
        return slopes

    return differences
