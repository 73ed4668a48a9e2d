"""Layers of Keras that there are none of here: they say what to do instead."""

from __future__ import annotations

from typing import Any, NoReturn

from gatewise.errors import ConfigError


def Lambda(function: Any = None, *args: Any, **kwargs: Any) -> NoReturn:
    """Refuse a layer of a Python function, which has no backward pass.

    Raises
    ------
    ConfigError
        Always; it says what to do instead.
    """
    raise ConfigError(
        "there is no Lambda: a function has no backward pass. +, -, *, / and [...] work on symbols"
        " as they are; for anything else write a layer with run and run_backward, a few lines:"
        " docs/custom-layers.md"
    )
