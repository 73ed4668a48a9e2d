"""Subwords: tokenizers of the `tokenizers` package, which is imported on first use.

A tokenizer is the text of its JSON file, so that it can be copied, pickled and saved.
"""

from __future__ import annotations

import functools
import json
import os
from typing import TYPE_CHECKING, Any

from gatewise.errors import CheckpointError, ConfigError, MissingPackageError

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_SIZE = 8000
BYTES = 256


def train(texts: Iterable[str], size: int | None, min_count: int) -> str:
    """Return a tokenizer of byte pairs that is trained on texts.

    Its first tokens are the 256 bytes, so that no text has unknown parts; the others are merged
    from pairs, the most frequent first. A blank belongs to the word after it.

    Parameters
    ----------
    texts : iterable of str
    size : int, optional
        Largest number of tokens. ``None``: 8,000.
    min_count : int
        Less frequent pairs are not merged.

    Raises
    ------
    ConfigError
        There is no room for the bytes.
    MissingPackageError
    """
    package = _package()
    size = DEFAULT_SIZE if size is None else size
    if size < BYTES:
        raise ConfigError(
            f"max_size leaves room for {size} subwords; expected at least {BYTES}, one for each"
            " byte, besides padding, unknown, start and end"
        )
    tokenizer = package.Tokenizer(package.models.BPE())
    tokenizer.pre_tokenizer = package.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = package.decoders.ByteLevel()
    trainer = package.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_count,
        show_progress=False,
        initial_alphabet=sorted(package.pre_tokenizers.ByteLevel.alphabet()),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer.to_str()


def read(path: str | os.PathLike[str]) -> str:
    """Return the tokenizer of a tokenizer.json; it neither cuts off nor pads texts.

    Raises
    ------
    CheckpointError
        There is no such file, or it is not a tokenizer's.
    MissingPackageError
    """
    package = _package()
    name = os.fspath(path)
    try:
        with open(name, encoding="utf-8") as file:
            tokenizer = package.Tokenizer.from_str(file.read())
    except Exception as error:  # the package raises Exception itself
        raise CheckpointError(f"{name} cannot be read as a tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.to_str()


def tokens_of(tokenizer: str) -> list[str]:
    """Return all tokens, in the tokenizer's own order, without the one for unknown parts."""
    numbers = _opened(tokenizer).get_vocab()
    unknown = json.loads(tokenizer)["model"].get("unk_token")
    return sorted((token for token in numbers if token != unknown), key=numbers.__getitem__)


def cut(tokenizer: str, text: str) -> list[str]:
    """Return the tokens of a text."""
    return _opened(tokenizer).encode(text, add_special_tokens=False).tokens


def join(tokenizer: str, tokens: list[str]) -> str:
    """Return the text of tokens."""
    decoder = _opened(tokenizer).decoder
    return " ".join(tokens) if decoder is None else decoder.decode(tokens)


@functools.lru_cache(maxsize=8)  # of immutable texts
def _opened(tokenizer: str) -> Any:
    try:
        return _package().Tokenizer.from_str(tokenizer)
    except MissingPackageError:
        raise
    except Exception as error:  # the package raises Exception itself
        raise CheckpointError(f"the tokenizer of subwords is damaged: {error}") from error


def _package() -> Any:
    try:
        import tokenizers
        from tokenizers import decoders, models, pre_tokenizers, trainers  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"subwords need the tokenizers package, which cannot be imported ({error}); install"
            " it: python -m pip install tokenizers"
        ) from error
    return tokenizers
