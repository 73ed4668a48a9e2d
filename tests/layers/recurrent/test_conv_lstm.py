"""ConvLSTM1D and ConvLSTM2D: the equations, gradients, states, and rows by themselves."""

import numpy as np
import pytest
from cases import assert_all_close, assert_all_same_bits, assert_same_bits, run

from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    Bidirectional,
    Conv2D,
    ConvLSTM1D,
    ConvLSTM2D,
    Dense,
    GlobalAveragePooling2D,
    Input,
    Masking,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients

LENGTHS = [4, 0, 2]


def layer_of(rng, filters=3, window=(2, 3), dtype="float64", **options):
    options = {"padding": "same"} | options
    layer = ConvLSTM2D(filters, window, dtype=dtype, **options)
    layer.build((None, None, 4, 5, 2))
    layer.set_weights([rng.normal(size=w.shape, scale=0.4) for w in layer.get_weights()])
    return layer


def videos(rng, batch=3, steps=4, dtype="float64"):
    return rng.normal(size=(batch, steps, 4, 5, 2)).astype(dtype)


def convolution(kernel, bias, **options):
    """A Conv2D with these weights."""
    layer = Conv2D(
        kernel.shape[3], kernel.shape[:2], use_bias=bias is not None, dtype="float64", **options
    )
    layer.build((None, None, None, kernel.shape[2]))
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def expected(layer, x, lengths=None, resets=None, state=None):
    """(outputs of all steps, h, c) by the equations, row by row and step by step."""
    W, U, b = (w.astype(np.float64) for w in layer.get_weights())
    of_x = convolution(
        W, b, padding=layer.padding, strides=layer.strides, dilation_rate=layer.dilation
    )
    of_h = convolution(U, None, padding="same")
    z = np.stack([of_x(np.ascontiguousarray(x[:, t], "float64")) for t in range(x.shape[1])], 1)
    shape = (len(x), *z.shape[2:4], layer.filters)
    h, c = np.zeros((2, *shape)) if state is None else np.array(state, "float64")
    y = np.zeros((len(x), x.shape[1], *shape[1:]))
    for row in range(len(x)):
        steps = range(x.shape[1] if lengths is None else lengths[row])
        for at, t in enumerate(reversed(steps) if layer.go_backwards else steps):
            if resets is not None and resets[row, t]:
                h[row], c[row] = 0, 0
            i, f, g, o = np.split(z[row, t] + of_h(h[row : row + 1])[0], 4, axis=-1)
            c[row] = sigmoid(f) * c[row] + sigmoid(i) * np.tanh(g)
            h[row] = sigmoid(o) * np.tanh(c[row])
            y[row, at] = h[row]
    return [y, h, c]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"go_backwards": True},
        {"padding": "valid", "strides": (1, 2)},
        {"dilation_rate": 2, "window": (3, 1)},
        {"filters": 17, "window": 1},
    ],
    ids=str,
)
def test_equations(options, lengths, dtype, tolerance, rng):
    layer = layer_of(rng, dtype=dtype, return_sequences=True, return_state=True, **options)
    x, resets = videos(rng, dtype=dtype), rng.random((3, 4)) < 0.3
    size = layer.compute_output_shape((None, 4, 4, 5, 2))[2:]
    state = [rng.normal(size=(3, *size)).astype(dtype) for _ in range(2)]
    for given in ({}, {"resets": resets}, {"initial_state": state}):
        wanted = expected(layer, x, lengths, given.get("resets"), given.get("initial_state"))
        for training in (False, True):
            got = layer.forward(x, lengths=lengths, training=training, **given)
            assert_all_close(got, wanted, tolerance.forward)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "padding": "valid", "strides": (1, 2)},
        {"return_sequences": True, "return_state": True, "go_backwards": True},
        {"return_state": True, "window": 1, "filters": 17, "use_bias": False},
        {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "dilation_rate": 2},
    ],
    ids=str,
)
def test_gradients(options, lengths, rng):
    layer = layer_of(rng, **options)
    report = check_gradients(layer, videos(rng), lengths=lengths, max_entries=8)
    assert set(report.errors) == {"x", *layer.parameters}
    shape = layer.compute_output_shape((None, 4, 4, 5, 2))[-3:]
    check_gradients(
        layer,
        videos(rng),
        lengths=lengths,
        max_entries=8,
        resets=rng.random((3, 4)) < 0.3,
        initial_state=[rng.normal(size=(3, *shape)) for _ in range(2)],
    )


@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_dropout_has_the_gradient_of_its_mask(rates, rng):
    """The same draws in every pass, so that differences are of one function."""
    layer = layer_of(rng, return_sequences=True, **rates)
    x, dy = videos(rng), rng.normal(size=(3, 4, 4, 5, 3))

    def value(x):
        layer.rng = np.random.default_rng(7)
        return (layer.forward(x, training=True) * dy).sum()

    value(x)
    dx = layer.backward(dy)
    assert not np.allclose(layer.forward(x), layer.forward(x, training=True))
    for at in [(0, 0, 1, 1, 0), (1, 2, 3, 4, 1), (2, 3, 0, 0, 0)]:
        step = np.zeros_like(x)
        step[at] = 1e-5
        assert dx[at] == pytest.approx((value(x + step) - value(x - step)) / 2e-5, abs=1e-7)


def test_one_axis_is_an_image_of_one_row(rng):
    options = {"padding": "same", "return_sequences": True, "dtype": "float64"}
    line, image = ConvLSTM1D(3, 2, **options), ConvLSTM2D(3, (1, 2), **options)
    x = rng.normal(size=(3, 4, 5, 2))
    line.build((None, 4, 5, 2))
    image.build((None, 4, 1, 5, 2))
    image.set_weights([w[None] if w.ndim == 3 else w for w in line.get_weights()])
    assert_same_bits(line.forward(x), image.forward(x[:, :, None])[:, :, 0])
    check_gradients(line, x, lengths=LENGTHS, max_entries=10)


@pytest.mark.parametrize("merge_mode", ["concat", "mul", None])
def test_bidirectional(merge_mode, rng):
    layer = Bidirectional(
        ConvLSTM1D(3, 2, padding="same", return_sequences=True), merge_mode, dtype="float64"
    )
    check_gradients(layer, rng.normal(size=(3, 4, 5, 2)), lengths=LENGTHS, max_entries=8)


def test_a_row_does_not_depend_on_its_neighbours_nor_on_its_padding(dtype, rng):
    layer = layer_of(rng, 17, dtype=dtype, return_sequences=True)
    x, lengths = videos(rng, 5, 6, dtype), np.array([6, 3, 0, 1, 6])
    whole = layer.forward(x, lengths=lengths)
    assert not whole[2].any()
    for row in (0, 1, 3):
        alone = layer.forward(x[row : row + 1, : lengths[row]])
        assert_same_bits(alone, whole[row : row + 1, : lengths[row]])
    x[1, 3:] = 1e30
    assert_same_bits(layer.forward(x, lengths=lengths), whole)


def test_a_mask_skips_steps(rng):
    layer = layer_of(rng)
    x, mask = videos(rng), np.array([[1, 1, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0]], bool)
    for row in (0, 2):
        wanted = layer.forward(np.ascontiguousarray(x[row : row + 1, mask[row]]))
        assert_same_bits(layer.forward(x, mask=mask)[row : row + 1], wanted)


def test_threads_give_the_same_bits(dtype, rng, forced_threads):
    layer, x, results = layer_of(rng, 5, dtype=dtype), videos(rng, 19, 3, dtype), []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


def test_two_parts_of_a_sequence_are_the_whole(rng):
    layer, x = layer_of(rng, stateful=True), videos(rng)
    whole = layer.forward(x)
    layer.reset_state()
    layer.forward(x[:, :1])
    assert_same_bits(layer.forward(np.ascontiguousarray(x[:, 1:])), whole)
    state = layer.state
    layer.reset_state()
    layer.state = state
    assert_all_same_bits(layer.state, state)


def test_no_rows_and_one_step(rng):
    layer = layer_of(rng)
    y = layer.forward(np.zeros((0, 4, 4, 5, 2)), training=True)
    assert layer.backward(np.zeros_like(y)).shape == (0, 4, 4, 5, 2)
    check_gradients(layer, videos(rng, 1, 1), max_entries=8)


def test_images_of_other_sizes_one_after_the_other(rng):
    """The workspace of a pass fits the next one, or is made anew."""
    layer = ConvLSTM2D(3, (3, 2), padding="same", dtype="float64")
    layer.build((None, None, None, None, 2))
    for size in ((4, 6), (6, 4), (5, 3), (4, 6)):
        check_gradients(layer, rng.normal(size=(2, 3, *size, 2)), max_entries=6)


def test_in_a_model(rng, tmp_path):
    model = Sequential(
        [
            Input((None, 6, 6, 1)),
            ConvLSTM2D(3, 3, padding="same", return_sequences=True, dropout=0.1),
            ConvLSTM2D(4, 2, strides=2, stateful=True),
            GlobalAveragePooling2D(),
            Dense(1),
        ],
        seed=0,
    )
    x, y = rng.normal(size=(8, 6, 6, 6, 1)).astype("float32"), rng.normal(size=(8, 1))
    lengths = [6, 1, 3, 6, 2, 5, 6, 4]
    model.compile("adam", "mse")
    model.fit(x, y, lengths=lengths, epochs=2, verbose=0)
    model.save(tmp_path / "model.gatewise")
    again = load_model(tmp_path / "model.gatewise")
    assert_all_same_bits(again.layers[1].state, model.layers[1].state)
    wanted = model.predict(x, lengths=lengths, verbose=0)
    assert_same_bits(again.predict(x, lengths=lengths, verbose=0), wanted)


def test_truncated_back_propagation(rng):
    model = Sequential(
        [
            Input((6, 4, 4, 1)),
            ConvLSTM2D(3, 2, padding="same", return_sequences=True),
            ConvLSTM2D(2, 2, padding="same", return_sequences=True),
        ],
        seed=0,
    )
    model.compile("sgd", "mse")
    x = rng.normal(size=(4, 6, 4, 4, 1)).astype("float32")
    y = rng.normal(size=(4, 6, 4, 4, 2)).astype("float32")
    history = model.fit(x, y, epochs=2, tbptt_steps=2, verbose=0).history["loss"]
    assert history[1] < history[0]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ConvLSTM2D(4, 3, padding="causal"), ConfigError, "'valid', 'same'"),
        (lambda: ConvLSTM2D(0, 3), ConfigError, "filters is 0"),
        (lambda: ConvLSTM1D(4, (3, 3)), DTypeError, r"window is \(3, 3\); expected a number"),
        (
            lambda: ConvLSTM2D(4, 3, data_format="channels_first"),
            ConfigError,
            r"numpy.moveaxis\(x, 2, -1\)",
        ),
        (
            lambda: ConvLSTM2D(4, 3, learned_initial_state=True),
            ConfigError,
            "no learned initial state",
        ),
        (
            lambda: ConvLSTM2D(4, 3).build((None, 9, 9, 1)),
            ShapeError,
            r"\(batch, steps, height, width, channels\)",
        ),
        (
            lambda: Sequential([Input((4, 3, 3, 1)), Masking(), ConvLSTM2D(2, 2)]),
            ShapeError,
            "give lengths or a mask together with x",
        ),
        (lambda: ConvLSTM2D(4, 3).build((None, 5, 2, 9, 1)), ShapeError, "spans 3 x 3"),
        (
            lambda: ConvLSTM1D(4, 3)(
                np.zeros((2, 3, 8, 1), "f"), initial_state=[np.zeros((2, 5, 4), "f")] * 2
            ),
            ShapeError,
            r"initial_state h has shape \(2, 5, 4\); expected \(2, 6, 4\)",
        ),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make()
