"""Small models and batches of the tests of feeds."""

import numpy as np

from gatewise.layers import GRU, LSTM, Dense, Input
from gatewise.models import Sequential


def forecaster(features=2, dtype="float32", **options):
    model = Sequential([Input((None, features), dtype=dtype), LSTM(5, **options), Dense(1)], seed=0)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def tagger(dtype="float64", **options):
    model = Sequential(
        [Input((None, 2), dtype=dtype), GRU(5, return_sequences=True, **options), Dense(1)], seed=0
    )
    model.compile("sgd", "mse")
    return model


def same_weights(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))


def fitted(model, *args, epochs=3, **options):
    return model.fit(*args, epochs=epochs, verbose=0, **options), model


def ragged(rng, count=10):
    return [rng.normal(size=(int(steps), 2)) for steps in rng.integers(0, 8, count)]


class Again:
    """Can be gone over again, and has no length."""

    def __init__(self, items):
        self.items = items

    def __iter__(self):
        return iter(self.items)
