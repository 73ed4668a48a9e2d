"""Python values to and from JSON values and arrays, without pickle.

One walk over nested values serves every header and every part of one. What JSON lacks is described
by objects of class :class:`Kind`; each room gives its :class:`Codec` those that its values need.
"""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError, ConfigError, DTypeError

from .refusal import short

if TYPE_CHECKING:
    from typing import TypeGuard

    from gatewise._typing import Array

MAX_LEVELS = 64  # lists and dicts inside one another

_BARE = {type(None), bool, int, str}
_NESTED = {list, dict}
_PLAIN = (type(None), bool, int, float, str)
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


# ---- what files hold


def is_plain(value: object) -> bool:
    """Whether JSON has it: None, a bool, a number or text; NaN and infinities count as numbers."""
    return isinstance(value, _PLAIN)


def is_numeric(value: object) -> TypeGuard[Array]:
    """Whether it is an array of numbers or bools."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "buif"


def is_storable(value: object) -> bool:
    """Whether every codec takes it: None, a bool, a number, text, an array of numbers."""
    return is_plain(value) or isinstance(value, np.generic) or is_numeric(value)


def storable(value: Any) -> Any:
    """Return what a file can hold of a value, independent of the value.

    A NumPy scalar becomes a Python value, an array of numbers is copied, and what
    no file can hold becomes its text.
    """
    if isinstance(value, np.generic):
        return value.item()
    if is_numeric(value):
        return value.copy()
    return value if is_storable(value) else str(value)


# ---- the walk


class Kind(abc.ABC):
    """One kind of value that JSON lacks; in a file it is an object of one key, ``{mark: content}``.

    Parameters
    ----------
    mark : str
        The key. It begins with ``$`` if the codec has plain dicts, too.
    """

    def __init__(self, mark: str) -> None:
        self.mark = mark

    @abc.abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether a value is of this kind."""

    @abc.abstractmethod
    def pack(self, value: Any, packer: Packer) -> Any:
        """Return the content, JSON values; `packer` packs the parts of the value.

        Raises
        ------
        DTypeError
            No file can hold the value.
        """

    @abc.abstractmethod
    def unpack(self, content: Any, unpacker: Unpacker) -> Any:
        """Return the value of a content, which may be anything; `unpacker` unpacks its parts.

        Raises
        ------
        CheckpointError
            The content is damaged; any other error means that, too.
        """


class Codec:
    """Values to JSON values and arrays, and back.

    None, bools, numbers, text and lists are themselves in JSON; tuples become lists and NumPy
    scalars Python numbers. Everything else is of one of the kinds.

    Parameters
    ----------
    *kinds : Kind
        A value is of the first kind that holds it.
    objects : bool, default True
        Whether a dict with text for keys is a JSON object. A key that begins with ``$`` gets one
        more there, so that none is taken for a mark. False: a kind holds the dicts.
    """

    def __init__(self, *kinds: Kind, objects: bool = True) -> None:
        self.kinds = kinds
        self.objects = objects
        self._by_mark = {kind.mark: kind for kind in kinds}

    def encode(self, value: Any, name: str, arrays: dict[str, Array] | None = None) -> Any:
        """Return `value` as JSON values.

        Parameters
        ----------
        value : object
        name : str
            The name of the value, for messages; names of arrays begin with it.
        arrays : dict of str to ndarray, optional
            Receives the arrays in the value, which are not copied. None: there are none.

        Raises
        ------
        DTypeError
            A part of it is of no kind that files hold.
        ConfigError
            It is nested too deeply, or contains itself.
        """
        return Packer(self, {} if arrays is None else arrays, name, 0).encode(value)

    def decode(self, packed: Any, arrays: dict[str, Array] | None = None) -> Any:
        """Return the value of what :meth:`encode` gave; it may come from a damaged file.

        Parameters
        ----------
        packed : JSON values
        arrays : dict of str to ndarray, optional
            Each array in the value is taken out of it, so that none is used twice. None: there are
            none.

        Raises
        ------
        CheckpointError
            No value is written so. Any other error means the same.
        """
        return Unpacker(self, {} if arrays is None else arrays).unpack(packed)


class Packer:
    """What packs the parts of one value: it knows its name, its level and the arrays of the whole.

    Attributes
    ----------
    name : str
        The name of the value: of the whole, then keys and positions, with slashes between them.
    """

    __slots__ = ("_arrays", "_codec", "_level", "name")

    name: str

    def __init__(self, codec: Codec, arrays: dict[str, Array], name: str, level: int) -> None:
        self._codec, self._arrays, self.name, self._level = codec, arrays, name, level

    def pack(self, part: Any, key: object) -> Any:
        """Return a part of the value, under this key, as JSON values."""
        if type(part) in _BARE or (type(part) is float and math.isfinite(part)):
            return part
        inner = Packer(self._codec, self._arrays, f"{self.name}/{key}", self._level + 1)
        return inner.encode(part)

    def keep(self, array: Array) -> str:
        """Put an array among those of the whole; return its name there."""
        name = self.name
        while name in self._arrays:  # a key had a slash
            name += "_"
        self._arrays[name] = array
        return name

    def encode(self, value: Any) -> Any:
        """Return a value as JSON values: this one, or another that takes its place."""
        if isinstance(value, np.generic):
            value = value.item()
        if self._level >= MAX_LEVELS and not is_plain(value):
            raise ConfigError(
                f"{self.name.partition('/')[0]} is nested deeper than {MAX_LEVELS} levels, or"
                " contains itself"
            )
        for kind in self._codec.kinds:
            if kind.holds(value):
                return {kind.mark: kind.pack(value, self)}
        if is_plain(value):
            return value
        if isinstance(value, list | tuple):
            return [self.pack(part, number) for number, part in enumerate(value)]
        if isinstance(value, dict) and self._codec.objects:
            return {self._key(key): self.pack(part, key) for key, part in value.items()}
        what = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else _article(value)
        raise DTypeError(f"{self.name} is {what}, which files cannot hold")

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            raise DTypeError(
                f"{self.name} has key {short(key)} ({type(key).__name__}); keys are strings"
            )
        return f"${key}" if key.startswith("$") else key


class Unpacker:
    """What unpacks the parts of a value: it knows the arrays of the whole that are left."""

    __slots__ = ("_arrays", "_codec")

    def __init__(self, codec: Codec, arrays: dict[str, Array]) -> None:
        self._codec, self._arrays = codec, arrays

    def unpack(self, packed: Any) -> Any:
        """Return the value of JSON values. Depth is bounded by that of the header's text."""
        if isinstance(packed, list):
            return [self.unpack(part) if type(part) in _NESTED else part for part in packed]
        if not isinstance(packed, dict):
            return packed
        if len(packed) == 1:
            ((mark, content),) = packed.items()
            if kind := self._codec._by_mark.get(mark):
                return kind.unpack(content, self)
        if not self._codec.objects:
            raise CheckpointError(
                f"a value is {short(packed)}; expected one key, of"
                f" {', '.join(self._codec._by_mark)}"
            )
        value = {}
        for key, part in packed.items():
            if key.startswith("$"):
                key = key[1:]
                if not key.startswith("$"):
                    raise CheckpointError(
                        f"a value is {short(packed)}, with the unknown mark {short('$' + key)}"
                    )
            value[key] = self.unpack(part) if type(part) in _NESTED else part
        return value

    def take(self, name: Any) -> Array:
        """Return the array of this name, which no other part of the value can have.

        Raises
        ------
        CheckpointError
            There is none, or another part has taken it.
        """
        if name not in self._arrays:
            raise CheckpointError(
                f"the array {short(name)} is missing, or belongs to something else too"
            )
        return self._arrays.pop(name)

    def names(self, packed: Any) -> dict[str, Any]:
        """Return the value of JSON values if it is a dict with text for keys.

        Raises
        ------
        CheckpointError
            It is something else.
        """
        value = self.unpack(packed)
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise CheckpointError(f"a value is {short(value)}; expected a dict with names")
        return value


def _article(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


# ---- kinds that several rooms have


class NonFinite(Kind):
    """NaN and the infinities, by their names."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, float) and not math.isfinite(value)

    def pack(self, value: float, packer: Packer) -> str:
        return str(float(value))

    def unpack(self, content: Any, unpacker: Unpacker) -> float:
        if not isinstance(content, str) or content not in _NON_FINITE:
            raise CheckpointError(f"a value is {short({self.mark: content})}; expected a float")
        return _NON_FINITE[content]


class Arrays(Kind):
    """Arrays of numbers or bools, which are tensors of the file; the content is the name of one."""

    def holds(self, value: Any) -> bool:
        return is_numeric(value)

    def pack(self, value: Array, packer: Packer) -> str:
        return packer.keep(value)

    def unpack(self, content: Any, unpacker: Unpacker) -> Array:
        return unpacker.take(content)


class Tuples(Kind):
    """Tuples that come back as tuples; without this kind they come back as lists."""

    def holds(self, value: Any) -> bool:
        return isinstance(value, tuple)

    def pack(self, value: tuple[Any, ...], packer: Packer) -> list[Any]:
        return [packer.pack(part, number) for number, part in enumerate(value)]

    def unpack(self, content: Any, unpacker: Unpacker) -> tuple[Any, ...]:
        return tuple(unpacker.unpack(part) for part in content)
