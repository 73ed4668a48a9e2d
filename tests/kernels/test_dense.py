"""The dense product and its gradients, called as the layers call them."""

import numpy as np
import pytest

from gatewise.kernels import activations, dense
from gatewise.threads import single_threaded_blas

LINEAR = activations.code("linear")
# Rows around the tiles (3 or 6) and the blocks of 384; inputs and columns around vectors and
# panels.
SHAPES = [
    (1, 1, 1),
    (1, 7, 5),
    (2, 3, 17),
    (5, 16, 16),
    (6, 5, 64),
    (7, 33, 37),
    (13, 1, 70),
    (383, 3, 10),
    (385, 17, 129),
    (1000, 4, 33),
    (3, 1, 300),
    (0, 3, 5),
    (100, 97, 65),
    (40, 520, 33),
    (5, 515, 1030),
]


def forward(x, w, b=None, activation=LINEAR, threads=1):
    """y, in memory that must not be written past its end."""
    n, columns = x.shape[0], w.shape[1]
    room = np.full(n * columns + 70, 7.5, x.dtype)
    y = room[: n * columns].reshape(n, columns)
    dense.forward(x, dense.pack(w, b), y, activation, threads)
    assert (room[n * columns :] == 7.5).all(), "written past the end"
    return y


def whole(rng, shape, dtype):
    """Whole numbers so small that sums and products of them are exact in any order."""
    return rng.integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_forward_is_exact_on_whole_numbers(shape, with_bias, dtype, rng):
    n, inputs, columns = shape
    x, w, b = (
        whole(rng, (n, inputs), dtype),
        whole(rng, (inputs, columns), dtype),
        whole(rng, columns, dtype),
    )
    wanted = x @ w + b if with_bias else x @ w
    np.testing.assert_array_equal(forward(x, w, b if with_bias else None), wanted)


def test_every_number_of_columns(dtype, rng):
    for columns in range(1, 71):
        x, w, b = (
            whole(rng, (7, 3), dtype),
            whole(rng, (3, columns), dtype),
            whole(rng, columns, dtype),
        )
        np.testing.assert_array_equal(forward(x, w, b), x @ w + b)


@pytest.mark.parametrize("name", sorted(activations.NAMES))
def test_forward_applies_the_activation(name, dtype, rng):
    from gatewise.kernels import arrays

    x, w = rng.normal(size=(9, 5)).astype(dtype), rng.normal(size=(5, 37)).astype(dtype)
    linear, wanted = forward(x, w), np.empty((9, 37), dtype)
    arrays.activate(linear, wanted, activations.code(name))
    np.testing.assert_array_equal(forward(x, w, None, activations.code(name)), wanted)


def test_forward_error(dtype, tolerance, rng):
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((50, 400), (400, 37), 37))
    wanted = x.astype(np.longdouble) @ w.astype(np.longdouble) + b
    scale = np.abs(x).astype(np.float64) @ np.abs(w) + np.abs(b)
    assert (np.abs(forward(x, w, b) - wanted) / scale).max() <= 10 * tolerance.step


def test_a_row_is_the_same_bits_alone_and_anywhere(dtype, rng):
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((1000, 33), (33, 37), 37))
    y = forward(x, w, b)
    for n in (*range(1, 14), 93, 383, 384, 385):
        for start in (0, 1, 500):
            np.testing.assert_array_equal(forward(x[start : start + n], w, b), y[start : start + n])


# own tiles; BLAS
@pytest.mark.parametrize(("n", "inputs", "columns"), [(1000, 33, 300), (400, 520, 600)])
def test_threads_give_the_same_bits(n, inputs, columns, dtype, rng):
    x, w, b, dz = (
        rng.normal(size=s).astype(dtype)
        for s in ((n, inputs), (inputs, columns), columns, (n, columns))
    )

    def all_results(threads):
        d_w, d_b, dx = np.ones_like(w), np.ones_like(b), np.empty_like(x)
        with single_threaded_blas():
            dense.backward(x, w, dz, d_w, d_b, dx, threads)
        return forward(x, w, b, activations.code("tanh"), threads), d_w, d_b, dx

    one = all_results(1)
    for threads in (2, 3, 5):
        for got, wanted in zip(all_results(threads), one):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_backward_is_exact_on_whole_numbers(shape, dtype, rng):
    n, inputs, columns = shape
    x, w, dz = (
        whole(rng, (n, inputs), dtype),
        whole(rng, (inputs, columns), dtype),
        whole(rng, (n, columns), dtype),
    )
    d_w, d_b = np.full((inputs, columns), 2, dtype), np.full(columns, 3, dtype)
    dx = np.full((n, inputs), np.nan, dtype)  # written, not read
    dense.backward(x, w, dz, d_w, d_b, dx)
    np.testing.assert_array_equal(d_w, 2 + x.T @ dz)  # added
    np.testing.assert_array_equal(d_b, 3 + dz.sum(axis=0))
    np.testing.assert_array_equal(dx, dz @ w.T)
    again = np.full((inputs, columns), 2, dtype)
    dense.backward(x, w, dz, again)  # neither bias nor dx wanted
    np.testing.assert_array_equal(again, d_w)


def test_wrong_arrays_are_refused(dtype):
    """Each as large as the right one or larger, so that a hole in the guard would not crash."""
    n, inputs, columns = 8, 4, 16
    other = {"float32": "int32", "float64": "int64"}[dtype]
    x, w, b, y = (
        np.zeros(s, dtype) for s in ((n, inputs), (inputs, columns), columns, (n, columns))
    )
    packed = dense.pack(w, b)

    def spoil(array):
        yield np.zeros((array.shape[0] + 1, *array.shape[1:]), dtype)
        yield np.zeros(array.shape, other)
        if array.ndim == 2:
            yield np.zeros(array.shape, dtype, order="F")
            yield np.zeros((array.shape[0], 2 * array.shape[1]), dtype)[:, ::2]

    calls = {
        "pack w": (
            w,
            lambda a: dense.pack(a, b) if a.shape == w.shape and a.dtype == w.dtype else refused(),
        ),
        "pack b": (b, lambda a: dense.pack(w, a)),
        "forward x": (x, lambda a: dense.forward(a, packed, y, LINEAR)),
        "forward packed": (packed, lambda a: dense.forward(x, a, y, LINEAR)),
        "forward y": (y, lambda a: dense.forward(x, packed, a, LINEAR)),
        "backward x": (x, lambda a: dense.backward(a, w, y, w.copy(), b, x)),
        "backward w": (w, lambda a: dense.backward(x, a, y, w.copy(), b, x)),
        "backward dz": (y, lambda a: dense.backward(x, w, a, w.copy(), b, x)),
        "backward d_w": (w, lambda a: dense.backward(x, w, y, a, b, x)),
        "backward d_b": (b, lambda a: dense.backward(x, w, y, w.copy(), a, x)),
        "backward dx": (x, lambda a: dense.backward(x, w, y, w.copy(), b, a)),
    }

    def refused():  # pack takes its sizes from w itself
        raise AssertionError("kernel expects")

    for name, (right, call) in calls.items():
        for wrong in spoil(right):
            with pytest.raises(AssertionError, match="kernel expects"):
                call(wrong)
                pytest.fail(f"{name} accepts {wrong.dtype} {wrong.shape}")
