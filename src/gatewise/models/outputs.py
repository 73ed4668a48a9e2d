"""Whether the losses of a model can learn from its outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.training.outputs import misfit_of
from gatewise.training.places import about

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise.layers import Layer
    from gatewise.training.losses import Loss

    from .network import Network
    from .objectives import Objective


def check_outputs(model: Network, objectives: Sequence[Objective]) -> str | None:
    """Refuse a loss that can only be a constant or NaN for its output; warn of other misfits.

    Returns
    -------
    str or None
        The text of the warning, for a loss that becomes NaN.

    Raises
    ------
    ConfigError, ShapeError
    """
    found = None
    for j, (objective, shape) in enumerate(zip(objectives, model._shapes_of_outputs())):
        if objective.loss is not None:
            with about(model._output_names, j):
                text = _check_output(model, j, objective.loss, shape[-1])
            found = found or text
    return found


def _check_output(model: Network, j: int, loss: Loss, columns: int | None) -> str | None:
    activation = model._last_activation(j)
    misfit = misfit_of(loss, activation, columns)
    if misfit is None or not misfit.hopeless:
        _refuse_constant(model)
    if columns:
        loss._targets(columns)
    if misfit is None:
        return None
    where = f"loss {loss.name} behind {'one column' if columns == 1 else f'{columns} columns'}" + (
        f" with activation {activation!r}" if activation else ""
    )
    if misfit.hopeless:
        raise ConfigError(f"{where}: {misfit.text}")
    of = f"output {model._output_names[j]!r}: " if len(model._output_names) > 1 else ""
    checks.warn(f"{of}{where}: {misfit.text}")
    return misfit.text


def _refuse_constant(model: Network) -> None:
    """Refuse a softmax of one column."""
    for layer in model._layers:
        if layer._limiting_activation == "softmax" and layer.output_shape[-1] == 1:
            raise ConfigError(
                f"layer {layer.name!r} takes the softmax of one column, which is 1 whatever its"
                " input is: nothing can be learned; take activation 'sigmoid', or give it a column"
                " for each class"
            )


def last_activation(layers: Sequence[Layer]) -> str | None:
    """Return the activation that limits the output of these layers; None: not known."""
    for layer in reversed(layers):
        limiting = layer._limiting_activation  # read once: a model inside searches its own layers
        if limiting is not None or not layer._keeps_limits:
            return limiting
    return None
