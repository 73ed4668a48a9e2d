"""The next character of tinyshakespeare (Karpathy 2015, char-rnn).

1,115,394 characters, 65 different ones, in 32 rows of contiguous text. As in char-rnn, the first 95
% of every row are to train on and its last 5 % to validate, so that both hold something of every
play. (With the last 5 % of the whole text instead, which are other plays, the same network is at
1.57.) Two LSTM layers of 128 units over one-hot characters, with dropout after each. Training walks
through all rows in chunks of 64 characters, one optimizer step a chunk, and the state goes on from
chunk to chunk (truncated back-propagation, `fit(tbptt_steps=64)`). Validation reads each row's part
in one go, from a state of zeros; the first character of a part is not predicted.
"""

import numpy as np

from gatewise import Sequential, layers

from .data import made_up_text, shakespeare
from .experiment import Experiment, Published
from .training import VERBOSE, adam

UNITS, ROWS, CHUNK, EPOCHS, RATE, DROPOUT = 128, 32, 64, 20, 0.004, 0.1
NAME = "LSTM, 2 x 128"


def data(quick):
    """Codes to train on and to validate, (rows, characters) each, and the number of characters."""
    text = made_up_text() if quick else shakespeare()
    alphabet = sorted(set(text))
    rows = 4 if quick else ROWS
    codes = np.array([alphabet.index(character) for character in text])
    codes = codes[: len(codes) // rows * rows].reshape(rows, -1)
    at = codes.shape[1] * 95 // 100
    return codes[:, :at], codes[:, at:], len(alphabet)


# ---- without a network


def floors(seed, quick):
    """Nats of counts of characters, alone and after one and two others; one of each is added."""
    training, validation, size = data(quick)
    return {
        name: _nats(training, validation, size, order)
        for order, name in enumerate(
            ("frequency of each character", "given the one before", "given the two before")
        )
    }


def _nats(training, validation, size, order):
    counts = np.ones((size**order, size))
    np.add.at(counts, (_contexts(training, size, order), training[:, order:]), 1)
    rates = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log(rates[_contexts(validation, size, order), validation[:, order:]]).mean())


def _contexts(codes, size, order):
    """A number for the `order` characters before each."""
    steps = codes.shape[1]
    contexts = np.zeros((len(codes), steps - order), int)
    for back in range(order, 0, -1):
        contexts = contexts * size + codes[:, order - back : steps - back]
    return contexts


# ---- with one


def network(size, units, seed):
    """Two LSTM layers, dropout after each, one softmax a step."""
    return Sequential(
        [
            layers.LSTM(units, return_sequences=True, input_shape=(None, size)),
            layers.Dropout(DROPOUT),
            layers.LSTM(units, return_sequences=True),
            layers.Dropout(DROPOUT),
            layers.Dense(size, "softmax"),
        ],
        seed=seed,
    )


def shifted(codes, size):
    """x (rows, steps, size), one-hot, and y (rows, steps), what comes next."""
    return np.eye(size, dtype=np.float32)[codes[:, :-1]], codes[:, 1:]


def run(seed, quick):
    """(network, nats a character on the validation text)."""
    training, validation, size = data(quick)
    units, chunk, epochs = (8, 16, 1) if quick else (UNITS, CHUNK, EPOCHS)
    x, y = shifted(training, size)
    model = network(size, units, seed)
    model.compile(adam(RATE, x.shape[1], chunk, epochs), "sparse_categorical_crossentropy")
    model.fit(
        x, y, batch_size=len(x), epochs=epochs, shuffle=False, tbptt_steps=chunk, verbose=VERBOSE
    )
    yield NAME, model.evaluate(*shifted(validation, size), batch_size=len(x), verbose=VERBOSE)


EXPERIMENT = Experiment(
    "Characters of tinyshakespeare",
    "validation cross-entropy, nats a character",
    {NAME: Published(1.45, "goal")},
    floors,
    run,
)
