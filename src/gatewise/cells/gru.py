"""The gated recurrent unit (Cho et al. 2014) in its published forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Cell

if TYPE_CHECKING:
    from gatewise._typing import Array
    from gatewise.kernels.activations import ActivationLike


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

    reset_after: bool
    update: str

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
    ) -> None:
        super().__init__(
            units, activation, recurrent_activation, use_bias, clip, zoneout, layer_normalization
        )
        self.reset_after = checks.flag(reset_after, "reset_after")
        if update not in ("cho", "chung"):
            raise ConfigError(f"update is {update!r}; expected 'cho' or 'chung'")
        self.update = update
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
        return f"GRU(reset_after={self.reset_after}, update={self.update!r})"

    def _bias_shape(self) -> tuple[int, ...]:
        """(2, 3 * units) if the recurrent product has its own bias, else (3 * units,)."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _split_bias(self, bias: Array | None) -> tuple[Array | None, Array | None]:
        if bias is None or not self.reset_after:
            return bias, None
        return bias[0], bias[1]

    def _kernel_options(self) -> dict[str, Any]:
        return super()._kernel_options() | {
            "reset_after": self.reset_after,
            "chung": self.update == "chung",
        }
