"""Small models with several inputs and outputs, and samples for them."""

import numpy as np

from gatewise.layers import GRU, LSTM, Concatenate, Dense, Input
from gatewise.models import Model

LOSSES = {
    "tag": "sparse_categorical_crossentropy",
    "score": "mse",
    "spam": "binary_crossentropy",
}
METRICS = {"tag": ["accuracy"], "spam": ["accuracy", "mae"]}
LOGS = [
    *("loss", "tag_loss", "score_loss", "spam_loss"),
    *("tag_accuracy", "spam_accuracy", "spam_mae"),
]


def reader(seed=0, dtype="float32", as_dict=False, **recurrent):
    """A tag for each word, and a score and a yes or no for each row of words and a scene."""
    words, scene = Input((None, 3), name="words"), Input((4,), name="scene")
    states = LSTM(5, return_sequences=True, dtype=dtype, name="states", **recurrent)(words)
    tag = Dense(3, "softmax", name="tag")(states)
    joined = Concatenate(name="joined")([GRU(4, name="last", **recurrent)(states), scene])
    outputs = {
        "tag": tag,
        "score": Dense(1, name="score")(joined),
        "spam": Dense(1, "sigmoid", name="spam")(joined),
    }
    return Model([words, scene], outputs if as_dict else list(outputs.values()), seed=seed)


def compiled(model=None, loss=None, optimizer="adam", metrics=None, loss_weights=None, **options):
    """A :func:`reader` that is compiled, with a loss for each output."""
    model = model or reader(**options)
    model.compile(
        optimizer, LOSSES if loss is None else loss, metrics=metrics, loss_weights=loss_weights
    )
    return model


def samples(rng, count=22, longest=7):
    """(x, y), dicts by name; the words of a row, and their tags, are a list of their own."""
    lengths = rng.integers(1, longest + 1, count)
    lengths[0] = longest
    x = {
        "words": [rng.normal(size=(length, 3)) for length in lengths],
        "scene": rng.normal(size=(count, 4)),
    }
    y = {
        "tag": [rng.integers(0, 3, length) for length in lengths],
        "score": rng.normal(size=count),
        "spam": rng.integers(0, 2, count),
    }
    return x, y


def padded(x, y):
    """The same samples with padding of random numbers, which counts in nothing, and lengths."""
    lengths = np.array([len(row) for row in x["words"]])
    noise = np.random.default_rng(5)
    words = noise.normal(size=(len(lengths), lengths.max(), 3))
    tag = noise.integers(0, 3, words.shape[:2])
    for row, (ours, tags) in enumerate(zip(x["words"], y["tag"])):
        words[row, : len(ours)], tag[row, : len(ours)] = ours, tags
    return x | {"words": words}, y | {"tag": tag}, lengths


def same_weights(*models):
    """Whether the weights are the same to the bit."""
    return len({model.flat_parameters.tobytes() for model in models}) == 1
