"""CTC in the kernels: against all alignments written out, for any number of threads."""

import itertools

import numpy as np
import pytest
from differences import central_differences

from gatewise.kernels import ctc


def collapsed(path, blank):
    """Labels of an alignment: equal neighbours once, then no blanks."""
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def by_enumeration(z, labels, blank):
    """-log of the sum over all alignments of the product of their probabilities."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    total = sum(
        np.prod([p[t, k] for t, k in enumerate(path)])
        for path in itertools.product(range(z.shape[1]), repeat=len(z))
        if collapsed(path, blank) == tuple(labels)
    )
    return -np.log(total) if total else np.inf


def padded(rows, blank, width=None):
    width = max([1, *map(len, rows)]) if width is None else width
    y = np.full((len(rows), width), blank, np.intp)
    for row, labels in zip(y, rows):
        row[: len(labels)] = labels
    return y, np.array([len(labels) for labels in rows], np.intp)


@pytest.mark.parametrize("blank", [0, 1, 2])
@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_beside_all_alignments(steps, blank, rng):
    """Every target of up to three labels, repeats among them, feasible or not."""
    letters = [k for k in range(3) if k != blank]
    rows = [labels for count in range(4) for labels in itertools.product(letters, repeat=count)]
    z = 2 * rng.normal(size=(len(rows), steps, 3))
    y, counts = padded(rows, blank)
    values = ctc.values(z, y, counts, blank=blank)
    np.testing.assert_allclose(
        values,
        [by_enumeration(z[r], rows[r], blank) for r in range(len(rows))],
        rtol=1e-12,
        atol=1e-15,
    )


ROWS = [(1, 2), (2, 2), (), (3,), (1, 1, 1), (3, 1, 2)]


def test_gradient_is_that_of_the_values(rng):
    z, lengths = rng.normal(size=(6, 7, 5)), np.array([7, 3, 4, 1, 5, 6])
    weights = np.array([1.0, 0.5, 2, 1, 3, 1])
    y, counts = padded(ROWS, 0)
    gradient = np.full_like(z, np.nan)
    values = ctc.values(z, y, counts, lengths, weights, 0, False, 0.3, gradient)
    numeric = central_differences(
        lambda z: 0.3 * ctc.values(z, y, counts, lengths, weights).sum(), z, 1e-3
    )
    np.testing.assert_allclose(gradient, numeric, rtol=1e-8, atol=1e-10)
    # with and without the gradient
    assert np.array_equal(values, ctc.values(z, y, counts, lengths, weights))
    assert not gradient[np.arange(7) >= lengths[:, None]].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("labels", "width"), [(3, 6), (40, 300)])
def test_threads_change_no_bit(labels, width, dtype, rng):
    z = rng.normal(size=(9, 2 * labels + 10, width)).astype(dtype)
    y = rng.integers(1, width, (9, labels))
    counts, lengths = rng.integers(0, labels + 1, 9), rng.integers(0, z.shape[1] + 1, 9)
    found = []
    for threads in (1, 2, 3, 9, 20):
        gradient = np.empty_like(z)
        found.append(
            (
                ctc.values(z, y, counts, lengths, gradient=gradient, threads=threads).tobytes(),
                gradient.tobytes(),
            )
        )
    assert len(set(found)) == 1


def test_float32_agrees_with_float64_over_many_steps(rng):
    z = 3 * rng.normal(size=(3, 600, 30))
    y, counts = rng.integers(1, 30, (3, 200)), np.array([200, 100, 0])
    wide, small = np.empty_like(z), np.empty(z.shape, np.float32)
    values = ctc.values(z, y, counts, gradient=wide)
    np.testing.assert_allclose(
        ctc.values(z.astype(np.float32), y, counts, gradient=small), values, rtol=1e-6
    )
    np.testing.assert_allclose(small, wide, atol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(rng):
    z, lengths = rng.normal(size=(6, 7, 5)).astype(np.float32), np.array([7, 3, 4, 1, 5, 6])
    y, counts = padded(ROWS, 0)
    together = ctc.values(z, y, counts, lengths)
    alone = [
        ctc.values(z[r : r + 1, : lengths[r]].copy(), *padded([ROWS[r]], 0))[0] for r in range(6)
    ]
    assert together.tolist() == alone


def test_rows_too_short_for_their_labels(rng):
    """(1, 1) needs three steps; length 0 holds no label, and exactly one empty reading."""
    z = rng.normal(size=(5, 4, 3))
    y, counts = padded([(1, 1), (1, 2, 1), (), (1,), (1, 2)], 0)
    lengths = np.array([2, 2, 0, 0, 2])
    gradient = np.full_like(z, np.nan)
    values = ctc.values(z, y, counts, lengths, gradient=gradient)
    assert values[:4].tolist() == [np.inf, np.inf, 0, np.inf] and 0 < values[4] < np.inf
    assert not gradient[:4].any() and gradient[4].any() and np.isfinite(gradient).all()
    again = np.empty_like(z)
    assert ctc.values(z, y, counts, lengths, zero_infinity=True, gradient=again).tolist() == [
        0,
        0,
        0,
        0,
        values[4],
    ]
    assert np.array_equal(again, gradient)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extreme_scores(dtype):
    """Differences of scores far beyond what exp can hold."""
    z = np.zeros((1, 3, 3), dtype)
    z[0, :, 1], z[0, :, 2] = 3e4, -3e4
    for labels, value in (((1,), 0), ((), 9e4), ((2,), 1.2e5)):
        gradient = np.empty_like(z)
        assert ctc.values(z, *padded([labels], 0), gradient=gradient)[0] == pytest.approx(
            value, rel=1e-5
        )
        assert np.isfinite(gradient).all()
    z[...] = np.finfo(dtype).max
    assert ctc.values(z, *padded([(1,)], 0), gradient=gradient)[0] == pytest.approx(
        -np.log(6 / 27), rel=1e-6
    )


def test_scores_that_are_no_numbers_show():
    for bad in (np.nan, np.inf):
        for at in np.ndindex(3, 3):
            z = np.zeros((2, 3, 3))
            z[0][at] = bad
            for rows in ([(1,), (1,)], [(1, 2, 1), ()], [(), (2,)]):
                gradient = np.empty_like(z)
                values = ctc.values(z, *padded(rows, 0), gradient=gradient)
                assert np.isnan(values[0]) and np.isfinite(values[1])
                z[0, :, :] = bad
                left_out = ctc.values(
                    z, *padded(rows, 0), weights=np.array([0.0, 1]), gradient=gradient
                )
                assert left_out.tolist() == [0, values[1]] and not gradient[0].any()


GIVEN = {
    "z": np.zeros((2, 4, 3), np.float32),
    "labels": np.ones((2, 2), np.intp),
    "counts": np.array([2, 1]),
}


@pytest.mark.parametrize(
    "change",
    [
        {"labels": np.full((2, 2), 3)},
        {"labels": np.full((2, 2), -1)},
        {"labels": np.ones((3, 2), np.intp)},
        {"labels": np.ones((2, 2), np.int32)},
        {"counts": np.array([3, 1])},
        {"counts": np.array([-1, 1])},
        {"counts": np.array([1])},
        {"lengths": np.array([5, 1])},
        {"lengths": np.array([-1, 1])},
        {"lengths": np.array([1])},
        {"weights": np.ones(3)},
        {"weights": np.ones(2, np.float32)},
        {"blank": 3},
        {"blank": -1},
        {"gradient": np.zeros((2, 4, 3))},
        {"gradient": np.zeros((2, 4, 2), np.float32)},
    ],
    ids=str,
)
def test_arrays_that_do_not_fit_are_never_touched(change):
    with pytest.raises(AssertionError, match="kernel expects"):
        ctc.values(**GIVEN | change)


def test_the_scratch_of_huge_extents_is_counted_without_overflow():
    assert ctc.scratch_size(2**31 - 1, 2**31 - 1, 2**31 - 1, False) > 2**33
    assert ctc.scratch_size(10, 3, 5, True) == 5 * 9 + 5 + 2 * 10 + 10 * 9
