"""The adding problem over 600 steps (Hochreiter and Schmidhuber 1997; as in Bai et al. 2018).

A row has 600 steps of two features: a number drawn evenly from [0, 1), and a mark, 1 at one step of
the first half and one of the second, else 0. The target is the sum of the two marked numbers; who
always says 1 is off by 1/6 in the mean square. 50,000 rows to train on, 1,000 to test, drawn anew
for each seed. One GRU of 130 units and one linear output; the biases of its update gate are drawn
so that units forget at rates of 1 to 600 steps (Tallec and Ollivier 2018).
"""

import numpy as np

from gatewise import Sequential, layers

from .experiment import Experiment, Published
from .training import VERBOSE, adam

STEPS, UNITS, ROWS, TEST_ROWS, EPOCHS, BATCH, RATE = 600, 130, 50_000, 1_000, 5, 32, 0.005
NAME = "GRU, 1 x 130"


def draw(rng, rows, steps):
    """x (rows, steps, 2) and y (rows, 1), float32."""
    x = np.zeros((rows, steps, 2), np.float32)
    x[..., 0] = rng.random((rows, steps), np.float32)
    first, second = rng.integers(0, steps // 2, rows), rng.integers(steps // 2, steps, rows)
    every = np.arange(rows)
    x[every, first, 1] = x[every, second, 1] = 1
    return x, x[every, first, :1] + x[every, second, :1]


def data(seed, quick):
    """((x, y) to train on, (x, y) to test)."""
    rng = np.random.default_rng(seed)
    steps, rows, test_rows = (20, 64, 32) if quick else (STEPS, ROWS, TEST_ROWS)
    return draw(rng, rows, steps), draw(rng, test_rows, steps)


def floors(seed, quick):
    """What saying the mean gives."""
    (_, y), (_, test_y) = data(seed, quick)
    return {"predict the mean": float(np.mean((test_y - y.mean()) ** 2))}


def network(units, steps, seed):
    """A GRU and a linear output; an update gate z keeps the state for about 1 / (1 - z) steps."""
    model = Sequential([layers.GRU(units, input_shape=(None, 2)), layers.Dense(1)], seed=seed)
    kernel, recurrent_kernel, bias, *output = model.get_weights()
    bias[0, :units] = np.log(model.rng.uniform(1, steps - 1, units))
    model.set_weights([kernel, recurrent_kernel, bias, *output])
    return model


def run(seed, quick):
    """(network, mean squared error on the test rows)."""
    (x, y), (test_x, test_y) = data(seed, quick)
    epochs = 1 if quick else EPOCHS
    model = network(8 if quick else UNITS, x.shape[1], seed)
    model.compile(adam(RATE, len(x), BATCH, epochs), "mse")
    model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=VERBOSE)
    yield NAME, model.evaluate(test_x, test_y, verbose=VERBOSE)


EXPERIMENT = Experiment(
    "Adding problem, 600 steps",
    "mean squared error on 1,000 test rows",
    {NAME: Published(5.3e-5, "Bai et al. 2018")},
    floors,
    run,
    digits=".2e",
)
