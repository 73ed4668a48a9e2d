"""The state of PyTorch's Adam and AdamW, so that training goes on in gatewise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gatewise.errors import CheckpointError, ConfigError, DTypeError
from gatewise.interop.moments import AdamState

from .files import read
from .tensors import tensor_of

if TYPE_CHECKING:
    from gatewise._typing import Array

_ENTRIES = ("optimizer_state_dict", "optimizer", "optim")
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")
# PyTorch's names of what Adam accumulates, and those of gatewise.
_SLOTS = {"exp_avg": "momentum", "exp_avg_sq": "velocity", "max_exp_avg_sq": "velocity_hat"}


class TorchAdam:
    """What an optimizer of PyTorch has accumulated, by the names of the module's parameters.

    Parameters
    ----------
    source : mapping or path
        ``optimizer.state_dict()``, or a file of ``torch.save`` that holds it, also as the entry
        "optimizer_state_dict" or "optimizer".
    names : list of str
        Names in the module's state_dict, in its order: PyTorch numbers parameters.

    Raises
    ------
    CheckpointError, DTypeError
        It is none.
    ConfigError
        It has other parameters than the module, or is not that of Adam.
    """

    def __init__(self, source: Any, names: list[str]) -> None:
        state, groups = _read(source)
        parameters = [name for name in names if name.rpartition(".")[2] not in _BUFFERS]
        numbers = [number for group in groups for number in group["params"]]
        if sorted(numbers) != list(range(len(parameters))):
            raise ConfigError(
                f"the optimizer has {len(numbers)} parameters, the module {len(parameters)}; it"
                " must have been made with module.parameters(), each of which is trained"
            )
        self.betas: tuple[float, float] = _betas(groups[0])
        self.slots: dict[str, dict[str, Array]] = {ours: {} for ours in _SLOTS.values()}
        steps = set()
        for number, entries in state.items():
            if not isinstance(entries, Mapping) or not {"exp_avg", "exp_avg_sq"} <= entries.keys():
                raise ConfigError("the optimizer is none of Adam's kind: it has no exp_avg")
            name = parameters[number]
            for theirs, ours in _SLOTS.items():
                if theirs in entries:
                    self.slots[ours][name] = tensor_of(theirs, entries[theirs]).array()
            steps.add(float(tensor_of("step", entries["step"]).array()))
        if len(steps) > 1:
            raise ConfigError(f"parameters have taken different numbers of steps: {sorted(steps)}")
        self.iterations: int = int(steps.pop()) if steps else 0

    def state(self, arrays_of: Any) -> AdamState:
        """Return what was accumulated, by layers and names of parameters.

        Parameters
        ----------
        arrays_of : callable
            Converts arrays by names in the state_dict into parameters of layers.
        """
        return AdamState(
            self.iterations,
            self.betas,
            *(arrays_of(self.slots[ours]) if self.slots[ours] else {} for ours in _SLOTS.values()),
        )


def _betas(group: Mapping[str, Any]) -> tuple[float, float]:
    betas = group.get("betas")
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise ConfigError("the optimizer is none of Adam's kind: it has no betas")
    return float(betas[0]), float(betas[1])


def _read(source: Any) -> tuple[Mapping[int, Any], list[Any]]:
    error: type[Exception]
    found, error = source, DTypeError
    if isinstance(source, str | os.PathLike):
        found, error = read(source).value, CheckpointError
    elif callable(getattr(source, "state_dict", None)):
        found = source.state_dict()
    if isinstance(found, Mapping) and "param_groups" not in found:
        found = next((found[name] for name in _ENTRIES if name in found), found)
    if not isinstance(found, Mapping) or not {"state", "param_groups"} <= found.keys():
        raise error("optimizer holds no state of an optimizer: expected optimizer.state_dict()")
    state, groups = found["state"], found["param_groups"]
    plain = (
        isinstance(state, Mapping)
        and isinstance(groups, list)
        and groups
        and all(isinstance(group, Mapping) and _numbers(group.get("params")) for group in groups)
        and _numbers(list(state))
    )
    if not plain:
        raise error("optimizer is damaged: expected optimizer.state_dict()")
    return state, groups


def _numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int for value in values)
