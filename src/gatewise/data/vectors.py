"""Vectors of words from text files, in the order of a vocabulary: the start of an embedding."""

from __future__ import annotations

import codecs
import gzip
import os
import zlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, ConfigError, DTypeError, ShapeError
from gatewise.memory import names_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from gatewise._typing import Array, BoolArray, DType, PathLike

    from .text import Vocabulary

__all__ = ["WordVectors", "load_vectors"]

MOST_DIGITS = 19  # of a count in a header


class WordVectors(NamedTuple):
    """What :func:`load_vectors` returns.

    Parameters
    ----------
    matrix : ndarray of shape (numbers, dimensions), float32 or float64
        Row k is the vector of the token with number k.
    found : ndarray of shape (numbers,), bool
        Whether the file has a vector for the token.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.data import WordVectors
    >>> WordVectors(np.ones((4, 2)), np.array([True, False, True, True])).coverage
    0.75
    """

    matrix: Array
    found: BoolArray

    @property
    def coverage(self) -> float:
        """The share of the numbers that have a vector from the file, from 0 to 1."""
        return float(self.found.mean())


@names_memory
def load_vectors(
    path: PathLike,
    vocabulary: Vocabulary | Mapping[str, int],
    *,
    lowercase: bool = False,
    missing: Literal["zeros", "normal"] = "zeros",
    dtype: DType = "float32",
    seed: int | None = 0,
) -> WordVectors:
    """Return the vectors of a vocabulary's tokens from a text file of word vectors.

    Parameters
    ----------
    path : str or path-like
        A file in the text format of GloVe: on each line a token and its numbers, with spaces
        between them. It may begin with a line of two numbers, as the text files of word2vec and
        fastText do, and may be compressed by gzip. It is read line by line, and only the vectors
        of the vocabulary are kept.
    vocabulary : Vocabulary or dict of str to int
        A fitted :class:`Vocabulary`, or the number of each token, from 0.
    lowercase : bool, default False
        Whether a token that the file does not have gets the vector of its lower-case form.
    missing : {"zeros", "normal"}, default "zeros"
        Vectors of tokens that the file does not have: zeros, or drawn from a normal distribution
        with the mean and standard deviation of the vectors that were found, for each dimension.
        Number 0 of a :class:`Vocabulary`, which is padding, gets zeros.
    dtype : {"float32", "float64"}, default "float32"
        The dtype of the result.
    seed : int, optional
        Seed of ``missing="normal"``, from 0. None: a random one.

    Returns
    -------
    WordVectors
        The matrix, and which tokens were found; its `coverage` is the share of them. If a token
        is in the file several times, the first vector counts.

    Raises
    ------
    CheckpointError
        The file cannot be read, or a line has another form than the first; the message has the
        number of the line.
    ConfigError
        No token of the vocabulary is in the file, or an option cannot be used.
    DTypeError, ShapeError
        `vocabulary` has another type, or its numbers are not those from 0 to their count.
    NotFittedError
        The vocabulary is not fitted.
    SizeError
        The matrix does not fit into memory.

    Examples
    --------
    >>> import os, tempfile
    >>> from gatewise.data import Vocabulary, load_vectors
    >>> from gatewise.layers import Embedding
    >>> path = os.path.join(tempfile.mkdtemp(), "vectors.txt")
    >>> with open(path, "w") as file:
    ...     _ = file.write("the 0.5 -1.0\\ncat 0.25 2.0\\n")
    >>> vocabulary = Vocabulary("words").fit(["the cat", "the dog"])
    >>> vectors = load_vectors(path, vocabulary)
    >>> vectors.matrix.tolist()
    [[0.0, 0.0], [0.0, 0.0], [0.5, -1.0], [0.25, 2.0], [0.0, 0.0]]
    >>> vectors.found.tolist()
    [False, False, True, True, False]
    >>> layer = Embedding(*vectors.matrix.shape, weights=vectors.matrix, trainable=False)
    """
    numbers, padded = _numbers(vocabulary)
    wanted = _wanted(numbers, checks.flag(lowercase, "lowercase"))
    if missing not in ("zeros", "normal"):
        raise ConfigError(f"missing is {missing!r}; expected 'zeros' or 'normal'")
    kind = checks.dtype_name(dtype)
    seed = checks.seed(seed)
    found = np.zeros(len(numbers), bool)
    matrix = np.zeros((len(numbers), 0), kind)
    exact = set()  # numbers whose own token was found, not its lower-case form
    for token, values in _vectors(os.fspath(path), wanted, kind):
        if not matrix.shape[1]:
            checks.fits_memory(len(numbers) * len(values), kind, "the matrix of vectors")
            matrix = np.zeros((len(numbers), len(values)), kind)
        for number in wanted[token]:
            own = numbers.get(token) == number
            if not found[number] or (own and number not in exact):
                matrix[number], found[number] = values, True
            if own:
                exact.add(number)
    if not found.any():
        raise ConfigError(
            f"{path} has none of the {len(numbers)} tokens of the vocabulary; expected tokens like"
            f" {sorted(wanted)[:3]}"
        )
    if missing == "normal":
        _draw(matrix, found, np.random.default_rng(seed))
        if padded:
            matrix[0] = 0
    return WordVectors(matrix, found)


def _draw(matrix: Array, found: BoolArray, rng: np.random.Generator) -> None:
    """Draw the vectors that were not found, in place."""
    known = matrix[found]
    shape = (int((~found).sum()), matrix.shape[1])
    matrix[~found] = rng.normal(known.mean(axis=0), known.std(axis=0), shape)


def _numbers(vocabulary: Any) -> tuple[dict[str, int], bool]:
    """The number of each token, and whether number 0 is padding."""
    if hasattr(vocabulary, "padding_index_"):
        len(vocabulary)  # raises NotFittedError
        return vocabulary.numbers_, True
    if not (
        hasattr(vocabulary, "items")
        and all(isinstance(token, str) and _is_number(n) for token, n in vocabulary.items())
    ):
        raise DTypeError(
            f"vocabulary is {type(vocabulary).__name__}; expected a fitted Vocabulary, or a dict"
            " of each token to its number"
        )
    numbers = {token: int(number) for token, number in vocabulary.items()}
    if sorted(numbers.values()) != list(range(len(numbers))) or not numbers:
        raise ShapeError(
            f"vocabulary has {len(numbers)} tokens; expected each number from 0 to one less than"
            " their count once, and at least one"
        )
    return numbers, False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _wanted(numbers: dict[str, int], lowercase: bool) -> dict[str, list[int]]:
    """For each token that is looked for, the numbers that can take its vector."""
    wanted = {token: [number] for token, number in numbers.items()}
    if lowercase:
        for token, number in numbers.items():
            if token.lower() != token:
                wanted.setdefault(token.lower(), []).append(number)
    return wanted


def _vectors(path: str, wanted: Mapping[str, Any], dtype: str) -> Iterator[tuple[str, Array]]:
    """Token and vector of each line whose token is wanted; all lines are checked."""
    size = 0
    for place, line in _lines(path):
        if place == 1 and _is_header(line):
            size = int(line.split()[1])
            continue
        blanks = line.count(b" ")
        size = size or blanks
        if not size or blanks < size:
            raise CheckpointError(
                f"{path}, line {place}: found {blanks} numbers after the token; expected"
                f" {size or 'at least 1'}, with single spaces between them"
            )
        # A token with spaces in it, as in some files of GloVe, ends where the last `size` begin.
        token, _, rest = line.partition(b" ")
        if blanks > size:
            token = line.rsplit(b" ", size)[0]
            rest = line[len(token) + 1 :]
        word = token.decode("utf-8", errors="surrogateescape")
        if word in wanted:
            yield word, _parsed(rest, dtype, f"{path}, line {place}")


def _is_header(line: bytes) -> bool:
    """Whether it is the first line of word2vec: how many tokens, and how many dimensions.

    A line with a token and one number is taken for a header, too, if both are whole numbers: a
    vector of one dimension for a token of digits is not expected at the beginning of a file.
    """
    parts = line.split()
    return len(parts) == 2 and all(
        part.isdigit() and len(part) < MOST_DIGITS and int(part) for part in parts
    )


def _parsed(text: bytes, dtype: str, where: str) -> Array:
    try:
        with np.errstate(over="ignore"):
            values = np.array(text.split(b" "), np.float64).astype(dtype)
    except ValueError as error:
        raise CheckpointError(
            f"{where}: {error}; expected a token and its numbers, with single spaces between them"
        ) from error
    if not np.isfinite(values).all():
        raise CheckpointError(f"{where}: found NaN or infinity; expected finite numbers of {dtype}")
    return values


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Number and text of each line that is not empty."""
    try:
        with _opened(path) as file:
            for place, line in enumerate(file, 1):
                if place == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line := line.rstrip():
                    yield place, line
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} cannot be read: {error}") from error


def _opened(path: str) -> BinaryIO | gzip.GzipFile:
    file = open(path, "rb")
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"PK\x03\x04"):
        file.close()
        raise CheckpointError(f"{path} is a zip archive; extract the text file and give its path")
    if start.startswith(b"\x1f\x8b"):
        file.close()
        return gzip.open(path)
    return file
