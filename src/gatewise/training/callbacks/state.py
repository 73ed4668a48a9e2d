"""States of callbacks that come from untrusted files: each value is checked before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import CheckpointError, GatewiseError

if TYPE_CHECKING:
    from gatewise._typing import Array

Reader = Callable[[Any, str], Any]


def read_state(state: Any, owner: str, **readers: Reader) -> dict[str, Any]:
    """The values of a saved state, each as its reader returns it.

    Parameters
    ----------
    state : dict
        What :meth:`get_state` returned.
    owner : str
        Name of the callback, for messages.
    **readers
        For each name a function of (value, name) that raises on what does not fit.

    Raises
    ------
    CheckpointError
    """
    if not isinstance(state, dict) or set(state) != set(readers):
        held = sorted(map(str, state)) if isinstance(state, dict) else f"a {type(state).__name__}"
        raise CheckpointError(f"state of {owner} holds {held}; expected {sorted(readers)}")
    try:
        return {name: reader(state[name], name) for name, reader in readers.items()}
    except GatewiseError as error:
        raise CheckpointError(f"state of {owner}: {error}") from error


def count(value: Any, name: str) -> int:
    """A whole number from 0 up."""
    return checks.whole_number(value, name, 0, 2**62)


def count_or_none(value: Any, name: str) -> int | None:
    """A whole number from 0 up, or None."""
    return None if value is None else count(value, name)


def real_or_none(value: Any, name: str) -> float | None:
    """A float, which may be NaN or infinite; or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CheckpointError(f"{name} is a {type(value).__name__}; expected a number")
    try:
        return float(value)
    except OverflowError as error:
        raise CheckpointError(f"{name} is a whole number that no float can hold") from error


def arrays_like(expected: Sequence[Array]) -> Reader:
    """A reader of None, or a list of finite arrays with the shapes and dtypes of these."""

    def read(value: Any, name: str) -> list[Array] | None:
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != len(expected):
            raise CheckpointError(f"{name}: expected a list of {len(expected)} arrays")
        for number, (array, like) in enumerate(zip(value, expected)):
            check_array(array, like, f"{name}[{number}]")
        return [array.copy() for array in value]

    return read


def check_array(array: Any, like: Array, name: str) -> None:
    """Refuse what is not a finite array of the shape and dtype of `like`."""
    if not isinstance(array, np.ndarray) or array.shape != like.shape or array.dtype != like.dtype:
        given = (
            f"{array.dtype} {array.shape}"
            if isinstance(array, np.ndarray)
            else f"a {type(array).__name__}"
        )
        raise CheckpointError(f"{name} is {given}; expected {like.dtype} {like.shape}")
    if not np.isfinite(array).all():
        raise CheckpointError(f"{name} holds values that are not finite")
