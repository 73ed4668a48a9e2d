"""Layers that change shapes and numbers of steps: values, gradients, lengths, what they refuse."""

import numpy as np
import pytest
from cases import assert_same_bits, sequences

from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError
from gatewise.layers import (
    GRU,
    Batch,
    Cropping1D,
    Dense,
    Flatten,
    GlobalMaxPooling1D,
    Input,
    Masking,
    Permute,
    Reshape,
    Steps,
    TimeDistributed,
    UpSampling1D,
    ZeroPadding1D,
)
from gatewise.models import Sequential
from gatewise.testing import check_gradients

LENGTHS = np.array([6, 0, 3, 1], np.intp)


# ---- the same numbers


@pytest.mark.parametrize(
    ("target", "shape", "wanted", "keeps"),
    [
        ((3, 4), (6, 2), (3, 4), False),
        ((-1, 4), (6, 2), (3, 4), False),
        ((6, 2, 1), (6, 2), (6, 2, 1), True),
        ((-1, 2, 2), (6, 4), (6, 2, 2), True),
        ((6, -1), (6, 2, 2), (6, 4), True),
        ((-1,), (6, 2), (12,), False),
        (12, (6, 2), (12,), False),
        ((2, 3), (6,), (2, 3), False),
        ((-1, 1), (6,), (6, 1), False),
    ],
)
def test_reshape(target, shape, wanted, keeps, rng):
    layer = Reshape(target, dtype="float64")
    x = rng.normal(size=(3, *shape))
    y = layer(x)
    assert_same_bits(y, x.reshape(3, *wanted))
    assert layer.output_shape == (None, *wanted) and layer.keeps_steps == layer.causal == keeps
    assert check_gradients(Reshape(target, dtype="float64"), x).passed
    again = Reshape.from_config(layer.get_config())
    assert again.target_shape == layer.target_shape


def test_shapes_that_are_not_known():
    for target, given, wanted in [
        ((-1, 2, 2), (None, None, 4), (None, None, 2, 2)),
        ((-1, 2), (None, None, 4), (None, None, 2)),
        ((3, 4), (None, None, 4), (None, 3, 4)),
        ((-1,), (None, 3, None), (None, None)),
    ]:
        assert Reshape(target).compute_output_shape(given) == wanted
    layer = Reshape((-1, 2, 2), dtype="float64")
    layer.build((None, 5, 4))
    assert layer.takes_any_length and layer(np.zeros((1, 7, 4))).shape == (1, 7, 2, 2)
    with pytest.raises(ShapeError, match="expects"):
        layer(np.zeros((1, 7, 2)))
    fixed = Reshape((5, 2, 2), dtype="float64")
    fixed.build((None, 5, 4))
    assert fixed.keeps_steps and not fixed.takes_any_length
    with pytest.raises(ShapeError, match="expects"):
        fixed(np.zeros((1, 7, 4)))


def test_lengths_and_masks_stay_where_steps_stay(rng):
    x = sequences(rng, 4, 6, 4)
    mask = np.array([[1, 0, 1, 1, 0, 1], [1] * 6, [0] * 6, [1, 1, 0, 0, 0, 0]], bool)
    kept = Reshape((-1, 2, 2), dtype="float64")
    assert_same_bits(kept(x, mask=mask), np.where(mask[..., None], x, 0).reshape(4, 6, 2, 2))
    assert check_gradients(kept, x, lengths=LENGTHS).passed
    flat = Reshape((-1,), dtype="float64")
    for steps in ({"mask": mask}, {"lengths": LENGTHS}):
        assert_same_bits(flat(x, **steps), Flatten(dtype="float64")(x, **steps))
    other = Reshape((3, 8), dtype="float64", name="other")
    with pytest.raises(ShapeError, match="layer 'other' has rows of different lengths"):
        other(x, lengths=LENGTHS)
    assert other(x, lengths=[6] * 4).shape == (4, 3, 8)


def test_axes_in_another_order(rng):
    for dims, shape in [((2, 1), (5, 3)), ((1, 3, 2), (5, 3, 2)), ((3, 1, 2), (5, 3, 2))]:
        x = rng.normal(size=(2, *shape))
        layer = Permute(dims, dtype="float64")
        assert_same_bits(layer(x), np.ascontiguousarray(x.transpose(0, *dims)))
        assert layer.output_shape[1:] == layer(x).shape[1:]
        assert layer.keeps_steps == layer.causal == layer.takes_any_length == (dims[0] == 1)
        assert check_gradients(layer, x).passed
        assert Permute.from_config(layer.get_config()).dims == dims
    x = rng.normal(size=(4, 6, 2, 3))
    y = Permute((1, 3, 2), dtype="float64")(x, lengths=LENGTHS)
    assert y.shape == (4, 6, 3, 2) and not y[1].any() and not y[2, 3:].any()
    with pytest.raises(ShapeError, match="layer 'turn' has rows of different lengths"):
        Permute((2, 1), name="turn", dtype="float64")(x[..., 0], lengths=LENGTHS)


# ---- other numbers of steps


@pytest.mark.parametrize(
    ("make", "of_row"),
    [
        (lambda **o: ZeroPadding1D((2, 1), **o), lambda x: np.pad(x, [(2, 1), (0, 0)])),
        (lambda **o: ZeroPadding1D(**o), lambda x: np.pad(x, [(1, 1), (0, 0)])),
        (lambda **o: ZeroPadding1D(0, **o), lambda x: x),
        (lambda **o: Cropping1D((2, 1), **o), lambda x: x[2 : max(len(x) - 1, 2)]),
        (lambda **o: Cropping1D(1, **o), lambda x: x[1 : max(len(x) - 1, 1)]),
        (lambda **o: Cropping1D(0, **o), lambda x: x),
        (lambda **o: UpSampling1D(3, **o), lambda x: np.repeat(x, 3, axis=0)),
        (lambda **o: UpSampling1D(1, **o), lambda x: x),
    ],
)
def test_other_numbers_of_steps(make, of_row, dtype, rng):
    x = sequences(rng, 4, 6, 3, dtype)
    layer = make(dtype=dtype)
    y = layer(x)
    assert_same_bits(y, np.stack([of_row(row) for row in x]))
    assert layer.output_shape == (None, *y.shape[1:])
    for lengths in (LENGTHS, LENGTHS[1:]):
        rows = x[:4] if len(lengths) == 4 else x[1:]
        y, ends = layer(rows, lengths=lengths), layer.output_lengths(lengths)
        for row, end, given, out in zip(rows, ends, lengths, y):
            assert_same_bits(out[:end], of_row(row[:given]))
            assert not out[end:].any()
    if dtype == "float64":
        assert check_gradients(layer, x).passed
        assert check_gradients(layer, x, lengths=LENGTHS).passed
    mask = np.array([[1, 0, 1, 1, 0, 1]] * 4, bool)
    y = layer(x, mask=mask)
    front = np.ascontiguousarray(x[:, mask[0]])
    if not layer.keeps_steps:
        wanted = layer(np.concatenate([front, front[:, :2]], axis=1), lengths=[4] * 4)
        assert_same_bits(y, wanted)
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()


def test_one_row_of_one_step(rng):
    x = rng.normal(size=(1, 1, 1))
    for layer in (ZeroPadding1D(2, dtype="float64"), UpSampling1D(2, dtype="float64")):
        assert check_gradients(layer, x).passed
    with pytest.raises(ShapeError, match="layer 'crop' is given 1 steps, and none remains"):
        Cropping1D(1, name="crop", dtype="float64")(x)
    with pytest.raises(ShapeError, match="none remains"):
        Sequential([Input((2, 3)), Cropping1D(1)])


def test_padding_past_the_end_never_enters_the_output(rng):
    x = sequences(rng, 4, 6, 3)
    for layer in (ZeroPadding1D(dtype="float64"), UpSampling1D(dtype="float64")):
        wanted = layer(x, lengths=LENGTHS)
        dirty = x.copy()
        dirty[np.arange(6) >= LENGTHS[:, None]] = 1e300
        y = layer.run(Batch(dirty, Steps(LENGTHS)), None, "node")
        assert_same_bits(y.values, wanted)
        np.testing.assert_array_equal(y.lengths, layer.output_lengths(LENGTHS))


def test_resets_do_not_reach_other_steps(rng):
    model = Sequential([Input((None, 3)), UpSampling1D(2, name="up"), GRU(2)], seed=0)
    resets = np.zeros((2, 4), bool)
    with pytest.raises(ConfigError, match="layer 'up' changes the steps, and resets belong"):
        model.predict(sequences(rng, 2, 4, 3, "float32"), resets=resets, verbose=0)


def test_in_a_model(rng):
    """Rows of different lengths give the same results alone and together."""
    model = Sequential(
        [
            Input((None, 4)),
            Masking(0.0),
            ZeroPadding1D((1, 2)),
            Reshape((-1, 2, 2)),
            Permute((1, 3, 2)),
            TimeDistributed(Flatten()),
            Dense(3, "tanh"),
            Cropping1D((0, 1)),
            UpSampling1D(2),
            GlobalMaxPooling1D(),
        ],
        seed=0,
    )
    x = sequences(rng, 4, 6, 4, "float32")
    for row, length in zip(x, LENGTHS):
        row[length:] = 0
    y = model.predict(x, verbose=0)
    for row, length, wanted in zip(x, LENGTHS, y):
        if length:
            assert_same_bits(model.predict(row[None, :length], verbose=0)[0], wanted)
    assert check_gradients(
        Sequential([Input((None, 4), dtype="float64"), *model_layers(model)], seed=0),
        sequences(rng, 3, 5, 4),
        y=rng.normal(size=(3, 3)),
        loss="mse",
        lengths=[5, 1, 3],
        max_entries=20,
    ).passed


def model_layers(model):
    return [type(layer).from_config(layer.get_config()) for layer in model.layers[1:]]


def test_steps_of_a_model_that_go_on(rng):
    """Losses and outputs follow the number of steps that the layers leave."""
    model = Sequential([Input((None, 2)), UpSampling1D(2), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    x, lengths = sequences(rng, 3, 4, 2, "float32"), [4, 2, 1]
    y = model.predict(x, lengths=lengths, verbose=0)
    assert y.shape == (3, 8, 1) and not y[1, 4:].any() and y[1, :4].any()
    history = model.fit(x, np.zeros((3, 8, 1)), lengths=lengths, epochs=1, verbose=0, shuffle=False)
    assert history.history["loss"][0] == pytest.approx((y**2).sum() / 14, rel=1e-5)


# ---- errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Reshape((2, -1, -1)), "at most one -1"),
        (lambda: Reshape((0, 2)), "extents from 1"),
        (lambda: Reshape(()), "extents from 1"),
        (lambda: Reshape((2.5,)), "target_shape is 2.5"),
        (lambda: Reshape("ab"), "target_shape is 'ab'"),
        (lambda: Permute((1, 1)), "each of the axes 1, 2, ... once"),
        (lambda: Permute((0, 1)), "without the batch"),
        (lambda: Permute((2,)), "each of the axes"),
        (lambda: Permute(2), "expected a tuple such as"),
        (lambda: ZeroPadding1D(-1), "padding is -1"),
        (lambda: ZeroPadding1D((1, 2, 3)), "expected a whole number, or two"),
        (lambda: ZeroPadding1D(1, data_format="channels_first"), "data_format"),
        (lambda: Cropping1D("1"), "cropping is '1'"),
        (lambda: UpSampling1D(0), "size is 0"),
    ],
)
def test_wrong_options(make, message):
    with pytest.raises((ConfigError, DTypeError), match=message):
        make()


@pytest.mark.parametrize(
    ("make", "shape", "message"),
    [
        (lambda **o: Reshape((5, 2), **o), (2, 12), "12 numbers a row; expected 10"),
        (lambda **o: Reshape((5, -1), **o), (2, 12), "expected a multiple of 5"),
        (lambda **o: Permute((2, 1), **o), (2, 5), "expected 3 axes, that of the batch included"),
        (lambda **o: ZeroPadding1D(**o), (2, 5), "expects .batch, steps, features"),
        (lambda **o: UpSampling1D(**o), (2, 5, 3, 1), "expects .batch, steps, features"),
    ],
)
def test_wrong_shapes(make, shape, message):
    with pytest.raises(ShapeError, match=f"layer 'here'.*{message}"):
        make(name="here", dtype="float64")(np.zeros(shape))


def test_a_result_that_cannot_fit_into_memory_is_refused():
    for layer in (UpSampling1D(2**31 - 1, name="big"), ZeroPadding1D(2**31 - 1, name="big")):
        with pytest.raises(GatewiseError, match="the output of layer 'big'"):
            layer(np.zeros((1, 1, 4096), "float32"))
