"""Penalties on weights, added to the loss. Names and defaults are Keras's."""

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import DTypeError
from gatewise.registry import Registry

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "serialize"]


class Regularizer(Guarded):
    """Base: subclasses define :meth:`__call__` and :meth:`add_gradient`; arguments are attributes of the same names."""

    def __call__(self, w):
        """The penalty of one array of weights, a float."""
        raise DTypeError(f"{type(self).__name__} defines no __call__(w)")

    def add_gradient(self, w, gradient):
        """gradient += d penalty / d w, in place."""
        raise DTypeError(f"{type(self).__name__} defines no add_gradient(w, gradient)")

    def get_config(self):
        """The arguments, as JSON values."""
        return kept_arguments(self)


class L1L2(Regularizer):
    """Both penalties, ``l1 * sum |w| + l2 * sum w^2``."""

    l1 = l2 = 0.0

    def __init__(self, l1=0.0, l2=0.0):
        self.l1, self.l2 = checks.number(l1, "l1", 0.0), checks.number(l2, "l2", 0.0)

    def __call__(self, w):
        penalty = 0.0
        if self.l1:
            penalty += self.l1 * float(np.abs(w).sum(dtype=np.float64))
        if self.l2:
            penalty += self.l2 * float(np.square(w, dtype=np.float64).sum())
        return penalty

    def add_gradient(self, w, gradient):
        if self.l1:
            gradient += np.asarray(self.l1, w.dtype) * np.sign(w)
        if self.l2:
            gradient += np.asarray(2 * self.l2, w.dtype) * w


class L1(L1L2):
    """``l1 * sum |w|``."""

    def __init__(self, l1=0.01):
        self.l1 = checks.number(l1, "l1", 0.0)


class L2(L1L2):
    """``l2 * sum w^2``."""

    def __init__(self, l2=0.01):
        self.l2 = checks.number(l2, "l2", 0.0)


l1, l2, l1_l2 = L1, L2, L1L2  # Keras's names for the functions
REGULARIZERS = Registry(
    "regularizer",
    Regularizer,
    (L1, L2, L1L2),
    {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2},
    namespace="gatewise.regularizers",
    ignore_case=True,
)


def get(identifier, name="regularizer"):
    """A regularizer from a name, a saved configuration, ``{"l1", "l2"}`` or a regularizer; None stays None."""
    if identifier is None:
        return None
    if isinstance(identifier, str) and REGULARIZERS.class_named(identifier, name) is L1L2:
        return L1L2(0.01, 0.01)
    if isinstance(identifier, dict) and "class_name" not in identifier:
        identifier = {"class_name": "L1L2", "config": identifier}
    return REGULARIZERS.get(identifier, name)


def serialize(regularizer):
    """What :func:`get` reads back, as JSON values."""
    if type(regularizer) in REGULARIZERS.classes.values():
        return {"l1": regularizer.l1, "l2": regularizer.l2}
    return None if regularizer is None else REGULARIZERS.serialize(regularizer)
