"""Models and weights written as Keras's files."""

from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING, Any

from gatewise.checkpoint.files import path_text
from gatewise.checkpoint.writing import replace_file
from gatewise.errors import ConfigError
from gatewise.memory import names_memory

from .exporting import keras_config, keras_layers
from .files import KERAS_VERSION, write_archive
from .hdf5 import h5py
from .weights import weights_content, write_legacy

if TYPE_CHECKING:
    from gatewise._typing import PathLike


@names_memory
def save_model(model: Any, path: PathLike) -> None:
    """Write a model that ``keras.models.load_model`` loads, with its weights.

    What the model was compiled with is not written: compile it again there.

    Parameters
    ----------
    model : Sequential or Model
        Built. All of its layers and options must be in Keras.
    path : str or path-like
        A name that ends in ``.keras``, the form of Keras 3, or in ``.h5``, the older one.

    Raises
    ------
    ConfigError
        Keras has no such layer or option, or the name has another ending.
    CheckpointError
        The file cannot be written; an old one is unchanged.
    MissingPackageError
        h5py is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> from gatewise import Sequential, layers
    >>> from gatewise.interop import keras
    >>> model = Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(1)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.keras")
    >>> keras.save_model(model, path)
    >>> [type(layer).__name__ for layer in keras.load_model(path).layers]
    ['LSTM', 'Dense']
    """
    ending = _ending(path, (".keras", ".h5", ".hdf5"))
    found, config = keras_layers(model), keras_config(model)
    with model.unchanged():
        if ending == ".keras":
            write_archive(path, config, weights_content(found))
            return
        buffer = io.BytesIO()
        with h5py().File(buffer, "w") as file:
            file.attrs["keras_version"] = KERAS_VERSION
            file.attrs["backend"] = "numpy"
            file.attrs["model_config"] = json.dumps(config)
            write_legacy(file.create_group("model_weights"), found, KERAS_VERSION)
    replace_file(path_text(path), buffer.getvalue())


@names_memory
def save_weights(model: Any, path: PathLike) -> None:
    """Write weights that ``load_weights`` of the same model in Keras loads.

    Parameters
    ----------
    model : Sequential or Model
        Built.
    path : str or path-like
        A name that ends in ``.weights.h5``.

    Raises
    ------
    ConfigError, CheckpointError, MissingPackageError
        As in :func:`save_model`.
    """
    _ending(path, (".weights.h5",))
    found = keras_layers(model)
    with model.unchanged():
        content = weights_content(found)
    replace_file(path_text(path), content)


def _ending(path: PathLike, known: tuple[str, ...]) -> str:
    name = os.fsdecode(path)
    for ending in known:
        weights = name.endswith(".weights.h5")
        if name.endswith(ending) and (weights == (ending == ".weights.h5")):
            return ending
    raise ConfigError(f"path is {name!r:.200}; expected a name that ends in {' or '.join(known)}")
