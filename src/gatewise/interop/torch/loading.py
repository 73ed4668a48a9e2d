"""Weights of PyTorch put into a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, DTypeError
from gatewise.interop.moments import set_adam_state
from gatewise.memory import names_memory
from gatewise.models import Sequential
from gatewise.transaction import Transaction, value_of

from .flattening import flattened_shapes, rows_to_ours
from .matching import matched
from .modules import Module, modules_of
from .optimizer import TorchAdam
from .sources import tensors_of
from .units import Unit, units_of
from .weights import COUNTER, to_ours

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array
    from gatewise.layers import Layer

# PyTorch's default, which no file tells.
_EPSILON = 1e-5


@names_memory
def load_state_dict(
    model: Any,
    source: Any,
    *,
    names: Mapping[str, str] | None = None,
    flatten: str | None = None,
    optimizer: Any = None,
) -> None:
    """Put the weights of a PyTorch module into a model; PyTorch need not be installed.

    Each layer with weights receives those of one module: of the module with the layer's name, or
    else of the next one in the order of the state_dict. A recurrent module of several layers is
    several layers here. If the model is no straight line of layers and several modules fit one of
    them, `names` must tell which.

    Parameters
    ----------
    model : Sequential or Model
        Built. It does not change if an error is raised.
    source : mapping, path or torch.nn.Module
        A state_dict: names and arrays or tensors; or a ``.safetensors`` file, or a file of
        ``torch.save(module.state_dict(), path)`` in either of PyTorch's formats. Nothing in a file
        is executed. bfloat16 and half become float32.
    names : mapping of str to str, optional
        Paths of modules by names of layers. ``"lstm.l1"`` is the second layer of the module
        "lstm". Layers inside a model have the names "inner/dense".
    flatten : {"channels_first", "channels_last"}, optional
        In which order PyTorch flattens a convolution in front of a dense layer. Needed if there is
        such a layer.
    optimizer : mapping, path or torch.optim.Optimizer, optional
        ``optimizer.state_dict()`` of the Adam or AdamW that has trained the module, or a file that
        holds it: training goes on from its steps and running means. The model must be compiled
        with Adam or AdamW, and keeps its rate and epsilon. What differs afterwards: PyTorch adds
        epsilon to the root of ``v / (1 - beta_2^t)``, gatewise to that of v; and PyTorch trains
        both biases of an LSTM or RNN, so that their sum moves twice as fast.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or holds something else.
    ConfigError
        A layer has no counterpart in PyTorch or computes something else; the number of modules is
        not that of layers; names and shapes leave open which belongs to which.
    ShapeError
        A module does not have the shapes of its layer.
    DTypeError
        `source` is no state_dict, or its numbers are whole ones.
    NonFiniteError
        A weight is NaN or infinite.

    Warns
    -----
    UserWarning
        A normalisation here has another epsilon than PyTorch's default, which files do not hold.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import Sequential, layers
    >>> from gatewise.interop import torch
    >>> model = Sequential([layers.Input((3,)), layers.Dense(2)])
    >>> weight = np.array([[1, 2, 3], [4, 5, 6]], np.float32)  # (outputs, inputs)
    >>> torch.load_state_dict(model, {"0.weight": weight, "0.bias": np.zeros(2, np.float32)})
    >>> model.predict(np.ones((1, 3)), verbose=0)
    array([[ 6., 15.]], dtype=float32)
    """
    units = units_of(model)
    flattened = flattened_shapes(model, flatten)
    given = tensors_of(source)
    in_order = given.ordered and isinstance(model, Sequential)
    pairs = [
        (units[number], module)
        for number, module in matched(units, modules_of(given.tensors), names, in_order).items()
    ]
    for unit, _ in pairs:
        _warn_of_epsilon(unit)
    tensors = {
        module.names[name]: array
        for _, module in pairs
        for name, array in _arrays_of(module).items()
    }
    adam = None
    if optimizer is not None:
        if not given.ordered:
            raise ConfigError(
                "PyTorch numbers parameters in the order of the module, which a .safetensors file"
                " does not tell: give module.state_dict(), or a file of torch.save"
            )
        adam = TorchAdam(optimizer, list(given.tensors))
    with Transaction(value_of(model._flat_weights, model._set_flat_weights)):
        arrays = _by_layer(pairs, tensors, flattened, model.dtype)
        model.set_weights(
            [arrays[layer, spec.name] for layer in model._layers for spec in layer._specs]
        )
        if adam is not None:
            set_adam_state(
                model,
                adam.state(
                    lambda slot: _by_layer(pairs, slot, flattened, model.dtype, moments=True)
                ),
            )


def _by_layer(
    pairs: list[tuple[Unit, Module]],
    tensors: Mapping[str, Array],
    flattened: Any,
    dtype: str,
    moments: bool = False,
) -> dict[tuple[Layer, str], Array]:
    """Return parameters by layer and name, of those modules that have arrays in `tensors`.

    Of moments, those of one bias count where two biases are added: both have the same gradients.
    """
    arrays: dict[tuple[Layer, str], Array] = {}
    for unit, module in pairs:
        own = {name: tensors[full] for name, full in module.names.items() if full in tensors}
        if moments and unit.kind in ("lstm", "rnn"):
            own |= {
                name: np.zeros_like(array)
                for name, array in own.items()
                if name.startswith("bias_hh")
            }
        for name, array in to_ours(unit, own).items() if own else ():
            if unit.owner in flattened and name.endswith("kernel"):
                array = rows_to_ours(array, flattened[unit.owner])
            arrays[unit.owner, name] = np.ascontiguousarray(array, dtype)
    return arrays


def _arrays_of(module: Module) -> dict[str, Array]:
    arrays = {}
    for name, tensor in module.tensors.items():
        if name == COUNTER:
            continue
        array = tensor.array()
        if array.dtype.kind != "f":
            raise DTypeError(
                f"{module.names[name]} is {array.dtype}; expected floating-point numbers (a"
                " quantized module has other weights than its layers here)"
            )
        arrays[name] = array
    return arrays


def _warn_of_epsilon(unit: Unit) -> None:
    if unit.kind not in ("layer_norm", "batch_norm"):
        return
    if not math.isclose(unit.layer.epsilon, _EPSILON, rel_tol=1e-6):
        checks.warn(
            f"layer {unit.name!r} has epsilon={unit.layer.epsilon}; PyTorch's default is"
            f" {_EPSILON}, and a state_dict does not hold it: make the layer with the epsilon of"
            " the module",
            UserWarning,
        )
