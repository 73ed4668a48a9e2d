"""Arguments of objects as JSON values, and the user-defined classes that files may name."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import types
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, DTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewise._typing import Config

_custom_objects: contextvars.ContextVar[Mapping[str, type]] = contextvars.ContextVar(
    "custom_objects", default=types.MappingProxyType({})
)


@contextlib.contextmanager
def custom_object_scope(objects: Mapping[str, type]) -> Iterator[None]:
    """Context manager in which saved configurations may name these user-defined classes.

    Parameters
    ----------
    objects : dict of str to class
        User-defined classes by name: cells (:class:`gatewise.cells.RNNCell`), initializers,
        regularizers, constraints, losses, metrics and optimizers. Scopes add up; an inner one goes
        first.

    Yields
    ------
    None
        Nothing: the names are known until the context ends.

    Raises
    ------
    DTypeError
        It is no dict with names as keys.

    Examples
    --------
    >>> from gatewise import regularizers
    >>> from gatewise.utils import custom_object_scope
    >>> class MyL2(regularizers.L2): ...
    >>> with custom_object_scope({"MyL2": MyL2}):
    ...     regularizers.get({"class_name": "MyL2", "config": {"l2": 0.5}})
    MyL2(l2=0.5)
    """
    if not isinstance(objects, dict) or not all(isinstance(name, str) for name in objects):
        raise DTypeError(f"custom_objects is {objects!r}; expected a dict of name to class")
    token = _custom_objects.set({**_custom_objects.get(), **objects})
    try:
        yield
    finally:
        _custom_objects.reset(token)


def custom_objects() -> Mapping[str, type]:
    """The classes of all open scopes by name."""
    return _custom_objects.get()


def argument_names(cls: type) -> list[str]:
    """Names of the constructor's arguments, without ``*args`` and ``**kwargs``."""
    return [
        name
        for name, kind in _parameters(cls).items()
        if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
    ]


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    """The constructor's parameters by name, without ``self``."""
    if cls.__init__ is object.__init__:
        return {}
    return dict(list(inspect.signature(cls.__init__).parameters.items())[1:])


def accepts(cls: type, name: str) -> bool:
    """Whether the constructor takes an argument of this name."""
    parameters = _parameters(cls)
    return name in parameters or any(kind.kind is kind.VAR_KEYWORD for kind in parameters.values())


def kept_arguments(thing: object) -> Config:
    """The arguments of the constructor, read from the attributes of the same names.

    Raises
    ------
    ConfigError
        An argument has no attribute of its name.
    """
    cls = type(thing)
    return {name: kept_argument(thing, name, cls) for name in argument_names(cls)}


def kept_argument(thing: object, name: str, cls: type) -> Any:
    """The argument of this name of a constructor, read from the attribute of the same name.

    Parameters
    ----------
    thing : object
    name : str
    cls : type
        The class of `thing`, or one of its bases, whose constructor has the argument.

    Returns
    -------
    object

    Raises
    ------
    ConfigError
        There is no such attribute.
    """
    if not hasattr(thing, name):
        raise ConfigError(
            f"{cls.__name__} has no attribute {name!r} for the argument of its constructor; store"
            " it, or define get_config"
        )
    return getattr(thing, name)
