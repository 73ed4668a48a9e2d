"""Penalties on weights, added to the loss. Names and defaults are Keras's."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.registry import Registry

if TYPE_CHECKING:
    from gatewise._typing import Array, Config

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "serialize"]


class Regularizer(Guarded, abc.ABC):
    """Base of all regularizers.

    A user-defined regularizer defines :meth:`__call__` and :meth:`add_gradient`, and keeps the
    arguments of its constructor as attributes of the same names, so that files can hold them.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.regularizers import Regularizer
    >>> class Quartic(Regularizer):
    ...     def __call__(self, w):
    ...         return float((w**4).sum())
    ...     def add_gradient(self, w, gradient):
    ...         gradient += 4 * w**3
    >>> Quartic()(np.array([1.0, 2.0]))
    17.0
    """

    @abc.abstractmethod
    def __call__(self, w: Array) -> float:
        """The penalty of one array of weights: for subclasses to define.

        Parameters
        ----------
        w : ndarray, float32 or float64
            The weights.
        """

    @abc.abstractmethod
    def add_gradient(self, w: Array, gradient: Array) -> None:
        """Add d penalty / d w to `gradient`, in place: for subclasses to define.

        Parameters
        ----------
        w : ndarray, float32 or float64
            The weights.
        gradient : ndarray of the same shape and dtype
            What is added to, in place.
        """

    def get_config(self) -> Config:
        """The arguments of the constructor as JSON values.

        Returns
        -------
        dict
            The arguments by name.
        """
        return kept_arguments(self)


class L1L2(Regularizer):
    """Both penalties, ``l1 * sum |w| + l2 * sum w^2``.

    Parameters
    ----------
    l1, l2 : float, default 0.0
        From 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.regularizers import L1L2
    >>> L1L2(l1=0.5, l2=0.25)(np.array([1.0, -2.0]))
    2.75
    """

    l1: float = 0.0
    l2: float = 0.0

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = checks.number(l1, "l1", 0.0), checks.number(l2, "l2", 0.0)

    def __call__(self, w: Array) -> float:
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * float(np.abs(w).sum(dtype=np.float64))
        if self.l2:
            penalty += self.l2 * float(np.square(w, dtype=np.float64).sum())
        return penalty

    def add_gradient(self, w: Array, gradient: Array) -> None:
        if self.l1:
            gradient += np.asarray(self.l1, w.dtype) * np.sign(w)
        if self.l2:
            gradient += np.asarray(2 * self.l2, w.dtype) * w


class L1(L1L2):
    """The penalty ``l1 * sum |w|``.

    Parameters
    ----------
    l1 : float, default 0.01
        From 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.regularizers import L1
    >>> L1(0.5)(np.array([1.0, -2.0]))
    1.5
    """

    l1: float

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = checks.number(l1, "l1", 0.0)


class L2(L1L2):
    """The penalty ``l2 * sum w^2``.

    Parameters
    ----------
    l2 : float, default 0.01
        From 0.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.regularizers import L2
    >>> L2(0.5)(np.array([1.0, -2.0]))
    2.5
    """

    l2: float

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = checks.number(l2, "l2", 0.0)


# Keras's names for the functions
l1 = L1
l2 = L2
l1_l2 = L1L2

REGULARIZERS: Registry[Regularizer] = Registry(
    "regularizer",
    Regularizer,
    (L1, L2, L1L2),
    {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2},
    namespace="gatewise.regularizers",
    ignore_case=True,
)


def get(
    identifier: str | Config | type[Regularizer] | Regularizer | None, name: str = "regularizer"
) -> Regularizer | None:
    """A regularizer from a name, a class, a saved configuration or a regularizer.

    Parameters
    ----------
    identifier : str, dict, type, Regularizer or None
        A name, ``"l1"``, ``"l2"`` or ``"l1_l2"``; numbers, ``{"l1": 0.1, "l2": 0.1}``; what
        :func:`serialize` returned; a class, which is made with its defaults; a regularizer, which
        is returned itself. None stays None.
    name : str, default "regularizer"
        What messages call it.

    Returns
    -------
    Regularizer or None
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import regularizers
    >>> regularizers.get({"l2": 0.5})
    L1L2(l2=0.5)
    """
    if identifier is None:
        return None
    if isinstance(identifier, str) and REGULARIZERS.class_named(identifier, name) is L1L2:
        return L1L2(0.01, 0.01)
    if isinstance(identifier, dict) and "class_name" not in identifier:
        identifier = {"class_name": "L1L2", "config": identifier}
    return REGULARIZERS.get(identifier, name)


def serialize(regularizer: Regularizer | None) -> Config | None:
    """The numbers, or the class and arguments, of a regularizer as JSON values for :func:`get`.

    Parameters
    ----------
    regularizer : Regularizer or None
        The regularizer to describe.

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
    >>> from gatewise import regularizers
    >>> regularizers.serialize(regularizers.L2(0.5))
    {'l1': 0.0, 'l2': 0.5}
    """
    if isinstance(regularizer, L1L2) and type(regularizer) in REGULARIZERS.classes.values():
        return {"l1": regularizer.l1, "l2": regularizer.l2}
    return None if regularizer is None else REGULARIZERS.serialize(regularizer)
