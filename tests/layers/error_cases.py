"""Helpers of the tests of layers' errors."""

import re

import numpy as np
import pytest

from gatewise import GatewiseError
from gatewise.errors import (
    ConfigError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    SizeError,
    StateError,
)

BUILT_IN = {
    ConfigError: ValueError,
    ShapeError: ValueError,
    NonFiniteError: ValueError,
    DTypeError: TypeError,
    SizeError: MemoryError,
    StateError: RuntimeError,
}


def fails(call, error, *words):
    """Assert that the call raises this error, also as the built-in that fits, with these words."""
    classes = error if isinstance(error, tuple) else (error,)
    with pytest.raises(classes) as caught:
        call()
    assert isinstance(caught.value, GatewiseError)
    assert isinstance(caught.value, BUILT_IN[type(caught.value)])
    for word in words:
        assert re.search(word, str(caught.value)), f"{word!r} is not in: {caught.value}"


def x_of(*shape, dtype="float32"):
    return np.zeros(shape, dtype)
