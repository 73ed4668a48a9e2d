"""Steps that count, in a graph: masks, lengths, and padding of zeros."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .graph import Timing, Value

if TYPE_CHECKING:
    from .graph import Builder


@dataclass(frozen=True, slots=True)
class Places:
    """How the steps that a mask counts were moved to the front of their rows.

    Parameters
    ----------
    mask : str
        Bool (batch, steps): which steps count.
    order : str
        int64 (batch, steps, 1): the step that each place at the front comes from.
    rank : str
        int64 (batch, steps, 1): the place that each step that counts went to.
    """

    mask: str
    order: str
    rank: str


def counted(b: Builder, x: str, lengths: str) -> str:
    """Which steps of x (batch, steps, ...) are within their rows, bool (batch, steps)."""
    steps = b.op(
        "Range", b.constant(0, np.int64), b.op("Squeeze", b.extent(x, 1)), b.constant(1, np.int64)
    )
    return b.op("Less", steps, b.op("Unsqueeze", lengths, b.ints(1)))


def as_wide(b: Builder, mask: str, rank: int) -> str:
    """A mask (batch, steps) with axes of extent 1 behind."""
    return b.op("Unsqueeze", mask, b.ints(*range(2, rank))) if rank > 2 else mask


def filled(b: Builder, value: Value, number: float = 0.0) -> Value:
    """The array with another number past the ends of its rows."""
    if value.timing is None:
        return value
    mask = as_wide(b, counted(b, value.name, value.timing.lengths), len(value.shape))
    return replace(value, name=b.op("Where", mask, value.name, b.number(number)))


def masked(b: Builder, mask: str, lengths: str | None) -> Timing:
    """The steps that a mask (batch, steps) counts, and where they go."""
    if lengths is not None:
        mask = b.op("And", mask, counted(b, mask, lengths))
    ones = b.op("Cast", mask, to=b.onnx.TensorProto.INT64)
    counts = b.op("CumSum", ones, b.constant(1, np.int64))
    rank = b.op("Max", b.op("Sub", counts, b.constant(1, np.int64)), b.constant(0, np.int64))
    steps = b.extent(mask, 1)
    place = b.op("Range", b.constant(0, np.int64), b.op("Squeeze", steps), b.constant(1, np.int64))
    later = b.op("Mul", b.op("Sub", b.constant(1, np.int64), ones), steps)
    _, order = b.ops("TopK", 2, b.op("Add", later, place), steps, largest=0, sorted=1)
    last = b.ints(2)
    return Timing(
        b.reduce("ReduceSum", ones, [1], False),
        Places(mask, b.op("Unsqueeze", order, last), b.op("Unsqueeze", rank, last)),
    )


def to_front(b: Builder, value: Value, timing: Timing) -> Value:
    """An array whose steps have not been moved, with the steps that count at the front."""
    name = value.name
    if timing.places is not None:
        name = b.op("GatherND", name, timing.places.order, batch_dims=1)
    return filled(b, replace(value, name=name, timing=timing))


def back(b: Builder, value: Value) -> Value:
    """The array with its steps where they were, and zeros at those that do not count."""
    if value.timing is None or value.timing.places is None:
        return filled(b, value)
    places = value.timing.places
    found = b.op("GatherND", value.name, places.rank, batch_dims=1)
    mask = as_wide(b, places.mask, len(value.shape))
    return replace(value, name=b.op("Where", mask, found, b.number(0)))


def joined(b: Builder, values: list[Value], timed: list[bool]) -> tuple[list[Value], Any]:
    """Arrays with the steps that they have in common, and these; lengths of one hold for all."""
    found = [value.timing for value, has in zip(values, timed) if has and value.timing is not None]
    if not found:
        return values, None
    timing = found[0]
    return [
        to_front(b, value, timing) if has and value.timing is None else value
        for value, has in zip(values, timed)
    ], timing
