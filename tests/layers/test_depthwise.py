"""DepthwiseConv1D and SeparableConv1D: Conv1D with kernels that are mostly zeros."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, randomize, run, sequences

from gatewise.errors import ConfigError
from gatewise.layers import Conv1D, DepthwiseConv1D, SeparableConv1D
from gatewise.testing import check_gradients

LENGTHS = [9, 0, 4, 1, 6]
# window, strides, dilation, multiplier
GEOMETRIES = [(1, 1, 1, 1), (3, 1, 1, 2), (3, 2, 1, 1), (2, 3, 1, 3), (3, 1, 2, 1), (2, 2, 3, 2)]
PADDINGS = ["valid", "same", "causal"]


def layers_of(rng, geometry, padding, features=3, dtype="float64", **options):
    """(separable layer, depthwise layer), built, with random weights."""
    window, strides, dilation, multiplier = geometry
    options |= {"dilation_rate": dilation, "depth_multiplier": multiplier, "dtype": dtype}
    made = [
        SeparableConv1D(5, window, strides, padding, **options),
        DepthwiseConv1D(window, strides, padding, **options),
    ]
    for layer in made:
        layer.build((None, None, features))
        randomize(layer, rng)
    return made


def dense_kernel(kernel):
    """The kernel of a Conv1D that computes what a depthwise kernel does."""
    window, features, multiplier = kernel.shape
    full = np.zeros((window, features, features * multiplier))
    for f in range(features):
        full[:, f, f * multiplier : (f + 1) * multiplier] = kernel[:, f]
    return full


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_they_are_convolutions(geometry, padding, dtype, tolerance, rng):
    separable, depthwise = layers_of(rng, geometry, padding, dtype=dtype, activation="tanh")
    x = sequences(rng, 5, 9, 3, dtype)
    window, strides, dilation, _ = geometry
    kernel, point, bias = separable.get_weights()
    weights = {
        separable: [dense_kernel(kernel) @ point[0], bias],
        depthwise: [dense_kernel(depthwise.get_weights()[0]), depthwise.get_weights()[1]],
    }
    for layer, (full, bias) in weights.items():
        wanted = Conv1D(
            full.shape[2],
            window,
            strides,
            padding,
            dilation_rate=dilation,
            activation="tanh",
            dtype="float64",
        )
        wanted.build((None, None, 3))
        wanted.set_weights([full, bias])
        for lengths in (None, LENGTHS):
            y = layer.forward(x, lengths=lengths)
            assert_close(y, wanted.forward(x.astype("float64"), lengths=lengths), tolerance.forward)
            assert_same_bits(layer.forward(x, lengths=lengths, training=True), y)
        assert layer.compute_output_shape((None, 9, 3)) == (None, *y.shape[1:])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients(geometry, padding, rng):
    for layer in layers_of(rng, geometry, padding, activation="softsign"):
        for lengths in (None, LENGTHS):
            report = check_gradients(
                layer, sequences(rng, 5, 9, 3), lengths=lengths, max_entries=12
            )
            assert set(report.errors) == {"x", *layer.parameters}


def test_no_rows_one_step_and_no_bias(rng):
    for layer in layers_of(rng, (3, 1, 1, 1), "same", use_bias=False):
        check_gradients(layer, sequences(rng, 1, 1, 3))
        y = layer.forward(np.zeros((0, 4, 3)), training=True)
        assert layer.backward(np.zeros_like(y)).shape == (0, 4, 3)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_a_row_does_not_depend_on_its_neighbours_nor_on_its_padding(geometry, dtype, rng):
    x, lengths = sequences(rng, 6, 9, 19, dtype), np.array([9, 3, 7, 9, 5, 4])
    for layer in layers_of(rng, geometry, "same", 19, dtype):
        whole = layer.forward(x, lengths=lengths)
        for row, length in enumerate(lengths):
            alone = layer.forward(x[row : row + 1, :length])
            assert_same_bits(alone, whole[row : row + 1, : alone.shape[1]])
            assert not whole[row, alone.shape[1] :].any()


def test_threads_give_the_same_bits(dtype, rng, forced_threads):
    x = sequences(rng, 60, 31, 19, dtype)
    for layer in layers_of(rng, (3, 2, 1, 2), "same", 19, dtype):
        results = []
        for count in (1, 2, 3):
            forced_threads.set_num_threads(count)
            results.append(run(layer, x))
        for other in results[1:]:
            assert_all_same_bits(other, results[0])


@pytest.mark.parametrize("cls", [SeparableConv1D, DepthwiseConv1D])
def test_errors(cls):
    first = () if cls is DepthwiseConv1D else (4,)
    for options, message in [
        ({"depth_multiplier": 0}, "depth_multiplier is 0"),
        ({"data_format": "channels_first"}, "numpy.moveaxis"),
        ({"padding": "full"}, "padding is 'full'"),
    ]:
        with pytest.raises(ConfigError, match=message):
            cls(*first, 3, **options)
