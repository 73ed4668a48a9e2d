"""Attention with several heads against its equations, a row and a head at a time."""

import numpy as np
import pytest
from cases import assert_close, assert_same_bits, randomize, sequences
from reference import softmax

from gatewise import layers
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import Batch, Dense, Input, MultiHeadAttention, Steps, TimeDistributed
from gatewise.layers.masks import lengths_and_places
from gatewise.models import Sequential
from gatewise.testing import check_gradients

LENGTHS, OF_VALUE = [5, 0, 3, 1], [6, 2, 0, 4]


def built(rng, shapes, dtype="float64", **options):
    options = {"num_heads": 2, "key_dim": 3} | options
    layer = MultiHeadAttention(**options, dtype=dtype)
    layer.build([(None, None, shape) for shape in shapes])
    return randomize(layer, rng)


def wanted(layer, query, value, key, query_lengths=None, value_lengths=None):
    """(output, weights) by the equations."""
    p = {name: array.astype(np.float64) for name, array in layer.parameters.items()}

    def project(name, x):
        y = np.einsum("tf,fnh->nth", x, p[f"{name}_kernel"])
        return y + p[f"{name}_bias"][:, None] if layer.use_bias else y

    batch, queries, steps = len(query), query.shape[1], value.shape[1]
    weights = np.zeros((batch, layer.num_heads, queries, steps))
    y = np.zeros((batch, queries, *p["output_kernel"].shape[2:]))
    for row in range(batch):
        here = queries if query_lengths is None else query_lengths[row]
        there = steps if value_lengths is None else value_lengths[row]
        q, k, v = (
            project(name, part[row].astype(np.float64))
            for name, part in (("query", query), ("key", key), ("value", value))
        )
        for t in range(here):
            seen = min(there, t + 1) if layer.use_causal_mask else there
            for head in range(layer.num_heads if seen else 0):
                scores = k[head, :seen] @ q[head, t] / np.sqrt(layer.key_dim)
                weights[row, head, t, :seen] = softmax(scores)
            context = np.einsum("nt,nth->nh", weights[row, :, t], v)
            y[row, t] = np.tensordot(context, p["output_kernel"], 2)
            if layer.use_bias:
                y[row, t] += p["output_bias"]
    return y, weights


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_heads": 1, "key_dim": 17},
        {"num_heads": 3, "key_dim": 2, "value_dim": 5},
        {"use_bias": False},
        {"output_shape": 7},
        {"output_shape": (2, 3)},
        {"use_causal_mask": True},
    ],
    ids=str,
)
def test_forward_and_gradients(options, dtype, tolerance, rng):
    query, value, key = (
        sequences(rng, 4, steps, width, dtype) for steps, width in ((5, 4), (6, 3), (6, 2))
    )
    layer = built(rng, (4, 3, 2), dtype, return_attention_scores=True, **options)
    for lengths in (None, [LENGTHS, OF_VALUE, OF_VALUE], [None, OF_VALUE, None]):
        y, weights = layer([query, value, key], lengths=lengths)
        ends = (None, None) if lengths is None else (lengths[0], lengths[1])
        for got, expected in zip((y, weights), wanted(layer, query, value, key, *ends)):
            assert_close(got, expected, 10 * tolerance.forward)
        if dtype == "float64":
            report = check_gradients(
                layer, [query, value, key], lengths=lengths, max_entries=12, tolerance=1e-6
            )
            assert report.passed


def test_one_sequence_and_two(rng):
    x, value = sequences(rng, 4, 5, 3), sequences(rng, 4, 6, 3)
    layer = built(rng, (3, 3))
    assert_close(layer(x), wanted(layer, x, x, x)[0], 1e-13)
    assert_same_bits(layer(x), layer([x, x]))
    assert_close(layer([x, value]), wanted(layer, x, value, value)[0], 1e-13)
    y = layer(x, lengths=LENGTHS)
    assert_close(y, wanted(layer, x, x, x, LENGTHS, LENGTHS)[0], 1e-13)
    for given, lengths in ((x, LENGTHS), ([x, value], [LENGTHS, OF_VALUE]), (x[:1, :1], None)):
        assert check_gradients(layer, given, lengths=lengths, max_entries=12).passed


def test_calls_as_keras_has_them(rng):
    x, value, key = sequences(rng, 2, 5, 3), sequences(rng, 2, 6, 3), sequences(rng, 2, 6, 3)
    layer = built(rng, (3, 3, 3))
    y = layer([x, value, key])
    assert_same_bits(layer(x, value, key), y)
    assert_same_bits(layer(query=x, value=value, key=key), y)
    assert_same_bits(layer(x, value), layer([x, value]))
    with pytest.raises(ConfigError, match="give use_causal_mask to the constructor"):
        layer(x, x, use_causal_mask=True)
    with pytest.raises(ConfigError, match="a key and no value"):
        layer(x, key=key)
    with pytest.raises(ConfigError, match="attention_mask="):
        layer(x, x, attention_mask=np.ones((2, 5, 5), bool))
    other = MultiHeadAttention(2, 3, dtype="float64")
    y, weights = other(x, x, use_causal_mask=True, return_attention_scores=True)
    assert weights.shape == (2, 2, 5, 5) and not np.triu(weights[0, 0], 1).any()
    assert other.use_causal_mask and other.return_attention_scores
    assert MultiHeadAttention(2, 3, use_gate=False, sliding_window=None, flash_attention=False)
    with pytest.raises(ConfigError, match="use_gate"):
        MultiHeadAttention(2, 3, use_gate=True)


def test_symbols():
    x, value = Input((None, 4)), Input((None, 3))
    assert MultiHeadAttention(2, 3)(x, value).shape == (None, None, 4)
    assert MultiHeadAttention(2, 3)(x, x, use_causal_mask=True).shape == (None, None, 4)
    y, weights = MultiHeadAttention(2, 3, output_shape=(2, 5))(
        x, value, return_attention_scores=True
    )
    assert y.shape == (None, None, 2, 5) and weights.shape == (None, 2, None, None)
    with pytest.raises(ConfigError, match="to the constructor"):
        layer = MultiHeadAttention(2, 3)
        layer(x, x)
        layer(x, x, use_causal_mask=True)


def test_a_masked_step_is_as_if_it_were_not_there(rng):
    x = sequences(rng, 3, 6, 3)
    mask = np.array([[1, 0, 1, 1, 0, 1], [1] * 6, [0, 1, 0, 0, 0, 0]], bool)
    for causal in (False, True):
        layer = built(rng, (3, 3), return_attention_scores=True, use_causal_mask=causal)
        y, weights = layer(x, mask=mask)
        assert not y[~mask].any()
        for row in range(3):
            alone, of_alone = layer(x[row : row + 1, mask[row]])
            assert_close(y[row, mask[row]], alone[0], 1e-13)
            assert_close(weights[row][:, mask[row]][:, :, mask[row]], of_alone[0], 1e-13)
            assert not weights[row][:, :, ~mask[row]].any()
        assert check_gradients(layer, x, mask=mask, max_entries=12).passed


def test_the_value_may_have_a_mask_of_its_own(rng):
    query, value = sequences(rng, 2, 4, 3), sequences(rng, 2, 6, 3)
    mask = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 1, 1, 1, 1]], bool)
    lengths, places = lengths_and_places(mask)
    masked = Batch(places.to_front(value), Steps(lengths, places=places))
    layer = built(rng, (3, 3))
    y = layer.run([Batch(query), masked], None, "node").values
    for row in range(2):
        alone = layer([query[row : row + 1], value[row : row + 1, mask[row]]])
        assert_close(y[row], alone[0], 1e-13)
    causal = built(rng, (3, 3), use_causal_mask=True)
    with pytest.raises(ConfigError, match="a mask with holes; give lengths"):
        causal.run([Batch(query), masked], None, "node")
    with pytest.raises(ShapeError, match="different lengths or masks"):
        layer([query, value, value], lengths=[None, [6, 2], [6, 3]])


def test_a_row_has_the_same_bits_alone_and_in_a_batch(dtype, rng):
    x = sequences(rng, 7, 21, 19, dtype)
    layer = built(rng, (19, 19), dtype, num_heads=3, key_dim=5)
    ends = [21, 3, 17, 1, 9, 20, 12]
    y = layer(x, lengths=ends)
    for row, end in enumerate(ends):
        assert_same_bits(layer(x[row : row + 1, :end].copy())[0], y[row, :end])


def test_padding_never_enters_the_output(rng):
    x = sequences(rng, 4, 5, 3)
    layer = built(rng, (3, 3))
    y = layer(x, lengths=LENGTHS)
    dirty = x.copy()
    dirty[np.arange(5) >= np.array(LENGTHS)[:, None]] = 1e300
    got = layer.run(Batch(dirty, Steps(np.array(LENGTHS, np.intp))), None, "node")
    assert_same_bits(got.values, y)


def test_dropout(rng):
    x = sequences(rng, 2, 6, 3)
    layer = built(rng, (3, 3), dropout=0.5, seed=1, return_attention_scores=True)
    _, weights = layer.forward(x, training=True)
    assert (weights == 0).any()
    assert (layer.forward(x)[1] != 0).all()
    assert check_gradients(layer, x, max_entries=12).passed
    layer.forward(x, training=True)
    layer.backward([None, rng.normal(size=weights.shape)])


def test_in_a_model(rng):
    model = Sequential(
        [
            Input((None, 3), dtype="float64"),
            MultiHeadAttention(2, 4, use_causal_mask=True),
            TimeDistributed(Dense(2)),
        ],
        seed=0,
    )
    x, y = sequences(rng, 3, 5, 3), rng.normal(size=(3, 5, 2))
    report = check_gradients(model, x, y=y, loss="mse", lengths=[5, 0, 2], max_entries=12)
    assert report.passed


def test_names_and_shapes_of_weights(rng):
    layer = built(rng, (4, 3, 5), num_heads=2, key_dim=3, value_dim=6, output_shape=7)
    assert {name: array.shape for name, array in layer.parameters.items()} == {
        "query_kernel": (4, 2, 3),
        "query_bias": (2, 3),
        "key_kernel": (5, 2, 3),
        "key_bias": (2, 3),
        "value_kernel": (3, 2, 6),
        "value_bias": (2, 6),
        "output_kernel": (2, 6, 7),
        "output_bias": (7,),
    }
    again = MultiHeadAttention.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_what_is_refused(rng):
    x = sequences(rng, 2, 4, 3)
    for options in (
        {"num_heads": 0},
        {"key_dim": 1.5},
        {"value_dim": 0},
        {"dropout": 1.0},
        {"attention_axes": 2},
        {"attention_axes": (1, 2)},
        {"output_shape": ()},
        {"output_shape": "4"},
        {"use_bias": None},
    ):
        with pytest.raises((ConfigError, DTypeError), match=next(iter(options))):
            MultiHeadAttention(**{"num_heads": 2, "key_dim": 3} | options)
    layer = MultiHeadAttention(2, 3, name="here", dtype="float64")
    with pytest.raises(ShapeError, match="a key of shape .*expected the same number of steps"):
        layer([x, x, x[:, :3]])
    with pytest.raises(ShapeError, match=r"expected \(batch, steps, features\)"):
        layer([x, x[:, 0]])
    with pytest.raises(ShapeError, match="given 4 inputs"):
        layer([x] * 4)
    layer(x)
    with pytest.raises(ShapeError, match="given a value of shape .*expected 3 features"):
        layer([x, sequences(rng, 2, 4, 2)])
    with pytest.raises(ShapeError, match="no time steps"):
        layer([x, x[:, :0]])
    assert layers.MultiHeadAttention is MultiHeadAttention
