"""What functions of several operators share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError, SizeError

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.interop.onnx.graphs import Call

# An operator: it takes a call and its inputs, None for those left out, and returns its outputs.
Operator = Callable[["Call", list[Any]], list[Any]]


def room_for(call: Call, shape: Sequence[int], dtype: Any) -> None:
    """Refuse an output that memory, or the limit of an import, does not hold.

    Raises
    ------
    ShapeError
        An extent is negative.
    SizeError
        The output is too large.
    """
    if any(extent < 0 for extent in shape):
        raise ShapeError(f"the output would have shape {tuple(shape)}")
    count = math.prod(int(extent) for extent in shape)
    limit = call.kept.get("limit")
    if limit is not None and count * np.dtype(dtype).itemsize > limit:
        raise SizeError(f"a constant of shape {tuple(shape)} would need more than {limit} bytes")
    checks.fits_memory(count, np.dtype(dtype), "an output", call.title())


def given(call: Call, inputs: list[Any], place: int, attribute: str) -> list[int] | None:
    """Return whole numbers that newer versions read as an input and older ones as an attribute."""
    if len(inputs) > place and inputs[place] is not None:
        return [int(value) for value in np.asarray(inputs[place]).reshape(-1)]
    found = call.get(attribute)
    return None if found is None else [int(value) for value in found]


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front.

    Raises
    ------
    ShapeError
        There is no such axis.
    """
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} of an array of {rank} axes")
    return axis % rank if rank else 0


def axes_of(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Return axes counted from the front, in order.

    Raises
    ------
    ShapeError
        There is no such axis, or one is named twice.
    """
    found = tuple(axis_of(int(axis), rank) for axis in axes)
    if len(set(found)) != len(found):
        raise ShapeError(f"axes {list(axes)} name an axis twice")
    return found


def optional(inputs: list[Any], place: int) -> Any:
    """Return an input, or None if it is left out."""
    return inputs[place] if len(inputs) > place else None


def needs_floats(*arrays: Array | None) -> None:
    """Refuse whole numbers where only floats have a meaning.

    Raises
    ------
    ConfigError
        An array is not of floats.
    """
    for array in arrays:
        if array is not None and array.dtype.kind != "f":
            raise ConfigError(f"an input is of {array.dtype}; expected floats")
