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
    parts = [block[k * (n + gap):k * (n + gap) + n] for k in range(count)]
    for part in parts:
        part[:] = rng.normal(size=n)

    def unharmed():
        return all((block[k * (n + gap) + n:(k + 1) * (n + gap)] == 7.5).all() for k in range(count))

    return parts, unharmed


def agree(got, wanted, tolerance):
    np.testing.assert_allclose(got, wanted, rtol=tolerance.step, atol=tolerance.step)


def sgd(p, g, v, lr, momentum, nesterov):
    if v is None:
        return p - lr * g, None
    v = momentum * v - lr * g
    return (p + momentum * v - lr * g if nesterov else p + v), v


def rmsprop(p, g, v, g_mean, m, lr, rho, momentum, eps):
    v = rho * v + (1 - rho) * g**2
    s = v
    if g_mean is not None:
        g_mean = rho * g_mean + (1 - rho) * g
        s = v - g_mean**2
    step = lr * g / np.sqrt(s + eps)
    if m is not None:
        m = step = momentum * m + step
    return p - step, v, g_mean, m


def adam(p, g, m, v, lr, beta1, beta2, eps, decay):
    p = p - decay * p
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g**2 - v)
    return p - lr * m / (np.sqrt(v) + eps), m, v


def wide(array):
    return None if array is None else array.astype(np.float64)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("with_momentum", [False, True])
def test_sgd(with_momentum, nesterov, dtype, tolerance, rng):
    for n in LENGTHS:
        (p, g, v), unharmed = arrays(rng, n, 3, dtype)
        given = v if with_momentum else None
        before = v.copy()
        new_p, new_v = sgd(wide(p), wide(g), wide(given), 0.1, 0.9, nesterov)
        gradient = g.copy()
        optimizers.sgd(p, g, given, 0.1, 0.9, nesterov)
        agree(p, new_p, tolerance)
        agree(v, before if new_v is None else new_v, tolerance)
        np.testing.assert_array_equal(g, gradient)
        assert unharmed()


@pytest.mark.parametrize("with_momentum", [False, True])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop(centered, with_momentum, dtype, tolerance, rng):
    for n in LENGTHS:
        (p, g, v, g_mean, m), unharmed = arrays(rng, n, 5, dtype)
        g_mean *= 0.1
        v[:] = np.abs(v) + 1  # a mean of squares, larger than the square of the mean
        mean, velocity = g_mean if centered else None, m if with_momentum else None
        wanted = rmsprop(*map(wide, (p, g, v, mean, velocity)), 0.01, 0.9, 0.8, 1e-7)
        gradient = g.copy()
        optimizers.rmsprop(p, g, v, mean, velocity, 0.01, 0.9, 0.8, 1e-7)
        for got, expected in zip((p, v, mean, velocity), wanted):
            if expected is not None:
                agree(got, expected, tolerance)
        np.testing.assert_array_equal(g, gradient)
        assert unharmed()


@pytest.mark.parametrize("decay", [0.0, 0.004])
def test_adam(decay, dtype, tolerance, rng):
    for n in LENGTHS:
        (p, g, m, v), unharmed = arrays(rng, n, 4, dtype)
        v[:] = np.abs(v)
        wanted = adam(*map(wide, (p, g, m, v)), 0.01, 0.9, 0.999, 1e-7, decay)
        gradient = g.copy()
        optimizers.adam(p, g, m, v, 0.01, 0.9, 0.999, 1e-7, decay)
        for got, expected in zip((p, m, v), wanted):
            agree(got, expected, tolerance)
        np.testing.assert_array_equal(g, gradient)
        assert unharmed()


def test_many_steps_follow_the_formula(dtype, tolerance, rng):
    """200 steps down a bowl: small errors of one step would add up, and the state must be carried."""
    p = rng.normal(size=40).astype(dtype)
    m, v = np.zeros_like(p), np.zeros_like(p)
    wanted, wanted_m, wanted_v = wide(p), wide(m), wide(v)
    for step in range(1, 201):
        lr = 0.01 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        optimizers.adam(p, p.copy(), m, v, lr, 0.9, 0.999, 1e-7, 0.0)
        wanted, wanted_m, wanted_v = adam(wanted, wanted, wanted_m, wanted_v, lr, 0.9, 0.999, 1e-7, 0.0)
    np.testing.assert_allclose(p, wanted, rtol=0, atol=1000 * tolerance.step)


CALLS = {
    "sgd": (3, lambda p, g, v, threads: optimizers.sgd(p, g, v, 0.1, 0.9, True, threads)),
    "rmsprop": (5, lambda p, g, v, c, m, threads: optimizers.rmsprop(p, g, v, c, m, 0.1, 0.9, 0.8, 1e-7, threads)),
    "adam": (4, lambda p, g, m, v, threads: optimizers.adam(p, g, m, v, 0.1, 0.9, 0.99, 1e-7, 0.01, threads)),
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
    wrongs = [np.ones(n + 1, dtype), np.ones(2 * n, dtype)[::2], np.ones((n, 1), dtype),
              np.ones(n, dtype.replace("float", "int"))]
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
