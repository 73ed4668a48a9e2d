"""minGRU and minLSTM (Feng et al. 2024, "Were RNNs All We Needed?"): gates that see the input alone."""

from types import MappingProxyType

from gatewise.kernels import activations
from gatewise.kernels.scan import ScanKernel

from .base import Cell


class MinimalCell(Cell):
    """What the two share: no recurrent kernel, so all steps' gates are one product, and time is a scan.

    Parameters
    ----------
    units : int
    activation : str or tuple
        Of the candidate; the paper has none.
    use_bias : bool
    """

    OPTIONS = MappingProxyType({})

    def __init__(self, units, activation="linear", use_bias=True):
        super().__init__(units, activation, "sigmoid", use_bias)

    def parameter_shapes(self, inputs):
        """dict name -> shape."""
        shapes = super().parameter_shapes(inputs)
        del shapes["recurrent_kernel"]
        return shapes

    def operations(self, inputs):
        """Floating-point operations of one row's step."""
        return 2 * self.units * (len(self.gates) * inputs + 1)

    def build_kernel(self, inputs, dtype):
        """The compiled kernel of this cell for one input size and dtype."""
        return ScanKernel(self.family, dtype, inputs, self.units, activations.code(self.activation))


class MinGRUCell(MinimalCell):
    """``z = sigm(x W_z + b_z); n = act(x W_n + b_n); h = (1 - z) h' + z n``."""

    family = "mingru"
    gates = ("z", "h")


class MinLSTMCell(MinimalCell):
    """``f, i = sigm(x W + b); n = act(x W_n + b_n); h = (f h' + i n) / (f + i)``."""

    family = "minlstm"
    gates = ("f", "i", "h")
