"""Checks of arrays that users give, with scikit-learn's messages as errors of gatewise."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NonFiniteError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def checked_by_sklearn() -> Iterator[None]:
    """Raise errors of scikit-learn's checks, with their messages, as errors of gatewise.

    Raises
    ------
    DTypeError, NonFiniteError, ConfigError
    """
    try:
        yield
    except GatewiseError:
        raise
    except TypeError as error:
        raise DTypeError(str(error)) from error
    except ValueError as error:
        nonfinite = "contains NaN" in str(error) or "contains infinity" in str(error)
        raise (NonFiniteError if nonfinite else ConfigError)(str(error)) from error


def unmasked(values: Any, name: str = "X") -> Any:
    """Return `values`, unless it is a masked array with masked elements.

    The numbers under a mask are not data.

    Raises
    ------
    NonFiniteError
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise NonFiniteError(
            f"{name} has masked elements; expected values: fill them, with {name}.filled(value) for"
            " example"
        )
    return values


def summable(sample_weight: Any) -> Any:
    """Return the weights of a score, unless their sum overflows and the score would be 0 or NaN.

    Anything that is not an array of numbers is returned: other checks refuse it.

    Raises
    ------
    ConfigError
    """
    weights = None if sample_weight is None else np.asarray(sample_weight)
    if weights is None or weights.dtype.kind not in "iuf":
        return sample_weight
    return checks.summable(weights, "sample_weight")


def axes_of(X: Any) -> int:
    """Return the number of axes of an array, or of what can be made one."""
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
