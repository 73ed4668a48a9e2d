"""Whether a model's loss can learn from its output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.training.outputs import misfit_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatewise.layers import Layer
    from gatewise.training.losses import Loss

    from .network import Network


def check_output(model: Network, loss: Loss) -> str | None:
    """Refuse a loss that can only be a constant or NaN for a model's output; warn of other misfits.

    Returns
    -------
    str or None
        The text of the warning, for a loss that becomes NaN.

    Raises
    ------
    ConfigError, ShapeError
    """
    columns = model.output_shape[-1]
    activation = last_activation(model.layers)
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
    checks.warn(f"{where}: {misfit.text}")
    return misfit.text


def _refuse_constant(model: Network) -> None:
    """Refuse a softmax of one column."""
    for layer in model.layers:
        if layer._limiting_activation == "softmax" and layer.output_shape[-1] == 1:
            raise ConfigError(
                f"layer {layer.name!r} takes the softmax of one column, which is 1 whatever its"
                " input is: nothing can be learned; take activation 'sigmoid', or give it a column"
                " for each class"
            )


def last_activation(layers: Sequence[Layer]) -> str | None:
    """Return the activation that limits the output of these layers; None: not known."""
    for layer in reversed(layers):
        if layer._limiting_activation is not None or not layer._keeps_limits:
            return layer._limiting_activation
    return None
