"""Extents that are not known until data come: products of numbers and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewise._typing import Array


_MOST_NAMES = 16  # no array has more axes of unknown extent


class Size:
    """A number times named extents: ``2 * batch * time``. It is at least 1.

    Parameters
    ----------
    factor : int
        The number, from 1.
    names : tuple of str
        The names, sorted, at least one.
    """

    __slots__ = ("factor", "names")
    factor: int
    names: tuple[str, ...]

    def __init__(self, factor: int, names: tuple[str, ...]) -> None:
        if factor >= 2**62 or len(names) > _MOST_NAMES:
            raise ConfigError("an extent is the product of too many extents")
        self.factor, self.names = factor, names

    @staticmethod
    def of(name: str) -> Size:
        """Return the extent of this name."""
        return Size(1, (name,))

    def __repr__(self) -> str:
        return "*".join([*([str(self.factor)] if self.factor != 1 else []), *self.names])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and (self.factor, self.names) == (other.factor, other.names)

    def __hash__(self) -> int:
        return hash((self.factor, self.names))

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(self.factor * other.factor, tuple(sorted(self.names + other.names)))
        return Size(self.factor * int(other), self.names) if other else 0

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        found = divided(self, other)
        if found is None:
            raise ConfigError(f"{self} cannot be divided by {other} before it is known")
        return found

    __truediv__ = __floordiv__

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Size) and other.names == self.names:
            return Size(self.factor + other.factor, self.names)
        if not isinstance(other, Size) and other == 0:
            return self
        raise ConfigError(f"{self} + {other} depends on an extent that is not known")

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        if self == other:
            return 0
        if not isinstance(other, Size) and other == 0:
            return self
        raise ConfigError(f"{self} - {other} depends on an extent that is not known")

    def __lt__(self, other: Any) -> bool:
        return self._compared(other, False)

    def __le__(self, other: Any) -> bool:
        return self._compared(other, False)

    def __gt__(self, other: Any) -> bool:
        return self._compared(other, True)

    def __ge__(self, other: Any) -> bool:
        return self._compared(other, True)

    def _compared(self, other: Any, larger: bool) -> bool:
        if not isinstance(other, Size) and other < 1:
            return larger
        raise ConfigError(f"{self} is compared with {other} before it is known")


def divided(size: Any, by: Any) -> Any:
    """Return a quotient of extents without remainder, or None."""
    if not isinstance(size, Size):
        if isinstance(by, Size) or not by or size % by:
            return None
        return int(size) // int(by)
    factor, names = (by.factor, list(by.names)) if isinstance(by, Size) else (int(by), [])
    rest = list(size.names)
    for name in names:
        if name not in rest:
            return None
        rest.remove(name)
    if not factor or size.factor % factor:
        return None
    return Size(size.factor // factor, tuple(rest)) if rest else size.factor // factor


def product(sizes: Iterable[Any]) -> Any:
    """Return the product of extents."""
    found: Any = 1
    for size in sizes:
        found = found * size
    return found


def as_array(sizes: Iterable[Any]) -> Array:
    """Return extents as an array: of whole numbers if all are known, else of objects."""
    return simplified(np.array([*sizes, None], object)[:-1])


def simplified(array: Array) -> Array:
    """Return an array of objects as one of whole numbers if all of them are numbers."""
    if array.dtype != object:
        return array
    if any(isinstance(value, Size) for value in array.reshape(-1)):
        return array
    return array.astype(np.int64)
