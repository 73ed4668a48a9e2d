"""MinGRU and MinLSTM: recurrent layers whose gates depend on the input only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.attributes import checked
from gatewise.cells import MinGRUCell, MinLSTMCell

from .base import Recurrent
from .refused import OF_THE_CELL_STATE, OF_THE_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Config
    from gatewise.cells.minimal import MinimalCell

_OF_RECURRENCE = (
    "recurrent_initializer",
    "recurrent_regularizer",
    "recurrent_constraint",
    "recurrent_dropout",
)


class _Minimal(Recurrent):
    """Base of both layers."""

    _cell: Callable[..., MinimalCell]
    _never = (
        OF_THE_CELL_STATE
        | OF_THE_OUTPUT
        | dict.fromkeys(
            (
                "recurrent_activation",
                "reset_after",
                "update",
                "candidate",
                "clip",
                "zoneout",
                "layer_normalization",
            ),
            "its gates depend on x only and are sigmoids, so that all steps are computed at once;"
            " a GRU has it",
        )
        | dict.fromkeys(_OF_RECURRENCE, "there is no recurrent kernel")
    )
    recurrent_dropout: float = checked(checks.number, low=0.0, high=0.0)

    def __init__(
        self, units: int, activation: Any = "linear", use_bias: bool = True, **kwargs: Any
    ) -> None:
        self._refuse(kwargs)
        super().__init__(self._cell(units, activation, use_bias), **kwargs)

    def get_config(self) -> Config:
        return {
            name: value
            for name, value in super().get_config().items()
            if name not in _OF_RECURRENCE
        }


class MinGRU(_Minimal):
    """``z = sigm(x W_z + b_z); n = act(x W_n + b_n); h = (1 - z) h' + z n`` (Feng et al. 2024).

    No gate depends on h', so that the gates of all steps are one large product. There is no
    recurrent kernel. Order of the weights' blocks: z h.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "linear"
        Activation of the candidate; the paper has none.
    use_bias : bool, default True
        Whether there is a bias.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`, except those of a recurrent kernel.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import MinGRU
    >>> MinGRU(4).forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 4)
    """

    _cell = MinGRUCell


class MinLSTM(_Minimal):
    """``f, i = sigm(x W + b); n = act(x W_n + b_n); h = (f h' + i n) / (f + i)``.

    See Feng et al. 2024. The only state is h, which an LSTM calls c. There is no recurrent kernel.
    Order of the weights' blocks: f i h.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "linear"
        Activation of the candidate; the paper has none.
    use_bias : bool, default True
        Whether there is a bias.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`, except those of a recurrent kernel.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import MinLSTM
    >>> MinLSTM(4).forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 4)
    """

    _cell = MinLSTMCell
