"""Text as whole numbers: the vocabulary for networks that begin with an embedding."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from gatewise.checks import flag, text, whole_number
from gatewise.described import KnownArguments
from gatewise.errors import ConfigError, DTypeError, NotFittedError, ShapeError
from gatewise.memory import names_memory

from .saving import Saved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from gatewise._typing import IntArray

__all__ = ["Vocabulary"]

PADDING, UNKNOWN = 0, 1
_WORDS = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


class Vocabulary(Saved, KnownArguments, TransformerMixin, BaseEstimator):
    """Number the characters or words of texts, the most frequent first.

    0 is reserved for padding and 1 for tokens that `fit` did not see, so that rows may be padded
    with zeros (``gatewise.utils.pad_sequences``) and new texts may hold anything. A start and an
    end token, if asked for, have the next numbers: 2 and 3, or 2 if there is only one of them.

    Parameters
    ----------
    level : {"characters", "words"}, default "characters"
        What a string is cut into. Words are runs of letters, digits and ``_`` with the apostrophes
        inside them; each other character, except spaces, is a word, too. For other words, cut the
        texts yourself: lists of tokens are taken as they are.
    lowercase : bool, default False
        Whether to convert texts to lower case.
    min_count : int, default 1
        Tokens that are less frequent are unknown.
    max_size : int, optional
        The largest ``len(vocabulary)``, padding and unknown included; the rarest tokens are left
        out. ``None``: all stay.
    unknown : str, default "<unk>"
        The text of an unknown token in `inverse_transform`. In a text it has number 1, just as
        ``"<pad>"`` has number 0, and the start and the end token have theirs.
    start, end : str, optional
        Tokens that `transform` adds before and after each text, ``"<s>"`` and ``"</s>"`` for
        example, for networks that generate texts; `inverse_transform` leaves them out.
        ``None``: no such token.

    Attributes
    ----------
    tokens_ : list of str
        The token of each number.
    numbers_ : dict of str to int
        The number of each token.
    vocabulary_size_ : int
        How many numbers there are, including those of padding, unknown, start and end. This is
        ``len(vocabulary)``, the ``input_dim`` of an embedding, and the number of outputs of a
        network that predicts the next token.
    padding_index_, unknown_index_ : int
        0 and 1.
    start_index_, end_index_ : int or None
        The numbers of the start and the end token; ``None`` without them.

    Notes
    -----
    Tokens that are equally frequent are in the order of their characters, so that the same texts in
    any order give the same numbers.

    Examples
    --------
    >>> vocabulary = Vocabulary("words").fit(["the cat sat", "the dog"])
    >>> vocabulary.tokens_
    ['<pad>', '<unk>', 'the', 'cat', 'dog', 'sat']
    >>> [row.tolist() for row in vocabulary.transform(["the cow sat"])]
    [[2, 1, 5]]
    >>> vocabulary.inverse_transform([[2, 4, 0, 0]])
    ['the dog']
    >>> vocabulary.vocabulary_size_, vocabulary.unknown_index_, vocabulary.start_index_
    (6, 1, None)
    >>> spoken = Vocabulary("words", start="<s>", end="</s>").fit(["the cat sat", "the dog"])
    >>> spoken.start_index_, spoken.end_index_, spoken.transform(["the cow sat"])[0].tolist()
    (2, 3, [2, 4, 1, 7, 3])
    """

    tokens_: list[str]
    numbers_: dict[str, int]
    _learned = ("tokens_", "numbers_", "_strings", "_ends")

    def __init__(
        self,
        level: Literal["characters", "words"] = "characters",
        *,
        lowercase: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: str = "<unk>",
        start: str | None = None,
        end: str | None = None,
    ) -> None:
        self.level = level
        self.lowercase = lowercase
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.start = start
        self.end = end

    @names_memory
    def fit(self, X: Iterable[Any], y: Any = None) -> Self:
        """Count the tokens of texts.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            A list, an array or a Series. All strings, or all lists.
        y : ignored
            Only for the interface of scikit-learn.

        Returns
        -------
        self
            The transformer, fitted.

        Raises
        ------
        ConfigError
            An option has a value that cannot be used.
        DTypeError, ShapeError
            X is not made of texts, or mixes strings and lists.
        """
        reserved = self._check_options()
        counts: Counter[str] = Counter()
        kinds: set[bool] = set()
        for is_text, tokens in self._tokenized(X):
            kinds.add(is_text)
            counts.update(tokens)
        if len(kinds) != 1:
            raise ShapeError(
                "X mixes strings and lists of tokens; expected one of them"
                if kinds
                else "X holds no text; expected at least one"
            )
        frequent = sorted(
            (-count, token)
            for token, count in counts.items()
            if count >= self.min_count and token not in reserved
        )
        kept = len(frequent) if self.max_size is None else self.max_size - len(reserved)
        self.tokens_ = reserved + [str(token) for _, token in frequent[:kept]]
        self.numbers_ = {token: number for number, token in enumerate(self.tokens_)}
        self._strings, self._ends = kinds.pop(), (self.start, self.end)
        return self

    @property
    def vocabulary_size_(self) -> int:
        """How many numbers there are."""
        return len(self)

    padding_index_: int = PADDING
    unknown_index_: int = UNKNOWN

    @property
    def start_index_(self) -> int | None:
        """The number of the start token, or None."""
        return self._index_of(self._around()[0])

    @property
    def end_index_(self) -> int | None:
        """The number of the end token, or None."""
        return self._index_of(self._around()[1])

    def _index_of(self, token: str | None) -> int | None:
        return None if token is None else self.numbers_[token]

    def _around(self) -> tuple[str | None, str | None]:
        """The start and the end token as they were in fit."""
        self._fitted()
        return getattr(self, "_ends", (None, None))  # a pickle of an older release has none

    @names_memory
    def transform(self, X: Iterable[Any]) -> list[IntArray]:
        """Return the number of each token.

        Parameters
        ----------
        X : sequence of n str, or of n lists of str
            As in :meth:`fit`.

        Returns
        -------
        list of n ndarrays of shape (tokens,), int32
            They begin and end with the numbers of the start and the end token, if there are any.

        Raises
        ------
        NotFittedError, DTypeError, ShapeError
        """
        self._fitted()
        number = self.numbers_.get
        before, behind = (
            [] if index is None else [index] for index in (self.start_index_, self.end_index_)
        )
        return [
            np.array([*before, *(number(token, UNKNOWN) for token in tokens), *behind], np.int32)
            for _, tokens in self._tokenized(X)
        ]

    @names_memory
    def inverse_transform(self, X: Any) -> list[Any]:
        """Convert numbers to texts; padding, start and end are left out.

        Parameters
        ----------
        X : sequence of n sequences of int
            What :meth:`transform` returns, padded or not.

        Returns
        -------
        list of n str, or of n lists of str
            Strings if `fit` was given strings, else lists. Characters are joined as they are,
            and words with one space between them, however many there were.

        Raises
        ------
        NotFittedError, DTypeError
        ShapeError
            A number is not that of a token.
        """
        self._fitted()
        if isinstance(X, str) or not hasattr(X, "__iter__"):
            raise DTypeError(f"X is {type(X).__name__}; expected a list of rows of numbers")
        rows = [self._tokens_of(row, place) for place, row in enumerate(X)]
        if not self._strings:
            return rows
        return [("" if self.level == "characters" else " ").join(row) for row in rows]

    def __len__(self) -> int:
        self._fitted()
        return len(self.tokens_)

    def _tokens_of(self, row: Any, place: int) -> list[str]:
        try:
            row = np.asarray(row)
        except ValueError as error:
            raise DTypeError(f"X[{place}] is not a row of whole numbers") from error
        if row.ndim != 1 or (row.size and row.dtype.kind not in "ui"):
            raise DTypeError(
                f"X[{place}] holds {row.dtype} values in an array of shape {row.shape}; expected a"
                " row of whole numbers"
            )
        bad = np.flatnonzero((row < 0) | (row >= len(self.tokens_)))
        if bad.size:
            raise ShapeError(
                f"X[{place}] holds {row[bad[0]]} at index {bad[0]}; expected 0 to"
                f" {len(self.tokens_) - 1}, the numbers of the tokens"
            )
        left_out = {PADDING, self.start_index_, self.end_index_}
        return [self.tokens_[number] for number in row.tolist() if number not in left_out]

    def _tokenized(self, X: Any) -> Iterator[tuple[bool, Sequence[str]]]:
        """For each text: whether it was a string, and its tokens."""
        if (
            isinstance(X, str | bytes | dict | set | frozenset)
            or not hasattr(X, "__iter__")
            or hasattr(X, "columns")
        ):
            raise DTypeError(
                f"X is {type(X).__name__}; expected a list of texts: put a single text into a list;"
                " of a frame, pass one column"
            )
        for place, given in enumerate(X):
            if isinstance(given, str):
                given = given.lower() if self.lowercase else given
                yield True, given if self.level == "characters" else _WORDS.findall(given)
            else:
                yield False, self._listed(given, place)

    def _listed(self, given: Any, place: int) -> list[str]:
        if isinstance(given, bytes) or not hasattr(given, "__iter__"):
            raise DTypeError(
                f"X[{place}] is {type(given).__name__}; expected a string or a list of tokens"
            )
        tokens = list(given)
        for token in tokens:
            if not isinstance(token, str):
                raise DTypeError(f"X[{place}] holds the token {token!r}; expected strings")
        return [token.lower() for token in tokens] if self.lowercase else tokens

    def _check_options(self) -> list[str]:
        """The reserved tokens, in order of their numbers."""
        if self.level not in ("characters", "words"):
            raise ConfigError(f"level is {self.level!r}; expected 'characters' or 'words'")
        flag(self.lowercase, "lowercase")
        whole_number(self.min_count, "min_count")
        reserved = ["<pad>"]
        for name in ("unknown", "start", "end"):
            token = getattr(self, name)
            if name != "unknown" and token is None:
                continue
            if text(token, name) in reserved:
                other = (
                    "which is padding"
                    if token == "<pad>"
                    else "as another of unknown, start and end"
                )
                raise ConfigError(f"{name} is {token!r}, {other}; expected another token")
            reserved.append(token)
        if self.max_size is not None:
            whole_number(self.max_size, "max_size", low=len(reserved))
        return reserved

    def _fitted(self) -> None:
        if not hasattr(self, "tokens_"):
            raise NotFittedError("this Vocabulary is not fitted; call fit first")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags
