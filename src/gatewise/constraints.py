"""Limits that weights are brought back to after every step of the optimizer.

Names and defaults are Keras's.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError
from gatewise.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise._typing import Array, Config

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get", "serialize"]

_EPSILON = 1e-7  # Keras's, beside a norm that something is divided by


class Constraint(Guarded, abc.ABC):
    """Base of all constraints.

    A user-defined constraint defines :meth:`__call__` and keeps the arguments of its constructor as
    attributes of the same names, so that files can hold them.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.constraints import Constraint
    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return np.minimum(w, 1)
    >>> AtMostOne()(np.array([0.5, 2.0]))
    array([0.5, 1. ])
    """

    @abc.abstractmethod
    def __call__(self, w: Array) -> Array:
        """The weights that `w` becomes: for subclasses to define.

        Parameters
        ----------
        w : ndarray, float32 or float64
            Not to be changed.

        Returns
        -------
        ndarray of the same shape and dtype
        """

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.
        """
        return kept_arguments(self)


def _axes(axis: int | Sequence[int]) -> int | list[int]:
    if isinstance(axis, list | tuple):
        return [checks.whole_number(one, "axis", -8, 8) for one in axis]
    return checks.whole_number(axis, "axis", -8, 8)


def _norms(w: Array, axis: int | list[int]) -> Array:
    """Norms along `axis`, in float64: squares of large float32 weights overflow."""
    along = tuple(axis) if isinstance(axis, list) else axis
    try:
        return np.sqrt(np.square(w, dtype=np.float64).sum(axis=along, keepdims=True))
    except ValueError as error:  # AxisError, or an axis named twice
        raise ConfigError(f"axis is {along}; the weights have shape {w.shape}: {error}") from error


def _scaled(w: Array, factor: Array) -> Array:
    return (w * factor).astype(w.dtype, copy=False)


class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value` (Srivastava et al. 2014).

    Parameters
    ----------
    max_value : float, default 2
        From 0.
    axis : int or list of int, default 0
        Axis 0 of a kernel (inputs, units) gives the norm of the weights into each unit.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.constraints import MaxNorm
    >>> MaxNorm(1.0)(np.array([[3.0], [4.0]])).round(3).tolist()
    [[0.6], [0.8]]
    """

    axis: int | list[int]
    max_value: float

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = checks.number(max_value, "max_value", 0.0), _axes(axis)

    def __call__(self, w: Array) -> Array:
        norms = _norms(w, self.axis)
        return _scaled(w, np.clip(norms, 0, self.max_value) / (_EPSILON + norms))


class UnitNorm(Constraint):
    """Norms of 1 along `axis`.

    Parameters
    ----------
    axis : int or list of int, default 0
        Axis or axes along which norms are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.constraints import UnitNorm
    >>> UnitNorm()(np.array([[0.3], [0.4]])).round(3).tolist()
    [[0.6], [0.8]]
    """

    axis: int | list[int]

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = _axes(axis)

    def __call__(self, w: Array) -> Array:
        return _scaled(w, 1 / (_EPSILON + _norms(w, self.axis)))


class MinMaxNorm(Constraint):
    """Norms along `axis` from `min_value` to `max_value`.

    Parameters
    ----------
    min_value : float, default 0.0
        From 0.
    max_value : float, default 1.0
        From `min_value`.
    rate : float, default 1.0
        In [0, 1]: the part of the way that a norm outside is moved in one step.
    axis : int or list of int, default 0
        Axis or axes along which norms are taken.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.constraints import MinMaxNorm
    >>> MinMaxNorm(max_value=1.0, rate=0.5)(np.array([[3.0], [4.0]])).round(3).tolist()
    [[1.8], [2.4]]
    """

    rate: float
    min_value: float
    max_value: float
    axis: int | list[int]

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        self.min_value = checks.number(min_value, "min_value", 0.0)
        self.max_value = checks.number(max_value, "max_value", self.min_value)
        self.rate, self.axis = checks.number(rate, "rate", 0.0, 1.0), _axes(axis)

    def __call__(self, w: Array) -> Array:
        norms = _norms(w, self.axis)
        wanted = (
            self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        )
        return _scaled(w, wanted / (_EPSILON + norms))


class NonNeg(Constraint):
    """No weight below zero: those become 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.constraints import NonNeg
    >>> NonNeg()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def __call__(self, w: Array) -> Array:
        return np.maximum(w, 0)


# Keras's names for the functions
max_norm = MaxNorm
unit_norm = UnitNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg

CONSTRAINTS: Registry[Constraint] = Registry(
    "constraint",
    Constraint,
    (MaxNorm, UnitNorm, MinMaxNorm, NonNeg),
    {
        "max_norm": MaxNorm,
        "unit_norm": UnitNorm,
        "min_max_norm": MinMaxNorm,
        "non_neg": NonNeg,
    },
    namespace="gatewise.constraints",
)


def get(
    identifier: str | Config | type[Constraint] | Constraint | None, name: str = "constraint"
) -> Constraint | None:
    """A constraint from a name, a class, a saved configuration or a constraint.

    Parameters
    ----------
    identifier : str, dict, type, Constraint or None
        A name such as ``"max_norm"`` or ``"MaxNorm"``; what :func:`serialize` returned; a class,
        which is made with its defaults; or a constraint, which is returned itself. None stays None.
    name : str, default "constraint"
        What messages call it.

    Returns
    -------
    Constraint or None
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import constraints
    >>> constraints.get("non_neg")
    NonNeg()
    """
    return None if identifier is None else CONSTRAINTS.get(identifier, name)


def serialize(constraint: Constraint | None) -> Config | None:
    """The class and arguments of a constraint as JSON values, which :func:`get` reads.

    Parameters
    ----------
    constraint : Constraint or None
        The constraint to describe.

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
    >>> from gatewise import constraints
    >>> constraints.serialize(constraints.UnitNorm(axis=1))
    {'class_name': 'UnitNorm', 'config': {'axis': 1}}
    """
    return None if constraint is None else CONSTRAINTS.serialize(constraint)
