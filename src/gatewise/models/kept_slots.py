"""What an optimizer accumulates, to and from a file, without what has always been frozen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError

if TYPE_CHECKING:
    from gatewise._typing import Array

    from .compiled import CompiledNetwork


def slots_to_write(model: CompiledNetwork) -> tuple[dict[str, Array], list[list[int]] | None]:
    """Return the optimizer's arrays by name, and the parts of the flat buffer that they hold.

    The parts are a list of [start, stop], in order; None: the arrays hold all of the buffer. Parts
    are left out only if nothing has been accumulated for them: a layer that was trained and then
    frozen keeps its moments. Those of a view are as in a model of its layers alone.
    """
    slots, parts = model._optimizer_state()[1], model._trained().parts
    if not model._has_whole_buffer:
        return slots_of(slots, model._array_pieces), None
    starts = _starts(model)
    arrays = [name for name in slots if name in starts]
    gaps = [] if parts is None else _gaps(parts, model._flat_parameters.size)
    if not gaps or not arrays:
        return slots, None
    if any((slots[name][gap] != _part(starts[name], gap)).any() for name in arrays for gap in gaps):
        return slots, None
    shorter = {name: np.concatenate([slots[name][part] for part in parts]) for name in arrays}
    return slots | shorter, [[part.start, part.stop] for part in parts]


def slots_read(model: CompiledNetwork, slots: dict[str, Array], parts: Any) -> dict[str, Array]:
    """Return whole slots from those of a file, which hold `parts` of the flat buffer.

    Raises
    ------
    CheckpointError
        The parts are none of this model, or the arrays do not fit them.
    """
    if model._has_whole_buffer:
        return _whole_slots(slots, parts, _starts(model), model._flat_parameters.size)
    pieces = model._array_pieces
    size = sum(piece.stop - piece.start for piece in pieces)
    starts = _starts(model)
    found = _whole_slots(slots, parts, slots_of(starts, pieces), size)
    for name in starts.keys() & found.keys():
        array = found[name]
        if array.shape != (size,):
            continue  # the optimizer refuses it
        found[name] = _placed(array, pieces, starts[name], model._flat_parameters.size)
    return found


def _placed(array: Array, pieces: list[slice], start: float | Array, size: int) -> Array:
    """Return a whole array that holds `array` at the pieces and `start` elsewhere."""
    whole, at = np.empty(size, array.dtype), 0
    whole[...] = start
    for piece in pieces:
        length = piece.stop - piece.start
        whole[piece] = array[at : at + length]
        at += length
    return whole


def slots_of(slots: Any, pieces: list[slice]) -> dict[str, Any]:
    """Return what slots hold for some pieces of the flat buffer, one after the other."""
    return {
        name: np.concatenate([array[:0], *(array[piece] for piece in pieces)])
        if np.ndim(array)
        else array
        for name, array in slots.items()
    }


def _whole_slots(
    slots: dict[str, Array], parts: Any, starts: dict[str, float | Array], size: int
) -> dict[str, Array]:
    """Return arrays of this size from those that hold `parts` of them."""
    if parts is None:
        return dict(slots)
    slices = _checked_parts(parts, size)
    held = sum(part.stop - part.start for part in slices)
    whole = dict(slots)
    for name in starts.keys() & slots.keys():
        array = slots[name]
        if array.shape != (held,):
            raise CheckpointError(
                f"optimizer state {name} has shape {array.shape}; its parts have ({held},)"
            )
        whole[name] = _placed(array, slices, starts[name], size)
    return whole


def _starts(model: CompiledNetwork) -> dict[str, float | Array]:
    """Return what each array of the optimizer begins with; the running mean: the parameters."""
    starts = model.optimizer._array_slots()
    return starts | ({"average": model._flat_parameters} if "average" in starts else {})


def _part(start: float | Array, part: slice) -> float | Array:
    return start[part] if isinstance(start, np.ndarray) else start


def _gaps(parts: list[slice], size: int) -> list[slice]:
    """Return the slices between the parts, before the first and after the last."""
    ends = [0, *(end for part in parts for end in (part.start, part.stop)), size]
    return [slice(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]


def _checked_parts(parts: Any, size: int) -> list[slice]:
    pairs = isinstance(parts, list) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in parts
    )
    ends = [end for pair in parts for end in pair] if pairs else []
    fits = all(type(end) is int and 0 <= end <= size for end in ends) and ends == sorted(set(ends))
    if not (pairs and fits):
        raise CheckpointError(
            f"the optimizer's state is said to hold the parts {parts!r:.80}, which a "
            f"model of {size} parameters cannot have"
        )
    return [slice(*pair) for pair in parts]
