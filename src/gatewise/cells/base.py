"""The description of a cell: what every family has in common."""

from types import MappingProxyType

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError
from gatewise.kernels import activations
from gatewise.kernels.cell_options import CellOptions
from gatewise.kernels.recurrent import RecurrentKernel


class Cell(Guarded):
    """One recurrent cell, without weights.

    Parameters
    ----------
    units : int
    activation, recurrent_activation : str or tuple
        Of the candidate; of the gates. A name, or a name with its constants, ``("leaky_relu",
        0.01)``.
    use_bias : bool
    clip : float, optional
        Sums go into activations within [-clip, clip] (ONNX). None: as they are.
    zoneout : float in [0, 1)
        Part of h that keeps its old value, by a draw for each unit and step in training, by its
        expectation at inference (Krueger et al. 2017).
    layer_normalization : bool
        Sums of the input and sums of h' are normalised over their units, with gains (Ba et al.
        2016); docs/equations.md has the formulas. Parameters ``input_gain``, ``recurrent_gain``,
        each (gates * units,). With no other option.

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
    # And what they are where nobody chose.
    OPTIONS = MappingProxyType({"clip": None, "zoneout": 0.0, "layer_normalization": False})

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        clip=None,
        zoneout=0.0,
        layer_normalization=False,
    ):
        self.units = checks.whole_number(units, "units")
        self.activation = activations.check_name(activation)
        self.recurrent_activation = activations.check_name(recurrent_activation)
        self.use_bias = checks.flag(use_bias, "use_bias")
        self.clip = _limit(clip, "clip")
        self.zoneout = self._checked_zoneout(zoneout)
        self.layer_normalization = checks.flag(layer_normalization, "layer_normalization")

    def _refuse_beside_normalization(self):
        others = [
            name
            for name in self.chosen_options()
            if name not in ("layer_normalization", "output_activation")
        ]
        if self.layer_normalization and others:
            raise ConfigError(
                "layer_normalization=True is there for the plain cell only; leave out"
                f" {', '.join(others)}"
            )

    def _checked_zoneout(self, zoneout):
        return checks.fraction(zoneout, "zoneout")

    @property
    def output_width(self):
        """Width of h."""
        return self.units

    @property
    def state_sizes(self):
        """Width of each state, a tuple of int."""
        return (self.output_width,)

    def chosen_options(self):
        """Those of OPTIONS that somebody chose, as JSON values: what a layer's configuration holds of them."""
        chosen = {name: getattr(self, name) for name in self.OPTIONS}
        chosen = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in chosen.items()
        }
        return {name: value for name, value in chosen.items() if value != self.OPTIONS[name]}

    def kind(self):
        """What the weights are those of, as text, if cells of other kinds have weights of the same shapes; else None."""
        return None

    def parameter_shapes(self, inputs):
        """dict name -> shape, in Keras's order; then those that Keras has not."""
        width = len(self.gates) * self.units
        shapes = {"kernel": (inputs, width), "recurrent_kernel": (self.output_width, width)}
        if self.use_bias:
            shapes["bias"] = self.bias_shape()
        if self.layer_normalization:
            shapes |= {"input_gain": (width,), "recurrent_gain": (width,)}
        return shapes

    def bias_shape(self):
        """Shape of the bias."""
        return (len(self.gates) * self.units,)

    def split_bias(self, bias):
        """(input bias, recurrent bias) of the bias array; None where there is none."""
        return bias, None

    def kernel_arrays(self, arrays):
        """Parameters, or their gradients, by the kernel's names for them; None where there is none."""
        bias, recurrent_bias = self.split_bias(arrays.get("bias"))
        return {**arrays, "bias": bias, "recurrent_bias": recurrent_bias}

    def operations(self, inputs):
        """Floating-point operations of one row's step."""
        return 2 * len(self.gates) * self.units * (inputs + self.units)

    def build_kernel(self, inputs, dtype):
        """The compiled kernel of this cell for one input size and dtype."""
        return RecurrentKernel(
            self.family,
            dtype,
            inputs,
            self.units,
            CellOptions(**self._kernel_options()),
        )

    def _output_activation(self):
        return self.activation

    def _kernel_options(self):
        """Arguments of CellOptions."""
        return {
            "activation": activations.code(self.activation),
            "recurrent_activation": activations.code(self.recurrent_activation),
            "output_activation": activations.code(self._output_activation()),
            "clip": self.clip or 0.0,
            "zoneout_h": self.zoneout,
            "layer_normalization": self.layer_normalization,
        }


def _limit(value, name):
    """A positive number, or None."""
    if value is None:
        return None
    limit = checks.number(value, name)
    if not 0 < limit < 1e30:
        raise ConfigError(f"{name} is {limit}; expected a positive number, or None for no limit")
    return limit
