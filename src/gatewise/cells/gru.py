"""The gated recurrent unit (Cho et al. 2014) in its published forms."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from gatewise import checks
from gatewise.errors import ConfigError
from gatewise.kernels import activations
from gatewise.kernels.cell_options import CANDIDATES

from .base import Cell

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.kernels.activations import Activation, ActivationLike


class GRUCell(Cell):
    """``z, r = gate(x W + h' U + b)``, then a candidate n, and for h a mix of n and h'.

    Parameters
    ----------
    units : int
        Number of units.
    activation, recurrent_activation : str or tuple, default "tanh" and "sigmoid"
        Activations of the candidate and of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    reset_after : bool, default True
        True: ``n = act(x W + b + r (h' U + b_r))`` (PyTorch, Keras's default); the bias has two
        rows, input and recurrent. False: ``n = act(x W + (r h') U + b)`` (Cho et al. 2014).
    update : {"cho", "chung"}, default "cho"
        ``h = z h' + (1 - z) n`` (Keras, PyTorch, ONNX), or ``h = (1 - z) h' + z n`` (Chung et al.
        2014).
    clip : float, optional
        See :class:`Cell`.
    zoneout : float in [0, 1), default 0.0
        See :class:`Cell`.
    layer_normalization : bool, default False
        See :class:`Cell`. The sums of z and r are normalised together, those of n separately.
        Needs ``reset_after=True``.
    candidate : {"reset", "complement", "split", "input"}, default "reset"
        What the gates multiply in the candidate. "reset": r, as above. "complement": ``1 - r``
        takes the place of r. "split": ``n = act(r (x W + b) + (1 - z) (h' U + b_r))``. "input":
        ``n = act(r (x W + b))``, and the recurrent kernel has columns of z and r only. "split" and
        "input" need ``reset_after=True``.
    output_activation : str or tuple, optional
        The output is this activation of h, and h remains the state. None: the output is h.

    Raises
    ------
    ConfigError
        Two options contradict each other.

    Examples
    --------
    >>> from gatewise.cells import GRUCell
    >>> GRUCell(4).parameter_shapes(3)
    {'kernel': (3, 12), 'recurrent_kernel': (4, 12), 'bias': (2, 12)}
    """

    family: ClassVar[str | None] = "gru"
    gates: tuple[str, ...] = ("z", "r", "h")
    _OPTIONS = MappingProxyType({**Cell._OPTIONS, "candidate": "reset", "output_activation": None})

    reset_after: bool
    update: str
    candidate: str
    output_activation: Activation | None

    def __init__(
        self,
        units: int,
        activation: ActivationLike = "tanh",
        recurrent_activation: ActivationLike = "sigmoid",
        use_bias: bool = True,
        reset_after: bool = True,
        update: str = "cho",
        clip: float | None = None,
        zoneout: float = 0.0,
        layer_normalization: bool = False,
        candidate: str = "reset",
        output_activation: ActivationLike = None,
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias, clip, zoneout, layer_normalization
        )
        self.reset_after = checks.flag(reset_after, "reset_after")
        if update not in ("cho", "chung"):
            raise ConfigError(f"update is {update!r}; expected 'cho' or 'chung'")
        self.update = update
        if not isinstance(candidate, str) or candidate not in CANDIDATES:
            raise ConfigError(
                f"candidate is {candidate!r}; expected one of {', '.join(map(repr, CANDIDATES))}"
            )
        self.candidate = candidate
        self.output_activation = (
            None if output_activation is None else activations.check_name(output_activation)
        )
        if candidate in ("split", "input") and not self.reset_after:
            raise ConfigError(
                f"candidate={candidate!r} needs reset_after=True: its gates multiply products, not"
                " h'; leave out reset_after=False"
            )
        self._refuse_options_with_normalization()
        if self.layer_normalization and not self.reset_after:
            raise ConfigError(
                "layer_normalization=True needs reset_after=True: Ba et al. 2016 normalise h' U,"
                " which r then multiplies; with reset_after=False r multiplies h' before the"
                " product"
            )

    def _kind(self) -> str:
        """Return the forms of reset and update, which the shapes do not always tell.

        The two forms of update have the same shapes; without a bias, those of reset too.
        """
        form = "" if self.candidate == "reset" else f", candidate={self.candidate!r}"
        return f"GRU(reset_after={self.reset_after}, update={self.update!r}{form})"

    @property
    def _has_recurrent_bias(self) -> bool:
        return self.reset_after and self.candidate != "input"

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
        if self.candidate == "input":
            shapes["recurrent_kernel"] = (self.units, 2 * self.units)
        return shapes

    def _operations(self, inputs: int) -> int:
        recurrent_gates = 2 if self.candidate == "input" else 3
        return 2 * self.units * (3 * inputs + recurrent_gates * self.units)

    def _bias_shape(self) -> tuple[int, ...]:
        """(2, 3 * units) if the recurrent product has its own bias, else (3 * units,)."""
        return (2, 3 * self.units) if self._has_recurrent_bias else (3 * self.units,)

    def _split_bias(self, bias: Array | None) -> tuple[Array | None, Array | None]:
        if bias is None or not self._has_recurrent_bias:
            return bias, None
        return bias[0], bias[1]

    def _output_activation(self) -> Activation:
        return self.activation if self.output_activation is None else self.output_activation

    def _activation_of_state(self) -> Activation | None:
        return None if self.output_activation == "linear" else self.output_activation

    def _kernel_options(self) -> dict[str, Any]:
        return super()._kernel_options() | {
            "reset_after": self.reset_after,
            "chung": self.update == "chung",
            "candidate": self.candidate,
            "activates_output": self._activation_of_state() is not None,
        }
