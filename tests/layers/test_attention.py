"""Attention against its equations, a row at a time; gradients of one, two and three inputs."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, run, sequences
from reference import softmax

from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    AdditiveAttention,
    Attention,
    Dense,
    GlobalAveragePooling1D,
    Input,
)
from gatewise.models import Model, Sequential
from gatewise.testing import check_gradients, compare_gradients

KINDS = {
    "dot": lambda **o: Attention(**o),
    "scaled dot": lambda **o: Attention(use_scale=True, **o),
    "concat": lambda **o: Attention(score_mode="concat", **o),
    "scaled concat": lambda **o: Attention(use_scale=True, score_mode="concat", **o),
    "additive": lambda **o: AdditiveAttention(**o),
    "plain additive": lambda **o: AdditiveAttention(use_scale=False, **o),
}
LENGTHS = [5, 0, 3, 1]


def layer_of(kind, rng, dtype="float64", **options):
    layer = KINDS[kind](dtype=dtype, **options)
    layer.build((None, None, 3))
    layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return layer


def wanted(layer, query, value, key, query_lengths=None, value_lengths=None):
    p = {name: array.astype(np.float64) for name, array in layer.parameters.items()}
    y = np.zeros((*query.shape[:2], value.shape[2]))
    for row in range(len(y)):
        here = query.shape[1] if query_lengths is None else query_lengths[row]
        there = value.shape[1] if value_lengths is None else value_lengths[row]
        for t in range(here if there else 0):
            q, keys = query[row, t].astype(np.float64), key[row, :there].astype(np.float64)
            if isinstance(layer, AdditiveAttention):
                scores = [np.sum(p.get("scale", 1) * np.tanh(q + k)) for k in keys]
            elif layer.score_mode == "concat":
                scores = [
                    p["concat_score_weight"] * np.sum(np.tanh(p.get("scale", 1) * (q + k)))
                    for k in keys
                ]
            else:
                scores = [p.get("scale", 1) * (q @ k) for k in keys]
            seen = min(there, t + 1) if layer.use_causal_mask else there
            y[row, t] = softmax(np.array(scores[:seen])) @ value[row, :seen]
    return y


@pytest.mark.parametrize("kind", KINDS)
def test_forward(kind, dtype, tolerance, rng):
    layer, x = layer_of(kind, rng, dtype), sequences(rng, 4, 5, 3, dtype)
    for lengths in (None, LENGTHS):
        assert_close(
            layer.forward(x, lengths=lengths),
            wanted(layer, x, x, x, lengths, lengths),
            tolerance.forward,
        )
    query, key, value = x, sequences(rng, 4, 6, 3, dtype), sequences(rng, 4, 6, 3, dtype)
    assert_close(
        layer.forward([query, value]), wanted(layer, query, value, value), tolerance.forward
    )
    for lengths in ([None, None], [LENGTHS, None], [None, [6, 2, 0, 4]], [LENGTHS, [6, 2, 0, 4]]):
        assert_close(
            layer.forward([query, value, key], lengths=lengths),
            wanted(layer, query, value, key, *lengths),
            tolerance.forward,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_attends_to_those_up_to_its_own_with_a_causal_mask(kind, dtype, tolerance, rng):
    layer = layer_of(kind, rng, dtype, use_causal_mask=True)
    for steps in (3, 5, 130):
        query, value = sequences(rng, 4, steps, 3, dtype), sequences(rng, 4, 6, 3, dtype)
        query_lengths = [steps, 0, 3, 1]
        for lengths in (None, [query_lengths, [6, 2, 0, 4]]):
            assert_close(
                layer.forward([query, value], lengths=lengths),
                wanted(layer, query, value, value, *(lengths or (None, None))),
                tolerance.forward,
            )
    report = check_gradients(layer_of(kind, rng, use_causal_mask=True), rng.normal(size=(3, 4, 3)))
    assert report.passed


def test_a_causal_mask_with_holes_keeps_the_order(rng):
    layer, x = layer_of("dot", rng, use_causal_mask=True), sequences(rng, 1, 5, 3)
    y = layer.forward(x, mask=[[True, False, True, True, False]])
    assert_same_bits(y[:, [0, 2, 3]], layer.forward(np.ascontiguousarray(x[:, [0, 2, 3]])))
    assert not y[:, [1, 4]].any()


@pytest.mark.parametrize("kind", KINDS)
def test_returned_scores(kind, rng):
    """They are the weights, in their places, and their gradients count."""
    layer = layer_of(kind, rng, return_attention_scores=True)
    query, value, lengths = sequences(rng, 3, 4, 3), sequences(rng, 3, 5, 3), [[4, 2, 3], [5, 1, 0]]
    y, weights = layer.forward([query, value], lengths=lengths)
    assert weights.shape == (3, 4, 5)
    assert_close(np.einsum("bqt,btf->bqf", weights, value), y, 1e-12)
    inside = (np.arange(4) < np.array(lengths[0])[:, None, None].swapaxes(1, 2)).swapaxes(1, 2) & (
        np.arange(5) < np.array(lengths[1])[:, None, None]
    )
    assert ((weights != 0) == inside).all()
    assert_close(weights.sum(axis=2), inside.any(axis=2), 1e-12)
    x, mask = sequences(rng, 2, 5, 3), np.array([[1, 0, 1, 1, 0], [1, 1, 1, 1, 1]], bool)
    y, weights = layer.forward(x, mask=mask)
    assert ((weights != 0) == (mask[:, None] & mask[..., None])).all()
    assert_close(np.einsum("bqt,btf->bqf", weights, x), y, 1e-12)
    for options in ({}, {"mask": mask}, {"lengths": [5, 2]}):
        assert check_gradients(layer, x, max_entries=20, **options).passed
    layer.forward(x, training=True)
    d_weights = rng.normal(size=weights.shape)
    layer.backward([None, d_weights])


def test_returned_scores_are_those_after_dropout(rng):
    layer = layer_of("dot", rng, dropout=0.5, seed=1, return_attention_scores=True)
    x = sequences(rng, 2, 6, 3)
    y, weights = layer.forward(x, training=True)
    assert (weights == 0).any()
    assert_close(np.einsum("bqt,btf->bqf", weights, x), y, 1e-12)


def test_options_of_calls_are_in_files_only_if_they_are_on():
    assert "use_causal_mask" not in Attention().get_config()
    config = AdditiveAttention(use_causal_mask=True, return_attention_scores=True).get_config()
    other = AdditiveAttention.from_config(config)
    assert other.use_causal_mask and other.return_attention_scores
    other.build([(None, 7, 3), (None, 5, 4)])
    assert other.output_shape == [(None, 7, 4), (None, 7, 5)]


def test_the_value_may_have_other_features(rng):
    layer, query, value, key = layer_of("dot", rng), *(sequences(rng, 2, 4, n) for n in (3, 7, 3))
    assert_close(layer.forward([query, value, key]), wanted(layer, query, value, key), 1e-12)


@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_one_input(kind, dropout, rng):
    layer = layer_of(kind, rng, dropout=dropout, seed=1)
    for shape, lengths in [((4, 5, 3), None), ((4, 5, 3), LENGTHS), ((1, 1, 3), None)]:
        report = check_gradients(layer, rng.normal(size=shape), lengths=lengths, max_entries=20)
        assert set(report.errors) == {"x", *layer.parameters}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_several_inputs(kind, count, rng):
    layer = layer_of(kind, rng)
    x = [sequences(rng, 3, steps, 3) for steps in (4, 5, 5)[:count]]
    lengths, p = [[4, 2, 3], [5, 1, 0]], rng.normal(size=(3, 4, 3))
    layer.forward(x, lengths=lengths, training=True)
    layer.zero_gradients()
    found = layer.backward(p)
    assert len(found) == count
    pairs = {f"x{k}": (array, gradient) for k, (array, gradient) in enumerate(zip(x, found))}
    pairs |= {
        name: (array, layer.gradients[name].copy()) for name, array in layer.parameters.items()
    }
    assert compare_gradients(
        lambda: float((layer.forward(x, lengths=lengths) * p).sum()), pairs, max_entries=20
    ).passed


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_does_not_depend_on_its_neighbours_nor_on_its_padding(kind, dtype, rng):
    layer, x, lengths = (
        layer_of(kind, rng, dtype),
        sequences(rng, 6, 19, 3, dtype),
        np.array([19, 3, 17, 1, 5, 8]),
    )
    whole = layer.forward(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert_same_bits(layer.forward(x[row : row + 1, :length]), whole[row : row + 1, :length])


@pytest.mark.parametrize("kind", KINDS)
def test_threads_give_the_same_bits(kind, dtype, rng, forced_threads):
    layer, x, results = layer_of(kind, rng, dtype), sequences(rng, 3, 130, 3, dtype), []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


def test_padding_is_not_attended_to(rng):
    for kind in KINDS:
        layer, x, lengths = layer_of(kind, rng), sequences(rng, 2, 6, 3), np.array([6, 3])
        other = x.copy()
        other[1, 3:] = 100
        assert_all_same_bits(run(layer, other, lengths=lengths), run(layer, x, lengths=lengths))


@pytest.mark.parametrize("kind", ["scaled concat", "additive", "dot"])
def test_behind_a_recurrent_layer(kind, rng):
    """A model that must compare steps learns to; and every gradient of it is right."""
    model = Sequential(
        [
            Input((None, 2)),
            GRU(4, return_sequences=True, dtype="float64"),
            KINDS[kind](dropout=0.1),
            GlobalAveragePooling1D(),
            Dense(1),
        ],
        seed=0,
    )
    x, y, lengths = sequences(rng, 5, 4, 2), rng.normal(size=(5, 1)), [4, 1, 3, 2, 4]
    assert check_gradients(model, x, y=y, loss="mse", lengths=lengths, max_entries=6).passed


@pytest.mark.parametrize("kind", [Attention, AdditiveAttention])
def test_a_layer_of_a_model_is_called_alone(kind, rng):
    """It was built for a list of shapes."""
    layer, symbols = kind(), [Input((3, 4)), Input((5, 4))]
    model = Model(symbols, layer(symbols))
    query, value = (rng.normal(size=(2, steps, 4)).astype("float32") for steps in (3, 5))
    assert_same_bits(layer([query, value]), model.predict([query, value]))
    assert layer(query).shape == (2, 3, 4)
    with pytest.raises(ShapeError, match="x has 5 features .* expects 4"):
        layer(np.ones((2, 3, 5), "float32"))
    with pytest.raises(ShapeError, match=r"least 1 step, or a list \[query"):
        layer(np.ones((2, 4), "float32"))
    with pytest.raises(ShapeError, match=r"x has shape \(2, 0, 4\)"):
        layer(np.ones((2, 0, 4), "float32"))


def test_truncated_back_propagation_is_refused(rng):
    model = Sequential(
        [Input((None, 2)), LSTM(3, return_sequences=True), Attention(), Dense(1)], seed=0
    )
    model.compile("sgd", "mse")
    x = sequences(rng, 2, 8, 2)
    with pytest.raises(ConfigError, match="attention"):
        model.fit(x, x[..., :1], tbptt_steps=4, verbose=0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: Attention(score_mode="cosine"), ConfigError, "score_mode is 'cosine'"),
        (
            lambda x: Attention().build((None, 3)),
            ShapeError,
            r"expected \(batch, steps, features\)",
        ),
        (
            lambda x: AdditiveAttention().build((None, 4, None)),
            ShapeError,
            "known number of features",
        ),
        (lambda x: Attention().forward([x, x[:1]]), ShapeError, "expected the same number of rows"),
        (
            lambda x: Attention().forward([x, x[..., :2]]),
            ShapeError,
            "of features in query and key",
        ),
        (
            lambda x: Attention().forward([x, x, x[:, :2]]),
            ShapeError,
            "of steps in value and key",
        ),
        (
            lambda x: Attention().forward([x, x], lengths=[[1, 2]]),
            ShapeError,
            "lengths has 1 entries",
        ),
        (
            lambda x: Attention().forward([x, x], lengths=[None, [9, 1]]),
            ShapeError,
            r"lengths\[0\] is 9",
        ),
        (lambda x: Attention().forward([x, x], resets=x), ConfigError, "keeps no state"),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call(np.zeros((2, 4, 3), "float32"))


def test_building_from_the_shapes_of_query_and_value():
    layer = AdditiveAttention()
    layer.build([(None, 7, 3), (None, 5, 3)])
    assert layer.parameters["scale"].shape == (3,)
    assert layer.output_shape == (None, 7, 3)
