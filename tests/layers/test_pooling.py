"""Pooling over steps, dropout of whole features, layers applied step by step."""

import copy

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, randomize, run, sequences
from tolerances import TOLERANCES

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    SpatialDropout1D,
    TimeDistributed,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients

POOLS = {"mean": GlobalAveragePooling1D, "max": GlobalMaxPooling1D}
REFERENCE = {"mean": np.mean, "max": np.max}
LENGTHS = [5, 0, 3, 1]


def pooled(kind, x, lengths=None):
    lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
    return np.array(
        [
            REFERENCE[kind](row[:n].astype(float), axis=0) if n else np.zeros(x.shape[2])
            for row, n in zip(x, lengths)
        ]
    )


@pytest.mark.parametrize("features", [1, 3, 64, 70])
@pytest.mark.parametrize("kind", POOLS)
def test_pooling(kind, features, dtype, rng):
    # all negative: padding counted as zeros would win
    x = sequences(rng, 4, 5, features, dtype) - 3
    layer = POOLS[kind](dtype=dtype)
    for lengths in (None, LENGTHS):
        y = layer(x, lengths)
        assert y.dtype == dtype
        assert_close(y, pooled(kind, x, lengths), TOLERANCES[dtype].forward)
    assert layer.output_shape == (None, features)


@pytest.mark.parametrize(
    ("batch", "steps", "lengths"),
    [(4, 5, None), (4, 5, LENGTHS), (1, 1, None), (1, 4, [2]), (2, 1, [0, 1])],
)
@pytest.mark.parametrize("kind", POOLS)
def test_gradients_of_pooling(kind, batch, steps, lengths, rng):
    check_gradients(POOLS[kind](dtype="float64"), sequences(rng, batch, steps, 3), lengths=lengths)


@pytest.mark.parametrize("features", [1, 2, 33])
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_a_row_alone_and_among_others(kind, features, dtype, rng, forced_threads):
    """Longer rows beside it, and threads, change no bit."""
    x, lengths = sequences(rng, 6, 300, features, dtype), np.array([1, 300, 7, 129, 0, 64])
    layer, results = POOLS[kind](dtype=dtype), []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x, lengths=lengths))
    assert_all_same_bits(results[1], results[0])
    assert_all_same_bits(results[2], results[0])
    for number, length in enumerate(lengths):
        if length:
            np.testing.assert_array_equal(
                layer(x[number : number + 1, :length])[0], results[0]["output 0"][number]
            )


def test_what_padding_holds_does_not_matter(rng):
    x = sequences(rng, 2, 4, 3)
    other = x.copy()
    other[0, 2:] = 1e300
    for cls in POOLS.values():
        np.testing.assert_array_equal(
            cls(dtype="float64")(x, [2, 4]), cls(dtype="float64")(other, [2, 4])
        )


def test_no_rows_and_no_steps():
    for cls in POOLS.values():
        layer = cls()
        assert layer(np.zeros((0, 3, 2), np.float32)).shape == (0, 2)
        with pytest.raises(ShapeError, match="no time steps"):
            layer(np.zeros((2, 0, 2), np.float32))
        with pytest.raises(ShapeError, match="needs return_sequences=True"):
            Sequential([LSTM(3, input_shape=(4, 2)), cls()])
        with pytest.raises(ShapeError, match=r"\(batch, steps, features\)"):
            cls()(np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("cls", POOLS.values())
def test_pooling_in_a_model(cls, rng, tmp_path):
    model = Sequential(
        [GRU(4, return_sequences=True, input_shape=(None, 2)), cls(), Dense(1)], seed=1
    )
    model.compile("adam", "mse")
    rows = [rng.normal(size=(n, 2)) for n in (3, 8, 1, 5)]
    y = rng.normal(size=4)
    loss = model.fit(rows, y, epochs=20, verbose=0).history["loss"]
    assert loss[-1] < loss[0]
    for row, value in zip(rows, model.predict(rows)):
        np.testing.assert_array_equal(model.predict(row[None])[0], value)
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(load_model(tmp_path / "m").predict(rows), model.predict(rows))
    wide = Sequential(
        [LSTM(3, return_sequences=True, dtype="float64", input_shape=(None, 2)), cls(), Dense(1)],
        seed=1,
    )
    check_gradients(
        wide, rng.normal(size=(3, 4, 2)), y=y[:3], loss="mse", lengths=[4, 1, 2], max_entries=12
    )


# ---- dropout of whole features


def test_spatial_dropout(rng):
    layer = SpatialDropout1D(0.4, seed=3, dtype="float64")
    x = np.ones((50, 6, 20))
    y = layer(x, training=True)
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0, 1 / 0.6}
    assert 0.35 < (y == 0).mean() < 0.45
    np.testing.assert_array_equal(layer(x), x)
    check_gradients(layer, sequences(rng, 3, 4, 20), max_entries=30)
    assert SpatialDropout1D.from_config(layer.get_config()).rate == 0.4
    with pytest.raises(ShapeError, match=r"\(batch, steps, features\)"):
        SpatialDropout1D(0.4)(np.zeros((2, 3), np.float32))


# ---- layers step by step


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(3, "tanh", seed=1),
        lambda: Dense(3, "softmax", seed=1),
        lambda: Activation("softmax"),
        lambda: Activation("elu"),
    ],
)
def test_step_by_step_is_the_layer_itself(make, rng):
    x = sequences(rng, 3, 4, 5)
    plain, stepwise = make(), TimeDistributed(make(), dtype="float64")
    plain._set_dtype("float64")
    plain.build(x.shape)
    stepwise.build(x.shape)
    stepwise.set_weights(plain.get_weights())
    np.testing.assert_array_equal(stepwise(x), plain(x))
    check_gradients(stepwise, x)
    assert [name.removeprefix("layer/") for name in stepwise.parameters] == list(plain.parameters)
    assert stepwise.output_shape == plain.output_shape


def test_step_by_step_with_more_axes(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    flat = TimeDistributed(Flatten(), dtype="float64")
    np.testing.assert_array_equal(flat(x), x.reshape(2, 3, 20))
    check_gradients(flat, x)
    inner = TimeDistributed(Bidirectional(LSTM(2, dtype="float64")), input_shape=(None, 4, 5))
    inner.build(x.shape)
    randomize(inner, rng)
    np.testing.assert_array_equal(inner(x), inner.layer(x.reshape(6, 4, 5)).reshape(2, 3, 4))
    check_gradients(inner, x, max_entries=12)
    dropped = TimeDistributed(Dropout(0.5, seed=2))(np.ones((30, 8, 4), np.float32), training=True)
    assert 0.4 < (dropped == 0).mean() < 0.6


def test_step_by_step_in_a_model(rng, tmp_path):
    """The loss starts from the scores of the layer inside, and files hold it."""
    plain = Sequential(
        [LSTM(4, return_sequences=True, input_shape=(None, 2)), Dense(3, "softmax")], seed=1
    )
    model = Sequential(
        [
            LSTM(4, return_sequences=True, input_shape=(None, 2)),
            TimeDistributed(Dense(3, "softmax")),
        ],
        seed=1,
    )
    rows = [rng.normal(size=(n, 2)) for n in (3, 6, 1)]
    y = [rng.integers(0, 3, len(row)) for row in rows]
    for each in (plain, model):
        each.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        each.fit(rows, y, epochs=3, verbose=0)
    assert model._fused
    assert_all_same_bits(model.get_weights(), plain.get_weights())
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    np.testing.assert_array_equal(loaded.predict(rows), plain.predict(rows))
    np.testing.assert_array_equal(copy.deepcopy(loaded).predict(rows), plain.predict(rows))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: TimeDistributed(3), DTypeError, "layer is 3; expected a gatewise.layers object"),
        (
            lambda: TimeDistributed(LSTM(3, stateful=True)),
            ConfigError,
            "TimeDistributed takes no stateful layer",
        ),
        (
            lambda: TimeDistributed(TimeDistributed(Dense(3))),
            ConfigError,
            "TimeDistributed takes no TimeDistributed",
        ),
        (lambda: TimeDistributed(LSTM(3, return_state=True)), ConfigError, "returns a list"),
        (
            lambda: TimeDistributed(Dense(3)).build((None, 4)),
            ShapeError,
            r"expected \(batch, steps, ...\)",
        ),
        (
            lambda: TimeDistributed(Dense(3), dtype="float64")(np.zeros((2, 3))),
            ShapeError,
            r"expected \(batch, steps, ...\)",
        ),
    ],
)
def test_what_cannot_be_applied_step_by_step(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_wrong_shapes_step_by_step(rng):
    layer = TimeDistributed(Dense(3), dtype="float64")
    layer(rng.normal(size=(2, 4, 5)))
    with pytest.raises(ShapeError, match="expects 3 axes"):
        layer(rng.normal(size=(2, 5)))
    with pytest.raises(ShapeError, match="has 6 features"):
        layer(rng.normal(size=(2, 4, 6)))
