"""Conv1D and pooling over windows.

The equations, gradients, and that a row does not know how far it was padded.
"""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, randomize, run, sequences
from reference import ACTIVATIONS

from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.layers import GRU, LSTM, AveragePooling1D, Conv1D, Dense, Input, MaxPooling1D
from gatewise.models import Sequential
from gatewise.testing import check_gradients

LENGTHS = [9, 0, 4, 1, 6]
# window, strides, dilation
GEOMETRIES = [(1, 1, 1), (3, 1, 1), (3, 2, 1), (2, 3, 1), (3, 1, 2), (2, 2, 3)]


def wanted_windows(steps, window, strides, dilation, padding):
    """The steps that each output step of a row of this many steps sees; some lie outside."""
    reach = dilation * (window - 1)
    if padding == "valid":
        starts = range(0, steps - reach, strides)
    elif padding == "causal":
        starts = range(-reach, steps - reach, strides)
    else:
        count = -(-steps // strides)
        before = max((count - 1) * strides + reach + 1 - steps, 0) // 2
        starts = range(-before, -before + count * strides, strides)
    return [[start + k * dilation for k in range(window)] for start in starts]


def conv_of(rng, window, strides, dilation, padding, dtype="float64", **options):
    layer = Conv1D(5, window, strides, padding, dilation_rate=dilation, dtype=dtype, **options)
    layer.build((None, None, 3))
    return randomize(layer, rng)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_convolution(geometry, padding, dtype, tolerance, rng):
    layer = conv_of(rng, *geometry, padding, dtype, activation="softsign")
    W, b = (w.astype(np.float64) for w in layer.get_weights())
    x = sequences(rng, 5, 9, 3, dtype)
    windows = wanted_windows(9, *geometry, padding)
    for lengths in (None, LENGTHS):
        y = np.zeros((5, len(windows), 5))
        for row, length in enumerate(lengths or [9] * 5):
            for t, steps in enumerate(wanted_windows(length, *geometry, padding)):
                y[row, t] = b + sum(
                    x[row, s] @ W[k] for k, s in enumerate(steps) if 0 <= s < length
                )
                y[row, t] = ACTIVATIONS["softsign"](y[row, t])
        assert_close(layer.forward(x, lengths=lengths), y, tolerance.forward)
        assert_same_bits(
            layer.forward(x, lengths=lengths, training=True), layer.forward(x, lengths=lengths)
        )
    assert layer.compute_output_shape((None, 9, 3)) == (None, len(windows), 5)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if g[2] == 1], ids=str)
@pytest.mark.parametrize(("cls", "of"), [(MaxPooling1D, np.max), (AveragePooling1D, np.mean)])
def test_pooling(cls, of, geometry, padding, dtype, tolerance, rng):
    # zeros would be the largest
    layer, x = cls(*geometry[:2], padding, dtype=dtype), sequences(rng, 5, 9, 3, dtype) - 3
    windows = wanted_windows(9, *geometry, padding)
    for lengths in (None, LENGTHS):
        y = np.zeros((5, len(windows), 3))
        for row, length in enumerate(lengths or [9] * 5):
            for t, steps in enumerate(wanted_windows(length, *geometry, padding)):
                inside = [x[row, s].astype(np.float64) for s in steps if 0 <= s < length]
                if inside:
                    y[row, t] = of(inside, axis=0)
        assert_close(layer.forward(x, lengths=lengths), y, tolerance.forward)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients(geometry, padding, rng):
    layers = [
        conv_of(rng, *geometry, padding, activation="tanh"),
        conv_of(rng, *geometry, padding, use_bias=False),
    ]
    if padding != "causal" and geometry[2] == 1:
        layers += [
            cls(*geometry[:2], padding, dtype="float64") for cls in (MaxPooling1D, AveragePooling1D)
        ]
    for layer in layers:
        for lengths in (None, LENGTHS):
            report = check_gradients(
                layer, sequences(rng, 5, 9, 3), lengths=lengths, max_entries=15
            )
            assert set(report.errors) == {"x", *layer.parameters}


def test_one_row_and_few_steps(rng):
    check_gradients(conv_of(rng, 3, 1, 1, "same"), sequences(rng, 1, 1, 3))
    check_gradients(conv_of(rng, 3, 1, 1, "valid"), sequences(rng, 1, 3, 3))
    assert conv_of(rng, 3, 1, 1, "same").forward(np.zeros((0, 4, 3))).shape == (0, 4, 5)


@pytest.mark.parametrize(
    "make",
    [
        lambda **o: Conv1D(17, 3, padding="same", **o),
        lambda **o: Conv1D(17, 3, 2, "causal", **o),
        lambda **o: MaxPooling1D(3, **o),
        lambda **o: AveragePooling1D(2, 1, "same", **o),
        lambda **o: Conv1D(17, 3, 2, "same", **o),
        lambda **o: Conv1D(4, 2, 3, "same", **o),
        lambda **o: Conv1D(4, 3, 4, "same", dilation_rate=2, **o),
        lambda **o: MaxPooling1D(4, 3, "same", **o),
        lambda **o: AveragePooling1D(2, padding="same", **o),
    ],
)
def test_a_row_does_not_depend_on_its_neighbours_nor_on_its_padding(make, dtype, rng):
    layer, x, lengths = (
        make(dtype=dtype),
        sequences(rng, 6, 9, 5, dtype),
        np.array([9, 3, 7, 9, 5, 4]),
    )
    whole = layer.forward(x, lengths=lengths)
    for row, length in enumerate(lengths):
        alone = layer.forward(x[row : row + 1, :length])
        assert_same_bits(alone, whole[row : row + 1, : alone.shape[1]])
        assert not whole[row, alone.shape[1] :].any()


def test_threads_give_the_same_bits(dtype, rng, forced_threads):
    layer = conv_of(rng, 3, 2, 1, "same", dtype, activation="tanh")
    x, results = sequences(rng, 60, 31, 3, dtype), []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


def test_lengths_go_on_to_the_layers_behind(rng):
    model = Sequential(
        [
            Input((None, 3)),
            Conv1D(4, 3, 2, "causal", activation="relu"),
            MaxPooling1D(2),
            LSTM(3),
            Dense(1),
        ],
        seed=0,
    )
    model.compile("adam", "mse")
    x, lengths = sequences(rng, 8, 12, 3, "float32"), np.array([12, 4, 7, 12, 5, 9, 6, 12])
    whole = model.predict(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert_close(model.predict(x[row : row + 1, :length]), whole[row : row + 1], 1e-6)
    assert list(model.layers[0].output_lengths(lengths)) == [6, 2, 4, 6, 3, 5, 3, 6]
    model.fit(x, lengths.astype(float), lengths=lengths, epochs=1, verbose=0)


def test_steps_that_stay_are_counted_as_steps(rng):
    """One output a step: targets a step, padding counts in nothing."""
    model = Sequential(
        [Input((None, 3)), Conv1D(4, 3, padding="same"), GRU(3, return_sequences=True), Dense(1)],
        seed=0,
    )
    model.compile("sgd", "mse")
    assert model._keeps_steps
    x, y, lengths = sequences(rng, 4, 6, 3), rng.normal(size=(4, 6, 1)), np.array([6, 2, 4, 1])
    other = x.copy()
    other[np.arange(6) >= lengths[:, None]] = 50
    assert model.compute_gradients(x, y, lengths=lengths) == model.compute_gradients(
        other, y, lengths=lengths
    )
    assert check_gradients(
        Sequential(
            [Input((6, 3)), Conv1D(2, 2, padding="causal", dtype="float64"), Dense(1)], seed=0
        ),
        x,
        y=y,
        loss="mse",
        lengths=lengths,
        max_entries=5,
    ).passed


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: Conv1D(4, 3, padding="full"),
            ConfigError,
            "padding is 'full'; expected one of 'valid', 'same', 'causal'",
        ),
        (lambda: MaxPooling1D(2, padding="causal"), ConfigError, "expected one of 'valid', 'same'"),
        (lambda: Conv1D(4, 3, groups=2), ConfigError, "groups is 2"),
        (
            lambda: Conv1D(4, 3, data_format="channels_first"),
            ConfigError,
            "data_format is 'channels_first'",
        ),
        (lambda: Conv1D(4, 0), ConfigError, "the width of the window is 0"),
        (lambda: Conv1D(4, [2, 3]), DTypeError, "the width of the window is"),
        (lambda: Conv1D(4, 3, strides=0), ConfigError, "strides is 0"),
        (lambda: Conv1D(4, 3, dilation=2), ArgumentError, "'dilation'"),
        (
            lambda: Conv1D(4, 3).build((None, 2, 3)),
            ShapeError,
            "given 2 steps, and its window spans 3",
        ),
        (
            lambda: Conv1D(4, 3).forward(np.zeros((1, 2, 3), "float32")),
            ShapeError,
            "padding='same'",
        ),
        (lambda: Conv1D(4, 3).build((None, 3)), ShapeError, r"expected \(batch, steps, features\)"),
        (
            lambda: AveragePooling1D(2).forward(np.zeros((1, 2), "float32")),
            ShapeError,
            r"\(batch, steps, features\)",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
