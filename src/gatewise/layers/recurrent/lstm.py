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
    from typing import Self

    import numpy as np

    from gatewise._typing import Config


class LSTM(Recurrent):
    """Long short-term memory. Gate order of the weights: i f g o, without the gates left out.

    The arguments have Keras's names; those of :class:`Recurrent` can be given too.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of the candidate and of the cell's output: a name, or a name with its constants,
        ``("leaky_relu", 0.01)``.
    recurrent_activation : str or tuple, default "sigmoid"
        Activation of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    unit_forget_bias : bool, default True
        The forget gate's bias starts at 1 (Jozefowicz et al. 2015).
    output_activation : str or tuple, optional
        Activation of the cell's output. None: the same as `activation`.
    peepholes : bool, default False
        Whether the gates depend on the cell state, see :class:`gatewise.cells.LSTMCell`.
    coupled : bool, default False
        The forget gate is ``1 - i``.
    input_gate : bool, default True
        False: the input gate is 1.
    forget_gate : bool, default True
        False: the forget gate is 1.
    output_gate : bool, default True
        False: the output gate is 1.
    clip : float, optional
        See :class:`gatewise.cells.Cell`.
    cell_clip : float, optional
        Limit of the cell state's magnitude. None: no limit.
    projection : int, optional
        Number of units of h, fewer than `units`. None: h is not projected.
    zoneout : float in [0, 1), or (float, float), default 0.0
        See :class:`gatewise.cells.LSTMCell`.
    layer_normalization : bool, default False
        See :class:`gatewise.cells.LSTMCell`.
    output_gate_inside : bool, default False
        The output gate multiplies c before the output activation: ``h = out(o c)``.
    **kwargs
        Arguments of :class:`Recurrent` and :class:`Layer`.

    Raises
    ------
    ConfigError
        An argument has a wrong value, or two contradict each other.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise.layers import LSTM
    >>> output, h, c = LSTM(4, return_state=True).forward(np.ones((2, 5, 3), np.float32))
    >>> c.shape
    (2, 4)
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
        output_gate_inside: bool = False,
        **kwargs: Any,
    ) -> None:
        cell = LSTMCell(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            output_activation=output_activation,
            peepholes=peepholes,
            coupled=coupled,
            input_gate=input_gate,
            forget_gate=forget_gate,
            output_gate=output_gate,
            clip=clip,
            cell_clip=cell_clip,
            projection=projection,
            zoneout=zoneout,
            layer_normalization=layer_normalization,
            output_gate_inside=output_gate_inside,
        )
        super().__init__(cell, **kwargs)
        self.unit_forget_bias = unit_forget_bias

    @classmethod
    def variant(cls, name: str, units: int, **options: Any) -> Self | RNN:
        """Make a variant of Greff et al. 2017 by its name in the paper.

        Parameters
        ----------
        name : str
            A name that :func:`gatewise.cells.greff` takes, or "FGR", full gate recurrence. That is
            a cell in NumPy, so that the result is an :class:`RNN`, which takes fewer options.
        units : int
            Number of units.
        **options
            Other arguments of the layer.

        Returns
        -------
        LSTM or RNN
            A new layer.

        Raises
        ------
        ConfigError
            The name is not known.

        Examples
        --------
        >>> from gatewise.layers import LSTM
        >>> LSTM.variant("NIG", 64).cell.input_gate
        False
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
