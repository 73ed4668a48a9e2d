"""Variables of user-defined metrics, with the names that Keras has for what is done with them."""

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError


class Variable(np.ndarray):
    """An array that keeps its shape: a sum of a user-defined metric. What arithmetic makes of it are plain arrays."""

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if array.ndim == 0 else np.asarray(array)

    def __array_finalize__(self, parent):
        pass

    @property
    def value(self):
        """A copy: a float without axes, else an ndarray."""
        return self.numpy()

    def numpy(self):
        """A copy: a float without axes, else an ndarray."""
        return float(self[()]) if self.ndim == 0 else np.array(self)

    def assign(self, value):
        """Take this value, which has the variable's shape or is one number.

        Raises
        ------
        ShapeError
        """
        value = np.asarray(value)
        if value.shape not in (self.shape, ()):
            raise ShapeError(
                f"a metric's variable has shape {self.shape}; assign was given {value.shape}"
            )
        self[...] = value
        return self

    def assign_add(self, value):
        """Add this value."""
        return self.assign(np.add(self, value))

    def assign_sub(self, value):
        """Subtract this value."""
        return self.assign(np.subtract(self, value))


def lasting(result):
    """The result of a metric as no later batch changes it: of a Variable, which goes on, what it holds now."""
    if not isinstance(result, np.ndarray):
        return result
    return result.item() if result.ndim == 0 else np.array(result)


def new_variable(shape, initializer, dtype):
    """A Variable of float64; `initializer` is "zeros", "ones" or a number.

    Raises
    ------
    ConfigError
    """
    if (
        dtype is not None
        and not np.issubdtype(np.dtype(dtype), np.floating)
        and not np.issubdtype(np.dtype(dtype), np.integer)
    ):
        raise ConfigError(f"dtype is {dtype!r}; a metric's variables are float64: leave it out")
    values = {"zeros": 0.0, "Zeros": 0.0, None: 0.0, "ones": 1.0, "Ones": 1.0}
    if isinstance(initializer, str | None) and initializer not in values:
        raise ConfigError(f"initializer is {initializer!r}; expected 'zeros', 'ones' or a number")
    start = (
        values[initializer]
        if isinstance(initializer, str | None)
        else checks.number(initializer, "initializer")
    )
    return np.full(checks.shape_tuple(shape, "shape"), start).view(Variable)
