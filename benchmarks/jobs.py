"""A whole training run: its size, its data and its first weights, the same for every engine."""

from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.cases import GATES

LEARNING_RATE = 0.002


@dataclass(frozen=True)
class Job:
    """One recurrent layer that reads a row, one linear output, mean squared error, Adam."""

    kind: str
    units: int
    batch: int
    steps: int
    inputs: int
    rows: int
    epochs: int

    def label(self):
        """Sizes as text."""
        return f"{self.units},{self.batch},{self.steps},{self.inputs}"

    def to_dict(self):
        """JSON values."""
        return asdict(self)


SIZES = [(16, 32, 20, 1, 2048, 10), (64, 64, 50, 8, 2048, 6), (256, 64, 50, 64, 1024, 4)]


def jobs(kinds, sizes=SIZES):
    """Every kind in every size."""
    return [Job(kind, *size) for kind in kinds for size in sizes]


def data(job):
    """Make x (rows, steps, inputs) and y (rows, 1), a fading sum of products of neighbours."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((job.rows, job.steps, job.inputs)).astype(np.float32)
    mixed = x @ (rng.standard_normal(job.inputs) / np.sqrt(job.inputs)).astype(np.float32)
    products = mixed[:, 1:] * mixed[:, :-1]
    y = products @ (0.7 ** np.arange(products.shape[1])[::-1]).astype(np.float32)
    return x, y[:, None]


def first_weights(job):
    """[kernel, recurrent_kernel, bias, output kernel, output bias], float32, in Keras's layout.

    As PyTorch draws them: evenly within 1 / sqrt(units), biases zero. A GRU has two rows of biases.
    """
    rng = np.random.default_rng(11)
    width, limit = GATES[job.kind] * job.units, job.units**-0.5
    kernel, recurrent, output = (
        rng.uniform(-limit, limit, shape).astype(np.float32)
        for shape in ((job.inputs, width), (job.units, width), (job.units, 1))
    )
    bias = np.zeros((2, width) if job.kind == "gru" else width, np.float32)
    return [kernel, recurrent, bias, output, np.zeros(1, np.float32)]


def token_lengths(case):
    """Tokens of each row of a batch of sources and of targets, between its fewest and its steps."""
    rng = np.random.default_rng(1)
    return [rng.integers(case["fewest"], case["steps"] + 1, case["batch"]) for _ in range(2)]
