"""GRU: gated recurrent unit, in both of its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.cells import GRUCell
from gatewise.errors import ShapeError
from gatewise.kernels import activations

from .base import Recurrent
from .refused import OF_THE_CELL_STATE

if TYPE_CHECKING:
    from gatewise._typing import Config

# Candidates that exist with reset_after=True and False.
_BOTH_FORMS = ("reset", "complement")


class GRU(Recurrent):
    """Gated recurrent unit. Gate order of the weights: z r h.

    The arguments have Keras's names; those of :class:`Recurrent` can be given too.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of the candidate: a name, or a name with its constants, ``("leaky_relu", 0.01)``.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    reset_after : bool, default True
        Whether the reset gate is applied after the recurrent product, see
        :class:`gatewise.cells.GRUCell`. The two forms are different cells: weights of one do not
        fit the other. Files record the form, and loading into the other one is refused. Arrays for
        ``set_weights`` do not record it, and with ``use_bias=False`` the shapes are the same.
    update : {"cho", "chung"}, default "cho"
        Whether the update gate keeps h' or the candidate, see :class:`gatewise.cells.GRUCell`.
    clip : float, optional
        See :class:`gatewise.cells.Cell`.
    zoneout : float in [0, 1), default 0.0
        See :class:`gatewise.cells.Cell`.
    layer_normalization : bool, default False
        See :class:`gatewise.cells.GRUCell`.
    candidate : {"reset", "complement", "split", "input"}, default "reset"
        What the gates multiply in the candidate, see :class:`gatewise.cells.GRUCell`.
    output_activation : str or tuple, optional
        The output is this activation of h, and h remains the state; in a row without steps, the
        last output is that of the initial state. None: the output is h.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import GRU
    >>> GRU(4, return_sequences=True).forward(np.ones((2, 5, 3), np.float32)).shape
    (2, 5, 4)
    """

    _never = OF_THE_CELL_STATE

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        reset_after: bool = True,
        update: str = "cho",
        clip: float | None = None,
        zoneout: Any = 0.0,
        layer_normalization: bool = False,
        candidate: str = "reset",
        output_activation: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            GRUCell(
                units,
                activation=activation,
                recurrent_activation=recurrent_activation,
                use_bias=use_bias,
                reset_after=reset_after,
                update=update,
                clip=clip,
                zoneout=zoneout,
                layer_normalization=layer_normalization,
                candidate=candidate,
                output_activation=output_activation,
            ),
            **kwargs,
        )

    def _check_weights(self, weights: Any) -> None:
        if self.cell.use_bias:
            there, given = self._parameters["bias"].shape, np.shape(weights[2])
            forms = ((2, there[-1]), there[-1:]) if self.cell.candidate in _BOTH_FORMS else ()
            if given != there and given in forms:
                raise ShapeError(
                    f"{self.name}/bias has shape {given}: these are weights of a GRU with"
                    f" reset_after={not self.cell.reset_after}, layer {self.name!r} has"
                    f" reset_after={self.cell.reset_after}, which is another cell; build the layer"
                    f" with reset_after={not self.cell.reset_after}"
                )

    def get_config(self) -> Config:
        return super().get_config() | {
            "recurrent_activation": activations.config(self.cell.recurrent_activation),
            "reset_after": self.cell.reset_after,
            "update": self.cell.update,
        }
