"""Embedding: vectors of whole numbers, their gradients, accepted types, models with it."""

import copy
import json

import numpy as np
import pytest
from cases import assert_all_same_bits
from samples import arrays_of, samples_of

from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError
from gatewise.kernels import rows
from gatewise.layers import LSTM, Dense, Embedding, Flatten, Input, TimeDistributed
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam
from gatewise.regularizers import L2
from gatewise.testing import check_gradients

KINDS = ["int8", "uint8", "int32", "int64", "uint64", "float32", "float64"]


@pytest.fixture
def layer():
    built = Embedding(7, 3, dtype="float64", seed=1)
    built.build((None, None))
    return built


@pytest.mark.parametrize("kind", KINDS)
def test_vectors(layer, kind, rng):
    x = rng.integers(0, 7, (4, 5)).astype(kind)
    before = x.copy()
    np.testing.assert_array_equal(layer(x), layer.get_weights()[0][x.astype(int)])
    np.testing.assert_array_equal(layer(x.tolist()), layer(x))
    np.testing.assert_array_equal(layer(x.T), layer(np.ascontiguousarray(x.T)))
    np.testing.assert_array_equal(x, before)
    assert layer(x).dtype == "float64"


def test_initial_vectors_are_kerass():
    built = Embedding(500, 20, seed=3)
    built.build((None, 4))
    (table,) = built.get_weights()
    assert built.output_shape == (None, 4, 20) and table.dtype == "float32"
    assert -0.05 <= table.min() < -0.049 and 0.049 < table.max() <= 0.05


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 9), (4, 1), (5, 6), (0, 3)])
def test_gradients(layer, batch, steps, rng):
    x = rng.integers(0, 5, (batch, steps))  # 5 and 6 never occur, others often
    dy = rng.normal(size=(batch, steps, 3))
    layer(x, training=True)
    assert layer.backward(dy) is None
    expected = np.zeros((7, 3))
    np.add.at(expected, x, dy)
    np.testing.assert_allclose(layer.gradients["embeddings"], expected, rtol=0, atol=1e-14)
    if batch:
        check_gradients(layer, x)


def test_gradients_of_an_x_that_changed_meanwhile(layer):
    x = np.array([[1, 2]], np.int32)
    layer(x, training=True)
    x[...] = 10**9
    layer.backward(np.ones((1, 2, 3)))
    assert layer.gradients["embeddings"].sum(axis=1).tolist() == [0, 3, 3, 0, 0, 0, 0]


@pytest.mark.parametrize("columns", [1, 16, 17, 70])
def test_gradients_have_the_same_bits_for_any_number_of_threads(columns, dtype, rng):
    numbers, dy = (
        rng.integers(0, 11, 300).astype("int32"),
        rng.normal(size=(300, columns)).astype(dtype),
    )
    tables = [np.zeros((11, columns), dtype) for _ in range(4)]
    for threads, table in zip((1, 2, 3, 5), tables):
        rows.add_rows(numbers, dy, table, threads)
    expected = np.zeros_like(tables[0])
    for number, row in zip(numbers, dy):  # in this order
        expected[number] += row
    assert_all_same_bits(tables, [expected] * 4)


def test_the_kernel_refuses_numbers_past_the_table():
    for wrong in (-1, 4):
        with pytest.raises(AssertionError, match="kernel expects numbers of 4 rows"):
            rows.add_rows(np.array([0, wrong], np.int32), np.ones((2, 3)), np.zeros((4, 3)))


@pytest.mark.parametrize(
    ("x", "error", "words"),
    [
        (
            [[0, 7]],
            ShapeError,
            (
                r"x holds 7 at index \(0, 1\); layer 'embedding\w*' expects 0 to 6: its input_dim"
                r" is one more"
            ),
        ),
        ([[0, 1], [-1, 2]], ShapeError, r"x holds -1 at index \(1, 0\)"),
        (
            [[0.0, 2.5]],
            DTypeError,
            r"x holds 2.5 at index \(0, 1\); layer .* expects whole numbers from 0 to 6",
        ),
        ([[np.nan, 2.0]], DTypeError, r"x holds nan at index \(0, 0\)"),
        ([[np.inf, 2.0]], DTypeError, "x holds inf"),
        ([[2**40, 1]], DTypeError, f"x holds {2**40}"),
        ([["a", "b"]], DTypeError, "x holds <U1 values; layer .* expects whole numbers"),
        ([[1j]], DTypeError, "x holds complex"),
        (
            [1, 2],
            ShapeError,
            r"x has shape \(2,\); layer .* expects \(batch, steps\) of whole numbers",
        ),
        ([[[1], [2]]], ShapeError, r"x has shape \(1, 2, 1\)"),
        (np.zeros((2, 0), int), ShapeError, "at least 1 step"),
        ([[1], [1, 2]], ShapeError, "rows of different lengths"),
    ],
)
def test_what_it_does_not_take(layer, x, error, words):
    with pytest.raises(error, match=words):
        layer(x)


def test_options_that_cannot_be():
    for given in ({"input_dim": 0, "output_dim": 3}, {"input_dim": 3, "output_dim": 0}):
        with pytest.raises(ConfigError, match="_dim is 0; expected 1"):
            Embedding(**given)
    with pytest.raises(
        ConfigError, match="reads the model's input: it can only be the first layer"
    ):
        Sequential([Dense(3, input_shape=(4,)), Embedding(3, 2)])
    with pytest.raises(ConfigError, match="can only be the first layer"):
        Sequential([Dense(3, input_shape=(4, 2)), TimeDistributed(Embedding(3, 2))])


# ---- in a model


def tagger(**options):
    return Sequential(
        [Embedding(9, 4, **options), LSTM(5, return_sequences=True), Dense(3, "softmax")], seed=2
    )


def test_whole_numbers_reach_it_as_they_are(rng):
    """float32 would not tell these apart."""
    x = 2**24 + np.arange(4).reshape(2, 2)
    assert arrays_of(samples_of(tagger(), [[0, 1]], need_y=False)).x.dtype == "int32"
    assert Sequential([Embedding(2**24 + 4, 1)])._read_input(x).tolist() == x.tolist()
    assert Sequential([Embedding(2**24 + 4, 1)])._read_input(x.astype(float)).tolist() == x.tolist()


@pytest.mark.parametrize("kind", ["int32", "float64", "uint8"])
def test_training(kind, rng):
    x = rng.integers(0, 9, (40, 6))
    y = x % 3
    model = tagger()
    model.compile(Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    first = model.evaluate(x, y, verbose=0)[0]
    model.fit(x.astype(kind), y, epochs=15, batch_size=8, verbose=0)
    assert model.evaluate(x, y, verbose=0)[0] < 0.8 * first
    again = tagger()
    again.compile(Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    again.fit(x, y, epochs=15, batch_size=8, verbose=0)
    assert_all_same_bits(again.get_weights(), model.get_weights())


def test_gradients_of_a_model(rng):
    model = Sequential(
        [Embedding(9, 4, embeddings_regularizer=L2(0.1), dtype="float64"), LSTM(3), Dense(1)],
        seed=3,
    )
    model.build((None, None))
    check_gradients(
        model,
        rng.integers(0, 9, (3, 5)),
        y=rng.normal(size=(3, 1)),
        loss="mse",
        lengths=[5, 0, 2],
        max_entries=20,
    )


def test_rows_of_different_lengths(rng):
    lists = [[1, 2, 3], [4], [5, 6, 7, 8, 8]]
    model = tagger()
    y = model.predict(lists)
    for number, row in enumerate(lists):
        np.testing.assert_array_equal(model.predict([row])[0], y[number, : len(row)])
    for other in (
        tuple(lists),
        np.array([np.array(row) for row in lists], dtype=object),
        [np.array(row, float) for row in lists],
    ):
        np.testing.assert_array_equal(model.predict(other), y)
    with pytest.raises(DTypeError, match=r"x holds 2.5 at index \(0, 1\)"):
        model.predict([[1, 2.5], [1]])
    with pytest.raises(ShapeError, match=r"x holds 9 at index \(1, 2\)"):
        model.predict([[1], [3, 4, 9]])


def test_shapes_of_x(rng):
    model = tagger(input_length=4)
    assert model.built and model.input_shape == (None, 4)
    x = rng.integers(0, 9, (2, 4))
    np.testing.assert_array_equal(model.predict(x[..., None]), model.predict(x))
    assert model.predict(rng.integers(0, 9, (2, 7))).shape == (2, 7, 3)
    with pytest.raises(ShapeError, match=r"x has shape \(2, 4, 2\)"):
        model.predict(np.zeros((2, 4, 2), int))
    with pytest.raises(ShapeError, match="no time steps"):
        model.predict(np.zeros((2, 0), int))
    fixed = Sequential([Input((4,)), Embedding(9, 2), Flatten(), Dense(1)])
    assert fixed.predict(x).shape == (2, 1)
    with pytest.raises(ShapeError, match=r"x has shape \(2, 5\)"):
        fixed.predict(np.zeros((2, 5), int))


def test_lengths_and_memory_maps(tmp_path, rng):
    x, y, lengths = rng.integers(0, 9, (20, 6)), rng.integers(0, 3, (20, 6)), rng.integers(1, 7, 20)
    np.save(tmp_path / "x.npy", x)
    weights = []
    for data in (x, np.load(tmp_path / "x.npy", mmap_mode="r")):
        model = tagger()
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(data, y, lengths=lengths, epochs=2, batch_size=4, verbose=0)
        weights.append(model.get_weights())
    assert_all_same_bits(*weights)


def test_files_and_copies(tmp_path, rng):
    model = tagger(
        embeddings_initializer="glorot_normal",
        embeddings_regularizer="l2",
        input_length=6,
        name="words",
    )
    x = rng.integers(0, 9, (5, 6))
    model.save(tmp_path / "model")
    for twin in (load_model(tmp_path / "model"), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(x), model.predict(x))
        assert twin.layers[0].get_config() == model.layers[0].get_config()
    json.dumps(model.layers[0].get_config())


def test_vectors_are_kept_when_a_model_is_built_again(rng):
    model = tagger()
    model.predict(rng.integers(0, 9, (2, 4)))
    before = model.get_weights()
    model.build((None, 7))
    assert_all_same_bits(model.get_weights(), before)


# ---- pretrained vectors


@pytest.mark.parametrize(
    "given",
    [
        lambda vectors: vectors,
        lambda vectors: [vectors],
        lambda vectors: vectors.tolist(),
        np.asfortranarray,
        lambda vectors: vectors.astype("float32"),
        lambda vectors: vectors[::-1][::-1],
    ],
    ids=range(6),
)
def test_given_vectors_are_the_start(given, rng, tmp_path):
    vectors = rng.normal(size=(9, 4))
    before = vectors.copy()
    model = Sequential(
        [
            Embedding(9, 4, weights=given(vectors), trainable=False, mask_zero=True),
            LSTM(3),
            Dense(1),
        ],
        seed=0,
    )
    model.compile("adam", "mse")
    x, y = rng.integers(0, 9, (6, 5)), rng.normal(size=(6, 1))
    model.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], vectors.astype("float32"))
    np.testing.assert_array_equal(vectors, before)
    model.save(tmp_path / "model")
    twin = load_model(tmp_path / "model")
    assert_all_same_bits(twin.get_weights(), model.get_weights())
    assert not twin.layers[0].trainable
    model.trainable = True
    model.fit(x, y, verbose=0)
    assert not np.array_equal(model.layers[0].get_weights()[0], vectors.astype("float32"))
    np.testing.assert_array_equal(vectors, before)


def test_given_vectors_in_the_layers_dtype(rng):
    vectors = rng.normal(size=(3, 2))
    layer = copy.deepcopy(Embedding(3, 2, weights=vectors, dtype="float64"))
    assert_all_same_bits([layer.forward(np.arange(3)[None])[0]], [vectors])
    assert "weights" not in layer.get_config()


@pytest.mark.parametrize(
    ("weights", "error", "words"),
    [
        (np.zeros((4, 9)), ShapeError, r"expects \(9, 4\).*give its transpose"),
        (np.zeros((9, 5)), ShapeError, r"has shape \(9, 5\)"),
        (np.zeros(36), ShapeError, r"has shape \(36,\)"),
        ([np.zeros((9, 4)), np.zeros(4)], ShapeError, "weights"),
        ([], ShapeError, "has shape"),
        (np.full((9, 4), np.nan), NonFiniteError, r"weights holds nan at index \(0, 0\)"),
        (np.full((9, 4), "a"), DTypeError, "weights holds"),
        (np.zeros((9, 4), complex), DTypeError, "complex"),
        ("glove.txt", DTypeError, "weights holds"),
        (np.full((9, 4), 1e300), NonFiniteError, "overflows float32"),
    ],
)
def test_given_vectors_that_cannot_be(weights, error, words):
    with pytest.raises(error, match=words):
        Embedding(9, 4, weights=weights).build((None, 3))


def test_vectors_start_as_one_thing():
    with pytest.raises(ConfigError, match="both given"):
        Embedding(2, 2, embeddings_initializer="zeros", weights=np.ones((2, 2)))
