"""Names as C takes them."""

from __future__ import annotations

import re

# A header of such a name would take the place of one of C's own.
_HEADERS = frozenset(
    "assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdarg"
    " stdbool stddef stdint stdio stdlib string tgmath time wchar wctype".split()
)
_KEYWORDS = frozenset(
    "auto break case char const continue default do double else enum extern float for goto if"
    " inline int long register restrict return short signed sizeof static struct switch typedef"
    " union unsigned void volatile while".split()
)


def identifier(name: str, otherwise: str) -> str:
    """A name as letters, digits and underscores, beginning with a letter.

    Parameters
    ----------
    name : str
        Any text.
    otherwise : str
        An identifier that is put before a name that cannot begin as it does.

    Examples
    --------
    >>> identifier("my-model (2)", "model")
    'my_model_2'
    >>> identifier("2nd", "model")
    'model_2nd'
    """
    text = re.sub("[^A-Za-z0-9]+", "_", name).strip("_")
    if not text:
        return otherwise
    return text if text[0].isalpha() else f"{otherwise}_{text}"


def prefix_of(name: str) -> str:
    """The name of the files and the beginning of every public name, from the model's name.

    Examples
    --------
    >>> prefix_of("math")
    'math_model'
    """
    found = identifier(name, "model")
    return f"{found}_model" if found.lower() in _HEADERS | _KEYWORDS else found


class Names:
    """Identifiers that are all different, case included.

    Parameters
    ----------
    taken : iterable of str
        Identifiers that are not given.

    Examples
    --------
    >>> names = Names(["h"])
    >>> names.new("h"), names.new("gru"), names.new("gru")
    ('h_2', 'gru', 'gru_2')
    """

    def __init__(self, taken: object = ()) -> None:
        self._taken = {*taken} | _KEYWORDS  # type: ignore[misc]

    def new(self, name: str) -> str:
        """The name itself, or the name with the first free number."""
        number, found = 1, name
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found
