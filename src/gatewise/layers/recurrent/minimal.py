"""MinGRU and MinLSTM: recurrent layers whose gates see the input alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.attributes import checked
from gatewise.cells import MinGRUCell, MinLSTMCell

from .base import _OF_THE_CELL_STATE, Recurrent

if TYPE_CHECKING:
    from gatewise._typing import Config

_OF_RECURRENCE = (
    "recurrent_initializer",
    "recurrent_regularizer",
    "recurrent_constraint",
    "recurrent_dropout",
)


class _Minimal(Recurrent):
    _cell = None
    _never = (
        _OF_THE_CELL_STATE
        | dict.fromkeys(
            (
                "recurrent_activation",
                "reset_after",
                "update",
                "clip",
                "zoneout",
                "layer_normalization",
            ),
            "its gates see x alone and are sigmoids, so that all steps are made at once; a GRU"
            " has it",
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

    No gate sees h', so the gates of all steps are one large product. Order of the weights' blocks:
    z h. See :class:`Recurrent` for what all recurrent layers take; there is no recurrent kernel.

    Parameters
    ----------
    units : int
    activation : str or tuple
        Of the candidate; the paper has none.
    use_bias : bool
    """

    _cell = MinGRUCell


class MinLSTM(_Minimal):
    """``f, i = sigm(x W + b); n = act(x W_n + b_n); h = (f h' + i n) / (f + i)`` (Feng et al.

    2024).

    One state: h is what an LSTM calls c. Order of the weights' blocks: f i h. See :class:`MinGRU`.

    Parameters
    ----------
    units : int
    activation : str or tuple
        Of the candidate; the paper has none.
    use_bias : bool
    """

    _cell = MinLSTMCell
