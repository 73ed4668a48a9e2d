"""gatewise, as its users call it."""

import numpy as np

import gatewise
from benchmarks import jobs
from benchmarks.jobs import LEARNING_RATE
from gatewise import layers, models, optimizers
from gatewise.training.batches import Given
from gatewise.training.preparing import prepare_samples

NAME = "gatewise"


def version():
    """Version and instruction set."""
    return f"{gatewise.__version__} ({gatewise.build_info()['isa']})"


def set_threads(count):
    """Threads for all that follows."""
    gatewise.set_num_threads(count)


def prepare(case):
    """A function that runs the case once."""
    rng = np.random.default_rng(0)
    cls = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}[case.kind]
    layer = cls(case.units, return_sequences=True, dtype=case.dtype, seed=0)
    layer.build((None, case.steps, case.inputs))
    x = rng.standard_normal((case.batch, case.steps, case.inputs)).astype(case.dtype)
    dy = rng.standard_normal((case.batch, case.steps, case.units)).astype(case.dtype)
    if case.mode == "inference":
        return lambda: layer.forward(x)

    def step():
        layer.zero_gradients()
        layer.forward(x, training=True)
        layer.backward(dy)

    return step


def prepare_tiny_step():
    """A full training step of a tiny net: batch 32, 10 steps, 1 input, LSTM 10, Dense 1, Adam."""
    rng = np.random.default_rng(0)
    model = gatewise.Sequential([layers.LSTM(10, input_shape=(10, 1)), layers.Dense(1)], seed=0)
    model.compile("adam", "mse")
    x = rng.standard_normal((32, 10, 1)).astype("float32")
    y = rng.standard_normal((32, 1)).astype("float32")
    return lambda: model.train_on_batch(x, y)


def prepare_translation(case):
    """A training step of an encoder and decoder, as `fit` makes it of samples that it has read."""
    rng = np.random.default_rng(0)
    model = models.Seq2Seq(
        case["tokens"],
        case["tokens"],
        units=case["units"],
        embedding=case["embedding"],
        attention=case["attention"],
        seed=0,
    )
    ends = jobs.token_lengths(case)
    sources, targets = ([rng.integers(3, case["tokens"], n) for n in lengths] for lengths in ends)
    targets = [row[1:] for row in targets]  # the end is added
    inputs, y, lengths = model._given(sources, targets)
    samples = prepare_samples(model, Given(inputs, y, lengths=lengths))
    return lambda: model._train_step(samples)


def fit(job, x, y, weights):
    """Train; a function that predicts."""
    model = network(job, weights)
    model.compile(optimizers.Adam(LEARNING_RATE), "mse")
    model.fit(x, y, batch_size=job.batch, epochs=job.epochs, verbose=0)
    return model.predict


def network(job, weights):
    """A recurrent layer and one linear output."""
    cls = {"lstm": layers.LSTM, "gru": layers.GRU}[job.kind]
    model = gatewise.Sequential(
        [cls(job.units, input_shape=(job.steps, job.inputs)), layers.Dense(1)], seed=0
    )
    model.set_weights(weights)
    return model
