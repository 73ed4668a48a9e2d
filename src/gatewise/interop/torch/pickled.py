"""Pickles of ``torch.save``, read by a machine that makes plain values and runs nothing.

Python's own reader calls what a pickle names; this one has a list of the few names that a
state_dict needs, and an action of its own for each. :func:`pickletools.genops` splits the bytes
into operations.
"""

from __future__ import annotations

import pickletools
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewise.checkpoint.refusal import Refused, short

from .tensors import STORAGES, Storage, Tensor, rebuilt

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

_MARK = object()
_TENSORS = ("_rebuild_tensor", "_rebuild_tensor_v2")
_PARAMETERS = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_SAVE = "torch.save(module.state_dict(), path)"


class Named(NamedTuple):
    """What a pickle asks for by its name, and is not given."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


class Reader:
    """One pickle: a stack, and a memory of values that are used again.

    Parameters
    ----------
    storage_of : callable
        Takes the tuple that a pickle has in place of a storage and returns the :class:`Storage`.
    """

    def __init__(self, storage_of: Callable[[tuple[Any, ...]], Storage]) -> None:
        self._storage_of = storage_of
        self._stack: list[Any] = []
        self._memory: dict[int, Any] = {}

    def read(self, file: BinaryIO) -> Any:
        """Return the value of the pickle that begins here; the file is then behind it.

        Raises
        ------
        Refused
            It is damaged, or asks for something that a state_dict does not need.
        """
        try:
            for operation, argument, _ in pickletools.genops(file):
                self._run(operation.name, argument)
            return self._pop()
        # Warning: pickletools warns of a backslash, which some programs make an error.
        except (ValueError, IndexError, KeyError, OverflowError, Warning) as error:
            raise Refused(f"is damaged: {str(error)[:200]}") from None

    # ---- the stack

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("an operation of its pickle finds no value")
        return value

    def _pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self._stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def _top(self, kind: type) -> Any:
        value = self._stack[-1]
        if not isinstance(value, kind):
            raise ValueError(f"its pickle treats a {type(value).__name__} as a {kind.__name__}")
        return value

    # ---- operations

    def _run(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self._stack.append(_VALUES[name](argument))
        elif name in _REMEMBER:
            self._memory[len(self._memory) if name == "MEMOIZE" else argument] = self._stack[-1]
        elif name in _RECALL:
            self._stack.append(self._memory[argument])
        elif name in _TUPLES:
            self._tuple(_TUPLES[name])
        elif name not in ("PROTO", "FRAME", "STOP"):
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise Refused(f"asks for the operation {name}, which no state_dict needs")
            step() if argument is None else step(argument)

    def _tuple(self, size: int | None) -> None:
        values = self._pop_to_mark() if size is None else [self._pop() for _ in range(size)][::-1]
        self._stack.append(tuple(values))

    def _mark(self) -> None:
        self._stack.append(_MARK)

    def _pop_mark(self) -> None:
        self._pop_to_mark()

    def _append(self) -> None:
        value = self._pop()
        self._top(list).append(value)

    def _appends(self) -> None:
        values = self._pop_to_mark()
        self._top(list).extend(values)

    def _list(self) -> None:
        self._stack.append(self._pop_to_mark())

    def _dict(self) -> None:
        values = self._pop_to_mark()
        self._stack.append({})
        self._put(values)

    def _setitem(self) -> None:
        value, key = self._pop(), self._pop()
        self._put([key, value])

    def _setitems(self) -> None:
        self._put(self._pop_to_mark())

    def _put(self, values: list[Any]) -> None:
        if len(values) % 2:
            raise ValueError("a key of a dict has no value")
        target = self._top(dict)
        for key, value in zip(values[::2], values[1::2]):
            # The hash of nested tuples takes time without bound.
            if not isinstance(key, str | int | float | bytes | Named | None):
                raise Refused(f"has a dict with a {type(key).__name__} as a key")
            target[key] = value

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._stack.append(_allowed(Named(module, name)))

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name is no text")
        self._stack.append(_allowed(Named(module, name)))

    def _binpersid(self) -> None:
        identity = self._pop()
        if not isinstance(identity, tuple) or not identity or identity[0] != "storage":
            raise Refused("refers to something outside that is no storage of a tensor")
        self._stack.append(self._storage_of(identity[1:]))

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise ValueError("it calls what is no function")
        self._stack.append(_called(function, arguments))

    def _build(self) -> None:
        """Attributes of what is on the stack: the ``_metadata`` of a state_dict, not needed."""
        self._pop()
        self._top(dict)


def _allowed(named: Named) -> Any:
    """Return a storage type, or the name of a function that :func:`_called` knows."""
    if named.module == "torch" and named.name in STORAGES:
        return STORAGES[named.name]
    known = (
        named == ("collections", "OrderedDict")
        or named == ("torch", "Size")
        or (named.module == "torch._utils" and named.name in (*_TENSORS, *_PARAMETERS))
    )
    if not known:
        raise Refused(
            f"asks for {short(str(named))}, which no state_dict needs, and which was not called. A"
            f" file of a whole module or of a training state holds such names: in PyTorch, write"
            f" {_SAVE}, and give that file"
        )
    return named


def _called(function: Named, arguments: tuple[Any, ...]) -> Any:
    if function.name == "OrderedDict":
        if arguments not in ((), ([],)):
            raise Refused("has an OrderedDict that is not empty when it is made")
        return {}
    if function.name == "Size":
        return tuple(*arguments)
    if function.name in _PARAMETERS:
        if not arguments or not isinstance(arguments[0], Tensor):
            raise ValueError("a parameter is no tensor")
        return arguments[0]
    return rebuilt(arguments)


def _identity(argument: Any) -> Any:
    return argument


# Operations that push a value: what makes it of the operation's argument.
_VALUES: dict[str, Callable[[Any], Any]] = {
    "NONE": _identity,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "EMPTY_TUPLE": lambda _: (),
} | dict.fromkeys(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    ),
    _identity,
)
_REMEMBER = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_RECALL = {"GET", "BINGET", "LONG_BINGET"}
_TUPLES = {"TUPLE": None, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
