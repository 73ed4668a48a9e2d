"""Text as whole numbers: the vocabulary for networks that begin with an embedding."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from gatewise.checks import flag, text, whole_number
from gatewise.described import KnownArguments
from gatewise.errors import ConfigError, DTypeError, NotFittedError, ShapeError
from gatewise.memory import names_memory

from . import subwords
from . import tokens as cutting
from .saving import Saved

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Self

    from numpy.typing import NDArray

__all__ = ["Vocabulary"]

PADDING, UNKNOWN = 0, 1


class Vocabulary(Saved, KnownArguments, TransformerMixin, BaseEstimator):
    """Number the characters, words or subwords of texts, the most frequent first.

    0 is reserved for padding and 1 for tokens that `fit` did not see, so that rows may be padded
    with zeros (``gatewise.utils.pad_sequences``) and new texts may hold anything. A start and an
    end token, if asked for, have the next numbers: 2 and 3, or 2 if there is only one of them.

    Parameters
    ----------
    level : {"characters", "words", "subwords"}, path or callable, default "characters"
        What a string is cut into. Words are runs of letters, digits and ``_`` with the accents,
        vowel signs and apostrophes inside them; each other character, except spaces, is a word,
        too. Subwords are pairs of bytes, merged by frequency; `fit` trains them by the package
        ``tokenizers``. The path of a ``tokenizer.json`` of that package stands for the subwords of
        that file. A callable receives a text and returns a list of tokens. Lists of tokens are
        taken as they are.
    lowercase : bool, default False
        Whether to convert texts to lower case.
    min_count : int, default 1
        Tokens that are less frequent are unknown. Of subwords: pairs that are less frequent are
        not merged.
    max_size : int, optional
        The largest ``len(vocabulary)``, padding and unknown included; the rarest tokens are left
        out. ``None``: all stay; of subwords, there are at most 8,000.
    unknown : str, default "<unk>"
        The text of an unknown token in `inverse_transform`. In a text it has number 1, just as
        ``"<pad>"`` has number 0, and the start and the end token have theirs.
    start, end : str, optional
        Tokens that `transform` adds before and after each text, ``"<s>"`` and ``"</s>"`` for
        example, for networks that generate texts; `inverse_transform` leaves them out.
        ``None``: no such token.
    join : str or callable, optional
        What makes a text of tokens: the text between two of them, or a function that receives a
        list of tokens. ``None``: characters are joined as they are, subwords by their tokenizer,
        and words as they are printed, with no blank before a comma.

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
    any order give the same numbers. Subwords are in the order of their tokenizer; of a file, all
    of them stay, whether `fit` saw them or not, and `min_count` and `max_size` must have their
    defaults.

    A file does not hold a callable, but its name: give the function when the file is read,
    ``load_estimator(path, custom_objects={"cut": cut})``.

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
    >>> spoken.encode("the cat", end=False).tolist(), spoken.decode([2, 4, 5, 3])
    ([2, 4, 5], 'the cat')
    """

    tokens_: list[str]
    numbers_: dict[str, int]
    _strings: bool  # whether the texts of fit were strings
    _ends: tuple[str | None, str | None]
    _tokenizer: str | None = None  # of subwords: the text of a tokenizer.json
    _learned = ("tokens_", "numbers_", "_strings", "_ends")

    def __init__(
        self,
        level: str | os.PathLike[str] | Callable[[str], Sequence[str]] = "characters",
        *,
        lowercase: bool = False,
        min_count: int = 1,
        max_size: int | None = None,
        unknown: str = "<unk>",
        start: str | None = None,
        end: str | None = None,
        join: str | Callable[[list[str]], str] | None = None,
    ) -> None:
        self.level = level
        self.lowercase = lowercase
        self.min_count = min_count
        self.max_size = max_size
        self.unknown = unknown
        self.start = start
        self.end = end
        self.join = join

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
        return self._learn(X)

    def _learn(self, X: Iterable[Any], name: str = "X") -> Self:
        """As :meth:`fit`; `name` is what messages call X."""
        reserved = self._check_options()
        room = None if self.max_size is None else self.max_size - len(reserved)
        if cutting.has_subwords(self.level):
            tokenizer = cutting.learn_subwords(
                self.level, self._texts(X, name), room, self.min_count
            )
            strings, ordered = True, subwords.tokens_of(tokenizer)
        else:
            tokenizer = None
            strings, ordered = self._counted(X, name)
        kept = [token for token in ordered if token not in reserved]
        self.tokens_ = reserved + kept[:room]
        self.numbers_ = {token: number for number, token in enumerate(self.tokens_)}
        self._strings, self._ends, self._tokenizer = strings, (self.start, self.end), tokenizer
        return self

    def _counted(self, X: Iterable[Any], name: str) -> tuple[bool, list[str]]:
        """Whether X holds strings, and its tokens, the most frequent first."""
        counts: Counter[str] = Counter()
        kinds: set[bool] = set()
        for is_text, tokens in self._tokenized(X, name):
            kinds.add(is_text)
            counts.update(tokens)
        if len(kinds) != 1:
            raise ShapeError(
                f"{name} mixes strings and lists of tokens; expected one of them"
                if kinds
                else f"{name} holds no text; expected at least one"
            )
        frequent = sorted(
            (-count, token) for token, count in counts.items() if count >= self.min_count
        )
        return kinds.pop(), [str(token) for _, token in frequent]

    def _texts(self, X: Iterable[Any], name: str) -> list[str]:
        """The strings of X, from which subwords are learned."""
        texts = []
        for place, given in enumerate(listed_texts(X, name)):
            if not isinstance(given, str):
                raise DTypeError(
                    f"{name}[{place}] is {type(given).__name__}; expected a string, which is cut"
                    " into subwords"
                )
            texts.append(self._lower(given))
        if not texts:
            raise ShapeError(f"{name} holds no text; expected at least one")
        return texts

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
    def transform(self, X: Iterable[Any]) -> list[NDArray[np.int32]]:
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
        return [self._numbered(tokens) for _, tokens in self._tokenized(X)]

    def encode(self, text: Any, *, start: bool = True, end: bool = True) -> NDArray[np.int32]:
        """Return the number of each token of one text.

        Parameters
        ----------
        text : str or list of str
            A text, or its tokens.
        start, end : bool, default True
            Whether to add the start and the end token, if the vocabulary has them. A text that a
            network is to continue has no end.

        Returns
        -------
        ndarray of shape (tokens,), int32
            The numbers.

        Raises
        ------
        NotFittedError, DTypeError
        """
        self._fitted()
        start, end = flag(start, "start"), flag(end, "end")
        return self._numbered(self._cut(text, "text")[1], start=start, end=end)

    def decode(self, row: Any) -> Any:
        """Convert the numbers of one text to the text; padding, start and end are left out.

        Parameters
        ----------
        row : sequence of int
            Numbers of tokens, in a list or an array.

        Returns
        -------
        str, or list of str
            As from :meth:`inverse_transform`.

        Raises
        ------
        NotFittedError, DTypeError, ShapeError
        """
        self._fitted()
        tokens = self._tokens_of(row, "row")
        return self.join_tokens(tokens) if self._strings else tokens

    def tokenize(self, text: str) -> list[str]:
        """Cut one text into tokens, whether they have numbers or not.

        Parameters
        ----------
        text : str
            The text to cut.

        Returns
        -------
        list of str
            Its tokens.

        Raises
        ------
        DTypeError
            It is no string, or the user's function does not return a list of strings.
        NotFittedError
            The tokens are subwords, which `fit` learns.
        """
        if not isinstance(text, str):
            raise DTypeError(f"text is {type(text).__name__}; expected a string")
        self._check_options()
        return list(self._cut(text, "text")[1])

    def join_tokens(self, tokens: Iterable[str]) -> str:
        """Join tokens to a text, as the option `join` says.

        Parameters
        ----------
        tokens : iterable of str
            The tokens of one text.

        Returns
        -------
        str
            The text.

        Raises
        ------
        DTypeError
            A token is no string, or the user's function does not return one.
        NotFittedError
            The tokens are subwords, which `fit` learns.
        """
        self._check_options()
        return cutting.join(_listed(tokens, "tokens"), self.level, self._subwords(), self.join)

    def _numbered(
        self, tokens: Sequence[str], *, start: bool = True, end: bool = True
    ) -> NDArray[np.int32]:
        numbers = [self.numbers_.get(token, UNKNOWN) for token in tokens]
        if start and self.start_index_ is not None:
            numbers.insert(0, self.start_index_)
        if end and self.end_index_ is not None:
            numbers.append(self.end_index_)
        return np.array(numbers, np.int32)

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
            Strings if `fit` was given strings, else lists. The option `join` says how tokens
            are joined; how many spaces there were between words is not known.

        Raises
        ------
        NotFittedError, DTypeError
        ShapeError
            A number is not that of a token.
        """
        self._fitted()
        if isinstance(X, str) or not hasattr(X, "__iter__"):
            raise DTypeError(f"X is {type(X).__name__}; expected a list of rows of numbers")
        rows = [self._tokens_of(row, f"X[{place}]") for place, row in enumerate(X)]
        return [self.join_tokens(row) for row in rows] if self._strings else rows

    def __len__(self) -> int:
        self._fitted()
        return len(self.tokens_)

    def _tokens_of(self, row: Any, name: str) -> list[str]:
        try:
            row = np.asarray(row)
        except ValueError as error:
            raise DTypeError(f"{name} is not a row of whole numbers") from error
        if row.ndim != 1 or (row.size and row.dtype.kind not in "ui"):
            raise DTypeError(
                f"{name} holds {row.dtype} values in an array of shape {row.shape}; expected a"
                " row of whole numbers"
            )
        bad = np.flatnonzero((row < 0) | (row >= len(self.tokens_)))
        if bad.size:
            raise ShapeError(
                f"{name} holds {row[bad[0]]} at index {bad[0]}; expected 0 to"
                f" {len(self.tokens_) - 1}, the numbers of the tokens"
            )
        left_out = {PADDING, self.start_index_, self.end_index_}
        return [self.tokens_[number] for number in row.tolist() if number not in left_out]

    def _tokenized(self, X: Any, name: str = "X") -> Iterator[tuple[bool, Sequence[str]]]:
        """For each text: whether it was a string, and its tokens."""
        for place, given in enumerate(listed_texts(X, name)):
            yield self._cut(given, f"{name}[{place}]")

    def _cut(self, given: Any, name: str) -> tuple[bool, Sequence[str]]:
        """Whether one text was a string, and its tokens."""
        if isinstance(given, str):
            tokens = cutting.cut(self._lower(given), self.level, self._subwords())
            if callable(self.level):
                tokens = _listed(tokens, f"level({name})")
            return True, tokens
        return False, [self._lower(token) for token in _listed(given, name)]

    def _lower(self, given: str) -> str:
        return given.lower() if self.lowercase else given

    def _subwords(self) -> str | None:
        """The tokenizer of subwords, or None if tokens are something else."""
        if not cutting.has_subwords(self.level):
            return None
        if self._tokenizer is None:
            raise NotFittedError("this Vocabulary has not learned subwords; call fit first")
        return self._tokenizer

    def _check_options(self) -> list[str]:
        """The reserved tokens, in order of their numbers."""
        cutting.check_level(self.level)
        cutting.check_join(self.join)
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
        cutting.check_counts(self.level, self.min_count, self.max_size)
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


def listed_texts(X: Any, name: str = "X") -> Iterable[Any]:
    """Return X itself, if it may be a list of texts or of rows of tokens.

    Raises
    ------
    DTypeError
    """
    if isinstance(X, str):
        raise DTypeError(
            f"{name} is the text {X!r:.40}; expected a list of texts: put a single text into a"
            f" list, [{name}]"
        )
    single = not hasattr(X, "__iter__") or getattr(X, "ndim", 1) == 0
    if single or isinstance(X, bytes | dict | set | frozenset):
        raise DTypeError(f"{name} is {type(X).__name__}; expected a list of texts")
    if hasattr(X, "columns"):
        raise DTypeError(f"{name} is {type(X).__name__}; expected a list of texts: pass one column")
    return X


def _listed(given: Any, name: str) -> list[str]:
    """A list of tokens, checked."""
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        raise DTypeError(f"{name} is {type(given).__name__}; expected a string or a list of tokens")
    tokens = list(given)
    for token in tokens:
        if not isinstance(token, str):
            raise DTypeError(f"{name} holds the token {token!r}; expected strings")
    return tokens
