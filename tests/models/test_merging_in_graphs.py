"""Layers that merge or reshape arrays, in graphs: gradients, lengths, masks, files."""

import numpy as np
import pytest
from cases import assert_same_bits, sequences

from gatewise import load_model
from gatewise.errors import ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    Concatenate,
    Cropping1D,
    Dense,
    Dot,
    GaussianNoise,
    GlobalAveragePooling1D,
    Input,
    MultiHeadAttention,
    Permute,
    Reshape,
    Softmax,
    UpSampling1D,
    ZeroPadding1D,
    add,
    average,
    concatenate,
    maximum,
    multiply,
)
from gatewise.models import Model
from gatewise.testing import check_gradients

LENGTHS = [5, 2, 3]


def residual(x):
    """Every elementwise layer, a vector beside a sequence, and a difference and a product."""
    h = GRU(4, return_sequences=True)(x)
    summary = GlobalAveragePooling1D()(h)
    y = add([h, Dense(4, "tanh")(h), summary])
    y = maximum([y * summary, average([y, h])]) - multiply([h, y])
    return Dense(2)(concatenate([y, h]))


def joined(x):
    """Sequences one after the other."""
    early, late = Dense(3)(x), GRU(3, return_sequences=True)(x)
    return LSTM(2)(Concatenate(1)([early, late]))


def heads(x):
    h = MultiHeadAttention(2, 3)(x, x)
    y = add([h, x])
    return Dense(2)(MultiHeadAttention(2, 3)(y, h, use_causal_mask=True))


def pooled(x):
    """Attention pooling by a softmax over steps and a sum over steps."""
    weights = Softmax(axis=1)(Dense(1)(x))
    return Dense(2)(Reshape((3,))(Dot(1)([weights, x])))


def resized(x):
    longer = UpSampling1D(2)(x)
    padded = Cropping1D((1, 0))(ZeroPadding1D((1, 0))(longer))
    y = Permute((1, 3, 2))(Reshape((-1, 1, 3))(add([longer, padded])))
    return GRU(2)(GaussianNoise(0.1)(Reshape((-1, 3))(y)))


GRAPHS = {f.__name__: f for f in (residual, joined, heads, pooled, resized)}


def model_of(name, dtype="float64"):
    x = Input((None, 3), dtype=dtype, name="x")
    return Model(x, GRAPHS[name](x), seed=0)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=str)
@pytest.mark.parametrize("name", GRAPHS)
def test_gradients(name, lengths, rng):
    model, x = model_of(name), sequences(rng, 3, 5, 3)
    y = rng.normal(size=model(x).shape)
    report = check_gradients(model, x, y=y, loss="mse", lengths=lengths, max_entries=8)
    assert report.passed


@pytest.mark.parametrize("name", GRAPHS)
def test_a_row_gives_the_same_alone_and_with_longer_ones(name, rng):
    model, x = model_of(name, "float32"), sequences(rng, 3, 5, 3, "float32")
    y = model.predict(x, lengths=LENGTHS, verbose=0)
    for row, length in enumerate(LENGTHS):
        alone = model.predict(x[row : row + 1, :length], verbose=0)[0]
        assert_same_bits(y[row, :length].copy() if y.ndim == 3 else y[row].copy(), alone)


@pytest.mark.parametrize("name", ["residual", "joined", "pooled", "resized"])
def test_masked_steps_are_as_if_they_were_not_there(name, rng):
    model, x = model_of(name, "float32"), sequences(rng, 2, 6, 3, "float32")
    mask = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 0, 1, 1]], bool)
    y = model.predict(x, mask=mask, verbose=0)
    for row in range(2):
        alone = model.predict(x[row : row + 1, mask[row]], verbose=0)[0]
        assert_same_bits(y[row, mask[row]].copy() if y.ndim == 3 else y[row].copy(), alone)


@pytest.mark.parametrize("name", GRAPHS)
def test_files_and_training(name, tmp_path, rng):
    model, x = model_of(name, "float32"), sequences(rng, 8, 5, 3, "float32")
    model.compile("adam", "mse")
    y = rng.normal(size=model.predict(x, verbose=0).shape)
    losses = model.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.gatewise")
    again = load_model(tmp_path / "model.gatewise")
    assert_same_bits(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_inputs_of_different_lengths_are_refused(rng):
    a, b = Input((None, 3), name="a"), Input((None, 3), name="b")
    model = Model([a, b], Dense(1)(add([a, b], name="sum")), seed=0)
    x = sequences(rng, 3, 5, 3, "float32")
    for lengths in ([LENGTHS, LENGTHS], [LENGTHS, None]):
        assert not model.predict([x, x], lengths=lengths, verbose=0)[1, 2:].any()
    with pytest.raises(ShapeError, match="inputs 0 and 1 of layer 'sum' have different lengths"):
        model.predict([x, x], lengths=[LENGTHS, [5, 3, 3]], verbose=0)
