"""Attributes that users set: each takes effect or is refused; none is accepted and ignored."""

import difflib
import inspect
import sys
from collections.abc import Callable, Mapping
from types import FrameType, MappingProxyType
from typing import Any, ClassVar

from gatewise.described import Described
from gatewise.errors import DTypeError, SettingError

# Keras's names of lists of weights, which are made anew whenever they are read.
LISTS_OF_WEIGHTS = frozenset(
    f"{kind}{what}"
    for kind in ("", "trainable_", "non_trainable_")
    for what in ("weights", "variables")
)
WEIGHTS_CURE = "call set_weights(arrays) with values of all parameters"

_MISSING: Any = object()
_set = object.__setattr__


class Checked:
    """An option that may be set at any time, to a value that passes a check.

    ``check(value, name, **limits)`` returns the value to store. The class has no ``__get__``, so
    that Python reads the option from the instance like any attribute.
    """

    def __init__(self, check: Callable[..., Any], **limits: Any) -> None:
        self._check, self._limits = check, limits

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, thing: object, value: Any) -> None:
        vars(thing)[self._name] = self._check(value, self._name, **self._limits)


def checked(check: Callable[..., Any], **limits: Any) -> Any:
    """A :class:`Checked` option whose class declares its type: ``patience: int = checked(...)``."""
    return Checked(check, **limits)


class Guarded(Described):
    """Base of layers, models, optimizers, losses, metrics, callbacks and their parts.

    An attribute whose name does not begin with ``_`` can be set

    - by the library, and by methods of the object's own class, whatever its name;
    - by any code, if the class has a property or another descriptor for it, or lists it in
      ``_settable``;
    - by any code, on an object of a user-defined class, unless it is an argument of one of the
      library's constructors;
    - to override a method of one object.

    Everything else raises :class:`gatewise.errors.SettingError`.

    Setting an attribute runs Python code, which takes half a microsecond. What a training step sets
    in Dense and the recurrent layers therefore goes into ``vars(self)`` instead.
    """

    # plain attributes that the library reads whenever it needs them
    _settable: ClassVar[frozenset[str]] = frozenset()
    _and_then: ClassVar[str] = ""  # end of the message: what to do with a new object
    # Any attribute that the object has already may be set, except arguments of constructors.
    _keeps_public_state: ClassVar[bool] = False
    # Hooks that had another name: new name to old. A class may define either; both call the same.
    _renamed_hooks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    # Abstract hooks, and the method that calls each: a class that overrides it needs no hook.
    _callers_of_hooks: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for new, old in cls._renamed_hooks.items():
            # of the first class that defines either, which may be a mixin of a user
            first = next(vars(b) for b in cls.__mro__ if new in vars(b) or old in vars(b))
            if not (new in first and old in first):
                hook = first[new] if new in first else first[old]
                setattr(cls, new, hook)
                setattr(cls, old, hook)
        for hook, caller in cls._callers_of_hooks.items():
            abstract = getattr(getattr(cls, hook), "__isabstractmethod__", False)
            if abstract and caller in vars(cls) and hook not in vars(cls):
                for name in {hook, cls._renamed_hooks.get(hook, hook)}:
                    setattr(cls, name, _uncalled)

    def __setattr__(self, name: str, value: Any) -> None:
        if name[0] != "_":
            _check(self, name, value)
        _set(self, name, value)

    def _setting_cure(self, name: str) -> str | None:
        """What to do instead of setting this attribute; None: give it to the constructor."""
        return None

    def _title(self) -> str:
        """Name of the object in messages."""
        return type(self).__name__


def _uncalled(self: object, *args: Any) -> Any:
    """The hook of a class that has overridden what calls it."""
    raise DTypeError(f"{type(self).__name__} does without this method")


def _check(thing: Guarded, name: str, value: Any) -> None:
    """Refuse an attribute that the code calling ``__setattr__`` may not set."""
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__setattr__" and frame.f_back is not None:
        frame = frame.f_back
    if _is_ours(frame.f_globals.get("__name__", "")):
        return
    cls = type(thing)
    place = inspect.getattr_static(cls, name, _MISSING)
    if hasattr(type(place), "__set__") and not (isinstance(place, property) and place.fset is None):
        return
    if name in cls._settable or (callable(value) and inspect.isroutine(place)):
        return
    options = _options(cls)
    if not isinstance(place, property):
        if not _is_ours(cls.__module__) and (name not in options or _is_method_of(frame, thing)):
            return
        if cls._keeps_public_state and name not in options and name in vars(thing):
            return
    if any(vars(thing).get(held, _MISSING) is value for held in (name, f"_{name}")):
        return  # no change: x.array += 1 sets the array that it changed in place
    raise SettingError(_message(thing, name, options, place))


def _is_ours(module: str) -> bool:
    """Whether this is the name of a module of gatewise."""
    return module == "gatewise" or module.startswith("gatewise.")


def _is_method_of(frame: FrameType, thing: object) -> bool:
    """Whether a frame runs a method of the object."""
    code = frame.f_code
    return code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is thing


def _options(cls: type) -> set[str]:
    """Arguments of the constructors of those bases that are the library's classes."""
    names: set[str] = set()
    for base in cls.__mro__:
        if _is_ours(base.__module__) and "__init__" in vars(base):
            kinds = inspect.signature(vars(base)["__init__"]).parameters
            names |= {
                name
                for name, kind in kinds.items()
                if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
            }
    return names - {"self"}


def _message(thing: Guarded, name: str, options: set[str], place: Any) -> str:
    """Text of the SettingError for an attribute that cannot be set."""
    cls, title, cure = type(thing), thing._title(), thing._setting_cure(name)
    if cure is not None:
        return f"{title}: {name} cannot be set: {cure}"
    if name in options:
        return (
            f"{title}: {name} is chosen when the object is made, and cannot be set later; make a "
            f"new one, {cls.__name__}(..., {name}=...){cls._and_then}"
        )
    if place is not _MISSING or name in vars(thing):
        return f"{title}: {name} cannot be set: it follows from how the object was made and used"
    known = {each for each in (*dir(cls), *vars(thing)) if each[0] != "_"} | options
    close = difflib.get_close_matches(name, sorted(known), 1, 0.7)
    advice = (
        f"a user-defined class that derives from {cls.__name__} may have it, and any object"
        " may have a name that begins with _"
    )
    return f"{title} has no attribute {name!r}, so no code would read it; " + (
        f"did you mean {close[0]!r}?" if close else advice
    )
