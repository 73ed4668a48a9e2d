"""Layers as JSON values: which classes a file may name, and a layer inside another one's configuration."""

from gatewise.errors import ConfigError, DTypeError

_CLASSES = {}  # filled once, by the import of gatewise.layers


def register(*classes):
    """Let configurations name these classes of layers.

    :mod:`gatewise.layers` calls this for its public layers: the layers that hold others import this
    module, so that this module cannot import them.
    """
    _CLASSES.update({cls.__name__: cls for cls in classes})


def layer_classes():
    """dict of name to class of the public layers that a configuration may ask for."""
    return dict(_CLASSES)


def layer_from_config(config, what):
    """A layer of a saved ``{"class_name", "config"}``, which may hold anything."""
    name, arguments = (
        (config.get("class_name"), config.get("config"))
        if isinstance(config, dict)
        else (None, None)
    )
    if not isinstance(name, str) or name not in _CLASSES or not isinstance(arguments, dict):
        raise DTypeError(f"{what} is {config!r:.200}; expected class_name and config of a layer")
    return _CLASSES[name].from_config(arguments)


def layer_config(layer):
    """What :func:`layer_from_config` reads back, as JSON values.

    Raises
    ------
    ConfigError
        The layer is of a class of one's own, which no file can be read back with.
    """
    if _CLASSES.get(type(layer).__name__) is not type(layer):
        raise ConfigError(
            f"layer {layer.name!r} is a {type(layer).__name__} of one's own: files hold gatewise's"
            " layers, and cells of one's own in an RNN; keep its weights with get_weights"
        )
    return {"class_name": type(layer).__name__, "config": layer.get_config()}
