"""The long short-term memory and its variants.

Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.kernels import activations

from .base import Cell, _limit

if TYPE_CHECKING:
    from gatewise.kernels.activations import Activation, ActivationLike

# The variants of Greff et al. 2017 by their names there. "V", the vanilla LSTM, has peepholes.
GREFF: dict[str, dict[str, Any]] = {
    "V": {"peepholes": True},
    "NIG": {"peepholes": True, "input_gate": False},
    "NFG": {"peepholes": True, "forget_gate": False},
    "NOG": {"peepholes": True, "output_gate": False},
    "NIAF": {"peepholes": True, "activation": "linear", "output_activation": "tanh"},
    "NOAF": {"peepholes": True, "output_activation": "linear"},
    "CIFG": {"peepholes": True, "coupled": True},
    "NP": {"peepholes": False},
}


def greff(name: str) -> dict[str, Any]:
    """Return the options of an LSTM variant in "LSTM: A Search Space Odyssey" (Greff et al. 2017).

    Parameters
    ----------
    name : {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP"}
        Name of the variant in the paper.

    Returns
    -------
    dict of str to value
        Arguments of :class:`LSTMCell` and of :class:`gatewise.layers.LSTM`.

    Raises
    ------
    ConfigError
        The name is not known. "FGR", full gate recurrence, is not a set of options: its gates see
        the gates of the step before, which is :class:`~gatewise.cells.FullGateLSTMCell`.

    Examples
    --------
    >>> from gatewise.cells import greff
    >>> greff("CIFG")
    {'peepholes': True, 'coupled': True}
    """
    if name not in GREFF:
        hint = (
            "; FGR is another cell: RNN(FullGateLSTMCell(units)), or LSTM.variant"
            if name == "FGR"
            else ""
        )
        raise ConfigError(
            f"LSTM variant {name!r} is not known; choose one of {', '.join(GREFF)}{hint}"
        )
    return dict(GREFF[name])


class LSTMCell(Cell):
    """``i, f, o = gate(x W + h' U + b); g = act(x W + h' U + b); c = f c' + i g; h = o out(c)``.

    Parameters
    ----------
    units : int
        Number of units.
    activation, recurrent_activation : str or tuple, default "tanh" and "sigmoid"
        Activations of the candidate g and of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    output_activation : str or tuple, optional
        Activation `out` of the cell's output. None: the same as `activation`.
    peepholes : bool, default False
        Add ``p c'`` to the sums of i and f, and ``p c`` to that of o (Gers and Schmidhuber 2000).
        The parameter ``peephole`` has a row for each of i, f, o that the cell has.
    coupled : bool, default False
        ``f = 1 - i`` (ONNX's input_forget, CIFG): no weights for f.
    input_gate, forget_gate, output_gate : bool, default True
        False: this gate is 1, and has no weights.
    clip : float, optional
        See :class:`Cell`.
    cell_clip : float, optional
        Limit c to [-cell_clip, cell_clip] (Sak et al. 2014). None: no limit.
    projection : int, optional
        ``h = (o out(c)) W_r`` has this many units, fewer than `units` (Sak et al. 2014; PyTorch's
        proj_size). Adds the parameter ``projection_kernel`` (units, projection). None: no
        projection.
    zoneout : float, or (float, float), default 0.0
        Rate of both c and h, or the rates of c and of h. h is computed from c before zoneout.
    layer_normalization : bool, default False
        See :class:`Cell`. An LSTM also normalises c before `out`: adds the parameters
        ``cell_gain`` and ``cell_bias``, each (units,).
    output_gate_inside : bool, default False
        ``h = out(o c)`` instead of ``h = o out(c)``.

    Attributes
    ----------
    gates : tuple of str
        The gates with weights, in the order i, f, g, o.
    peephole_gates : tuple of str
        The gates of the rows of ``peephole``, in order.

    Raises
    ------
    ConfigError
        Two options contradict each other.

    Examples
    --------
    >>> from gatewise.cells import LSTMCell
    >>> cell = LSTMCell(4, coupled=True)
    >>> cell.gates
    ('i', 'g', 'o')
    >>> cell.parameter_shapes(3)
    {'kernel': (3, 12), 'recurrent_kernel': (4, 12), 'bias': (12,)}
    """

    family: ClassVar[str | None] = "lstm"
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    _WITH_NORMALIZATION = frozenset({"layer_normalization", "output_activation"})
    _OPTIONS = MappingProxyType(
        {
            **Cell._OPTIONS,
            "zoneout": [0.0, 0.0],
            "output_activation": None,
            "peepholes": False,
            "coupled": False,
            "input_gate": True,
            "forget_gate": True,
            "output_gate": True,
            "cell_clip": None,
            "projection": None,
            "output_gate_inside": False,
        }
    )

    output_activation: Activation | None
    peepholes: bool
    coupled: bool
    input_gate: bool
    forget_gate: bool
    output_gate: bool
    output_gate_inside: bool
    cell_clip: float | None
    projection: int | None
    peephole_gates: tuple[str, ...]

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        output_activation: ActivationLike = None,
        peepholes: bool = False,
        coupled: bool = False,
        input_gate: bool = True,
        forget_gate: bool = True,
        output_gate: bool = True,
        clip: float | None = None,
        cell_clip: float | None = None,
        projection: int | None = None,
        zoneout: float | tuple[float, float] = 0.0,
        layer_normalization: bool = False,
        output_gate_inside: bool = False,
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias, clip, zoneout, layer_normalization
        )
        self.output_activation = (
            None if output_activation is None else activations.check_name(output_activation)
        )
        self.peepholes = checks.flag(peepholes, "peepholes")
        self.coupled = checks.flag(coupled, "coupled")
        self.input_gate = checks.flag(input_gate, "input_gate")
        self.forget_gate = checks.flag(forget_gate, "forget_gate")
        self.output_gate = checks.flag(output_gate, "output_gate")
        self.output_gate_inside = checks.flag(output_gate_inside, "output_gate_inside")
        self.cell_clip = _limit(cell_clip, "cell_clip")
        self.projection = (
            None if projection is None else checks.whole_number(projection, "projection")
        )
        self._refuse_contradictions()
        has_weights = {
            "i": self.input_gate,
            "f": self.forget_gate and not self.coupled,
            "g": True,
            "o": self.output_gate,
        }
        self.gates: tuple[str, ...] = tuple(gate for gate, has in has_weights.items() if has)
        self.peephole_gates = (
            tuple(gate for gate in self.gates if gate != "g") if self.peepholes else ()
        )

    def _refuse_contradictions(self) -> None:
        if self.coupled and not self.forget_gate:
            raise ConfigError(
                "coupled=True makes the forget gate 1 - i; forget_gate=False makes it 1: choose one"
            )
        if self.coupled and not self.input_gate:
            raise ConfigError(
                "coupled=True needs the input gate: with input_gate=False f = 1 - i would always"
                " be 0"
            )
        if self.peepholes and not (self.input_gate or self.forget_gate or self.output_gate):
            raise ConfigError(
                "peepholes=True needs an input, forget or output gate; all three are switched off"
            )
        if self.output_gate_inside and not self.output_gate:
            raise ConfigError(
                "output_gate_inside=True needs the output gate; with output_gate=False it is 1"
            )
        if self.projection is not None and self.projection >= self.units:
            raise ConfigError(
                f"projection is {self.projection}; expected fewer than the cell's {self.units}"
                " units"
            )
        self._refuse_options_with_normalization()

    def _checked_zoneout(self, zoneout: Any) -> tuple[float, float]:
        """Return (rate of c, rate of h)."""
        pair = tuple(zoneout) if isinstance(zoneout, list | tuple) else (zoneout, zoneout)
        if len(pair) != 2:
            raise ConfigError(f"zoneout has {len(pair)} rates; expected one, or two: of c and of h")
        of_c, of_h = pair
        return checks.fraction(of_c, "zoneout"), checks.fraction(of_h, "zoneout")

    def _kind(self) -> str | None:
        """Return which gates are missing: the shapes are the same whichever gate is missing."""
        if len(self.gates) == 4 and not self.output_gate_inside:
            return None
        options = {
            "coupled": False,
            "input_gate": True,
            "forget_gate": True,
            "output_gate": True,
            "output_gate_inside": False,
        }
        chosen = [
            f"{name}={not usual}" for name, usual in options.items() if getattr(self, name) != usual
        ]
        return f"LSTM({', '.join(chosen)})"

    @property
    def output_width(self) -> int:
        """Number of units of h."""
        return self.units if self.projection is None else self.projection

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Number of units of h and of c."""
        return (self.output_width, self.units)

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
        shapes = super().parameter_shapes(inputs)
        if self.peepholes:
            shapes["peephole"] = (len(self.peephole_gates), self.units)
        if self.projection is not None:
            shapes["projection_kernel"] = (self.units, self.projection)
        if self.layer_normalization:
            shapes |= {"cell_gain": (self.units,), "cell_bias": (self.units,)}
        return shapes

    def _operations(self, inputs: int) -> int:
        width = self.output_width
        projected = 0 if self.projection is None else 2 * self.units * width
        return 2 * len(self.gates) * self.units * (inputs + width) + projected

    def _output_activation(self) -> Activation:
        return self.activation if self.output_activation is None else self.output_activation

    def _kernel_options(self) -> dict[str, Any]:
        rates = self.zoneout
        of_c, of_h = rates if isinstance(rates, tuple) else (rates, rates)
        return super()._kernel_options() | {
            "gates": self.gates,
            "coupled": self.coupled,
            "output_gate_inside": self.output_gate_inside,
            "peepholes": self.peephole_gates,
            "cell_clip": self.cell_clip or 0.0,
            "projection": self.projection,
            "zoneout_h": of_h,
            "zoneout_c": of_c,
        }
