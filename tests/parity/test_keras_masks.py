"""Wrappers, embeddings, pooling and masks against Keras 3: outputs, and losses of whole models.

Keras runs once, in a process of its own, in float32; see test_keras.py. Where a step is masked
Keras repeats the last output and gatewise gives zeros: such steps are left out. Names with "held"
have zero_output_for_mask=False, Keras's default, with which gatewise repeats it too: all steps are
compared. Names with "zeros" have True, with which Keras gives zeros.
"""

import numpy as np
import pytest
from cases import as_list, assert_close, randomize
from seeds import generator
from tolerances import TOLERANCES

from gatewise import layers
from gatewise.models import Sequential

from .keras_process import WITH_KERAS, ask_keras

pytestmark = WITH_KERAS

ROWS, STEPS, INPUTS, WORDS = 6, 7, 3, 9

PROGRAM = """
    import json, sys
    import numpy as np
    import keras

    def make(spec):
        name, options = spec
        names = ("layer", "backward_layer")
        inner = {key: make(value) for key, value in options.items() if key in names}
        return getattr(keras.layers, name)(**{**options, **inner})

    cases = json.load(open(sys.argv[1]))
    given, found = np.load(sys.argv[2]), {}
    for name, case in cases.items():
        x = given[f"{name}|x"]
        weights = [given[f"{name}|w{k}"] for k in range(case["weights"])]
        if len(case["layers"]) == 1:
            layer = make(case["layers"][0])
            layer.build(x.shape)
            layer.set_weights(weights)
            result = layer(x, **({"mask": given[f"{name}|mask"]} if case["mask"] else {}))
            for k, part in enumerate(result if isinstance(result, (list, tuple)) else [result]):
                found[f"{name}|{k}"] = keras.ops.convert_to_numpy(part)
            continue
        model = keras.Sequential([keras.Input(x.shape[1:]), *map(make, case["layers"])])
        model.set_weights(weights)
        model.compile("sgd", case["loss"])
        found[f"{name}|0"] = np.array(model.predict(x, verbose=0))
        found[f"{name}|loss"] = np.array(model.test_on_batch(x, given[f"{name}|y"]))
    np.savez(sys.argv[3], **found)
"""


def both_ways(cell, merge_mode="concat", **options):
    return ["Bidirectional", {"layer": [cell, {"units": 4, **options}], "merge_mode": merge_mode}]


def all_cases():
    """name -> (list of layers, whether x is whole numbers, where the mask comes from, loss)."""
    for cell in ("SimpleRNN", "LSTM", "GRU"):
        for sequences in (True, False):
            for masked in (None, "call"):
                yield (
                    f"both ways {cell} {sequences} {masked}",
                    [both_ways(cell, return_sequences=sequences)],
                    False,
                    masked,
                    None,
                )
                yield (
                    f"states {cell} {sequences} {masked}",
                    [both_ways(cell, return_sequences=sequences, return_state=True)],
                    False,
                    masked,
                    None,
                )
                yield (
                    f"masked {cell} {sequences} {masked}",
                    [[cell, {"units": 4, "return_sequences": sequences, "return_state": True}]],
                    False,
                    masked,
                    None,
                )
        for states in (True, False):
            for how, option in (("held", False), ("zeros", True)):
                yield (
                    f"{how} {cell} {states}",
                    [
                        [
                            cell,
                            {
                                "units": 4,
                                "return_sequences": True,
                                "return_state": states,
                                "zero_output_for_mask": option,
                            },
                        ]
                    ],
                    False,
                    "call",
                    None,
                )
        yield (
            f"held {cell} both ways",
            [both_ways(cell, return_sequences=True, zero_output_for_mask=False)],
            False,
            "call",
            None,
        )
    for merge_mode in ("sum", "mul", "ave", None):
        yield (
            f"merged {merge_mode}",
            [both_ways("LSTM", merge_mode, return_sequences=True)],
            False,
            "call",
            None,
        )
    yield (
        "other backward layer",
        [
            [
                "Bidirectional",
                {
                    "layer": ["LSTM", {"units": 4, "return_sequences": True}],
                    "backward_layer": [
                        "GRU",
                        {"units": 2, "return_sequences": True, "go_backwards": True},
                    ],
                },
            ]
        ],
        False,
        None,
        None,
    )
    yield "embedding", [["Embedding", {"input_dim": WORDS, "output_dim": 4}]], True, None, None
    yield "mean", [["GlobalAveragePooling1D", {}]], False, None, None
    yield "masked mean", [["GlobalAveragePooling1D", {}]], False, "call", None
    yield "max", [["GlobalMaxPooling1D", {}]], False, None, None
    yield (
        "step by step",
        [["TimeDistributed", {"layer": ["Dense", {"units": 4, "activation": "softmax"}]}]],
        False,
        None,
        None,
    )

    bodies = {
        "last": [["LSTM", {"units": 4}]],
        "both": [both_ways("GRU", return_sequences=True), both_ways("LSTM", "sum")],
        "pooled": [["GRU", {"units": 4, "return_sequences": True}], ["GlobalAveragePooling1D", {}]],
        "held": [
            ["LSTM", {"units": 4, "return_sequences": True, "zero_output_for_mask": False}],
            ["Dense", {"units": 3, "activation": "tanh"}],
            ["Dropout", {"rate": 0.3}],
        ],
        "steps": [
            ["LSTM", {"units": 4, "return_sequences": True}],
            ["Dropout", {"rate": 0.3}],
            both_ways("SimpleRNN", return_sequences=True),
        ],
    }
    ends = {
        "mse": ["Dense", {"units": 1}],
        "sparse_categorical_crossentropy": ["Dense", {"units": 3, "activation": "softmax"}],
    }
    starts = {
        "Masking": ["Masking", {"mask_value": 0.5}],
        "Embedding": ["Embedding", {"input_dim": WORDS, "output_dim": 3, "mask_zero": True}],
    }
    for (start, first), (body, middle), (loss, last) in (
        (s, b, e) for s in starts.items() for b in bodies.items() for e in ends.items()
    ):
        yield f"{start} {body} {loss}", [first, *middle, last], start == "Embedding", start, loss


CASES = {name: case for name, *case in all_cases()}


def make(spec):
    name, options = spec
    inner = {
        key: make(value) for key, value in options.items() if key in ("layer", "backward_layer")
    }
    return getattr(layers, name)(**{**options, **inner})


def problem(name):
    """(layer or model with random weights, x, mask or None, y or None)."""
    specs, whole, masked, loss = CASES[name]
    rng = generator(*name.encode())
    mask = rng.random((ROWS, STEPS)) < 0.6
    mask[:, 0] |= ~mask.any(axis=1)  # Keras's mean over no step is NaN
    mask[0], mask[1], mask[2] = True, np.arange(STEPS) > 3, np.arange(STEPS) < 2
    if whole:
        x = np.where(mask, rng.integers(1, WORDS, mask.shape), 0 if masked else 3).astype("int32")
    else:
        x = rng.normal(size=(ROWS, STEPS, INPUTS)).astype("float32")
        x[~mask] = 0.5 if masked == "Masking" else x[~mask]
    ours = make(specs[0]) if len(specs) == 1 else Sequential(list(map(make, specs)), seed=1)
    ours.build((None, *x.shape[1:]))
    for layer in [ours] if len(specs) == 1 else ours.layers:
        randomize(layer, rng)
    if loss is None:
        return ours, x, mask if masked else None, None
    ours.compile("sgd", loss)
    shape = ours.compute_output_shape(x.shape)
    return (
        ours,
        x,
        mask,
        rng.integers(0, 3, shape[:-1]) if loss.startswith("sparse") else rng.normal(size=shape),
    )


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory):
    """Every result of Keras, by name."""
    folder, cases, given = tmp_path_factory.mktemp("keras"), {}, {}
    for name, (specs, _, masked, loss) in CASES.items():
        ours, x, mask, y = problem(name)
        weights = ours.get_weights()
        cases[name] = {
            "layers": specs,
            "weights": len(weights),
            "mask": masked == "call",
            "loss": loss,
        }
        given |= {f"{name}|x": x} | {f"{name}|w{k}": array for k, array in enumerate(weights)}
        given |= {
            f"{name}|{key}": array for key, array in (("mask", mask), ("y", y)) if array is not None
        }
    return ask_keras(PROGRAM, cases, given, folder)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_losses(name, keras_says):
    ours, x, mask, y = problem(name)
    tolerance = TOLERANCES["float32"].forward
    if y is None:
        results = as_list(ours(x, mask=mask))
    else:
        results = [ours.predict(x)]
        assert ours.test_on_batch(x, y) == pytest.approx(
            float(keras_says[f"{name}|loss"]), rel=tolerance, abs=tolerance
        )
    assert f"{name}|{len(results)}" not in keras_says
    for k, got in enumerate(results):
        wanted = keras_says[f"{name}|{k}"]
        if mask is not None and got.ndim == 3 and not {"held", "zeros"} & set(name.split()):
            got, wanted = got[mask], wanted[mask]
        assert_close(got, wanted, tolerance, f"output {k}")
