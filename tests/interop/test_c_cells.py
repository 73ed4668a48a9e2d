"""Recurrent cells in C with all their options, against predict."""

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.layers import GRU, GRUD, LSTM, MinGRU, MinLSTM, SimpleRNN

from .c_programs import Program, assert_close, needs_compiler, sequential, signal

pytestmark = needs_compiler

LSTMS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "peepholes": {"peepholes": True},
    "coupled": {"coupled": True},
    "coupled with peepholes": {"coupled": True, "peepholes": True},
    "no input gate": {"input_gate": False, "peepholes": True},
    "no forget gate": {"forget_gate": False},
    "no output gate": {"output_gate": False, "peepholes": True},
    "no gates": {"input_gate": False, "forget_gate": False, "output_gate": False},
    "clip": {"clip": 0.5, "peepholes": True},
    "cell clip": {"cell_clip": 0.2},
    "projection": {"projection": 3},
    "projection with zoneout": {"projection": 6, "zoneout": (0.1, 0.3)},
    "projection without gates": {
        "projection": 6,
        "zoneout": 0.2,
        "input_gate": False,
        "forget_gate": False,
        "output_gate": False,
    },
    "zoneout": {"zoneout": (0.2, 0.4)},
    "gate inside": {"output_gate_inside": True},
    "output activation": {"output_activation": "softsign"},
    "activations": {
        "activation": "softplus",
        "recurrent_activation": "hard_sigmoid",
        "output_activation": ("leaky_relu", 0.1),
    },
    "normalised": {"layer_normalization": True},
    "normalised without bias": {"layer_normalization": True, "use_bias": False},
    "normalised with output activation": {
        "layer_normalization": True,
        "output_activation": "sigmoid",
    },
    "learned state": {"learned_initial_state": True},
}
GRUS = {
    "plain": {},
    "no bias": {"use_bias": False},
    "reset before": {"reset_after": False},
    "reset before without bias": {"reset_after": False, "use_bias": False},
    "chung": {"update": "chung"},
    "reset before, chung": {"reset_after": False, "update": "chung"},
    "complement": {"candidate": "complement"},
    "complement before": {"candidate": "complement", "reset_after": False},
    "split": {"candidate": "split"},
    "input": {"candidate": "input"},
    "clip": {"clip": 0.5},
    "clip before": {"clip": 0.5, "reset_after": False},
    "zoneout": {"zoneout": 0.3},
    "zoneout before": {"zoneout": 0.3, "reset_after": False},
    "output activation": {"output_activation": ("scaled_tanh", 1.5, 0.5), "zoneout": 0.1},
    "activations": {"activation": "elu", "recurrent_activation": "hard_sigmoid"},
    "normalised": {"layer_normalization": True},
    "normalised without bias": {"layer_normalization": True, "use_bias": False},
    "normalised, chung": {"layer_normalization": True, "update": "chung"},
    "learned state": {"learned_initial_state": True},
}
OTHERS = {
    "GRUD": (GRUD, {}),
    "GRUD with means": (GRUD, {"means": [0.5], "use_bias": False, "activation": "softsign"}),
    "SimpleRNN": (SimpleRNN, {}),
    "SimpleRNN without bias": (SimpleRNN, {"use_bias": False, "activation": "relu"}),
    "SimpleRNN with clip": (SimpleRNN, {"clip": 0.5, "zoneout": 0.2}),
    "SimpleRNN normalised": (SimpleRNN, {"layer_normalization": True}),
    "minGRU": (MinGRU, {}),
    "minGRU with activation": (MinGRU, {"activation": "tanh", "use_bias": False}),
    "minLSTM": (MinLSTM, {}),
    "minLSTM with activation": (MinLSTM, {"activation": "tanh", "learned_initial_state": True}),
}
CASES = {f"LSTM {name}": (LSTM, options) for name, options in LSTMS.items()}
CASES |= {f"GRU {name}": (GRU, options) for name, options in GRUS.items()}
CASES |= OTHERS


@pytest.mark.parametrize("case", CASES)
def test_cell(case, tmp_path):
    layer, options = CASES[case]
    model = sequential(layer(7, return_sequences=True, **options))
    x = signal()
    assert_close(Program(model, folder=tmp_path).run(x), model.predict(x[None])[0])


@pytest.mark.parametrize("layer", [LSTM, GRU, SimpleRNN])
def test_a_wide_stack(layer, tmp_path):
    """Rows of products in fours and the rest, and a state that goes through 300 steps."""
    model = sequential(
        layer(37, return_sequences=True), layer(18, return_sequences=True), layers.Dense(2)
    )
    x = signal(300)
    assert_close(Program(model, folder=tmp_path).run(x), model.predict(x[None])[0])


def test_the_answer_so_far(tmp_path):
    """A model that gives its last output only gives it after each step."""
    model = sequential(LSTM(6), layers.Dense(2, "softmax"))
    x = signal(9)
    found = Program(model, folder=tmp_path).run(x)
    for steps in range(1, 10):
        assert_close(found[steps - 1], model.predict(x[None, :steps])[0])


def test_saturated_gates(tmp_path):
    """Sums far outside of the range of exp, in both directions."""
    model = sequential(LSTM(5, return_sequences=True), GRU(4, return_sequences=True))
    x = 1e4 * signal()
    found = Program(model, folder=tmp_path).run(x)
    assert np.isfinite(found).all()
    assert_close(found, model.predict(x[None])[0])


def test_two_states_of_one_program(tmp_path):
    model = sequential(GRU(4, return_sequences=True))
    program = Program(model, folder=tmp_path)
    x, other = signal(12), signal(12, seed=2)
    alone = program.run(x)
    program.call("reset", program.state)
    first = program.state
    second = type(first)()
    program.call("init", second)
    for t in range(12):
        program.state = second
        program.step(other[t])
        program.state = first
        _, (found,) = program.step(x[t])
        assert np.array_equal(found, alone[t])


def test_a_shared_layer_has_two_states(tmp_path):
    a, b = layers.Input((None, 3), name="a"), layers.Input((None, 3), name="b")
    shared = GRU(4, return_sequences=True, name="gru")
    model = Model([a, b], layers.Subtract()([shared(a), shared(b)]), name="twins")
    program = Program(model, folder=tmp_path)
    x = signal(10), signal(10, seed=2)
    expected = model.predict([each[None] for each in x])[0]
    assert_close(program.run(*x), expected)
    source = program.export.source.read_text()
    assert source.count("float gru_kernel[") == 2  # declared, and defined


@pytest.mark.parametrize("flags", [("-O3",), ("-O3", "-march=native")], ids=" ".join)
def test_optimized(flags, tmp_path):
    """GCC 12 copies the bias of a new LSTM, ones between zeros, wrongly if it sees the numbers."""
    model = Sequential([layers.Input((None, 1)), LSTM(20, return_sequences=True)], name="net")
    x = signal(features=1)
    program = Program(model, folder=tmp_path, flags=flags)
    assert_close(program.run(x), model.predict(x[None])[0])


def test_a_state_fades_to_zero(tmp_path):
    """And not through numbers that are so small that some processors are slow with them."""
    model = sequential(LSTM(4, use_bias=False, return_sequences=True), name="net")
    program = Program(model, folder=tmp_path)
    program.run(signal(5))
    zeros = np.zeros(3, np.float32)
    seen = np.array([[*program.step(zeros)[1][0], *program.state[:8]] for _ in range(400)])
    assert not seen[-1].any()
    assert not ((seen != 0) & (np.abs(seen) < 1e-30)).any()
