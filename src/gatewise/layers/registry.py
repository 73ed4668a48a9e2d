"""Layers as JSON values: which classes a file may name, and a layer inside another one's configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.configuration import custom_objects
from gatewise.errors import ConfigError, DTypeError, did_you_mean

from .base import Layer

if TYPE_CHECKING:
    from gatewise._typing import Config

_CLASSES: dict[str, type[Layer]] = {}  # filled once, by the import of gatewise.layers


def register(*classes: type[Layer]) -> None:
    """Let configurations name these classes of layers.

    :mod:`gatewise.layers` calls this for its public layers: the layers that hold others import this
    module, so that this module cannot import them.
    """
    _CLASSES.update({cls.__name__: cls for cls in classes})


def layer_class(name: str) -> type[Layer]:
    """Return the class that a file names: a user-defined one from the open scopes, or the library's.

    Raises
    ------
    ConfigError
        There is none with this name.
    DTypeError
        The user-defined one is no class of layers.
    """
    cls = custom_objects().get(name, _CLASSES.get(name))
    if cls is None:
        raise ConfigError(
            f"layer class {name!r} is not known: give it, as load_model(path,"
            f" custom_objects={{{name!r}: {name}}}), or choose one of {', '.join(sorted(_CLASSES))}"
            f"{did_you_mean(name, _CLASSES)}"
        )
    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise DTypeError(
            f"custom_objects has {cls!r} for {name!r}; expected a class that derives from Layer"
        )
    return cls


def layer_from_config(config: Any, what: str) -> Layer:
    """Return a layer of a saved ``{"class_name", "config"}``, which may hold anything.

    Raises
    ------
    ConfigError
        The class is not known, or its arguments do not fit.
    DTypeError
        It is no such dict.
    """
    name, arguments = (
        (config.get("class_name"), config.get("config"))
        if isinstance(config, dict)
        else (None, None)
    )
    if not isinstance(name, str) or not isinstance(arguments, dict):
        raise DTypeError(f"{what} is {config!r:.200}; expected class_name and config of a layer")
    return layer_class(name).from_config(arguments)


def layer_config(layer: Layer) -> Config:
    """Return what :func:`layer_from_config` reads, as JSON values.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or does not keep an argument of
        its constructor.
    """
    cls = type(layer)
    if _CLASSES.get(cls.__name__, cls) is not cls:
        raise ConfigError(
            f"layer {layer.name!r}: its class {cls.__name__} has the name of a class of gatewise,"
            " for which a file would take it; give it another"
        )
    return {"class_name": cls.__name__, "config": layer.get_config()}
