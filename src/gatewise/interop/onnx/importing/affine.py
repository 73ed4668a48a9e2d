"""Constants that a graph multiplies or adds along one axis, as one layer that is trained."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.layers import DepthwiseConv1D

from .builder import Builder
from .sizes import product
from .views import Tensor, arranged, same, with_last

if TYPE_CHECKING:
    from gatewise._typing import Array


def along_one(x: Tensor, values: Array) -> tuple[int, Array]:
    """Return the one axis of the graph along which a constant varies, and its numbers."""
    given = values.shape
    values = values.reshape((1,) * (len(x.view) - values.ndim) + given)
    for k, group in enumerate(x.view):  # a constant that was written for each row of a batch
        if any(atom.batch for atom in group) and (values == values.take([0], k)).all():
            values = values.take([0], k)
    shape = values.shape
    axes = [k for k, extent in enumerate(shape) if extent != 1]
    if len(axes) != 1 or x.shape[axes[0]] != shape[axes[0]]:
        raise ConfigError(
            f"a constant of shape {given} and an array of shape {x.shape}; there are layers"
            " for constants along one axis"
        )
    return axes[0], values.reshape(-1)


def moved_last(x: Tensor, axis: int) -> Tensor:
    """Return the array with an axis of the graph moved to the end."""
    return x.seen([*x.view[:axis], *x.view[axis + 1 :], x.view[axis]])


def affine(
    builder: Builder, x: Tensor, axis: int, scale: Array | None, shift: Array | None
) -> Tensor:
    """Return ``scale * x + shift`` with a number for each place of an axis, which are trained.

    Several in a row become one: so exporters write a batch normalization.
    """
    source: Any = x
    if x.affine is not None:
        before, group, first, second = x.affine
        if same(x.view[axis], group) and before.axes == x.axes:
            source = before.seen(x.view)
            factor = 1.0 if scale is None else scale
            shift = _sum(None if second is None else second * factor, shift)
            scale = first if scale is None else scale if first is None else first * scale
    moved = with_last(moved_last(source, axis))
    width = product(atom.size for atom in moved.axes[-1])
    flat = arranged(
        moved,
        [
            moved.axes[0],
            tuple(atom for group in moved.axes[1:-1] for atom in group),
            moved.axes[-1],
        ],
    )
    weights = [np.ones((1, width, 1)) if scale is None else scale.reshape(1, -1, 1)]
    if shift is not None:
        weights.append(shift.reshape(-1))
    layer = builder.keep(DepthwiseConv1D(1, use_bias=shift is not None), weights)
    made = flat.made(layer(flat.symbol))
    found = arranged(made, moved.axes).seen(x.view)
    if found.axes != source.axes:
        return found
    return replace(found, affine=(source, x.view[axis], scale, shift))


def _sum(a: Array | None, b: Array | None) -> Array | None:
    return b if a is None else a if b is None else a + b
