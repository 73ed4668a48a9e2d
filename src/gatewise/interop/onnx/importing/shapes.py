"""Nodes that change shapes: they change how the graph sees a symbol, and rarely add a layer."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError
from gatewise.interop.onnx.operators.helpers import axes_of, axis_of
from gatewise.interop.onnx.operators.shaping import slices_of
from gatewise.layers import Concatenate, Embedding, RepeatVector, ZeroPadding1D

from .builder import (
    Builder,
    Expanded,
    Handler,
    Lengths,
    Repeated,
    constant,
    evaluated,
    extents_of,
    is_extents,
    numbers_of,
)
from .sizes import Size, as_array, divided, product
from .views import Atom, Tensor, arranged, canonical_groups, reshaped, same, shown

if TYPE_CHECKING:
    from gatewise.interop.onnx.graphs import Call


def _shape(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    (x,) = inputs
    if isinstance(x, Lengths):
        raise ConfigError("the shape of lengths")
    shape = list(x.shape)[call.get("start", 0) : call.get("end")]
    return [as_array(shape)]


def _size(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    return [as_array([product(inputs[0].shape)]).reshape(())]


def _same(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    return [inputs[0]]


def _cast(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if not isinstance(x, Tensor):
        return [x]
    to = call.get("to")
    floats, whole = {1: "float32", 11: "float64"}, to in (2, 3, 4, 5, 6, 7, 12, 13)
    if x.whole and (whole or to in floats):
        return [dataclasses.replace(x, whole=whole)]
    if not x.whole and floats.get(to) == builder.dtype:
        return [x]
    raise ConfigError(f"numbers become another type; the model computes in {builder.dtype}")


def _reshape(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, wanted = inputs[0], extents_of(inputs[1], "shape")
    if is_extents(x):
        return evaluated(call, inputs)
    before = list(x.shape)
    if not call.get("allowzero", 0):
        wanted = [
            before[k] if isinstance(size, int) and size == 0 else size
            for k, size in enumerate(wanted)
        ]
    if -1 in [size for size in wanted if isinstance(size, int)]:
        at = wanted.index(-1)
        rest = divided(product(before), product(wanted[:at] + wanted[at + 1 :]))
        if rest is None:
            raise ConfigError(f"shape {before} becomes {wanted}")
        wanted[at] = rest
    return [_seen_as(x, wanted)]


def _seen_as(x: Any, wanted: list[Any]) -> Any:
    if isinstance(x, Expanded):
        return Expanded(x.number, tuple(wanted))
    return reshaped(x, wanted)


def _flatten(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, axis = inputs[0], call.get("axis", 1)
    rank = len(x.shape)
    axis = rank if axis == rank else axis_of(axis, rank)
    return [_seen_as(x, [product(x.shape[:axis]), product(x.shape[axis:])])]


def _transpose(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if is_extents(x):
        return evaluated(call, inputs)
    rank = len(x.shape)
    given = call.get("perm")
    order = list(range(rank))[::-1] if given is None else list(axes_of(given, rank))
    if len(order) != rank:
        raise ConfigError(f"perm={order} of {rank} axes")
    if isinstance(x, Expanded):
        return [Expanded(x.number, tuple(x.shape[axis] for axis in order))]
    if isinstance(x, Repeated):
        return [Repeated(x.array.transpose(order), tuple(x.shape[axis] for axis in order))]
    return [x.seen([x.view[axis] for axis in order])]


def _squeeze(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if is_extents(x):
        return evaluated(call, inputs)
    shape = list(x.shape)
    axes = numbers_of(call, inputs, 1, "axes")
    gone = (
        {k for k, size in enumerate(shape) if size == 1}
        if axes is None
        else set(axes_of(axes, len(shape)))
    )
    if any(shape[axis] != 1 for axis in gone):
        raise ConfigError(f"axes {sorted(gone)} of shape {shape} are not of extent 1")
    kept = [k for k in range(len(shape)) if k not in gone]
    if isinstance(x, Expanded):
        return [Expanded(x.number, tuple(shape[k] for k in kept))]
    if isinstance(x, Repeated):
        return [Repeated(x.array.squeeze(tuple(gone)), tuple(shape[k] for k in kept))]
    return [x.seen([x.view[k] for k in kept])]


def _unsqueeze(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if is_extents(x):
        return evaluated(call, inputs)
    axes = numbers_of(call, inputs, 1, "axes") or []
    rank = len(x.shape) + len(axes)
    new, old = set(axes_of(axes, rank)), iter(range(len(x.shape)))
    places = [None if k in new else next(old) for k in range(rank)]
    if isinstance(x, Expanded | Repeated):
        shape = tuple(1 if k is None else x.shape[k] for k in places)
        if isinstance(x, Expanded):
            return [Expanded(x.number, shape)]
        return [Repeated(np.expand_dims(x.array, tuple(sorted(new))), shape)]
    return [x.seen([() if k is None else x.view[k] for k in places])]


def _filled(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    value = call.get("value")
    if value is not None and (not isinstance(value, np.ndarray) or value.size != 1):
        raise ConfigError("value is no tensor of one number")
    number = np.float32(0) if value is None else value.reshape(())[()]
    return [Expanded(number, tuple(extents_of(inputs[0], "shape")))]


def _expand(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, wanted = inputs[0], extents_of(inputs[1], "shape")
    before = list(x.shape)
    rank = max(len(before), len(wanted))
    before = [1] * (rank - len(before)) + before
    wanted = [1] * (rank - len(wanted)) + wanted
    sizes = [b if a == 1 else a for a, b in zip(before, wanted)]
    if any(b not in (1, size) for b, size in zip(wanted, sizes)):
        raise ConfigError(f"shape {before} becomes {wanted}")
    if is_extents(x):
        if len(set(x.reshape(-1).tolist())) == 1:
            return [Expanded(x.reshape(-1)[0], tuple(sizes))]
        raise ConfigError("extents are repeated")
    if isinstance(x, Expanded) or (constant(x) and x.size and (x == x.reshape(-1)[0]).all()):
        number = x.number if isinstance(x, Expanded) else x.reshape(-1)[0]
        return [Expanded(number, tuple(sizes))]
    if not isinstance(x, Tensor):
        array = x.reshape(before) if constant(x) else x.array
        return [Repeated(array, tuple(sizes))]
    view: list[Any] = [()] * (rank - len(x.view)) + list(x.view)
    grown = [k for k in range(rank) if before[k] != sizes[k]]
    if not grown:
        return [x.seen(view)]
    if len(grown) > 1 or isinstance(sizes[grown[0]], Size):
        raise ConfigError(f"shape {before} becomes {sizes}")
    rest = [atom for group in view for atom in group if not atom.batch]
    x = arranged(builder.use(x), [(x.batch,), tuple(rest)])
    many = Atom(sizes[grown[0]])
    view[grown[0]] = (many,)
    symbol = RepeatVector(many.size)(x.symbol)
    return [x.made(symbol, axes=(x.axes[0], (many,), x.axes[1]), view=tuple(map(tuple, view)))]


def _tile(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, repeats = inputs[0], extents_of(inputs[1], "repeats")
    before = list(x.shape)
    if len(before) != len(repeats) or any(
        size != 1 and count != 1 for size, count in zip(before, repeats)
    ):
        raise ConfigError(f"shape {before} is repeated {repeats} times")
    wanted = np.array([*(a * b for a, b in zip(before, repeats)), None], object)[:-1]
    return _expand(builder, call, [x, wanted])


def _concat(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    if not any(isinstance(x, Tensor) for x in inputs):
        if any(isinstance(x, Expanded) for x in inputs):
            return [_concat_expanded(call, inputs)]
        return evaluated(call, inputs)
    if len(inputs) == 1:
        return [inputs[0]]
    if not all(isinstance(x, Tensor) for x in inputs):
        raise ConfigError("arrays and constants are joined")
    inputs = [builder.use(x) for x in inputs]
    axis = axis_of(call.get("axis", 0), len(inputs[0].view))
    whole = _whole_of(inputs, axis)
    if whole is not None:
        return [whole]
    parts = []
    for x in inputs:
        groups, at = _groups_with(x, axis)
        parts.append(arranged(x, groups))
    first = inputs[0]
    many = Atom(_sum(builder, [x.shape[axis] for x in inputs]))
    symbol = Concatenate(axis=at)([part.symbol for part in parts])
    view = [(many,) if k == axis else group for k, group in enumerate(first.view)]
    axes = [(many,) if k == at else group for k, group in enumerate(parts[0].axes)]
    for x in inputs[1:]:
        if len(x.view) != len(view) or any(
            a != b for k, (a, b) in enumerate(zip(first.shape, x.shape)) if k != axis
        ):
            raise ConfigError(f"shapes {first.shape} and {x.shape} are joined on axis {axis}")
    return [parts[0].made(symbol, axes=tuple(axes), view=tuple(view))]


def _sum(builder: Builder, sizes: list[Any]) -> Any:
    return builder.fresh() if any(isinstance(size, Size) for size in sizes) else sum(sizes)


def _concat_expanded(call: Call, inputs: list[Any]) -> Expanded:
    parts = []
    for x in inputs:
        if isinstance(x, Expanded):
            parts.append(x)
        elif constant(x) and x.size and (x == x.reshape(-1)[0]).all():
            parts.append(Expanded(x.reshape(-1)[0], x.shape))
    if len(parts) != len(inputs) or any(part.number != parts[0].number for part in parts):
        raise ConfigError("different constants are joined")
    axis = axis_of(call.get("axis", 0), len(parts[0].shape))
    shape = list(parts[0].shape)
    for part in parts[1:]:
        shape[axis] = shape[axis] + part.shape[axis]
    return Expanded(parts[0].number, tuple(shape))


def _groups_with(x: Tensor, axis: int) -> tuple[list[tuple[Atom, ...]], int]:
    """Return axes in which one of the graph is an axis of its own, and where it is."""
    chosen = x.view[axis]
    if any(atom.batch for atom in chosen):
        raise ConfigError("rows of the batch are joined or divided")
    groups: list[tuple[Atom, ...]] = [x.axes[0]]
    at = 0
    for k, group in enumerate(x.view):
        rest = tuple(atom for atom in group if not atom.batch)
        if k == axis:
            at = len(groups)
            groups.append(rest)
        elif len(rest) != len(group) and shown(rest):
            groups += [(atom,) for atom in rest]
        elif shown(rest):
            groups.append(rest)
    return groups, at


def _whole_of(inputs: list[Any], axis: int) -> Tensor | None:
    """Return the array of which the inputs are all parts, in order, or None."""
    end, source = 0, inputs[0].part
    if source is None or axis != len(inputs[0].view) - 1:
        return None
    first: Tensor = source[0]
    for x in inputs:
        if x.part is None or x.part[0] is not first or x.part[1] != end:
            return None
        if len(x.view) != len(inputs[0].view) or not same(x.view[-1], x.axes[-1]):
            return None
        if any(not same(a, b) for a, b in zip(x.view[:-1], inputs[0].view[:-1])):
            return None
        end = x.part[2]
    if end != first.symbol.shape[-1]:
        return None
    return dataclasses.replace(
        first, view=(*inputs[0].view[:-1], first.axes[-1]), run=None, part=None
    )


# ---- parts


def taken(builder: Builder, x: Tensor, axis: int, entry: int | slice) -> Tensor:
    """Return a part of an axis of the graph: one place, or a slice.

    Raises
    ------
    ConfigError
        It is a part of the batch.
    """
    group, size = x.view[axis], x.shape[axis]
    before, after = list(x.view[:axis]), list(x.view[axis + 1 :])
    if isinstance(entry, slice) and not isinstance(size, Size):
        places = range(size)[entry]
        if len(places) == 0:
            raise ConfigError(f"nothing of an axis of {size} is taken")
        if places == range(size):
            return x
        if len(places) == 1:
            one = taken(builder, x, axis, places[0])
            return one.seen([*one.view[:axis], (), *one.view[axis:]])
    elif isinstance(entry, slice):
        if entry == slice(0, None, 1) or entry == slice(None):
            return x
        if entry == slice(-1, None, 1):
            one = taken(builder, x, axis, -1)
            return one.seen([*one.view[:axis], (), *one.view[axis:]])
    if size == 1 and entry in (0, -1):
        return x.seen([*before, *after])
    if any(atom.batch for atom in group):
        raise ConfigError("a part of the batch is taken; a model takes all rows")
    if not isinstance(entry, slice) and not isinstance(size, Size) and not -size <= entry < size:
        raise ConfigError(f"number {entry} of an axis of {size}")
    if x.run is not None and not isinstance(entry, slice):
        found = x.run.last_of(builder, x, axis, entry)
        if found is not None:
            return found
    x = builder.use(x)
    return _cut(builder, x, axis, entry, before, after)


def _cut(
    builder: Builder, x: Tensor, axis: int, entry: int | slice, before: list[Any], after: list[Any]
) -> Tensor:
    group, size = x.view[axis], x.shape[axis]
    for k, members in enumerate(x.axes[1:], 1):
        # the first factor of an axis: its parts are neighbours
        if len(group) == 1 and len(members) > 1 and members[0] is group[0]:
            rest = product(atom.size for atom in members[1:])
            if isinstance(rest, Size):
                break
            if isinstance(entry, slice):
                places = range(size)[entry]
                if places.step != 1:
                    break
                first, last = places.start, places.stop
            else:
                first = entry % size
                last = first + 1
            key = [slice(None)] * len(x.axes)
            key[k] = slice(first * rest, last * rest)
            new = [Atom(last - first)] if isinstance(entry, slice) else []
            axes = [*x.axes[:k], (*new, *members[1:]), *x.axes[k + 1 :]]
            view = [*before, *([tuple(new)] if isinstance(entry, slice) else []), *after]
            whole = dataclasses.replace(x, run=None)
            part = (
                (origin(builder, whole), first * rest, last * rest)
                if k == len(x.axes) - 1
                else None
            )
            made = x.made(x.symbol[tuple(key)], axes=tuple(axes), view=tuple(map(tuple, view)))
            return dataclasses.replace(made, part=part)
    groups, at = _groups_with(x, axis)
    whole = x = arranged(x, groups)
    key = [slice(None)] * len(x.axes)
    key[at] = entry  # type: ignore[call-overload]
    symbol = x.symbol[tuple(key)]
    if not isinstance(entry, slice):
        if len(x.axes) == 2:  # nothing but the batch would be left
            key[at] = slice(entry, entry + 1 or None)
            symbol = x.symbol[tuple(key)]
            axes = [x.axes[0], ()]
        else:
            axes = [*x.axes[:at], *x.axes[at + 1 :]]
        return x.made(symbol, axes=tuple(axes), view=tuple(map(tuple, [*before, *after])))
    extent = builder.fresh() if isinstance(size, Size) else len(range(size)[entry])
    new_atom = Atom(extent)
    axes = [(new_atom,) if k == at else each for k, each in enumerate(x.axes)]
    view = [*before, (new_atom,), *after]
    made = x.made(symbol, axes=tuple(axes), view=tuple(map(tuple, view)))
    if at == len(x.axes) - 1 and not isinstance(size, Size):
        places = range(size)[entry]
        if places.step == 1:
            part = (origin(builder, whole), places.start, places.stop)
            made = dataclasses.replace(made, part=part)
    return made


def origin(builder: Builder, x: Tensor) -> Tensor:
    """Return one object for the array of a symbol, so that its parts can be recognised."""
    found: Tensor = builder.shared.setdefault(("origin", id(x.symbol)), x)
    return found


def _slice(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if is_extents(x):
        return evaluated(call, inputs)
    if any(is_extents(each) for each in inputs[1:]):
        inputs = [x, *(_at_end(each, x.shape) for each in inputs[1:])]
    for each in inputs[1:]:
        if each is not None and not constant(each):
            raise ConfigError("starts, ends, axes or steps depend on data")
    rank = len(x.shape)
    for axis, entry in slices_of(call, inputs, rank).items():
        entry = _plain(entry, x.shape[axis])
        if isinstance(x, Expanded):
            size = x.shape[axis]
            if isinstance(size, Size):
                if entry != slice(0, None, 1):
                    raise ConfigError("a part of a constant of unknown extent")
                continue
            shape = list(x.shape)
            shape[axis] = len(range(size)[entry])
            x = Expanded(x.number, tuple(shape))
        else:
            x = taken(builder, x, axis, entry)
    return [x]


def _at_end(value: Any, shape: list[Any]) -> Any:
    """Return ends of Slice, in which the whole extent of an axis is a large number."""
    if not is_extents(value):
        return value
    found = [
        2**62 if isinstance(each, Size) and each in shape else each for each in value.reshape(-1)
    ]
    if any(isinstance(each, Size) for each in found):
        raise ConfigError("starts or ends depend on an extent that is not known")
    return np.array(found, np.int64)


def _plain(entry: slice, size: Any) -> slice:
    """Return a slice without numbers outside the axis."""
    start, stop, step = entry.start, entry.stop, entry.step
    if not isinstance(size, Size):
        places = range(size)[entry]
        last = places.stop
        return slice(places.start, None if last < 0 else last, places.step)
    if step > 0:
        stop = None if stop is not None and stop >= 2**31 - 1 else stop
    else:
        start = None if start >= 2**31 - 1 else start
        stop = None if stop is not None and stop <= -(2**31) + 1 else stop
    return slice(start, stop, step)


def _split(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    if is_extents(x):
        return evaluated(call, inputs)
    axis = axis_of(call.get("axis", 0), len(x.shape))
    size, sizes = x.shape[axis], numbers_of(call, inputs, 1, "split")
    if isinstance(size, Size):
        raise ConfigError("an axis of unknown extent is divided")
    count = len(call.outputs)
    if sizes is None:
        each = -(-size // count)
        sizes = [max(min(each, size - k * each), 0) for k in range(count)]
    if sum(sizes) != size or len(sizes) != count or min(sizes) < 1:
        raise ConfigError(f"parts {sizes} of an axis of {size}")
    ends = np.cumsum(sizes).tolist()
    found: list[Any] = []
    for first, last in zip([0, *ends], ends):
        if isinstance(x, Expanded):
            shape = list(x.shape)
            shape[axis] = last - first
            found.append(Expanded(x.number, tuple(shape)))
        else:
            found.append(taken(builder, x, axis, slice(first, last, 1)))
    return found


def _gather(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x, places = inputs
    if isinstance(places, Tensor) and constant(x):
        return [_embedded(builder, call, x, places)]
    if is_extents(x) and constant(places):
        return evaluated(call, inputs)
    if not isinstance(x, Tensor) or not constant(places):
        raise ConfigError("places of an array depend on data")
    axis = axis_of(call.get("axis", 0), len(x.view))
    if places.ndim == 0:
        return [taken(builder, x, axis, int(places))]
    found = places.tolist()
    if places.ndim != 1 or not found:
        raise ConfigError(f"places of shape {places.shape} are taken")
    if len(found) == 1:
        one = taken(builder, x, axis, int(found[0]))
        return [one.seen([*one.view[:axis], (), *one.view[axis:]])]
    step = found[1] - found[0]
    if not step or found != list(range(found[0], found[0] + step * len(found), step)):
        raise ConfigError(f"places {found!s:.60} are taken, which are no slice")
    end: int | None = found[-1] + (1 if step > 0 else -1)
    if (step < 0 and end == -1) or (step > 0 and end == 0):
        end = None  # up to the end
    return [taken(builder, x, axis, slice(found[0], end, step))]


def _embedded(builder: Builder, call: Call, table: Any, tokens: Tensor) -> Tensor:
    """Return vectors of a table for whole numbers that are an input of the model."""
    if call.get("axis", 0) != 0 or table.ndim != 2 or table.dtype.kind != "f":
        raise ConfigError(f"numbers choose from a constant of shape {table.shape}; expected rows")
    if not tokens.whole:
        raise ConfigError("computed numbers choose rows of a constant")
    if len(tokens.axes) != 2:
        raise ConfigError(f"an Embedding reads (batch, steps), here it has shape {tokens.shape}")
    key = ("Embedding", id(table))
    layer = builder.shared.get(key)
    if layer is None:
        layer = builder.shared[key] = builder.keep(Embedding(*table.shape), [table])
    symbol = layer(tokens.symbol)
    features = Atom(table.shape[1])
    return Tensor(symbol, (*tokens.axes, (features,)), (*tokens.view, (features,)))


def _pad(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    x = inputs[0]
    pads = numbers_of(call, inputs, 1, "pads") or []
    axes = numbers_of(call, inputs, 3, "axes")
    axes = list(range(len(x.view))) if axes is None else list(axes_of(axes, len(x.view)))
    if len(pads) != 2 * len(axes):
        raise ConfigError(f"{len(pads)} pads of {len(axes)} axes")
    value = call.get("value", 0) if call.version < 11 else (inputs[2] if len(inputs) > 2 else None)
    if call.get("mode", "constant") != "constant" or (
        value is not None and np.any(np.asarray(value) != 0)
    ):
        raise ConfigError("only zeros are added at the ends of an axis")
    for k, axis in enumerate(axes):
        ends = (pads[k], pads[len(axes) + k])
        if ends == (0, 0):
            continue
        if min(ends) < 0:
            raise ConfigError(f"pads={pads}")
        x = padded(builder, x, axis, ends)
    return [x]


def padded(builder: Builder, x: Tensor, axis: int, ends: tuple[int, int]) -> Tensor:
    """Return an array with zeros at both ends of an axis."""
    groups, at = _groups_with(x, axis)
    chosen = groups.pop(at)
    rest = tuple(atom for group in groups[1:] for atom in group)
    x = arranged(builder.use(x), [groups[0], chosen, rest])
    size = x.shape[axis]
    new = Atom(builder.fresh() if isinstance(size, Size) else size + sum(ends))
    symbol = ZeroPadding1D(ends)(x.symbol)
    view = [(new,) if k == axis else group for k, group in enumerate(x.view)]
    return x.made(symbol, axes=(x.axes[0], (new,), x.axes[2]), view=tuple(view))


def _structural(builder: Builder, call: Call, inputs: list[Any]) -> list[Any]:
    """Extents only: what there is no layer for."""
    if not all(isinstance(x, np.ndarray) for x in inputs if x is not None):
        raise ConfigError("there is no layer for this operator")
    return evaluated(call, inputs)


def settled(tensor: Tensor) -> Tensor:
    """Return an output of the model: the batch first, and the other axes in the graph's order."""
    groups = canonical_groups(tensor)
    return arranged(tensor, groups if len(groups) > 1 else [*groups, ()])


HANDLERS: dict[str, Handler] = {
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": _same,
    "Pad": _pad,
    "ReduceProd": _structural,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
