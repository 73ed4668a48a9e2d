"""What is wrong with a file, and how much of it a message shows."""

from __future__ import annotations

import reprlib

# What a message shows is cut short before it is made into text: a name may be as long as the file.
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxlong = _repr.maxother = 100


class Refused(Exception):
    """What is wrong with a file, as the end of a sentence that begins with its name."""


def short(value: object) -> str:
    """Return the repr of a value, cut short."""
    return _repr.repr(value)
