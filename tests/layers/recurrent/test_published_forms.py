"""Published ways of writing recurrent cells.

Those that options give, and others as short cells of one's own.

Forward against the equations, row by row and step by step; backward against central differences.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from cases import assert_all_close, assert_close, ragged, randomize, run, sequences
from reference import sigmoid

from gatewise.cells import FullGateLSTMCell, RNNCell
from gatewise.layers import GRU, LSTM, RNN
from gatewise.testing import check_gradients

sys.path.append(str(Path(__file__).parents[3]))
from benchmarks.printed_forms import (
    OppositeResetGRU,
    ProductInsideLSTM,
    SharedGateGRU,
    SigmoidOutputUnit,
)

UNITS, INPUTS = 4, 3


class ReadOutRNN(RNNCell):
    """h = tanh(h' W + x U), y = h V."""

    def __init__(self, units, outputs):
        self.units, self.outputs = units, outputs
        self.output_size = outputs

    def parameter_shapes(self, inputs):
        return {
            "recurrent_kernel": (self.units, self.units),
            "kernel": (inputs, self.units),
            "output_kernel": (self.units, self.outputs),
        }

    def step(self, x, states, p):
        new = np.tanh(states[0] @ p["recurrent_kernel"] + x @ p["kernel"])
        return new @ p["output_kernel"], [new], (x, states[0], new)

    def step_backward(self, d_output, d_states, saved, p, gradients):
        x, h, new = saved
        gradients["output_kernel"] += new.T @ d_output
        d = (d_states[0] + d_output @ p["output_kernel"].T) * (1 - new**2)
        gradients["recurrent_kernel"] += h.T @ d
        gradients["kernel"] += x.T @ d
        return d @ p["kernel"].T, [d @ p["recurrent_kernel"].T]


# ---- the equations for one row: (x, states, weights by name) -> (y, states)


def product_inside_lstm(x, states, w):
    h, c = states
    i, f, g, o = np.split(x @ w["kernel"] + h @ w["recurrent_kernel"] + w["bias"], 4)
    c = c * sigmoid(f) + np.tanh(g) * sigmoid(i)
    h = np.tanh(c * sigmoid(o))
    return h, [h, c]


def blocks(w, count):
    """W, U and b of each gate."""
    return zip(
        *(np.split(w[name], count, axis=-1) for name in ("kernel", "recurrent_kernel", "bias"))
    )


def opposite_reset_gru(x, states, w):
    (W_z, U_z, b_z), (W_r, U_r, b_r), (W, U, b) = blocks(w, 3)
    (h,) = states
    z, r = sigmoid(x @ W_z + h @ U_z + b_z), sigmoid(x @ W_r + h @ U_r + b_r)
    h = z * h + (1 - z) * np.tanh(x @ W + b + ((1 - r) * h) @ U)
    return h, [h]


def shared_gate_gru(x, states, w):
    (W_z, U_z, b_z), (W_r, U_r, b_r), (W, U, b) = blocks(w, 3)
    (h,) = states
    z, r = sigmoid(x @ W_z + h @ U_z + b_z), sigmoid(x @ W_r + h @ U_r + b_r)
    h = z * h + (1 - z) * np.tanh((x @ W + b) * r + (h @ U) * (1 - z))
    return h, [h]


def sigmoid_output_unit(x, states, w):
    (W_z, U_z, b_z), (W_r, U_r, b_r), (W, _, b) = blocks(w, 3)
    (c,) = states
    z, r = sigmoid(x @ W_z + c @ U_z + b_z), sigmoid(x @ W_r + c @ U_r + b_r)
    c = (1 - z) * c + z * np.tanh((x @ W + b) * r)
    return sigmoid(c), [c]


def read_out_rnn(x, states, w):
    h = np.tanh(states[0] @ w["recurrent_kernel"] + x @ w["kernel"])
    return h @ w["output_kernel"], [h]


def full_gate_lstm(x, states, w):
    """Every gate is a sum over single sources, as Greff et al. write it."""
    h, c, before = states
    W, U, b = (
        dict(zip("ifgo", np.split(w[name], 4, axis=-1)))
        for name in ("kernel", "recurrent_kernel", "bias")
    )
    peephole, last = dict(zip("ifo", w["peephole"])), dict(zip("ifo", np.split(before, 3)))
    R = {
        source: dict(zip("ifo", np.split(rows, 3, axis=1)))
        for source, rows in zip("ifo", np.split(w["gate_kernel"], 3))
    }

    def gate(name, cell):
        from_gates = sum(last[source] @ R[source][name] for source in "ifo")
        return sigmoid(x @ W[name] + h @ U[name] + b[name] + peephole[name] * cell + from_gates)

    i, f = gate("i", c), gate("f", c)
    c = i * np.tanh(x @ W["g"] + h @ U["g"] + b["g"]) + f * c
    o = gate("o", c)
    h = o * np.tanh(c)
    return h, [h, c, np.concatenate([i, f, o])]


FORMS = {
    "product inside": (lambda: ProductInsideLSTM(UNITS), product_inside_lstm),
    "opposite reset": (lambda: OppositeResetGRU(UNITS), opposite_reset_gru),
    "shared gate": (lambda: SharedGateGRU(UNITS), shared_gate_gru),
    "sigmoid output": (lambda: SigmoidOutputUnit(UNITS), sigmoid_output_unit),
    "read-out": (lambda: ReadOutRNN(UNITS, 2), read_out_rnn),
    "full gates": (lambda: FullGateLSTMCell(UNITS), full_gate_lstm),
}


def layer_of(form, rng, **options):
    layer = RNN(FORMS[form][0](), dtype="float64", **options)
    layer.build((None, None, INPUTS))
    return randomize(layer, rng)


def everything(layer, rng, batch, steps):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": [rng.normal(size=(batch, size)) for size in layer.cell.state_sizes],
    }


def wanted(layer, equations, x, lengths, resets, initial_state):
    """[outputs, *final states], and the last outputs."""
    weights = dict(zip(layer.parameters, layer.get_weights()))
    y, final = np.zeros((*x.shape[:2], layer.units)), [state.copy() for state in initial_state]
    last = (
        initial_state[0].copy()
        if layer.cell.output_size is None
        else np.zeros((len(x), layer.units))
    )
    for row, length in enumerate(lengths):
        states = [state[row] for state in initial_state]
        for t in range(length):
            if resets[row, t]:
                states = [np.zeros_like(state) for state in states]
            y[row, t], states = equations(x[row, t], states, weights)
            last[row] = y[row, t]
        for place, state in zip(final, states):
            place[row] = state
    return [y, *final], last


@pytest.mark.parametrize("form", FORMS)
def test_forward(form, rng):
    layer, x = (
        layer_of(form, rng, return_sequences=True, return_state=True),
        sequences(rng, 7, 6, INPUTS),
    )
    arguments = everything(layer, rng, 7, 6)
    results, last = wanted(layer, FORMS[form][1], x, **arguments)
    for got, expected in zip(layer.forward(x, **arguments), results, strict=True):
        assert_close(got, expected, 1e-12)
    shorter = layer_of(form, rng)
    shorter.set_weights(layer.get_weights())
    assert_close(shorter.forward(x, **arguments), last, 1e-12)


@pytest.mark.parametrize(
    "options",
    [{}, {"return_sequences": True}, {"return_state": True, "go_backwards": True}],
    ids=str,
)
@pytest.mark.parametrize("form", FORMS)
def test_backward(form, options, rng):
    layer, x = layer_of(form, rng, **options), sequences(rng, 4, 5, INPUTS)
    for arguments in ({}, everything(layer, rng, 4, 5)):
        report = check_gradients(layer, x, max_entries=8, **arguments)
        assert set(report.errors) >= {"x", *layer.parameters}


# ---- those that an argument of LSTM or GRU gives, in the kernels

# (layer class, arguments); the weights of the cell in NumPy as those of the layer.
ARGUMENTS = {
    "product inside": (LSTM, {"output_gate_inside": True}),
    "opposite reset": (GRU, {"candidate": "complement", "reset_after": False}),
    "shared gate": (GRU, {"candidate": "split"}),
    "sigmoid output": (
        GRU,
        {"candidate": "input", "update": "chung", "output_activation": "sigmoid"},
    ),
}


def compiled(form, numpy_layer, **options):
    cls, chosen = ARGUMENTS[form]
    layer = cls(UNITS, dtype="float64", **chosen, **options)
    layer.build((None, None, INPUTS))
    kernel, recurrent, bias = numpy_layer.get_weights()
    if form == "shared gate":  # h' U has a bias, too
        bias = np.stack([bias, np.zeros_like(bias)])
    if form == "sigmoid output":  # the candidate has no recurrent product
        recurrent = recurrent[:, : 2 * UNITS]
    layer.set_weights([kernel, recurrent, bias])
    return layer


@pytest.mark.parametrize(
    "options",
    [{}, {"return_sequences": True}, {"return_state": True, "go_backwards": True}],
    ids=str,
)
@pytest.mark.parametrize("form", ARGUMENTS)
def test_the_layer_computes_the_form(form, options, rng):
    cell = layer_of(form, rng, **options)
    layer, x = compiled(form, cell, **options), sequences(rng, 5, 6, INPUTS)
    for arguments in ({}, everything(cell, rng, 5, 6)):
        if form == "sigmoid output" and arguments and not options.get("return_sequences"):
            # the cell in NumPy has no output without a step
            arguments["lengths"] = np.maximum(arguments["lengths"], 1)
        wanted, results = (run(each, x, **arguments) for each in (cell, layer))
        if form == "shared gate":
            results["bias"] = results["bias"][0]
        if form == "sigmoid output":
            wanted["recurrent_kernel"] = wanted["recurrent_kernel"][:, : 2 * UNITS]
        assert_all_close(results, wanted, 1e-12)


@pytest.mark.parametrize("activation", [None, "linear", "sigmoid", "tanh"])
def test_a_row_without_steps_has_the_output_of_its_initial_state(activation, rng):
    layer = GRU(UNITS, output_activation=activation, dtype="float64", return_state=True)
    x, h = rng.normal(size=(3, 4, INPUTS)), rng.normal(size=(3, UNITS))
    y, last = layer.forward(x, lengths=[0, 4, 2], initial_state=[h])
    out = {"sigmoid": sigmoid, "tanh": np.tanh}.get(activation, np.asarray)
    np.testing.assert_allclose(last[0], h[0])
    np.testing.assert_allclose(y, out(last), rtol=1e-12)
    y, _ = layer.forward(x, lengths=[0, 4, 2])
    np.testing.assert_allclose(y[0], out(np.zeros(UNITS)))
    check_gradients(layer, x, lengths=[0, 4, 2], initial_state=[h])


# ---- those that options give: one row and step of each, as it is published


def built(layer, rng):
    layer.build((None, None, INPUTS))
    randomize(layer, rng)
    return layer, dict(zip(layer.parameters, layer.get_weights()))


def walk(step, x, *states):
    """Outputs of step(x, *states) -> states, of which the first is the output."""
    outputs = []
    for row in x:
        states = step(row, *states)
        outputs.append(states[0])
    return np.array(outputs)


def test_lstm_on_the_concatenation_of_h_and_x(rng):
    """Gates are W [h', x] + b, and h = o * tanh(c).

    Rows of h' stand over those of x in one matrix.
    """
    layer, p = built(LSTM(UNITS, dtype="float64", return_sequences=True), rng)
    W = dict(zip("ifgo", np.split(np.concatenate([p["recurrent_kernel"], p["kernel"]]), 4, axis=1)))
    b = dict(zip("ifgo", np.split(p["bias"], 4)))

    def step(x, h, c):
        hx = np.concatenate([h, x])
        i, f, o = (sigmoid(hx @ W[gate] + b[gate]) for gate in "ifo")
        c = f * c + i * np.tanh(hx @ W["g"] + b["g"])
        return o * np.tanh(c), c

    x = sequences(rng, 1, 6, INPUTS)
    assert_close(layer.forward(x)[0], walk(step, x[0], np.zeros(UNITS), np.zeros(UNITS)), 1e-12)


def test_lstm_with_peepholes(rng):
    """i and f see W_ci c' and W_cf c', o sees W_co c."""
    layer, p = built(LSTM(UNITS, peepholes=True, dtype="float64", return_sequences=True), rng)
    (W_xi, W_xf, W_xc, W_xo), (W_hi, W_hf, W_hc, W_ho) = (
        np.split(p[name], 4, axis=1) for name in ("kernel", "recurrent_kernel")
    )
    (b_i, b_f, b_c, b_o), (W_ci, W_cf, W_co) = np.split(p["bias"], 4), p["peephole"]

    def step(x, h, c):
        i = sigmoid(x @ W_xi + h @ W_hi + W_ci * c + b_i)
        f = sigmoid(x @ W_xf + h @ W_hf + W_cf * c + b_f)
        c = f * c + i * np.tanh(x @ W_xc + h @ W_hc + b_c)
        o = sigmoid(x @ W_xo + h @ W_ho + W_co * c + b_o)
        return o * np.tanh(c), c

    x = sequences(rng, 1, 6, INPUTS)
    assert_close(layer.forward(x)[0], walk(step, x[0], np.zeros(UNITS), np.zeros(UNITS)), 1e-12)


def test_gru_whose_update_gate_takes_the_candidate(rng):
    """h = (1 - z) * h' + z * n with n = tanh(W x + r * (U h'))."""
    layer, p = built(
        GRU(UNITS, update="chung", reset_after=True, dtype="float64", return_sequences=True), rng
    )
    (W_z, W_r, W), (U_z, U_r, U) = (
        np.split(p[name], 3, axis=1) for name in ("kernel", "recurrent_kernel")
    )
    p["bias"][1] = 0
    layer.set_weights(list(p.values()))
    b_z, b_r, b = np.split(p["bias"][0], 3)

    def step(x, h):
        z, r = sigmoid(x @ W_z + h @ U_z + b_z), sigmoid(x @ W_r + h @ U_r + b_r)
        return ((1 - z) * h + z * np.tanh(x @ W + b + r * (h @ U)),)

    x = sequences(rng, 1, 6, INPUTS)
    assert_close(layer.forward(x)[0], walk(step, x[0], np.zeros(UNITS)), 1e-12)
