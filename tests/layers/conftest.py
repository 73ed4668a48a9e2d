"""Small built layers for the tests of errors."""

import pytest
from cases import make

from gatewise.layers import Dense


@pytest.fixture
def layer(rng):
    """An LSTM in float32 built for 3 features."""
    return make("lstm", 5, 3, rng, "float32", return_sequences=True)


@pytest.fixture
def dense():
    built = Dense(4)
    built.build((None, 3))
    return built
