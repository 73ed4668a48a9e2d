"""The layer of encoder and decoder: against NumPy step by step, its gradients, rows alone."""

import numpy as np
import pytest
from cases import assert_close, assert_same_bits
from reference import sigmoid, softmax

from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import EncoderDecoder
from gatewise.testing import check_gradients, compare_gradients

LENGTHS = [[4, 2, 3], [5, 1, 3]]
OPTIONS = {
    "luong": {},
    "bahdanau": {"attention": "bahdanau"},
    "no attention": {"attention": None},
    "one direction": {"bidirectional": False},
    "two layers": {"num_layers": 2},
    "two layers, bahdanau": {"num_layers": 2, "attention": "bahdanau", "cell": "gru"},
    "one direction, rnn": {"bidirectional": False, "cell": "rnn", "attention": None},
    "tied": {"tie_embeddings": True},
    "tied, gru, no attention": {"tie_embeddings": True, "cell": "gru", "attention": None},
}


def layer_of(rng, dtype="float64", **options):
    layer = EncoderDecoder(9, 7, units=4, embedding=3, seed=0, dtype=dtype, **options)
    layer.build([(None, None), (None, None)])
    layer.set_weights([rng.normal(size=w.shape) / 2 for w in layer.get_weights()])
    return layer


def pairs(rng):
    return [rng.integers(0, 7, (3, 4)), rng.integers(0, 9, (3, 5))]


def lstm_step(x, h, c, p):
    z = x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"]
    i, f, g, o = np.split(z, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def part(layer, path):
    return {
        name.removeprefix(f"{path}/"): array
        for name, array in layer.parameters.items()
        if name.startswith(f"{path}/")
    }


def translated(layer, target, source):
    """The probabilities for one pair, one step at a time."""
    p = layer.parameters
    read = p["source_embedding/embeddings"][source]
    ends = {}
    for path, order in (("forward", read), ("backward", read[::-1])):
        h, c, outputs = np.zeros(4), np.zeros(4), []
        for x in order:
            h, c = lstm_step(x, h, c, part(layer, f"encoder_0/{path}"))
            outputs.append(h)
        ends[path] = (h, c, outputs)
    outputs = np.hstack([ends["forward"][2], ends["backward"][2][::-1]])
    both = [np.concatenate([ends["forward"][k], ends["backward"][k]]) for k in (0, 1)]
    h = np.tanh(both[0] @ p["bridge_0_h/kernel"] + p["bridge_0_h/bias"])
    c = both[1] @ p["bridge_0_c/kernel"] + p["bridge_0_c/bias"]
    memory, found = outputs @ p["memory/kernel"], []
    for x in p["target_embedding/embeddings"][target]:
        if layer.attention == "bahdanau":
            query = h @ p["decoder_0/query/kernel"]
            tanh = np.tanh(query + memory @ p["keys/kernel"])
            context = softmax(tanh @ p["decoder_0/attention/scale"]) @ memory
            h, c = lstm_step(np.concatenate([x, context]), h, c, part(layer, "decoder_0/layer"))
        else:
            h, c = lstm_step(x, h, c, part(layer, "decoder_0"))
            context = softmax(memory @ h) @ memory
        combined = np.tanh(np.concatenate([h, context]) @ p["combine/kernel"] + p["combine/bias"])
        found.append(softmax(combined @ p["output/kernel"] + p["output/bias"]))
    return np.array(found)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_forward(attention, dtype, tolerance, rng):
    layer, (target, source) = layer_of(rng, dtype, attention=attention), pairs(rng)
    y = layer.forward([target, source], lengths=LENGTHS)
    for row, (n, m) in enumerate(zip(*LENGTHS)):
        wanted = translated(layer, target[row, :n], source[row, :m])
        assert_close(y[row, :n], wanted, tolerance.forward)


def test_check_gradients_leaves_out_the_tokens(rng):
    layer, x = layer_of(rng), pairs(rng)
    report = check_gradients(layer, x, lengths=LENGTHS, max_entries=3)
    assert report.passed
    assert set(report.errors) == set(layer.parameters)


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients(options, rng):
    layer, x = layer_of(rng, **OPTIONS[options]), pairs(rng)
    y = layer.forward(x, lengths=LENGTHS, training=True)
    p = rng.normal(size=y.shape) * (np.arange(4) < np.array(LENGTHS[0])[:, None])[..., None]
    layer.zero_gradients()
    assert layer.backward(p) == [None, None]
    found = {name: array.copy() for name, array in layer.gradients.items()}
    assert compare_gradients(
        lambda: float((layer.forward(x, lengths=LENGTHS) * p).sum()),
        {name: (array, found[name]) for name, array in layer.parameters.items()},
        max_entries=5,
    ).passed


@pytest.mark.parametrize("options", OPTIONS)
def test_a_row_alone_gives_the_same_bits(options, rng):
    layer, (target, source) = layer_of(rng, "float32", **OPTIONS[options]), pairs(rng)
    y = layer.forward([target, source], lengths=LENGTHS)
    for row, (n, m) in enumerate(zip(*LENGTHS)):
        alone = layer.forward([target[row : row + 1, :n], source[row : row + 1, :m]])
        assert_same_bits(alone, y[row : row + 1, :n])


def test_scheduled_sampling_replaces_tokens_by_those_of_the_model(rng):
    layer, (target, source) = layer_of(rng, scheduled_sampling=1.0), pairs(rng)
    found = layer.forward([target, source]).argmax(axis=2)
    mixed = target.copy()
    mixed[:, 1:] = found[:, :-1]
    y = layer.forward([target, source], training=True)
    assert_same_bits(y, layer.forward([mixed, source]))
    layer.scheduled_sampling = 0.0
    assert_same_bits(
        layer.forward([target, source], training=True), layer.forward([target, source])
    )


def test_dropout_is_applied_in_training_only(rng):
    layer, x = layer_of(rng, dropout=0.5), pairs(rng)
    assert (layer.forward(x, training=True) != layer.forward(x)).any()
    assert_same_bits(layer.forward(x), layer.forward(x))


def test_configuration():
    layer = EncoderDecoder(9, 7, "gru", 4, 3, 2, False, None, 0.1, 0.2, True)
    other = EncoderDecoder.from_config(layer.get_config())
    assert other.get_config() == layer.get_config()
    assert [other.cell, other.num_layers, other.scheduled_sampling] == ["gru", 2, 0.2]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: EncoderDecoder(9, 7, cell="lstn"), ConfigError, "cell is 'lstn'"),
        (lambda: EncoderDecoder(9, 7, attention="dot"), ConfigError, "attention is 'dot'"),
        (lambda: EncoderDecoder(9, 7, scheduled_sampling=2), ConfigError, "scheduled_sampling"),
        (
            lambda: EncoderDecoder(9, 7, units=2).forward(np.ones((2, 3), int)),
            ShapeError,
            r"reads two inputs, \[target, source\]",
        ),
        (
            lambda: EncoderDecoder(9, 7, units=2).forward(
                [np.full((2, 3), 7), np.ones((2, 3), int)]
            ),
            ShapeError,
            "holds 7",
        ),
        (
            lambda: EncoderDecoder(9, 7, units=2).forward(
                [np.ones((2, 3), int), np.ones((1, 3), int)]
            ),
            ShapeError,
            "2 and 1 rows",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
