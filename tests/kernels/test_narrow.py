"""Products with weights narrower than float32, beside NumPy in float64."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from gatewise.kernels import _table
from gatewise.kernels.narrow import NarrowMatrix
from gatewise.kernels.narrow_weights import bfloat16, int8, lost, widened

SIZES = [(1, 1), (2, 16), (3, 5), (4, 64), (7, 65), (64, 200), (130, 256), (513, 80), (1100, 33)]


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded_inputs(x):
    """Return x as int8 products read it: whole numbers of 16 bits, and their step."""
    top = np.abs(x).max(axis=1, keepdims=True)
    by = np.where(top > 0, np.float32(32767) / np.where(top > 0, top, 1), 0).astype(np.float32)
    return np.rint(x * by).astype(np.int64), (top / np.float32(32767)).astype(np.float64)


def exact_product(x, w, storage):
    if storage == "bfloat16":
        return x.astype(np.float64) @ widened(bfloat16(w)).astype(np.float64)
    numbers, scales = int8(w)
    q, step = rounded_inputs(x)
    return (q @ numbers.astype(np.int64)) * (step * scales)


@pytest.mark.parametrize("storage", ["bfloat16", "int8"])
@pytest.mark.parametrize("inputs, columns", SIZES)
def test_products_are_those_of_the_rounded_weights(inputs, columns, storage):
    x, w, z = drawn(3, inputs), drawn(inputs, columns, seed=1), drawn(3, columns, seed=2)
    expected = z + exact_product(x, w, storage)
    NarrowMatrix(w, storage).add_product(x, z)
    scale = np.abs(x).max() * np.abs(w).max() * inputs**0.5
    assert np.abs(z - expected).max() <= 1e-6 * scale + 1e-6


@pytest.mark.parametrize("storage", ["bfloat16", "int8"])
def test_a_row_does_not_depend_on_others_nor_on_the_order_of_panels(storage):
    matrix = NarrowMatrix(drawn(70, 300), storage)
    x = drawn(7, 70, seed=1)
    together = np.zeros((7, 300), np.float32)
    matrix.add_product(x, together, backwards=True)
    for row in range(7):
        alone = np.zeros((1, 300), np.float32)
        matrix.add_product(x[row : row + 1], alone)
        assert alone.tobytes() == together[row].tobytes()


@pytest.mark.parametrize("storage", ["bfloat16", "int8"])
def test_rows_of_zeros_and_of_tiny_numbers_add_nothing_wrong(storage):
    x = np.zeros((2, 6), np.float32)
    x[1] = 1e-42
    z = np.ones((2, 5), np.float32)
    NarrowMatrix(drawn(6, 5), storage).add_product(x, z)
    assert (z == 1).all()


def test_int8_reaches_its_ends_without_overflow():
    w = np.full((2 * 512 + 3, 3), 2.0, np.float32)
    w[:, 1] = -2
    w[::2, 2] = -2
    x = np.full((1, len(w)), -1.0, np.float32)
    x[:, ::2] = 1
    z = np.zeros((1, 3), np.float32)
    NarrowMatrix(w, "int8").add_product(x, z)
    assert z[0].tolist() == pytest.approx([2, -2, -2 * len(w)], rel=1e-6)
    z[:] = 0
    NarrowMatrix(w, "int8").add_product(np.ones_like(x), z)
    assert z[0].tolist() == pytest.approx([2 * len(w), -2 * len(w), -2], rel=1e-6)


def test_bfloat16_rounds_to_the_nearest_and_ties_to_even():
    torch = pytest.importorskip("torch")
    w = drawn(1000)
    w[:4] = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1e-40]
    assert (widened(bfloat16(w)) == torch.tensor(w).bfloat16().float().numpy()).all()


def test_what_is_lost_is_that_of_the_worst_column():
    w = drawn(100, 3)
    assert 0.005 < lost(w, "int8") < 0.01
    assert lost(w, "bfloat16") < 0.002
    w[0, 1] = 20  # an outlier costs the others their digits
    assert lost(w[:, :1], "int8") < 0.01 and lost(w, "int8") > 0.02
    assert lost(np.zeros((3, 2), np.float32), "int8") == 0


SCRIPT = """
import json, sys
import numpy as np
from gatewise.kernels.narrow import NarrowMatrix
draw = np.random.default_rng(5)
w, x = draw.standard_normal((601, 77)), draw.standard_normal((3, 601))
z = np.zeros((3, 77), np.float32)
NarrowMatrix(w.astype(np.float32), "int8").add_product(x.astype(np.float32), z)
json.dump(z.tolist(), sys.stdout)
"""


def test_int8_sums_are_exact_on_every_instruction_set():
    results = []
    for isa in _table.supported_isas():
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=os.environ | {"GATEWISE_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        results.append(np.array(json.loads(done.stdout)))
    for result in results[1:]:
        np.testing.assert_allclose(result, results[0], rtol=0, atol=1e-5)
