import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from gatewise.data import SequenceScaler
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    NotFittedError,
    ShapeError,
)

METHODS = {
    "standard": StandardScaler,
    "robust": RobustScaler,
    "minmax": MinMaxScaler,
}


@pytest.fixture
def ragged(rng, dtype):
    return [
        (rng.normal(size=(n, 3)) * [1, 10, 100] + [0, 5, -50]).astype(dtype)
        for n in (4, 0, 7, 1, 5)
    ]


@pytest.mark.parametrize("method", METHODS)
class TestAgainstOneTable:
    def test_list(self, method, ragged):
        expected = METHODS[method]().fit(np.concatenate(ragged))
        scaled = SequenceScaler(method).fit(ragged).transform(ragged)
        assert isinstance(scaled, list)
        for row, given in zip(scaled, ragged):
            assert row.dtype == given.dtype and row.shape == given.shape
            if len(given):
                np.testing.assert_array_equal(row, expected.transform(given))

    def test_array_and_table(self, method, rng):
        cube = rng.normal(size=(5, 4, 3))
        np.testing.assert_array_equal(
            SequenceScaler(method).fit_transform(cube),
            METHODS[method]().fit_transform(cube.reshape(20, 3)).reshape(5, 4, 3),
        )
        table = cube[:, :, 0]
        np.testing.assert_array_equal(
            SequenceScaler(method).fit_transform(table),
            METHODS[method]().fit_transform(table.reshape(20, 1)).reshape(5, 4),
        )

    @pytest.mark.parametrize("container", [list, tuple])
    def test_there_and_back(self, method, ragged, container, tolerance):
        X = container(ragged)
        scaler = SequenceScaler(method).fit(X)
        back = scaler.inverse_transform(scaler.transform(X))
        assert type(back) is container
        for row, given in zip(back, X):
            np.testing.assert_allclose(row, given, rtol=0, atol=100 * tolerance.forward)

    def test_nan_is_left_out_and_stays(self, method, ragged):
        length = max(map(len, ragged))
        padded = np.stack(
            [
                np.pad(row, ((0, length - len(row)), (0, 0)), constant_values=np.nan)
                for row in ragged
            ]
        )
        scaled = SequenceScaler(method).fit_transform(padded)
        np.testing.assert_array_equal(np.isnan(scaled), np.isnan(padded))
        np.testing.assert_allclose(
            scaled[~np.isnan(padded)].reshape(-1, 3),
            np.concatenate(SequenceScaler(method).fit_transform(ragged)),
            rtol=1e-4,
            atol=1e-5,
        )

    def test_series_of_sequences(self, method, ragged):
        scaled = SequenceScaler(method).fit_transform(pd.Series(ragged))
        assert isinstance(scaled, np.ndarray) and scaled.shape == (5,)
        for row, expected in zip(scaled, SequenceScaler(method).fit_transform(ragged)):
            np.testing.assert_array_equal(row, expected)

    def test_sequences_without_a_step(self, method, rng):
        scaler = SequenceScaler(method).fit([rng.normal(size=4)])
        assert [row.tolist() for row in scaler.transform([[], []])] == [[], []]
        with pytest.raises(ShapeError, match="X holds no step"):
            SequenceScaler(method).fit([[]])

    def test_the_input_is_not_changed(self, method, ragged):
        for row in ragged:
            row.flags.writeable = False
        cube = np.stack([ragged[0], ragged[2][:4]])
        before = cube.copy()
        SequenceScaler(method).fit_transform(ragged)
        SequenceScaler(method).fit_transform(cube)
        np.testing.assert_array_equal(cube, before)


class TestOptions:
    def test_each_option_arrives(self, rng):
        cube = rng.normal(size=(5, 4, 2)) + 3
        steps = cube.reshape(20, 2)
        for ours, theirs in [
            (SequenceScaler(with_centering=False), StandardScaler(with_mean=False)),
            (SequenceScaler(with_scaling=False), StandardScaler(with_std=False)),
            (SequenceScaler("robust", with_centering=False), RobustScaler(with_centering=False)),
            (SequenceScaler("robust", with_scaling=False), RobustScaler(with_scaling=False)),
            (
                SequenceScaler("robust", quantile_range=(10, 90)),
                RobustScaler(quantile_range=(10, 90)),
            ),
            (SequenceScaler("minmax", feature_range=(-1, 1)), MinMaxScaler((-1, 1))),
        ]:
            np.testing.assert_array_equal(
                ours.fit_transform(cube).reshape(20, 2), theirs.fit_transform(steps)
            )

    def test_clip(self):
        scaler = SequenceScaler("minmax", clip=True).fit([[0.0, 1.0]])
        assert scaler.transform([[-1.0, 5.0]]).tolist() == [[0, 1]]

    @pytest.mark.parametrize(
        "options, match",
        [
            ({"method": "max"}, "method is 'max'"),
            (
                {"method": "standard", "clip": True},
                "clip=True has no meaning for method 'standard'",
            ),
            ({"method": "robust", "feature_range": (0, 2)}, "feature_range"),
            ({"method": "standard", "quantile_range": (1, 2)}, "quantile_range"),
            ({"method": "minmax", "with_centering": False}, "with_centering"),
            ({"method": "minmax", "feature_range": (1, 0)}, "Minimum of desired feature range"),
            ({"method": "minmax", "feature_range": 3}, "expected two numbers"),
            ({"method": "robust", "quantile_range": (90, 10)}, "quantile"),
        ],
    )
    def test_refused(self, options, match):
        with pytest.raises(ConfigError, match=match):
            SequenceScaler(**options).fit([[0.0, 1.0]])

    def test_flags_are_booleans(self):
        with pytest.raises(DTypeError, match="with_scaling"):
            SequenceScaler(with_scaling=1).fit([[0.0, 1.0]])


class TestPartialFit:
    @pytest.mark.parametrize("method", ["standard", "minmax"])
    def test_in_parts_as_at_once(self, method, ragged, tolerance):
        parts = SequenceScaler(method).partial_fit(ragged[:2]).partial_fit(ragged[2:])
        for row, other in zip(
            parts.transform(ragged), SequenceScaler(method).fit(ragged).transform(ragged)
        ):
            np.testing.assert_allclose(row, other, rtol=0, atol=10 * tolerance.forward)

    def test_robust_has_none(self):
        assert not hasattr(SequenceScaler("robust"), "partial_fit")

    def test_fit_starts_over(self):
        scaler = SequenceScaler().fit([[100.0, 300.0]]).fit([[0.0, 2.0]])
        assert scaler.scaler_.mean_.tolist() == [1]


class TestFeatures:
    def test_lists_and_tables_of_one_feature_go_together(self):
        scaler = SequenceScaler().fit([np.array([0.0, 2.0]), np.array([0.0, 2.0, 2.0, 0.0])])
        assert scaler.transform(np.array([[0.0, 2.0, 1.0]])).tolist() == [[-1, 1, 0]]
        scaler = SequenceScaler().fit(np.array([[0.0, 2.0]]))
        assert scaler.transform([np.array([0.0, 2.0, 1.0])])[0].tolist() == [-1, 1, 0]

    def test_another_number_is_refused(self):
        with pytest.raises(ShapeError, match="X has 3 features, but SequenceScaler is expecting 2"):
            SequenceScaler().fit(np.ones((4, 5, 2))).transform(np.ones((4, 5, 3)))
        with pytest.raises(ShapeError, match="X has 1 features, but SequenceScaler is expecting 2"):
            SequenceScaler().fit(np.ones((4, 5, 2))).transform(np.ones((4, 5)))
        with pytest.raises(ShapeError, match="X has 6 features, but SequenceScaler is expecting 5"):
            SequenceScaler().fit(np.ones((4, 5))).transform(np.ones((4, 6)))

    def test_names(self):
        frame = pd.DataFrame([[0.0, 1.0], [2.0, 3.0]], columns=["first", "second"])
        scaler = SequenceScaler().fit(frame)
        assert scaler.feature_names_in_.tolist() == ["first", "second"]
        with pytest.raises(ShapeError, match="feature names"):
            scaler.transform(frame.rename(columns={"second": "third"}))
        with pytest.raises(DTypeError, match="string"):
            scaler.fit(frame.rename(columns={"second": 2}))
        scaler.fit(np.ones((2, 2)))
        assert not hasattr(scaler, "feature_names_in_")


class TestStates:
    def test_not_fitted(self):
        for method in ("transform", "inverse_transform"):
            with pytest.raises(NotFittedError, match="call fit first") as caught:
                getattr(SequenceScaler(), method)([[1.0]])
            assert isinstance(caught.value, GatewiseError)

    def test_no_step(self):
        with pytest.raises(ShapeError, match="no step"):
            SequenceScaler().fit([np.zeros((0, 2))])
        assert SequenceScaler().fit([[1.0, 2.0]]).transform([np.zeros(0)])[0].shape == (0,)

    def test_infinity(self):
        with pytest.raises(NonFiniteError, match="inf"):
            SequenceScaler().fit([[1.0, np.inf]])

    def test_pickle_clone_and_pipeline(self, rng):
        X = [rng.normal(size=(n, 2)) for n in (3, 5)]
        scaler = SequenceScaler("minmax", feature_range=(-1, 1)).fit(X)
        again = pickle.loads(pickle.dumps(scaler))
        for one, other in zip(scaler.transform(X), again.transform(X)):
            np.testing.assert_array_equal(one, other)
        assert clone(scaler).get_params() == scaler.get_params()
        assert not hasattr(clone(scaler), "scaler_")
        twice = make_pipeline(SequenceScaler("minmax"), SequenceScaler()).fit_transform(X)
        for one, other in zip(twice, SequenceScaler().fit_transform(X)):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
