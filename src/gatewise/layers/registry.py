"""Layers as JSON values: the classes that a file may name, and layers inside of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import DTypeError
from gatewise.registry import Registry

from .base import Layer

if TYPE_CHECKING:
    from gatewise._typing import Config

LAYERS: Registry[Layer] = Registry("layer", Layer, (), namespace="gatewise.layers")


def register(*classes: type[Layer]) -> None:
    """Let configurations name these classes of layers.

    :mod:`gatewise.layers` calls this for its public layers: the layers that hold others import this
    module, so that this module cannot import them.
    """
    LAYERS.add(*classes)


def layer_class(name: str) -> type[Layer]:
    """Return the class that a file names: the library's, or a user-defined one.

    Raises
    ------
    ConfigError
        There is none with this name.
    DTypeError
        The user-defined one is no class of layers.
    """
    return LAYERS.find_class(name)


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
    LAYERS.refuse_taken_name(cls)
    return {"class_name": cls.__name__, "config": layer.get_config()}
