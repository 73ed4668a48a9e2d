"""What another framework's Adam has accumulated, given to the optimizer of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.errors import ConfigError, ShapeError
from gatewise.training.optimizers import Adam

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewise._typing import Array
    from gatewise.layers import Layer


class AdamState(NamedTuple):
    """What Adam has accumulated, for each parameter by its layer and name.

    A parameter that is in none of the mappings has not been trained yet.
    """

    iterations: int
    betas: tuple[float, float]
    momentum: Mapping[tuple[Layer, str], Array]
    velocity: Mapping[tuple[Layer, str], Array]
    velocity_hat: Mapping[tuple[Layer, str], Array]  # of amsgrad; else empty


def set_adam_state(model: Any, state: AdamState) -> None:
    """Give the optimizer of a compiled model the steps and running means of another Adam.

    Raises
    ------
    ConfigError
        The model is not compiled with Adam or a relative, with the same betas and amsgrad.
    ShapeError
        An array does not have the shape of its parameter.
    """
    optimizer = model.optimizer
    if not isinstance(optimizer, Adam):
        has = "not compiled" if optimizer is None else f"compiled with {type(optimizer).__name__}"
        raise ConfigError(
            f"the model is {has}; what Adam has accumulated needs an Adam: call"
            " model.compile(gatewise.optimizers.Adam(...), ...) before"
        )
    if not np.allclose(state.betas, (optimizer.beta_1, optimizer.beta_2), rtol=1e-6):
        raise ConfigError(
            f"the optimizer has beta_1={optimizer.beta_1} and beta_2={optimizer.beta_2}; what was"
            f" accumulated is that of beta_1={state.betas[0]}, beta_2={state.betas[1]}"
        )
    if optimizer.amsgrad != bool(state.velocity_hat):
        raise ConfigError(
            f"the optimizer has amsgrad={optimizer.amsgrad}; what was accumulated is that of"
            f" amsgrad={bool(state.velocity_hat)}"
        )
    slots = {
        "momentum": _flat(model, state.momentum),
        "velocity": _flat(model, state.velocity),
    }
    if optimizer.amsgrad:
        slots["velocity_hat"] = _flat(model, state.velocity_hat)
    missing = [
        name
        for name in (*optimizer._array_slots(), *optimizer._number_slots())
        if name not in slots
    ]
    if missing:
        raise ConfigError(
            f"the optimizer accumulates {', '.join(missing)} as well, which the other one did not"
        )
    optimizer._load_slots(state.iterations, slots, model._flat_parameters)


def _flat(model: Any, arrays: Mapping[tuple[Layer, str], Array]) -> Array:
    """Return one vector, as the flat buffer of the model has its parameters."""
    buffer = model._flat_parameters
    vector = np.zeros_like(buffer)
    for (layer, name), array in arrays.items():
        parameter = layer._parameters[name]
        if array.shape != parameter.shape:
            raise ShapeError(
                f"what was accumulated for {layer.name}/{name} has shape {array.shape}; the"
                f" parameter has {parameter.shape}"
            )
        start = (parameter.ctypes.data - buffer.ctypes.data) // buffer.itemsize
        vector[start : start + parameter.size] = array.ravel()
    return vector
