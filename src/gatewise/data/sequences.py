"""How data is read: numbers as floating arrays, and every form in which sequences may be given."""

import numpy as np

from gatewise.checks import float_array
from gatewise.errors import DTypeError, NonFiniteError, ShapeError

__all__ = []


def real_array(given, name):
    """A C-contiguous floating ndarray of real numbers; float32 and float64 stay what they are.

    Parameters
    ----------
    given : array_like
        float16 becomes float32; booleans, whole numbers and lists become float64. NaN and infinity pass.

    Raises
    ------
    DTypeError
        Something other than real numbers that float64 can represent.
    ShapeError
        Rows of different sizes.
    NonFiniteError
        A masked array with masked elements.
    """
    try:
        given = np.asanyarray(given)  # a masked array stays one, and is refused below
    except ValueError as error:
        raise ShapeError(f"{name} has steps of different sizes; each step must have the same features") from error
    if given.dtype.kind not in "buif" or given.dtype.itemsize > 8:
        raise DTypeError(f"{name} holds {given.dtype} values; expected real numbers that float64 can "
                         f"represent: leave out dates and text, convert the rest with astype('float64')")
    single = given.dtype.kind == "f" and given.dtype.itemsize <= 4
    return float_array(given, name, np.dtype("float32" if single else "float64"), convert=False)


def no_infinity(values, name):
    """Refuse infinity, with the position of the first; NaN passes: it stands for a missing value."""
    infinite = np.isinf(values)
    if infinite.any():
        at = tuple(int(i) for i in np.argwhere(infinite)[0])
        raise NonFiniteError(f"{name} holds {values[at]} at index {at}; expected finite numbers, or NaN where a value is missing")
    return values
