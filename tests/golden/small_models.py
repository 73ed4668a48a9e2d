"""Small models and data for training."""

import numpy as np

from gatewise.layers import GRU, LSTM, Dense, Dropout, Input
from gatewise.models import Sequential


def numbers(rows=20, steps=6, features=3, seed=0):
    """x and a target each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, steps, features))
    return x, x.sum(axis=(1, 2))[:, None] / 4


def classes(rows=20, steps=6, features=3, seed=0):
    """x and one of three classes each."""
    x, y = numbers(rows, steps, features, seed)
    return x, np.digitize(y[:, 0], (-0.5, 0.5))


def regressor(dtype="float32", optimizer="adam", loss="mse", metrics=None, **lstm):
    """An LSTM and a Dense, compiled."""
    layers = [
        Input((None, 3)),
        LSTM(5, dtype=dtype, name="lstm", **lstm),
        Dense(1, dtype=dtype, name="dense"),
    ]
    model = Sequential(layers, seed=0)
    model.compile(optimizer, loss, metrics=metrics)
    return model


def classifier(activation="softmax", loss="sparse_categorical_crossentropy", metrics=None):
    """Two GRUs with dropout between them, and a Dense, compiled."""
    layers = [
        Input((None, 3)),
        GRU(4, return_sequences=True),
        Dropout(0.2),
        GRU(4, recurrent_dropout=0.2),
        Dense(3, activation),
    ]
    model = Sequential(layers, seed=1)
    model.compile("rmsprop", loss, metrics=metrics)
    return model


def weights(model):
    """All weights in one array."""
    return np.concatenate([w.ravel() for w in model.get_weights()])


def trained(model, *data, predict=None, **options):
    """History, weights and predictions after fit."""
    options = {"epochs": 2, "verbose": 0, "batch_size": 6} | options
    history = model.fit(*data, **options).history
    found = {"history": history, "weights": weights(model)}
    x = data[0] if predict is None else predict
    return found if x is False else found | {"predict": model.predict(x, verbose=0)}
