"""The description of a cell: what every family has in common."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from gatewise import checks
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError
from gatewise.kernels import activations
from gatewise.kernels.cell_options import CellOptions
from gatewise.kernels.recurrent import RecurrentKernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import DTypeLike

    from gatewise._typing import Array, Config
    from gatewise.kernels.activations import Activation, ActivationLike
    from gatewise.kernels.scan import ScanKernel


class Cell(Guarded):
    """Base of the cells that the kernels compute: options and shapes, without weights.

    A layer owns the weights and has one cell. Names without an underscore are for users; the layers
    of gatewise read the others. For a user-defined cell see :class:`RNNCell`.

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
    clip : float, optional
        The sums are limited to [-clip, clip] before their activations (ONNX). None: no limit.
    zoneout : float in [0, 1), default 0.0
        Probability that a unit of h keeps its old value: drawn for each unit and step in training;
        inference uses the expected value (Krueger et al. 2017).
    layer_normalization : bool, default False
        Normalise the input's sums and the sums of h' over their units, with gains (Ba et al.
        2016); docs/equations.md has the formulas. Adds the parameters ``input_gain`` and
        ``recurrent_gain``, each (gates * units,). Cannot be combined with other options.

    Attributes
    ----------
    family : str or None
        Name of the kernel that computes the cell. None: it is computed in NumPy.
    gates : tuple of str
        Blocks of `units` columns in the weights, in order.
    states : tuple of str
        ``("h",)`` or ``("h", "c")``.

    Examples
    --------
    >>> from gatewise.cells import Cell, LSTMCell
    >>> isinstance(LSTMCell(4), Cell)
    True
    """

    family: ClassVar[str | None] = None
    gates: tuple[str, ...] = ()
    states: ClassVar[tuple[str, ...]] = ("h",)
    # Options that layer normalisation can be combined with.
    _WITH_NORMALIZATION: ClassVar[frozenset[str]] = frozenset({"layer_normalization"})
    # Options of the cell with their defaults.
    _OPTIONS: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"clip": None, "zoneout": 0.0, "layer_normalization": False}
    )

    units: int
    activation: Activation
    recurrent_activation: Activation
    use_bias: bool
    clip: float | None
    zoneout: float | tuple[float, float]
    layer_normalization: bool

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        clip: float | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        layer_normalization: bool = False,
    ) -> None:
        self.units = checks.whole_number(units, "units")
        self.activation = activations.check_name(activation)
        self.recurrent_activation = activations.check_name(recurrent_activation)
        self.use_bias = checks.flag(use_bias, "use_bias")
        self.clip = _limit(clip, "clip")
        self.zoneout = self._checked_zoneout(zoneout)
        self.layer_normalization = checks.flag(layer_normalization, "layer_normalization")

    def _refuse_options_with_normalization(self) -> None:
        others = [name for name in self._chosen_options() if name not in self._WITH_NORMALIZATION]
        if self.layer_normalization and others:
            raise ConfigError(
                "layer_normalization=True works for the plain cell only; leave out"
                f" {', '.join(others)}"
            )

    def _checked_zoneout(self, zoneout: Any) -> float | tuple[float, float]:
        """Return the rate of zoneout, or the rates of cells that have several."""
        return checks.fraction(zoneout, "zoneout")

    @property
    def output_width(self) -> int:
        """Number of units of h."""
        return self.units

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Number of units of each state, in the order of `states`."""
        return (self.output_width,)

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name: in Keras's order, then those that Keras does not have.

        Parameters
        ----------
        inputs : int
            Number of features of x.

        Returns
        -------
        dict of str to tuple of int
            Shapes by name, in the order of the weights.
        """
        width = len(self.gates) * self.units
        shapes: dict[str, tuple[int, ...]] = {
            "kernel": (inputs, width),
            "recurrent_kernel": (self.output_width, width),
        }
        if self.use_bias:
            shapes["bias"] = self._bias_shape()
        if self.layer_normalization:
            shapes |= {"input_gain": (width,), "recurrent_gain": (width,)}
        return shapes

    def _chosen_options(self) -> Config:
        """Options that differ from their defaults, as JSON values for a layer's configuration."""
        chosen = {name: getattr(self, name) for name in self._OPTIONS}
        chosen = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in chosen.items()
        }
        return {name: value for name, value in chosen.items() if value != self._OPTIONS[name]}

    def _kind(self) -> str | None:
        """Return which kind of cell the weights fit, if another kind has the same shapes."""
        return None

    def _bias_shape(self) -> tuple[int, ...]:
        return (len(self.gates) * self.units,)

    def _split_bias(self, bias: Array | None) -> tuple[Array | None, Array | None]:
        """Return (input bias, recurrent bias); None for a bias that the cell does not have."""
        return bias, None

    def _kernel_arrays(self, arrays: Mapping[str, Array]) -> dict[str, Array | None]:
        """Return parameters, or their gradients, by the names that the kernel uses."""
        bias, recurrent_bias = self._split_bias(arrays.get("bias"))
        return {**arrays, "bias": bias, "recurrent_bias": recurrent_bias}

    def _operations(self, inputs: int) -> int:
        """Return the number of floating-point operations of one step of one row."""
        return 2 * len(self.gates) * self.units * (inputs + self.units)

    def _build_kernel(self, inputs: int, dtype: DTypeLike) -> RecurrentKernel | ScanKernel:
        """Return the compiled kernel of this cell for one input size and dtype."""
        if self.family is None:
            raise ConfigError(f"{type(self).__name__} has no compiled kernel")
        return RecurrentKernel(
            self.family, dtype, inputs, self.units, CellOptions(**self._kernel_options())
        )

    def _output_activation(self) -> Activation:
        return self.activation

    def _activation_of_state(self) -> Activation | None:
        """Return the activation that makes the output from h; None: the output is h."""
        return None

    def _kernel_options(self) -> dict[str, Any]:
        """Return the arguments of CellOptions."""
        return {
            "activation": activations.code(self.activation),
            "recurrent_activation": activations.code(self.recurrent_activation),
            "output_activation": activations.code(self._output_activation()),
            "clip": self.clip or 0.0,
            "zoneout_h": self.zoneout,
            "layer_normalization": self.layer_normalization,
        }


def _limit(value: float | None, name: str) -> float | None:
    """Return a positive number, or None."""
    if value is None:
        return None
    limit = checks.number(value, name)
    if not 0 < limit < 1e30:
        raise ConfigError(f"{name} is {limit}; expected a positive number, or None for no limit")
    return limit
