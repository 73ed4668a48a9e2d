import numpy as np
import pytest
from seeds import generator

from gatewise import models, utils
from gatewise.errors import ConfigError, DTypeError, GatewiseError, ShapeError, SizeError
from gatewise.utils import pad_sequences, to_categorical


class TestToCategorical:
    def test_each_label_is_a_row(self):
        y = to_categorical([0, 2, 1])
        np.testing.assert_array_equal(y, [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
        assert y.dtype == np.float64

    def test_num_classes_widens(self):
        assert to_categorical([0, 1], num_classes=5).shape == (2, 5)

    @pytest.mark.parametrize(
        "shape, expected",
        [
            ((), (5,)),
            ((1,), (1, 5)),
            ((4,), (4, 5)),
            ((4, 1), (4, 5)),
            ((3, 2), (3, 2, 5)),
            ((3, 2, 1), (3, 2, 5)),
        ],
    )
    def test_shapes(self, shape, expected):
        labels = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5
        y = to_categorical(labels, num_classes=5)
        assert y.shape == expected
        np.testing.assert_array_equal(y.argmax(axis=-1).ravel(), labels.ravel())
        np.testing.assert_array_equal(y.sum(axis=-1), np.ones(expected[:-1]))

    @pytest.mark.parametrize(
        "labels", [[1.0, 0.0], [True, False], np.array([1, 0], np.uint8), np.array([1, 0], object)]
    )
    def test_whole_numbers_of_any_type(self, labels):
        np.testing.assert_array_equal(to_categorical(labels), [[0, 1], [1, 0]])

    def test_empty(self):
        assert to_categorical([], num_classes=3).shape == (0, 3)
        with pytest.raises(ShapeError, match="give num_classes"):
            to_categorical([])

    @pytest.mark.parametrize(
        "labels, num_classes, message",
        [
            ([0, -1], None, "label -1 at index 1 .* outside 0 to 0"),
            ([0, 3], 3, "label 3 at index 1 .* outside 0 to 2"),
            ([[0, 1], [7, 1]], 3, r"label 7 at index \(1, 0\)"),
            (-2, 3, "label -2 at the one element"),
            ([[0, 1], [2]], None, "different lengths"),
        ],
    )
    def test_labels_that_name_no_class(self, labels, num_classes, message):
        with pytest.raises(ShapeError, match=message):
            to_categorical(labels, num_classes)

    @pytest.mark.parametrize(
        "labels, message",
        [
            ([0, 1.5], "label .*1.5.* at index 1 .* not a whole number"),
            ([0, np.nan], "nan.* not a whole number"),
            ([0, np.inf], "inf.* not a whole number"),
            (["cat", "dog"], "np.unique"),
            ([1j], "dtype complex128"),
            (np.array([2**63], np.uint64), "not a whole number"),
            ([2**70], "int64"),
            (np.array(["1"], object), "not a whole number"),
            ([None], "np.unique"),
        ],
    )
    def test_labels_that_are_not_integers(self, labels, message):
        with pytest.raises(DTypeError, match=message):
            to_categorical(labels)

    @pytest.mark.parametrize(
        "num_classes, error", [(0, ConfigError), (-1, ConfigError), (2.0, DTypeError)]
    )
    def test_bad_num_classes(self, num_classes, error):
        with pytest.raises(error, match="num_classes is"):
            to_categorical([0], num_classes)

    def test_too_many_classes_for_memory(self):
        with pytest.raises(SizeError, match="sparse_categorical_crossentropy"):
            to_categorical([2**60])

    def test_input_is_not_written(self):
        labels = np.array([[0], [1]])
        labels.setflags(write=False)
        to_categorical(labels)


class TestPadSequences:
    SEQUENCES = ([1], [2, 3], [4, 5, 6])

    @pytest.mark.parametrize(
        "options, expected",
        [
            ({}, [[0, 0, 1], [0, 2, 3], [4, 5, 6]]),
            ({"value": -1}, [[-1, -1, 1], [-1, 2, 3], [4, 5, 6]]),
            ({"padding": "post"}, [[1, 0, 0], [2, 3, 0], [4, 5, 6]]),
            ({"maxlen": 2}, [[0, 1], [2, 3], [5, 6]]),
            ({"maxlen": 2, "truncating": "post"}, [[0, 1], [2, 3], [4, 5]]),
            ({"maxlen": 2, "padding": "post", "truncating": "post"}, [[1, 0], [2, 3], [4, 5]]),
            ({"maxlen": 4, "padding": "post"}, [[1, 0, 0, 0], [2, 3, 0, 0], [4, 5, 6, 0]]),
        ],
    )
    def test_the_examples_of_keras(self, options, expected):
        padded = pad_sequences(list(self.SEQUENCES), **options)
        np.testing.assert_array_equal(padded, expected)
        assert padded.dtype == np.int32

    @pytest.mark.parametrize("padding", ["pre", "post"])
    @pytest.mark.parametrize("truncating", ["pre", "post"])
    def test_trailing_axes(self, padding, truncating):
        rng = generator(0)
        sequences = [rng.normal(size=(n, 2, 3)).astype(np.float32) for n in (4, 0, 1, 6)]
        padded = pad_sequences(sequences, 4, "float32", padding, truncating, value=9.0)
        assert padded.shape == (4, 4, 2, 3)
        assert padded.dtype == np.float32
        np.testing.assert_array_equal(padded[0], sequences[0])
        assert (padded[1] == 9).all()
        where = 3 if padding == "pre" else 0
        np.testing.assert_array_equal(padded[2, where], sequences[2][0])
        assert (np.delete(padded[2], where, axis=0) == 9).all()
        np.testing.assert_array_equal(
            padded[3], sequences[3][2:] if truncating == "pre" else sequences[3][:4]
        )

    def test_an_empty_sequence_does_not_set_the_trailing_shape(self):
        assert pad_sequences([[], [[1, 2]]]).shape == (2, 1, 2)

    def test_nothing_to_keep(self):
        assert pad_sequences([[], []]).shape == (2, 0)
        assert pad_sequences([], maxlen=3).shape == (0, 3)
        assert pad_sequences([[1, 2], [3]], maxlen=0).shape == (2, 0)
        with pytest.raises(ShapeError, match="give maxlen"):
            pad_sequences([])

    def test_strings(self):
        padded = pad_sequences([["a"], ["b", "long"]], dtype=object, value="pad")
        assert padded.tolist() == [["pad", "a"], ["b", "long"]]
        assert pad_sequences([["ab"], []], dtype="U3", value="pad").tolist() == [["ab"], ["pad"]]
        with pytest.raises(ConfigError, match="dtype=object"):
            pad_sequences([["a"]], value="pad")
        with pytest.raises(DTypeError, match="dtype=object"):
            pad_sequences([["long"]], dtype="U3", value="pad")
        with pytest.raises(DTypeError, match="dtype=object"):
            pad_sequences([["1"]])

    @pytest.mark.parametrize(
        "sequences, message",
        [
            (3, "expected a list of sequences"),
            ("text", "expected a list of sequences"),
            (iter([[1]]), "list()"),
            ([[1], 2], r"sequences\[1\] is of type int"),
            ([1, 2], r"wrap a single sequence"),
            (
                [[[1, 2]], [[1, 2, 3]]],
                r"sequences\[1\] has steps of shape \(3,\), sequences\[0\] of \(2,\)",
            ),
            ([[1], [[1, 2]]], r"sequences\[1\] has steps of shape \(2,\), sequences\[0\] of \(\)"),
            ([[1], [[1, 2], [3]]], r"steps of sequences\[1\] differ in shape"),
        ],
    )
    def test_what_is_not_a_list_of_sequences(self, sequences, message):
        with pytest.raises(ShapeError, match=message):
            pad_sequences(sequences)

    @pytest.mark.parametrize(
        "options, message",
        [
            ({"padding": "both"}, "padding is 'both'; expected 'pre' or 'post'"),
            ({"truncating": None}, "truncating is None"),
            ({"maxlen": -1}, "maxlen is -1"),
            ({"dtype": "int99"}, "dtype is 'int99'"),
        ],
    )
    def test_bad_options(self, options, message):
        with pytest.raises(ConfigError, match=message):
            pad_sequences(list(self.SEQUENCES), **options)

    def test_maxlen_is_an_integer(self):
        assert pad_sequences([[1, 2]], maxlen=np.int64(1)).tolist() == [[2]]
        for maxlen in (2.0, "2", True):
            with pytest.raises(DTypeError, match="maxlen is"):
                pad_sequences([[1]], maxlen=maxlen)

    @pytest.mark.parametrize(
        "sequences, options, message",
        [
            ([[1], [0.5]], {}, r"sequences\[1\] holds .*0.5.* dtype int32 cannot hold"),
            ([[np.nan]], {}, "nan"),
            ([[2**31]], {}, "2147483648"),
            ([[2**70]], {}, "int32"),
            ([[-1]], {"dtype": "uint8"}, "-1"),
            ([[1]], {"value": 0.5}, "value holds"),
            ([[1j]], {"dtype": "float32"}, "complex128"),
            ([[None]], {}, "int32"),
        ],
    )
    def test_numbers_are_never_cut(self, sequences, options, message):
        with pytest.raises(DTypeError, match=message):
            pad_sequences(sequences, **options)

    def test_whole_floats_and_rounding_pass(self):
        assert pad_sequences([[1.0, 2.0]]).tolist() == [[1, 2]]
        assert pad_sequences([[0.1]], dtype="float32")[0, 0] == np.float32(0.1)

    def test_too_long_for_memory(self):
        with pytest.raises(SizeError, match="does not fit"):
            pad_sequences([[1]], maxlen=2**60)

    def test_input_is_not_written(self):
        array = np.arange(6.0).reshape(1, 2, 3)
        array.setflags(write=False)
        pad_sequences(array, maxlen=5, dtype="float64")


def test_errors_have_a_common_base():
    with pytest.raises(GatewiseError):
        to_categorical([-1])
    with pytest.raises(ValueError):
        pad_sequences([1])


def test_plot_model_is_where_keras_has_it():
    assert utils.plot_model is models.plot_model
    with pytest.raises(AttributeError, match="no attribute 'plot'"):
        utils.plot  # noqa: B018
