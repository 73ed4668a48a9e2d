"""The weights of a model as a state_dict of PyTorch."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.memory import names_memory
from gatewise.models import Sequential

from .flattening import flattened_shapes, rows_to_torch
from .matching import matched, refuse_unknown
from .modules import modules_of
from .sources import tensors_of
from .units import Unit, units_of
from .weights import to_torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array


# "lstm.l1" is the second layer of the module "lstm", "l1" that of a module that is the whole.
_LAYER = re.compile(r"(?:(.+)\.)?l(\d+)")


class TorchArray(np.ndarray):
    """An array that functions of PyTorch take as a tensor."""

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch with tensors in place of arrays: they share their memory."""
        import torch

        def tensor(value: Any) -> Any:
            return torch.from_numpy(value.view(np.ndarray)) if isinstance(value, cls) else value

        given = {name: tensor(value) for name, value in (kwargs or {}).items()}
        return function(*map(tensor, args), **given)


@names_memory
def state_dict(
    model: Any,
    *,
    like: Any = None,
    names: Mapping[str, str] | None = None,
    flatten: str | None = None,
) -> dict[str, Array]:
    """Return the weights of a model as the state_dict of a PyTorch module.

    ``module.load_state_dict(state_dict(model))`` puts them into a module with the same layers.
    PyTorch need not be installed here. The whole bias of a recurrent layer is in ``bias_ih``, and
    ``bias_hh`` is zero, except for GRU, which has two.

    Parameters
    ----------
    model : Sequential or Model
        Built.
    like : mapping, path or torch.nn.Module, optional
        A state_dict with the names to use; layers are matched with modules as in
        :func:`load_state_dict`. None: each layer becomes a module of its name, "lstm.weight_ih_l0".
    names : mapping of str to str, optional
        As in :func:`load_state_dict`, with `like`; without it, the paths of modules by names of
        layers: ``{"lstm": "rnn.l0", "lstm_1": "rnn.l1"}`` makes them one module of two layers.
    flatten : {"channels_first", "channels_last"}, optional
        As in :func:`load_state_dict`.

    Returns
    -------
    dict of str to ndarray
        Copies. Functions of PyTorch take them as tensors; ``torch.from_numpy`` makes one of each.

    Raises
    ------
    ConfigError, ShapeError
        As in :func:`load_state_dict`.

    Examples
    --------
    >>> from gatewise import Sequential, layers
    >>> from gatewise.interop import torch
    >>> model = Sequential([layers.Input((None, 3)), layers.LSTM(2, name="lstm")])
    >>> {name: array.shape for name, array in torch.state_dict(model).items()}
    {'lstm.weight_ih_l0': (8, 3), 'lstm.weight_hh_l0': (8, 2), 'lstm.bias_ih_l0': (8,), \
'lstm.bias_hh_l0': (8,)}
    """
    units = units_of(model)
    flattened = flattened_shapes(model, flatten)
    found: dict[str, Array] = {}
    with model.unchanged():
        if like is None:
            refuse_unknown(names or {}, units)
            for unit in units:
                tensors = _tensors_of(unit, flattened, {"in_proj_weight"})
                found |= {
                    _full_name(unit, name, names or {}): array for name, array in tensors.items()
                }
        else:
            wanted, ordered = tensors_of(like)
            in_order = ordered and isinstance(model, Sequential)
            for number, module in matched(units, modules_of(wanted), names, in_order).items():
                tensors = _tensors_of(units[number], flattened, module.names)
                found |= {full: tensors[name] for name, full in module.names.items()}
            found = {name: found[name] for name in wanted}
        return {name: np.array(array, order="C").view(TorchArray) for name, array in found.items()}


def _tensors_of(unit: Unit, flattened: Any, names: Any) -> dict[str, Array]:
    parameters = dict(unit.owner._parameters)
    if unit.owner in flattened:
        name = unit.prefixes[0] + "kernel"
        parameters[name] = rows_to_torch(parameters[name], flattened[unit.owner])
    return to_torch(unit, parameters, names)


def _full_name(unit: Unit, name: str, names: Mapping[str, str]) -> str:
    path = names.get(unit.name, unit.name.replace("/", "."))
    if unit.kind not in ("lstm", "gru", "rnn"):
        return f"{path}.{name}".lstrip(".")
    number = 0
    if found := _LAYER.fullmatch(path):
        path, number = found[1] or "", int(found[2])
    base = name.removesuffix("_reverse")
    return f"{path}.{base}_l{number}{name[len(base) :]}".lstrip(".")
