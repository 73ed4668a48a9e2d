"""Text generation: the next character of tiny-shakespeare.

The split is that of benchmarks/published/characters: 32 rows of contiguous text, the first 95 % of
each to train on, the rest to validate. Characters are one-hot vectors. The figure is the
cross-entropy of the validation text in nats a character. The first character of each row is
included, which follows the start token; the other experiment does not predict it, so the
cross-entropy without it is printed beside the figure.
"""

import math

import numpy as np

import gatewise

from .contenders import OURS, PYTORCH
from .data import shakespeare_rows
from .task import Network, Task

CHUNK = 64  # characters of each row that a step of the optimizer sees


class Ours:
    """SequenceGenerator, whose prediction of texts is the cross-entropy of all of them."""

    def __init__(self, network, seed):
        self.generator = gatewise.SequenceGenerator(
            network.cell,
            network.units,
            num_layers=network.num_layers,
            embedding=network.embedding,
            dropout=network.dropout,
            batch_size=network.batch_size,
            tbptt_steps=CHUNK,
            learning_rate_init=network.rate,
            max_iter=network.epochs,
            end_token=False,
            random_state=seed,
        )

    def fit(self, X, y=None):
        """Train on texts."""
        self.generator.fit(X)
        return self

    def predict(self, X):
        """Nats a character of all texts, with and without the first of each."""
        nats = math.log(self.generator.perplexity(X))
        first = math.log(self.generator.perplexity([text[0] for text in X]))
        size = sum(map(len, X))
        return nats, (nats * size - first * len(X)) / (size - len(X))


class TwoBefore:
    """Counts of characters given the two before, one of each added."""

    def __init__(self, network, seed):
        self.counts = {}

    def fit(self, X, y=None):
        """Count."""
        self.size = len(set("".join(X)))
        for text in X:
            for at in range(2, len(text)):
                found = self.counts.setdefault(text[at - 2 : at], {})
                found[text[at]] = found.get(text[at], 0) + 1
        return self

    def predict(self, X):
        """Nats a character of all texts, twice; the first two of each are left out."""
        nats = [
            -math.log((found.get(text[at], 0) + 1) / (sum(found.values()) + self.size))
            for text in X
            for at in range(2, len(text))
            for found in [self.counts.get(text[at - 2 : at], {})]
        ]
        return (float(np.mean(nats)),) * 2


def pytorch(network, seed):
    """The same network in PyTorch; ImportError without PyTorch."""
    from .pytorch_text import Generator

    return Generator(network, seed, CHUNK)


def data(seed, quick):
    """((texts, None) to train on, (texts, None) to validate)."""
    first, last = shakespeare_rows(quick)
    return (first, None), (last, None)


TASK = Task(
    "Characters of tiny-shakespeare",
    1.37,
    data,
    Network(units=128, num_layers=2, dropout=0.1, epochs=26, rate=0.004),
    {OURS: Ours, "the two characters before": TwoBefore, PYTORCH: pytorch},
    unit="cross-entropy of the validation text, nats a character",
    score=lambda _, nats: nats[0],
    lower_is_better=True,
    seeds=(0, 1, 2),
    also={"without the first of each row": lambda _, nats: nats[1]},
)
