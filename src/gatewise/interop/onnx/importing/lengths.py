"""Nodes that read the lengths of rows: what they compute is what layers here do with lengths=."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError

from .builder import Builder, Counted, Handler, Lengths, Places, constant, extents_of, number_of
from .sizes import Size
from .views import Tensor

if TYPE_CHECKING:
    from gatewise.interop.onnx.graphs import Call


def _range(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Return the numbers of the steps."""
    start, step = number_of(inputs[0]), number_of(inputs[2])
    (steps,) = extents_of(inputs[1], "limit")
    if start != 0 or step != 1 or not isinstance(steps, Size):
        raise ConfigError("numbers that depend on an extent")
    return [Places(steps)]


def _same(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    return [inputs[0]]


def _compared(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Return which steps are before a row's end."""
    places, lengths = inputs if call.op == "Less" else inputs[::-1]
    if isinstance(places, np.ndarray) and places.dtype != object:
        flat = places.reshape(-1)
        if places.size == max(places.shape, default=0) and (flat == np.arange(flat.size)).all():
            places = Places(flat.size)
    if not isinstance(places, Places) or not isinstance(lengths, Lengths):
        raise ConfigError("lengths of rows are compared with other numbers than those of steps")
    return [Counted()]


def _at_least_one(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    lengths = [value for value in inputs if isinstance(value, Lengths)]
    rest = [number_of(value) for value in inputs if not isinstance(value, Lengths)]
    if len(lengths) != 1 or rest not in ([1], [0]):
        raise ConfigError("lengths of rows are computed with")
    return list(lengths)


def _where(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Return numbers of steps that count, and one number in place of the others."""
    condition, x, other = inputs
    number = number_of(other) if constant(other) else None
    if constant(other) and other.size == 1 and number is None:
        number = float(other.reshape(()))  # minus infinity
    if not isinstance(condition, Counted) or not isinstance(x, Tensor) or number is None:
        raise ConfigError("steps past a row's end are replaced by other values")
    if number != 0 and not number <= -1e30:
        raise ConfigError(f"steps past a row's end are replaced by {number}")
    return [replace(x, masked=number)]


def _divided(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    total, lengths = inputs
    if not isinstance(total, Tensor) or not total.summed or not isinstance(lengths, Lengths):
        raise ConfigError("an array is divided by lengths of rows")
    return [replace(total, summed=False)]


HANDLERS: dict[str, Handler] = {
    "Range": _range,
    **{
        f"{name} of lengths": _same
        for name in ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape")
    },
    "Div of lengths": _divided,
    "Greater of lengths": _compared,
    "Less of lengths": _compared,
    "Max of lengths": _at_least_one,
    "Where of lengths": _where,
}
