"""Initial values of weights. Names, formulas and defaults are Keras's.

An initializer is called with ``(shape, rng, dtype)``. It draws from the generator of the model or
layer that it serves, or, if it has a ``seed``, from a generator of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise.registry import Registry

from .base import Initializer
from .matrices import Identity, Orthogonal
from .plain import Constant, Ones, RandomNormal, RandomUniform, TruncatedNormal, Zeros
from .scaled import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)

if TYPE_CHECKING:
    from gatewise._typing import Config

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "get",
    "serialize",
]

_ALIASES: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "ones": Ones,
    "constant": Constant,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "identity": Identity,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
}
INITIALIZERS: Registry[Initializer] = Registry(
    "initializer",
    Initializer,
    _ALIASES.values(),
    _ALIASES,
    namespace="gatewise.initializers",
)


def get(
    identifier: str | Config | type[Initializer] | Initializer, name: str = "initializer"
) -> Initializer:
    """An initializer from a name, a class, a saved configuration or an initializer.

    Parameters
    ----------
    identifier : str, dict, type or Initializer
        A name such as ``"glorot_uniform"`` or ``"GlorotUniform"``; what :func:`serialize` returned;
        a class, which is made with its defaults; or an initializer, which is returned itself.
    name : str, default "initializer"
        What messages call it.

    Returns
    -------
    Initializer
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import initializers
    >>> initializers.get("he_normal")
    HeNormal()
    """
    return INITIALIZERS.get(identifier, name)


def serialize(initializer: Initializer) -> Config:
    """The class and arguments of an initializer as JSON values, which :func:`get` reads.

    Parameters
    ----------
    initializer : Initializer
        The initializer to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or lacks an argument.

    Examples
    --------
    >>> from gatewise import initializers
    >>> initializers.serialize(initializers.Constant(0.5))
    {'class_name': 'Constant', 'config': {'value': 0.5}}
    """
    return INITIALIZERS.serialize(initializer)
