"""The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000), and its variants."""

from types import MappingProxyType

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.kernels import activations

from .base import Cell, _limit

# The variants of Greff et al. 2017, by their names there. "V" is what they start from: it has
# peepholes.
GREFF = {
    "V": {"peepholes": True},
    "NIG": {"peepholes": True, "input_gate": False},
    "NFG": {"peepholes": True, "forget_gate": False},
    "NOG": {"peepholes": True, "output_gate": False},
    "NIAF": {"peepholes": True, "activation": "linear", "output_activation": "tanh"},
    "NOAF": {"peepholes": True, "output_activation": "linear"},
    "CIFG": {"peepholes": True, "coupled": True},
    "NP": {"peepholes": False},
}


def greff(name):
    """Options of an LSTM, those of a variant in "LSTM: A Search Space Odyssey" (Greff et al. 2017).

    Parameters
    ----------
    name : {"V", "NIG", "NFG", "NOG", "NIAF", "NOAF", "CIFG", "NP"}

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        Not one of them. "FGR", full gate recurrence, is no setting: its gates see the gates of the
        step before, which is :class:`~gatewise.cells.FullGateLSTMCell`.
    """
    if name not in GREFF:
        hint = (
            "; FGR is a cell of its own: RNN(FullGateLSTMCell(units)), or LSTM.variant"
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
    output_activation : str or tuple, optional
        Of the cell's output. None: as `activation`.
    peepholes : bool
        i and f add ``p c'`` to their sums and o adds ``p c`` (Gers and Schmidhuber 2000). Parameter
        ``peephole``, a row for each of i, f, o that there is.
    coupled : bool
        ``f = 1 - i`` (ONNX's input_forget, CIFG): no weights for f.
    input_gate, forget_gate, output_gate : bool
        False: this gate is 1, and has no weights.
    cell_clip : float, optional
        c is held within [-cell_clip, cell_clip] (Sak et al. 2014).
    projection : int, optional
        ``h = (o out(c)) W_r`` has this many numbers, fewer than `units` (Sak et al. 2014; PyTorch's
        proj_size). Parameter ``projection_kernel`` (units, projection).
    zoneout : float, or (float, float)
        Rate of c and h, or of c, and of h. h comes from the c before zoneout.
    layer_normalization : bool
        See :class:`Cell`. Here c is normalised before `out` too: parameters ``cell_gain``,
        ``cell_bias`` (units,).

    Raises
    ------
    ConfigError
        Options that contradict each other.
    """

    family = "lstm"
    states = ("h", "c")
    OPTIONS = MappingProxyType(
        {
            **Cell.OPTIONS,
            "zoneout": [0.0, 0.0],
            "output_activation": None,
            "peepholes": False,
            "coupled": False,
            "input_gate": True,
            "forget_gate": True,
            "output_gate": True,
            "cell_clip": None,
            "projection": None,
        }
    )

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        output_activation=None,
        peepholes=False,
        coupled=False,
        input_gate=True,
        forget_gate=True,
        output_gate=True,
        clip=None,
        cell_clip=None,
        projection=None,
        zoneout=0.0,
        layer_normalization=False,
    ):
        super().__init__(
            units, activation, recurrent_activation, use_bias, clip, zoneout, layer_normalization
        )
        self.output_activation = (
            None if output_activation is None else activations.check_name(output_activation)
        )
        self.peepholes, self.coupled = (
            checks.flag(peepholes, "peepholes"),
            checks.flag(coupled, "coupled"),
        )
        self.input_gate = checks.flag(input_gate, "input_gate")
        self.forget_gate = checks.flag(forget_gate, "forget_gate")
        self.output_gate = checks.flag(output_gate, "output_gate")
        self.cell_clip = _limit(cell_clip, "cell_clip")
        self.projection = (
            None if projection is None else checks.whole_number(projection, "projection")
        )
        self._refuse_contradictions()
        there = {
            "i": self.input_gate,
            "f": self.forget_gate and not self.coupled,
            "g": True,
            "o": self.output_gate,
        }
        self.gates = tuple(gate for gate, is_there in there.items() if is_there)
        self.peephole_gates = (
            tuple(gate for gate in self.gates if gate != "g") if self.peepholes else ()
        )

    def _refuse_contradictions(self):
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
                "peepholes=True needs a gate that sees the cell; all three are switched off"
            )
        if self.projection is not None and self.projection >= self.units:
            raise ConfigError(
                f"projection is {self.projection}; expected fewer than the cell's {self.units}"
                " units"
            )
        self._refuse_beside_normalization()

    def _checked_zoneout(self, zoneout):
        """(rate of c, rate of h)."""
        pair = tuple(zoneout) if isinstance(zoneout, list | tuple) else (zoneout, zoneout)
        if len(pair) != 2:
            raise ConfigError(f"zoneout has {len(pair)} rates; expected one, or two: of c and of h")
        return tuple(checks.fraction(rate, "zoneout") for rate in pair)

    def kind(self):
        """What the weights are those of, if gates are missing: they are as many, whichever of them is."""
        if len(self.gates) == 4:
            return None
        options = {"coupled": False, "input_gate": True, "forget_gate": True, "output_gate": True}
        chosen = [
            f"{name}={not usual}" for name, usual in options.items() if getattr(self, name) != usual
        ]
        return f"LSTM({', '.join(chosen)})"

    @property
    def output_width(self):
        """Numbers in h."""
        return self.units if self.projection is None else self.projection

    @property
    def state_sizes(self):
        """Numbers in h and in c."""
        return (self.output_width, self.units)

    def parameter_shapes(self, inputs):
        """dict name -> shape, in Keras's order; then those that Keras has not."""
        shapes = super().parameter_shapes(inputs)
        if self.peepholes:
            shapes["peephole"] = (len(self.peephole_gates), self.units)
        if self.projection is not None:
            shapes["projection_kernel"] = (self.units, self.projection)
        if self.layer_normalization:
            shapes |= {"cell_gain": (self.units,), "cell_bias": (self.units,)}
        return shapes

    def operations(self, inputs):
        """Floating-point operations of one row's step."""
        width = self.output_width
        projected = 0 if self.projection is None else 2 * self.units * width
        return 2 * len(self.gates) * self.units * (inputs + width) + projected

    def _output_activation(self):
        return self.activation if self.output_activation is None else self.output_activation

    def _kernel_options(self):
        of_c, of_h = self.zoneout
        return super()._kernel_options() | {
            "gates": self.gates,
            "coupled": self.coupled,
            "peepholes": self.peephole_gates,
            "cell_clip": self.cell_clip or 0.0,
            "projection": self.projection,
            "zoneout_h": of_h,
            "zoneout_c": of_c,
        }
