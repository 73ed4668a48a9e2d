"""Layers without a state of their own, windows and graphs in C, against predict."""

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.kernels import activations
from gatewise.layers import Input

from .c_programs import Program, assert_close, needs_compiler, randomized, sequential, signal

pytestmark = needs_compiler

CASES = {
    "dense": [lambda: layers.Dense(5, "tanh")],
    "dense without bias": [lambda: layers.Dense(5, use_bias=False)],
    "softmax": [lambda: layers.Dense(5, "softmax")],
    "softmax layer": [lambda: layers.Softmax()],
    "batch normalization": [lambda: layers.BatchNormalization()],
    "batch normalization, neither": [lambda: layers.BatchNormalization(center=False, scale=False)],
    "layer normalization": [lambda: layers.LayerNormalization()],
    "layer normalization, neither": [
        lambda: layers.LayerNormalization(center=False, scale=False, epsilon=0.1)
    ],
    "rectifier": [lambda: layers.ReLU(max_value=0.5, negative_slope=0.1, threshold=0.2)],
    "plain rectifier": [lambda: layers.ReLU()],
    "trained slopes": [lambda: layers.PReLU("glorot_uniform", shared_axes=[1])],
    "one slope": [lambda: layers.PReLU("ones", shared_axes=[1, 2])],
    "nothing at inference": [
        lambda: layers.Dropout(0.5),
        lambda: layers.GaussianNoise(0.1),
        lambda: layers.Dense(2),
    ],
    "time distributed": [lambda: layers.TimeDistributed(layers.Dense(2, "relu"))],
    "causal": [lambda: layers.Conv1D(4, 3, padding="causal")],
    "causal, dilated": [
        lambda: layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")
    ],
    "causal, strides": [lambda: layers.Conv1D(4, 4, padding="causal", strides=3)],
    "valid": [lambda: layers.Conv1D(4, 5, activation="softmax")],
    "valid, strides": [lambda: layers.Conv1D(4, 2, strides=3, use_bias=False)],
    "window of one step": [lambda: layers.Conv1D(4, 1)],
    "depthwise": [lambda: layers.DepthwiseConv1D(3, padding="causal", depth_multiplier=2)],
    "separable": [lambda: layers.SeparableConv1D(4, 3, padding="causal", dilation_rate=3)],
    "maxima": [lambda: layers.MaxPooling1D(3)],
    "means": [lambda: layers.AveragePooling1D(3, strides=1)],
    "maxima with strides": [lambda: layers.MaxPooling1D(2, strides=3)],
    "windows in a row": [
        lambda: layers.Conv1D(5, 3, strides=2),
        lambda: layers.LSTM(4, return_sequences=True),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.Conv1D(3, 2, padding="causal"),
        lambda: layers.GRU(3, return_sequences=True),
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_layers(case, tmp_path):
    model = sequential(*(make() for make in CASES[case]))
    x = signal()
    assert_close(Program(model, folder=tmp_path).run(x), model.predict(x[None])[0])


@pytest.mark.parametrize("name", sorted(activations.NAMES))
def test_activations(name, tmp_path):
    """At numbers of all sizes, both ends included."""
    model = Sequential([Input((None, 400)), layers.Activation(name)], name="net")
    sizes = np.logspace(-30, 1.9, 199, dtype=np.float32)
    x = np.concatenate([-sizes, sizes, [0.0, -0.0]]).astype(np.float32)[None]
    found, expected = Program(model, folder=tmp_path).run(x), model.predict(x[None])[0]
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize(
    "activation",
    [("hard_sigmoid", 0.3, 0.4), ("elu", 0.7), ("thresholded_relu", 0.2), ("affine", 2.0, -1.0)],
    ids=str,
)
def test_constants_of_activations(activation, tmp_path):
    model = sequential(layers.Dense(6, activation=activation))
    x = signal()
    assert_close(Program(model, folder=tmp_path).run(x), model.predict(x[None])[0])


@pytest.mark.parametrize("layer", [layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D])
def test_all_steps_so_far(layer, tmp_path):
    model = sequential(layers.Dense(4), layer(), layers.Dense(2))
    x = signal(20) - 3  # maxima below zero
    found = Program(model, folder=tmp_path).run(x)
    for steps in range(1, 21):
        assert_close(found[steps - 1], model.predict(x[None, :steps])[0])


def test_a_mean_of_many_steps_is_exact(tmp_path):
    """A sum in one float would be off in the third digit."""
    model = Sequential([Input((None, 1)), layers.GlobalAveragePooling1D()], name="net")
    program = Program(model, folder=tmp_path)
    x = (np.arange(20_000) % 2 + 1000.25).astype(np.float32)[:, None]
    for each in x:
        _, (found,) = program.step(each)
    assert abs(found[0] - 1000.75) < 1e-4


def test_whole_numbers(tmp_path):
    model = Sequential(
        [layers.Embedding(9, 4), layers.GRU(5, return_sequences=True)], name="net", seed=0
    )
    model.build((None, None))
    x = np.array([0, 8, 3, 3, 1])
    program = Program(randomized(model), folder=tmp_path)
    assert_close(program.run(x), model.predict(x[None])[0])
    before = program.save()
    for number in (-1, 9, 2**31 - 1, -(2**31)):
        returned, (y,) = program.step(number)
        assert returned == -1 and np.isnan(y).all()
    assert program.save() == before


def test_masked_steps_do_not_exist(tmp_path):
    model = sequential(layers.Masking(0.5), layers.GRU(4))
    x = signal(8)
    x[[2, 5, 6]] = 0.5
    x[3, :2] = 0.5  # not masked: one number is another
    program = Program(model, folder=tmp_path)
    returned = [program.step(each)[0] for each in x]
    assert returned == [1, 1, 0, 1, 1, 0, 0, 1]
    _, (found,) = program.step(x[0])
    assert_close(found, model.predict(np.concatenate([x, x[:1]])[None])[0])


def test_masked_numbers_do_not_exist(tmp_path):
    model = Sequential([layers.Embedding(5, 4, mask_zero=True), layers.GRU(3)], name="net", seed=0)
    model.build((None, None))
    program = Program(model, folder=tmp_path)
    returned = [program.step(each)[0] for each in (1, 0, 4)]
    assert returned == [1, 0, 1]
    _, (found,) = program.step(2)
    assert_close(found, model.predict(np.array([[1, 4, 2]]))[0])


def graph(name):
    """A model with branches."""
    x = Input((None, 3), name="x")
    if name == "merges":
        a, b, c = (layers.Dense(4)(x) for _ in range(3))
        merged = [
            layers.Add()([a, b, c]),
            layers.Subtract()([a, b]),
            layers.Multiply()([a, b, c]),
            layers.Average()([a, b, c]),
            layers.Maximum()([a, b, c]),
            layers.Minimum()([a, b, c]),
        ]
        return Model(x, layers.Concatenate()(merged), name="net", seed=0)
    if name == "one number for all":
        a, b = layers.Dense(4)(x), layers.Dense(1)(x)
        return Model(x, layers.Multiply()([a, b]), name="net", seed=0)
    if name == "residual":
        h = layers.LSTM(3, return_sequences=True)(x)
        h = layers.LayerNormalization()(h + x)
        return Model(x, layers.Dense(2)(h), name="net", seed=0)
    if name == "arithmetic":
        return Model(x, 1 / (2 + x * x) - 3 * x / 4, name="net", seed=0)
    if name == "slices":
        h = layers.Dense(8)(x)
        return Model(x, layers.Concatenate()([h[:, :, 2:5], h[:, :, ::-2]]), name="net", seed=0)
    if name == "outputs":
        h = layers.GRU(4, return_sequences=True, name="state")(x)
        dense = layers.Dense(2, name="scores")(h)
        return Model(x, [h, dense, layers.Softmax()(dense), dense], name="net", seed=0)
    if name == "rates":
        h = layers.GRU(4, return_sequences=True)(x)
        slow = layers.LSTM(3, return_sequences=True)(layers.MaxPooling1D(3)(h))
        return Model(x, [h, slow, layers.Conv1D(2, 2)(slow)], name="net", seed=0)
    if name == "nested":
        inner = Sequential([Input((None, 3)), layers.GRU(3, return_sequences=True)], name="inner")
        return Model(x, inner(inner(x)), name="net", seed=0)
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "merges",
        "one number for all",
        "residual",
        "arithmetic",
        "slices",
        "outputs",
        "rates",
        "nested",
    ],
)
def test_graphs(name, tmp_path):
    model, x = randomized(graph(name)), signal(23)
    found, expected = Program(model, folder=tmp_path).run(x), model.predict(x[None])
    if not isinstance(expected, list):
        found, expected = [found], [expected]
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected):
        assert_close(mine, theirs[0])


def test_several_inputs_of_which_one_does_not_change(tmp_path):
    x, speaker = Input((None, 3), name="sound"), Input((2,), name="speaker")
    h = layers.GRU(4)(x)
    model = randomized(Model([x, speaker], layers.Concatenate()([h, speaker]), name="net"))
    found = Program(model, folder=tmp_path).run(signal(6), np.full((6, 2), 0.5))
    assert_close(found[-1], model.predict([signal(6)[None], np.full((1, 2), 0.5)])[0])


def test_large_numbers_are_normalised(tmp_path):
    """Their variance overflows."""
    model = sequential(layers.LayerNormalization())
    x = signal(5) * np.float32(1e30)
    x[2] = 1e38
    assert_close(Program(model, folder=tmp_path).run(x), model.predict(x[None])[0])
