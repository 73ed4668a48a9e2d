"""Layers of images, ConvLSTM, and convolutions of each feature, against Keras 3, both ways."""

import numpy as np
import pytest
from cases import assert_close
from seeds import generator
from tolerances import TOLERANCES

from gatewise import layers

from .keras_process import PASSES, WITH_KERAS, ask_keras, assert_gradients

pytestmark = WITH_KERAS

LENGTHS = np.array([4, 1, 3])

PROGRAM = (
    PASSES
    + """
import json, sys
import numpy as np

cases = json.load(open(sys.argv[1]))
given, found = np.load(sys.argv[2]), {}
for name, case in cases.items():
    layer = getattr(keras.layers, case["layer"])(**case["options"])
    x = given[f"{name}|x"]
    layer.build(x.shape)
    layer.set_weights([given[f"{name}|w{k}"] for k in range(case["weights"])])
    keys = {"mask": given["mask"]} if case["mask"] else {}
    found |= both_ways(layer, [x], False, given, name, **keys)
np.savez(sys.argv[3], **found)
"""
)


def all_cases():
    """(layer, options, shape of one sample, whether there is a mask)."""
    image, line = (9, 8, 2), (9, 3)
    for padding in ("valid", "same"):
        for more in (
            {"kernel_size": 3},
            {"kernel_size": [2, 3], "strides": [1, 2]},
            {"kernel_size": 2, "dilation_rate": [2, 3], "activation": "tanh"},
            {"kernel_size": 1, "use_bias": False},
        ):
            yield "Conv2D", {"filters": 5, "padding": padding, **more}, image, False
        for more in ({"pool_size": 2}, {"pool_size": [3, 2], "strides": [2, 1]}):
            yield "MaxPooling2D", {"padding": padding, **more}, image, False
            if padding == "valid":  # Keras on torch repeats places where the padding is uneven
                yield "AveragePooling2D", {"padding": padding, **more}, image, False
        for more in (
            {"kernel_size": 3},
            {"kernel_size": 2, "strides": 3, "depth_multiplier": 2},
            {"kernel_size": 3, "dilation_rate": 2, "activation": "relu"},
        ):
            yield "DepthwiseConv1D", {"padding": padding, **more}, line, False
            yield "SeparableConv1D", {"filters": 4, "padding": padding, **more}, line, False
        for more in (
            {"kernel_size": 3},
            {"kernel_size": 2, "strides": 2, "return_sequences": True},
            {"kernel_size": 3, "return_state": True, "go_backwards": True},
            {"kernel_size": 2, "dilation_rate": 2, "recurrent_activation": "hard_sigmoid"},
        ):
            for mask in (False, True):
                options = {"filters": 3, "padding": padding, **more}
                yield "ConvLSTM1D", options, (4, 6, 2), mask
                yield "ConvLSTM2D", options, (4, 6, 5, 2), mask
    for layer in ("GlobalMaxPooling2D", "GlobalAveragePooling2D"):
        for keepdims in (False, True):
            yield layer, {"keepdims": keepdims}, image, False


CASES = {f"{case[0]} {case[1]} {'mask' * case[3]}": case for case in all_cases()}


def problem(name):
    """(our layer with random weights, its input)."""
    layer, options, shape, _ = CASES[name]
    rng = generator(*name.encode())
    ours = getattr(layers, layer)(**options)
    ours.build((None, *shape))
    ours.set_weights([rng.normal(size=w.shape, scale=0.4) for w in ours.get_weights()])
    return ours, rng.normal(size=(3, *shape)).astype("float32")


def factors(name, outputs):
    """What each output is multiplied by; zeros at steps that do not count."""
    _, options, _, mask = CASES[name]
    rng = generator(*name.encode(), 1)
    found = [rng.normal(size=y.shape).astype("float32") for y in outputs]
    if mask and options.get("return_sequences"):
        found[0][np.arange(4) >= LENGTHS[:, None]] = 0
    return found


def passed(name):
    """(our layer, its outputs, the gradients of its input) of both passes."""
    ours, x = problem(name)
    y = ours.forward(x, lengths=LENGTHS if CASES[name][3] else None, training=True)
    outputs = y if isinstance(y, list) else [y]
    p = factors(name, outputs)
    return ours, outputs, ours.backward(p if isinstance(y, list) else p[0])


@pytest.fixture(scope="module")
def keras_says(tmp_path_factory):
    """Every result of Keras, by name."""
    described, given = {}, {"mask": np.arange(4) < LENGTHS[:, None]}
    for name, (layer, options, _, mask) in CASES.items():
        ours, x = problem(name)
        weights = ours.get_weights()
        described[name] = {
            "layer": layer,
            "options": options,
            "mask": mask,
            "weights": len(weights),
        }
        given |= {f"{name}|x": x} | {f"{name}|w{k}": array for k, array in enumerate(weights)}
        p = factors(name, passed(name)[1])
        given |= {f"{name}|p{k}": array for k, array in enumerate(p)}
    return ask_keras(PROGRAM, described, given, tmp_path_factory.mktemp("keras"))


@pytest.mark.parametrize("name", CASES)
def test_forward(name, keras_says):
    ours, x = problem(name)
    _, options, _, mask = CASES[name]
    y = ours.forward(x, lengths=LENGTHS if mask else None)
    for k, part in enumerate(y if isinstance(y, list) else [y]):
        wanted = keras_says[f"{name}|y{k}"]
        if mask and options.get("return_sequences"):  # ours are zeros past a row's end
            counted = np.arange(4) < LENGTHS[:, None]
            wanted = np.where(counted.reshape(3, 4, *(1,) * (wanted.ndim - 2)), wanted, 0)
        assert_close(part, wanted, TOLERANCES["float32"].forward)


@pytest.mark.parametrize("name", CASES)
def test_gradients(name, keras_says):
    ours, _, dx = passed(name)
    assert_gradients(ours, dx, keras_says, name, TOLERANCES["float32"].backward)
