"""A program that runs Keras in a process of its own, on arrays that go there and back in files."""

import importlib.util
import json

import numpy as np
import pytest
from cases import run_python

BACKENDS = [name for name in ("torch", "jax", "tensorflow") if importlib.util.find_spec(name)]
WITH_KERAS = [
    pytest.mark.long,
    pytest.mark.skipif(
        not (importlib.util.find_spec("keras") and BACKENDS),
        reason="parity with Keras needs keras and a backend for it",
    ),
]


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
