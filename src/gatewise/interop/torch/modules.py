"""The modules of a state_dict, found by the names and the shapes of their tensors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatewise.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tensors import Tensor

_RECURRENT = re.compile(r"(weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)(?:_l(\d+)(_reverse)?)?")
# Parts of a MultiheadAttention that are not in its module of outputs.
_ATTENTION = {
    *("in_proj_weight", "in_proj_bias", "q_proj_weight", "k_proj_weight", "v_proj_weight"),
    *("bias_k", "bias_v"),
}
_NORM = {"running_mean", "running_var", "num_batches_tracked"}
# Number of blocks of units in a recurrent matrix, by what it belongs to.
_CELLS = {1: "rnn", 3: "gru", 4: "lstm"}


@dataclass(slots=True)
class Module:
    """One module, or one layer of a recurrent module.

    Parameters
    ----------
    path : str
        Its name in the state_dict, without a dot at its end; "" for the whole.
    kind : str
        "lstm", "gru", "rnn", "linear", "embedding", "matrix" (one of the two), "layer_norm",
        "batch_norm", "conv1d", "conv2d" or "attention".
    tensors : dict of str to Tensor
        By the names that PyTorch gives them in a module of one layer: "weight_ih".
    names : dict of str to str
        Full names by these.
    layer : int, optional
        Which layer of a recurrent module; None for cells and other modules.
    """

    path: str
    kind: str
    tensors: dict[str, Tensor]
    names: dict[str, str]
    layer: int | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors."""
        return {name: tensor.shape for name, tensor in self.tensors.items()}

    @property
    def address(self) -> str:
        """What ``names=`` calls it: "lstm.l1" is the second layer of the module "lstm"."""
        return self.path if self.layer is None else f"{self.path}.l{self.layer}".lstrip(".")

    @property
    def label(self) -> str:
        """What messages call it."""
        layer = "" if self.layer is None else f" (layer {self.layer})"
        return f"{self.path or 'the whole'}{layer}"


def modules_of(tensors: Mapping[str, Tensor]) -> list[Module]:
    """Return the modules of a state_dict in its order, layers of recurrent modules one by one.

    Raises
    ------
    CheckpointError
        Tensors do not make a module that is known.
    """
    groups: dict[tuple[str, int | None], dict[str, str]] = {}
    for name in tensors:
        path, _, last = name.rpartition(".")
        layer = None
        if found := _RECURRENT.fullmatch(last):
            layer = None if found[2] is None else int(found[2])
            last = found[1] + (found[3] or "")
        parent, _, part = path.rpartition(".")
        attends = any(f"{parent}.{inner}".lstrip(".") in tensors for inner in _ATTENTION)
        if part == "out_proj" and attends:
            path, last = parent, f"out_proj.{last}"
        groups.setdefault((path, layer), {})[last] = name
    return [
        Module(
            path,
            _kind_of(path, {last: tensors[name].shape for last, name in names.items()}),
            {last: tensors[name] for last, name in names.items()},
            names,
            layer,
        )
        for (path, layer), names in groups.items()
    ]


def _kind_of(path: str, shapes: dict[str, tuple[int, ...]]) -> str:
    names, weight = shapes.keys(), shapes.get("weight")
    if "weight_hh" in names:
        return _cell_of(path, shapes)
    if names & _ATTENTION:
        return "attention"
    if names & _NORM:
        return "batch_norm"
    bias = shapes.get("bias", (0,))
    if weight is not None and names <= {"weight", "bias"} and len(bias) == 1:
        kinds = {1: "layer_norm", 2: "linear" if "bias" in names else "matrix"}
        kinds |= {3: "conv1d", 4: "conv2d"}
        if len(weight) in kinds:
            return kinds[len(weight)]
    raise CheckpointError(
        f"the tensors {_listed(path, shapes)} are no module that is known: nn.LSTM, GRU, RNN and"
        " their cells, Linear, Embedding, LayerNorm, BatchNorm1d, Conv1d, Conv2d,"
        " MultiheadAttention. Leave them out of the mapping, or set the weights yourself"
    )


def _listed(path: str, shapes: dict[str, tuple[int, ...]]) -> str:
    start = f"{path}." if path else ""
    shown = [f"{start}{name} {shape}" for name, shape in list(shapes.items())[:4]]
    return ", ".join(shown)[:300]


def _cell_of(path: str, shapes: dict[str, tuple[int, ...]]) -> str:
    hidden, inputs = shapes["weight_hh"], shapes.get("weight_ih", ())
    if len(hidden) == len(inputs) == 2 and hidden[0] == inputs[0] and hidden[1]:
        units = hidden[1]
        if len(projection := shapes.get("weight_hr", ())) == 2:
            units = projection[1]
        if units and hidden[0] % units == 0 and hidden[0] // units in _CELLS:
            return _CELLS[hidden[0] // units]
    raise CheckpointError(
        f"the tensors {_listed(path, shapes)} are no recurrent layer: weight_hh is (blocks * units,"
        " units), with 4 blocks in an LSTM, 3 in a GRU and 1 in an RNN"
    )
