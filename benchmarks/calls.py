"""Microseconds of one call of a small model: where Python costs more than arithmetic.

    python -m benchmarks.calls

Two layers of LSTM(16) and a Dense(1). The calls for inference get one row of one step, the training
step 16 rows of 10 steps. Each figure is the fastest of seven rounds: other programs on the machine
can only add to it.
"""

import timeit

import numpy as np

from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential


def calls():
    """dict of name to a function without arguments that makes one call."""
    model = Sequential([Input((None, 8)), LSTM(16, return_sequences=True), LSTM(16), Dense(1)])
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    step = rng.standard_normal((1, 1, 8)).astype("float32")
    x = rng.standard_normal((16, 10, 8)).astype("float32")
    y = x[:, -1, :1].copy()
    return {
        "model(x)": lambda: model(step),
        "predict_on_batch": lambda: model.predict_on_batch(step),
        "predict": lambda: model.predict(step, verbose=0),
        "train_on_batch": lambda: model.train_on_batch(x, y),
    }


def microseconds(call, number=1000):
    """Microseconds of a call, float."""
    return min(timeit.repeat(call, number=number, repeat=7)) / number * 1e6


def main():
    """Print a line for each call."""
    for name, call in calls().items():
        print(f"{name:<18}{microseconds(call):>8.1f} us")


if __name__ == "__main__":
    main()
