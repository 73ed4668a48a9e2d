"""Cutting texts into tokens, and joining tokens to texts."""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, DTypeError

from . import subwords

if TYPE_CHECKING:
    from collections.abc import Callable

LEVELS = ("characters", "words", "subwords")

# Marks without a blank before them, after them, and on both sides; quotes take turns.
_CLOSING = frozenset(".,;:!?%)]}…”’»，。；：！？）」』")
_OPENING = frozenset("([{“‘«¿¡$£€（「『")
_BETWEEN = frozenset("-/")
_QUOTES = frozenset("\"'")


def check_level(level: Any, name: str = "level") -> None:
    """Refuse what says no way of cutting texts; `name` is what messages call it.

    Raises
    ------
    ConfigError
    """
    if not (callable(level) or (isinstance(level, str) and level in LEVELS) or _is_file(level)):
        raise ConfigError(
            f"{name} is {level!r:.200}; expected 'characters' or 'words' or 'subwords', the path of"
            " a tokenizer.json, or a function from a text to a list of tokens"
        )


def check_join(join: Any) -> None:
    """Refuse what cannot join tokens.

    Raises
    ------
    DTypeError
    """
    if not (join is None or isinstance(join, str) or callable(join)):
        raise DTypeError(
            f"join is {join!r:.200}; expected None, the text between two tokens, or a function"
            " from a list of tokens to a text"
        )


def check_counts(level: Any, min_count: int, max_size: int | None) -> None:
    """Refuse options that the subwords of a file leave without effect.

    Raises
    ------
    ConfigError
    """
    if _is_file(level) and (min_count != 1 or max_size is not None):
        raise ConfigError(
            f"min_count={min_count!r} and max_size={max_size!r} have no effect on the subwords of"
            f" {os.fspath(level)}, which all stay; leave them out"
        )


def has_subwords(level: Any) -> bool:
    """Whether the `tokenizers` package cuts the texts."""
    return level == "subwords" or _is_file(level)


def learn_subwords(level: Any, texts: Any, size: int | None, min_count: int) -> str:
    """Return the JSON text of a tokenizer: the file's, or one that is trained on texts."""
    return subwords.train(texts, size, min_count) if level == "subwords" else subwords.read(level)


def cut(text: str, level: Any, tokenizer: str | None) -> Any:
    """Return the tokens of a text; those of a user's function are not checked.

    Parameters
    ----------
    text : str
    level : str, path or callable
    tokenizer : str, optional
        The JSON text of the tokenizer of subwords.
    """
    if tokenizer is not None:
        return subwords.cut(tokenizer, text)
    if callable(level):
        return level(text)
    return text if level == "characters" else _words().findall(text)


@functools.cache
def _words() -> re.Pattern[str]:
    """Return the pattern of a word or of another character.

    Vowel signs of Indian scripts, and accents that are characters of their own, belong to the
    letter before them; ``\\w`` does not contain them. Joiners are inside words of Persian.
    """
    joiners = "\u200c\u200d"
    marks = "".join(filter(_is_mark, map(chr, range(0x300, 0x1F000))))
    inside = rf"\w[\w{marks}{joiners}]*"
    return re.compile(rf"{inside}(?:['’]{inside})*|[^\w\s][{marks}]*")


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def join(tokens: list[str], level: Any, tokenizer: str | None, how: str | Callable | None) -> str:
    """Return the text of tokens; `how` is the option `join` of the vocabulary.

    Raises
    ------
    DTypeError
        The user's function returned something else.
    """
    if isinstance(how, str):
        return how.join(tokens)
    if how is not None:
        text = how(tokens)
        if not isinstance(text, str):
            raise DTypeError(f"join returned {type(text).__name__}; expected a string")
        return text
    if tokenizer is not None:
        return subwords.join(tokenizer, tokens)
    return "".join(tokens) if level == "characters" else join_words(tokens)


def join_words(words: list[str]) -> str:
    """Return words and marks as they are printed.

    There is one blank between two words, none before a mark that closes (``.``, ``)``), none after
    one that opens (``(``), and none around a hyphen or a slash. Of straight quotes, the first one
    opens and the next one closes.
    """
    parts: list[str] = []
    open_quotes: set[str] = set()
    glued = True  # nothing comes between the last word and the next
    for word in words:
        closes = word in _CLOSING or word in _BETWEEN or word in open_quotes
        parts += [word] if glued or closes else [" ", word]
        glued = word in _OPENING or word in _BETWEEN or (word in _QUOTES and not closes)
        if word in _QUOTES:
            open_quotes ^= {word}
    return "".join(parts)


def _is_file(level: Any) -> bool:
    return isinstance(level, str | os.PathLike) and os.fspath(level).endswith(".json")
