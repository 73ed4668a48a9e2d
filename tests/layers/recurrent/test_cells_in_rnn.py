"""LSTMCell, GRUCell and SimpleRNNCell in RNN, alone and stacked."""

import copy
import pickle

import numpy as np
import pytest
from cases import (
    as_list,
    assert_all_close,
    assert_all_same_bits,
    assert_same_bits,
    ragged,
    randomize,
    run,
    sequences,
)

from gatewise import cells
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    GRUCell,
    Input,
    LSTMCell,
    SimpleRNN,
    SimpleRNNCell,
    StackedRNN,
    StackedRNNCells,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients

from .test_custom_cells import ElmanCell

PAIRS = [(LSTMCell, LSTM), (GRUCell, GRU), (SimpleRNNCell, SimpleRNN)]


@pytest.mark.parametrize(("cell", "layer"), PAIRS)
def test_rnn_of_a_cell_is_its_layer(cell, layer, rng):
    of_cell = {
        "kernel_initializer": "he_normal",
        "bias_regularizer": "l2",
        "recurrent_constraint": "max_norm",
        "dropout": 0.2,
        "recurrent_dropout": 0.1,
        "clip": 2.0,
    }
    of_rnn = {"return_sequences": True, "return_state": True, "go_backwards": True, "seed": 3}
    ours, plain = RNN(cell(5, **of_cell), **of_rnn), layer(5, **of_cell, **of_rnn)
    x = sequences(rng, 3, 4, 2, "float32")
    assert_all_same_bits(run(ours, x, lengths=[4, 0, 2]), run(plain, x, lengths=[4, 0, 2]))
    configs = [each.get_config() | {"name": None} for each in (ours, plain)]
    assert configs[0] == configs[1]
    assert type(ours) is layer and isinstance(ours, RNN)
    assert RNN(cell(3), True, False, True).go_backwards


def test_a_cell_describes_what_its_layer_has():
    cell = LSTMCell(4, peepholes=True, dropout=0.1)
    assert isinstance(cell, cells.LSTMCell)
    assert (cell.units, cell.gates, cell.dropout) == (4, ("i", "f", "g", "o"), 0.1)
    assert cell.parameter_shapes(3) == cells.LSTMCell(4, peepholes=True).parameter_shapes(3)


# ---- stacks


def stack(**options):
    made = [LSTMCell(5), GRUCell(4, reset_after=False), SimpleRNNCell(3), ElmanCell(2)]
    return RNN(made, dtype="float64", **options)


def one_by_one(layer, x, lengths=None, initial_state=None, resets=None):
    """[outputs, *states]: at each step, one cell after the other, with layers of one step."""
    rows, steps, _ = x.shape
    parts = [copy.deepcopy(part) for part in layer._layers]  # of one step: both directions are one
    lengths = np.full(rows, steps) if lengths is None else lengths
    flat = [np.zeros((rows, size)) for size in layer.state_sizes]
    flat = flat if initial_state is None else [state.copy() for state in initial_state]
    y = np.zeros((rows, steps, layer.units))
    for row in range(rows):
        order = range(lengths[row])
        for at, t in enumerate(reversed(order) if layer.go_backwards else order):
            states, output, k = [state[row : row + 1] for state in flat], x[row, t][None, None], 0
            if resets is not None and resets[row, t]:
                states = [np.zeros_like(state) for state in states]
            for part in parts:
                count = len(part.state_names)
                output, *new = part.forward(output, initial_state=states[k : k + count])
                output = output.reshape(1, 1, -1)
                for place, state in zip(flat[k : k + count], new, strict=True):
                    place[row] = state[0]
                k += count
            y[row, at] = output[0, 0]
    return [y, *flat]


@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_stack_is_its_cells_step_by_step(go_backwards, rng):
    layer = stack(return_sequences=True, return_state=True, go_backwards=go_backwards)
    layer.build((None, None, 2))
    randomize(layer, rng)
    x = sequences(rng, 4, 5, 2)
    arguments = {
        "lengths": ragged(rng, 4, 5),
        "resets": rng.random((4, 5)) < 0.3,
        "initial_state": [rng.normal(size=(4, size)) for size in layer.state_sizes],
    }
    assert_all_close(layer.forward(x, **arguments), one_by_one(layer, x, **arguments), 1e-12)
    states = arguments.pop("initial_state")
    nested = [states[:2], states[2], [states[3]], states[4]]
    assert_all_same_bits(
        layer.forward(x, initial_state=nested), layer.forward(x, initial_state=states)
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_state": True, "go_backwards": True},
        {"return_sequences": True, "return_state": True},
    ],
    ids=str,
)
def test_gradients(options, rng):
    layer, x = stack(seed=1, **options), sequences(rng, 3, 4, 2)
    states = [rng.normal(size=(3, size)) for size in layer.state_sizes]
    for arguments in (
        {},
        {"lengths": [4, 0, 2], "resets": rng.random((3, 4)) < 0.3, "initial_state": states},
    ):
        report = check_gradients(layer, x, max_entries=6, **arguments)
        assert set(report.errors) >= {"x", *layer.parameters}
    results = run(layer, x, initial_state=states)
    assert {f"state {k}" for k in range(len(states))} <= results.keys()


def test_masks_with_holes(rng):
    layer, x = stack(return_sequences=True, seed=1), sequences(rng, 3, 6, 2)
    mask = rng.random((3, 6)) < 0.6
    y = layer.forward(x, mask=mask)
    assert not y[~mask].any()
    for row in range(3):
        alone = layer.forward(x[row : row + 1, mask[row]]) if mask[row].any() else np.zeros((1, 0))
        assert_all_close([y[row, mask[row]]], [alone[0]], 1e-12)


def test_stateful(rng):
    layer, x = stack(return_sequences=True, stateful=True, seed=1), sequences(rng, 3, 6, 2)
    whole = layer.forward(x)
    layer.reset_state()
    parts = [layer.forward(x[:, t : t + 2]) for t in (0, 2, 4)]
    assert_all_close([np.concatenate(parts, axis=1)], [whole], 1e-12)
    assert [state.shape for state in layer.state] == [(3, size) for size in layer.state_sizes]


def small_model():
    cell = LSTMCell(4, dropout=0.2, recurrent_dropout=0.1, kernel_regularizer="l2")
    stack = [
        Bidirectional(RNN([cell, GRUCell(3)], return_sequences=True)),
        RNN([GRUCell(3), LSTMCell(2)]),
        Dense(1),
    ]
    model = Sequential([Input((None, 2)), *stack], seed=0)
    model.compile("adam", "mse")
    return model


def trained(model, x, **options):
    model.fit(x, x.mean(axis=(1, 2)), epochs=2, verbose=0, **options)
    return model


def test_files_and_copies(rng, tmp_path):
    x, model = sequences(rng, 24, 5, 2, "float32"), small_model()
    trained(model, x).save(tmp_path / "model")
    again = [
        load_model(tmp_path / "model"),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]
    wanted = model.predict(x)
    trained(model, x)
    for other in again:
        assert_same_bits(other.predict(x), wanted)
        assert_same_bits(trained(other, x).predict(x), model.predict(x))


def test_states_are_carried_through_time(rng):
    """Truncated after two steps, both layers of a stack start where the part before ended."""

    def model(*layers):
        made = Sequential([Input((None, 2)), *layers, Dense(1)], seed=0)
        made.compile("sgd", "mse")
        return made

    x, y = sequences(rng, 8, 6, 2, "float32"), rng.normal(size=(8, 6, 1))
    stacked = model(RNN([LSTMCell(4), GRUCell(3)], return_sequences=True))
    apart = model(LSTM(4, return_sequences=True), GRU(3, return_sequences=True))
    for each in (stacked, apart):
        each.fit(x, y, epochs=1, verbose=0, tbptt_steps=2, shuffle=False)
    assert_all_same_bits(stacked.get_weights(), apart.get_weights())


def test_what_is_refused():
    used = GRUCell(3)
    layer = RNN(used, name="first")
    again = LSTMCell(2)
    for make, error, words in (
        (lambda: RNN(used), ConfigError, f"cell of layer '{layer.name}' already"),
        (lambda: RNN([again, again]), ConfigError, "given twice"),
        (lambda: RNN([]), ConfigError, "cells is empty"),
        (lambda: StackedRNN([]), ConfigError, "layers is empty"),
        (lambda: StackedRNNCells(LSTMCell(2)), DTypeError, "expected a list of cells"),
        (lambda: RNN([LSTMCell(2), "gru"]), DTypeError, "cell is 'gru'"),
        (lambda: RNN(LSTMCell), DTypeError, "cell is <class .*LSTMCell'>; expected an object"),
        (lambda: StackedRNN([Dense(2)]), DTypeError, "expected a recurrent layer"),
        (lambda: StackedRNN([GRU(2, stateful=True)]), ConfigError, "set stateful of the stack"),
        (lambda: RNN(LSTMCell(2), dropout=0.1), ArgumentError, "takes no argument 'dropout'"),
        (lambda: LSTMCell(2, return_state=True), ArgumentError, "no argument 'return_state'"),
        (lambda: LSTMCell(2, dropout=2.0), ConfigError, "dropout"),
        (lambda: GRUCell(2, kernel_initializer="none"), ConfigError, "none"),
        (lambda: LSTMCell(2)(np.ones((1, 2))), ConfigError, "holds no weights"),
        (
            lambda: RNN([LSTMCell(2), GRUCell(2)]).forward(
                np.ones((1, 2, 2), "float32"), initial_state=[np.ones((1, 2), "float32")]
            ),
            ShapeError,
            "cell_0/h, cell_0/c, cell_1/h",
        ),
    ):
        with pytest.raises(error, match=words):
            make()


def test_names_of_weights():
    layer = RNN([LSTMCell(5), GRUCell(4)])
    layer.build((None, None, 3))
    assert list(layer.parameters) == [
        f"cell_{k}/{name}" for k in (0, 1) for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert [w.shape for w in layer.get_weights()] == [
        (3, 20),
        (5, 20),
        (20,),
        (5, 12),
        (4, 12),
        (2, 12),
    ]
    assert as_list(layer.forward(np.ones((2, 3, 3), "float32")))[0].shape == (2, 4)
