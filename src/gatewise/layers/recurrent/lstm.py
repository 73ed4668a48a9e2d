"""LSTM: long short-term memory, and its published variants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewise import checks
from gatewise.cells import FullGateLSTMCell, LSTMCell, greff
from gatewise.kernels import activations
from gatewise.layers.options import fixed

from .base import Recurrent
from .rnn import RNN

if TYPE_CHECKING:
    import numpy as np

    from gatewise._typing import Config


class LSTM(Recurrent):
    """Long short-term memory. Gate order of the weights: i f g o, without those that are left out.

    Parameters are Keras's; see :class:`Recurrent` for those that all recurrent layers take.

    Parameters
    ----------
    units : int
    activation, recurrent_activation : str or tuple
        Of the candidate and the cell's output; of the gates. A name, or a name with its constants:
        ``("leaky_relu", 0.01)``.
    use_bias : bool
    unit_forget_bias : bool
        The forget gate's bias starts at 1 (Jozefowicz et al. 2015).
    output_activation, peepholes, coupled, input_gate, forget_gate, output_gate
        See :class:`gatewise.cells.LSTMCell`.
    clip, cell_clip, projection, zoneout, layer_normalization
        See :class:`gatewise.cells.LSTMCell`.
    """

    unit_forget_bias: bool = fixed(checks.flag)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        unit_forget_bias: bool = True,
        output_activation: Any = None,
        peepholes: bool = False,
        coupled: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        clip: float | None = None,
        cell_clip: float | None = None,
        projection: int | None = None,
        zoneout: Any = 0.0,
        layer_normalization: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation,
            recurrent_activation,
            use_bias,
            output_activation,
            peepholes,
            coupled,
            input_gate,
            forget_gate,
            output_gate,
            clip,
            cell_clip,
            projection,
            zoneout,
            layer_normalization,
        )
        super().__init__(cell, **kwargs)
        self.unit_forget_bias = unit_forget_bias

    @classmethod
    def variant(cls, name: str, units: int, **options: Any) -> Any:
        """A variant of Greff et al.

        2017 by its name there: ``LSTM.variant("NIG", 64)``; see :func:`gatewise.cells.greff`.

        "FGR" is a cell in NumPy, so that it gives an :class:`~gatewise.layers.RNN`, which takes
        fewer options.
        """
        if name == "FGR":
            return RNN(FullGateLSTMCell(units), **options)
        return cls(units, **(greff(name) | options))

    def _initialize(self, rng: np.random.Generator) -> None:
        super()._initialize(rng)
        if self.unit_forget_bias and self.cell.use_bias and "f" in self.cell.gates:
            first = self.cell.gates.index("f") * self.units
            self._parameters["bias"][first : first + self.units] = 1

    def get_config(self) -> Config:
        return super().get_config() | {
            "recurrent_activation": activations.config(self.cell.recurrent_activation),
            "unit_forget_bias": self.unit_forget_bias,
        }
