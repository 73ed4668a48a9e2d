"""The vector functions.

Their errors in units of the last place, their ends, and every length of tail.
"""

import math

import numpy as np
import pytest
from tolerances import TOLERANCES

from gatewise.kernels import activations, arrays, dense

LONG = np.longdouble
needs_long_double = pytest.mark.skipif(
    np.finfo(LONG).nmant < 60, reason="long double has no more digits than double"
)


def activate(name, x, threads=1):
    """act(x) by the kernels, into memory that must not be written past its end."""
    room = np.full(x.size + 70, 7.5, x.dtype)
    y = room[: x.size].reshape(x.shape)
    arrays.activate(x, y, activations.code(name), threads)
    assert (room[x.size :] == 7.5).all(), "written past the end"
    return y


def exact(name, x):
    """The same in a wider type."""
    wide = x.astype(np.float64 if x.dtype == np.float32 else LONG)
    kind = x.dtype.type  # constants are rounded to it
    one, negative = wide.dtype.type(1), np.minimum(wide, 0)
    with np.errstate(all="ignore"):
        tail = np.exp(-np.abs(wide))
        return {
            "linear": lambda: wide,
            "tanh": lambda: np.tanh(wide),
            "sigmoid": lambda: np.where(wide < 0, tail, one) / (one + tail),
            "relu": lambda: np.where(wide < 0, 0, wide),
            "hard_sigmoid": lambda: np.clip(wide / 6 + one / 2, 0, 1),
            "softsign": lambda: np.where(
                np.isinf(wide), np.sign(wide), wide / (one + np.abs(wide))
            ),
            "softplus": lambda: np.maximum(wide, 0) + np.log1p(tail),
            "elu": lambda: np.where(wide < 0, np.expm1(negative), wide),
            "leaky_relu": lambda: np.where(wide < 0, wide / 5, wide),
            "exponential": lambda: np.exp(wide),
            "thresholded_relu": lambda: np.where(wide <= 1, 0, wide),
            "scaled_tanh": lambda: kind(1.7159) * np.tanh(kind(2 / 3) * wide),
            "affine": lambda: wide,
        }[name]()


def ulps(got, wanted, name):
    """Errors in units of the last place of the exact value, which may have more digits than got."""
    kind = got.dtype
    top = wanted.dtype.type(np.finfo(kind).max)
    # there infinity is right as well
    near_top = np.abs(wanted) > top * (1 - 4 * np.finfo(kind).eps)
    wanted = np.clip(wanted, -top, top)
    got = np.where(near_top & np.isinf(got), np.sign(wanted) * top, got.astype(wanted.dtype))
    unit = np.spacing(np.minimum(np.abs(wanted), top / 2).astype(kind)).astype(wanted.dtype)
    if name == "hard_sigmoid":  # crosses zero: its error is absolute
        unit = np.maximum(unit, wanted.dtype.type(np.spacing(kind.type(0.5))))
    return np.abs(got - wanted) / unit


def sweep(dtype, rng, per_exponent=40):
    """Numbers of every exponent and both signs, also denormal, and many where activations bend."""
    info, kind = np.finfo(dtype), np.dtype(dtype).type
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    mantissas = rng.uniform(1, 2, (exponents.size, per_exponent)).astype(dtype)
    mantissas[:, 0] = 1
    by_exponent = np.ldexp(mantissas, exponents[:, None]).astype(dtype).ravel()
    dense_part = np.concatenate(
        [np.linspace(0, end, 40001) for end in (1e-3, 1, 25, 110, 760)]
    ).astype(dtype)
    ends = np.array([0, info.tiny, info.smallest_subnormal, info.max, info.eps, 1], dtype)
    ends = np.concatenate([ends, np.nextafter(ends, kind(1)), np.nextafter(ends, kind(0))])
    positive = np.concatenate([by_exponent, dense_part, ends])
    return np.concatenate([positive, -positive])


@needs_long_double
@pytest.mark.parametrize("name", sorted(activations.NAMES))
def test_error_bound(name, dtype, tolerance, rng):
    x = sweep(dtype, rng)
    error = ulps(activate(name, x), exact(name, x), name)
    worst = np.argmax(error)
    # it rounds twice more, beta x and alpha times the rest
    most = tolerance.ulp + (2 if name == "scaled_tanh" else 0)
    assert error[worst] <= most, f"{name}({x[worst]!r}) is off by {error[worst]:.2f} ulp"


def test_error_bound_against_mpmath(rng):
    """A few hundred points of the three most used functions, against mpmath."""
    mpmath = pytest.importorskip("mpmath")
    x = np.concatenate([rng.normal(scale=s, size=60) for s in (1e-8, 1e-2, 1, 8, 200)])
    exact_functions = {
        "tanh": mpmath.tanh,
        "exponential": mpmath.exp,
        "sigmoid": lambda v: 1 / (1 + mpmath.exp(-v)),
        "softplus": lambda v: mpmath.log1p(mpmath.exp(v)),
        "elu": lambda v: v if v > 0 else mpmath.expm1(v),
    }
    with mpmath.workdps(60):
        for name, function in exact_functions.items():
            for value, got in zip(x, activate(name, x)):
                wanted = function(mpmath.mpf(float(value)))
                error = abs(mpmath.mpf(float(got)) - wanted) / np.spacing(abs(float(wanted)))
                assert error <= TOLERANCES["float64"].ulp, (
                    f"{name}({value!r}) is off by {float(error):.2f} ulp"
                )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exponential"])
def test_error_bound_of_every_float32(name):
    """All numbers from 2^-30 to 128 of both signs: below, the functions are straight lines.

    Above, constants.
    """
    first, last = np.array([2.0**-30, 128], np.float32).view(np.int32)
    for begin in range(first, last, 1 << 23):
        positive = np.arange(begin, min(last, begin + (1 << 23)), dtype=np.int32).view(np.float32)
        for x in (positive, -positive):
            error = ulps(activate(name, x), exact(name, x), name)
            worst = np.argmax(error)
            assert error[worst] <= TOLERANCES["float32"].ulp, (
                f"{name}({x[worst]!r}) is off by {error[worst]:.2f} ulp"
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("tanh", 5, 12),
        ("tanh", -12, -5),
        ("tanh", 15, 21),
        ("sigmoid", 10, 20),
        ("sigmoid", 30, 40),
        ("sigmoid", -110, -80),
        ("sigmoid", -750, -700),
        ("exponential", -110, -80),
        ("exponential", -750, -700),
        ("exponential", 80, 90),
    ],
)
def test_ends_rise_and_stay(name, first, last, dtype):
    """No step down on the way to a limit.

    Neighbours in float32 are looked at, and points as near in float64.
    """
    x = np.linspace(first, last, 400_000).astype(dtype)
    y = activate(name, x)
    assert (y[1:] >= y[:-1]).all()


LIMITS = {  # at -infinity, at +infinity
    "linear": (-math.inf, math.inf),
    "tanh": (-1, 1),
    "sigmoid": (0, 1),
    "relu": (0, math.inf),
    "hard_sigmoid": (0, 1),
    "softsign": (-1, 1),
    "softplus": (0, math.inf),
    "elu": (-1, math.inf),
    "leaky_relu": (-math.inf, math.inf),
    "exponential": (0, math.inf),
    "thresholded_relu": (0, math.inf),
    "affine": (-math.inf, math.inf),
}


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_limits_are_exact(name, dtype):
    low, high = LIMITS[name]
    info = np.finfo(dtype)
    y = activate(name, np.array([-math.inf, math.inf, math.nan, -math.nan] * 5, dtype)).reshape(
        5, 4
    )
    assert (y[:, 0] == low).all()
    assert (y[:, 1] == high).all()
    assert np.isnan(y[:, 2:]).all()
    large = activate(name, np.array([-info.max, info.max, -1e30, 1e30], dtype))
    if math.isfinite(low):
        assert large[0] == large[2] == low
    if math.isfinite(high):
        assert large[1] == large[3] == high
    at_zero = {"sigmoid": 0.5, "hard_sigmoid": 0.5, "exponential": 1}.get(name, 0)
    assert name == "softplus" or activate(name, np.zeros(1, dtype)) == at_zero


def test_constants(dtype, rng):
    x = rng.normal(scale=3, size=71).astype(dtype)
    same = [
        (("leaky_relu", 0.25), np.where(x < 0, x / 4, x)),
        (("thresholded_relu", 0.5), np.where(x > 0.5, x, 0)),
        (("affine", 0.5, 0.0), x / 2),
        (("affine", 0.0, 3.0), np.full_like(x, 3)),
        (("hard_sigmoid", 0.0, 0.25), np.full_like(x, 0.25)),
        (("elu", 2.0), np.where(x < 0, 2 * activate("elu", x), x)),
        (("scaled_tanh", 2.0, 0.5), 2 * activate("tanh", x / 2)),
        (("leaky_relu", 0.0), activate("relu", x)),
    ]
    for activation, wanted in same:
        np.testing.assert_array_equal(activate(activation, x), wanted)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_one_nan_spoils_only_itself(name, dtype, rng):
    x = rng.normal(size=37).astype(dtype)
    clean = activate(name, x)
    for at in range(x.size):
        spoiled = x.copy()
        spoiled[at] = math.nan
        y = activate(name, spoiled)
        assert np.isnan(y[at])
        np.testing.assert_array_equal(np.delete(y, at), np.delete(clean, at))


@pytest.mark.parametrize("name", ["tanh", "linear", "softsign", "leaky_relu"])
def test_odd_functions_keep_the_sign_of_zero(name, dtype):
    y = activate(name, np.array([-0.0, 0.0] * 20, dtype))
    np.testing.assert_array_equal(np.signbit(y), [True, False] * 20)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_range_and_order(name, dtype, rng):
    """Never outside the limits, and increasing if the exact function increases enough."""
    low, high = LIMITS[name]
    x = np.sort(sweep(dtype, rng, per_exponent=8))
    y = activate(name, x)
    assert (y >= low).all() and (y <= high).all()
    wanted = exact(name, x)
    with np.errstate(invalid="ignore", over="ignore"):
        clear = wanted[1:] - wanted[:-1] > 20 * np.finfo(dtype).eps * np.abs(wanted[1:])
        assert (y[1:] >= y[:-1])[clear].all()
    if name in ("tanh", "sigmoid", "elu", "hard_sigmoid"):  # no step back on the way to the limit
        for end in (y[x < -30], y[x > 30]):
            assert (end[1:] >= end[:-1]).all()


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_every_length_of_tail(name, dtype, rng):
    x = rng.normal(size=71).astype(dtype)
    whole = activate(name, x)
    for n in range(71):
        for start in (0, 1):
            np.testing.assert_array_equal(
                activate(name, x[start : start + n]), whole[start : start + n]
            )


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_in_place_and_threads_give_the_same_bits(name, dtype, rng):
    for n in (16383, 16384, 16385, 50001):  # around the chunks of 16384
        x = rng.normal(size=n).astype(dtype)
        whole = activate(name, x)
        dy = rng.normal(size=n).astype(dtype)
        slopes = np.empty_like(x)
        arrays.activate_backward(whole, dy, slopes, activations.code(name))
        for threads in (2, 3, 5):
            np.testing.assert_array_equal(activate(name, x, threads), whole)
            in_place = dy.copy()
            arrays.activate_backward(whole, in_place, in_place, activations.code(name), threads)
            np.testing.assert_array_equal(in_place, slopes)
        arrays.activate(x, x, activations.code(name), 2)
        np.testing.assert_array_equal(x, whole)


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_slope_from_the_output(name, rng):
    """Against central differences of the exact function.

    Kinks of relu and its like are kept away from.
    """
    x = np.concatenate([rng.normal(scale=s, size=400) for s in (0.3, 1, 5)])
    x = x[(np.abs(x) > 1e-3) & (np.abs(np.abs(x) - 3) > 1e-3) & (np.abs(x - 1) > 1e-3)]
    h = 1e-4
    wide = x.astype(LONG)
    f = [exact(name, (wide + k * h).astype(np.float64)) for k in (1, -1, 2, -2)]
    steps = [(wide + k * h).astype(np.float64).astype(LONG) for k in (1, -1, 2, -2)]
    wanted = (8 * (f[0] - f[1]) - (f[2] - f[3])) / (
        8 * (steps[0] - steps[1]) - (steps[2] - steps[3])
    )
    y, slope = activate(name, x), np.empty_like(x)
    arrays.activate_backward(y, np.ones_like(x), slope, activations.code(name))
    error = np.abs(slope - wanted) / np.maximum(1, np.abs(wanted))
    assert error.max() <= 1e-10, (
        f"{name}: slope at {x[error.argmax()]} is off by {float(error.max()):.1e}"
    )
    dy = rng.normal(size=x.size)
    dx = np.full(x.size + 20, 7.5)
    arrays.activate_backward(y, dy, dx[: x.size], activations.code(name))
    np.testing.assert_array_equal(dx[: x.size], dy * slope)
    assert (dx[x.size :] == 7.5).all()


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_slope_has_every_length_of_tail(name, dtype, rng):
    y = activate(name, rng.normal(size=71).astype(dtype))
    dy = rng.normal(size=71).astype(dtype)
    whole = np.empty_like(y)
    arrays.activate_backward(y, dy, whole, activations.code(name))
    for n in range(71):
        dx = np.full(80, 7.5, dtype)
        arrays.activate_backward(y[:n], dy[:n], dx[:n], activations.code(name))
        np.testing.assert_array_equal(dx[:n], whole[:n])
        assert (dx[n:] == 7.5).all()


# ---- softmax


def softmax(x, threads=1):
    room = np.full(x.size + 70, 7.5, x.dtype)
    y = room[: x.size].reshape(x.shape)
    arrays.softmax(x, y, threads)
    assert (room[x.size :] == 7.5).all()
    return y


def exact_softmax(x):
    wide = x.astype(LONG)
    e = np.exp(wide - wide.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("columns", [*range(1, 71), 513, 20000])
def test_softmax(columns, dtype, tolerance, rng):
    x = rng.normal(scale=4, size=(3, columns)).astype(dtype)
    x[1] -= x.dtype.type(300)
    y = softmax(x)
    np.testing.assert_allclose(
        y, exact_softmax(x), rtol=32 * np.finfo(dtype).eps, atol=np.finfo(dtype).tiny
    )
    np.testing.assert_allclose(
        y.sum(axis=-1, dtype=np.float64), 1, rtol=0, atol=tolerance.identity * 10
    )
    dy = rng.normal(size=x.shape).astype(dtype)
    dx = np.empty_like(x)
    arrays.softmax_backward(y, dy, dx)
    wide = exact_softmax(x)
    wanted = wide * (dy - (wide * dy).sum(axis=-1, keepdims=True))
    np.testing.assert_allclose(dx, wanted.astype(np.float64), rtol=0, atol=10 * tolerance.step)
    arrays.softmax(x, x)
    np.testing.assert_array_equal(x, y)


def test_softmax_of_extremes(dtype):
    top = np.finfo(dtype).max
    x = np.array([[top, top, -top], [0, -top, -top], [1e4, 1e4, 1e4], [-1e4, -1e4, 0]], dtype)
    np.testing.assert_allclose(
        softmax(x), [[0.5, 0.5, 0], [1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]], rtol=1e-6
    )
    for at in range(3):  # a NaN anywhere spoils its row, and no other
        x = np.zeros((3, 3), dtype)
        x[1, at] = math.nan
        y = softmax(x)
        assert np.isnan(y[1]).all() and np.isfinite(y[[0, 2]]).all()


def test_softmax_rows_and_threads_give_the_same_bits(dtype, rng):
    x = rng.normal(size=(3000, 37)).astype(dtype)  # several chunks of rows
    y = softmax(x)
    dy, dx = rng.normal(size=x.shape).astype(dtype), np.empty_like(x)
    arrays.softmax_backward(y, dy, dx)
    for threads in (2, 3, 5):
        np.testing.assert_array_equal(softmax(x, threads), y)
        got = np.empty_like(x)
        arrays.softmax_backward(y, dy, got, threads)
        np.testing.assert_array_equal(got, dx)
    for row in (0, 441, 442, 443, 2999):
        np.testing.assert_array_equal(softmax(x[row : row + 1]), y[row : row + 1])


# ---- searches and sums


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_first_nonfinite(bad, dtype, rng):
    finite = rng.normal(size=2600).astype(dtype)
    finite[::7] = np.finfo(dtype).max  # large, but finite; so are the denormal numbers
    finite[3::7] = -np.finfo(dtype).max
    finite[5::7] = np.finfo(dtype).smallest_subnormal
    assert arrays.first_nonfinite(finite) == -1
    assert arrays.first_nonfinite(finite[:0]) == -1
    for n in [*range(1, 71), 2600]:
        positions = (
            range(n)
            if n < 71
            else [0, 255, 256, 257, 511, 512, 1023, 1024, 1025, 2047, 2048, n - 2, n - 1]
        )
        for at in positions:
            x = finite[:n].copy()
            x[at] = bad
            assert arrays.first_nonfinite(x) == at
            x[at + 1 :] = math.nan
            assert arrays.first_nonfinite(x) == at
    x = finite[:60].reshape(3, 4, 5).copy()
    x[1, 2, 3] = bad
    assert arrays.first_nonfinite(x) == 33


def test_first_nonfinite_does_not_read_past_the_end(dtype):
    for n in range(71):
        x = np.full(80, math.nan, dtype)
        x[:n] = 1
        assert arrays.first_nonfinite(x[:n]) == -1


def test_sum_of_squares(dtype, rng):
    for n in [*range(71), 16383, 16384, 16385, 100001]:
        room = np.full(n + 20, 1e6, dtype)
        room[:n] = rng.normal(size=n)
        x = room[:n]
        wanted = math.fsum(float(v) ** 2 for v in x)
        got = arrays.sum_of_squares(x)
        assert got == pytest.approx(wanted, rel=1e-13, abs=0)
        assert all(arrays.sum_of_squares(x, threads) == got for threads in (2, 3, 5))


def test_sum_of_squares_is_summed_in_float64():
    assert arrays.sum_of_squares(np.full(10**6, 1e25, np.float32)) == pytest.approx(1e56, rel=1e-6)
    assert arrays.sum_of_squares(np.full(10**6, 1e-30, np.float32)) == pytest.approx(
        1e-54, rel=1e-6
    )


@pytest.mark.parametrize("columns", [*range(1, 71), 127, 128, 129, 300])
def test_column_sums(columns, dtype, rng):
    """The bias gradient: whole numbers, so that any order of the sum gives exactly the same."""
    rows = 40
    dz = rng.integers(-9, 10, (rows, columns)).astype(dtype)
    room = np.full(columns + 70, 7.0, dtype)
    d_b = room[:columns]
    x, w, d_w = (
        np.zeros((rows, 2), dtype),
        np.zeros((2, columns), dtype),
        np.zeros((2, columns), dtype),
    )
    dense.backward(x, w, dz, d_w, d_b)
    np.testing.assert_array_equal(d_b, 7 + dz.sum(axis=0))  # added to what was there
    assert (room[columns:] == 7).all()


# ---- guards: these arrays are as large as the right ones or larger, so that a hole would not crash

TANH = activations.code("tanh")
ARGUMENTS = {  # one array of these calls is wrong: which one
    "activate x": lambda wrong, good: arrays.activate(wrong, good, TANH),
    "activate y": lambda wrong, good: arrays.activate(good, wrong, TANH),
    "activate_backward y": lambda wrong, good: arrays.activate_backward(wrong, good, good, TANH),
    "activate_backward dy": lambda wrong, good: arrays.activate_backward(good, wrong, good, TANH),
    "activate_backward dx": lambda wrong, good: arrays.activate_backward(good, good, wrong, TANH),
    "softmax x": lambda wrong, good: arrays.softmax(wrong, good),
    "softmax y": lambda wrong, good: arrays.softmax(good, wrong),
    "softmax_backward dy": lambda wrong, good: arrays.softmax_backward(good, wrong, good),
    "softmax_backward dx": lambda wrong, good: arrays.softmax_backward(good, good, wrong),
}
WRONG = {
    "longer": lambda dtype: np.zeros((9, 8), dtype),
    "strided": lambda dtype: np.zeros((8, 16), dtype)[:, ::2],
    "fortran": lambda dtype: np.zeros((8, 8), dtype, order="F"),
    "integer": lambda dtype: np.zeros((8, 8), dtype.replace("float", "int")),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_wrong_arrays_are_refused(argument, kind, dtype):
    with pytest.raises(AssertionError, match="kernel expects"):
        ARGUMENTS[argument](WRONG[kind](dtype), np.zeros((8, 8), dtype))


def test_arrays_of_the_other_byte_order_are_refused(dtype):
    """Of the right size and type, and every number in them would be misread."""
    good, accepted = np.zeros((8, 8), dtype), []
    for argument, call in ARGUMENTS.items():
        try:
            call(good.astype(good.dtype.newbyteorder()), good.copy())
            accepted.append(argument)
        except AssertionError:
            pass
    assert not accepted


def test_arrays_of_whole_numbers_are_refused():
    """Of the size of a double.

    Read as numbers they would be nonsense, and smaller ones be read past their end.
    """
    numbers = np.zeros((8, 8), np.int64)
    calls = {
        "activate": lambda: arrays.activate(numbers, numbers.copy(), TANH),
        "softmax": lambda: arrays.softmax(numbers, numbers.copy()),
        "sum_of_squares": lambda: arrays.sum_of_squares(numbers.ravel()),
        "first_nonfinite": lambda: arrays.first_nonfinite(numbers),
    }
    accepted = []
    for name, call in calls.items():
        try:
            call()
            accepted.append(name)
        except (AssertionError, TypeError):
            pass
    assert not accepted, f"int64 is read as float64 by {accepted}"


def test_wrong_arrays_are_refused_by_sums(dtype):
    for call in (arrays.sum_of_squares, arrays.first_nonfinite):
        with pytest.raises(AssertionError, match="kernel expects"):
            call(np.zeros(64, dtype)[::2])
    with pytest.raises(AssertionError, match="kernel expects"):
        arrays.sum_of_squares(np.zeros((8, 8), dtype))
