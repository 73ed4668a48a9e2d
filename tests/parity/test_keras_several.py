"""Training of a model with two inputs and three outputs, beside Keras 3.

The same weights, samples and order of samples: losses, metrics and logs of several epochs, and the
weights in the end. Keras runs once, in a process of its own.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from seeds import generator

from gatewise import layers, optimizers
from gatewise.models import Model

from .keras_process import WITH_KERAS, ask_keras
from .shared_training import model_of, trained

pytestmark = WITH_KERAS

ROWS, STEPS = 22, 6
CASES = {
    "plain": {},
    "weighted losses": {"loss_weights": {"tag": 0.5, "score": 2.0, "spam": 3.0}},
    "weighted samples": {"weighted": True},
    "an output without a loss": {"without": "score"},
    "an output without a loss, decay": {"without": "score", "optimizer": "adamw"},
    "masked": {"masked": True},
    "adam": {"optimizer": "adam"},
    "outputs as a dict": {"as_dict": True},
}

PROGRAM = """
    import json, sys
    import numpy as np
    import keras

    settings = json.load(open(sys.argv[1]))
    sys.path.insert(0, settings["folder"])
    from shared_training import model_of, trained

    given, found = dict(np.load(sys.argv[2])), {}
    for name, case in settings["cases"].items():
        model = model_of(keras.layers, keras.Model, case)
        for layer in model.layers:
            count = len(layer.get_weights())
            layer.set_weights([given[f"{name}|{layer.name}|{k}"] for k in range(count)])
        begin = f"data {name}|"
        parts = {key.removeprefix(begin): a for key, a in given.items() if key.startswith(begin)}
        logs, values, outputs = trained(model, keras.optimizers, case, parts)
        found |= {f"{name}|{key}": np.array(array) for key, array in outputs.items()}
        found[f"{name}|logs"] = np.array(json.dumps([logs, values]))
    np.savez(sys.argv[3], **found)
"""


def data_of(name):
    """Samples by name; steps of 9 are masked where a case has a mask."""
    rng = generator(7)
    words = rng.normal(size=(ROWS, STEPS, 3)).astype("float32")
    if CASES[name].get("masked"):
        words[np.arange(STEPS) >= rng.integers(1, STEPS + 1, ROWS)[:, None]] = 9.0
    return {
        "words": words,
        "scene": rng.normal(size=(ROWS, 4)).astype("float32"),
        "tag": rng.integers(0, 3, (ROWS, STEPS)),
        "score": rng.normal(size=(ROWS, 1)).astype("float32"),
        "spam": rng.integers(0, 2, (ROWS, 1)),
        "weights of tag": rng.random((ROWS, STEPS)).astype("float32"),
        "weights of score": rng.random(ROWS).astype("float32"),
        "weights of spam": rng.random(ROWS).astype("float32"),
    }


def weighed(name):
    """A model of a case with weights that no symmetry hides."""
    model, rng = model_of(layers, Model, CASES[name]), generator(3)
    for layer in model.layers:
        layer.set_weights([0.4 * rng.normal(size=w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def keras_found(tmp_path_factory):
    given = {}
    for name in CASES:
        for layer in weighed(name).layers:
            for k, array in enumerate(layer.get_weights()):
                given[f"{name}|{layer.name}|{k}"] = array
        given |= {f"data {name}|{key}": array for key, array in data_of(name).items()}
    settings = {"cases": CASES, "folder": str(Path(__file__).parent)}
    return ask_keras(PROGRAM, settings, given, tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("name", CASES)
def test_training(name, keras_found):
    model = weighed(name)
    logs, values, outputs = trained(model, optimizers, CASES[name], data_of(name))
    their_logs, their_values = json.loads(str(keras_found[f"{name}|logs"]))
    assert sorted(logs) == sorted(their_logs)
    for key, expected in their_logs.items():
        np.testing.assert_allclose(logs[key], expected, rtol=1e-4, atol=1e-5, err_msg=key)
    assert values == pytest.approx(their_values, rel=1e-4, abs=1e-5)
    for key, array in outputs.items():
        counted = (data_of(name)["words"][..., 0] != 9.0) if array.ndim > 2 else slice(None)
        expected = keras_found[f"{name}|{key}"]
        np.testing.assert_allclose(array[counted], expected[counted], rtol=1e-3, atol=1e-5)
