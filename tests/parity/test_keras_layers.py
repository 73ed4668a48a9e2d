"""Normalization, convolution, pooling, attention, constraints and initializers against Keras 3.

Outputs and gradients. Normalisation in training as well, with what it does to its moving averages.
"""

import numpy as np
import pytest
from cases import assert_close
from seeds import generator
from tolerances import TOLERANCES

from gatewise import constraints, initializers, layers

from .keras_process import PASSES, WITH_KERAS, ask_keras, assert_gradients

pytestmark = WITH_KERAS

BATCH, STEPS, FEATURES = 4, 9, 3
ATTENTION = ("Attention", "AdditiveAttention")  # these are built for the shape of the query
LENGTHS = np.array([9, 4, 1, 6])

PROGRAM = (
    PASSES
    + """
import json, sys
import numpy as np

keras.utils.set_random_seed(1)
cases = json.load(open(sys.argv[1]))
given, found = np.load(sys.argv[2]), {}
mask = np.arange(9) < given["lengths"][:, None]
for name, case in cases["layers"].items():
    causal = case["options"].pop("use_causal_mask", False)  # in Keras a call has it
    layer = getattr(keras.layers, case["layer"])(**case["options"])
    x = [given[f"{name}|x{k}"] for k in range(case["inputs"])]
    listed = len(x) > 1 and case["layer"] != "MultiHeadAttention"
    layer(x) if listed else layer(*x)
    layer.set_weights([given[f"{name}|w{k}"] for k in range(case["weights"])])
    keys = {"training": True} if case["training"] else {}
    if causal:
        keys["use_causal_mask"] = True
    if case["mask"]:
        keys["mask"] = [mask] * case["inputs"] if case["inputs"] > 1 else mask
    found |= both_ways(layer, x, listed, given, name, **keys)
    for k, w in enumerate(layer.get_weights()):
        found[f"{name}|w{k}"] = w
for name, (cls, options) in cases["constraints"].items():
    w = keras.ops.convert_to_tensor(given["w"])
    found[name] = keras.ops.convert_to_numpy(getattr(keras.constraints, cls)(**options)(w))
for name, (cls, options, shape) in cases["initializers"].items():
    found[name] = keras.ops.convert_to_numpy(getattr(keras.initializers, cls)(**options)(shape))
np.savez(sys.argv[3], **found)
"""
)


def all_cases():
    """(layer, options, inputs, training, mask)."""
    for training in (False, True):
        for options in (
            {},
            {"momentum": 0.7, "epsilon": 0.01},
            {"center": False},
            {"scale": False},
        ):
            yield "BatchNormalization", options, 1, training, False
        yield "BatchNormalization", {"momentum": 0.8}, 1, training, True
    for options in ({}, {"epsilon": 0.1}, {"center": False}, {"scale": False}):
        yield "LayerNormalization", options, 1, False, False
    for padding in ("valid", "same", "causal"):
        for more in (
            {},
            {"strides": 2},
            {"strides": 3, "kernel_size": 4},
            {"dilation_rate": 2},
            {"activation": "tanh"},
            {"use_bias": False},
            {"kernel_size": 1},
        ):
            yield (
                "Conv1D",
                {"filters": 5, "kernel_size": 3, "padding": padding, **more},
                1,
                False,
                False,
            )
    for layer in ("MaxPooling1D", "AveragePooling1D"):
        for padding in ("valid", "same"):
            for more in (
                {"pool_size": 2},
                {"pool_size": 3, "strides": 2},
                {"pool_size": 4, "strides": 3},
                {"pool_size": 2, "strides": 1},
            ):
                if (layer, padding, more["pool_size"]) == ("AveragePooling1D", "same", 4):
                    # Keras on torch repeats the last step where the padding is uneven; on
                    # TensorFlow it is left out
                    continue
                yield layer, {"padding": padding, **more}, 1, False, False
    for options in (
        {},
        {"use_scale": True},
        {"score_mode": "concat"},
        {"score_mode": "concat", "use_scale": True},
        {"use_causal_mask": True},
    ):
        for inputs in (2, 3):
            for mask in (False, True):
                yield "Attention", options, inputs, False, mask
    for options in ({}, {"use_scale": False}, {"use_causal_mask": True}):
        for mask in (False, True):
            yield "AdditiveAttention", options, 2, False, mask
    yield from cases_of_simple_layers()


def cases_of_simple_layers():
    for layer in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        for inputs in (2, 3):
            yield layer, {}, inputs, False, False
    yield "Subtract", {}, 2, False, False
    yield "Concatenate", {"axis": 1}, 2, False, False
    for inputs in (2, 3):
        for options in ({}, {"value_dim": 5, "output_shape": 7}, {"use_bias": False}):
            yield (
                "MultiHeadAttention",
                {"num_heads": 2, "key_dim": 4, **options},
                inputs,
                False,
                False,
            )
    for axes in (1, 2, [2, 2]):
        for normalize in (False, True):
            yield "Dot", {"axes": axes, "normalize": normalize}, 2, False, False
    for layer, options in (
        ("Reshape", {"target_shape": [-1, 9]}),
        ("Reshape", {"target_shape": [9, 3, 1]}),
        ("Permute", {"dims": [2, 1]}),
        ("ZeroPadding1D", {"padding": [2, 1]}),
        ("Cropping1D", {"cropping": [1, 2]}),
        ("UpSampling1D", {"size": 3}),
        ("Softmax", {}),
        ("Softmax", {"axis": 1}),
        ("Softmax", {"axis": [1, 2]}),
        ("ReLU", {}),
        ("ReLU", {"max_value": 1.0, "negative_slope": 0.1, "threshold": 0.25}),
        ("ReLU", {"max_value": 0.5}),
        ("LeakyReLU", {}),
        ("LeakyReLU", {"negative_slope": 0.1}),
        ("LeakyReLU", {"alpha": 0.1}),
        ("PReLU", {}),
        ("PReLU", {"shared_axes": [1]}),
        ("PReLU", {"shared_axes": [1, 2]}),
        ("ELU", {"alpha": 0.5}),
    ):
        yield layer, options, 1, False, False


LAYERS = {
    " ".join(
        [
            case[0],
            *(f"{k}={v}" for k, v in case[1].items()),
            str(case[2]),
            "training" * case[3],
            "mask" * case[4],
        ]
    ): case
    for case in all_cases()
}
CONSTRAINTS = {
    f"{cls} {options}": (cls, options)
    for cls, options in [
        ("MaxNorm", {}),
        ("MaxNorm", {"max_value": 0.5, "axis": 1}),
        ("UnitNorm", {}),
        ("UnitNorm", {"axis": 1}),
        ("NonNeg", {}),
        ("MinMaxNorm", {}),
        ("MinMaxNorm", {"min_value": 1.5, "max_value": 1.8, "rate": 0.3, "axis": 0}),
    ]
}
INITIALIZERS = {
    f"{cls} {shape}": (cls, options, shape)
    for shape in ([300, 120], [3, 60, 150])
    for cls, options in [
        ("GlorotUniform", {}),
        ("GlorotNormal", {}),
        ("HeUniform", {}),
        ("HeNormal", {}),
        ("LecunUniform", {}),
        ("LecunNormal", {}),
        ("RandomNormal", {}),
        ("RandomUniform", {}),
        ("TruncatedNormal", {}),
        ("Orthogonal", {"gain": 2.0}),
        ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "uniform"}),
    ]
}


def problem(name):
    """(our layer with random weights, its inputs)."""
    layer, options, inputs, _, _ = LAYERS[name]
    rng = generator(*name.encode())
    ours = getattr(layers, layer)(**options)
    shape = (None, STEPS, FEATURES)
    ours.build([shape] * inputs if inputs > 1 and layer not in ATTENTION else shape)
    ours.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in ours.get_weights()])
    return ours, [
        rng.normal(size=(BATCH, STEPS, FEATURES)).astype("float32") for _ in range(inputs)
    ]


def passed(name):
    """(our layer, its output, what it is multiplied by, gradients of its inputs) of both passes.

    The factors are zero at steps that do not count. A layer that Keras runs at inference has the
    gradients of that: here those of a call with training=True, of a frozen normalization.
    """
    ours, x = problem(name)
    layer, _, inputs, training, mask = LAYERS[name]
    if layer == "BatchNormalization" and not training:
        ours.trainable = False
    lengths = LENGTHS if mask else None
    y = ours.forward(
        x[0] if inputs == 1 else x,
        training=True,
        lengths=lengths if inputs == 1 or not mask else [lengths, lengths],
    )
    p = generator(*name.encode(), 1).normal(size=y.shape).astype("float32")
    if mask:
        p[np.arange(STEPS) >= LENGTHS[:, None]] = 0
    return ours, y, p, ours.backward(p)


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory):
    """Every result of Keras, by name."""
    folder = tmp_path_factory.mktemp("keras")
    described, given = (
        {},
        {
            "lengths": LENGTHS,
            "w": generator().normal(size=(4, 3)).astype("float32"),
        },
    )
    for name, (layer, options, inputs, training, mask) in LAYERS.items():
        ours, x = problem(name)
        weights = ours.get_weights()
        described[name] = {
            "layer": layer,
            "options": options,
            "inputs": inputs,
            "training": training,
            "mask": mask,
            "weights": len(weights),
        }
        given |= {f"{name}|x{k}": array for k, array in enumerate(x)} | {
            f"{name}|w{k}": array for k, array in enumerate(weights)
        }
        given[f"{name}|p0"] = passed(name)[2]
    cases = {"layers": described, "constraints": CONSTRAINTS, "initializers": INITIALIZERS}
    return {"w": given["w"]} | ask_keras(PROGRAM, cases, given, folder)


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name, keras_says):
    ours, x = problem(name)
    _, _, inputs, training, mask = LAYERS[name]
    if inputs == 1:
        y = ours.forward(x[0], training=training, lengths=LENGTHS if mask else None)
    else:
        y = ours.forward(x, lengths=[LENGTHS, LENGTHS] if mask else None)
    wanted = keras_says[f"{name}|y0"]
    if mask:  # ours are zeros past a row's end
        wanted = np.where((np.arange(STEPS) < LENGTHS[:, None])[..., None], wanted, 0)
    assert_close(y, wanted, TOLERANCES["float32"].forward)
    for k, w in enumerate(ours.get_weights()):
        assert_close(w, keras_says[f"{name}|w{k}"], TOLERANCES["float32"].forward, f"weight {k}")


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name, keras_says):
    ours, _, _, dx = passed(name)
    assert_gradients(
        ours if ours.trainable else None, dx, keras_says, name, TOLERANCES["float32"].backward
    )


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name, keras_says):
    cls, options = CONSTRAINTS[name]
    assert_close(getattr(constraints, cls)(**options)(keras_says["w"]), keras_says[name], 1e-6)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name, keras_says):
    """Mean, deviation and the large ones of some 30,000 draws.

    (Keras on torch lets a few go beyond a truncation.)
    """
    cls, options, shape = INITIALIZERS[name]
    ours, theirs = (
        getattr(initializers, cls)(**options)(shape, generator()),
        keras_says[name],
    )
    assert ours.shape == theirs.shape
    assert abs(ours.mean() - theirs.mean()) < 0.04 * theirs.std()
    assert ours.std() == pytest.approx(theirs.std(), rel=0.03)
    assert np.quantile(np.abs(ours), 0.99) == pytest.approx(
        np.quantile(np.abs(theirs), 0.99), rel=0.04
    )
