"""The small models that the tests of Sequential are about."""

import numpy as np

from gatewise.layers import LSTM, Dense
from gatewise.models import Sequential


def compiled(*stack, optimizer="sgd", loss="mse", metrics=None, seed=0):
    """A compiled model of these layers."""
    model = Sequential(list(stack), seed=seed)
    model.compile(optimizer, loss, metrics)
    return model


def forecaster(**options):
    """One number from six steps of two features."""
    return compiled(LSTM(4, input_shape=(6, 2)), Dense(1), **options)


def bits(arrays):
    """The bytes of all arrays."""
    return b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
