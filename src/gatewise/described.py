"""What an object shows in a terminal: its class and the arguments it was made with."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Self

import numpy as np

from gatewise.errors import ArgumentError, DTypeError, did_you_mean

_MISSING = object()
_LONGEST = 100  # characters of one value


class KnownArguments:
    """Base of classes whose constructors refuse unknown arguments and suggest the right name."""

    __signature__: ClassVar[inspect.Signature | None]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # None: ``inspect`` reads the signature of __init__. For a class without a constructor it
        # would show that of __new__.
        cls.__signature__ = inspect.Signature() if cls.__init__ is object.__init__ else None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if kwargs:
            refuse_unknown(cls, kwargs)
        if getattr(cls, "__abstractmethods__", None):
            raise DTypeError(_undefined_hooks(cls))
        return super().__new__(cls)

    @classmethod
    def _advice_on_hooks(cls) -> str:
        """What messages add about an abstract method that a class does not define, as text."""
        return ""


class Described(KnownArguments):
    """Base of objects whose ``repr`` is the call that makes them, without default arguments.

    An argument is read from the attribute of its name. A ``repr`` never raises: if the constructor
    has not finished, or a subclass is faulty, it shows the class alone.
    """

    @classmethod
    def _argument_names(cls) -> list[str]:
        """Names of the constructor's arguments, including those it passes on to the bases."""
        return list(_arguments(cls))

    # arguments that are shown even if they have their defaults
    _always_shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        try:
            return self._description()
        except Exception:  # whatever a subclass raises
            return f"<{type(self).__name__}>"

    def _description(self) -> str:
        shown = []
        for name, default in _arguments(type(self)).items():
            value = self._shown_value(name)
            if value is _MISSING or (name == "name" and _is_usual_name(self, value)):
                continue
            if name in self._always_shown or not _same(value, default):
                shown.append(f"{name}={value_text(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown_value(self, name: str) -> Any:
        """The value of an argument; ``_MISSING`` if the object does not have it."""
        place = inspect.getattr_static(type(self), name, None)
        if name in vars(self) or isinstance(place, property):
            return getattr(self, name)
        return _MISSING


def _undefined_hooks(cls: Any) -> str:
    """What is wrong with a class that does not define all abstract methods, as text."""
    texts = []
    for name in sorted(cls.__abstractmethods__):
        base = next(base for base in reversed(cls.__mro__) if name in vars(base))
        if name not in getattr(cls, "_renamed_hooks", {}).values():
            signature = inspect.signature(getattr(cls, name))
            plain = [kind.replace(annotation=kind.empty) for kind in signature.parameters.values()]
            signature = inspect.Signature(plain)
            texts.append(f"{name}{signature}, which every {base.__name__} needs")
    return f"{cls.__name__} defines no {', and no '.join(texts)}{cls._advice_on_hooks()}"


def refuse_unknown(cls: type, given: Iterable[str]) -> None:
    """Refuse arguments that no constructor of a class knows; one that takes any checks them itself.

    Raises
    ------
    ArgumentError
    """
    known, takes_any = _known_arguments(cls)
    unknown = [] if takes_any else [name for name in given if name not in known]
    if unknown:
        raise ArgumentError(
            f"{cls.__name__} takes no argument {unknown[0]!r}"
            + (did_you_mean(unknown[0], known) or f"; it takes {', '.join(known) or 'none'}")
        )


@functools.lru_cache(maxsize=1024)
def _known_arguments(cls: type) -> tuple[list[str], bool]:
    """(names of arguments, whether the constructors accept any others)."""
    constructors = [vars(base)["__init__"] for base in cls.__mro__[:-1] if "__init__" in vars(base)]
    if not constructors:
        return [], False
    is_open = [
        any(kind.kind is kind.VAR_KEYWORD for kind in inspect.signature(each).parameters.values())
        for each in constructors
    ]
    users = not constructors[0].__module__.startswith("gatewise.")  # it may use some of them itself
    return list(_arguments(cls)), all(is_open) or (users and is_open[0])


def arguments_of(function: Callable[..., Any]) -> list[str]:
    """Names of the arguments of a function or method."""
    return [
        name
        for name, kind in inspect.signature(function).parameters.items()
        if kind.kind is not kind.VAR_KEYWORD
    ]


def value_text(value: object) -> str:
    """A short text for a value."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"<{value.dtype} array {value.shape}>"
    if inspect.isroutine(value):
        return f"<{getattr(value, '__name__', 'function')}>"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _arguments(cls: type) -> dict[str, Any]:
    """Names and defaults of a constructor's arguments, those of its bases after its own."""
    found: dict[str, Any] = {}
    for base in cls.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        kinds = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        found |= {
            kind.name: kind.default
            for kind in kinds
            if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD) and kind.name not in found
        }
        if not any(
            kind.kind is kind.VAR_KEYWORD for kind in kinds
        ):  # it accepts none of its bases'
            break
    return found


def _is_usual_name(thing: object, value: object) -> bool:
    """Whether a name is the one that objects of this class have by default."""
    cls = type(thing)
    usual = (
        getattr(cls, "name", None),
        getattr(cls, "default_name", None),
        cls.__name__,
        cls.__name__.lower(),
        None,
    )
    return value in usual


def _same(value: Any, default: Any) -> bool:
    """Whether a value is its default, for values of any kind."""
    if value is default:
        return True
    if value is None or default is None or isinstance(value, str) != isinstance(default, str):
        return False
    try:
        if (
            isinstance(value, tuple) and value and not isinstance(default, tuple)
        ):  # one value for each part
            return all(each == default for each in value)
        return bool(value == default)
    except Exception:  # arrays of several numbers, users' objects
        return False
