"""A model made of a state_dict, as far as names and shapes determine it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewise import checks, layers
from gatewise.errors import ConfigError
from gatewise.interop.gates import GATES
from gatewise.layers import Layer
from gatewise.memory import names_memory
from gatewise.models import Sequential

from .loading import load_state_dict
from .modules import Module, modules_of
from .sources import StateDict, tensors_of

_EPSILON = 1e-5  # PyTorch's default
# What no state_dict tells, by the kind of a module.
_OPEN = {
    "rnn": "the activation of an RNN (tanh; relu is the other)",
    "linear": "activations between layers, dropout and the loss",
    "layer_norm": "the epsilon of a normalisation (1e-5)",
    "batch_norm": "the epsilon of a normalisation (1e-5)",
    "conv1d": "strides, padding and dilation of a convolution (1, none, 1)",
}
_RECURRENT: dict[str, Any] = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.SimpleRNN}


@names_memory
def from_state_dict(
    source: Any, *, order: Sequence[str] | None = None, return_sequences: bool = True
) -> Sequential:
    """Return a model made of a state_dict of PyTorch, with one layer after the other.

    Each module must read what the one before it returns. The input is (batch, steps, features), or
    (batch, steps) of whole numbers if an Embedding is first, whatever ``batch_first`` is there.

    Parameters
    ----------
    source : mapping, path or torch.nn.Module
        As in :func:`gatewise.interop.torch.load_state_dict`.
    order : sequence of str, optional
        Paths of the modules, in the order in which they are called. None: the order of the
        state_dict. A ``.safetensors`` file has none, since its writer sorts the names: it needs
        `order` if it has more than one module.
    return_sequences : bool, default True
        Whether the last recurrent layer returns all steps. False: the last step alone, as most
        classifiers use it; of both directions, the last that each of them has computed.

    Returns
    -------
    Sequential
        With PyTorch's options: GRU with ``reset_after``, epsilon 1e-5. It is not compiled.

    Raises
    ------
    CheckpointError, DTypeError
        As in :func:`gatewise.interop.torch.load_state_dict`.
    ConfigError
        The modules are no straight line of layers: make the model, and call `load_state_dict`.

    Warns
    -----
    UserWarning
        With a list of what the state_dict does not determine, and what was assumed.

    Examples
    --------
    >>> import numpy as np, warnings
    >>> from gatewise.interop import torch
    >>> ones = np.ones((8, 3), np.float32)
    >>> source = {"lstm.weight_ih_l0": ones, "lstm.weight_hh_l0": ones[:, :2]}
    >>> torch.from_state_dict(source).layers
    [<LSTM 'lstm', output (None, None, 2), 40 parameters>]
    """
    checks.flag(return_sequences, "return_sequences")
    modules = _without_matrices(_in_order(tensors_of(source), order))
    last = next((module for module in modules[::-1] if module.kind in _RECURRENT), None)
    made: list[Layer] = []
    names: dict[str, str] = {}
    for number, module in enumerate(modules):
        if number and (reads := _inputs(module)) != (width := _outputs(modules[number - 1])):
            raise ConfigError(
                f"{module.label} reads {reads} features, and {modules[number - 1].label} before it"
                f" returns {width}: they are no straight line of layers, so make the model and call"
                " load_state_dict(model, source)"
            )
        layer = _layer(module, return_sequences or module is not last)
        layer.name = _free_name(module, names)
        names[layer.name] = module.path if module.layer is None else module.address
        made.append(layer)
    model = Sequential([_input(modules), *made])
    load_state_dict(model, source, names=names)
    _warn_of_the_open(modules, return_sequences and last not in (None, modules[-1]))
    return model


def _in_order(given: StateDict, order: Sequence[str] | None) -> list[Module]:
    modules = modules_of(given.tensors)
    paths = list(dict.fromkeys(module.path for module in modules))
    if order is None:
        if not given.ordered and len(paths) > 1:
            raise ConfigError(
                "a .safetensors file does not tell the order of its modules: give"
                f" order={paths!r}, with the paths in the order in which they are called"
            )
        return modules
    order = checks.listed(order, "order", "paths of modules")
    if sorted(map(str, order)) != sorted(paths):
        raise ConfigError(f"order is {order!r}; the modules of the state_dict are {paths!r}")
    return sorted(modules, key=lambda module: order.index(module.path))


def _without_matrices(modules: list[Module]) -> list[Module]:
    """Decide what a matrix alone is: an Embedding if it is first and is named like one or fits."""
    for number, module in enumerate(modules):
        if module.kind != "matrix":
            continue
        size, width = module.shapes["weight"]
        follows = _inputs(modules[1]) if len(modules) > 1 else None
        embeds = "emb" in module.path.lower() or (follows == width and follows != size)
        module.kind = "embedding" if number == 0 and embeds else "linear"
        if len(modules) == 1:
            kind = "an Embedding" if embeds else "a Linear without bias"
            checks.warn(f"a matrix alone is taken as {kind}; its shape fits both", UserWarning)
    return modules


def _warn_of_the_open(modules: list[Module], steps: bool) -> None:
    kinds = {module.kind for module in modules}
    points = list(dict.fromkeys(point for kind, point in _OPEN.items() if kind in kinds))
    if steps:
        points.append("which steps the layers behind a recurrent one read (all)")
    if points:
        checks.warn(
            "a state_dict does not determine all of a model; assumed here: " + "; ".join(points),
            UserWarning,
        )


def _free_name(module: Module, taken: dict[str, str]) -> str:
    name = module.path.replace(".", "_") or module.kind
    if module.layer:
        name = f"{name}_{module.layer}"
    if name[0].isdecimal():
        name = f"{module.kind}_{name}"
    while name in taken:
        name += "_"
    return name


def _input(modules: list[Module]) -> Any:
    first = modules[0]
    if first.kind == "embedding":
        return layers.Input((None,))
    steps = any(module.kind in (*_RECURRENT, "conv1d") for module in modules)
    return layers.Input((None, _inputs(first)) if steps else (_inputs(first),))


def _layer(module: Module, sequences: bool) -> Any:
    shapes = module.shapes
    if module.kind in _RECURRENT:
        return _recurrent(module, sequences)
    if module.kind == "embedding":
        return layers.Embedding(shapes["weight"][0], shapes["weight"][1])
    if module.kind == "linear":
        return layers.Dense(shapes["weight"][0], use_bias="bias" in shapes)
    if module.kind == "layer_norm":
        return layers.LayerNormalization(epsilon=_EPSILON, center="bias" in shapes)
    if module.kind == "batch_norm":
        return layers.BatchNormalization(
            epsilon=_EPSILON, momentum=0.9, center="bias" in shapes, scale="weight" in shapes
        )
    if module.kind == "conv1d":
        filters, _, size = shapes["weight"]
        return layers.Conv1D(filters, size, use_bias="bias" in shapes)
    raise ConfigError(
        f"{module.label}, a {module.kind}, is no part of a straight line of layers: make the model,"
        " and call load_state_dict(model, source)"
    )


def _recurrent(module: Module, sequences: bool) -> Any:
    shapes = module.shapes
    layer = _RECURRENT[module.kind](
        shapes["weight_hh"][0] // len(GATES["torch"][module.kind]),
        use_bias="bias_ih" in shapes,
        return_sequences=sequences,
        **({"projection": shapes["weight_hr"][0]} if "weight_hr" in shapes else {}),
    )
    return layers.Bidirectional(layer) if "weight_ih_reverse" in shapes else layer


def _inputs(module: Module) -> int:
    """Return the number of features that a module reads."""
    shapes = module.shapes
    if module.kind in _RECURRENT:
        return shapes["weight_ih"][1]
    if module.kind in ("layer_norm", "batch_norm"):
        return next((shape[0] for shape in shapes.values() if len(shape) == 1), 0)
    weight = shapes.get("weight", ())
    return weight[1] if len(weight) > 1 else 0


def _outputs(module: Module) -> int:
    """Return the number of features that a module returns."""
    shapes = module.shapes
    if module.kind in _RECURRENT:
        directions = 2 if "weight_ih_reverse" in shapes else 1
        return directions * shapes["weight_hh"][1]
    if module.kind in ("layer_norm", "batch_norm"):
        return _inputs(module)
    return shapes["weight"][1 if module.kind == "embedding" else 0]
