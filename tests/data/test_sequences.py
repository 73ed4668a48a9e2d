import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from gatewise import Sequential, layers
from gatewise.data import SequencePadder, stack_frames, windows
from gatewise.data.sequences import read_sequences
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NonFiniteError, ShapeError


def objects(rows):
    result = np.empty(len(rows), object)
    result[:] = rows
    return result


TABLE = np.arange(6.0).reshape(2, 3)
CUBE = np.arange(12.0).reshape(2, 3, 2)
RAGGED = [np.arange(4.0).reshape(2, 2), np.zeros((0, 2)), np.arange(6.0).reshape(3, 2) + 10]
RAGGED_FLAT = [np.arange(2.0), np.arange(3.0) + 10]


class TestForms:
    @pytest.mark.parametrize(
        "X, form, rows",
        [
            (TABLE, "table", [[[0], [1], [2]], [[3], [4], [5]]]),
            (TABLE.tolist(), "table", [[[0], [1], [2]], [[3], [4], [5]]]),
            (pd.DataFrame(TABLE, columns=list("abc")), "table", [[[0], [1], [2]], [[3], [4], [5]]]),
            (TABLE.astype(object), "table", [[[0], [1], [2]], [[3], [4], [5]]]),
            (CUBE, "array", CUBE.tolist()),
            (CUBE.tolist(), "array", CUBE.tolist()),
            (list(CUBE), "list", CUBE.tolist()),
            (RAGGED, "list", [row.tolist() for row in RAGGED]),
            (tuple(RAGGED), "tuple", [row.tolist() for row in RAGGED]),
            (objects(RAGGED), "objects", [row.tolist() for row in RAGGED]),
            (pd.Series(RAGGED), "objects", [row.tolist() for row in RAGGED]),
            (RAGGED_FLAT, "list", [[[0], [1]], [[10], [11], [12]]]),
            ([[0, 1], [10, 11, 12]], "list", [[[0], [1]], [[10], [11], [12]]]),
            ([[[0], [1]], [[10], [11], [12]]], "list", [[[0], [1]], [[10], [11], [12]]]),
            ([pd.Series([0.0, 1.0]), pd.Series([2.0])], "list", [[[0], [1]], [[2]]]),
        ],
    )
    def test_reading(self, X, form, rows):
        sequences = read_sequences(X)
        assert sequences.form == form
        assert [row.tolist() for row in sequences.rows()] == rows
        assert sequences.lengths.tolist() == [len(row) for row in rows]
        assert sequences.steps.shape == (sum(map(len, rows)), sequences.features)

    @pytest.mark.parametrize(
        "X",
        [
            TABLE,
            CUBE,
            list(CUBE),
            RAGGED,
            tuple(RAGGED),
            objects(RAGGED),
            RAGGED_FLAT,
            objects(RAGGED_FLAT),
            [RAGGED_FLAT[0], RAGGED_FLAT[1][:, np.newaxis]],
        ],
    )
    def test_rebuilt_as_given(self, X):
        sequences = read_sequences(X)
        back = sequences.rebuilt(sequences.steps.copy())
        assert type(back) is type(X) and len(back) == len(X)
        for one, other in zip(back, X):
            assert one.shape == other.shape
            np.testing.assert_array_equal(one, other)

    def test_rebuilt_with_other_steps(self):
        sequences = read_sequences(RAGGED)
        back = sequences.rebuilt(np.arange(9.0).reshape(3, 3), [1, 0, 2])
        assert [row.tolist() for row in back] == [[[0, 1, 2]], [], [[3, 4, 5], [6, 7, 8]]]

    def test_a_table_of_several_features_gets_an_axis(self):
        assert read_sequences(TABLE).rebuilt(np.zeros((6, 2))).shape == (2, 3, 2)
        assert [row.shape for row in read_sequences(RAGGED_FLAT).rebuilt(np.zeros((5, 2)))] == [
            (2, 2),
            (3, 2),
        ]

    @pytest.mark.parametrize(
        "given, kept",
        [
            ("float32", "float32"),
            ("float64", "float64"),
            ("float16", "float32"),
            ("int8", "float64"),
            ("bool", "float64"),
        ],
    )
    def test_dtype(self, given, kept):
        assert read_sequences(np.ones((2, 3), given)).steps.dtype == kept
        assert read_sequences([np.ones(3, given), np.ones(2, given)]).steps.dtype == kept

    def test_the_widest_dtype_of_a_list(self):
        assert read_sequences([np.ones(3, np.float32), np.ones(2)]).steps.dtype == np.float64

    def test_nan_passes(self):
        assert np.isnan(read_sequences([[1.0, np.nan], [2.0]]).steps).sum() == 1


class TestErrors:
    @pytest.mark.parametrize(
        "X, error, match",
        [
            (np.zeros(3), ShapeError, "Reshape your data"),
            ([1.0, 2.0], ShapeError, "Reshape your data"),
            (5.0, ShapeError, "Reshape your data"),
            (np.zeros((1, 2, 3, 4)), ShapeError, r"\(1, 2, 3, 4\)"),
            (np.zeros((0, 3)), ShapeError, r"0 sample\(s\)"),
            (np.zeros((3, 0)), ShapeError, r"0 feature\(s\)"),
            (np.zeros((3, 2, 0)), ShapeError, r"0 feature\(s\)"),
            ([], ShapeError, "Reshape|no sequence"),
            (objects([]), ShapeError, "no sequence"),
            (
                [np.zeros((2, 2)), np.zeros((2, 3))],
                ShapeError,
                r"X\[1\] has 3 features a step, X\[0\] has 2",
            ),
            ([np.zeros(2), np.zeros((2, 2, 2))], ShapeError, r"X\[1\] has shape \(2, 2, 2\)"),
            ([np.zeros(2), 3.0], ShapeError, r"X\[1\] has shape \(\)"),
            ([[1.0], [[1.0], [2.0, 3.0]]], ShapeError, r"X\[1\]"),
            ([np.zeros((2, 0))], ShapeError, r"X\[0\] has 0 features"),
            (np.array([[np.inf, 0]]), NonFiniteError, r"inf at index \(0, 0\)"),
            (
                [np.zeros(2), np.array([0, -np.inf])],
                NonFiniteError,
                r"X\[1\] holds -inf at index \(1,\)",
            ),
            (np.zeros((2, 2), complex), ConfigError, "Complex data not supported"),
            (np.array([["a", "b"]]), DTypeError, "text"),
            (["one", "two"], DTypeError, "X holds text"),
            (np.array([[{}, 1]], object), DTypeError, "X holds objects that are not numbers"),
            (scipy.sparse.eye(3), DTypeError, "sparse"),
            (objects([[[1], [2, 3]], [[1]]]), ShapeError, r"X\[0\]"),
        ],
    )
    def test_refused(self, X, error, match):
        with pytest.raises(error, match=match) as caught:
            read_sequences(X)
        assert isinstance(caught.value, GatewiseError)


class TestColumnsOfDifferentTypes:
    """NumPy makes objects of the columns of a frame of which some hold booleans."""

    FRAME = pd.DataFrame({"on": [True, False, True], "count": [1, 2, 3], "value": [0.5, 1.5, 2.5]})
    VALUES = np.array([[1, 1, 0.5], [0, 2, 1.5], [1, 3, 2.5]])

    @pytest.mark.parametrize(
        "frame",
        [FRAME, FRAME.astype(object), FRAME.convert_dtypes(), FRAME.astype("Float64")],
        ids=["mixed", "objects", "nullable", "Float64"],
    )
    def test_are_numbers_everywhere(self, frame):
        np.testing.assert_array_equal(windows(frame, 1)[0][:, 0], self.VALUES[:-1])
        np.testing.assert_array_equal(stack_frames(frame, 1), self.VALUES)
        np.testing.assert_array_equal(SequencePadder().fit_transform([frame])[0], self.VALUES)
        model = Sequential([layers.Input((3,)), layers.Dense(3, kernel_initializer="identity")])
        np.testing.assert_array_equal(model.predict(frame, verbose=0), self.VALUES)

    def test_missing_ones_are_nan(self):
        frame = self.FRAME.astype("Int64", errors="ignore").mask([[False, True, False]] * 3)
        assert np.isnan(SequencePadder().fit_transform([frame])[0][:, 1]).all()

    def test_text_is_refused(self):
        with pytest.raises(DTypeError, match="no numbers"):
            windows(self.FRAME.assign(name="a"), 1)

    def test_groupby_objects_are_refused(self):
        with pytest.raises(DTypeError, match="DataFrameGroupBy.*groups="):
            read_sequences(self.FRAME.groupby("count"))
