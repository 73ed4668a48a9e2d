"""LSTMCell, GRUCell, SimpleRNNCell and stacks of them in RNN against Keras 3, states included."""

import numpy as np
import pytest
from cases import as_list, assert_close
from seeds import generator
from tolerances import TOLERANCES

from gatewise import layers

from .keras_process import WITH_KERAS, ask_keras

pytestmark = WITH_KERAS

BATCH, STEPS, FEATURES = 4, 6, 3
LENGTHS = np.array([6, 4, 1, 5])

PROGRAM = """
    import json, sys
    import numpy as np
    import keras

    cases = json.load(open(sys.argv[1]))
    given, found = np.load(sys.argv[2]), {}
    mask = np.arange(6) < given["lengths"][:, None]
    for name, case in cases.items():
        cells = [
            getattr(keras.layers, cls)(units, **options) for cls, units, options in case["cells"]
        ]
        layer = keras.layers.RNN(cells if case["listed"] else cells[0], **case["options"])
        x = given["x"]
        layer(x)
        layer.set_weights([given[f"{name}|w{k}"] for k in range(case["weights"])])
        results = layer(x, mask=mask if case["masked"] else None)
        for k, part in enumerate(keras.tree.flatten(results)):
            found[f"{name}|{k}"] = keras.ops.convert_to_numpy(keras.ops.stop_gradient(part))
    np.savez(sys.argv[3], **found)
"""

LSTM, GRU, SIMPLE = (["LSTMCell", 5, {}], ["GRUCell", 4, {}], ["SimpleRNNCell", 3, {}])
CELLS = {
    "lstm": [LSTM],
    "gru": [GRU],
    "gru before": [["GRUCell", 4, {"reset_after": False, "recurrent_activation": "hard_sigmoid"}]],
    "simple": [SIMPLE],
    "lstm relu": [["LSTMCell", 4, {"activation": "relu", "use_bias": False}]],
    "lstm on lstm": [LSTM, ["LSTMCell", 4, {}]],
    "all three": [SIMPLE, LSTM, GRU],
}
OPTIONS = {
    "last": {},
    "states": {"return_sequences": True, "return_state": True},
    "backwards": {"return_sequences": True, "go_backwards": True},
}
CASES = {
    f"{cells}, {options}, masked {masked}": (CELLS[cells], OPTIONS[options], masked)
    for cells in CELLS
    for options in OPTIONS
    for masked in (False, True)
    # Keras visits the padding of a row first; here a row goes backwards from its end
    if not (masked and options == "backwards")
}


def ours(name):
    """Our layer with random weights."""
    cells, options, _ = CASES[name]
    made = [getattr(layers, cls)(units, **chosen) for cls, units, chosen in cells]
    layer = layers.RNN(made if len(made) > 1 else made[0], **options)
    layer.build((None, STEPS, FEATURES))
    rng = generator(*name.encode())
    layer.set_weights([rng.normal(size=w.shape, scale=0.5) for w in layer.get_weights()])
    return layer


@pytest.fixture(scope="module")
def x():
    return generator().normal(size=(BATCH, STEPS, FEATURES)).astype("float32")


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory, x):
    described, given = {}, {"lengths": LENGTHS, "x": x}
    for name, (cells, options, masked) in CASES.items():
        weights = ours(name).get_weights()
        described[name] = {
            "cells": cells,
            "listed": len(cells) > 1,
            "options": options,
            "masked": masked,
            "weights": len(weights),
        }
        given |= {f"{name}|w{k}": array for k, array in enumerate(weights)}
    return ask_keras(PROGRAM, described, given, tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("name", CASES)
def test_rnn_of_cells(name, x, keras_says):
    _, options, masked = CASES[name]
    results = as_list(ours(name).forward(x, lengths=LENGTHS if masked else None))
    wanted = [keras_says[f"{name}|{k}"] for k in range(len(results))]
    assert f"{name}|{len(results)}" not in keras_says
    if masked and options:  # ours are zeros past a row's end
        wanted[0] = np.where((np.arange(STEPS) < LENGTHS[:, None])[..., None], wanted[0], 0)
    for got, expected in zip(results, wanted, strict=True):
        assert_close(got, expected, TOLERANCES["float32"].forward)
