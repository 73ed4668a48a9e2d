"""Exported programs, compiled and called from Python."""

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gatewise import layers
from gatewise.models import Sequential

COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


class Program:
    """An export as a shared library, with one state.

    Parameters
    ----------
    model : Sequential or Model
    weights : str
    folder : path, optional
    """

    def __init__(self, model, weights="float32", folder=None, flags=("-O0",)):
        folder = Path(tempfile.mkdtemp() if folder is None else folder)
        self.export = export = model.export_c(folder, weights)
        library = folder / "model.so"
        command = [COMPILER, *STRICT, *flags, "-shared", "-fPIC", str(export.source)]
        done = subprocess.run(
            [*command, "-o", str(library), "-lm"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        self.library = ctypes.CDLL(str(library))
        self.state = (ctypes.c_float * (export.state_bytes // 4))()
        self.whole = "int32_t x" in export.header.read_text()
        self.widths = [shape[-1] for shape in _listed(model.output_shape)]
        self.call("init", self.state)

    def call(self, name, *arguments):
        """Call a function of the program by what follows the prefix."""
        return getattr(self.library, f"{self.export.prefix}_{name}")(*arguments)

    def step(self, *inputs):
        """One step: what the function returns, and the outputs."""
        given = []
        for x in inputs:
            if self.whole:
                given.append(ctypes.c_int32(int(x)))
            else:
                given.append(_floats(np.ascontiguousarray(x, np.float32)))
        outputs = [np.full(width, np.nan, np.float32) for width in self.widths]
        returned = self.call("step", self.state, *given, *map(_floats, outputs))
        return returned, outputs

    def run(self, *inputs):
        """The outputs that are due at the steps of inputs (steps, ...), each (outputs, width)."""
        found = [[] for _ in self.widths]
        for at in zip(*inputs):
            returned, outputs = self.step(*at)
            assert returned >= 0
            for k, output in enumerate(outputs):
                if returned >> k & 1:
                    found[k].append(output)
        arrays = [np.array(each).reshape(-1, width) for each, width in zip(found, self.widths)]
        return arrays[0] if len(arrays) == 1 else arrays

    def save(self):
        """The state as bytes."""
        saved = ctypes.create_string_buffer(self.export.saved_bytes)
        assert self.call("save", self.state, saved, ctypes.c_size_t(len(saved))) == 0
        return saved.raw

    def load(self, content):
        """Read a state; what the function returns."""
        return self.call("load", self.state, content, ctypes.c_size_t(len(content)))


def _floats(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def _listed(shape):
    return shape if isinstance(shape, list) else [shape]


def randomized(model, seed=0, scale=1.0):
    """The model with random weights, those of biases and gains too."""
    rng = np.random.default_rng(seed)
    weights = []
    for array in model.get_weights():
        fan_in = np.prod(array.shape[:-1]) if array.ndim > 1 and array.shape[0] > 2 else 4
        drawn = rng.normal(size=array.shape, scale=scale / np.sqrt(fan_in))
        if array.ndim == 1 and array.all():  # gains, and variances, which are never negative
            drawn = np.abs(drawn) + 0.1
        weights.append(drawn)
    model.set_weights([np.asarray(array, np.float32) for array in weights])
    return model


def sequential(*parts, features=3, seed=0, name="net"):
    """A model of layers over sequences, with random weights."""
    model = Sequential([layers.Input((None, features)), *parts], name=name, seed=seed)
    return randomized(model, seed)


def signal(steps=40, features=3, seed=1):
    """A sequence (steps, features)."""
    return np.random.default_rng(seed).normal(size=(steps, features)).astype(np.float32)


def assert_close(found, expected, tolerance=2e-5):
    """Whether arrays differ by no more than a part of the largest number."""
    assert found.shape == expected.shape
    largest = max(1.0, float(np.abs(expected).max(initial=0)))
    difference = float(np.abs(found - expected).max(initial=0))
    assert difference <= tolerance * largest, f"{difference} of {largest}"
