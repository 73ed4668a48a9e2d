"""A program that runs Keras in a process of its own, on arrays that go there and back in files."""

import importlib.util
import json

import numpy as np
import pytest
from cases import assert_close, run_python

BACKENDS = [name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name)]
WITH_KERAS = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (importlib.util.find_spec("keras") and BACKENDS),
        reason="parity with Keras needs keras and a backend for it",
    ),
]


# For programs: a layer's outputs as arrays, and gradients of sum(output * p) with respect to its
# inputs and weights, which only PyTorch is asked for.
PASSES = """
import keras

def both_ways(layer, inputs, listed, given, name, **keys):
    torch = keras.backend.backend() == "torch"
    x = [keras.ops.convert_to_tensor(part) for part in inputs]
    if torch:
        x = [part.detach().requires_grad_() for part in x]
    y = layer(*x, **keys) if not listed else layer(x, **keys)
    outputs = list(y) if isinstance(y, (list, tuple)) else [y]
    found = {
        f"{name}|y{k}": keras.ops.convert_to_numpy(keras.ops.stop_gradient(part))
        for k, part in enumerate(outputs)
    }
    if not torch:
        return found
    total = sum(
        (part * keras.ops.convert_to_tensor(given[f"{name}|p{k}"])).sum()
        for k, part in enumerate(outputs)
    )
    for weight in layer.trainable_weights:
        weight.value.grad = None
    total.backward()
    for k, part in enumerate(x):
        found[f"{name}|dx{k}"] = part.grad.detach().cpu().numpy()
    for k, weight in enumerate(layer.trainable_weights):
        found[f"{name}|dw{k}"] = weight.value.grad.detach().cpu().numpy()
    return found
"""


def assert_gradients(ours, dx, found, name, tolerance):
    """A layer's gradients are those that Keras found with :data:`PASSES`; None: of inputs alone."""
    if f"{name}|dx0" not in found:
        pytest.skip("gradients are asked of Keras on PyTorch")
    pairs = {f"dx{k}": part for k, part in enumerate(dx if isinstance(dx, list) else [dx])}
    pairs |= {f"dw{k}": g for k, g in enumerate(ours.gradients.values() if ours else ())}
    # some are zero but for rounding, such as that of a key's bias
    scale = max(1.0, *(np.abs(found[f"{name}|{what}"]).max() for what in pairs))
    for what, gradient in pairs.items():
        assert_close(gradient / scale, found[f"{name}|{what}"] / scale, tolerance, what)


def ask_keras(program, cases, given, folder):
    """The arrays by name, dict, that a program writes.

    Its arguments are three files in the folder: cases in JSON, given arrays, its own arrays.
    """
    files = [folder / name for name in ("cases.json", "given.npz", "found.npz")]
    files[0].write_text(json.dumps(cases))
    np.savez(files[1], **given)
    run_python(program, *files, timeout=300, KERAS_BACKEND=BACKENDS[0])
    with np.load(files[2]) as found:
        return dict(found)
