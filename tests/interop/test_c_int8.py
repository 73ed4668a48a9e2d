"""Weights in bytes: how large the errors are, and when they are refused."""

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import ConfigError, NonFiniteError
from gatewise.interop.c.quantization import quantize
from gatewise.kernels.narrow_weights import MOST_LOST

from .c_programs import Program, assert_close, needs_compiler, randomized, sequential, signal

MODELS = {
    "LSTM": lambda: [layers.LSTM(40, return_sequences=True), layers.Dense(3)],
    "GRU": lambda: [layers.GRU(40, return_sequences=True), layers.Dense(3)],
    "reset before": lambda: [layers.GRU(40, reset_after=False), layers.Dense(3)],
    "projection": lambda: [layers.LSTM(40, projection=11, return_sequences=True)],
    "normalised": lambda: [layers.LSTM(40, layer_normalization=True, return_sequences=True)],
    "SimpleRNN": lambda: [layers.SimpleRNN(70, return_sequences=True)],
    "minLSTM": lambda: [layers.MinLSTM(70, return_sequences=True)],
    "convolution": lambda: [layers.Conv1D(70, 5, dilation_rate=2), layers.Conv1D(3, 2, strides=2)],
    "separable": lambda: [layers.SeparableConv1D(9, 3, padding="causal")],
}


def of_bytes(model, export):
    """The model with the weights that the program has."""
    rounded = []
    for array in model.get_weights():
        matrix = array.reshape(-1, array.shape[-1])
        if array.ndim > 1 and any(len(np.unique(column)) > 1 for column in matrix.T):
            whole, scales, _ = quantize(matrix, "matrix")
            array = (whole * scales).reshape(array.shape).astype(np.float32)
        rounded.append(array)
    return rounded


@needs_compiler
@pytest.mark.parametrize("name", MODELS)
def test_error(name, tmp_path):
    """At most 5 % of the largest number, and not nothing: the weights are rounded."""
    model = sequential(*MODELS[name]())
    x = signal(100)
    program = Program(model, "int8", tmp_path)
    found, expected = program.run(x), model.predict(x[None])[0]
    if expected.ndim == 1:
        found = found[-1]
    difference = np.abs(found - expected).max()
    assert 1e-6 < difference < 0.05 * max(1, np.abs(expected).max())
    assert 0 < max(program.export.errors.values()) < MOST_LOST


@needs_compiler
def test_the_only_error_is_that_of_the_weights(tmp_path):
    """A float32 model with the rounded weights gives the same numbers."""
    model = sequential(layers.LSTM(40, return_sequences=True), layers.Dense(3))
    x = signal(60)
    program = Program(model, "int8", tmp_path)
    model.set_weights(of_bytes(model, program.export))
    assert_close(program.run(x), model.predict(x[None])[0])


@needs_compiler
def test_table(tmp_path):
    """Each row of an embedding has its scale."""
    table = np.random.default_rng(0).normal(size=(6, 5)) * 10.0 ** np.arange(-3, 3)[:, None]
    model = Sequential([layers.Embedding(6, 5, weights=table)], name="net")
    model.build((None, None))
    program = Program(model, "int8", tmp_path)
    for k in range(6):
        _, (found,) = program.step(k)
        np.testing.assert_allclose(found, table[k], atol=np.abs(table[k]).max() / 253)


@needs_compiler
def test_zeros_and_tiny_columns(tmp_path):
    model = sequential(layers.Dense(4))
    kernel, bias = model.get_weights()
    kernel[:, 1], kernel[:, 2] = 0, 1e-42
    model.set_weights([kernel, bias])
    x = signal()
    found, expected = Program(model, "int8", tmp_path).run(x), model.predict(x[None])[0]
    assert_close(found, expected, 0.02)
    assert np.isfinite(found).all()


def test_sizes(tmp_path):
    model = sequential(layers.LSTM(64, return_sequences=True), layers.Dense(8))
    whole = model.export_c(tmp_path / "float", "float32")
    small = model.export_c(tmp_path / "byte", "int8")
    weights = 64 * 4 * (3 + 64) + 64 * 8
    vectors = 4 * (64 * 4 + 8)
    assert whole.constant_bytes == 4 * weights + vectors
    assert small.constant_bytes == weights + vectors + 4 * (2 * 64 * 4 + 8)
    assert small.state_bytes == whole.state_bytes
    assert not whole.errors and len(small.errors) == 3


def test_a_column_with_one_large_weight_is_refused(tmp_path):
    model = sequential(layers.GRU(150, name="gru"))
    kernel, recurrent_kernel, bias = model.get_weights()
    recurrent_kernel[5, 7] = 40 * np.abs(recurrent_kernel[:, 7]).max()
    model.set_weights([kernel, recurrent_kernel, bias])
    message = r"gru_recurrent_kernel: column 7 would lose .*%.*use weights='float32'"
    with pytest.raises(ConfigError, match=message):
        model.export_c(tmp_path / "out", "int8")
    assert not (tmp_path / "out").exists()
    model.export_c(tmp_path / "out", "float32")


def test_quantize():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(300, 20)).astype(np.float32) * 10.0 ** rng.integers(-6, 6, 20)
    whole, scales, error = quantize(matrix.astype(np.float32), "matrix")
    assert whole.dtype == np.int8 and np.abs(whole).max(axis=0).tolist() == [127] * 20
    change = np.linalg.norm(whole * scales - matrix, axis=0) / np.linalg.norm(matrix, axis=0)
    assert abs(error - change.max()) < 1e-6
    assert 0.004 < error < 0.012


def test_no_rows():
    whole, _, error = quantize(np.zeros((0, 3), np.float32), "matrix")
    assert whole.shape == (0, 3) and error == 0


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_weights_that_are_not_finite(weights, tmp_path):
    model = sequential(layers.Dense(2))
    model.layers[-1]._parameters["kernel"][1, 1] = np.nan
    with pytest.raises(NonFiniteError, match=r"dense.*_kernel hold nan at index \(1, 1\)"):
        model.export_c(tmp_path / "out", weights)
    assert not (tmp_path / "out").exists()


@needs_compiler
def test_a_graph(tmp_path):
    x = layers.Input((None, 3))
    a, b = layers.GRU(30, return_sequences=True)(x), layers.Dense(30)(x)
    model = randomized(Model(x, layers.Dense(2)(layers.Add()([a, b])), name="net"))
    found = Program(model, "int8", tmp_path).run(signal())
    assert_close(found, model.predict(signal()[None])[0], 0.05)
