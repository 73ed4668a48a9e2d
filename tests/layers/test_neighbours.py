"""Random stacks of layers: a row gives the same alone, padded, and beside any other rows.

Outputs of ``predict`` are the same bits. Gradients of a batch are the sums of those of its rows, to
rounding.
"""

import numpy as np
import pytest
from cases import assert_close, assert_same_bits, randomize
from seeds import generator

from gatewise.cells import RNNCell
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AdditiveAttention,
    Attention,
    AveragePooling1D,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LayerNormalization,
    MaxPooling1D,
    MinGRU,
    MinLSTM,
    RepeatVector,
    SimpleRNN,
    SpatialDropout1D,
    TimeDistributed,
)
from gatewise.models import Sequential

FEATURES, LONGEST = 3, 13
GARBAGE = 1e30  # what padding holds: products of it overflow


class LeakyCell(RNNCell):
    """``h = (1 - r) h' + r tanh(x W)``."""

    def __init__(self, units):
        self.units = units

    def parameter_shapes(self, inputs):
        return {"kernel": (inputs, self.units), "rate": (self.units,)}

    def step(self, x, states, parameters):
        # Sums that do not depend on the number of rows, which those of @ do.
        new = np.tanh((x[:, :, None] * parameters["kernel"]).sum(axis=1))
        rate = parameters["rate"]
        h = (1 - rate) * states[0] + rate * new
        return h, [h], (x, states[0], new)

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        x, before, new = saved
        d, rate = d_output + d_states[0], parameters["rate"]
        gradients["rate"] += (d * (new - before)).sum(axis=0)
        dz = d * rate * (1 - new * new)
        gradients["kernel"] += x.T @ dz
        return dz @ parameters["kernel"].T, [d * (1 - rate)]


def one_of(rng, options):
    return options[rng.integers(len(options))]


def width(rng, training):
    """Columns of an output; in training more than one, since models refuse the softmax of one."""
    return int(rng.integers(1 + training, 6))


def recurrent(rng, sequences, training, wrapped=False):
    """A recurrent layer with random options; in training, without those that draw."""
    units = width(rng, training)
    options = {"return_sequences": sequences} | (
        {} if wrapped else {"go_backwards": bool(rng.integers(2))}
    )
    make = one_of(
        rng,
        [
            lambda: SimpleRNN(units, **options),
            lambda: LSTM(units, **options),
            lambda: GRU(units, **options),
            lambda: GRU(units, reset_after=False, **options),
            lambda: LSTM(units, peepholes=True, zoneout=0.0 if training else 0.2, **options),
            lambda: GRU(units, layer_normalization=True, **options),
            lambda: LSTM(units, layer_normalization=True, **options),
            lambda: LSTM(units, learned_initial_state=True, **options),
            lambda: LSTM(units, output_gate_inside=True, **options),
            lambda: GRU(units, candidate="split", output_activation="tanh", **options),
            lambda: GRU(units, candidate="input", update="chung", **options),
            lambda: MinGRU(units, **options),
            lambda: MinLSTM(units, **options),
            lambda: RNN(LeakyCell(units), **options),
        ],
    )
    return make()


def over_windows(rng, training):
    """A convolution or pooling layer: any strides, dilation and padding.

    Whole windows fit into a row of one step.
    """
    padding = one_of(rng, ["same", "same", "causal", "valid"])
    window = 1 if padding == "valid" else int(rng.integers(1, 5))
    strides = int(rng.integers(1, 4))
    if padding != "causal" and rng.random() < 0.6:
        return one_of(rng, [MaxPooling1D, AveragePooling1D])(window, strides, padding)
    return Conv1D(
        width(rng, training),
        window,
        strides,
        padding,
        dilation_rate=int(rng.integers(1, 4)),
        activation=one_of(rng, [None, "relu", "softmax", "exponential"]),
    )


def with_steps(rng, training):
    """A layer from steps to steps."""
    draws = [
        lambda: over_windows(rng, training),
        lambda: over_windows(rng, training),
        lambda: recurrent(rng, True, training),
        lambda: recurrent(rng, True, training),
        lambda: Bidirectional(
            recurrent(rng, True, training, True), one_of(rng, ["concat", "sum", "mul", "ave"])
        ),
        lambda: Dense(width(rng, training), one_of(rng, ["tanh", "softmax", "exponential", None])),
        lambda: Activation(one_of(rng, ["exponential", "softmax", "sigmoid"])),
        LayerNormalization,
        lambda: Attention(use_scale=True, score_mode=one_of(rng, ["dot", "concat"])),
        AdditiveAttention,
        lambda: TimeDistributed(Dense(2, one_of(rng, ["tanh", "exponential"]))),
    ]
    if not training:  # at inference alone do rows not share statistics or draws
        draws += [BatchNormalization, lambda: Dropout(0.5), lambda: SpatialDropout1D(0.5)]
    return one_of(rng, draws)()


def without_steps(rng, training):
    """Layers from steps to one vector a row, and perhaps on from there."""
    first = one_of(
        rng,
        [
            GlobalAveragePooling1D,
            GlobalMaxPooling1D,
            lambda: recurrent(rng, False, training),
            lambda: Bidirectional(recurrent(rng, False, training, True)),
        ],
    )()
    rest = one_of(rng, [[], [Dense(2)], [RepeatVector(3), GRU(2, return_sequences=True)]])
    return [first, *rest]


def random_model(rng, training=False, dtype="float32"):
    """A built model of 1 to 4 layers over steps, which may end in one vector a row."""
    layers = [with_steps(rng, training) for _ in range(rng.integers(1, 5))]
    if rng.random() < 0.4:
        layers += without_steps(rng, training)
    model = Sequential([Input((None, FEATURES), dtype=dtype), *layers], seed=0)
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.set_weights([rng.random(array.shape) for array in layer.get_weights()])
        else:
            randomize(layer, rng, 0.5)
    return model


def padded(rows, steps, value=0.0):
    x = np.full((len(rows), steps, FEATURES), value, rows[0].dtype)
    for row, given in zip(x, rows):
        row[: len(given)] = given
    return x


def described(model):
    """The layers with the options that matter, for the message of a failure."""
    kept = (
        "kernel_size",
        "pool_size",
        "strides",
        "padding",
        "dilation_rate",
        "go_backwards",
        "activation",
        "zoneout",
    )
    return "; ".join(
        " ".join(
            [
                type(layer).__name__,
                *(f"{name}={value}" for name, value in layer.get_config().items() if name in kept),
            ]
        )
        for layer in model.layers
    )


def random_rows(rng, dtype, lengths=None):
    lengths = rng.integers(1, LONGEST + 1, 5) if lengths is None else lengths
    return [rng.normal(size=(length, FEATURES)).astype(dtype) for length in lengths]


def assert_same_row(whole, alone, model):
    """The row of a batch is that of the row alone.

    What lies behind it, if it has steps, is zero.
    """
    if whole.ndim == 1:
        assert_same_bits(whole, alone, described(model))
        return
    assert_same_bits(whole[: len(alone)], alone, described(model))
    assert not whole[len(alone) :].any(), described(model)


@pytest.mark.parametrize("seed", range(60))
def test_predictions_do_not_depend_on_neighbours(seed):
    rng = generator(1, seed)
    model, rows = random_model(rng), random_rows(rng, "float32")
    lengths, order = np.array([len(row) for row in rows]), rng.permutation(5)
    whole = model.predict(padded(rows, LONGEST), lengths=lengths)
    wider = model.predict(
        padded([rows[k] for k in order], LONGEST + 4, GARBAGE), lengths=lengths[order]
    )
    for k, row in enumerate(rows):
        alone = model.predict(row[None])[0]
        assert_same_row(whole[k], alone, model)
        assert_same_row(wider[list(order).index(k)], alone, model)


@pytest.mark.parametrize("seed", range(30))
def test_masked_steps_are_as_if_they_were_not_there(seed):
    rng = generator(2, seed)
    model, steps = random_model(rng), LONGEST
    mask = rng.random((5, steps)) < 0.6
    mask[np.arange(5), rng.integers(0, steps, 5)] = True
    x = np.where(mask[..., None], rng.normal(size=(5, steps, FEATURES)), GARBAGE).astype("float32")
    whole = model.predict(x, mask=mask)
    for row in range(5):
        alone = model.predict(x[row][mask[row]][None])[0]
        assert_same_row(whole[row][mask[row]] if model._keeps_steps else whole[row], alone, model)


def gradients(model, x, dy_of, lengths=None):
    """(output, dx, flat gradients) of one pass through the layers as they are called alone."""
    model.flat_gradients.fill(0)
    ends = []
    for layer in model.layers:
        stepped = x.ndim == 3 and lengths is not None
        x = layer.forward(x, lengths=lengths if stepped else None, training=True)
        lengths = layer.output_lengths(lengths) if stepped else None
        ends.append(lengths)
    output, dy = x, dy_of(x)
    for layer in reversed(model.layers):
        dy = layer.backward(dy)
    return output, dy, model.flat_gradients.copy()


@pytest.mark.parametrize("seed", range(50))
def test_gradients_are_the_sums_of_those_of_the_rows(seed):
    rng = generator(3, seed)
    model, rows = random_model(rng, True, "float64"), random_rows(rng, "float64")
    lengths = np.array([len(row) for row in rows])
    outputs = [model.predict(row[None]) for row in rows]
    dys = [rng.normal(size=output.shape) for output in outputs]

    def dy_of(output):
        dy = np.zeros_like(output)
        for place, given in zip(dy, dys):
            place[tuple(map(slice, given.shape[1:]))] = given[0]
        return dy

    _, d_whole, whole = gradients(model, padded(rows, LONGEST + 2, 7.0), dy_of, lengths)
    total = np.zeros_like(whole)
    for k, row in enumerate(rows):
        output, dx, flat = gradients(model, row[None], lambda _, dy=dys[k]: dy)
        assert output.shape == outputs[k].shape
        scale = max(1.0, np.abs(dx).max())
        assert_close(d_whole[k, : len(row)] / scale, dx[0] / scale, 1e-10, described(model))
        assert not d_whole[k, len(row) :].any(), described(model)
        total += flat
    assert_close(whole, total, 1e-10, described(model))


@pytest.mark.parametrize("seed", range(30))
def test_training_does_not_see_padding(seed):
    """The gradients of a model's loss, over all that counts, are those of its rows.

    Whatever padding holds.
    """
    rng = generator(4, seed)
    model, rows = random_model(rng, True, "float64"), random_rows(rng, "float64")
    model.compile("sgd", "mse")
    lengths = np.array([len(row) for row in rows])
    outputs = [model.predict(row[None])[0] for row in rows]
    if (
        not model._keeps_steps
        and outputs[0].ndim > 1
        and not any(isinstance(layer, RepeatVector) for layer in model.layers)
    ):
        counts = np.array([len(output) for output in outputs])
    else:
        counts = lengths if model._keeps_steps else np.ones(5, int)
    steps = len(model.predict(padded(rows[:1], LONGEST + 2))[0]) if outputs[0].ndim > 1 else None
    y = rng.normal(size=(5, *(() if steps is None else (steps,)), outputs[0].shape[-1]))
    found = []
    for padding in (0.0, 1e3, 1e200):
        model.compute_gradients(padded(rows, LONGEST + 2, padding), y, lengths=lengths)
        found.append(model.flat_gradients.copy())
    assert_same_bits(found[1], found[0], described(model))
    assert_same_bits(found[2], found[0], described(model))
    total = np.zeros_like(found[0])
    for k, row in enumerate(rows):
        model.compute_gradients(
            row[None], y[k : k + 1, : len(outputs[k])] if steps is not None else y[k : k + 1]
        )
        total += model.flat_gradients * counts[k]
    scale = np.abs(total).max(initial=1.0)
    assert_close(found[0] * counts.sum() / scale, total / scale, 1e-10, described(model))
