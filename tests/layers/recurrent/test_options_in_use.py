"""Options of the cells.

Names and shapes of parameters, variants by name, what is refused, files and copies.
"""

import copy
import json
import pickle

import numpy as np
import pytest
from cases import (
    CELLS,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    expected,
    make,
    randomize,
    run,
    sequences,
)

from gatewise.cells import FullGateLSTMCell, greff
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.kernels import activations
from gatewise.layers import GRU, LSTM, RNN, Dense, MinGRU, SimpleRNN
from gatewise.models import Sequential, load_model

from .option_cases import OPTIONS, ZONED, build

# ---- shapes, names, files


def test_parameters_are_those_that_there_are():
    def shapes(**options):
        layer = LSTM(5, **options)
        layer.build((None, None, 3))
        return {name: array.shape for name, array in layer.parameters.items()}

    assert shapes() == {"kernel": (3, 20), "recurrent_kernel": (5, 20), "bias": (20,)}
    assert shapes(peepholes=True)["peephole"] == (3, 5)
    assert shapes(coupled=True, peepholes=True) == {
        "kernel": (3, 15),
        "recurrent_kernel": (5, 15),
        "bias": (15,),
        "peephole": (2, 5),
    }
    assert shapes(input_gate=False, output_gate=False) == {
        "kernel": (3, 10),
        "recurrent_kernel": (5, 10),
        "bias": (10,),
    }
    assert list(shapes(layer_normalization=True))[3:] == [
        "input_gain",
        "recurrent_gain",
        "cell_gain",
        "cell_bias",
    ]
    assert shapes(projection=2, use_bias=False) == {
        "kernel": (3, 20),
        "recurrent_kernel": (2, 20),
        "projection_kernel": (5, 2),
    }


def test_the_forget_bias_finds_its_gate():
    for options, wanted in [
        ({}, [0, 1, 0, 0]),
        ({"input_gate": False}, [1, 0, 0]),
        ({"coupled": True}, [0, 0, 0]),
        ({"forget_gate": False}, [0, 0, 0]),
    ]:
        layer = LSTM(2, **options)
        layer.build((None, None, 3))
        np.testing.assert_array_equal(layer.parameters["bias"], np.repeat(wanted, 2))


def test_a_projected_layer_has_narrow_outputs(rng):
    layer = LSTM(7, projection=3, return_sequences=True, return_state=True)
    layer.build((None, 4, 2))
    assert layer.output_shape == (None, 4, 3)
    y, h, c = layer.forward(np.ones((2, 4, 2), "float32"))
    assert (y.shape, h.shape, c.shape) == ((2, 4, 3), (2, 3), (2, 7))


@pytest.mark.parametrize("name", ["V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP"])
def test_variants_by_name(name, rng):
    layer = LSTM.variant(name, 4, dtype="float64", return_sequences=True)
    layer.build((None, None, 3))
    randomize(layer, rng)
    x = sequences(rng, 3, 4, 3)
    assert_close(layer.forward(x), expected(layer, x), 1e-10)
    cell = layer.cell
    assert ("i" in cell.gates, "f" in cell.gates, "o" in cell.gates) == (
        name != "NIG",
        name not in ("NFG", "CIFG"),
        name != "NOG",
    )
    assert cell.peepholes == (name != "NP")
    assert (cell.activation == "linear") == (name == "NIAF")
    assert (cell.output_activation == "linear") == (name == "NOAF")


def test_full_gate_recurrence_by_name(rng):
    layer = LSTM.variant("FGR", 4, dtype="float64", return_sequences=True)
    own = RNN(FullGateLSTMCell(4), dtype="float64", return_sequences=True)
    for each in (layer, own):
        each.build((None, None, 3))
    own.set_weights([rng.normal(size=array.shape) for array in own.get_weights()])
    layer.set_weights(own.get_weights())
    x = sequences(rng, 3, 4, 3)
    assert_same_bits(layer.forward(x), own.forward(x))
    assert list(layer.parameters) == [
        "kernel",
        "recurrent_kernel",
        "bias",
        "peephole",
        "gate_kernel",
    ]


def refused(call, error, *words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_what_is_refused():
    refused(lambda: LSTM(4, coupled=True, forget_gate=False), ConfigError, "coupled", "choose one")
    refused(lambda: LSTM(4, coupled=True, input_gate=False), ConfigError, "coupled", "input gate")
    refused(
        lambda: LSTM(4, peepholes=True, input_gate=False, forget_gate=False, output_gate=False),
        ConfigError,
        "peepholes",
    )
    refused(
        lambda: LSTM(4, projection=4), ConfigError, "projection is 4", "fewer than the cell's 4"
    )
    refused(lambda: LSTM(4, projection=0), ConfigError, "projection")
    refused(lambda: LSTM(4, zoneout=(0.1, 0.2, 0.3)), ConfigError, "3 rates")
    refused(lambda: LSTM(4, zoneout=1.0), ConfigError, "zoneout")
    refused(lambda: GRU(4, zoneout=(0.1, 0.2)), DTypeError, "zoneout")
    refused(lambda: SimpleRNN(4, clip=0), ConfigError, "clip is 0", "None for no limit")
    refused(lambda: LSTM(4, cell_clip="1"), DTypeError, "cell_clip")
    for name in ("clip", "cell_clip"):
        refused(
            lambda name=name: LSTM(4, **{name: np.array([1.0, 2.0])}),
            ConfigError,
            f"{name} is array",
            "expected a number",
        )
    refused(lambda: LSTM(4, peepholes=1), DTypeError, "peepholes")
    refused(
        lambda: LSTM(4, layer_normalization=True, peepholes=True, zoneout=0.1),
        ConfigError,
        "leave out zoneout, peepholes",
    )
    refused(lambda: GRU(4, layer_normalization=True, clip=1.0), ConfigError, "leave out clip")
    refused(
        lambda: SimpleRNN(4, layer_normalization=True, zoneout=0.1),
        ConfigError,
        "leave out zoneout",
    )
    refused(
        lambda: GRU(4, layer_normalization=True, reset_after=False),
        ConfigError,
        "needs reset_after=True",
    )
    refused(lambda: SimpleRNN(4, layer_normalization=1), DTypeError, "layer_normalization")
    refused(
        lambda: LSTM(4, output_gate_inside=True, output_gate=False),
        ConfigError,
        "output_gate_inside=True needs the output gate",
    )
    refused(
        lambda: LSTM(4, output_gate_inside=True, layer_normalization=True),
        ConfigError,
        "leave out output_gate_inside",
    )
    for candidate in ("split", "input"):
        refused(
            lambda candidate=candidate: GRU(4, candidate=candidate, reset_after=False),
            ConfigError,
            f"candidate='{candidate}' needs reset_after=True",
        )
    refused(
        lambda: GRU(4, candidate="split", output_activation="sigmoid", layer_normalization=True),
        ConfigError,
        "leave out candidate, output_activation",
    )
    refused(lambda: GRU(4, candidate="both"), ConfigError, "candidate is 'both'", "'complement'")
    refused(lambda: GRU(4, output_gate_inside=True), ConfigError, "an LSTM has a cell state")
    refused(lambda: SimpleRNN(4, candidate="split"), ConfigError, "it has no gates")
    refused(lambda: SimpleRNN(4, output_activation="tanh"), ConfigError, "its output is h")
    refused(lambda: LSTM.variant("NXG", 4), ConfigError, "'NXG' is not known", "NIG")
    refused(lambda: greff("FGR"), ConfigError, "RNN(FullGateLSTMCell(units))")
    refused(
        lambda: GRU(4, projection=2),
        ConfigError,
        "GRU has no option 'projection'",
        "an LSTM projects",
    )
    refused(lambda: GRU(4, peepholes=True), ConfigError, "'peepholes'", "cell state")
    refused(lambda: SimpleRNN(4, recurrent_activation="sigmoid"), ConfigError, "no gates")
    refused(lambda: MinGRU(4, zoneout=0.1), ConfigError, "'zoneout'", "gates depend on x only")
    refused(lambda: LSTM(4, activation=("tanh", 1.0)), ConfigError, "1 constants", "it has 0")
    refused(lambda: LSTM(4, activation=("elu", -1)), ConfigError, "alpha -1", "0 or more")
    refused(lambda: LSTM(4, activation=("scaled_tanh", 0)), ConfigError, "alpha 0")
    refused(lambda: LSTM(4, activation=("elu", "1")), DTypeError, "expected a number")
    refused(lambda: LSTM(4, activation=("elu", float("inf"))), ConfigError, "finite")
    refused(lambda: Dense(4, activation=("sinh", 1)), ConfigError, "'sinh' is not known")


@pytest.mark.parametrize("reset_after", [True, False])
def test_weights_of_the_other_gru_are_refused(reset_after):
    ours, other = GRU(4, reset_after=reset_after), GRU(4, reset_after=not reset_after)
    for layer in (ours, other):
        layer.build((None, None, 3))
    refused(
        lambda: ours.set_weights(other.get_weights()),
        ShapeError,
        f"layer {ours.name!r} has reset_after={reset_after}",
        "another cell",
    )


@pytest.mark.parametrize("name", [*OPTIONS, *(f"zoneout {key}" for key in ZONED)])
def test_files_and_copies(name, tmp_path, rng):
    layer = build(name, 6, 3, rng, "float32", learned_initial_state=True)
    config = json.loads(json.dumps(layer.get_config()))
    assert type(layer).from_config(config).get_config() == layer.get_config()
    model = Sequential([type(layer).from_config(config), Dense(2, ("leaky_relu", 0.1))], seed=1)
    model.build((None, 4, 3))
    model.compile("sgd", "mse")
    x = sequences(rng, 5, 4, 3, "float32")
    model.fit(x, np.ones((5, 2), "float32"), epochs=1, verbose=0)
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert_same_bits(again.predict(x), model.predict(x))
    assert_same_bits(pickle.loads(pickle.dumps(model)).predict(x), model.predict(x))


@pytest.mark.parametrize("cell", CELLS)
def test_a_copied_layer_trains_by_itself(cell, rng):
    layer, x = (
        (make(cell, 4, 3, rng, peepholes=True) if cell == "lstm" else make(cell, 4, 3, rng)),
        sequences(rng, 2, 3, 3),
    )
    wanted = run(layer, x)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_all_same_bits(run(again, x), wanted)
        again.parameters["bias"][...] = 0.1
        layer_bias = layer.parameters["bias"].copy()
        layer.parameters["bias"][...] = 0.1
        assert_all_same_bits(run(again, x), run(layer, x))
        layer.parameters["bias"][...] = layer_bias


def test_a_plain_cell_says_nothing_of_options():
    """What versions before the options wrote is what a plain layer writes still."""
    for cls in (SimpleRNN, LSTM, GRU):
        assert not {*cls(3).cell._OPTIONS, "learned_initial_state"} & set(cls(3).get_config())


def test_constants_of_activations():
    assert activations.check_name(["leaky_relu", 1]) == ("leaky_relu", 1.0)
    assert activations.check_name(("hard_sigmoid", 0.2)) == ("hard_sigmoid", 0.2, 0.5)
    assert activations.check_name(("hard_sigmoid",)) == "hard_sigmoid"
    assert activations.code(("elu", 0.0)) == activations.code("relu")
