import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from gatewise.data import SequencePadder, SequenceScaler
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NotFittedError, ShapeError
from gatewise.utils import pad_sequences


@pytest.fixture
def ragged(rng, dtype):
    return [rng.normal(size=(n, 2)).astype(dtype) for n in (3, 0, 6, 1)]


class TestAgainstPadSequences:
    @pytest.mark.parametrize("padding", ["pre", "post"])
    @pytest.mark.parametrize("truncating", ["pre", "post"])
    @pytest.mark.parametrize("length", [None, 1, 4, 9])
    def test_list(self, ragged, padding, truncating, length):
        padder = SequencePadder(length, padding=padding, truncating=truncating, value=-1.5)
        expected = pad_sequences(ragged, length, ragged[0].dtype, padding, truncating, -1.5)
        found = padder.fit_transform(ragged)
        assert found.dtype == ragged[0].dtype
        np.testing.assert_array_equal(found, expected)
        assert padder.length_ == expected.shape[1]
        assert padder.lengths(ragged).tolist() == [min(len(row), padder.length_) for row in ragged]


class TestForms:
    def test_arrays_and_tables(self, rng):
        cube = rng.normal(size=(3, 4, 2))
        found = SequencePadder(6).fit_transform(cube)
        np.testing.assert_array_equal(found[:, :4], cube)
        assert not found[:, 4:].any()
        np.testing.assert_array_equal(
            SequencePadder(3).fit_transform(cube[:, :, 0])[:, :, 0], cube[:, :3, 0]
        )

    def test_the_result_is_a_copy(self, rng):
        cube = rng.normal(size=(3, 4, 2))
        assert not np.shares_memory(SequencePadder().fit_transform(cube), cube)

    def test_the_longest_of_fit_decides(self):
        padder = SequencePadder().fit([[1.0, 2.0]])
        assert padder.transform([[1.0, 2.0, 3.0], [4.0]])[:, :, 0].tolist() == [[1, 2], [4, 0]]


class TestBack:
    @pytest.mark.parametrize("padding", ["pre", "post"])
    def test_by_nan(self, ragged, padding):
        ragged[2][2] = np.nan  # a hole inside is no padding
        ragged[0][0, 1] = np.nan
        padder = SequencePadder(padding=padding, value=np.nan).fit(ragged)
        for row, given in zip(padder.inverse_transform(padder.transform(ragged)), ragged):
            np.testing.assert_array_equal(row, given)

    @pytest.mark.parametrize("padding", ["pre", "post"])
    def test_by_lengths(self, ragged, padding):
        padder = SequencePadder(padding=padding).fit(ragged)
        back = padder.inverse_transform(padder.transform(ragged), padder.lengths(ragged))
        assert len(back) == len(ragged)
        for row, given in zip(back, ragged):
            np.testing.assert_array_equal(row, given)

    def test_zeros_do_not_say_where_a_sequence_ends(self, ragged):
        padder = SequencePadder().fit(ragged)
        with pytest.raises(ConfigError, match="padder.lengths"):
            padder.inverse_transform(padder.transform(ragged))

    def test_shapes(self, ragged):
        padder = SequencePadder(value=np.nan).fit(ragged)
        with pytest.raises(ShapeError, match=r"expected \(n, time, 2\)"):
            padder.inverse_transform(np.zeros((3, 4, 1)))
        with pytest.raises(ShapeError, match="lengths"):
            padder.inverse_transform(np.zeros((3, 4, 2)), [4, 5, 1])
        with pytest.raises(DTypeError, match="X holds"):
            padder.inverse_transform(np.full((3, 4, 2), "a"))


class TestStates:
    @pytest.mark.parametrize(
        "options, error, match",
        [
            ({"padding": "left"}, ConfigError, "padding is 'left'"),
            ({"truncating": None}, ConfigError, "truncating is None"),
            ({"length": 0}, ConfigError, "length is 0"),
            ({"length": 2.5}, DTypeError, "length"),
            ({"value": "x"}, DTypeError, "value is 'x'"),
            ({"value": [1, 2]}, DTypeError, "value"),
            ({"value": 1j}, DTypeError, "value"),
        ],
    )
    def test_options_are_checked(self, options, error, match):
        with pytest.raises(error, match=match):
            SequencePadder(**options).fit([[1.0, 2.0]])

    def test_other_features(self, ragged):
        with pytest.raises(ShapeError, match="X has 3 features, but SequencePadder is expecting 2"):
            SequencePadder().fit(ragged).transform([np.zeros((4, 3))])

    @pytest.mark.parametrize("method", ["transform", "lengths", "inverse_transform"])
    def test_not_fitted(self, method):
        with pytest.raises(NotFittedError, match="call fit first") as caught:
            getattr(SequencePadder(), method)([[1.0]])
        assert isinstance(caught.value, GatewiseError)

    def test_nothing_but_empty_sequences(self):
        assert SequencePadder().fit_transform([np.zeros((0, 2))] * 3).shape == (3, 0, 2)

    def test_pickle_clone_and_pipeline(self, ragged):
        pipeline = make_pipeline(
            SequencePadder(value=np.nan), SequenceScaler(), SequencePadder(8)
        ).fit(ragged)
        found = pipeline.transform(ragged)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(pipeline)).transform(ragged), found)
        np.testing.assert_allclose(
            found[2, :6], SequenceScaler().fit_transform(ragged)[2], rtol=1e-5, atol=1e-5
        )
        assert clone(pipeline[0]).get_params()["length"] is None
