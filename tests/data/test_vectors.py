import gzip

import numpy as np
import pytest

from gatewise import Sequential
from gatewise.data import Vocabulary, WordVectors, load_vectors
from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    NotFittedError,
    ShapeError,
    SizeError,
)
from gatewise.layers import LSTM, Dense, Embedding

LINES = ["the 0.5 -1 2", "cat 1e-1 0.25 7", "THE 9 9 9", "cat 3 3 3", "naïve 1 2 3"]
NUMBERS = {"cat": 0, "dog": 1, "the": 2, "The": 3, "naïve": 4}
MATRIX = [[0.1, 0.25, 7], [0, 0, 0], [0.5, -1, 2], [0, 0, 0], [1, 2, 3]]


@pytest.fixture
def write(tmp_path):
    def write(lines, name="vectors.txt", raw=b""):
        path = tmp_path / name
        path.write_bytes(raw or "\n".join(lines).encode())
        return path

    return write


class TestForms:
    @pytest.mark.parametrize("header", [[], ["5 3"], ["400000 3 "]])
    @pytest.mark.parametrize("ending", ["", "\n", " \r\n", "\n\n"])
    def test_of_glove_and_word2vec(self, write, header, ending):
        lines = [*header, *LINES]
        path = write([], raw="".join(line + (ending or "\n") for line in lines).encode())
        vectors = load_vectors(str(path), NUMBERS)
        assert isinstance(vectors, WordVectors)
        np.testing.assert_array_equal(vectors.matrix, np.float32(MATRIX))
        assert vectors.matrix.dtype == np.float32
        assert vectors.found.tolist() == [True, False, True, False, True]
        assert vectors.coverage == 0.6

    def test_a_byte_order_mark_is_no_part_of_the_first_token(self, write):
        lines = "\n".join(LINES).encode()
        for start in (b"", b"5 3\n"):
            path = write([], raw=b"\xef\xbb\xbf" + start + lines)
            np.testing.assert_array_equal(load_vectors(path, NUMBERS).matrix, np.float32(MATRIX))

    def test_numbers_of_numpy(self, write):
        numbers = dict(zip(NUMBERS, np.array(list(NUMBERS.values()))))
        np.testing.assert_array_equal(load_vectors(write(LINES), numbers).found.sum(), 3)

    def test_compressed(self, write):
        path = write([], "vectors.gz", gzip.compress("\n".join(LINES).encode()))
        np.testing.assert_array_equal(load_vectors(path, NUMBERS, dtype="float64").matrix, MATRIX)
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_vectors(write([], "cut.gz", path.read_bytes()[:-9]), NUMBERS)

    def test_tokens_with_spaces_and_of_no_known_encoding(self, write):
        path = write([], raw=b"\xff 1 2\n. . . 3 4\nat a 5 6\n")
        with pytest.raises(ConfigError, match="none of the 1 tokens"):
            load_vectors(path, {"\ufffd": 0})
        assert load_vectors(path, {"at a": 0, ". . .": 1}).matrix.tolist() == [[5, 6], [3, 4]]

    def test_one_dimension(self, write):
        assert load_vectors(write(["a 1", "2 3"]), {"2": 0}).matrix.tolist() == [[3]]


class TestMissing:
    def test_lower_case_takes_the_place(self, write):
        vectors = load_vectors(write(LINES), NUMBERS | {"CAT": 5}, lowercase=True)
        assert vectors.matrix[[3, 5]].tolist() == np.float32([MATRIX[2], MATRIX[0]]).tolist()
        # its own vector counts, before or after that of the lower-case form
        for lines in (LINES, LINES[::-1]):
            vectors = load_vectors(write(lines), {"THE": 0, "the": 1}, lowercase=True)
            assert vectors.matrix.tolist() == [[9, 9, 9], [0.5, -1, 2]]

    def test_normal(self, write, rng):
        many = [f"w{k} {rng.normal(3, 0.5)} {rng.normal(-1, 2)}" for k in range(400)]
        texts = [f"w{k} u{k}" for k in range(400)]
        vocabulary = Vocabulary("words").fit(texts)
        path = write(many)
        drawn = load_vectors(path, vocabulary, missing="normal")
        assert drawn.found.sum() == 400 and not drawn.found[:2].any()
        assert not drawn.matrix[0].any()
        rest = drawn.matrix[~drawn.found][1:]
        np.testing.assert_allclose(rest.mean(axis=0), [3, -1], atol=0.4)
        np.testing.assert_allclose(rest.std(axis=0), [0.5, 2], rtol=0.2)
        again = load_vectors(path, vocabulary, missing="normal", seed=0)
        np.testing.assert_array_equal(again.matrix, drawn.matrix)
        other = load_vectors(path, vocabulary, missing="normal", seed=1)
        assert (other.matrix[~drawn.found][1:] != rest).all()
        np.testing.assert_array_equal(other.matrix[drawn.found], drawn.matrix[drawn.found])


class TestRefused:
    @pytest.mark.parametrize(
        "lines, match",
        [
            (["the 1 2", "", "cat 1"], "line 3: found 1 numbers after the token; expected 2"),
            (["the"], "line 1: found 0 numbers after the token; expected at least 1"),
            (["9 4", "the 1 2"], "line 2: found 2 numbers after the token; expected 4"),
            (["the 1 2", "cat 1 x"], "line 2: could not convert"),
            (["the 1 2", "cat 1  2"], "line 2: could not convert|line 2: found"),
            (["9" * 5000 + " 3", "the"], "line 2: found 0 numbers after the token; expected 1"),
            (["the 1 nan"], "line 1: found NaN or infinity"),
            (["the 1 1e39"], "line 1: found NaN or infinity; expected finite numbers of float32"),
        ],
    )
    def test_lines(self, write, lines, match):
        with pytest.raises(CheckpointError, match=match):
            load_vectors(write(lines), {"the": 0, "cat": 1, "cat 1": 2})

    def test_files(self, write, tmp_path):
        with pytest.raises(CheckpointError, match="zip archive; extract"):
            load_vectors(write([], raw=b"PK\x03\x04rest"), NUMBERS)
        with pytest.raises(CheckpointError, match="absent.txt cannot be read"):
            load_vectors(tmp_path / "absent.txt", NUMBERS)
        with pytest.raises(ConfigError, match=r"none of the 1 tokens .* tokens like \['owl'\]"):
            load_vectors(write(LINES), {"owl": 0})
        with pytest.raises(ConfigError, match="none of the"):
            load_vectors(write(["5 3"]), NUMBERS)

    @pytest.mark.parametrize(
        "vocabulary, options, error, match",
        [
            (["the"], {}, DTypeError, "vocabulary is list"),
            ({"the": 1.0}, {}, DTypeError, "vocabulary is dict"),
            ({"the": 1}, {}, ShapeError, "1 tokens; expected each number"),
            ({}, {}, ShapeError, "0 tokens"),
            (Vocabulary(), {}, NotFittedError, "call fit"),
            (NUMBERS, {"missing": "mean"}, ConfigError, "'mean'; expected 'zeros' or 'normal'"),
            (NUMBERS, {"dtype": "float16"}, DTypeError, "float16"),
            (NUMBERS, {"lowercase": "yes"}, DTypeError, "lowercase"),
            (NUMBERS, {"seed": -1}, ConfigError, "seed"),
        ],
    )
    def test_options(self, write, vocabulary, options, error, match):
        with pytest.raises(error, match=match):
            load_vectors(write(LINES), vocabulary, **options)

    def test_size(self, write, monkeypatch):
        monkeypatch.setattr("gatewise.checks._PHYSICAL_MEMORY", 1000)
        numbers = {str(number): number for number in range(400_000)}
        with pytest.raises(SizeError, match="the matrix of vectors"):
            load_vectors(write(["x 0 0 0", "7 1 2 3"]), numbers)


@pytest.mark.parametrize("trainable", [False, True])
def test_in_an_embedding(write, trainable):
    vocabulary = Vocabulary("words").fit(["the cat", "the dog"])
    matrix = load_vectors(write(LINES), vocabulary).matrix
    layer = Embedding(*matrix.shape, weights=matrix, mask_zero=True, trainable=trainable)
    model = Sequential([layer, LSTM(3), Dense(1)], seed=0)
    model.compile("adam", "mse")
    model.fit(np.array([[2, 3], [2, 4]]), np.array([[1.0], [2.0]]), epochs=2, verbose=0)
    assert (layer.get_weights()[0][2:4] == matrix[2:4]).all() == (not trainable)
