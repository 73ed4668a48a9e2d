"""Constraints: their effect on weights, and that every training step applies them."""

import numpy as np
import pytest
from cases import assert_same_bits

from gatewise import constraints, layers
from gatewise.cells import FullGateLSTMCell
from gatewise.constraints import MaxNorm, MinMaxNorm, NonNeg, UnitNorm
from gatewise.errors import ArgumentError, ConfigError, DTypeError, GatewiseError
from gatewise.layers import (
    GRU,
    GRUD,
    LSTM,
    RNN,
    BatchNormalization,
    Conv1D,
    Dense,
    Input,
    SimpleRNN,
)
from gatewise.models import Sequential, load_model
from gatewise.optimizers import SGD, Adam


def norms(w, axis=0):
    return np.sqrt((w.astype(np.float64) ** 2).sum(axis=axis))


@pytest.fixture
def w(rng, dtype):
    return (rng.normal(size=(6, 5)) * [0.1, 1, 2, 0, 3]).astype(dtype)


def test_norms(w, dtype):
    for axis in (0, 1, -1, [0, 1]):
        before = norms(w, tuple(axis) if isinstance(axis, list) else axis)
        after = {
            c: norms(c(axis), tuple(axis) if isinstance(axis, list) else axis)
            for c in (
                lambda a: MaxNorm(2, a)(w),
                lambda a: UnitNorm(a)(w),
                lambda a: MinMaxNorm(0.5, 1.5, axis=a)(w),
                lambda a: MinMaxNorm(0.5, 1.5, rate=0.25, axis=a)(w),
            )
        }
        limited, unit, between, partly = after.values()
        some = before > 0
        np.testing.assert_allclose(limited, np.minimum(before, 2), rtol=1e-5)
        np.testing.assert_allclose(unit, some * 1.0, rtol=1e-5)
        np.testing.assert_allclose(between, some * np.clip(before, 0.5, 1.5), rtol=1e-5)
        np.testing.assert_allclose(
            partly, some * (0.25 * np.clip(before, 0.5, 1.5) + 0.75 * before), rtol=1e-5
        )
    assert UnitNorm()(w).dtype == dtype
    assert_same_bits(NonNeg()(w), np.where(w > 0, w, np.zeros((), dtype)))


@pytest.mark.parametrize(
    "made", [MaxNorm(2), UnitNorm(), MinMaxNorm(0.5, 2)], ids=lambda made: type(made).__name__
)
def test_weights_whose_squares_float32_cannot_hold(made):
    w = np.full((4, 3), 1e25, "f")
    after = made(w)
    assert after.dtype == np.float32
    np.testing.assert_allclose(norms(after), 1 if isinstance(made, UnitNorm) else 2, rtol=1e-5)


def test_names_and_configurations():
    for name in (
        "max_norm",
        "unit_norm",
        "non_neg",
        "min_max_norm",
        "MaxNorm",
        "UnitNorm",
        "NonNeg",
        "MinMaxNorm",
    ):
        assert type(constraints.get(name)).__name__.lower() == name.replace("_", "").lower()
    for one in (MaxNorm(3, [0, 1]), MinMaxNorm(0.1, 0.9, 0.5, 1), UnitNorm(-1), NonNeg()):
        again = constraints.get(constraints.serialize(one))
        assert type(again) is type(one) and vars(again) == vars(one)
    assert constraints.get(None) is constraints.serialize(None) is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: constraints.get("max"), ConfigError, "'max' is not known; choose one of max_norm"),
        (lambda: constraints.get(3), DTypeError, "constraint is 3"),
        (lambda: MaxNorm(-1), ConfigError, "max_value is -1"),
        (lambda: MinMaxNorm(2, 1), ConfigError, "max_value is 1"),
        (lambda: UnitNorm("0"), DTypeError, "axis is '0'"),
        (
            lambda: UnitNorm(3)(np.ones((2, 2))),
            ConfigError,
            r"axis is 3; the weights have shape \(2, 2\)",
        ),
        (lambda: Dense(3, kernel_constraint=np.abs), DTypeError, "kernel_constraint is"),
        (
            lambda: LSTM(3, recurrent_constraint="norm"),
            ConfigError,
            "recurrent_constraint 'norm' is not known",
        ),
        (
            lambda: RNN(FullGateLSTMCell(3), kernel_constraint="non_neg"),
            ArgumentError,
            "kernel_constraint",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert isinstance(caught.value, GatewiseError)


THREE = {
    "kernel_constraint": MaxNorm(0.5),
    "recurrent_constraint": "unit_norm",
    "bias_constraint": "non_neg",
}


def cell_of():
    cell = FullGateLSTMCell(3)
    cell.constraints = {"kernel": MaxNorm(0.5), "recurrent_kernel": "unit_norm", "bias": "non_neg"}
    return cell


@pytest.mark.parametrize(
    "layer",
    [
        lambda: SimpleRNN(3, **THREE),
        lambda: LSTM(3, **THREE),
        lambda: GRU(3, **THREE),
        lambda: GRUD(3, **THREE),
        lambda: RNN(cell_of()),
        lambda: layers.Bidirectional(LSTM(3, **THREE)),
    ],
    ids=["rnn", "lstm", "gru", "grud", "own cell", "bidirectional"],
)
def test_every_step_ends_within_them(layer, rng):
    model = Sequential(
        [
            Input((None, 3)),
            layer(),
            Dense(1, kernel_constraint="non_neg", bias_constraint="unit_norm"),
        ],
        seed=0,
    )
    model.compile(SGD(0.3), "mse")
    x, y = rng.normal(size=(8, 4, 3)), rng.normal(size=8)
    for _ in range(2):
        model.train_on_batch(x, y)
        for name, w in model.layers[0].parameters.items():
            name = name.rpartition("/")[2]
            if name == "kernel":
                assert norms(w).max() < 0.5 + 1e-5
            elif name == "recurrent_kernel":
                assert norms(w) == pytest.approx(1, abs=1e-5)
            elif name == "bias":
                assert w.min() >= 0
        kernel, bias = model.layers[1].get_weights()
        assert kernel.min() >= 0 and norms(bias) == pytest.approx(1, abs=1e-5)


def test_in_files(rng, tmp_path):
    stack = [
        Input((None, 3)),
        Conv1D(4, 2, kernel_constraint="max_norm", bias_constraint="non_neg"),
        BatchNormalization(gamma_constraint=MinMaxNorm(0.5, 2, axis=0), beta_constraint="non_neg"),
        LSTM(3, **THREE),
        Dense(1, kernel_constraint=MaxNorm(1, axis=1)),
    ]
    model = Sequential(stack, seed=0)
    model.compile(Adam(0.1), "mse")
    x, y = rng.normal(size=(8, 4, 3)), rng.normal(size=8)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert [layer.get_config() for layer in again.layers] == [
        layer.get_config() for layer in model.layers
    ]
    for one in (model, again):
        one.train_on_batch(x, y)
    for a, b in zip(again.get_weights(), model.get_weights()):
        assert_same_bits(a, b)
    assert model.layers[1].get_weights()[1].min() >= 0


def test_embeddings(rng):
    model = Sequential(
        [layers.Embedding(5, 3, embeddings_constraint=UnitNorm(axis=1)), GRU(2), Dense(1)], seed=0
    )
    model.compile("sgd", "mse")
    model.train_on_batch(rng.integers(0, 5, (4, 6)), rng.normal(size=4))
    assert norms(model.get_weights()[0], axis=1) == pytest.approx(1, abs=1e-5)
