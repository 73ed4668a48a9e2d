"""SimpleRNN: Elman's network."""

from __future__ import annotations

from typing import Any

from gatewise.cells import SimpleRNNCell

from .base import Recurrent
from .refused import OF_GATES, OF_THE_CELL_STATE, OF_THE_OUTPUT


class SimpleRNN(Recurrent):
    """Elman's network, ``h = act(x W + h' U + b)``.

    The arguments have Keras's names; those of :class:`Recurrent` can be given too.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of h: a name, or a name with its constants, ``("leaky_relu", 0.01)``.
    use_bias : bool, default True
        Whether there is a bias.
    clip : float, optional
        See :class:`gatewise.cells.Cell`.
    zoneout : float in [0, 1), default 0.0
        See :class:`gatewise.cells.Cell`.
    layer_normalization : bool, default False
        See :class:`gatewise.cells.Cell`.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import SimpleRNN
    >>> SimpleRNN(4).forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 4)
    """

    _never = OF_THE_CELL_STATE | OF_GATES | OF_THE_OUTPUT

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
