"""GRU: gated recurrent unit, in both of its forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.cells import GRUCell
from gatewise.errors import ShapeError
from gatewise.kernels import activations

from .base import _OF_THE_CELL_STATE, Recurrent

if TYPE_CHECKING:
    from gatewise._typing import Config


class GRU(Recurrent):
    """Gated recurrent unit. Gate order of the weights: z r h.

    Parameters are Keras's; see :class:`Recurrent` for those that all recurrent layers take.

    Parameters
    ----------
    units : int
    activation, recurrent_activation : str or tuple
        Of the candidate; of the gates. A name, or a name with its constants: ``("leaky_relu",
        0.01)``.
    use_bias : bool
    reset_after : bool
        See :class:`gatewise.cells.GRUCell`. The two forms are different cells: weights of one do
        not fit the other. Files say which form their weights are of, and the other one is refused;
        arrays given to ``set_weights`` do not, and with ``use_bias=False`` the shapes of the two
        are the same.
    update : {"cho", "chung"}
        Which of h' and the candidate the update gate keeps.
    clip, zoneout, layer_normalization
        See :class:`gatewise.cells.Cell`.
    """

    _never = _OF_THE_CELL_STATE

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
        **kwargs: Any,
    ) -> None:
        super().__init__(
            GRUCell(
                units,
                activation,
                recurrent_activation,
                use_bias,
                reset_after,
                update,
                clip,
                zoneout,
                layer_normalization,
            ),
            **kwargs,
        )

    def _check_weights(self, weights: Any) -> None:
        if self.cell.use_bias:
            there, given = self._parameters["bias"].shape, np.shape(weights[2])
            if given != there and given in ((2, there[-1]), there[-1:]):
                raise ShapeError(
                    f"{self.name}/bias has shape {given}: these are weights of a GRU with"
                    f" reset_after={not self.cell.reset_after}, layer {self.name!r} has"
                    f" reset_after={self.cell.reset_after}, which is another cell; build it as"
                    " theirs is"
                )

    def get_config(self) -> Config:
        return super().get_config() | {
            "recurrent_activation": activations.config(self.cell.recurrent_activation),
            "reset_after": self.cell.reset_after,
            "update": self.cell.update,
        }
