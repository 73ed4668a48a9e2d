"""Attention in the kernels: shapes around the tiles, against NumPy, and memory past the ends."""

import numpy as np
import pytest
from reference import softmax

from gatewise.kernels import attention

# Rows, steps of the query and the value, features of the key and the value: around the tiles, the
# vectors, the panels and the blocks of 96 queries.
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 1, 20, 128, 128),
    (3, 7, 17, 5, 33),
    (2, 97, 65, 16, 3),
    (1, 193, 130, 3, 70),
    (4, 6, 64, 48, 1),
    (0, 3, 4, 5, 6),
]


def guarded(shape, dtype):
    """An array, and a function that asserts that nothing past its end was written."""
    size = int(np.prod(shape))
    room = np.full(size + 70, 7.5, dtype)

    def check():
        assert (room[size:] == 7.5).all(), "written past the end"

    return room[:size].reshape(shape), check


def scores_of(query, key, additive, scale):
    if additive is None:
        return scale * (query @ key.T)
    return np.tanh(scale * (query[:, None] + key)) @ additive


@pytest.mark.parametrize("kind", ["dot", "additive"])
@pytest.mark.parametrize("shape", SHAPES)
def test_against_numpy(shape, kind, dtype, rng):
    rows, queries, steps, features, width = shape
    query = rng.normal(size=(rows, queries, features)).astype(dtype)
    key = rng.normal(size=(rows, steps, features)).astype(dtype)
    value = rng.normal(size=(rows, steps, width)).astype(dtype)
    additive = rng.normal(size=features).astype(dtype) if kind == "additive" else None
    lengths = {
        "query_lengths": rng.integers(0, queries + 1, rows),
        "value_lengths": rng.integers(0, steps + 1, rows),
    }
    mask = rng.integers(0, 3, (rows, queries, steps)).astype(dtype)
    tolerance = 2e-4 if dtype == "float32" else 1e-11
    for causal in (False, True):
        y, check = guarded((rows, queries, width), dtype)
        weights, check_weights = guarded((rows, queries, steps), dtype)
        options = {"additive": additive, "scale": 0.7, "mask": mask, **lengths}
        attention.forward(query, value, key, y, weights, causal=causal, threads=2, **options)
        check(), check_weights()
        attention.spread(weights, **lengths)
        for row in range(rows):
            n, m = (ends[row] for ends in lengths.values())
            expected, found = np.zeros((queries, width)), np.zeros((queries, steps))
            scores = scores_of(
                query[row].astype(float), key[row].astype(float), additive, options["scale"]
            )
            for i in range(n if m else 0):
                seen = min(i + 1, m) if causal else m
                found[i, :seen] = softmax(scores[i, :seen])
                expected[i] = (found[i] * mask[row, i]) @ value[row]
            np.testing.assert_allclose(y[row], expected, atol=10 * tolerance)
            np.testing.assert_allclose(weights[row], found, atol=tolerance)
        alone = np.empty_like(y)
        attention.forward(query, value, key, alone, causal=causal, **options)
        assert alone.tobytes() == y.tobytes()  # without weights, in one thread


@pytest.mark.parametrize("kind", ["dot", "additive"])
@pytest.mark.parametrize("shape", SHAPES[:4])
def test_gradients_of_any_number_of_threads_stay_in_their_memory(shape, kind, dtype, rng):
    rows, queries, steps, features, width = shape
    query, key, value, dy = (
        rng.normal(size=size).astype(dtype)
        for size in (
            (rows, queries, features),
            (rows, steps, features),
            (rows, steps, width),
            (rows, queries, width),
        )
    )
    additive = rng.normal(size=features).astype(dtype) if kind == "additive" else None
    results = []
    for threads in (1, 2, 3):
        weights, y = np.empty((rows, queries, steps), dtype), np.empty_like(dy)
        attention.forward(query, value, key, y, weights, additive=additive, threads=threads)
        arrays = [guarded(part.shape, dtype) for part in (query, value, key)]
        extra = {}
        if additive is not None:
            arrays.append(guarded((rows, features), dtype))
            extra = {"additive": additive, "d_additive": arrays[3][0], "d_scale": np.empty(rows)}
        attention.backward(
            query, value, key, weights, dy, *(a for a, _ in arrays[:3]), threads=threads, **extra
        )
        for _, check in arrays:
            check()
        results.append(b"".join(a.tobytes() for a, _ in arrays))
    assert results[0] == results[1] == results[2]


def test_lengths_past_the_steps_are_refused(rng):
    x = rng.normal(size=(2, 3, 4))
    for lengths in ([1, 4], [-1, 2]):
        with pytest.raises(AssertionError, match="lengths within the steps"):
            attention.forward(x, x, x, np.empty_like(x), value_lengths=np.array(lengths))
