"""Which module of a state_dict has the weights of which layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gatewise.errors import ConfigError, ShapeError

from .weights import COUNTER, shapes_of

if TYPE_CHECKING:
    from .modules import Module
    from .units import Unit


def matched(
    units: list[Unit], modules: list[Module], names: Any, in_order: bool
) -> dict[int, Module]:
    """Return the module of each unit, by the unit's number.

    A unit is matched by `names` first; then with the module of the same path; the others in order,
    if both are in order, or else by their shapes, if no two of them could be exchanged.

    Parameters
    ----------
    units : list of Unit
        Of the model.
    modules : list of Module
        Of the state_dict.
    names : mapping of str to str, or None
        Paths of modules by names of layers; of the second layer of a module "lstm": "lstm.l1".
    in_order : bool
        Whether layers and modules are in the same order: the model is one layer after the other,
        and the state_dict has its order.

    Raises
    ------
    ConfigError
        Names are not known, numbers differ, or the names and shapes leave it open.
    ShapeError
        A module does not have the shapes of its layer.
    """
    if names is not None:
        refuse_unknown(names, units)
    found: dict[int, Module] = {}
    left = {id(module): module for module in modules}
    for number, unit in enumerate(units):
        module = _named(unit, names, left) if names is not None else None
        if module is not None:
            found[number] = left.pop(id(module))
    if len(units) != len(modules):
        raise ConfigError(
            f"the model has {len(units)} layers with weights ({_list(units)}), the state_dict"
            f" {len(modules)} modules ({_list(modules)})"
        )
    for number, unit in enumerate(units):
        same = [module for module in left.values() if module.path == unit.name.replace("/", ".")]
        if number not in found and len(same) == 1:
            found[number] = left.pop(id(same[0]))
    open_units = [number for number in range(len(units)) if number not in found]
    rest = list(left.values())
    if not in_order:
        _refuse_exchangeable(units, open_units, rest)
        rest = _by_shape(units, open_units, rest)
    found |= dict(zip(open_units, rest))
    for number, module in found.items():
        _check(units[number], module)
    return found


def _list(things: list[Any]) -> str:
    shown = [thing.name if hasattr(thing, "prefixes") else thing.label for thing in things]
    return ", ".join(shown[:12]) + (", ..." if len(shown) > 12 else "")


def _named(unit: Unit, names: Any, left: dict[int, Module]) -> Module | None:
    if unit.name not in names:
        return None
    wanted = names[unit.name]
    same = [module for module in left.values() if wanted in (module.path, module.address)]
    if len(same) != 1:
        known = [module.address for module in left.values()]
        raise ConfigError(
            f"names[{unit.name!r}] is {wanted!r}, which {'several layers are' if same else 'is no'}"
            f"{' called' if same else ' module that is left'}; there are {', '.join(known)[:300]}"
        )
    return same[0]


def refuse_unknown(names: Any, units: list[Unit]) -> None:
    """Refuse names of layers that are none.

    Raises
    ------
    ConfigError
        A name is not that of a layer with weights, or `names` is no mapping.
    """
    if not isinstance(names, Mapping):
        raise ConfigError(
            f"names is a {type(names).__name__}; expected a dict of names of layers to paths of"
            " modules"
        )
    known = {unit.name for unit in units}
    for name in names:
        if name not in known:
            raise ConfigError(
                f"names has {name!r}, which is no layer with weights; there are {_list(units)}"
            )


def _refuse_exchangeable(units: list[Unit], numbers: list[int], modules: list[Module]) -> None:
    for number in numbers:
        fitting = [module for module in modules if problem(units[number], module) is None]
        if len(fitting) > 1:
            raise ConfigError(
                f"layer {units[number].name!r} could have the weights of"
                f" {_list(fitting)}: all of them fit; say which by names={{"
                f"{units[number].name!r}: {fitting[0].path!r}, ...}}"
            )


def _by_shape(units: list[Unit], numbers: list[int], modules: list[Module]) -> list[Module]:
    """Return the only module that fits, for each; if none does, the one in its place."""
    return [
        next((one for one in modules if problem(units[number], one) is None), modules[place])
        for place, number in enumerate(numbers)
    ]


def problem(unit: Unit, module: Module) -> str | None:
    """Return why a module cannot have the weights of a unit; None if it can."""
    kinds = ("linear", "embedding") if module.kind == "matrix" else (module.kind,)
    if unit.kind not in kinds:
        return f"is {_KIND_NAMES[module.kind]}"
    shapes = {name: shape for name, shape in module.shapes.items() if name != COUNTER}
    forms = shapes_of(unit)
    if shapes in forms:
        return None
    if not forms:
        return (
            "is an attention whose heads together have the width of the query, and values as long"
            " as keys"
        )
    expected = forms[0]
    name = min(
        key for key in expected.keys() | shapes.keys() if expected.get(key) != shapes.get(key)
    )
    if name not in shapes:
        return f"has no {name}, which the layer needs, of shape {expected[name]}"
    if name not in expected:
        return f"has {name} of shape {shapes[name]}, which the layer does not have"
    return f"has {name} of shape {shapes[name]}; the layer needs {expected[name]}"


_KIND_NAMES = {
    "lstm": "an LSTM",
    "gru": "a GRU",
    "rnn": "an RNN",
    "linear": "a Linear",
    "embedding": "an Embedding",
    "matrix": "an Embedding or a Linear",
    "layer_norm": "a LayerNorm",
    "batch_norm": "a BatchNorm",
    "conv1d": "a Conv1d",
    "conv2d": "a Conv2d",
    "attention": "a MultiheadAttention",
}


def _check(unit: Unit, module: Module) -> None:
    if (wrong := problem(unit, module)) is not None:
        raise ShapeError(
            f"layer {unit.name!r}, {_KIND_NAMES[unit.kind]} in PyTorch, was matched with"
            f" {module.label}, which {wrong}; if it belongs to another layer, say so by names="
        )
