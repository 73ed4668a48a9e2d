"""The next character of tinyshakespeare (Karpathy 2015, char-rnn).

1,115,394 characters, 65 different ones; the first 95 % to train on, the last 5 % to validate. Two LSTM layers of 128
units over one-hot characters, with dropout after each. The training text lies in 32 rows of contiguous text; training
walks through all rows in chunks of 64 characters, one optimizer step a chunk, and the state goes on from chunk to chunk
(truncated back-propagation, `fit(tbptt_steps=64)`). The validation text is read in one go from a state of zeros; its
first character is not predicted.
"""

import numpy as np

from gatewise import Sequential, layers

from .data import made_up_text, shakespeare
from .experiment import Experiment, Published
from .training import VERBOSE, adam

UNITS, ROWS, CHUNK, EPOCHS, RATE, DROPOUT = 128, 32, 64, 20, 0.004, 0.1
NAME = "LSTM, 2 x 128"


def data(quick):
    """(training text, validation text) as codes, and the number of different characters."""
    text = made_up_text() if quick else shakespeare()
    alphabet = sorted(set(text))
    codes = np.array([alphabet.index(character) for character in text])
    at = len(codes) * 95 // 100
    return codes[:at], codes[at:], len(alphabet)


# ---- without a network

def floors(seed, quick):
    """Nats of counts of single characters, and of characters after one and two others; one of each is added."""
    training, validation, size = data(quick)
    return {name: _nats(training, validation, size, order)
            for order, name in enumerate(("each character by how often it comes", "by the one before", "by the two before"))}


def _nats(training, validation, size, order):
    counts = np.ones((size**order, size))
    np.add.at(counts, (_contexts(training, size, order), training[order:]), 1)
    rates = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log(rates[_contexts(validation, size, order), validation[order:]]).mean())


def _contexts(codes, size, order):
    """A number for the `order` characters before each."""
    contexts = np.zeros(len(codes) - order, int)
    for back in range(order, 0, -1):
        contexts = contexts * size + codes[order - back:len(codes) - back]
    return contexts


# ---- with one

def network(size, units, seed):
    """Two LSTM layers, dropout after each, one softmax a step."""
    return Sequential([
        layers.LSTM(units, return_sequences=True, input_shape=(None, size)), layers.Dropout(DROPOUT),
        layers.LSTM(units, return_sequences=True), layers.Dropout(DROPOUT),
        layers.Dense(size, "softmax"),
    ], seed=seed)


def in_rows(codes, size, rows):
    """x (rows, steps, size), one-hot, and y (rows, steps), what comes next: rows of contiguous text, one after the other."""
    steps = (len(codes) - 1) // rows
    x, y = (codes[first:first + rows * steps].reshape(rows, steps) for first in (0, 1))
    return np.eye(size, dtype=np.float32)[x], y


def run(seed, quick):
    """(network, nats a character on the validation text)."""
    training, validation, size = data(quick)
    units, rows, chunk, epochs = (8, 4, 16, 1) if quick else (UNITS, ROWS, CHUNK, EPOCHS)
    x, y = in_rows(training, size, rows)
    model = network(size, units, seed)
    model.compile(adam(RATE, x.shape[1], chunk, epochs), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=rows, epochs=epochs, shuffle=False, tbptt_steps=chunk, verbose=VERBOSE)
    yield NAME, model.evaluate(*in_rows(validation, size, 1), verbose=VERBOSE)


EXPERIMENT = Experiment("Characters of tinyshakespeare", "validation cross-entropy, nats a character",
                        {NAME: Published(1.45, "goal")}, floors, run)
