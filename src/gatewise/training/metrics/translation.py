"""How near sequences of tokens are to the right ones: BLEU, and the share of wrong tokens."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, ShapeError

from .labels import edit_distances

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

_Tokens = list[Any]  # hashable


class _Pair(NamedTuple):
    """A sequence, and those that would be right in its place; at least one."""

    given: _Tokens
    references: list[_Tokens]


def bleu(
    y_true: Iterable[Any],
    y_pred: Iterable[Any],
    *,
    max_n: int = 4,
    smoothing: Literal["add-one", "exponential"] | None = None,
) -> float:
    """Return the BLEU of translations: how many of their n-grams the references have.

    BLEU of a corpus (Papineni et al. 2002): the geometric mean of the precisions of n-grams of 1
    to `max_n` tokens, counted over all translations, times a penalty if these are shorter than
    the references. An n-gram counts as often as one reference has it, at most.

    Parameters
    ----------
    y_true : sequence of n str, of n sequences of tokens, or of n lists of these
        The references of each translation: one, or a list of several. A string is cut at its
        blanks; tokens are strings, numbers or anything else that can be a key of a dict.
    y_pred : sequence of n str, or of n sequences of tokens
        The translations. If they are strings, references are strings, too.
    max_n : int, default 4
        Length of the longest n-grams.
    smoothing : {"add-one", "exponential"}, optional
        What to do if no n-gram of a length is right, which happens with few or short texts.
        ``None``: BLEU is 0. "add-one" adds 1 to right and to all n-grams, for n above 1 (Lin and
        Och 2004). "exponential" replaces the 0 by 1/2, and by half as much for each further
        length without a right one, as NIST's script and sacrebleu do.

    Returns
    -------
    float
        From 0 to 1, which is the best. Other programs multiply it by 100.

    Raises
    ------
    ShapeError
        There are no translations, or not as many as references, or one has no reference.
    DTypeError
        Something else than strings or sequences of tokens.
    ConfigError
        An option has a value that cannot be used.

    Notes
    -----
    The length of the references is the sum, over all translations, of the length that is nearest
    to that of the translation; of two that are equally near, the shorter one.

    Examples
    --------
    >>> from gatewise.metrics import bleu
    >>> bleu(["the cat sat on the mat"], ["the cat sat on a mat"], max_n=2)
    0.7071067811865476
    """
    pairs = _pairs(y_true, y_pred)
    max_n = checks.whole_number(max_n, "max_n")
    if smoothing not in (None, "add-one", "exponential"):
        raise ConfigError(f"smoothing is {smoothing!r}; expected None, 'add-one' or 'exponential'")
    given = sum(len(pair.given) for pair in pairs)
    wanted = sum(_nearest_length(pair) for pair in pairs)
    if not given:
        return 0.0
    logs, halved = 0.0, 1
    for n in range(1, max_n + 1):
        right = sum(_right_ngrams(pair, n) for pair in pairs)
        total = sum(max(len(pair.given) - n + 1, 0) for pair in pairs)
        if smoothing == "add-one" and n > 1:
            right, total = right + 1, total + 1
        elif smoothing == "exponential" and not right:
            halved *= 2
            right = 1 / halved
        if not right or not total:
            return 0.0
        logs += math.log(right / total)
    return math.exp(logs / max_n + min(1 - wanted / given, 0.0))


def token_error_rate(y_true: Iterable[Any], y_pred: Iterable[Any]) -> float:
    """Return how many tokens are wrong, missing or too many, as a share of those of the references.

    The sum of edit distances divided by the sum of lengths: the word error rate if tokens are
    words, the character or phoneme error rate if they are characters or phonemes. It can exceed 1.

    Parameters
    ----------
    y_true : sequence of n str, of n sequences of tokens, or of n lists of these
        What is right: one sequence, or a list of several, of which the nearest counts (of several
        equally near ones, the longest). A string is cut at its blanks; give ``list(text)`` for
        its characters.
    y_pred : sequence of n str, or of n sequences of tokens
        What is to be compared. If these are strings, those of `y_true` are strings, too.

    Returns
    -------
    float
        From 0, which is the best; infinity if tokens are given and none is right.

    Raises
    ------
    ShapeError
        There are no sequences, or not as many as references, or one has no reference.
    DTypeError
        Something else than strings or sequences of tokens.

    Examples
    --------
    >>> from gatewise.metrics import token_error_rate
    >>> token_error_rate(["the cat sat", "a dog"], ["the cat sits", "a dog"])
    0.2
    >>> token_error_rate([[1, 2, 3]], [[1, 3]])
    0.3333333333333333
    """
    pairs = _pairs(y_true, y_pred)
    numbers: dict[Hashable, int] = {}
    given = _numbered([pair.given for pair in pairs for _ in pair.references], numbers)
    right = _numbered([each for pair in pairs for each in pair.references], numbers)
    distances = edit_distances(*right, *given).tolist()
    lengths = right[1].tolist()
    edits = tokens = at = 0
    for pair in pairs:
        until = at + len(pair.references)
        edit, length = min(zip(distances[at:until], (-each for each in lengths[at:until])))
        edits, tokens, at = edits + edit, tokens - length, until
    return edits / tokens if tokens else (math.inf if edits else 0.0)


# ---- reading


def _pairs(y_true: Iterable[Any], y_pred: Iterable[Any]) -> list[_Pair]:
    """The sequences and their references, checked."""
    given, right = _rows(y_pred, "y_pred"), _rows(y_true, "y_true")
    if len(given) != len(right) or not given:
        raise ShapeError(
            f"y_true has {len(right)} rows and y_pred {len(given)}; expected the same number, at"
            " least 1"
        )
    return [
        _Pair(_tokens(row, f"y_pred[{place}]"), _references(refs, row, f"y_true[{place}]"))
        for place, (row, refs) in enumerate(zip(given, right))
    ]


def _rows(value: Any, name: str) -> list[Any]:
    if isinstance(value, str | bytes | dict | set | frozenset) or not hasattr(value, "__iter__"):
        raise DTypeError(
            f"{name} is {type(value).__name__}; expected a list of texts, or of lists of tokens:"
            " put a single one into a list"
        )
    return list(value)


def _references(given: Any, row: Any, name: str) -> list[_Tokens]:
    """The references of one row: of a text, texts; of tokens, lists of tokens."""
    if isinstance(given, str) != isinstance(row, str) and not isinstance(row, str):
        raise DTypeError(f"{name} is a string and its row of y_pred is not; expected two of a kind")
    if isinstance(given, str):
        return [_tokens(given, name)]
    several = _rows(given, name)
    if not isinstance(row, str) and not any(_is_row(each) for each in several):
        return [_tokens(several, name)]
    if not several:
        raise ShapeError(f"{name} has no reference; expected at least one")
    for number, each in enumerate(several):
        if isinstance(each, str) != isinstance(row, str) or not (
            isinstance(each, str) or _is_row(each)
        ):
            raise DTypeError(
                f"{name}[{number}] is {type(each).__name__}; expected"
                f" {'a string' if isinstance(row, str) else 'a list of tokens'}, as in y_pred"
            )
    return [_tokens(each, f"{name}[{number}]") for number, each in enumerate(several)]


def _is_row(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _tokens(given: Any, name: str) -> _Tokens:
    if isinstance(given, str):
        return given.split()
    if isinstance(given, np.ndarray):
        if given.ndim != 1:
            raise ShapeError(f"{name} has shape {given.shape}; expected (tokens,)")
        given = given.tolist()
    tokens = _rows(given, name)
    for token in tokens:
        try:
            hash(token)
        except TypeError as error:
            raise DTypeError(
                f"{name} holds {token!r:.80}; expected tokens, which are strings or numbers"
            ) from error
    return tokens


# ---- counting


def _nearest_length(pair: _Pair) -> int:
    lengths = (len(each) for each in pair.references)
    return min(lengths, key=lambda length: (abs(length - len(pair.given)), length))


def _ngrams(tokens: _Tokens, n: int) -> Counter[tuple[Any, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(n))))


def _right_ngrams(pair: _Pair, n: int) -> float:
    """How many n-grams the references have, each at most as often as one of them."""
    largest: Counter[tuple[Any, ...]] = Counter()
    for reference in pair.references:
        largest |= _ngrams(reference, n)
    return (_ngrams(pair.given, n) & largest).total()


def _numbered(rows: Sequence[_Tokens], numbers: dict[Hashable, int]) -> tuple[Any, Any]:
    """Rows of numbers for tokens, filled up, and their lengths."""
    counts = np.array([len(row) for row in rows], np.intp)
    longest = int(counts.max())
    checks.fits_memory(len(rows) * (longest + 1), "int64", "the table of tokens")
    filled = np.zeros((len(rows), longest), np.intp)
    for place, row in zip(filled, rows):
        place[: len(row)] = [numbers.setdefault(token, len(numbers)) for token in row]
    return filled, counts
