"""What an object shows of itself in a terminal: its class and the arguments it was made with."""

import inspect

import numpy as np

_MISSING = object()
_LONGEST = 100   # characters of one value


class Described:
    """Base of objects whose ``repr`` is the call that makes them, without arguments at their defaults.

    An argument is read from the attribute of its name. A ``repr`` never raises: that of an object
    whose constructor has not finished, or of a subclass that breaks, is its class alone.
    """

    _always_shown = ()  # arguments that are shown even if they have their defaults

    def __repr__(self):
        try:
            return self._description()
        except Exception:  # whatever a subclass does
            return f"<{type(self).__name__}>"

    def _description(self):
        shown = []
        for name, default in _arguments(type(self)).items():
            value = self._shown_value(name)
            if value is _MISSING or (name == "name" and _is_usual_name(self, value)):
                continue
            if name in self._always_shown or not _same(value, default):
                shown.append(f"{name}={value_text(value)}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _shown_value(self, name):
        """The value of an argument; ``_MISSING`` if the object does not have it."""
        place = inspect.getattr_static(type(self), name, None)
        if name in vars(self) or isinstance(place, property):
            return getattr(self, name)
        return _MISSING


def value_text(value):
    """A value in a few words."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"<{value.dtype} array {value.shape}>"
    if inspect.isroutine(value):
        return f"<{getattr(value, '__name__', 'function')}>"
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST - 3]}..."


def _arguments(cls):
    """Arguments of the constructors of a class and its bases, dict of name to default, its own first."""
    found = {}
    for base in cls.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        kinds = list(inspect.signature(base.__init__).parameters.values())[1:]
        found |= {kind.name: kind.default for kind in kinds
                  if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
                  and kind.name not in found}
        if not any(kind.kind is kind.VAR_KEYWORD for kind in kinds):  # it takes none of its bases'
            break
    return found


def _is_usual_name(thing, value):
    cls = type(thing)
    usual = (getattr(cls, "name", None), getattr(cls, "default_name", None), cls.__name__,
             cls.__name__.lower(), None)
    return value in usual


def _same(value, default):
    if value is default:
        return True
    if value is None or default is None or isinstance(value, str) != isinstance(default, str):
        return False
    try:
        if isinstance(value, tuple) and value and not isinstance(default, tuple):  # one for each
            return all(each == default for each in value)
        return bool(value == default)
    except Exception:  # arrays of several numbers, objects of users
        return False
