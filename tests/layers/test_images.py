"""Conv2D and pooling of images: the equations, gradients, neighbours, and what is refused."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, randomize, run
from reference import ACTIVATIONS

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    LSTM,
    AveragePooling2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    MaxPooling2D,
    TimeDistributed,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients

# window, strides, dilation
GEOMETRIES = [
    ((1, 1), (1, 1), (1, 1)),
    ((3, 3), (1, 1), (1, 1)),
    ((2, 3), (2, 1), (1, 1)),
    ((4, 2), (1, 3), (1, 1)),
    ((3, 2), (1, 1), (1, 2)),
    ((2, 3), (2, 3), (2, 1)),
]


def images(rng, n, height, width, channels, dtype="float64"):
    return rng.normal(size=(n, height, width, channels)).astype(dtype)


def starts(extent, window, strides, dilation, padding):
    """The first place of each window along an axis; some lie outside."""
    reach = dilation * (window - 1)
    if padding == "valid":
        return range(0, extent - reach, strides)
    count = -(-extent // strides)
    before = max((count - 1) * strides + reach + 1 - extent, 0) // 2
    return range(-before, -before + count * strides, strides)


def windows(x, geometry, padding):
    """For each place of the output, the (number in the window, place of x) that are inside."""
    window, strides, dilation = geometry
    rows, columns = (
        starts(x.shape[1 + k], window[k], strides[k], dilation[k], padding) for k in range(2)
    )
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            inside = []
            for a in range(window[0]):
                for b in range(window[1]):
                    r, c = row + a * dilation[0], column + b * dilation[1]
                    if 0 <= r < x.shape[1] and 0 <= c < x.shape[2]:
                        inside.append(((a, b), x[:, r, c].astype(np.float64)))
            yield i, j, inside


def conv_of(rng, geometry, padding, filters=5, dtype="float64", **options):
    window, strides, dilation = geometry
    layer = Conv2D(
        filters, window, strides, padding, dilation_rate=dilation, dtype=dtype, **options
    )
    layer.build((None, None, None, 2))
    return randomize(layer, rng)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize("filters", [5, 16, 70])
def test_convolution(geometry, padding, filters, dtype, tolerance, rng):
    layer = conv_of(rng, geometry, padding, filters, dtype, activation="softsign")
    W, b = (w.astype(np.float64) for w in layer.get_weights())
    x = images(rng, 3, 7, 6, 2, dtype)
    y = np.zeros(layer.compute_output_shape(x.shape))
    for i, j, inside in windows(x, geometry, padding):
        y[:, i, j] = ACTIVATIONS["softsign"](b + sum(place @ W[k] for k, place in inside))
    assert_close(layer.forward(x), y, tolerance.forward)
    assert_same_bits(layer.forward(x, training=True), layer.forward(x))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", [g for g in GEOMETRIES if g[2] == (1, 1)], ids=str)
@pytest.mark.parametrize(("cls", "of"), [(MaxPooling2D, np.max), (AveragePooling2D, np.mean)])
def test_pooling(cls, of, geometry, padding, dtype, tolerance, rng):
    # zeros would be the largest
    layer, x = cls(*geometry[:2], padding, dtype=dtype), images(rng, 3, 7, 6, 17, dtype) - 4
    y = np.zeros(layer.compute_output_shape(x.shape))
    for i, j, inside in windows(x, geometry, padding):
        y[:, i, j] = of([place for _, place in inside], axis=0)
    assert_close(layer.forward(x), y, tolerance.forward)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_gradients(geometry, padding, rng):
    layers = [
        conv_of(rng, geometry, padding, 17, activation="tanh"),
        conv_of(rng, geometry, padding, use_bias=False, activation="softmax"),
    ]
    if geometry[2] == (1, 1):
        layers += [
            cls(*geometry[:2], padding, dtype="float64") for cls in (MaxPooling2D, AveragePooling2D)
        ]
    for layer in layers:
        report = check_gradients(layer, images(rng, 2, 5, 6, 2), max_entries=12)
        assert set(report.errors) == {"x", *layer.parameters}


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_pooling(keepdims, rng):
    x = images(rng, 3, 4, 5, 2)
    for cls, of in ((GlobalMaxPooling2D, np.max), (GlobalAveragePooling2D, np.mean)):
        layer = cls(keepdims=keepdims, dtype="float64")
        assert_close(layer.forward(x), of(x, axis=(1, 2), keepdims=keepdims), 1e-14)
        check_gradients(layer, x)


def test_a_maximum_that_several_places_share_has_one_gradient():
    layer = MaxPooling2D((2, 2), dtype="float64")
    y = layer.forward(np.ones((1, 2, 2, 1)), training=True)
    assert layer.backward(np.full_like(y, 3.0)).ravel().tolist() == [3, 0, 0, 0]


def test_an_image_of_one_place_and_no_images(rng):
    check_gradients(conv_of(rng, GEOMETRIES[1], "same"), images(rng, 1, 1, 1, 2))
    for layer in (conv_of(rng, GEOMETRIES[2], "same"), MaxPooling2D(2), GlobalMaxPooling2D()):
        y = layer.forward(np.zeros((0, 4, 4, 2), layer.dtype), training=True)
        assert layer.backward(np.zeros_like(y)).shape == (0, 4, 4, 2)


def test_an_image_does_not_depend_on_its_neighbours(dtype, rng):
    x = images(rng, 7, 9, 30, 2, dtype)
    for geometry in GEOMETRIES:
        layer = conv_of(rng, geometry, "same", 17, dtype)
        whole = layer.forward(x)
        for row in range(len(x)):
            assert_same_bits(layer.forward(x[row : row + 1]), whole[row : row + 1])


def test_bands_of_a_large_image_are_its_whole(rng):
    """An image that is cut into bands of rows gives what its parts give alone."""
    layer = conv_of(rng, ((3, 3), (1, 1), (1, 1)), "valid", 16, "float32")
    x = images(rng, 1, 90, 120, 2, "float32")
    whole = layer.forward(x)
    for top in (0, 31, 60):
        part = layer.forward(np.ascontiguousarray(x[:, top : top + 20]))
        assert_same_bits(np.ascontiguousarray(whole[:, top : top + 18]), part)


def test_threads_give_the_same_bits(dtype, rng, forced_threads):
    layers = [
        conv_of(rng, ((3, 2), (2, 1), (1, 1)), "same", 17, dtype, activation="tanh"),
        MaxPooling2D(2, dtype=dtype),
    ]
    x = images(rng, 37, 21, 20, 2, dtype)
    for layer in layers:
        results = []
        for count in (1, 2, 3):
            forced_threads.set_num_threads(count)
            results.append(run(layer, x))
        for other in results[1:]:
            assert_all_same_bits(other, results[0])


def video_model(**options):
    return Sequential(
        [
            Input((None, 8, 8, 1), **options),
            TimeDistributed(Conv2D(4, 3, padding="same", activation="relu")),
            TimeDistributed(MaxPooling2D(2)),
            TimeDistributed(Flatten()),
            LSTM(5),
            Dense(1),
        ],
        seed=0,
    )


def test_image_sequences_in_a_model(rng, tmp_path):
    x = rng.normal(size=(6, 5, 8, 8, 1)).astype("float32")
    lengths, target = np.array([5, 1, 3, 0, 5, 2]), rng.normal(size=(6, 1))
    model = video_model()
    model.compile("adam", "mse")
    model.fit(x, target, lengths=lengths, epochs=2, verbose=0)
    model.save(tmp_path / "model.gatewise")
    again = load_model(tmp_path / "model.gatewise")
    wanted = model.predict(x, lengths=lengths, verbose=0)
    assert_same_bits(again.predict(x, lengths=lengths, verbose=0), wanted)
    other = x.copy()
    other[1, 1:] = 1e30  # past the end of the row
    assert_same_bits(model.predict(other, lengths=lengths, verbose=0), wanted)


def test_gradients_of_a_layer_in_time_distributed(rng):
    layer = TimeDistributed(Conv2D(3, 2, padding="same", activation="tanh"), dtype="float64")
    x = rng.normal(size=(3, 4, 5, 4, 2))
    check_gradients(layer, x, lengths=[4, 0, 2], max_entries=15)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Conv2D(4, 3, padding="causal"), ConfigError, "expected one of 'valid', 'same'"),
        (lambda: Conv2D(4, 3, groups=2), ConfigError, "groups is 2"),
        (
            lambda: Conv2D(4, 3, data_format="channels_first"),
            ConfigError,
            r"'channels_first'.*numpy.moveaxis\(x, 1, -1\)",
        ),
        (
            lambda: GlobalMaxPooling2D(data_format="channels_first"),
            ConfigError,
            "numpy.moveaxis",
        ),
        (lambda: Conv2D(4, [1, 2, 3]), DTypeError, "the size of the window is"),
        (lambda: Conv2D(4, 3, strides=(1, 0)), ConfigError, "strides is 0"),
        (
            lambda: Conv2D(4, 3).build((None, 2, 9, 1)),
            ShapeError,
            "2 x 9 places, and its window spans 3 x 3",
        ),
        (
            lambda: Conv2D(4, 3).build((None, 5, 9, 9, 1)),
            ShapeError,
            "TimeDistributed applies the layer to each step",
        ),
        (lambda: MaxPooling2D(2).build((None, 9, 9)), ShapeError, "height, width, channels"),
        (
            lambda: Conv2D(4, 3)(np.zeros((2, 9, 9, 1), "f"), lengths=[3, 9]),
            ConfigError,
            "reads images, which have no steps.*TimeDistributed",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
