"""SimpleRNN: Elman's network."""

from __future__ import annotations

from typing import Any

from gatewise.cells import SimpleRNNCell

from .base import _OF_GATES, _OF_THE_CELL_STATE, Recurrent


class SimpleRNN(Recurrent):
    """``h = act(x W + h' U + b)``: Elman's network.

    Parameters are Keras's; see :class:`Recurrent` for those that all recurrent layers take.

    Parameters
    ----------
    units : int
    activation : str or tuple
        A name, or a name with its constants: ``("leaky_relu", 0.01)``.
    use_bias : bool
    clip, zoneout, layer_normalization
        See :class:`gatewise.cells.Cell`.
    """

    _never = _OF_THE_CELL_STATE | _OF_GATES

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        clip: float | None = None,
        zoneout: Any = 0.0,
        layer_normalization: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            SimpleRNNCell(units, activation, use_bias, clip, zoneout, layer_normalization), **kwargs
        )
