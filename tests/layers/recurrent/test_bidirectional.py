"""Bidirectional: two passes over each row's true steps, put together.

Its states, weights, files and errors.
"""

import copy
import itertools
import pickle

import numpy as np
import pytest
from cases import (
    CELLS,
    as_list,
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    expected,
    randomize,
    run,
    sequences,
)
from seeds import generator

from gatewise.errors import ConfigError, DTypeError, ShapeError, StateError
from gatewise.layers import GRU, LSTM, Bidirectional, Dense, SimpleRNN
from gatewise.models import Sequential, load_model
from gatewise.regularizers import L2
from gatewise.testing import check_gradients

MERGES = ("concat", "sum", "mul", "ave", None)
LENGTHS = [6, 0, 3, 1]


def make(
    cell, rng, units=3, inputs=2, merge_mode="concat", dtype="float64", wrapper=None, **options
):
    """A built layer with random weights."""
    cls, fixed = CELLS[cell]
    layer = Bidirectional(
        cls(units, dtype=dtype, **{**fixed, **options}), merge_mode, **wrapper or {}
    )
    layer.build((None, None, inputs))
    return randomize(layer, rng)


def states_for(layer, batch, rng):
    return [rng.normal(size=(batch, layer.forward_layer.units)) for _ in layer.state_names]


def by_reference(layer, x, lengths=None, initial_state=None, resets=None):
    """What it must return, from the reference of each direction."""
    lengths = np.full(len(x), x.shape[1]) if lengths is None else lengths
    half = len(layer.state_names) // 2
    starts = (None, None) if initial_state is None else (initial_state[:half], initial_state[half:])
    outputs, states = [], []
    for part, start in zip((layer.forward_layer, layer.backward_layer), starts):
        y, *last = as_list(expected(part, x, lengths, start, resets))
        if part.go_backwards and part.return_sequences:
            y = np.array([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(y, lengths)])
        outputs.append(y)
        states += last
    a, b = outputs
    merged = {
        "concat": lambda: [np.concatenate([a, b], axis=-1)],
        "sum": lambda: [a + b],
        "mul": lambda: [a * b],
        "ave": lambda: [(a + b) / 2],
        None: lambda: [a, b],
    }[layer.merge_mode]()
    return merged + states


@pytest.mark.parametrize(
    ("cell", "merge_mode", "sequences_out", "state"),
    [
        *itertools.product(["lstm"], MERGES, [True, False], [True, False]),
        *itertools.product(["rnn", "gru_before"], ["concat"], [True, False], [True, False]),
    ],
)
def test_equations_and_gradients(cell, merge_mode, sequences_out, state, rng):
    layer = make(
        cell, rng, merge_mode=merge_mode, return_sequences=sequences_out, return_state=state
    )
    x = sequences(rng, 4, 6, 2)
    for given in (
        {},
        {
            "lengths": LENGTHS,
            "initial_state": states_for(layer, 4, rng),
            "resets": rng.random((4, 6)) < 0.3,
        },
    ):
        assert_all_close(as_list(layer(x, **given)), by_reference(layer, x, **given), 1e-12)
        report = check_gradients(layer, x, max_entries=6, **given)
        assert {"x", "forward/kernel", "backward/recurrent_kernel"} <= set(report.errors)
        assert len(report.errors) == 7 + len(given.get("initial_state", []))


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 5), (3, 1)])
def test_small_extents(batch, steps, rng):
    layer = make("lstm", rng, return_sequences=True)
    x = sequences(rng, batch, steps, 2)
    assert_close(layer(x), by_reference(layer, x)[0], 1e-12)
    check_gradients(layer, x, max_entries=12)


def test_dropout_and_regularizers(rng):
    layer = make("gru", rng, dropout=0.3, recurrent_dropout=0.4, seed=5, kernel_regularizer=L2(0.1))
    check_gradients(layer, sequences(rng, 4, 5, 2), max_entries=12, lengths=[5, 0, 2, 1])
    kernels = [layer.parameters[f"{part}/kernel"] for part in ("forward", "backward")]
    assert layer.penalty() == pytest.approx(sum(0.1 * (kernel**2).sum() for kernel in kernels))
    model = Sequential(
        [Bidirectional(GRU(3, dropout=0.3, kernel_regularizer="l2"), dtype="float64"), Dense(1)],
        seed=1,
    )
    model.build((None, 4, 2))
    check_gradients(model, sequences(rng, 3, 4, 2), y=rng.normal(size=(3, 1)), loss="mse")


def test_a_row_alone_and_among_others(rng, forced_threads):
    layer = make("lstm", rng, 17, 5, dtype="float32", return_sequences=True)
    x, lengths = sequences(rng, 9, 12, 5, "float32"), rng.integers(1, 13, 9)
    together = layer(x, lengths)
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(together[row, :length], layer(x[row : row + 1, :length])[0])
        assert not together[row, length:].any()
    results = []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x, lengths=lengths))
    assert_all_same_bits(results[1], results[0])
    assert_all_same_bits(results[2], results[0])


def test_weights_are_those_of_both_layers_in_order(rng):
    layer = make("lstm", rng)
    assert list(layer.parameters) == [
        f"{part}/{name}"
        for part in ("forward", "backward")
        for name in ("kernel", "recurrent_kernel", "bias")
    ]
    assert layer.count_params() == 2 * layer.forward_layer.count_params()
    inside = layer.forward_layer.get_weights() + layer.backward_layer.get_weights()
    for ours, theirs in zip(layer.get_weights(), inside, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any((a != b).any() for a, b in zip(inside[:3], inside[3:]))
    x = sequences(rng, 2, 3, 2)
    before = layer(x)
    # written to from outside: packed weights are not trusted
    layer.parameters["backward/kernel"][...] += 1
    after = layer(x)
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    assert (after[:, 3:] != before[:, 3:]).all()


def test_one_seed_draws_different_weights_each_way():
    layers = [Bidirectional(SimpleRNN(4, seed=3)) for _ in range(2)]
    for layer in layers:
        layer.build((None, None, 2))
    assert_all_same_bits(layers[0].get_weights(), layers[1].get_weights())
    kernel, backward = layers[0].get_weights()[0], layers[0].get_weights()[3]
    assert (kernel != backward).all()


def test_state(rng):
    layer = make("lstm", rng, stateful=True, return_state=True)
    assert layer.state is None
    x = sequences(rng, 3, 4, 2)
    _, *last = layer(x)
    assert_all_same_bits(layer.state, last)
    again, start = layer(x), layer.state
    layer.state = last
    assert_all_same_bits(layer(x), again)
    layer.reset_state()
    assert layer.state is None
    with pytest.raises(
        ShapeError,
        match="state has 2 arrays; .* expects 4: forward/h, forward/c, backward/h, backward/c",
    ):
        layer.state = start[:2]
    with pytest.raises(ShapeError, match=r"state backward h has shape \(2, 3\)"):
        layer.state = [*start[:2], start[2][:2], start[3]]
    assert layer.state is None
    plain = make("gru", rng)
    with pytest.raises(StateError, match="keeps no state"):
        plain.state = [np.zeros((1, 3))] * 2


def test_a_backward_layer_of_its_own(rng):
    forward = LSTM(3, return_sequences=True)
    layer = Bidirectional(
        forward,
        backward_layer=GRU(5, go_backwards=True, return_sequences=True),
        name="both",
        dtype="float64",
    )
    layer.build((None, None, 2))
    x = sequences(rng, 2, 4, 2)
    y = layer(x, [4, 1])
    assert layer.output_shape == (None, None, 8)
    assert_close(y, by_reference(layer, x, np.array([4, 1]))[0], 1e-12)
    check_gradients(layer, x, lengths=[4, 1], max_entries=12)
    twin = Bidirectional.from_config(layer.get_config())
    assert (
        isinstance(twin.backward_layer, GRU)
        and twin.backward_layer.go_backwards
        and twin.get_config() == layer.get_config()
    )


@pytest.mark.parametrize(
    ("make_one", "error", "words"),
    [
        (
            lambda: Bidirectional(Dense(3)),
            DTypeError,
            "layer is <Dense .*; expected a recurrent layer",
        ),
        (
            lambda: Bidirectional("lstm"),
            DTypeError,
            "layer is 'lstm'; expected a gatewise.layers object",
        ),
        (
            lambda: Bidirectional(LSTM(3), "max"),
            ConfigError,
            "merge_mode is 'max'; expected one of 'concat', 'sum'",
        ),
        (
            lambda: Bidirectional(LSTM(3, go_backwards=True)),
            ConfigError,
            "go_backwards=True; Bidirectional makes the backward layer",
        ),
        (
            lambda: Bidirectional(LSTM(3), backward_layer=LSTM(3)),
            ConfigError,
            "go_backwards=False; expected True",
        ),
        (
            lambda: Bidirectional(
                LSTM(3), backward_layer=LSTM(3, go_backwards=True, stateful=True)
            ),
            ConfigError,
            "layer has stateful=False, backward_layer has stateful=True",
        ),
        (
            lambda: Bidirectional(LSTM(3), "sum", LSTM(4, go_backwards=True)),
            ConfigError,
            "layer has 3, backward_layer has 4",
        ),
        (
            lambda: Bidirectional(Sequential([LSTM(3, input_shape=(2, 2))]).layers[0]),
            ConfigError,
            "in use already",
        ),
        (
            lambda: Bidirectional(LSTM(3, dtype="float32"), dtype="float64"),
            ConfigError,
            "has dtype float32, its model has float64",
        ),
        (
            lambda: Sequential([Bidirectional(LSTM(3), None, input_shape=(4, 2))]),
            ConfigError,
            "merge_mode=None; a Sequential passes on one output",
        ),
        (
            lambda: Sequential([Bidirectional(LSTM(3, return_state=True), input_shape=(4, 2))]),
            ConfigError,
            "return_state=True",
        ),
        (
            lambda: Sequential([Bidirectional(LSTM(3), input_shape=(4, 2)), LSTM(3)]),
            ShapeError,
            "needs return_sequences=True",
        ),
        (
            lambda: Bidirectional.from_config({"layer": {"class_name": "os.system", "config": {}}}),
            ConfigError,
            "layer class 'os.system' is not known: give it",
        ),
        (
            lambda: Bidirectional.from_config({"layer": 3}),
            DTypeError,
            "layer is 3; expected class_name and config",
        ),
    ],
)
def test_what_cannot_be(make_one, error, words):
    with pytest.raises(error, match=words):
        make_one()


def test_names_in_files_do_not_meet():
    with pytest.raises(ConfigError, match="two layers are named"):
        Sequential(
            [Bidirectional(LSTM(3, return_sequences=True), name="a"), LSTM(3, name="a/forward")]
        )
    with pytest.raises(ConfigError, match="two layers are named"):
        Sequential(
            [LSTM(3, name="a/forward", return_sequences=True), Bidirectional(LSTM(3), name="a")]
        )


# ---- in a model


def bidirectional_model(stateful=False, seed=4):
    return Sequential(
        [
            Bidirectional(
                LSTM(4, return_sequences=True, dropout=0.1, stateful=stateful),
                input_shape=(None, 2),
            ),
            Bidirectional(GRU(3, stateful=stateful), "ave"),
            Dense(1),
        ],
        seed=seed,
    )


def test_shapes_in_a_model():
    model = bidirectional_model()
    assert [layer.output_shape for layer in model.layers] == [(None, None, 8), (None, 3), (None, 1)]
    given = Sequential([Bidirectional(LSTM(4, input_shape=(5, 2)))])
    assert given.built and given.input_shape == (None, 5, 2)


@pytest.mark.parametrize("stateful", [False, True])
def test_fit_save_resume(stateful, tmp_path):
    rng = generator()
    x, y = rng.normal(size=(24, 5, 2)), rng.normal(size=(24, 1))
    whole, part = bidirectional_model(stateful), bidirectional_model(stateful)
    for model in (whole, part):
        model.compile("adam", "mse")
    options = {"verbose": 0, "batch_size": None if stateful else 8, "shuffle": not stateful}
    losses = whole.fit(x, y, epochs=4, **options).history["loss"]
    # all rows are one batch of a stateful model: few steps
    assert stateful or losses[-1] < losses[0]
    part.fit(x, y, epochs=2, **options)
    part.save(tmp_path / "half")
    going_on = bidirectional_model(stateful, seed=9)
    going_on.compile("adam", "mse")
    going_on.fit(x, y, epochs=4, resume_from=tmp_path / "half", **options)
    assert_all_same_bits(going_on.get_weights(), whole.get_weights())
    whole.save(tmp_path / "whole")
    loaded = load_model(tmp_path / "whole")
    assert (loaded.layers[0].state is not None) == stateful
    assert loaded.evaluate(x, y, verbose=0) == whole.evaluate(x, y, verbose=0)
    whole.save_weights(tmp_path / "weights")
    fresh = bidirectional_model(stateful)
    fresh.load_weights(tmp_path / "weights")
    assert_all_same_bits(fresh.get_weights(), whole.get_weights())
    for twin in (copy.deepcopy(whole), pickle.loads(pickle.dumps(whole))):
        np.testing.assert_array_equal(twin.predict(x), copy.deepcopy(whole).predict(x))
        twin.flat_parameters[...] = 0
        assert not twin.layers[0].forward_layer.get_weights()[0].any()
    assert whole.get_weights()[0].any()


def test_padding_changes_nothing(rng):
    model = bidirectional_model()
    rows = [rng.normal(size=(length, 2)) for length in (3, 7, 1)]
    for row, y in zip(rows, model.predict(rows)):
        np.testing.assert_array_equal(model.predict(row[None])[0], y)


def test_truncated_back_propagation_is_refused(rng):
    model = Sequential(
        [Bidirectional(LSTM(2, return_sequences=True), input_shape=(6, 2)), Dense(1)]
    )
    model.compile("sgd", "mse")
    with pytest.raises(ConfigError, match="looks at steps of other parts"):
        model.fit(rng.normal(size=(2, 6, 2)), np.zeros((2, 6, 1)), tbptt_steps=3, verbose=0)
