"""What a checkpoint can hold of the values that callbacks and metrics keep."""

import numpy as np


def is_numeric(value):
    """Whether it is an array of numbers or bools."""
    return isinstance(value, np.ndarray) and value.dtype.kind in "buif"


def is_storable(value):
    """Whether a file holds it as it is: None, a bool, a number, text, an array of numbers."""
    return (
        value is None
        or isinstance(value, bool | int | float | str | np.generic)
        or is_numeric(value)
    )


def storable(value):
    """The same value as Python's or a copy of the array; of what no file can hold, its text."""
    if isinstance(value, np.generic):
        return value.item()
    if is_numeric(value):
        return value.copy()
    return value if is_storable(value) else str(value)
