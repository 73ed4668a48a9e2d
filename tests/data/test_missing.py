import tracemalloc

import numpy as np
import pytest

from gatewise.data import (
    compress,
    counted_steps,
    feature_means,
    fill_forward,
    fill_mean,
    missing,
    missing_indicators,
    scatter,
)
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, ShapeError

NAN = np.nan
FUNCTIONS = [
    feature_means,
    fill_forward,
    missing_indicators,
    counted_steps,
    lambda values, lengths=None: fill_mean(values, np.zeros(np.shape(values)[-1]), lengths),
]


@pytest.fixture
def holes(rng, dtype):
    """(values, lengths): ragged, with missing values at random, some rows empty or wholly missing.

    NaN and infinity follow the ends of rows.
    """
    values = rng.normal(size=(7, 9, 3)).astype(dtype)
    values[rng.random(values.shape) < 0.4] = NAN
    lengths = np.array([9, 5, 0, 1, 7, 4, 9])
    values[4] = NAN
    for row, length in enumerate(lengths):
        values[row, length:] = NAN if row % 2 else np.inf
    return values, lengths


def each_row(values, lengths):
    """(row, feature, its values) up to the row's length."""
    for row, length in enumerate(lengths):
        for feature in range(values.shape[2]):
            yield row, feature, values[row, :length, feature].tolist()


def is_nan(value):
    return value != value


class TestAgainstTheDefinitions:
    def test_feature_means(self, holes):
        values, lengths = holes
        seen = [[], [], []]
        for _, feature, row in each_row(values, lengths):
            seen[feature] += [value for value in row if not is_nan(value)]
        means = feature_means(values, lengths)
        assert means.dtype == values.dtype
        np.testing.assert_allclose(means, [sum(some) / len(some) for some in seen], rtol=1e-6)

    def test_fill_mean(self, holes):
        values, lengths = holes
        means = [1.5, -2.0, 8.0]
        expected = np.zeros_like(values)
        for row, feature, steps in each_row(values, lengths):
            expected[row, : len(steps), feature] = [
                means[feature] if is_nan(value) else value for value in steps
            ]
        filled = fill_mean(values, means, lengths)
        assert filled.dtype == values.dtype
        np.testing.assert_array_equal(filled, expected)

    @pytest.mark.parametrize("means", [None, [1.5, -2.0, 8.0]])
    def test_fill_forward(self, holes, means):
        values, lengths = holes
        expected = np.zeros_like(values)
        for row, feature, steps in each_row(values, lengths):
            last = 0.0 if means is None else means[feature]
            for step, value in enumerate(steps):
                last = last if is_nan(value) else value
                expected[row, step, feature] = last
        filled = fill_forward(values, lengths, means=means)
        assert filled.dtype == values.dtype
        np.testing.assert_array_equal(filled, expected)

    @pytest.mark.parametrize("clock", [None, "shared", "own"])
    def test_missing_indicators(self, holes, rng, clock):
        values, lengths = holes
        n, steps, features = values.shape
        # Quarters are exact in binary: sums in any order give the same bits.
        gaps = rng.integers(0, 9, size=(steps,) if clock == "shared" else (n, steps))
        times = None if clock is None else np.cumsum(gaps, axis=-1) / 4
        stamps = np.broadcast_to(np.arange(steps) if times is None else times, (n, steps))
        expected = np.zeros((n, steps, 3, features), values.dtype)
        for row, feature, some in each_row(values, lengths):
            delta = 0.0
            for step, value in enumerate(some):
                if step > 0:  # equation 2
                    gap = stamps[row, step] - stamps[row, step - 1]
                    delta = gap + delta if is_nan(some[step - 1]) else gap
                expected[row, step, :, feature] = [
                    0 if is_nan(value) else value,
                    not is_nan(value),
                    delta,
                ]
        found = missing_indicators(values, lengths, times=times)
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, expected.reshape(n, steps, 3 * features))

    def test_missing_indicators_with_means(self, holes):
        values, lengths = holes
        means = [1.5, -2.0, 8.0]
        found = missing_indicators(values, lengths, means=means)
        np.testing.assert_array_equal(found[:, :, :3], fill_mean(values, means, lengths))
        np.testing.assert_array_equal(
            found[:, :, 3:], missing_indicators(values, lengths)[:, :, 3:]
        )

    def test_counted_steps(self, holes):
        values, lengths = holes
        expected = np.zeros(values.shape[:2], bool)
        for row, length in enumerate(lengths):
            expected[row, :length] = [
                not any(is_nan(value) for value in step) for step in values[row, :length].tolist()
            ]
        np.testing.assert_array_equal(counted_steps(values, lengths), expected)
        assert expected.any() and not expected[4].any()


class TestCompress:
    def test_against_the_definition(self, holes):
        values, lengths = holes
        counted = counted_steps(values, lengths)
        front, found = compress(values, counted)
        for row in range(len(values)):
            kept = values[row][counted[row]]
            assert found[row] == len(kept)
            np.testing.assert_array_equal(front[row, : len(kept)], kept)
            assert not front[row, len(kept) :].any()

    def test_there_and_back(self, holes):
        values, lengths = holes
        counted = counted_steps(values, lengths)
        front, found = compress(values, counted)
        front[np.arange(values.shape[1]) >= found[:, np.newaxis]] = NAN  # not looked at
        np.testing.assert_array_equal(
            scatter(front, counted, fill=-7), np.where(counted[:, :, np.newaxis], values, -7)
        )

    @pytest.mark.parametrize(
        "labels", [np.array([["b", "a", "c"], ["a", "c", "b"]]), np.array([[3, 1, 2], [1, 2, 3]])]
    )
    def test_labels_of_any_type(self, labels):
        counted = np.array([[False, True, True], [True, False, True]])
        front, lengths = compress(labels, counted)
        assert front.dtype == labels.dtype and lengths.tolist() == [2, 2]
        np.testing.assert_array_equal(front[:, :2], [labels[0, [1, 2]], labels[1, [0, 2]]])
        np.testing.assert_array_equal(scatter(front, counted)[counted], labels[counted])

    def test_a_transposed_array(self, rng):
        values = rng.normal(size=(4, 3)).T
        counted = rng.random((3, 4)) < 0.5
        np.testing.assert_array_equal(
            scatter(compress(values, counted)[0], counted), np.where(counted, values, 0)
        )

    @pytest.mark.parametrize("move", [compress, scatter])
    def test_errors(self, move):
        with pytest.raises(DTypeError, match="counted holds int64 values"):
            move(np.zeros((2, 3)), np.ones((2, 3), np.int64))
        with pytest.raises(ShapeError, match=r"values has shape \(2, 3\) and counted \(2, 4\)"):
            move(np.zeros((2, 3)), np.ones((2, 4), bool))
        with pytest.raises(ShapeError, match="different lengths"):
            move([[1, 2], [3]], [[True, True], [True]])


class TestWhatAllShare:
    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_without_lengths_all_steps_count(self, function, holes):
        values, _ = holes
        values[np.isinf(values)] = NAN
        np.testing.assert_array_equal(function(values), function(values, [9] * 7))

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_the_input_is_not_changed(self, function, holes):
        values, lengths = holes
        values.flags.writeable = False
        before = values.copy()
        function(values, lengths)
        np.testing.assert_array_equal(values, before)

    def test_whole_values_come_back_as_copies(self):
        values = np.ones((2, 3, 1))
        for filled in (fill_forward(values), fill_mean(values, [0.0])):
            assert not np.shares_memory(filled, values)

    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize(
        "given, kept", [("float16", "float32"), ("int64", "float64"), (">f4", "float32")]
    )
    def test_types(self, function, given, kept):
        expected = np.bool_ if function is counted_steps else kept
        assert function(np.ones((2, 3, 1), given)).dtype == expected

    @pytest.mark.parametrize("function", FUNCTIONS)
    @pytest.mark.parametrize("shape", [(0, 4, 2), (3, 0, 2), (3, 4, 0)])
    def test_empty(self, function, shape):
        assert not np.isnan(function(np.zeros(shape))).any()

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_infinity_is_refused_where_it_counts(self, function):
        values = np.zeros((2, 3, 1))
        values[1, 2] = -np.inf
        with pytest.raises(NonFiniteError, match=r"-inf at index \(1, 2, 0\)"):
            function(values)
        function(values, [3, 2])

    @pytest.mark.parametrize("function", FUNCTIONS)
    def test_shapes_and_types_are_refused(self, function):
        with pytest.raises(ShapeError, match=r"expected \(n, time, features\)"):
            function(np.zeros((2, 3)))
        with pytest.raises(DTypeError, match="values holds"):
            function(np.full((2, 3, 1), "text"))
        with pytest.raises(ShapeError, match="lengths"):
            function(np.zeros((2, 3, 1)), [3, 4])

    @pytest.mark.parametrize(
        "function",
        [
            fill_mean,
            lambda values, means: fill_forward(values, means=means),
            lambda values, means: missing_indicators(values, means=means),
        ],
    )
    def test_means(self, function):
        values = np.zeros((2, 3, 2))
        with pytest.raises(ShapeError, match=r"means has shape \(3,\); expected \(2,\)"):
            function(values, np.zeros(3))
        with pytest.raises(NonFiniteError, match="means"):
            function(values, [0.0, NAN])


class TestTimes:
    def test_large_stamps_in_float32(self):
        # Seconds since 1970 do not fit into float32; their differences do.
        found = missing_indicators(
            np.full((1, 3, 1), NAN, np.float32), times=np.array([0.0, 0.5, 1.25]) + 1.7e9
        )
        np.testing.assert_array_equal(found[0, :, 2], np.float32([0, 0.5, 1.25]))

    def test_falling_times_past_an_end_are_not_looked_at(self):
        times = [[0.0, 1.0, 0.5], [0.0, 1.0, NAN]]
        assert (
            missing_indicators(np.zeros((2, 3, 1)), [2, 2], times=times)[:, :, 2].tolist()
            == [[0, 1, 0]] * 2
        )

    def test_errors(self):
        values = np.zeros((2, 3, 1))
        with pytest.raises(
            ConfigError, match=r"times\[1\] falls from 2.0 at step 1 to 1.0 at step 2"
        ):
            missing_indicators(values, times=[[0, 1, 2], [0, 2, 1]])
        with pytest.raises(NonFiniteError, match="times"):
            missing_indicators(values, times=[0, 1, NAN])
        with pytest.raises(ShapeError, match=r"times has shape \(2,\)"):
            missing_indicators(values, times=[0, 1])


@pytest.mark.parametrize("block", [1, 7, 50])
def test_results_do_not_depend_on_the_size_of_blocks(block, rng, monkeypatch):
    values = rng.normal(size=(5, 8, 3)).astype(np.float32)
    values[rng.random(values.shape) < 0.4] = np.nan
    lengths, means = np.array([8, 3, 0, 1, 7]), np.array([1.0, 2.0, 3.0])

    def results():
        return (
            fill_forward(values, lengths, means),
            fill_mean(values, means, lengths),
            missing_indicators(values, lengths),
            counted_steps(values, lengths),
            feature_means(values, lengths),
        )

    expected = results()
    monkeypatch.setattr(missing, "BLOCK", block)
    for ours, theirs in zip(results(), expected):
        np.testing.assert_array_equal(ours, theirs)
    values[3, 0, 2] = np.inf
    with pytest.raises(NonFiniteError, match=r"inf at index \(3, 0, 2\)"):
        fill_forward(values, lengths)


@pytest.mark.parametrize("shape", [(2000, 10, 10), (1, 20_000, 10)])
def test_filling_needs_little_memory_beside_its_result(shape, rng):
    values = rng.normal(size=shape)
    values[0, 0, 0] = np.nan
    for fill, outputs in (
        (fill_forward, 1),
        (lambda given: fill_mean(given, np.zeros(10)), 1),
        (missing_indicators, 3),
    ):
        tracemalloc.start()
        fill(values)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < outputs * values.nbytes + 5 * missing.BLOCK * 8 + values.nbytes // 2
