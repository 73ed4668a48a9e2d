"""A change that may fail leaves everything as it was before it.

Whatever changes several things and may fail on the way does so inside one :class:`Transaction`:
``with Transaction(attributes_of(model), draws_of(model.rng)): ...``. It is made of functions that
each restore one thing; the functions of this module read what there is now and return such a
function.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

__all__ = ["Transaction", "attributes_of", "draws_of", "value_of"]

Value = TypeVar("Value")


class Transaction:
    """A block that restores several things if it raises, Ctrl-C included.

    It is a snapshot as well: without ``with``, :meth:`restore` may be called at any time, and any
    number of times.

    Parameters
    ----------
    *restores : callable
        Functions without arguments, each of which restores one thing. They are called in reverse
        order, and all of them even if one raises. They may be called more than once.

    Examples
    --------
    >>> from gatewise.transaction import Transaction, value_of
    >>> numbers = [1, 2]
    >>> with Transaction(value_of(numbers.copy, lambda before: numbers.__init__(before))):
    ...     numbers.append(3)
    ...     raise ValueError("4 is missing")
    Traceback (most recent call last):
    ValueError: 4 is missing
    >>> numbers
    [1, 2]
    """

    __slots__ = ("_restores",)

    def __init__(self, *restores: Callable[[], object]) -> None:
        self._restores = restores

    def restore(self) -> None:
        """Restore everything."""
        with contextlib.ExitStack() as stack:
            for restore in self._restores:
                stack.callback(restore)

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.restore()


def value_of(take: Callable[[], Value], give: Callable[[Value], None]) -> Callable[[], None]:
    """The function that calls ``give`` with what ``take()`` returns now."""
    before = take()
    return lambda: give(before)


def attributes_of(thing: object, *names: str) -> Callable[[], None]:
    """The function that gives an object the attributes it has now.

    Parameters
    ----------
    thing : object
    *names : str
        The attributes; without names all of them, so that those that are added are removed again.

    Returns
    -------
    callable
        The values themselves are restored, not copies of them. Of a list the contents are restored
        too, since lists grow in place.
    """
    held = vars(thing) if not names else {name: getattr(thing, name) for name in names}
    before = {
        name: (value, list(value) if type(value) is list else None) for name, value in held.items()
    }

    def restore() -> None:
        values = vars(thing)
        if not names:
            values.clear()
        for name, (value, contents) in before.items():
            if contents is not None:
                value[:] = contents
            values[name] = value

    return restore


def draws_of(rng: np.random.Generator | np.random.RandomState) -> Callable[[], None]:
    """The function after which a generator makes the draws again that it would make now."""
    if isinstance(rng, np.random.RandomState):
        return value_of(rng.get_state, rng.set_state)
    source: Any = rng.bit_generator
    state = source.state

    def restore() -> None:
        source.state = state

    return restore
