"""Gradients of every layer and option against central differences in float64, to 1e-7."""

import itertools

import numpy as np
import pytest
from cases import ACTIVATIONS, CELLS, UNITS, make, ragged, randomize, sequences, states_for
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewise import layers
from gatewise.layers import Activation, Dense, Dropout, Flatten, InputLayer, RepeatVector
from gatewise.testing import check_gradients, compare_gradients

TOLERANCE = 1e-7


def check(layer, x, max_entries=40, **arguments):
    """check_gradients, and that nothing was left out."""
    report = check_gradients(layer, x, tolerance=TOLERANCE, max_entries=max_entries, **arguments)
    wanted = {"x", *layer.parameters}
    wanted |= {f"initial_state[{k}]" for k in range(len(arguments.get("initial_state") or []))}
    assert set(report.errors) == wanted
    assert not report.unchecked
    return report


def everything(layer, rng, batch, steps):
    """Ragged lengths with an empty row, resets, an initial state."""
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": states_for(layer, batch, rng),
    }


# ---- recurrent layers


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("cell", CELLS)
def test_units(cell, units, rng):
    layer = make(cell, units, 3, rng, return_sequences=True)
    check(layer, sequences(rng, 4, 5, 3), **everything(layer, rng, 4, 5))


@pytest.mark.parametrize(
    ("batch", "steps", "inputs"),
    [(1, 1, 1), (1, 6, 2), (7, 1, 3), (13, 3, 1), (2, 12, 20), (2, 35, 2)],
)
@pytest.mark.parametrize("cell", CELLS)
def test_shapes(cell, batch, steps, inputs, rng):
    layer = make(cell, 6, inputs, rng, return_sequences=True)
    x = sequences(rng, batch, steps, inputs)
    check(layer, x)
    check(layer, x, initial_state=states_for(layer, batch, rng))


@pytest.mark.parametrize(
    ("return_sequences", "return_state", "go_backwards"),
    list(itertools.product([False, True], repeat=3)),
)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs(cell, return_sequences, return_state, go_backwards, rng):
    layer = make(
        cell,
        5,
        3,
        rng,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
    )
    x = sequences(rng, 5, 6, 3)
    check(layer, x)
    check(layer, x, **everything(layer, rng, 5, 6))


@pytest.mark.parametrize("lengths", [[0, 0, 0], [6, 6, 6], [1, 0, 6]], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_lengths(cell, lengths, rng):
    layer = make(cell, 5, 3, rng, return_sequences=True, return_state=True)
    check(layer, sequences(rng, 3, 6, 3), lengths=lengths, initial_state=states_for(layer, 3, rng))


@pytest.mark.parametrize("resets", ["first step", "last step", "every step", "past the end"])
@pytest.mark.parametrize("cell", CELLS)
def test_resets(cell, resets, rng):
    layer = make(cell, 5, 3, rng, return_sequences=True, return_state=True)
    flags = np.zeros((3, 4), bool)
    flags[
        :,
        {"first step": [0], "last step": [3], "every step": [0, 1, 2, 3], "past the end": [2]}[
            resets
        ],
    ] = True
    lengths = [4, 2, 1] if resets == "past the end" else None
    report = check(
        layer,
        sequences(rng, 3, 4, 3),
        resets=flags,
        lengths=lengths,
        initial_state=states_for(layer, 3, rng),
    )
    assert report.passed


@pytest.mark.parametrize(("dropout", "recurrent_dropout"), [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4)])
@pytest.mark.parametrize("cell", CELLS)
def test_dropout(cell, dropout, recurrent_dropout, rng):
    layer = make(
        cell,
        17,
        3,
        rng,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        return_sequences=True,
        seed=3,
    )
    x = sequences(rng, 4, 5, 3)
    check(layer, x)
    check(layer, x, **everything(layer, rng, 4, 5))
    backwards = make(
        cell,
        5,
        3,
        rng,
        dropout=dropout,
        recurrent_dropout=recurrent_dropout,
        go_backwards=True,
        seed=4,
    )
    check(backwards, x, **everything(backwards, rng, 4, 5))


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias(cell, rng):
    layer = make(cell, 10, 3, rng, use_bias=False, return_sequences=True)
    assert set(layer.gradients) == {"kernel", "recurrent_kernel"}
    check(layer, sequences(rng, 4, 5, 3), **everything(layer, rng, 4, 5))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "gru_before", "gru_before_chung"])
def test_activations(cell, activation, rng):
    layer = make(cell, 6, 3, rng, activation=activation, return_sequences=True)
    randomize(layer, rng, 0.3)  # so that what does not saturate stays small
    x = sequences(rng, 3, 4, 3)
    check(layer, x, **everything(layer, rng, 3, 4))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "gru_before", "gru_chung"])
def test_recurrent_activations(cell, activation, rng):
    layer = make(
        cell,
        6,
        3,
        rng,
        recurrent_activation=activation,
        activation="softsign",
        return_sequences=True,
    )
    randomize(layer, rng, 0.3)
    check(layer, sequences(rng, 3, 4, 3), **everything(layer, rng, 3, 4))


@pytest.mark.parametrize("cell", CELLS)
def test_saturated(cell, rng):
    """Large inputs: the gates lie on their flat ends."""
    layer = make(cell, 6, 3, rng, return_sequences=True)
    check(layer, 20 * sequences(rng, 3, 4, 3))


@st.composite
def problems(draw):
    """Any layer with any options, and any call of it."""
    cell = draw(st.sampled_from(list(CELLS)))
    smooth = st.sampled_from(
        ["tanh", "sigmoid", "softsign", "softplus", "elu", "linear", "relu", "hard_sigmoid"]
    )
    options = {
        name: draw(st.booleans())
        for name in ("return_sequences", "return_state", "go_backwards", "use_bias", "stateful")
    }
    options |= {
        name: draw(st.sampled_from([0.0, 0.0, 0.25, 0.6]))
        for name in ("dropout", "recurrent_dropout")
    }
    options["activation"] = draw(smooth)
    if cell != "rnn":
        options["recurrent_activation"] = draw(smooth)
    sizes = {
        name: draw(st.integers(1, high))
        for name, high in [("units", 40), ("inputs", 6), ("batch", 8), ("steps", 6)]
    }
    arguments = {name: draw(st.booleans()) for name in ("lengths", "resets", "initial_state")}
    return cell, options, sizes, arguments, draw(st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_any_combination(problem):
    cell, options, sizes, wanted, seed = problem
    rng = np.random.default_rng(seed)
    layer = make(cell, sizes["units"], sizes["inputs"], rng, seed=seed, **options)
    randomize(layer, rng, 0.4)
    batch, steps = sizes["batch"], sizes["steps"]
    arguments = {
        name: value for name, value in everything(layer, rng, batch, steps).items() if wanted[name]
    }
    check(
        layer, sequences(rng, batch, steps, sizes["inputs"]), max_entries=12, seed=seed, **arguments
    )


# ---- layers without memory


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax"])
def test_dense(activation, use_bias, rng):
    for shape, units in [((1, 1), 1), ((5, 3), 17), ((3, 4, 5), 6), ((2, 3, 2, 4), 3)]:
        layer = Dense(units, activation=activation, use_bias=use_bias, dtype="float64")
        layer.build((None, *shape[1:]))
        randomize(layer, rng)
        check(layer, rng.normal(size=shape))


@pytest.mark.parametrize("units", UNITS)
def test_dense_units(units, rng):
    layer = Dense(units, activation="softmax" if units > 1 else "tanh", dtype="float64")
    layer.build((None, 5))
    check(randomize(layer, rng), rng.normal(size=(9, 5)))


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax"])
def test_activation_layer(activation, rng):
    for shape in [(3, 1), (2, 17), (2, 3, 5)]:
        check(Activation(activation, dtype="float64"), rng.normal(size=shape))


@pytest.mark.parametrize("noise_shape", [None, (None, 1, None), (1, 1, 3)])
def test_dropout_layer(noise_shape, rng):
    for rate in (0.0, 0.4):
        check(
            Dropout(rate, noise_shape=noise_shape, seed=1, dtype="float64"),
            rng.normal(size=(4, 5, 3)),
        )


def test_flatten_and_input(rng):
    check(Flatten(dtype="float64"), rng.normal(size=(3, 4, 5)))
    check(InputLayer(input_shape=(4, 5), dtype="float64"), rng.normal(size=(3, 4, 5)))


@pytest.mark.parametrize(("batch", "n", "features"), [(1, 1, 1), (3, 1, 4), (1, 7, 2), (5, 4, 3)])
def test_repeat_vector(batch, n, features, rng):
    check(RepeatVector(n, dtype="float64"), rng.normal(size=(batch, features)))


# ---- penalties


@pytest.mark.parametrize("penalty", ["l1", "l2", "l1_l2"])
def test_penalties(penalty, rng):
    names = {
        "kernel": "kernel_regularizer",
        "recurrent_kernel": "recurrent_regularizer",
        "bias": "bias_regularizer",
    }
    layers = [make(cell, 5, 3, rng, **dict.fromkeys(names.values(), penalty)) for cell in CELLS]
    layers.append(Dense(5, kernel_regularizer=penalty, bias_regularizer=penalty, dtype="float64"))
    layers[-1].build((None, 3))
    for layer in layers:
        randomize(layer, rng)
        parameters = layer.parameters
        weights = np.concatenate([array.ravel() for array in parameters.values()])
        wanted = 0.01 * (np.abs(weights).sum() if "l1" in penalty else 0)
        wanted += 0.01 * ((weights**2).sum() if "l2" in penalty else 0)
        assert layer.penalty() == pytest.approx(wanted, rel=1e-12)
        layer._add_penalty_gradients()
        layer._add_penalty_gradients()  # added to what is there
        pairs = {name: (array, layer.gradients[name] / 2) for name, array in parameters.items()}
        compare_gradients(layer.penalty, pairs, tolerance=TOLERANCE)


@pytest.mark.parametrize(
    "make_one",
    [
        lambda: layers.LSTM(2),
        lambda: layers.GRUD(2),
        lambda: layers.MinGRU(2),
        lambda: layers.Bidirectional(layers.GRU(2)),
        lambda: Dense(2, "softmax"),
        lambda: layers.Conv1D(2, 2),
        lambda: layers.MaxPooling1D(2),
        lambda: layers.AveragePooling1D(2),
        lambda: layers.GlobalMaxPooling1D(),
        lambda: layers.Attention(),
        lambda: layers.AdditiveAttention(),
        Flatten,
        lambda: layers.BatchNormalization(),
        lambda: layers.LayerNormalization(),
        lambda: layers.TimeDistributed(Dense(2)),
    ],
)
@pytest.mark.parametrize("lengths", [None, np.zeros(0, int)], ids=["full", "lengths"])
def test_no_rows(make_one, lengths):
    layer = make_one()
    y = layer.forward(np.zeros((0, 4, 3), "f"), lengths, training=True)
    assert y.shape[0] == 0 and layer.backward(np.zeros_like(y)).shape == (0, 4, 3)
    assert not any(gradient.any() for gradient in layer.gradients.values())
