import numpy as np
import pytest
from seeds import generator

from gatewise.data import windows
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
    SizeError,
)


def by_hand(series, input_steps, horizon, stride):
    """The definition, one window at a time."""
    x, y, start = [], [], 0
    while start + input_steps + horizon <= len(series):
        x.append(series[start : start + input_steps])
        y.append(series[start + input_steps : start + input_steps + horizon])
        start += stride
    return np.array(x), np.array(y)


@pytest.mark.parametrize(
    "steps, input_steps, horizon, stride",
    [
        (5, 3, 1, 1),
        (20, 4, 3, 1),
        (20, 4, 3, 2),
        (20, 4, 3, 7),
        (21, 4, 3, 7),
        (20, 1, 1, 5),
        (7, 4, 3, 1),
        (7, 4, 3, 9),
        (2, 1, 1, 1),
        (40, 2, 2, 13),
    ],
)
class TestAgainstTheDefinition:
    def test_one_series(self, steps, input_steps, horizon, stride):
        series = generator(0).normal(size=steps)
        x, y = windows(series, input_steps, horizon, stride)
        expected_x, expected_y = by_hand(series, input_steps, horizon, stride)
        np.testing.assert_array_equal(x, expected_x[:, :, np.newaxis])
        np.testing.assert_array_equal(y, expected_y)
        assert len(x) == (steps - input_steps - horizon) // stride + 1

    @pytest.mark.parametrize("features", [1, 3])
    def test_several_features(self, steps, input_steps, horizon, stride, features):
        series = generator(1).normal(size=(steps, features))
        x, y = windows(series, input_steps, horizon, stride)
        expected_x, expected_y = by_hand(series, input_steps, horizon, stride)
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)
        assert x.shape[2] == y.shape[2] == features


class TestArrays:
    @pytest.mark.parametrize(
        "given, kept",
        [
            ("float32", "float32"),
            ("float64", "float64"),
            ("float16", "float32"),
            ("int64", "float64"),
            ("uint8", "float64"),
            ("bool", "float64"),
            (">f4", "float32"),
            (">f8", "float64"),
        ],
    )
    def test_dtype(self, given, kept):
        x, y = windows(np.array([0, 1, 1, 0, 1]).astype(given), 2, 2)
        assert x.dtype == y.dtype == kept
        assert x.dtype.isnative
        np.testing.assert_array_equal(x[:, :, 0], [[0, 1], [1, 1]])

    def test_list(self):
        x, y = windows([1, 2, 3], 2)
        assert x.dtype == y.dtype == np.float64
        assert (x.tolist(), y.tolist()) == ([[[1], [2]]], [[3]])

    @pytest.mark.parametrize("shape", [(9,), (9, 2)])
    def test_copies_stand_alone(self, shape):
        series = np.arange(np.prod(shape), dtype=float).reshape(shape)
        before = series.copy()
        x, y = windows(series, 3, 2)
        assert x.flags.c_contiguous and y.flags.c_contiguous
        x[0] = y[0] = -1
        np.testing.assert_array_equal(series, before)
        np.testing.assert_array_equal(x[1].ravel(), before[1:4].ravel())
        np.testing.assert_array_equal(y[1].ravel(), before[4:6].ravel())

    def test_one_window_is_a_copy_too(self):
        # A single window over the whole series is contiguous where it lies: no reason to share it.
        series = np.arange(5.0)
        x, y = windows(series, 4)
        assert not np.shares_memory(x, series) and not np.shares_memory(y, series)

    def test_strided_and_read_only(self):
        table = np.arange(40.0).reshape(10, 4)
        column = table[::2, 1]
        column.flags.writeable = False
        x, y = windows(column, 2)
        np.testing.assert_array_equal(x[:, :, 0], [[1, 9], [9, 17], [17, 25]])
        np.testing.assert_array_equal(y, [[17], [25], [33]])

    def test_numpy_integers_are_numbers_of_steps(self):
        x, y = windows(np.arange(6.0), np.int64(3), np.uint8(2), np.int32(1))
        assert (x.shape, y.shape) == ((2, 3, 1), (2, 2))


class TestErrors:
    @pytest.mark.parametrize("name", ["input_steps", "horizon", "stride"])
    @pytest.mark.parametrize(
        "value, error",
        [
            (0, ConfigError),
            (-1, ConfigError),
            (2**70, ConfigError),
            (1.5, DTypeError),
            (True, DTypeError),
            ("3", DTypeError),
            (None, DTypeError),
        ],
    )
    def test_numbers_of_steps(self, name, value, error):
        with pytest.raises(error, match=name):
            windows(np.arange(9.0), **{"input_steps": 2, name: value})

    @pytest.mark.parametrize("steps", [0, 1, 6])
    def test_too_short(self, steps):
        with pytest.raises(
            ShapeError, match=f"series has {steps} steps.*input_steps=4 and horizon=3.*at least 7"
        ):
            windows(np.zeros(steps), 4, 3)

    @pytest.mark.parametrize("shape", [(), (4, 5, 1), (0, 0, 0)])
    def test_rank(self, shape):
        with pytest.raises(ShapeError, match=r"expected \(steps,\) or \(steps, features\)"):
            windows(np.zeros(shape), 2)

    def test_no_features(self):
        with pytest.raises(ShapeError, match="no features"):
            windows(np.zeros((9, 0)), 2)

    def test_ragged(self):
        with pytest.raises(ShapeError, match="different sizes"):
            windows([[1.0, 2.0], [3.0]], 1)

    @pytest.mark.parametrize(
        "series",
        [
            ["a", "b", "c"],
            [1j, 2j, 3j],
            [None, 1.0, 2.0],
            np.array(["2020", "2021", "2022"], "datetime64[Y]"),
            np.array([1, 2, 3], object),
            np.zeros(3, [("a", float)]),
        ],
    )
    def test_not_numbers(self, series):
        with pytest.raises(DTypeError, match="real numbers"):
            windows(series, 2)

    @pytest.mark.skipif(np.longdouble(0).nbytes == 8, reason="long double is double here")
    def test_long_double(self):
        with pytest.raises(DTypeError, match="astype"):
            windows(np.zeros(3, np.longdouble), 2)

    def test_integers_beyond_float64(self):
        with pytest.raises(DTypeError):
            windows(np.array([0, 1, 2**53 + 1]), 2)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_non_finite_is_named_by_place(self, bad, dtype):
        series = np.zeros((6, 2), dtype)
        series[4, 1] = bad
        with pytest.raises(NonFiniteError, match=r"\(4, 1\)"):
            windows(series, 2)

    def test_more_than_memory_holds(self):
        steps = 2**23
        with pytest.raises(SizeError, match="windows needs .* GiB"):
            windows(np.zeros(steps, np.float32), steps // 2)

    def test_all_are_gatewise_errors(self):
        with pytest.raises(GatewiseError):
            windows(np.zeros(1), 1)
