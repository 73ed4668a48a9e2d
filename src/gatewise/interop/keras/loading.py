"""Models and weights from Keras's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.errors import CheckpointError
from gatewise.memory import names_memory
from gatewise.utils import custom_object_scope

from .compiled import compile_as
from .exporting import keras_layers
from .files import read, refusing
from .graphs import model_of
from .weights import read_weights

if TYPE_CHECKING:
    from gatewise._typing import PathLike


@names_memory
def load_model(
    path: PathLike, custom_objects: dict[str, type] | None = None, compile: bool = True
) -> Any:
    """Return the model of a file that Keras wrote, with its weights.

    Parameters
    ----------
    path : str or path-like
        A ``.keras`` file of Keras 3, or an ``.h5`` file of ``model.save`` in Keras 2 or 3.
    custom_objects : dict of str to class, optional
        User-defined classes of gatewise by the names that the file has: layers, initializers,
        losses and so on.
    compile : bool, default True
        Whether to compile the model as it was, with what Adam has accumulated, so that training
        goes on. False: leave it out.

    Returns
    -------
    Sequential or Model
        The model.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or holds no model.
    ConfigError
        gatewise has no such layer, loss or optimizer, or not with these options.
    MissingPackageError
        h5py is not installed.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from gatewise import Sequential, layers
    >>> from gatewise.interop import keras
    >>> model = Sequential([layers.Input((5, 3)), layers.GRU(4)])
    >>> path = os.path.join(tempfile.mkdtemp(), "model.h5")
    >>> keras.save_model(model, path)
    >>> x = np.ones((1, 5, 3), np.float32)
    >>> (keras.load_model(path).predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    True
    """
    checks.flag(compile, "compile")
    content = read(path)
    if content.config is None:
        raise CheckpointError(
            f"{path!r} holds weights alone: make the model, and call load_weights(model, path)"
        )
    with custom_object_scope({} if custom_objects is None else custom_objects):
        found = refusing(path, lambda: model_of(content.config, content.old))
        if not found.model.built:
            raise CheckpointError(f"{path!r} holds a model that was not built: it has no weights")
        refusing(path, lambda: read_weights(found, content.weights, content.legacy))
        if compile and content.compiled is not None:
            refusing(path, lambda: compile_as(found, content))
    return found.model


@names_memory
def load_weights(model: Any, path: PathLike) -> None:
    """Give a model the weights of a file that Keras wrote.

    Parameters
    ----------
    model : Sequential or Model
        Built, with the layers of Keras's model in the same order. It does not change if an error
        is raised.
    path : str or path-like
        A ``.weights.h5`` file, or one that holds a whole model.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or holds the weights of another model.
    ConfigError
        A layer of the model is not in Keras.
    MissingPackageError
        h5py is not installed.
    """
    found = keras_layers(model)
    content = read(path)
    refusing(path, lambda: read_weights(found, content.weights, content.legacy))
