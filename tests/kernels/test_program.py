"""The kernel of streams refuses arrays that do not fit; rows are normalised as in NumPy."""

import numpy as np
import pytest

from gatewise import Sequential, layers
from gatewise.kernels import arrays
from gatewise.kernels.program import Program


@pytest.fixture
def stream():
    return Sequential([layers.Input((None, 3)), layers.LSTM(5), layers.Dense(2)]).stream(2)


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (np.ones((2, 4, 3), "f"), np.ones((2, 4, 2))),
        (np.ones((2, 4, 3)), np.ones((2, 4, 2), "f")),
        (np.ones((3, 4, 3), "f"), np.ones((2, 4, 2), "f")),
        (np.ones((2, 4, 4), "f"), np.ones((2, 4, 2), "f")),
        (np.ones((4, 2, 3), "f").transpose(1, 0, 2), np.ones((2, 4, 2), "f")),
    ],
)
def test_arrays_of_a_block_that_do_not_fit(inputs, outputs, stream):
    with pytest.raises(AssertionError, match="kernel expects"):
        stream._run_block([inputs], 4, [outputs])
    with pytest.raises(AssertionError):
        stream._run_block([np.ones((2, 4, 3), "f")], 4, [outputs], np.ones((2, 4), np.uint8))


def test_the_base_of_streams_knows_one_form_of_step_only(stream):
    program = Program()
    program._load(stream.plan, stream._prepared.packs, 2)
    x = np.ones((2, 3), "f")
    np.testing.assert_array_equal(program.step(x), stream.step(x))
    with pytest.raises(NotImplementedError):
        program.step([1, 2, 3])


@pytest.mark.parametrize("columns", [1, 5, 16, 70, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalized_rows(columns, dtype, rng):
    x = rng.normal(3, 2, size=(9, columns)).astype(dtype)
    y, inverse = np.empty_like(x), np.empty(9, dtype)
    arrays.normalize(x, y, inverse, 0.01, 2)
    wide = x.astype(float)
    scale = 1 / np.sqrt(wide.var(axis=1) + 0.01)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(inverse, scale, rtol=tolerance)
    wanted = (wide - wide.mean(axis=1, keepdims=True)) * scale[:, None]
    np.testing.assert_allclose(y, wanted, rtol=tolerance, atol=tolerance)
    arrays.normalize(x, x, inverse, 0.01)
    np.testing.assert_array_equal(x, y)


def test_huge_rows_are_normalized(rng):
    x = np.array([[1e30, -1e30, 0, 2e30], [3e38, 3e38, 3e38, 3e38]], "f")
    y, inverse = np.empty_like(x), np.empty(2, "f")
    arrays.normalize(x, y, inverse, 1e-3)
    wide = x.astype(float)
    wanted = (wide - wide.mean(axis=1, keepdims=True)) / np.sqrt(
        wide.var(axis=1, keepdims=True) + 1e-3
    )
    np.testing.assert_allclose(y[0], wanted[0], rtol=1e-5)
    np.testing.assert_array_equal(y[1], 0)
