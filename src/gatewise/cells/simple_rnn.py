"""The simple recurrent unit (Elman 1990)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .base import Cell

if TYPE_CHECKING:
    from gatewise.kernels.activations import ActivationLike


class SimpleRNNCell(Cell):
    """Elman's cell, ``h = act(x W + h' U + b)``.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "tanh"
        Activation of h: a name, or a name with its constants, ``("leaky_relu", 0.01)``.
    use_bias : bool, default True
        Whether there is a bias.
    clip : float, optional
        See :class:`Cell`.
    zoneout : float in [0, 1), default 0.0
        See :class:`Cell`.
    layer_normalization : bool, default False
        See :class:`Cell`.

    Raises
    ------
    ConfigError
        Two options contradict each other.

    Examples
    --------
    >>> from gatewise.cells import SimpleRNNCell
    >>> SimpleRNNCell(4).parameter_shapes(3)
    {'kernel': (3, 4), 'recurrent_kernel': (4, 4), 'bias': (4,)}
    """

    family: ClassVar[str | None] = "rnn"
    gates: tuple[str, ...] = ("h",)

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        use_bias: bool = True,
        clip: float | None = None,
        zoneout: float = 0.0,
        layer_normalization: bool = False,
    ) -> None:
        super().__init__(units, activation, "linear", use_bias, clip, zoneout, layer_normalization)
        self._refuse_options_with_normalization()
