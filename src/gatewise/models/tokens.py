"""Sequences of tokens as a user gives them, checked, and as padded arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import DTypeError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array


def token_rows(given: Any, name: str, size: int, reserved: dict[str, int]) -> list[Array]:
    """Return rows of tokens as int32 arrays.

    Parameters
    ----------
    given : sequence of sequences of int, or ndarray of shape (rows, steps)
        Tokens from 0 to size - 1.
    name : str
        What the argument is called.
    size : int
        How many tokens there are.
    reserved : dict of str to int
        Tokens that no row may hold, by what they are.

    Raises
    ------
    DTypeError, ShapeError
    """
    if isinstance(given, str) or not hasattr(given, "__len__"):
        raise DTypeError(
            f"{name} is {given!r:.80}; expected a list of token sequences, whole numbers from 0 to"
            f" {size - 1}"
        )
    rows = _plain_rows(given, size, reserved)
    if rows is not None:
        return rows
    rows = []
    for number, row in enumerate(given):
        what = f"{name}[{number}]"
        if np.ndim(row) != 1:
            raise ShapeError(f"{what} is {row!r:.80}; expected a sequence of tokens")
        tokens = checks.whole_array(
            row if len(row) else np.empty(0, np.int32),
            what,
            f"tokens are whole numbers from 0 to {size - 1}",
        )
        if tokens.size and not (tokens.min() >= 0 and tokens.max() < size):
            at = int(np.flatnonzero((tokens < 0) | (tokens >= size))[0])
            raise ShapeError(f"{what}[{at}] is {tokens[at]}; expected a token from 0 to {size - 1}")
        for meaning, token in reserved.items():
            if (tokens == token).any():
                raise ShapeError(
                    f"{what}[{int(np.argmax(tokens == token))}] is {token}, the {meaning} token;"
                    " the model adds start and end itself: leave them out"
                )
        rows.append(tokens)
    return rows


def _plain_rows(given: Any, size: int, reserved: dict[str, int]) -> list[Array] | None:
    """Return rows of whole numbers that are all right; None: look at them one by one."""
    try:
        rows = [np.asarray(row) for row in given]
    except ValueError:  # rows within rows
        return None
    if any(row.ndim != 1 or (row.dtype.kind not in "iu" and row.size) for row in rows):
        return None
    flat = np.concatenate(rows) if rows else np.empty(0, np.int32)
    if flat.size and not (flat.min() >= 0 and flat.max() < size):
        return None
    flat = flat.astype(np.int32)
    if any((flat == token).any() for token in reserved.values()):
        return None
    ends = np.cumsum([len(row) for row in rows])
    return np.split(flat, ends[:-1]) if rows else []


def padded(rows: Sequence[Array]) -> tuple[Array, Array]:
    """Return (array of shape (rows, steps), int32, zeros at the end; number of steps of each)."""
    lengths = np.array([len(row) for row in rows], np.intp)
    tokens = np.zeros((len(rows), max(1, lengths.max(initial=0))), np.int32)
    for place, row in zip(tokens, rows):
        place[: len(row)] = row
    return tokens, lengths
