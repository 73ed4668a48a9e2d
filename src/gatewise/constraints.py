"""What weights are brought back to after every step of the optimizer. Names and defaults are Keras's."""

import numpy as np

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.configuration import kept_arguments
from gatewise.errors import ConfigError, DTypeError
from gatewise.registry import Registry

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get", "serialize"]

_EPSILON = 1e-7  # Keras's, beside a norm that something is divided by


class Constraint(Guarded):
    """Base: subclasses define :meth:`__call__` and keep their arguments as attributes of the same names."""

    def __call__(self, w):
        """The weights that w (ndarray) becomes, of its shape."""
        raise DTypeError(f"{type(self).__name__} defines no __call__(w)")

    def get_config(self):
        """The arguments, as JSON values."""
        return kept_arguments(self)


def _axes(axis):
    if isinstance(axis, list | tuple):
        return [checks.whole_number(one, "axis", -8, 8) for one in axis]
    return checks.whole_number(axis, "axis", -8, 8)


def _norms(w, axis):
    """Norms along `axis`, in float64: squares of large float32 weights overflow."""
    axis = tuple(axis) if isinstance(axis, list) else axis
    try:
        return np.sqrt(np.square(w, dtype=np.float64).sum(axis=axis, keepdims=True))
    except ValueError as error:  # AxisError, or an axis named twice
        raise ConfigError(f"axis is {axis}; the weights have shape {w.shape}: {error}") from error


def _scaled(w, factor):
    return (w * factor).astype(w.dtype, copy=False)


class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value` (Srivastava et al. 2014).

    Axis 0 of a kernel (inputs, units) gives the norm of the weights into each unit.
    """

    def __init__(self, max_value=2, axis=0):
        self.max_value, self.axis = checks.number(max_value, "max_value", 0.0), _axes(axis)

    def __call__(self, w):
        norms = _norms(w, self.axis)
        return _scaled(w, np.clip(norms, 0, self.max_value) / (_EPSILON + norms))


class UnitNorm(Constraint):
    """Norms of 1 along `axis`."""

    def __init__(self, axis=0):
        self.axis = _axes(axis)

    def __call__(self, w):
        return _scaled(w, 1 / (_EPSILON + _norms(w, self.axis)))


class MinMaxNorm(Constraint):
    """Norms along `axis` from `min_value` to `max_value`; `rate` below 1 goes only that part of the way."""

    def __init__(self, min_value=0.0, max_value=1.0, rate=1.0, axis=0):
        self.min_value = checks.number(min_value, "min_value", 0.0)
        self.max_value = checks.number(max_value, "max_value", self.min_value)
        self.rate, self.axis = checks.number(rate, "rate", 0.0, 1.0), _axes(axis)

    def __call__(self, w):
        norms = _norms(w, self.axis)
        wanted = (
            self.rate * np.clip(norms, self.min_value, self.max_value) + (1 - self.rate) * norms
        )
        return _scaled(w, wanted / (_EPSILON + norms))


class NonNeg(Constraint):
    """No weight below zero."""

    def __call__(self, w):
        return np.maximum(w, 0)


# Keras's names for the functions
max_norm, unit_norm, min_max_norm, non_neg = MaxNorm, UnitNorm, MinMaxNorm, NonNeg
CONSTRAINTS = Registry(
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


def get(identifier, name="constraint"):
    """A constraint from a name, a class name, a saved configuration or a constraint; None stays None."""
    return None if identifier is None else CONSTRAINTS.get(identifier, name)


def serialize(constraint):
    """What :func:`get` reads back, as JSON values."""
    return None if constraint is None else CONSTRAINTS.serialize(constraint)
