"""What users give as a state_dict, read as names and tensors."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from gatewise.checkpoint.refusal import short
from gatewise.errors import CheckpointError, DTypeError

from .files import read
from .tensors import Tensor, tensor_of

# Where programs put a state_dict beside other things.
_ENTRIES = ("state_dict", "model_state_dict", "model", "model_state", "net", "weights")
# A wrapper for several processors puts this before all names.
_WRAPPER = "module."


class StateDict(NamedTuple):
    """A state_dict that was read."""

    tensors: dict[str, Tensor]
    ordered: bool  # whether modules are in the order in which the whole module has them


def tensors_of(source: Any) -> StateDict:
    """Return names and tensors of a state_dict.

    Parameters
    ----------
    source : mapping, path or torch.nn.Module
        Of names to arrays or tensors; a file of ``torch.save`` or of safetensors. A mapping with an
        entry "state_dict" or the like stands for this entry.

    Raises
    ------
    CheckpointError
        A file cannot be read, is damaged, or holds no state_dict.
    DTypeError
        `source` or one of its values is something else.
    """
    if isinstance(source, str | os.PathLike):
        (found, ordered), place = read(source), repr(os.fspath(source))
        if not isinstance(found, dict):
            raise CheckpointError(f"{place} holds a {type(found).__name__}; expected a state_dict")
        tensors = _named_tensors(_inner(found), lambda text: CheckpointError(f"{place} {text}"))
        return StateDict(tensors, ordered)
    if callable(getattr(source, "state_dict", None)):
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise DTypeError(
            f"source is a {type(source).__name__}; expected a state_dict (a mapping of names to"
            " arrays or tensors), or the path of a file"
        )
    tensors = _named_tensors(_inner(source), lambda text: DTypeError(f"source {text}"))
    return StateDict(tensors, ordered=True)


def _inner(found: Mapping[Any, Any]) -> Mapping[Any, Any]:
    entries = [name for name in _ENTRIES if isinstance(found.get(name), Mapping)]
    return found[entries[0]] if len(entries) == 1 else found


def _named_tensors(found: Mapping[Any, Any], error: Any) -> dict[str, Tensor]:
    tensors = {}
    for name, value in found.items():
        if not isinstance(name, str):
            raise error(f"has {short(name)} as a name; expected a state_dict")
        try:
            tensors[name] = tensor_of(name, value)
        except DTypeError:
            raise error(
                f"has {short(name)}, a {type(value).__name__}; expected a state_dict, whose values"
                " are tensors"
            ) from None
    if not tensors:
        raise error("holds no tensors")
    if all(name.startswith(_WRAPPER) for name in tensors):
        tensors = {name.removeprefix(_WRAPPER): value for name, value in tensors.items()}
    return tensors
