"""Objects as JSON values, the name of their class and their arguments, and classes of one's own to read them back with."""

import contextlib
import contextvars
import inspect
import types

from gatewise.errors import ConfigError, DTypeError, did_you_mean

_custom_objects = contextvars.ContextVar("custom_objects", default=types.MappingProxyType({}))


@contextlib.contextmanager
def custom_object_scope(objects):
    """Context manager: what is made from a configuration inside finds these classes by these names.

    Parameters
    ----------
    objects : dict of str to class
        Classes of one's own: cells (:class:`gatewise.cells.RNNCell`), initializers, regularizers,
        constraints, losses, metrics and optimizers.
    """
    if not isinstance(objects, dict) or not all(isinstance(name, str) for name in objects):
        raise DTypeError(f"custom_objects is {objects!r}; expected a dict of name to class")
    token = _custom_objects.set({**_custom_objects.get(), **objects})
    try:
        yield
    finally:
        _custom_objects.reset(token)


def class_of(name, base, known, what):
    """The class of this name: one's own, from the scopes that are open, or one of `known`, a dict.

    Raises
    ------
    ConfigError, DTypeError
        There is none, or it does not derive from `base`.
    """
    if not isinstance(name, str):
        raise DTypeError(f"{what} class is {name!r:.200}; expected the name of one")
    cls = _custom_objects.get().get(name, known.get(name))
    if cls is None:
        raise ConfigError(
            f"{what} class {name!r} is not known: give it, as load_model(path,"
            f" custom_objects={{{name!r}: {name}}}), or choose one of"
            f" {', '.join(sorted(known))}{did_you_mean(name, known)}"
        )
    if not (isinstance(cls, type) and issubclass(cls, base)):
        raise DTypeError(
            f"custom_objects has {cls!r} for {name!r}; expected a class that derives from"
            f" {base.__name__}"
        )
    return cls


def object_of(config, base, known, what):
    """An object of a saved ``{"class_name", "config"}``, which may hold anything; see :func:`class_of`."""
    name = config.get("class_name")
    cls = class_of(name, base, known, what)
    arguments = config.get("config", {})
    try:
        return (
            cls.from_config(arguments)
            if hasattr(cls, "from_config") and isinstance(arguments, dict)
            else cls(**arguments)
        )
    except TypeError as error:
        raise ConfigError(
            f"{what} {name} has a configuration that does not fit: {error}"
        ) from error


def config_of(thing, known):
    """What :func:`object_of` reads back, as JSON values.

    Raises
    ------
    ConfigError
        The class has the name of another one of `known`, which would be made of it; or its
        ``get_config`` forgets an argument.
    """
    cls, config = type(thing), thing.get_config()
    if known.get(cls.__name__, cls) is not cls:
        raise ConfigError(
            f"{cls.__name__} has the name of a class of gatewise, for which a file would take it;"
            " give it another"
        )
    forgotten = [name for name in _arguments(cls) if name not in config]
    if forgotten:
        raise ConfigError(
            f"{cls.__name__}.get_config says nothing of the argument {forgotten[0]!r} of its"
            f" constructor; define it so that {cls.__name__}(**config) makes the same thing"
        )
    return {"class_name": cls.__name__, "config": config}


def _arguments(cls):
    """Names of the constructor's arguments, without ``*args`` and ``**kwargs``."""
    return [
        name
        for name, kind in _parameters(cls).items()
        if kind.kind not in (kind.VAR_POSITIONAL, kind.VAR_KEYWORD)
    ]


def _parameters(cls):
    """Of the constructor, dict of name to inspect.Parameter, without ``self``."""
    if cls.__init__ is object.__init__:
        return {}
    return dict(list(inspect.signature(cls.__init__).parameters.items())[1:])


def accepts(cls, name):
    """Whether the constructor takes an argument of this name."""
    parameters = _parameters(cls)
    return name in parameters or any(kind.kind is kind.VAR_KEYWORD for kind in parameters.values())


def kept_arguments(thing):
    """The arguments of the constructor, from the attributes of the same names: dict of name to value.

    Raises
    ------
    ConfigError
        One of them is not kept.
    """
    names = _arguments(type(thing))
    for name in names:
        if not hasattr(thing, name):
            raise ConfigError(
                f"{type(thing).__name__} keeps no attribute {name!r} for the argument of its"
                " constructor; keep it, or define get_config"
            )
    return {name: getattr(thing, name) for name in names}
