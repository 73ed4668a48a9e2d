"""Streams whose weights are narrower than float32."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import Sequential, layers
from gatewise.errors import ConfigError
from gatewise.kernels.narrow_weights import bfloat16, int8, widened

NARROW = ["bfloat16", "int8"]
CELLS = {
    "lstm": lambda: layers.LSTM(33, return_sequences=True),
    "lstm without bias": lambda: layers.LSTM(16, return_sequences=True, use_bias=False),
    "lstm with peepholes": lambda: layers.LSTM(20, return_sequences=True, peepholes=True),
    "coupled lstm": lambda: layers.LSTM(
        20, return_sequences=True, coupled=True, recurrent_activation="hard_sigmoid"
    ),
    "gru": lambda: layers.GRU(33, return_sequences=True),
    "gru input": lambda: layers.GRU(20, return_sequences=True, candidate="input"),
    "gru split": lambda: layers.GRU(20, return_sequences=True, candidate="split"),
    "rnn": lambda: layers.SimpleRNN(70, return_sequences=True),
    "mingru": lambda: layers.MinGRU(20, return_sequences=True),
    "minlstm": lambda: layers.MinLSTM(20, return_sequences=True),
    "convolution": lambda: layers.Conv1D(20, 3, padding="causal", activation="relu"),
}


def model_of(layer, inputs=9):
    return Sequential([layers.Input((None, inputs)), layer, layers.Dense(3, "softmax")], seed=0)


def drawn(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def rounded(model, weights):
    """Give a model the weights that a stream of this type has."""
    made = copy.deepcopy(model)
    for layer in made.layers:
        arrays = []
        for array in layer.get_weights():
            matrix = array.reshape(-1, array.shape[-1])
            if array.ndim > 1 and len(matrix) > 3:  # peepholes stay as they are
                if weights == "bfloat16":
                    matrix = widened(bfloat16(matrix))
                else:
                    numbers, scales = int8(matrix)
                    matrix = numbers * scales
            arrays.append(matrix.astype(np.float32).reshape(array.shape))
        layer.set_weights(arrays)
    return made


@pytest.mark.parametrize("weights", NARROW)
@pytest.mark.parametrize("name", CELLS)
def test_a_stream_computes_with_the_rounded_weights(name, weights):
    model, x = model_of(CELLS[name]()), drawn(3, 40, 9)
    expected = rounded(model, weights).predict(x, verbose=0)
    np.testing.assert_allclose(model.stream(3, weights).process(x), expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("weights", NARROW)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_a_row_has_the_same_bits_alone_and_in_any_blocks(name, weights):
    model, x = model_of(CELLS[name]()), drawn(5, 30, 9)
    together = model.stream(5, weights).process(x)
    for row in range(5):
        stream = model.stream(weights=weights)
        alone = [stream.process(x[row, :7]), stream.process(x[row, 7:29])]
        alone.append(stream.step(x[row, 29])[None])
        assert np.concatenate(alone).tobytes() == together[row].tobytes()


@pytest.mark.long
@pytest.mark.parametrize(("weights", "limit"), [("bfloat16", 0.005), ("int8", 0.01)])
@pytest.mark.parametrize("layer", [layers.LSTM, layers.GRU])
def test_the_loss_of_accuracy_is_what_the_docs_say(layer, weights, limit):
    model = Sequential([layers.Input((None, 64)), layer(256, return_sequences=True)], seed=1)
    x = drawn(1, 300, 64)
    error = np.abs(model.stream(1, weights).process(x) - model.predict(x, verbose=0))
    assert 0 < error.max() < limit


@pytest.mark.parametrize("weights", NARROW)
def test_copies_pickles_and_refresh_keep_the_type(weights):
    model, x = model_of(layers.GRU(20, return_sequences=True)), drawn(20, 9)
    stream = model.stream(weights=weights)
    stream.process(x[:10])
    others = [copy.copy(stream), pickle.loads(pickle.dumps(stream))]
    expected = stream.process(x[10:])
    assert all(other.process(x[10:]).tobytes() == expected.tobytes() for other in others)
    assert weights in repr(others[1])
    others[0].reset()
    others[0].refresh()
    assert others[0].process(x).tobytes() == model.stream(weights=weights).process(x).tobytes()


def test_types_do_not_share_packed_weights():
    model, x = model_of(layers.LSTM(20, return_sequences=True)), drawn(20, 9)
    streams = [model.stream(weights=weights) for weights in (None, *NARROW, None)]
    results = [stream.process(x).tobytes() for stream in streams]
    assert results[0] == results[3] and len(set(results)) == 3


REFUSED = {
    "its sums are normalized": lambda: layers.LSTM(8, layer_normalization=True),
    "it projects its state": lambda: layers.LSTM(8, projection=4),
    "its reset gate comes before": lambda: layers.GRU(8, reset_after=False),
}


@pytest.mark.parametrize("weights", NARROW)
@pytest.mark.parametrize("reason", REFUSED)
def test_layers_that_cannot_are_named(reason, weights):
    layer = REFUSED[reason]()
    layer.name = "inner"
    with pytest.raises(ConfigError, match=f"'inner' cannot have weights of {weights}: {reason}"):
        model_of(layer).stream(weights=weights)


def test_int8_is_refused_where_an_outlier_leaves_no_digits():
    model = model_of(layers.LSTM(200, return_sequences=True, name="wide"))
    arrays = model.get_weights()
    arrays[1][3, 5] = 20
    model.set_weights(arrays)
    with pytest.raises(
        ConfigError, match="recurrent_kernel of layer 'wide' would lose 2.*bfloat16"
    ):
        model.stream(weights="int8")
    model.stream(weights="bfloat16")


@pytest.mark.parametrize("name", CELLS)
def test_weights_at_the_end_of_float32(name):
    model = model_of(CELLS[name]())
    model.set_weights([np.full_like(array, 3.4e38) for array in model.get_weights()])
    with pytest.raises(ConfigError, match=r"rounds beyond the largest bfloat16.*weights='float32'"):
        model.stream(weights="bfloat16")
    model.stream(weights="int8")  # a sum of two biases is infinite without a warning


def test_other_types_are_refused():
    model = model_of(layers.LSTM(4))
    for weights in ("float16", 8, "float64"):
        with pytest.raises(ConfigError, match="expected 'float32', 'bfloat16', 'int8' or None"):
            model.stream(weights=weights)


def test_a_model_of_float64_has_no_narrow_weights():
    model = Sequential([layers.Input((None, 2)), layers.LSTM(4, dtype="float64")])
    with pytest.raises(ConfigError, match="weights is 'int8'; expected 'float64' or None"):
        model.stream(weights="int8")
