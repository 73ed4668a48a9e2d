"""Activations with constants, softmax over any axes, noise: values, gradients, steps, options."""

import numpy as np
import pytest
from cases import assert_close, assert_same_bits, sequences
from reference import softmax

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    ELU,
    Activation,
    Dense,
    GaussianDropout,
    GaussianNoise,
    Input,
    LeakyReLU,
    PReLU,
    ReLU,
    Softmax,
)
from gatewise.models import Sequential
from gatewise.testing import check_gradients

LENGTHS = [5, 0, 3, 1]


def relu(x, most=np.inf, slope=0.0, threshold=0.0):
    return np.where(x > threshold, np.minimum(x, most), slope * (x - threshold))


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda **o: ReLU(**o), relu),
        (lambda **o: ReLU(0.5, **o), lambda x: relu(x, 0.5)),
        (lambda **o: ReLU(None, 0.25, **o), lambda x: relu(x, slope=0.25)),
        (lambda **o: ReLU(0.5, 0.1, 0.25, **o), lambda x: relu(x, 0.5, 0.1, 0.25)),
        (lambda **o: ReLU(threshold=0.3, **o), lambda x: relu(x, threshold=0.3)),
        (lambda **o: ReLU(0, **o), lambda x: relu(x, 0)),
        (lambda **o: LeakyReLU(**o), lambda x: relu(x, slope=0.3)),
        (lambda **o: LeakyReLU(0, **o), relu),
        (lambda **o: ELU(**o), lambda x: np.where(x > 0, x, np.expm1(x))),
        (lambda **o: ELU(0.5, **o), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    ],
)
def test_rectifiers(make, wanted, dtype, tolerance, rng):
    for shape in ((3, 37), (1, 1), (2, 4, 5)):
        x = rng.normal(size=shape).astype(dtype)
        y = make(dtype=dtype)(x)
        assert_close(y, wanted(x.astype("float64")), tolerance.forward)
        assert y.dtype == dtype
        if dtype == "float64":
            assert check_gradients(make(dtype=dtype), x).passed
    layer = make()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    ("shape", "shared", "alpha"),
    [
        ((3, 5), None, (5,)),
        ((1, 1), None, (1,)),
        ((2, 4, 5), None, (4, 5)),
        ((2, 4, 5), [1], (1, 5)),
        ((2, 4, 5), 1, (1, 5)),
        ((2, 4, 5), [1, 2], (1, 1)),
        ((2, 3, 4, 5), (1, 2), (1, 1, 5)),
    ],
)
def test_trained_slopes(shape, shared, alpha, dtype, tolerance, rng):
    x = rng.normal(size=shape).astype(dtype)
    layer = PReLU("uniform", shared_axes=shared, dtype=dtype)
    y = layer(x)
    (slopes,) = layer.get_weights()
    assert slopes.shape == alpha
    assert_close(y, np.where(x > 0, x, slopes * x), tolerance.forward)
    if dtype == "float64":
        assert check_gradients(layer, x).passed
        layer.forward(x, training=True)
        layer.trainable = False
        layer.backward(np.ones_like(y))
        assert not layer.gradients["alpha"].any()
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


def test_trained_slopes_of_sequences(rng):
    stack = [Input((None, 3), dtype="float64"), PReLU("uniform", shared_axes=[1]), Dense(2)]
    model = Sequential(stack, seed=0)
    x, y = rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5, 2))
    assert check_gradients(model, x, y=y, lengths=LENGTHS, loss="mse").passed
    assert model.predict(rng.normal(size=(2, 9, 3))).shape == (2, 9, 2)
    with pytest.raises(ShapeError, match=r"axis 1 has no known extent; .* shared_axes=\[1\]"):
        Sequential([Input((None, 3)), PReLU()])
    with pytest.raises(ShapeError, match="axes up to 2"):
        PReLU(shared_axes=[3], dtype="float64")(x)
    fixed = Sequential([Input((5, 3)), PReLU()])
    with pytest.raises(ShapeError, match="x has shape"):
        fixed.predict(rng.normal(size=(2, 9, 3)))
    alone = PReLU(dtype="float64")
    alone(x)
    with pytest.raises(ShapeError, match="has slopes"):
        alone(x[:, :4])
    with pytest.raises(ConfigError, match="shared_axes is 0"):
        PReLU(shared_axes=[0])


def test_the_name_of_keras_2_for_a_slope():
    assert LeakyReLU(alpha=0.2).negative_slope == 0.2
    with pytest.raises(ConfigError, match="negative_slope is 0.1, and alpha"):
        LeakyReLU(0.1, alpha=0.2)
    with pytest.raises(ConfigError, match="alpha is -1"):
        LeakyReLU(alpha=-1)


def test_a_rectifier_is_the_activation_of_its_name(rng):
    x = rng.normal(size=(3, 7)).astype("float32")
    assert_same_bits(ReLU()(x), Activation("relu")(x))
    assert_same_bits(LeakyReLU(0.1)(x), Activation(("leaky_relu", 0.1))(x))


@pytest.mark.parametrize(
    ("axis", "shape"),
    [
        (-1, (3, 7)),
        (1, (3, 7, 2)),
        (-2, (3, 7, 1)),
        ([1, 2], (2, 3, 5)),
        ((-1, 1), (2, 3, 2, 4)),
        (2, (2, 3, 4, 2)),
        (-1, (1, 1)),
    ],
)
def test_softmax(axis, shape, dtype, tolerance, rng):
    x = rng.normal(size=shape).astype(dtype)
    y = Softmax(axis, dtype=dtype)(x)
    axes = tuple(axis) if isinstance(axis, list) else axis
    e = np.exp(x.astype("float64"))
    assert_close(y, e / e.sum(axis=axes, keepdims=True), tolerance.forward)
    if dtype == "float64":
        assert check_gradients(Softmax(axis, dtype=dtype), x).passed
    layer = Softmax(axis)
    assert Softmax.from_config(layer.get_config()).axis == layer.axis


def test_only_steps_that_count_take_part_in_a_softmax(rng):
    x = sequences(rng, 4, 5, 3) * 100
    layer = Softmax(1, dtype="float64")
    y = layer(x, lengths=LENGTHS)
    assert not layer.causal
    for row, length in enumerate(LENGTHS):
        for feature in range(3 if length else 0):
            assert_close(y[row, :length, feature], softmax(x[row, :length, feature]), 1e-14)
        assert not y[row, length:].any()
    mask = np.array([[1, 0, 1, 1, 0]] * 4, bool)
    y = layer(x, mask=mask)
    assert_close(y[:, mask[0]], layer(np.ascontiguousarray(x[:, mask[0]])), 1e-14)
    assert not y[:, ~mask[0]].any()
    for axis in (1, (1, 2), -1):
        other = Softmax(axis, dtype="float64")
        assert check_gradients(other, x / 100, lengths=LENGTHS).passed
    assert other.causal


def test_padding_changes_no_bit_of_a_softmax_over_steps(dtype, rng):
    x = sequences(rng, 3, 37, 5, dtype)
    y = Softmax(1, dtype=dtype)(x, lengths=[37, 21, 9])
    for row, length in enumerate([37, 21, 9]):
        part = np.ascontiguousarray(x[row : row + 1, :length])
        assert_same_bits(
            Softmax(1, dtype=dtype)(part, lengths=[length])[0],
            np.ascontiguousarray(y[row, :length]),
        )


def test_softmax_is_fused_with_the_loss(rng):
    """The loss starts from the scores, as behind Activation('softmax')."""
    x, y = rng.normal(size=(8, 3)), rng.integers(0, 4, 8)
    losses = []
    for last in (Softmax(), Activation("softmax")):
        model = Sequential([Input((3,)), Dense(4), last], seed=0)
        model.compile("adam", "sparse_categorical_crossentropy")
        losses.append(model.fit(x, y, epochs=3, verbose=0).history["loss"])
    assert losses[0] == losses[1]
    model = Sequential([Input((4, 3)), Softmax(axis=1)], seed=0)
    assert model._last_activation() is None


# ---- noise


@pytest.mark.parametrize(
    ("layer", "mean", "deviation"),
    [(GaussianNoise(0.3, seed=1), 2.0, 0.3), (GaussianDropout(0.2, seed=1), 2.0, 1.0)],
)
def test_noise(layer, mean, deviation, rng):
    x = np.full((20, 50, 40), 2.0, "float32")
    y = layer.forward(x, training=True)
    assert y.mean() == pytest.approx(mean, abs=0.02)
    assert y.std() == pytest.approx(deviation, rel=0.02)
    assert_same_bits(layer.forward(x), x)
    again = type(layer).from_config(layer.get_config())
    assert_same_bits(again.forward(x, training=True), y)
    dy = rng.normal(size=x.shape).astype("float32")
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    assert dx is not dy and dx.shape == x.shape


@pytest.mark.parametrize("layer", [GaussianNoise, GaussianDropout])
def test_gradients_through_noise(layer, rng):
    for rate in (0.0, 0.4):
        made = layer(rate, seed=3, dtype="float64")
        assert check_gradients(made, sequences(rng, 3, 4, 2), lengths=[4, 0, 2]).passed


@pytest.mark.parametrize("layer", [GaussianNoise(0.1), GaussianDropout(0.1)])
def test_the_seed_of_the_model_determines_the_noise(layer, rng):
    x, weights = rng.normal(size=(16, 3)), []
    for _ in range(2):
        again = type(layer).from_config(layer.get_config())
        model = Sequential([Input((3,)), again, Dense(1)], seed=4)
        model.compile("adam", "mse")
        model.fit(x, x[:, :1], epochs=2, verbose=0)
        weights.append(model.get_weights()[0])
    assert_same_bits(weights[0], weights[1])


# ---- errors


@pytest.mark.parametrize(
    "make",
    [
        lambda: ReLU(-1),
        lambda: ReLU(negative_slope=None),
        lambda: ReLU(threshold=-0.1),
        lambda: LeakyReLU(-0.1),
        lambda: LeakyReLU("0.1"),
        lambda: ELU(float("nan")),
        lambda: Softmax(0),
        lambda: Softmax([]),
        lambda: Softmax(1.5),
        lambda: GaussianNoise(-0.1),
        lambda: GaussianNoise(None),
        lambda: GaussianDropout(1.0),
        lambda: GaussianDropout(0.5, seed=-1),
    ],
)
def test_wrong_options(make):
    with pytest.raises((ConfigError, DTypeError)):
        make()


def test_axes_that_an_array_does_not_have():
    for axis in (3, -3, [1, 1], [1, -1, 2]):
        with pytest.raises(
            ShapeError, match="layer 'here' has axis=.* axes from 1 to .* each once"
        ):
            Softmax(axis, name="here")(np.zeros((2, 3, 4)[: 2 if axis == -3 else 3], "float32"))
    with pytest.raises(ShapeError, match="each axis but the first at least 1 long"):
        Softmax()(np.zeros((2, 0), "float32"))
