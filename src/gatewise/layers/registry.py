"""Layers as JSON values: the classes that files may name, and layers inside layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise.errors import DTypeError
from gatewise.registry import Registry

from .base import Layer

if TYPE_CHECKING:
    from gatewise._typing import Config

LAYERS: Registry[Layer] = Registry("layer", Layer, (), namespace="gatewise.layers")


def register(*classes: type[Layer]) -> None:
    """Add classes of layers that configurations may name.

    :mod:`gatewise.layers` calls this for its public layers. This module cannot import them itself,
    because layers that contain others import it.
    """
    LAYERS.add(*classes)


def layer_class(name: str) -> type[Layer]:
    """Return the class that a file names: the library's, or a user-defined one.

    Raises
    ------
    ConfigError
        There is no class with this name.
    DTypeError
        The user-defined object is not a class of layers.
    """
    return LAYERS.find_class(name)


def layer_from_config(config: Any, what: str) -> Layer:
    """Make a layer from a saved dict with "class_name" and "config"; a file may hold anything.

    Raises
    ------
    ConfigError
        The class is not known, or its arguments do not fit.
    DTypeError
        The value is not such a dict.
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
    """Return the dict that :func:`layer_from_config` reads, as JSON values.

    Raises
    ------
    ConfigError
        A user-defined class has the name of a class of the library, or does not store an argument
        of its constructor.
    """
    cls = type(layer)
    LAYERS.refuse_taken_name(cls)
    return {"class_name": cls.__name__, "config": layer.get_config()}
