"""Moving digits: which digit a video shows, and in which of eight directions it moves.

The videos are those of examples/data/moving_digits.py: scikit-learn's digits of 8 x 8 places move
through a frame of 24 x 24, 12 frames, with noise of a standard deviation of 0.3. Four fifths of the
1,797 images are in four videos each to train on, the others in two videos each to test. The
network is that of examples/watch_digits.py: convolutions of each image and an LSTM, two outputs.
`random_state` is the seed of the network; the videos are always the same ones.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

from gatewise.optimizers import Adam
from gatewise.schedules import CosineDecay

from .task import OURS, Network, Task

EXAMPLE = Path(__file__).parents[2] / "examples" / "watch_digits.py"


def example():
    """The module of the example."""
    name = "watch_digits"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, EXAMPLE)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); y is (n, 2), digits and directions."""
    parts = example().parts(40 if quick else None)
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


def task_of(kind, title, units):
    """The task for one kind of network."""
    return Task(
        title,
        0.95,
        data,
        Network(
            units=units, cell=kind, pooling="mean", dropout=0.2, epochs=7, batch_size=32, rate=0.004
        ),
        {
            OURS: lambda network, seed: Ours(network, seed, kind),
            "PyTorch": lambda network, seed: pytorch(network, seed, kind),
        },
        unit="the smaller accuracy of digit and direction on the test part",
        score=lower_accuracy,
    )


TASK = task_of("lstm", "Moving digits, convolution and LSTM", 64)
