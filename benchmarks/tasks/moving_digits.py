"""Moving digits: which digit a video shows, and in which of eight directions it moves.

The videos are those of examples/data/moving_digits.py: scikit-learn's digits of 8 x 8 places move
through a frame of 24 x 24, 12 frames, with noise of a standard deviation of 0.3. A fifth of the
1,797 images is in two videos each to test, the others are in 14 videos each to train on. The
network and its training are those of examples/watch_digits.py: convolutions of each image and an
LSTM, two outputs. `random_state` is the seed of the network; the videos are always the same ones.

Settings are chosen on the validation part: a fifth of the images, taken from those to train on.

    python -m benchmarks.tasks.moving_digits            the figure on the validation part
    python -m benchmarks.tasks.moving_digits_convlstm
"""

import importlib.util
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

from gatewise.optimizers import Adam
from gatewise.schedules import CosineDecay

from .task import OURS, Network, Task, report

EXAMPLE = Path(__file__).parents[2] / "examples" / "watch_digits.py"


def example():
    """The module of the example."""
    name = "watch_digits"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLE)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def data(seed, quick, held_out="test"):
    """((X, y) to train on, (X, y) of the held-out part); y is (n, 2), digits and directions."""
    parts = example().parts(*(40, 2) if quick else (None, example().REPEATS), held_out)
    return tuple((x, np.stack(y, axis=1)) for x, y in parts)


class Ours(BaseEstimator):
    """gatewise's: a Model with two outputs."""

    def __init__(self, network, seed, kind):
        self.network, self.seed, self.kind = network, seed, kind

    def fit(self, X, y):
        rate = CosineDecay(self.network.rate, steps_of(self.network, len(X)))
        self.model_ = example().network(self.kind, self.network.units, self.seed)
        self.model_.compile(Adam(rate), "sparse_categorical_crossentropy")
        self.model_.fit(
            X,
            list(y.T),
            batch_size=self.network.batch_size,
            epochs=self.network.epochs,
            verbose=0,
        )
        return self

    def predict(self, X):
        return np.stack([p.argmax(1) for p in self.model_.predict(X, verbose=0)], axis=1)


def steps_of(network, samples):
    """Steps of the optimizer in all epochs."""
    return network.epochs * -(-samples // network.batch_size)


def pytorch(network, seed, kind):
    """The same network in PyTorch; ImportError without PyTorch."""
    from .pytorch_videos import Estimator

    return Estimator(network, seed, kind)


def lower_accuracy(y, predicted):
    """The smaller of the accuracies of both outputs."""
    return float((y == predicted).mean(axis=0).min())


def task_of(kind, title):
    """The task for one kind of network."""
    recipe = example()
    return Task(
        title,
        0.95,
        data,
        Network(
            units=recipe.UNITS[kind],
            cell=kind,
            pooling="mean",
            dropout=0.2,
            epochs=recipe.EPOCHS,
            batch_size=recipe.BATCH,
            rate=recipe.RATE,
        ),
        {
            OURS: lambda network, seed: Ours(network, seed, kind),
            "PyTorch": lambda network, seed: pytorch(network, seed, kind),
        },
        unit="the smaller accuracy of digit and direction on the held-out part",
        score=lower_accuracy,
        also={
            "of digits": lambda y, predicted: (y == predicted)[:, 0].mean(),
            "of directions": lambda y, predicted: (y == predicted)[:, 1].mean(),
        },
    )


def validate(task):
    """Print gatewise's figure on the validation part."""
    report(replace(task, data=partial(data, held_out="validation")), [0], only=OURS)


TASK = task_of("lstm", "Moving digits, convolution and LSTM")

if __name__ == "__main__":
    validate(TASK)
