"""Weight decay of some arrays of the parameters, and the expressions that find their names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array


def checked_expressions(var_names: Any) -> list[str]:
    """Regular expressions that users or files give for names of arrays, checked.

    Raises
    ------
    ConfigError
        One is no such expression, or is one that may take long.
    """
    names = [
        checks.text(name, "var_names")
        for name in checks.listed(var_names, "var_names", "regular expressions")
    ]
    for name in names:
        # A file may hold these: no expression takes long, whatever it is matched with.
        if not re.fullmatch(r"[\w/.*^$|\[\]-]{1,100}", name) or name.count("*") > 3:
            raise ConfigError(
                f"var_names holds {name!r:.80}; expected letters, digits, _ and at most three"
                " *, or . ^ $ | []"
            )
        try:
            re.compile(name)
        except re.error as error:
            raise ConfigError(
                f"var_names holds {name!r}, which is no regular expression: {error}"
            ) from error
    return names


def decaying(pieces: Sequence[slice], names: Sequence[str], excluded: list[str]) -> list[slice]:
    """The pieces of the parameters whose names match none of the expressions."""
    # the last part alone: Bidirectional's are called forward/kernel
    within = [name.rpartition("/")[2] for name in names]
    return [
        piece
        for piece, name in zip(pieces, within, strict=True)
        if not any(re.search(expression, name) for expression in excluded)
    ]


def decay_pieces(parameters: Array, pieces: list[slice], decay: float) -> None:
    """Take the part `decay` of themselves from pieces of the parameters, in place."""
    for piece in pieces:
        parameters[piece] -= parameters.dtype.type(decay) * parameters[piece]
