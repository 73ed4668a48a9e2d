"""minGRU and minLSTM (Feng et al. 2024, "Were RNNs All We Needed?"): gates depend on x only."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from gatewise.kernels import activations
from gatewise.kernels.scan import ScanKernel

from .base import Cell

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from gatewise.kernels.activations import ActivationLike


class MinimalCell(Cell):
    """Base of both cells, which have no recurrent kernel.

    The gates of all steps are therefore one product, and time is a scan.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "linear"
        Activation of the candidate; the paper has none.
    use_bias : bool, default True
        Whether there is a bias.
    """

    _OPTIONS = MappingProxyType({})

    def __init__(
        self, units: int, activation: ActivationLike = "linear", use_bias: bool = True
    ) -> None:
        super().__init__(units, activation, "sigmoid", use_bias)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name.

        Parameters
        ----------
        inputs : int
            Number of features of x.

        Returns
        -------
        dict of str to tuple of int
            Shapes by name, in the order of the weights.
        """
        shapes = super().parameter_shapes(inputs)
        del shapes["recurrent_kernel"]
        return shapes

    def _operations(self, inputs: int) -> int:
        return 2 * self.units * (len(self.gates) * inputs + 1)

    def _build_kernel(self, inputs: int, dtype: DTypeLike) -> ScanKernel:
        code = activations.code(self.activation)
        return ScanKernel(str(self.family), dtype, inputs, self.units, code)


class MinGRUCell(MinimalCell):
    """``z = sigm(x W_z + b_z); n = act(x W_n + b_n); h = (1 - z) h' + z n``.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "linear"
        Activation of the candidate.
    use_bias : bool, default True
        Whether there is a bias.

    Examples
    --------
    >>> from gatewise.cells import MinGRUCell
    >>> MinGRUCell(4).parameter_shapes(3)
    {'kernel': (3, 8), 'bias': (8,)}
    """

    family: ClassVar[str | None] = "mingru"
    gates: tuple[str, ...] = ("z", "h")


class MinLSTMCell(MinimalCell):
    """``f, i = sigm(x W + b); n = act(x W_n + b_n); h = (f h' + i n) / (f + i)``.

    Parameters
    ----------
    units : int
        Number of units.
    activation : str or tuple, default "linear"
        Activation of the candidate.
    use_bias : bool, default True
        Whether there is a bias.

    Examples
    --------
    >>> from gatewise.cells import MinLSTMCell
    >>> MinLSTMCell(4).parameter_shapes(3)
    {'kernel': (3, 12), 'bias': (12,)}
    """

    family: ClassVar[str | None] = "minlstm"
    gates: tuple[str, ...] = ("f", "i", "h")
