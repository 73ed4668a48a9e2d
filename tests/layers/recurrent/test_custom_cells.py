"""RNN(cell): a user's own cell does all that the compiled layers do, and its mistakes are named."""

import copy
import pickle

import numpy as np
import pytest
from cases import (
    assert_all_close,
    assert_close,
    assert_same_bits,
    make,
    ragged,
    run,
    sequences,
    states_for,
)
from seeds import generator

from gatewise import initializers
from gatewise.cells import FullGateLSTMCell, LSTMCell, RNNCell
from gatewise.errors import (
    ArgumentError,
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    ShapeError,
)
from gatewise.layers import RNN, Bidirectional, Dense, Dropout, Input, SimpleRNN, TimeDistributed
from gatewise.models import Sequential, load_model
from gatewise.testing import GradientError, check_gradients
from gatewise.utils import custom_object_scope


class ElmanCell(RNNCell):
    """h = tanh(x W + h' U + b).

    `bug`, a function of the gradients and (dx, d_states), spoils a step backward.
    """

    bug = None

    def __init__(self, units):
        self.units = units

    def parameter_shapes(self, inputs):
        return {
            "kernel": (inputs, self.units),
            "recurrent_kernel": (self.units, self.units),
            "bias": (self.units,),
        }

    def step(self, x, states, parameters):
        new = np.tanh(
            x @ parameters["kernel"]
            + states[0] @ parameters["recurrent_kernel"]
            + parameters["bias"]
        )
        return new, [new], (x, states[0], new)

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        x, h, new = saved
        d = (d_output + d_states[0]) * (1 - new**2)
        gradients["kernel"] += x.T @ d
        gradients["recurrent_kernel"] += h.T @ d
        gradients["bias"] += d.sum(axis=0)
        result = d @ parameters["kernel"].T, [d @ parameters["recurrent_kernel"].T]
        if self.bug:
            self.bug(gradients, *result)
        return result


def everything(rng, batch, steps, layer):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": states_for(layer, batch, rng),
    }


def twins(rng, dtype, units=5, **options):
    """A compiled SimpleRNN, and the same as a cell of one's own."""
    compiled = make("rnn", units, 3, rng, dtype, **options)
    own = RNN(ElmanCell(units), dtype=dtype, **options)
    own.build((None, None, 3))
    own.set_weights(compiled.get_weights())
    return compiled, own


# ---- the same as a compiled layer


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("return_state", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_results_are_those_of_the_compiled_layer(
    return_sequences, return_state, go_backwards, dtype, tolerance, rng
):
    compiled, own = twins(
        rng,
        dtype,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
    )
    for batch, steps in [(1, 1), (7, 5), (4, 9)]:
        x = sequences(rng, batch, steps, 3, dtype)
        for arguments in (
            {},
            everything(rng, batch, steps, compiled),
            {"lengths": [0] * batch},
            {"initial_state": states_for(compiled, batch, rng)},
        ):
            assert_all_close(
                run(own, x, **arguments), run(compiled, x, **arguments), tolerance.forward
            )
            assert own.forward(x, **arguments)[0].dtype == dtype


def test_full_gates_without_what_they_add_are_an_lstm(rng):
    lstm = make("lstm", 4, 3, rng, return_sequences=True)
    own = RNN(FullGateLSTMCell(4), return_sequences=True, dtype="float64")
    own.build((None, None, 3))
    own.set_weights([*lstm.get_weights(), np.zeros((3, 4)), np.zeros((12, 12))])
    x, lengths = sequences(rng, 5, 6, 3), ragged(rng, 5, 6)
    wanted, got = run(lstm, x, lengths=lengths), run(own, x, lengths=lengths)
    for name in ("output 0", "x", "kernel", "recurrent_kernel", "bias"):
        assert_close(got[name], wanted[name], 1e-12, name)


def test_a_batch_of_no_rows(rng):
    compiled, own = twins(rng, "float64", return_sequences=True, return_state=True)
    x = np.zeros((0, 4, 3))
    assert_all_close(run(own, x), run(compiled, x), 0)


def test_state(rng):
    own = RNN(FullGateLSTMCell(2), stateful=True, return_sequences=True, dtype="float64")
    x = sequences(rng, 4, 6, 3)
    whole = own.forward(x)
    state = own.state
    assert [part.shape for part in state] == [(4, 2), (4, 2), (4, 6)]
    own.reset_state()
    halves = [own.forward(x[:, :2]), own.forward(x[:, 2:])]
    assert_same_bits(np.concatenate(halves, axis=1), whole)
    own.state = state
    after = own.forward(x)
    own.reset_state()
    assert_same_bits(own.forward(x, initial_state=state), after)
    with pytest.raises(ShapeError, match=r"state state_2 has shape \(4, 2\); expected \(4, 6\)"):
        own.state = [state[0], state[1], state[0]]
    with pytest.raises(
        ShapeError,
        match=r"expects 3: state_0, state_1, state_2, of shapes \(batch, 2\), \(batch, 2\)",
    ):
        own.state = state[:2]


def test_names_and_first_values_of_parameters():
    class Cell(ElmanCell):
        initializers = {"bias": initializers.Constant(0.5)}  # noqa: RUF012
        regularizers = {"kernel": "l2"}  # noqa: RUF012

    layer = RNN(Cell(6), seed=0)
    layer.build((None, None, 3))
    p = layer.parameters
    assert list(p) == ["kernel", "recurrent_kernel", "bias"]
    np.testing.assert_allclose(
        p["recurrent_kernel"] @ p["recurrent_kernel"].T, np.eye(6), atol=1e-6
    )
    assert np.abs(p["kernel"]).max() <= np.sqrt(6 / 9) and p["kernel"].std() > 0.1
    assert (p["bias"] == 0.5).all()
    assert layer.penalty() == pytest.approx(0.01 * (p["kernel"] ** 2).sum(), rel=1e-6)


# ---- a wrong backward pass


def spoil(name, index):
    def bug(gradients, d_x, d_states):
        {"x": d_x, "initial_state[0]": d_states[0], **gradients}[name][index] += 0.1

    return bug


@pytest.mark.parametrize(
    ("name", "index"), [("kernel", (2, 1)), ("recurrent_kernel", (0, 3)), ("bias", (2,))]
)
def test_a_wrong_gradient_is_named(name, index, rng):
    layer = RNN(ElmanCell(4), return_sequences=True, dtype="float64")
    layer.cell.bug = spoil(name, index)
    with pytest.raises(
        GradientError, match=rf"gradient of {name}\[{', '.join(map(str, index))}\]"
    ) as caught:
        check_gradients(layer, sequences(rng, 3, 4, 3), lengths=[4, 2, 3])
    assert [at for at, error in caught.value.report.errors.items() if error > 1e-7] == [name]


def test_a_wrong_gradient_of_x_and_of_the_state_is_named(rng):
    x, h0 = sequences(rng, 3, 4, 3), rng.normal(size=(3, 4))
    for name, expected in [("x", "x"), ("initial_state[0]", "initial_state[0]")]:
        layer = RNN(ElmanCell(4), return_sequences=True, dtype="float64")
        layer.cell.bug = spoil(name, (0, 1))
        with pytest.raises(GradientError) as caught:
            check_gradients(layer, x, initial_state=[h0])
        assert caught.value.report.errors[expected] > 1e-7
    layer.cell.bug = None
    assert check_gradients(layer, x, initial_state=[h0]).passed


# ---- a cell that breaks the rules


def breaks(rng, error, words, backward=False, dtype="float64", **methods):
    """A cell with other methods raises when it runs."""
    layer = RNN(type("OddCell", (ElmanCell,), methods)(4), dtype=dtype)
    with pytest.raises(error, match=words) as caught:
        layer.forward(sequences(rng, 2, 3, 3, dtype), training=True)
        layer.backward(np.ones((2, 4), dtype))
    assert isinstance(caught.value, GatewiseError) or error is ValueError


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (
            lambda self, x, states, p: states[0],
            ShapeError,
            "OddCell.step returned ndarray; expected a tuple of 3",
        ),
        (
            lambda self, x, states, p: (states[0], states),
            ShapeError,
            "OddCell.step returned a tuple of 2",
        ),
        (
            lambda self, x, states, p: (x, states, None),
            ShapeError,
            (
                r"OddCell.step: output has shape \(2, 3\) at step 0; expected an array of shape"
                r" \(2, 4\)"
            ),
        ),
        (lambda self, x, states, p: (1.0, states, None), ShapeError, "output is float at step 0"),
        (
            lambda self, x, states, p: (states[0], states[0], None),
            ShapeError,
            "states are ndarray; expected a list of 1",
        ),
        (
            lambda self, x, states, p: (states[0], [x], None),
            ShapeError,
            r"states\[0\] has shape \(2, 3\)",
        ),
        (
            lambda self, x, states, p: (states[0].astype("float32"), states, None),
            DTypeError,
            "output is float32 at step 0",
        ),
        (lambda self, x, states, p: np.add(x, 1, out=x), ValueError, "read-only"),
        (lambda self, x, states, p: np.add(states[0], 1, out=states[0]), ValueError, "read-only"),
        (lambda self, x, states, p: np.add(p["bias"], 1, out=p["bias"]), ValueError, "read-only"),
    ],
)
def test_a_wrong_step(step, error, words, rng):
    breaks(rng, error, words, step=step)


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        (
            lambda d_x, d_h: d_x,
            ShapeError,
            "OddCell.step_backward returned ndarray; expected a tuple of 2",
        ),
        (
            lambda d_x, d_h: (d_h, [d_h]),
            ShapeError,
            r"d_x has shape \(2, 4\) at step 2; expected an array of shape \(2, 3\)",
        ),
        (lambda d_x, d_h: (d_x, d_h), ShapeError, "d_states are ndarray"),
        (
            lambda d_x, d_h: (d_x, [d_h.astype("float32")]),
            DTypeError,
            "d_states.0. is float32 at step 2",
        ),
    ],
)
def test_a_wrong_step_backward(result, error, words, rng):
    breaks(
        rng,
        error,
        words,
        step_backward=lambda self, *given: result(np.zeros((2, 3)), np.zeros((2, 4))),
    )


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("changed", ["d_output", "d_states"])
def test_a_cell_cannot_change_the_gradients_that_it_is_given(changed, batch, rng):
    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        a, b = (d_output, d_states[0]) if changed == "d_output" else (d_states[0], d_output)
        a += b

    layer = RNN(
        type("OddCell", (ElmanCell,), {"step_backward": step_backward})(4),
        return_sequences=True,
        return_state=True,
        dtype="float64",
    )
    dy = [
        np.ones_like(part) for part in layer.forward(rng.normal(size=(batch, 3, 2)), training=True)
    ]
    with pytest.raises(ValueError, match="read-only"):
        layer.backward(dy)
    assert all((part == 1).all() for part in dy)


@pytest.mark.parametrize(
    ("cell", "error", "words"),
    [
        (LSTMCell(4), DTypeError, "derives from gatewise.cells.RNNCell"),
        (4, DTypeError, "cell is 4"),
        (ElmanCell, DTypeError, "cell is <class"),
        (ElmanCell(0), ConfigError, "ElmanCell.state_size is 0"),
        (ElmanCell(None), DTypeError, "ElmanCell.state_size is None"),
        (ElmanCell([]), ConfigError, "at least one state"),
    ],
)
def test_what_is_no_cell(cell, error, words):
    with pytest.raises(error, match=words):
        RNN(cell).build((None, None, 3))


def test_arguments_that_a_cell_decides_about():
    for name, value in [
        ("dropout", 0.1),
        ("recurrent_dropout", 0.1),
        ("learned_initial_state", True),
        ("kernel_initializer", "zeros"),
    ]:
        with pytest.raises(ArgumentError, match=f"RNN takes no argument '{name}'"):
            RNN(ElmanCell(3), **{name: value})
    with pytest.raises(ArgumentError, match="'unit'"):
        RNN(ElmanCell(3), unit=3)


@pytest.mark.parametrize(
    ("shapes", "error", "words"),
    [
        ([(3, 4)], DTypeError, "expected a dict of name to shape"),
        ({"kernel": (3, None)}, ShapeError, "expected known extents"),
        ({"kernel": (3, 0)}, ConfigError, "an extent of the shape of kernel is 0"),
        ({"kernel": "ab"}, DTypeError, "shape of kernel"),
    ],
)
def test_wrong_shapes_of_parameters(shapes, error, words):
    cell = ElmanCell(4)
    cell.parameter_shapes = lambda inputs: shapes
    with pytest.raises(error, match=words):
        RNN(cell).build((None, None, 3))


def test_an_initializer_of_no_parameter():
    cell = ElmanCell(4)
    cell.initializers = {"kernal": "zeros"}
    with pytest.raises(
        ConfigError,
        match=(
            "ElmanCell.initializers names 'kernal'; expected one of kernel, recurrent_kernel, bias"
        ),
    ):
        RNN(cell).build((None, None, 3))


# ---- in models


def model_of(*more, **options):
    model = Sequential(
        [
            Input((None, 2)),
            RNN(ElmanCell(5), return_sequences=True),
            *more,
            RNN(ElmanCell(3), **options),
            Dense(1),
        ],
        seed=0,
    )
    model.compile("adam", "mse")
    return model


@pytest.fixture
def data(rng):
    x = rng.normal(size=(24, 8, 2))
    return x, x.mean(axis=(1, 2))


def test_training_goes_on_from_a_file_to_the_bit(data, tmp_path):
    x, y = data
    lengths = np.arange(24) % 8 + 1
    whole, cut = model_of(Dropout(0.2)), model_of(Dropout(0.2))
    whole.fit(x, y, epochs=4, batch_size=8, lengths=lengths, verbose=0)
    cut.fit(x, y, epochs=2, batch_size=8, lengths=lengths, verbose=0)
    cut.save(tmp_path / "half")
    again = model_of(Dropout(0.2))
    again.fit(
        x, y, epochs=4, batch_size=8, lengths=lengths, verbose=0, resume_from=tmp_path / "half"
    )
    assert_same_bits(again.predict(x, lengths=lengths), whole.predict(x, lengths=lengths))


def test_truncated_back_propagation_carries_the_state(rng):
    x = rng.normal(size=(2, 12, 2))
    layers = {
        "compiled": lambda: make("rnn", 3, 2, generator(1), dtype="float64", return_sequences=True),
        "own": lambda: RNN(ElmanCell(3), return_sequences=True, dtype="float64"),
    }
    results = {}
    for name, layer in layers.items():
        model = Sequential([layer(), Dense(1, dtype="float64")], seed=0)
        model.build((None, None, 2))
        model.set_weights([0.1 * generator(2).normal(size=w.shape) for w in model.get_weights()])
        model.compile("adam", "mse")
        model.fit(x, x[..., :1], epochs=2, tbptt_steps=5, verbose=0, shuffle=False)
        results[name] = model.get_weights()
    assert_all_close(results["own"], results["compiled"], 1e-9)


def test_a_file_names_the_class_and_holds_no_code(data, tmp_path):
    model, path = model_of(stateful=True, go_backwards=True, name="mine"), tmp_path / "model"
    model.predict(data[0])
    model.save(path)
    with pytest.raises(
        CheckpointError, match="cell class 'ElmanCell' is not known: give it, as load_model"
    ):
        load_model(path)
    again = load_model(path, custom_objects={"ElmanCell": ElmanCell})
    assert again.layers[1].go_backwards and again.layers[1].name == "mine"
    assert_same_bits(again.layers[1].state[0], model.layers[1].state[0])
    assert_same_bits(again.predict(data[0]), model.predict(data[0]))
    for wrong, words in [
        (dict, "expected a class that derives"),
        (ElmanCell(3), "expected a class"),
        ("code", "expected a class"),
    ]:
        with pytest.raises(CheckpointError, match=words):
            load_model(path, custom_objects={"ElmanCell": wrong})
    for wrong in (["ElmanCell"], {ElmanCell: ElmanCell}, []):
        with pytest.raises(DTypeError, match="custom_objects is"):
            load_model(path, custom_objects=wrong)


def test_a_file_whose_arguments_do_not_fit_the_class(tmp_path):
    class Other(RNNCell):
        def __init__(self, width):
            self.width = self.units = width

    model = model_of()
    model.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="takes no argument 'units'; it takes width"):
        load_model(tmp_path / "model", custom_objects={"ElmanCell": Other})


def test_the_librarys_own_cells_need_no_class(data, tmp_path):
    model = Sequential([Input((None, 2)), RNN(FullGateLSTMCell(3)), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    model.save(tmp_path / "model")
    assert_same_bits(load_model(tmp_path / "model").predict(data[0]), model.predict(data[0]))


def test_a_cell_whose_arguments_are_not_kept(tmp_path):
    class Forgetful(ElmanCell):
        def __init__(self, units, rate):
            super().__init__(units)

    model = Sequential([Input((None, 2)), RNN(Forgetful(3, 0.1))])
    with pytest.raises(ConfigError, match="Forgetful has no attribute 'rate'"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_scope_of_custom_objects():
    config = RNN(ElmanCell(3), return_sequences=True, name="a", dtype="float64").get_config()
    with pytest.raises(ConfigError, match="'ElmanCell' is not known"):
        RNN.from_config(config)
    with custom_object_scope({"ElmanCell": ElmanCell}):
        with custom_object_scope({"Other": RNNCell}):
            layer = RNN.from_config(config)
    assert layer.get_config() == config
    with pytest.raises(ConfigError, match="'ElmanCell' is not known"):
        RNN.from_config(config)


def test_copies_are_apart(data):
    model = model_of()
    before = model.predict(data[0])
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.fit(*data, verbose=0)
        assert (twin.predict(data[0]) != before).any()
    assert_same_bits(model.predict(data[0]), before)


def test_both_ways(rng, tmp_path):
    compiled, own = (
        Bidirectional(SimpleRNN(4), dtype="float64"),
        Bidirectional(RNN(ElmanCell(4)), dtype="float64"),
    )
    for layer in (compiled, own):
        layer.build((None, None, 3))
    own.set_weights(compiled.get_weights())
    x, lengths = sequences(rng, 4, 5, 3), [5, 0, 2, 3]
    assert_all_close(run(own, x, lengths=lengths), run(compiled, x, lengths=lengths), 1e-12)
    model = Sequential(
        [
            Input((None, 3)),
            Bidirectional(RNN(ElmanCell(2), return_sequences=True)),
            TimeDistributed(Dense(1)),
        ],
        seed=0,
    )
    model.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="'ElmanCell' is not known"):
        load_model(tmp_path / "model")
    again = load_model(tmp_path / "model", custom_objects={"ElmanCell": ElmanCell})
    assert_same_bits(again.predict(x, lengths=lengths), model.predict(x, lengths=lengths))
