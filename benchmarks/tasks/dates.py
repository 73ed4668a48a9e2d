"""Dates in one form: texts such as "mon, 10 jul 1989" become "1989-07-10".

8,000 pairs to train on, 1,000 to test on, made by a program in twelve styles. The figure is the
share of dates that are exactly right. PyTorch has the same network, and both write the most
probable character at each step.
"""

import numpy as np
from sklearn.metrics import accuracy_score

import gatewise

from . import data as readers
from .task import OURS, Network, Task

PYTORCH = "PyTorch"
STYLES = ("{2:02d}/{1:02d}/{0}", "{0}.{1}.{2}", "{2} of {1}, {0}")


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X and y are lists of texts."""
    if not quick:
        return readers.date_pairs("train"), readers.date_pairs("test")
    rng = np.random.default_rng(0)
    numbers = np.column_stack([rng.integers(low, high, 60) for low, high in LIMITS])
    X = [STYLES[k % 3].format(*row) for k, row in enumerate(numbers.tolist())]
    y = ["{}-{:02d}-{:02d}".format(*row) for row in numbers.tolist()]
    return (X[:40], y[:40]), (X[40:], y[40:])


LIMITS = ((1970, 2030), (1, 13), (1, 29))


def ours(network, seed):
    """gatewise's."""
    return gatewise.SequenceTranslator(
        units=network.units,
        embedding=network.embedding,
        dropout=network.dropout,
        learning_rate_init=network.rate,
        batch_size=network.batch_size,
        max_iter=network.epochs,
        random_state=seed,
    )


def pytorch(network, seed):
    """The same network in PyTorch; ImportError without PyTorch."""
    from .pytorch_translation import Translator

    return Translator(network, seed)


TASK = Task(
    "Dates in one form",
    0.995,
    data,
    Network(
        units=64,
        embedding=32,
        bidirectional=True,
        dropout=0.1,
        epochs=20,
        batch_size=64,
        rate=0.004,
    ),
    {OURS: ours, PYTORCH: pytorch},
    unit="share of dates that are exactly right",
    score=accuracy_score,
    seeds=(0, 1, 2),
)
