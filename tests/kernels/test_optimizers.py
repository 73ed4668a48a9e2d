"""One update of each optimizer against its formula in NumPy."""

import itertools

import numpy as np
import pytest

from gatewise.kernels import optimizers

# Tails of every vector, and both sides of the chunks of 16384 that threads take.
LENGTHS = [*range(1, 36), 63, 64, 65, 1000, 16383, 16384, 16385, 50003]


def arrays(rng, n, count, dtype):
    """Arrays in one block with gaps between them, and a check that the gaps were not written to."""
    gap = 70
    block = np.full(count * (n + gap), 7.5, dtype)
    parts = [block[k * (n + gap) : k * (n + gap) + n] for k in range(count)]
    for part in parts:
        part[:] = rng.normal(size=n)

    def unharmed():
        return all(
            (block[k * (n + gap) + n : (k + 1) * (n + gap)] == 7.5).all() for k in range(count)
        )

    return parts, unharmed


def agree(got, wanted, tolerance):
    np.testing.assert_allclose(got, wanted, rtol=tolerance.step, atol=tolerance.step)


def sgd(p, g, v, lr, momentum, nesterov, decay):
    p = p - decay * p
    if v is None:
        return p - lr * g, None
    v = momentum * v - lr * g
    return (p + momentum * v - lr * g if nesterov else p + v), v


def rmsprop(p, g, v, g_mean, m, lr, rho, momentum, eps, decay):
    v = rho * v + (1 - rho) * g**2
    s = v
    if g_mean is not None:
        g_mean = rho * g_mean + (1 - rho) * g
        s = v - g_mean**2
    step = lr * g / np.sqrt(s + eps)
    if m is not None:
        m = step = momentum * m + step
    return p - decay * p - step, v, g_mean, m


def adam(p, g, m, v, v_max, lr, lr_gradient, beta1, beta2, eps, decay):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    s = v
    if v_max is not None:
        v_max = s = np.maximum(v_max, v)
    return p - decay * p - (lr * m + lr_gradient * g) / (np.sqrt(s) + eps), m, v, v_max


def adagrad(p, g, total, lr, eps, decay):
    total = total + g**2
    return p - decay * p - lr * g / np.sqrt(total + eps), total


def lion(p, g, m, lr, beta1, beta2, decay):
    return p - decay * p - lr * np.sign(beta1 * m + (1 - beta1) * g), beta2 * m + (1 - beta2) * g


def wide(array):
    return None if array is None else array.astype(np.float64)


# name -> (kernel, formula, for each array after p and g whether the option is on, constants)
UPDATES = {
    "sgd": (optimizers.sgd, sgd, [False], (0.1, 0.9, False, 0.0)),
    "sgd, momentum": (optimizers.sgd, sgd, [True], (0.1, 0.9, False, 0.01)),
    "sgd, nesterov": (optimizers.sgd, sgd, [True], (0.1, 0.9, True, 0.01)),
    "rmsprop": (optimizers.rmsprop, rmsprop, [True, False, False], (0.01, 0.9, 0.8, 1e-7, 0.0)),
    "rmsprop, momentum": (
        optimizers.rmsprop,
        rmsprop,
        [True, False, True],
        (0.01, 0.9, 0.8, 1e-7, 0.02),
    ),
    "rmsprop, centered": (
        optimizers.rmsprop,
        rmsprop,
        [True, True, False],
        (0.01, 0.9, 0.8, 1e-7, 0.02),
    ),
    "rmsprop, both": (
        optimizers.rmsprop,
        rmsprop,
        [True, True, True],
        (0.01, 0.9, 0.8, 1e-7, 0.02),
    ),
    "adam": (optimizers.adam, adam, [True, True, False], (0.01, 0.0, 0.9, 0.999, 1e-7, 0.0)),
    "adam, decay": (
        optimizers.adam,
        adam,
        [True, True, False],
        (0.01, 0.0, 0.9, 0.999, 1e-7, 0.004),
    ),
    "adam, amsgrad": (
        optimizers.adam,
        adam,
        [True, True, True],
        (0.01, 0.0, 0.9, 0.999, 1e-7, 0.004),
    ),
    "nadam": (optimizers.adam, adam, [True, True, False], (0.01, 0.003, 0.9, 0.999, 1e-7, 0.004)),
    "adagrad": (optimizers.adagrad, adagrad, [True], (0.1, 1e-7, 0.02)),
    "lion": (optimizers.lion, lion, [True], (0.01, 0.9, 0.99, 0.02)),
}


def operands(rng, name, n, dtype):
    """(all arrays, those that the kernel receives, a check that nothing else was written to).

    The arrays are p, g and the state.
    """
    uses = UPDATES[name][2]
    every, unharmed = arrays(rng, n, 2 + len(uses), dtype)
    if name.startswith("rmsprop"):
        every[3] *= 0.1
    squares = {"rmsprop": [2], "adam": [3, 4], "nadam": [3, 4], "adagrad": [2]}.get(
        name.split(",")[0], []
    )
    for k in squares:  # larger than the square of the mean
        every[k][:] = np.abs(every[k]) + 1
    return (
        every,
        [every[0], every[1], *(array if used else None for array, used in zip(every[2:], uses))],
        unharmed,
    )


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_follows_the_formula(name, dtype, tolerance, rng):
    kernel, formula, _, constants = UPDATES[name]
    for n in LENGTHS:
        every, given, unharmed = operands(rng, name, n, dtype)
        before = [array.copy() for array in every]
        wanted = formula(*map(wide, given), *constants)
        kernel(*given, *constants)
        for got, expected in zip([given[0], *given[2:]], wanted, strict=True):
            assert (got is None) == (expected is None)
            if got is not None:
                agree(got, expected, tolerance)
        for array, old, argument in zip(every[1:], before[1:], [None, *given[2:]]):
            if argument is None:  # the gradient, and state that this option does without
                np.testing.assert_array_equal(array, old)
        assert unharmed()


@pytest.mark.parametrize("steps", [0, 2, 7])
def test_accumulated_gradients(steps, dtype, tolerance, rng):
    for n in LENGTHS:
        (total, g), unharmed = arrays(rng, n, 2, dtype)
        whole = total + g
        before = g.copy()
        optimizers.accumulate(total, g, steps)
        np.testing.assert_array_equal(total, 0 if steps else whole)
        agree(g, whole / steps if steps else before, tolerance)
        assert unharmed()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.99, 1.0])
def test_running_mean_of_parameters(momentum, overwrite, dtype, tolerance, rng):
    for n in LENGTHS:
        (p, mean), unharmed = arrays(rng, n, 2, dtype)
        wanted, before = momentum * wide(mean) + (1 - momentum) * wide(p), p.copy()
        optimizers.average(p, mean, momentum, overwrite)
        agree(mean, wanted, tolerance)
        np.testing.assert_array_equal(p, mean if overwrite else before)
        if momentum == 0:
            np.testing.assert_array_equal(mean, before)
        assert unharmed()


def test_rates_near_one_are_not_rounded_before_they_are_taken_from_one():
    """1 - 0.999 in float32 is wrong in the fifth digit."""
    p, g, m, v = (np.full(9, value, np.float32) for value in (0, 1, 0, 0))
    optimizers.adam(p, g, m, v, None, 0.1, 0.0, 0.9, 0.999, 1e-7)
    np.testing.assert_allclose(v, 0.001, rtol=1e-7)
    np.testing.assert_allclose(m, 0.1, rtol=1e-7)


def test_a_mean_without_memory_is_the_gradient(dtype):
    """Small after large: nothing of the large one is left."""
    p, g, m, v = np.zeros(9, dtype), np.full(9, 1e-6, dtype), np.ones(9, dtype), np.ones(9, dtype)
    optimizers.adam(p, g, m, v, None, 0.1, 0.0, 0.0, 0.0, 1e-7)
    np.testing.assert_array_equal(m, g)
    np.testing.assert_array_equal(v, g * g)


def test_a_centered_mean_square_is_never_negative(dtype, rng):
    """Gradients that hardly change: v - mean^2 is all rounding."""
    for scale in 10.0 ** np.arange(-3, 6):
        g = (scale * rng.uniform(1, 2, 1000)).astype(dtype)
        p, v, mean = (np.zeros(1000, dtype) for _ in range(3))
        for _ in range(200):
            optimizers.rmsprop(p, g, v, mean, None, 0.01, 0.9, 0.0, 1e-7)
            assert np.isfinite(p).all(), scale


def test_nan_is_not_hidden(dtype):
    """A NaN in a gradient reaches the parameter: the loss then tells."""
    for name, (kernel, _, uses, constants) in UPDATES.items():
        p, g = np.ones(37, dtype), np.ones(37, dtype)
        g[5] = np.nan
        kernel(p, g, *(np.ones(37, dtype) if used else None for used in uses), *constants)
        np.testing.assert_array_equal(np.isnan(p), np.isnan(g), name)


def test_many_steps_follow_the_formula(dtype, tolerance, rng):
    """200 steps down a bowl.

    Small errors of one step would add up, and the state must be carried.
    """
    p = rng.normal(size=40).astype(dtype)
    m, v = np.zeros_like(p), np.zeros_like(p)
    wanted, wanted_m, wanted_v = wide(p), wide(m), wide(v)
    for step in range(1, 201):
        lr = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        optimizers.adam(p, p.copy(), m, v, None, lr, 0.0, 0.9, 0.999, 1e-7)
        wanted, wanted_m, wanted_v, _ = adam(
            wanted, wanted, wanted_m, wanted_v, None, lr, 0.0, 0.9, 0.999, 1e-7, 0.0
        )
    np.testing.assert_allclose(p, wanted, rtol=0, atol=1000 * tolerance.step)


CALLS = {
    "sgd": (3, lambda p, g, v, threads: optimizers.sgd(p, g, v, 0.1, 0.9, True, 0.01, threads)),
    "rmsprop": (
        5,
        lambda p, g, v, c, m, threads: optimizers.rmsprop(
            p, g, v, c, m, 0.1, 0.9, 0.8, 1e-7, 0.01, threads
        ),
    ),
    "adam": (
        5,
        lambda p, g, m, v, x, threads: optimizers.adam(
            p, g, m, v, x, 0.1, 0.02, 0.9, 0.99, 1e-7, 0.01, threads
        ),
    ),
    "adagrad": (3, lambda p, g, a, threads: optimizers.adagrad(p, g, a, 0.1, 1e-7, 0.01, threads)),
    "lion": (3, lambda p, g, m, threads: optimizers.lion(p, g, m, 0.1, 0.9, 0.99, 0.01, threads)),
    "accumulate": (2, lambda total, g, threads: optimizers.accumulate(total, g, 0, threads)),
    "accumulate, last": (2, lambda total, g, threads: optimizers.accumulate(total, g, 3, threads)),
    "average": (2, lambda p, mean, threads: optimizers.average(p, mean, 0.9, False, threads)),
    "average, overwrite": (
        2,
        lambda p, mean, threads: optimizers.average(p, mean, 0.9, True, threads),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_threads_and_position_give_the_same_bits(name, dtype, rng):
    """Any number of threads, and any place of an element in the buffer."""
    count, call = CALLS[name]
    for n in (16384, 16385, 100001):
        start = [np.abs(rng.normal(size=n)).astype(dtype) for _ in range(count)]
        if name == "rmsprop":
            start[3] *= 0.01
        one = [a.copy() for a in start]
        call(*one, 1)
        assert all(np.isfinite(a).all() for a in one)
        for threads in (2, 3, 5):
            many = [a.copy() for a in start]
            call(*many, threads)
            for got, wanted in zip(many, one):
                np.testing.assert_array_equal(got, wanted)
        for piece in (slice(0, 3), slice(16380, 16385), slice(n - 1, n)):
            part = [a[piece].copy() for a in start]
            call(*part, 1)
            for got, wanted in zip(part, one):
                np.testing.assert_array_equal(got, wanted[piece])


@pytest.mark.parametrize("name", CALLS)
def test_an_empty_buffer_is_left_alone(name, dtype):
    count, call = CALLS[name]
    call(*(np.empty(0, dtype) for _ in range(count)), 2)


@pytest.mark.parametrize("name", CALLS)
def test_wrong_arrays_are_refused(name, dtype):
    """Each as large as the right one or larger, so that a hole in the guard would not crash."""
    count, call = CALLS[name]
    n = 64
    wrongs = [
        np.ones(n + 1, dtype),
        np.ones(2 * n, dtype)[::2],
        np.ones((n, 1), dtype),
        np.ones(n, dtype.replace("float", "int")),
    ]
    for at, wrong in itertools.product(range(count), wrongs):
        right = [np.ones(n, dtype) for _ in range(count)]
        right[at] = wrong
        with pytest.raises(AssertionError, match="kernel expects"):
            call(*right, 1)
            pytest.fail(f"array {at} may be {wrong.dtype} {wrong.shape}")


def test_buffers_of_whole_numbers_are_refused():
    accepted = []
    for name, (count, call) in CALLS.items():
        try:
            call(*(np.ones(64, np.int64) for _ in range(count)), 1)
            accepted.append(name)
        except (AssertionError, TypeError):
            pass
    assert not accepted, f"int64 is read as float64 by {accepted}"
