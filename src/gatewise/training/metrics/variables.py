"""Variables of user-defined metrics, with Keras's names for their methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from gatewise._typing import Array, ArrayLike


class Variable(np.ndarray):
    """An array of fixed shape, float64: a sum of a user-defined metric.

    The results of arithmetic with it are plain arrays.
    """

    def __array_wrap__(  # type: ignore[override]
        self, array: Any, context: Any = None, return_scalar: bool = False
    ) -> Any:
        return array[()] if array.ndim == 0 else np.asarray(array)

    def __array_finalize__(self, parent: Any) -> None:
        pass

    @property
    def value(self) -> float | Array:
        """A copy: a float without axes, else an ndarray."""
        return self.numpy()

    def numpy(self) -> float | Array:
        """A copy: a float without axes, else an ndarray."""
        return float(self[()]) if self.ndim == 0 else np.array(self)

    def assign(self, value: ArrayLike) -> Self:
        """Take a value.

        Parameters
        ----------
        value : array_like
            Of the variable's shape, or one number.

        Returns
        -------
        Variable
            The variable itself.

        Raises
        ------
        ShapeError
            The value has another shape.
        """
        array = np.asarray(value)
        if array.shape not in (self.shape, ()):
            raise ShapeError(
                f"a metric's variable has shape {self.shape}; assign was given {array.shape}"
            )
        self[...] = array
        return self

    def assign_add(self, value: ArrayLike) -> Self:
        """Add a value; returns the variable itself."""
        return self.assign(np.add(self, value))

    def assign_sub(self, value: ArrayLike) -> Self:
        """Subtract a value; returns the variable itself."""
        return self.assign(np.subtract(self, value))


def lasting(result: Any) -> Any:
    """The result of a metric as no later batch changes it: of a Variable, its present value."""
    if not isinstance(result, np.ndarray):
        return result
    return result.item() if result.ndim == 0 else np.array(result)


def new_variable(shape: Sequence[int], initializer: str | float | None, dtype: Any) -> Variable:
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
    values: dict[Any, float] = {"zeros": 0.0, "Zeros": 0.0, None: 0.0, "ones": 1.0, "Ones": 1.0}
    if isinstance(initializer, str | None) and initializer not in values:
        raise ConfigError(f"initializer is {initializer!r}; expected 'zeros', 'ones' or a number")
    start = (
        values[initializer]
        if isinstance(initializer, str | None)
        else checks.number(initializer, "initializer")
    )
    known: Any = checks.shape_tuple(shape, "shape")
    return np.full(known, start).view(Variable)
