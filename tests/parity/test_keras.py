"""Forward passes against Keras 3; get_weights and set_weights carry weights both ways.

Keras runs once, in a process of its own: its import takes long and warns. In float32 only: its
product of float64 matrices is computed in float32 (the torch backend of Keras 3.15).
"""

import numpy as np
import pytest
from cases import ACTIVATIONS, as_list, assert_close, randomize
from seeds import generator
from tolerances import TOLERANCES

from gatewise.layers import GRU, LSTM, Dense, SimpleRNN

from .keras_process import WITH_KERAS, ask_keras

pytestmark = WITH_KERAS

LAYERS = {"SimpleRNN": SimpleRNN, "LSTM": LSTM, "GRU": GRU, "Dense": Dense}
BATCH, STEPS, INPUTS = 5, 6, 3

# For each case: a Keras layer with our weights on x, and one with weights of its own, which it
# hands back.
PROGRAM = """
    import json, sys
    import numpy as np
    import keras

    cases = json.load(open(sys.argv[1]))
    given, found = np.load(sys.argv[2]), {}
    for name, case in cases.items():
        cls = getattr(keras.layers, case["layer"])
        x, keys = given[f"{name}|x"], {}
        for key in ("mask", "initial_state"):
            arrays = [given[f] for f in sorted(given.files) if f.startswith(f"{name}|{key}")]
            if arrays:
                keys[key] = arrays[0] if key == "mask" else arrays
        for kind in ("ours", "theirs"):
            layer = cls(**case["options"])
            layer.build(x.shape)
            if kind == "ours":
                layer.set_weights([given[f"{name}|w{k}"] for k in range(case["weights"])])
            else:
                rng = np.random.default_rng(5)
                layer.set_weights([w + 0.3 * rng.normal(size=w.shape) for w in layer.get_weights()])
                for k, w in enumerate(layer.get_weights()):
                    found[f"{name}|w{k}"] = w
            result = layer(x, **keys)
            for k, part in enumerate(result if isinstance(result, (list, tuple)) else [result]):
                found[f"{name}|{kind}{k}"] = keras.ops.convert_to_numpy(part)
    np.savez(sys.argv[3], **found)
"""


def all_cases():
    """name -> (layer, options, what the call is given)."""
    cells = {
        "SimpleRNN": [{}],
        "LSTM": [{}, {"unit_forget_bias": False}],
        "GRU": [{"reset_after": True}, {"reset_after": False}],
    }
    for layer, forms in cells.items():
        for form in forms:
            for options, given in [
                ({}, ()),
                ({"return_sequences": True}, ()),
                ({"return_sequences": True, "return_state": True}, ()),
                ({"go_backwards": True}, ()),
                ({"go_backwards": True, "return_sequences": True, "return_state": True}, ()),
                ({"use_bias": False, "return_sequences": True}, ()),
                ({"return_state": True, "return_sequences": True}, ("initial_state",)),
                ({"return_state": True}, ("mask",)),
                ({"return_state": True}, ("mask", "initial_state")),
                ({"activation": "relu", "return_sequences": True}, ()),
                ({"units": 17, "return_sequences": True}, ()),
                ({"units": 1, "activation": "softsign"}, ()),
            ]:
                yield layer, {"units": 5, **form, **options}, given
            if layer != "SimpleRNN":
                yield (
                    layer,
                    {
                        "units": 5,
                        "recurrent_activation": "hard_sigmoid",
                        "return_sequences": True,
                        **form,
                    },
                    (),
                )
    for activation in [None, *ACTIVATIONS, "softmax"]:
        yield "Dense", {"units": 7, "activation": activation}, ()
    yield "Dense", {"units": 7, "use_bias": False}, ()
    yield from random_cases(60)


def random_cases(count):
    """Any combination of what Keras's recurrent layers take."""
    rng = generator()
    activations = ["tanh", *(name for name in ACTIVATIONS if name != "exponential")]

    def any_of(values):
        return values[rng.integers(len(values))]

    for _ in range(count):
        layer = any_of(list(LAYERS)[:3])
        options = {"units": int(rng.integers(1, 24)), "activation": any_of(activations)}
        options |= {
            name: any_of([True, False])
            for name in ("use_bias", "return_sequences", "return_state", "go_backwards")
        }
        if layer != "SimpleRNN":
            options["recurrent_activation"] = any_of(
                ["sigmoid", "sigmoid", "hard_sigmoid", "tanh", "softsign"]
            )
        if layer == "GRU":
            options["reset_after"] = any_of([True, False])
        given = [name for name in ("mask", "initial_state") if any_of([True, False])]
        if options["return_sequences"] and "mask" in given:
            given.remove("mask")  # padded outputs differ: test_keras_masks.py
        yield layer, options, tuple(given)


CASES = {
    " ".join([layer, *(f"{key}={value}" for key, value in options.items()), *given]): (
        layer,
        {**options, "dtype": "float32"},
        given,
    )
    for layer, options, given in all_cases()
}


def problem(name):
    """(our layer with random weights, x, arguments for Keras, arguments for ours)."""
    layer, options, given = CASES[name]
    rng = generator(*name.encode())
    ours = LAYERS[layer](**options)
    x = rng.normal(size=(BATCH, STEPS, INPUTS)).astype(ours.dtype)
    ours.build(x.shape)
    randomize(ours, rng)
    theirs, mine = {}, {}
    if "mask" in given:
        lengths = np.array([STEPS, 1, 3, STEPS - 1, 2])
        theirs["mask"], mine["lengths"] = np.arange(STEPS) < lengths[:, None], lengths
    if "initial_state" in given:
        mine["initial_state"] = theirs["initial_state"] = [
            (0.5 * rng.normal(size=(BATCH, options["units"]))).astype(ours.dtype)
            for _ in ours.cell.states
        ]
    return ours, x, theirs, mine


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory):
    """Every result of Keras, by name."""
    folder, cases, given = tmp_path_factory.mktemp("keras"), {}, {}
    for name, (layer, options, _) in CASES.items():
        ours, x, theirs, _ = problem(name)
        weights = ours.get_weights()
        cases[name] = {"layer": layer, "options": options, "weights": len(weights)}
        given[f"{name}|x"] = x
        given |= {f"{name}|w{k}": array for k, array in enumerate(weights)}
        for key, value in theirs.items():
            given |= {
                f"{name}|{key}{k}": array
                for k, array in enumerate(value if isinstance(value, list) else [value])
            }
    return ask_keras(PROGRAM, cases, given, folder)


@pytest.mark.parametrize("name", CASES)
def test_outputs(name, keras_says):
    ours, x, _, arguments = problem(name)
    tolerance = TOLERANCES["float32"]
    for kind in ("ours", "theirs"):
        if kind == "theirs":  # the names and the order of the weights are the same too
            count = len(ours.get_weights())
            ours.set_weights([keras_says[f"{name}|w{k}"] for k in range(count)])
            assert f"{name}|w{count}" not in keras_says
        results = as_list(ours.forward(x, **arguments))
        assert f"{name}|{kind}{len(results)}" not in keras_says
        for k, got in enumerate(results):
            wanted = keras_says[f"{name}|{kind}{k}"]
            assert wanted.dtype == ours.dtype
            assert_close(got, wanted, tolerance.forward, f"{kind} {k}")
