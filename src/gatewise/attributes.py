"""Attributes that users set: each takes effect or is refused; none is accepted and read by nobody."""

import difflib
import inspect
import sys

from gatewise.described import Described
from gatewise.errors import SettingError

_MISSING = object()
_set = object.__setattr__


class Checked:
    """An option that may be set at any time, to what a check lets through.

    ``check(value, name, **limits)`` gives what is kept.
    Without a ``__get__`` Python reads it from the instance like any attribute.
    """

    def __init__(self, check, **limits):
        self._check, self._limits = check, limits

    def __set_name__(self, owner, name):
        self._name = name

    def __set__(self, thing, value):
        vars(thing)[self._name] = self._check(value, self._name, **self._limits)


class Guarded(Described):
    """Base of layers, models, optimizers, losses, metrics, callbacks and what these are made of.

    An attribute that does not begin with ``_`` can be set

    - by the library, and by methods of the object's own class, whatever it is called;
    - by anybody, if the class has a property or another descriptor for it, or names it in
      ``_settable``;
    - by anybody, on an object of a user's class, unless it is an argument of a constructor of the
      library's;
    - to override a method of one object.

    All else raises :class:`gatewise.errors.SettingError`.

    Each attribute that is set passes through Python, which takes half a microsecond. What a step of
    training sets in Dense and the recurrent layers goes into ``vars(self)`` instead.
    """

    _settable = frozenset()  # plain attributes that are read whenever they are needed
    _and_then = ""  # what to do with a new one
    # Any attribute that the object has already may be set, except arguments of constructors.
    _keeps_public_state = False

    def __setattr__(self, name, value):
        if name[0] != "_":
            _check(self, name, value)
        _set(self, name, value)

    def _setting_cure(self, name):
        """What to do instead of setting this attribute, as text; None: give it to the constructor."""
        return None

    def _title(self):
        """What messages call the object."""
        return type(self).__name__


def _check(thing, name, value):
    frame = sys._getframe(2)
    while frame.f_code.co_name == "__setattr__":
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
        return  # no change: x.array += 1 sets what it has changed in place
    raise SettingError(_message(thing, name, options, place))


def _is_ours(module):
    return module == "gatewise" or module.startswith("gatewise.")


def _is_method_of(frame, thing):
    """Whether the code that sets is a method of the object."""
    code = frame.f_code
    return code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is thing


def _options(cls):
    """Arguments that the constructors of the library's classes among the bases take, set of str."""
    names = set()
    for base in cls.__mro__:
        if _is_ours(base.__module__) and "__init__" in vars(base):
            kinds = inspect.signature(base.__init__).parameters
            names |= {
                name
                for name, kind in kinds.items()
                if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
            }
    return names - {"self"}


def _message(thing, name, options, place):
    cls, title, cure = type(thing), thing._title(), thing._setting_cure(name)
    if cure is not None:
        return f"{title}: {name} cannot be set: {cure}"
    if name in options:
        return (
            f"{title}: {name} is chosen when the object is made, and cannot be set later; make a "
            f"new one, {cls.__name__}(..., {name}=...){cls._and_then}"
        )
    if place is not _MISSING or name in vars(thing):
        return (
            f"{title}: {name} cannot be set: it follows from how the object was made, and from what"
            " was done with it since"
        )
    known = {each for each in (*dir(cls), *vars(thing)) if each[0] != "_"} | options
    close = difflib.get_close_matches(name, sorted(known), 1, 0.7)
    advice = (
        f"a class of your own that derives from {cls.__name__} may have it, and so may a name that"
        " begins with _"
    )
    return f"{title} has no attribute {name!r}, so that nobody would read it; " + (
        f"did you mean {close[0]!r}?" if close else advice
    )
