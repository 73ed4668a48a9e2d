"""Losses in the kernels.

Beside formulas in float64, with any number of threads, and what they refuse.
"""

import numpy as np
import pytest

from gatewise.kernels import arrays, losses

KINDS = sorted(losses.KINDS)


def targets(kind, n, columns, rng, dtype):
    if kind == "sparse_crossentropy":
        return rng.integers(0, columns, n).astype(np.intp)
    if kind == "binary_crossentropy":
        return rng.integers(0, 2, (n, columns)).astype(dtype)
    if "hinge" in kind:
        return rng.choice([-1, 1], (n, columns)).astype(dtype)
    if kind == "categorical_crossentropy":
        return rng.dirichlet(np.ones(columns), n).astype(dtype)
    return rng.normal(size=(n, columns)).astype(dtype)


DELTA, SMOOTHING = 0.7, 0.2
OPTIONS = {"huber": DELTA, "sparse_crossentropy": SMOOTHING}


def rows_by_formula(kind, y, p):
    """(value of each row, its gradient) in float64, straight from the definitions."""
    p = p.astype(np.float64)
    elementwise = {
        "huber": lambda e: (
            np.where(abs(e) <= DELTA, e * e / 2, DELTA * abs(e) - DELTA**2 / 2),
            np.clip(e, -DELTA, DELTA),
        ),
        "log_cosh": lambda e: (np.log(np.cosh(e)), np.tanh(e)),
        "percentage_error": lambda e: (100 * abs(e / y), 100 * np.sign(e) / abs(y)),
        "hinge": lambda e: (np.maximum(1 - y * p, 0), np.where(y * p < 1, -y, 0)),
        "squared_hinge": lambda e: (
            np.maximum(1 - y * p, 0) ** 2,
            -2 * y * np.maximum(1 - y * p, 0),
        ),
    }
    if kind in elementwise:
        y = y.astype(np.float64)
        values, slopes = elementwise[kind](p - y)
        return values.mean(axis=1), slopes / p.shape[1]
    if kind == "squared_error":
        return ((p - y) ** 2).mean(axis=1), 2 * (p - y) / p.shape[1]
    if kind == "absolute_error":
        return abs(p - y).mean(axis=1), np.sign(p - y) / p.shape[1]
    if kind == "binary_crossentropy":
        s = 1 / (1 + np.exp(-p))
        return -(y * np.log(s) + (1 - y) * np.log(1 - s)).mean(axis=1), (s - y) / p.shape[1]
    soft = np.exp(p) / np.exp(p).sum(axis=1, keepdims=True)
    if kind == "sparse_crossentropy":
        y = (1 - SMOOTHING) * np.eye(p.shape[1])[y] + SMOOTHING / p.shape[1]
    y = y.astype(np.float64)
    return -(y * np.log(soft)).sum(axis=1), soft * y.sum(axis=1, keepdims=True) - y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("columns", [1, 2, 7, 16, 37, 1100])
@pytest.mark.parametrize("kind", KINDS)
def test_beside_the_formulas(kind, columns, weighted, dtype, rng):
    n, tolerance = 33, 1e-5 if dtype == np.float32 else 1e-12
    p, y = rng.normal(size=(n, columns)).astype(dtype), targets(kind, n, columns, rng, dtype)
    weights = rng.uniform(0, 2, n) if weighted else None
    values, slopes = rows_by_formula(kind, y, p)
    gradient = np.full_like(p, np.nan)
    option = OPTIONS.get(kind, 0)
    total = losses.total(kind, y, p, weights, 0.25, gradient, option=option)
    w = np.ones(n) if weights is None else weights
    assert total == pytest.approx((values * w).sum(), rel=tolerance)
    np.testing.assert_allclose(
        gradient,
        0.25 * w[:, None] * slopes,
        rtol=tolerance,
        atol=tolerance * (abs(slopes).max() or 1),
    )
    # with and without the gradient
    assert losses.total(kind, y, p, weights, option=option) == total


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_weight_zero_are_not_looked_at(kind, dtype, rng):
    p, y = rng.normal(size=(6, 5)).astype(dtype), targets(kind, 6, 5, rng, dtype)
    p[1], p[3], p[4, 2] = np.nan, np.inf, -np.inf
    weights, kept = np.array([1.0, 0, 2, 0, 0, 0.5]), [0, 2, 5]
    gradient, alone = np.full_like(p, np.nan), np.empty((3, 5), dtype)
    assert losses.total(kind, y, p, weights, 0.5, gradient) == losses.total(
        kind, y[kept], p[kept], weights[kept], 0.5, alone
    )
    assert not gradient[[1, 3, 4]].any() and np.array_equal(gradient[kept], alone)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 4e-16)])
def test_log_cosh_keeps_small_values_and_large_ones(dtype, tolerance):
    """log cosh e is e^2 / 2 - e^4 / 12 near 0 and |e| - log 2 far out.

    Neither cancels nor overflows.
    """
    for e in (1e-15, 1e-8, 1e-4, 1e-3, 0.03):
        true = e**2 / 2 - e**4 / 12 + e**6 / 45
        assert losses.total(
            "log_cosh", np.zeros((1, 1), dtype), np.full((1, 1), e, dtype)
        ) == pytest.approx(true, rel=max(tolerance, 17 * e**6 / 1260))
    for e in (0.99999, 1, 1.0001, 3, 40, 1e6, 1e30):
        true = e - np.log(2) + np.log1p(np.exp(-2 * e))
        for sign in (-1, 1):
            gradient = np.empty((1, 1), dtype)
            at = np.full((1, 1), sign * e, dtype)
            value = losses.total("log_cosh", np.zeros((1, 1), dtype), at, gradient=gradient)
            assert value == pytest.approx(true, rel=4 * tolerance)
            assert gradient[0, 0] == pytest.approx(np.tanh(sign * e), rel=4 * tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(100_000, 1), (20_000, 7), (40, 5000), (0, 3)], ids=str)
def test_threads_change_no_bit(kind, shape, rng):
    p, y = rng.normal(size=shape).astype(np.float32), targets(kind, *shape, rng, np.float32)
    weights = rng.uniform(0, 2, shape[0])
    found = []
    for threads in (1, 2, 3, 5):
        gradient = np.empty_like(p)
        found.append(
            (losses.total(kind, y, p, weights, 1 / 3, gradient, threads), gradient.tobytes())
        )
    assert len(set(found)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_scores_far_out_and_nan(kind, rng):
    """No overflow where the value is finite; NaN shows."""
    p = np.array([[80.0, -80.0, 0.0], [1e4, 1e4, -1e4]], np.float32)
    y = (
        np.array([0, 1])
        if kind == "sparse_crossentropy"
        else np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    )
    assert np.isfinite(losses.total(kind, y, p, gradient=np.empty_like(p)))
    p[1, 2] = np.nan
    gradient = np.empty_like(p)
    assert np.isnan(losses.total(kind, y, p, gradient=gradient)) and np.isnan(gradient[1, 2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", [-40.0, -20, -12, -1, 0, 1, 12, 20, 40])
def test_binary_crossentropy_keeps_small_values(score, dtype):
    """Where the answer is right and sure, the loss is small, not zero."""
    for target, true in ((1, np.log1p(np.exp(-score))), (0, np.log1p(np.exp(score)))):
        got = losses.total(
            "binary_crossentropy", np.full((1, 1), target, dtype), np.full((1, 1), score, dtype)
        )
        assert got == pytest.approx(true, rel=1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("weights", [None, np.ones(1)], ids=["plain", "weighted"])
@pytest.mark.parametrize("kind", ["squared_error", "sparse_crossentropy"])
def test_wide_rows_are_not_summed_in_one_float(kind, weights):
    p = np.full((1, 2_000_000), 0.5, np.float32)
    y, true = (
        (np.zeros_like(p), 0.25) if kind == "squared_error" else (np.zeros(1, np.intp), np.log(2e6))
    )
    assert losses.total(kind, y, p, weights) == pytest.approx(true, rel=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"y": np.zeros((4, 2), np.float32)},
        {"y": np.zeros((4, 3))},
        {"p": np.zeros((4, 3), np.float32)[:, ::-1]},
        {"weights": np.ones(3)},
        {"weights": np.ones(4, np.float32)},
        {"gradient": np.zeros((3, 3), np.float32)},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_never_touched(change):
    given = {"y": np.zeros((4, 3), np.float32), "p": np.zeros((4, 3), np.float32)} | change
    with pytest.raises(AssertionError, match="kernel expects"):
        losses.total("squared_error", **given)


@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
def test_classes_outside_the_columns_are_never_read(wrong):
    with pytest.raises(AssertionError, match="classes within the columns"):
        losses.total("sparse_crossentropy", np.array([0, wrong]), np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(0,), (5, 7), (300, 200)], ids=str)
def test_dropout_masks(dtype, shape, rng):
    draws = rng.random(shape, np.float32)
    expected = np.where(draws >= np.float32(0.3), np.dtype(dtype).type(1 / 0.7), 0)
    for threads in (1, 3):
        keep = arrays.dropout_mask(draws.copy(), 0.3, dtype, threads)
        assert keep.dtype == dtype and np.array_equal(keep, expected)
