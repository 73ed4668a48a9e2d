"""gatewise -> ONNX -> gatewise: the same predictions, and the same weights to the bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="ONNX files need onnx")

from gatewise import Model, Sequential
from gatewise.interop.onnx import export_model, import_model
from gatewise.layers import (
    ELU,
    GRU,
    LSTM,
    Activation,
    Add,
    AveragePooling1D,
    Bidirectional,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LayerNormalization,
    MaxPooling1D,
    PReLU,
    RepeatVector,
    SimpleRNN,
    TimeDistributed,
)

RECURRENT = [LSTM, GRU, SimpleRNN]
ACTIVATIONS = ["tanh", "sigmoid", "relu", "softsign", ("leaky_relu", 0.1), ("elu", 0.5)]


def recurrent(draw, whole):
    kind = draw(st.sampled_from(RECURRENT))
    options = {"activation": draw(st.sampled_from(ACTIVATIONS)), "return_sequences": whole}
    if draw(st.booleans()):
        options["clip"] = 0.7
    if kind is LSTM:
        options |= {"peepholes": draw(st.booleans()), "coupled": draw(st.booleans())}
    if kind is GRU:
        options["reset_after"] = draw(st.booleans())
    layer = kind(draw(st.integers(1, 6)), **options)
    return Bidirectional(layer) if draw(st.booleans()) else layer


@st.composite
def models(draw):
    """Random stacks of layers whose weights can come back as they were."""
    layers = [Input((8, 3))]
    for _ in range(draw(st.integers(0, 3))):
        kind = draw(st.integers(0, 6))
        layers += {
            0: lambda: [recurrent(draw, True)],
            1: lambda: [TimeDistributed(Dense(4)), Activation("tanh")],
            2: lambda: [LayerNormalization()],
            3: lambda: [Conv1D(3, 3, padding=draw(st.sampled_from(["same", "causal"])))],
            4: lambda: [ELU(), Dropout(0.2)],
            5: lambda: [Dense(5, draw(st.sampled_from(["softmax", "tanh", None])))],
            6: lambda: [PReLU(shared_axes=[1])],
        }[kind]()
    ends = [
        lambda: [recurrent(draw, False)],
        lambda: [GlobalAveragePooling1D()],
        lambda: [GlobalMaxPooling1D()],
        lambda: [MaxPooling1D(2), Flatten()],
        lambda: [AveragePooling1D(2), GRU(3)],
        lambda: [GRU(4), RepeatVector(3), LSTM(2, return_sequences=True)],
    ]
    layers += draw(st.sampled_from(ends))()
    layers.append(Dense(2, draw(st.sampled_from(["softmax", "sigmoid", None]))))
    return Sequential(layers, seed=draw(st.integers(0, 1000)))


def shaken(model, seed):
    """The model with other weights than those that layers begin with."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [(w + 0.3 * rng.standard_normal(w.shape)).astype(w.dtype) for w in model.get_weights()]
    )
    return model


def check(model, x, exact=True, **options):
    lengths = options.pop("given", None)
    again = import_model(export_model(model, None, **options))
    ours, theirs = model.predict(x, lengths=lengths), again.predict(x, lengths=lengths)
    for a, b in zip(*((y if isinstance(y, list) else [y]) for y in (ours, theirs)), strict=True):
        np.testing.assert_allclose(b.reshape(a.shape), a, atol=1e-5)
    if exact:
        for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(a.reshape(-1), b.reshape(-1))
    return again


def round_trip(model, seed):
    shaken(model, seed)
    check(model, np.random.default_rng(seed).standard_normal((3, 8, 3)).astype(np.float32))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(models(), st.integers(0, 1000))
def test_random_stacks(model, seed):
    round_trip(model, seed)


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(models(), st.integers(0, 1000))
def test_more_random_stacks(model, seed):
    round_trip(model, seed)


def test_layers_without_biases(rng):
    layers = [LSTM(4, use_bias=False, return_sequences=True), GRU(3, use_bias=False)]
    model = shaken(Sequential([Input((None, 3)), *layers]), 4)
    check(model, rng.standard_normal((2, 5, 3)).astype(np.float32), exact=False)


@pytest.mark.parametrize("last", [True, False])
def test_lengths(last, rng):
    layers = [Input((None, 3)), Bidirectional(LSTM(4, return_sequences=True)), Dense(3)]
    layers += [GRU(3)] if last else [LSTM(3, return_sequences=True), Dense(2)]
    x = rng.standard_normal((4, 6, 3)).astype(np.float32)
    check(shaken(Sequential(layers), 1), x, lengths=True, given=[6, 1, 3, 4])


@pytest.mark.parametrize("pooling", [GlobalAveragePooling1D, GlobalMaxPooling1D])
def test_pooling_of_rows_with_lengths(pooling, rng):
    model = shaken(Sequential([Input((None, 3)), GRU(4, return_sequences=True), pooling()]), 1)
    x = rng.standard_normal((4, 6, 3)).astype(np.float32)
    check(model, x, lengths=True, given=[6, 1, 3, 4])


def test_tokens_and_several_inputs(rng):
    tokens, numbers = Input((None,), name="tokens"), Input((3,), name="numbers")
    steps, h, _ = LSTM(5, return_sequences=True, return_state=True)(Embedding(11, 4)(tokens))
    label = Dense(2, "softmax")(Concatenate()([h, numbers]))
    tags = Add()([steps, Dense(5)(steps)])
    model = shaken(Model([tokens, numbers], [label, tags]), 2)
    x = [rng.integers(0, 11, (3, 6)), rng.standard_normal((3, 3)).astype(np.float32)]
    again = check(model, x, exact=False)
    assert again.input_names == ["tokens", "numbers"]


@pytest.mark.parametrize("lengths", [None, [5, 1, 3]])
def test_layers_that_go_backwards(lengths, rng):
    layers = [GRU(4, go_backwards=True, return_sequences=True), LSTM(3, go_backwards=True)]
    model = shaken(Sequential([Input((None, 3)), *layers]), 5)
    x = rng.standard_normal((3, 5, 3)).astype(np.float32)
    again = check(model, x, lengths=lengths is not None, given=lengths)
    assert [type(layer) for layer in again.layers[1:]] == [GRU, LSTM]


def test_an_initial_state_that_is_learned(rng):
    model = shaken(Sequential([Input((None, 3)), LSTM(4, learned_initial_state=True)]), 3)
    again = check(model, rng.standard_normal((2, 5, 3)).astype(np.float32))
    assert again.layers[1].learned_initial_state
