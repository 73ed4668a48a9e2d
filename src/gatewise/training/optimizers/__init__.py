"""Optimizers over one flat vector of parameters. Names, formulas and defaults are Keras's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise.registry import Registry

from .adagrad import Adagrad
from .adam import Adam, AdamW, Nadam
from .base import Optimizer
from .lion import Lion
from .rmsprop import RMSprop
from .sgd import SGD

if TYPE_CHECKING:
    from gatewise._typing import Config

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Lion",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "get",
    "serialize",
]


OPTIMIZERS: Registry[Optimizer] = Registry(
    "optimizer",
    Optimizer,
    (SGD, RMSprop, Adam, AdamW, Adagrad, Nadam, Lion),
    {
        "sgd": SGD,
        "rmsprop": RMSprop,
        "adam": Adam,
        "adamw": AdamW,
        "adagrad": Adagrad,
        "nadam": Nadam,
        "lion": Lion,
    },
    namespace="gatewise.optimizers",
    ignore_case=True,
)


def get(identifier: str | Config | type[Optimizer] | Optimizer) -> Optimizer:
    """An optimizer from a name, a saved configuration, a class or an optimizer.

    Parameters
    ----------
    identifier : str, dict, type or Optimizer
        A name such as ``"adam"``, in capitals or not; what :func:`serialize` returned; a class,
        which is made with its defaults; or an optimizer, which is returned itself.

    Returns
    -------
    Optimizer
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import optimizers
    >>> optimizers.get("adam")
    Adam(learning_rate=0.001)
    """
    return OPTIMIZERS.get(identifier)


def serialize(optimizer: Optimizer) -> Config:
    """The class and arguments of an optimizer as JSON values, which :func:`get` reads.

    Parameters
    ----------
    optimizer : Optimizer
        The optimizer to describe.

    Returns
    -------
    dict
        ``{"class_name", "config"}``; without what the optimizer has accumulated.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or its ``get_config`` lacks an
        argument.

    Examples
    --------
    >>> from gatewise import optimizers
    >>> optimizers.serialize(optimizers.SGD(0.1))["class_name"]
    'SGD'
    """
    return OPTIMIZERS.serialize(optimizer)
