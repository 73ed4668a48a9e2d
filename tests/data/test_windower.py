import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import TimeSeriesSplit

from gatewise.data import Windower, windows
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    NotFittedError,
    ShapeError,
)

SIZES = [(4, 3, 1), (4, 3, 2), (4, 3, 7), (1, 1, 5), (3, 1, 1), (2, 5, 3)]


@pytest.mark.parametrize("window, horizon, stride", SIZES)
class TestAgainstWindows:
    def test_one_series(self, rng, window, horizon, stride):
        series = rng.normal(size=(20, 3))
        x, y = Windower(window, horizon=horizon, stride=stride).pairs(series)
        expected_x, expected_y = windows(series, window, horizon, stride)
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)

    @pytest.mark.parametrize("container", [list, tuple])
    def test_several_series(self, rng, dtype, container, window, horizon, stride):
        several = container(rng.normal(size=(n, 2)).astype(dtype) for n in (11, 8, 20))
        x, y = Windower(window, horizon=horizon, stride=stride).pairs(several)
        expected = [windows(series, window, horizon, stride) for series in several]
        assert x.dtype == y.dtype == dtype
        np.testing.assert_array_equal(x, np.concatenate([pair[0] for pair in expected]))
        np.testing.assert_array_equal(y, np.concatenate([pair[1] for pair in expected]))

    def test_positions_say_where_windows_and_targets_are(self, rng, window, horizon, stride):
        several = [rng.normal(size=(n, 2)) for n in (11, 8, 20)]
        windower = Windower(window, horizon=horizon, stride=stride).fit(several)
        x, y = windower.pairs(several)
        where = windower.positions(several, targets=True)
        assert len(where) == len(x)
        for (series, end), seen, target in zip(where, x, y):
            np.testing.assert_array_equal(several[series][end - window + 1 : end + 1], seen)
            np.testing.assert_array_equal(several[series][end + 1 : end + 1 + horizon], target)
        every = windower.transform(several)
        where = windower.positions(several)
        assert len(where) == len(every)
        for (series, end), seen in zip(where, every):
            np.testing.assert_array_equal(several[series][end - window + 1 : end + 1], seen)

    def test_transform_goes_on_to_the_last_window(self, window, horizon, stride):
        series = np.arange(20.0)[:, np.newaxis]
        ends = Windower(window, horizon=horizon, stride=stride).fit_transform(series)[:, -1, 0]
        assert ends.tolist() == list(range(window - 1, 20, stride))

    def test_no_target_of_training_is_unknown_when_testing_begins(self, window, horizon, stride):
        """With `gap` none, with one window less the last one."""
        series = np.arange(60.0)[:, np.newaxis]
        windower = Windower(window, horizon=horizon, stride=stride)
        x, y = windower.pairs(series)
        for train, test in TimeSeriesSplit(n_splits=2, gap=windower.gap).split(x):
            assert y[train].max() <= x[test[0], -1, 0]
            assert y[train].max() < y[test].min()
        if windower.gap > 0:
            for train, test in TimeSeriesSplit(n_splits=2, gap=windower.gap - 1).split(x):
                assert y[train].max() > x[test[0], -1, 0]

    def test_what_comes_later_changes_no_training(self, rng, window, horizon, stride):
        series = rng.normal(size=(60, 2))
        windower = Windower(window, horizon=horizon, stride=stride)
        x, y = windower.pairs(series)
        where = windower.positions(series, targets=True)
        for train, test in TimeSeriesSplit(n_splits=2, gap=windower.gap).split(x):
            poisoned = series.copy()
            poisoned[where[test[0], 1] + 1 :] = 1e9
            other_x, other_y = windower.pairs(poisoned)
            np.testing.assert_array_equal(other_x[train], x[train])
            np.testing.assert_array_equal(other_y[train], y[train])
            np.testing.assert_array_equal(other_x[test[0]], x[test[0]])


class TestForms:
    def test_an_array_of_series(self, rng):
        cube = rng.normal(size=(3, 9, 2))
        for one, other in zip(Windower(4).pairs(cube), Windower(4).pairs(list(cube))):
            np.testing.assert_array_equal(one, other)

    def test_series_without_features(self):
        x, y = Windower(2, horizon=2).pairs([np.arange(4.0), np.arange(5.0)])
        assert x.tolist() == [[[0], [1]]] * 2 + [[[1], [2]]]
        assert y[:, :, 0].tolist() == [[2, 3], [2, 3], [3, 4]]

    def test_frames_and_lists(self):
        table = np.arange(8.0).reshape(4, 2)
        for X in (table.tolist(), pd.DataFrame(table, columns=["a", "b"])):
            np.testing.assert_array_equal(
                Windower(2).fit_transform(X), Windower(2).fit_transform(table)
            )

    def test_one_window_is_a_copy_too(self, rng):
        series = rng.normal(size=(5, 2))
        assert not np.shares_memory(Windower(5).fit_transform(series), series)

    def test_nan_passes_and_infinity_does_not(self):
        assert np.isnan(Windower(1).fit_transform([[1.0], [np.nan]])).sum() == 1
        with pytest.raises(NonFiniteError, match="inf"):
            Windower(1).fit([[1.0], [np.inf]])


class TestTargets:
    def test_labels_of_any_type(self):
        series, labels = np.arange(5.0)[:, np.newaxis], np.array(list("abcde"))
        assert Windower(2, horizon=2).pairs(series, labels)[1].tolist() == [["c", "d"], ["d", "e"]]

    def test_of_several_series(self):
        x, y = Windower(2).pairs([np.zeros(3), np.zeros(4)], [[1, 2, 3], [4, 5, 6, 7]])
        assert y.dtype == np.int64 and y.tolist() == [[3], [6], [7]]

    @pytest.mark.parametrize(
        "y",
        [
            3,
            [1, 2],
            [[1, 2, 3]],
            [[1, 2, 3], [4, 5, 6]],
            [[1, 2, 3], 4],
            [[1, 2, 3], [[4], [5], [6], [7]]],
            [[1, 2, 3], [4, 5, 6, [7, 8]]],
        ],
    )
    def test_that_do_not_fit(self, y):
        with pytest.raises(ShapeError, match="y "):
            Windower(2).pairs([np.zeros(3), np.zeros(4)], y)


class TestStates:
    @pytest.mark.parametrize("name", ["window", "horizon", "stride"])
    @pytest.mark.parametrize(
        "value, error", [(-1, ConfigError), (1.5, DTypeError), (None, DTypeError)]
    )
    def test_options_are_checked(self, name, value, error):
        for use in (Windower.fit, Windower.pairs, Windower.positions):
            with pytest.raises(error, match=name):
                use(Windower(**{"window": 2, name: value}), np.zeros((9, 1)))

    def test_too_short(self):
        with pytest.raises(
            ShapeError, match="series 1 of X has 4 steps; window=3 and horizon=2 need at least 5"
        ):
            Windower(3, horizon=2).pairs([np.zeros(5), np.zeros(4)])
        with pytest.raises(ShapeError, match="window=3 needs at least 3"):
            Windower(3).fit_transform(np.zeros((2, 1)))

    def test_one_dimension_is_refused_with_advice(self):
        with pytest.raises(ShapeError, match=r"Reshape your data: X\[:, np.newaxis\]"):
            Windower(3).fit(np.zeros(9))

    def test_other_features(self):
        with pytest.raises(ShapeError, match="X has 3 features, but Windower is expecting 2"):
            Windower(2).fit(np.zeros((5, 2))).transform(np.zeros((5, 3)))

    def test_not_fitted(self):
        with pytest.raises(NotFittedError, match="call fit first") as caught:
            Windower().transform(np.zeros((20, 1)))
        assert isinstance(caught.value, GatewiseError)

    def test_pickle_and_clone(self, rng):
        series = rng.normal(size=(9, 2))
        windower = Windower(3, stride=2).fit(series)
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(windower)).transform(series), windower.transform(series)
        )
        assert clone(windower).get_params() == {
            "window": 3,
            "horizon": 1,
            "stride": 2,
            "sampling_rate": 1,
            "skip": 0,
        }
