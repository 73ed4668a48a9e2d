"""Sources of scores for tests: tables that depend on all symbols so far, and small models."""

import itertools

import numpy as np

from gatewise import Sequential
from gatewise.layers import GRU, LSTM, Dense, Embedding


class Table:
    """Scores that are a fixed random function of a row's number and of its symbols."""

    def __init__(self, rows, symbols, seed=0):
        self.texts = [(row,) for row in range(rows)]
        self.symbols, self.seed = symbols, seed

    def scores_after(self, text):
        rng = np.random.default_rng([self.seed, *text])
        z = rng.normal(size=self.symbols) * 1.5
        return z - np.log(np.exp(z).sum())

    def first(self):
        return np.array([self.scores_after(text) for text in self.texts])

    def step(self, symbols):
        assert len(symbols) == len(self.texts)
        self.texts = [(*text, int(symbol)) for text, symbol in zip(self.texts, symbols)]
        return self.first()

    def take(self, rows):
        self.texts = [self.texts[row] for row in rows]

    def of_row(self, row):
        """A table with this row alone."""
        table = Table(1, self.symbols, self.seed)
        table.texts = [(row,)]
        return table


def all_texts(table, row, steps, end, penalty):
    """(score, symbols) of every text of a row, the best one first."""
    found = []
    for length in range(1, steps + 1):
        for text in itertools.product(range(table.symbols), repeat=length):
            if end is not None and end in text[:-1]:
                continue
            ended = end is not None and text[-1] == end
            if not ended and length < steps:
                continue
            score = sum(
                table.scores_after((row, *text[:at]))[symbol] for at, symbol in enumerate(text)
            )
            found.append((score / length**penalty, text[:-1] if ended else text))
    return sorted(found, key=lambda pair: -pair[0])


def of_numbers(symbols=6, **options):
    """A model that begins with an Embedding and gives probabilities at each step."""
    model = Sequential(
        [
            Embedding(symbols, 4, **options),
            LSTM(7, return_sequences=True),
            GRU(5, return_sequences=True),
            Dense(symbols, "softmax", kernel_initializer="normal"),
        ],
        seed=4,
    )
    model.build((None, None))
    return sharpened(model)


def of_vectors(symbols=6):
    """A model of one-hot vectors that gives scores after the last step."""
    model = Sequential([LSTM(7, input_shape=(None, symbols)), Dense(symbols)], seed=5)
    model.build((None, None, symbols))
    return sharpened(model)


def sharpened(model):
    """The model with weights so large that its distributions differ from symbol to symbol."""
    model.set_weights([4 * array for array in model.get_weights()])
    return model


def log_probabilities(model, text):
    """Of the next symbol, from one pass over all symbols."""
    if len(model.input_shape) == 2:
        y = model.predict(np.array([text], np.int32))[0, -1]
        return np.log(y.astype(float))
    x = np.eye(model.input_shape[-1], dtype="float32")[np.array([text])]
    z = model.predict(x)[0].astype(float)
    return z - z.max() - np.log(np.exp(z - z.max()).sum())
