"""Keras on whatever backend KERAS_BACKEND names; torch where nothing is said."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
import numpy as np

from benchmarks.jobs import LEARNING_RATE

NAME = "Keras"


def version():
    """Version and backend."""
    return f"{keras.__version__} ({keras.backend.backend()})"


def set_threads(count):
    """Threads for all that follows."""
    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(count)


def _model(case):
    cls = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[
        case.kind
    ]
    model = keras.Sequential(
        [keras.Input((case.steps, case.inputs)), cls(case.units, return_sequences=True)]
    )
    model.compile("sgd", "mse")
    return model


def prepare(case):
    """A function that runs the case once: for training one train_on_batch, which includes SGD."""
    if case.dtype != "float32":
        return None
    rng = np.random.default_rng(0)
    model = _model(case)
    x = rng.standard_normal((case.batch, case.steps, case.inputs)).astype("float32")
    if case.mode == "inference":
        return lambda: model.predict_on_batch(x)
    y = rng.standard_normal((case.batch, case.steps, case.units)).astype("float32")
    return lambda: model.train_on_batch(x, y)


def prepare_tiny_step():
    """A full training step of a tiny net: batch 32, 10 steps, 1 input, LSTM 10, Dense 1, Adam."""
    rng = np.random.default_rng(0)
    model = keras.Sequential([keras.Input((10, 1)), keras.layers.LSTM(10), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    x = rng.standard_normal((32, 10, 1)).astype("float32")
    y = rng.standard_normal((32, 1)).astype("float32")
    return lambda: model.train_on_batch(x, y)


def fit(job, x, y, weights):
    """Train; a function that predicts."""
    cls = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[job.kind]
    model = keras.Sequential(
        [keras.Input((job.steps, job.inputs)), cls(job.units), keras.layers.Dense(1)]
    )
    model.set_weights(weights)
    model.compile(keras.optimizers.Adam(LEARNING_RATE), "mse")
    model.fit(x, y, batch_size=job.batch, epochs=job.epochs, verbose=0)
    return lambda x: model.predict(x, verbose=0)
