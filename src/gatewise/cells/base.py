"""The description of a cell: what every family has in common."""

from gatewise import checks
from gatewise.kernels import activations
from gatewise.kernels.recurrent import RecurrentKernel


class Cell:
    """One recurrent cell, without weights.

    Attributes
    ----------
    family : str
        The kernel that computes it.
    gates : tuple of str
        Blocks of units along the last axis of the weights, in order.
    states : tuple of str
        ``("h",)`` or ``("h", "c")``.
    """

    family = None
    gates = ()
    states = ("h",)

    def __init__(self, units, activation="tanh", recurrent_activation="sigmoid", use_bias=True):
        self.units = checks.whole_number(units, "units")
        self.activation = activations.check_name(activation)
        self.recurrent_activation = activations.check_name(recurrent_activation)
        self.use_bias = checks.flag(use_bias, "use_bias")

    @property
    def state_sizes(self):
        """Width of each state, a tuple of int."""
        return (self.units,) * len(self.states)

    def parameter_shapes(self, inputs):
        """dict name -> shape, in Keras's order."""
        width = len(self.gates) * self.units
        shapes = {"kernel": (inputs, width), "recurrent_kernel": (self.units, width)}
        if self.use_bias:
            shapes["bias"] = self.bias_shape()
        return shapes

    def bias_shape(self):
        """Shape of the bias."""
        return (len(self.gates) * self.units,)

    def split_bias(self, bias):
        """(input bias, recurrent bias) of the bias array; None where there is none."""
        return bias, None

    def operations(self, inputs):
        """Floating-point operations of one row's step."""
        return 2 * len(self.gates) * self.units * (inputs + self.units)

    def build_kernel(self, inputs, dtype):
        """The compiled kernel of this cell for one input size and dtype."""
        act = activations.code(self.activation)
        return RecurrentKernel(self.family, dtype, inputs, self.units, act,
                               activations.code(self.recurrent_activation), act, **self._kernel_options())

    def _kernel_options(self):
        return {}
