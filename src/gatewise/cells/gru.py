"""The gated recurrent unit (Cho et al. 2014) in its published forms."""

from gatewise import checks
from gatewise.errors import ConfigError

from .base import Cell


class GRUCell(Cell):
    """``z, r = gate(x W + h' U + b)``, then a candidate h (n in the formulas) and a mix of it with h'.

    Parameters
    ----------
    reset_after : bool
        True: ``n = act(x W + b + r (h' U + b_r))`` (PyTorch, Keras's default); the bias has two
        rows, input and recurrent. False: ``n = act(x W + (r h') U + b)`` (Cho et al. 2014).
    update : {"cho", "chung"}
        ``h = z h' + (1 - z) n`` (Keras, PyTorch, ONNX), or ``h = (1 - z) h' + z n`` (Chung et al.
        2014).
    layer_normalization : bool
        See :class:`Cell`. Sums of z and r are normalised together, those of n apart. With
        ``reset_after=True``.

    Raises
    ------
    ConfigError
        Options that contradict each other.
    """

    family = "gru"
    gates = ("z", "r", "h")

    def __init__(
        self,
        units,
        activation="tanh",
        recurrent_activation="sigmoid",
        use_bias=True,
        reset_after=True,
        update="cho",
        clip=None,
        zoneout=0.0,
        layer_normalization=False,
    ):
        super().__init__(
            units, activation, recurrent_activation, use_bias, clip, zoneout, layer_normalization
        )
        self.reset_after = checks.flag(reset_after, "reset_after")
        if update not in ("cho", "chung"):
            raise ConfigError(f"update is {update!r}; expected 'cho' or 'chung'")
        self.update = update
        self._refuse_beside_normalization()
        if self.layer_normalization and not self.reset_after:
            raise ConfigError(
                "layer_normalization=True needs reset_after=True: Ba et al. 2016 normalise h' U,"
                " and r multiplies what comes of it; with reset_after=False r multiplies h' before"
                " there is a product"
            )

    def kind(self):
        """What the weights are those of: without a bias, both reset forms have the same shapes, and both update forms have."""
        return f"GRU(reset_after={self.reset_after}, update={self.update!r})"

    def bias_shape(self):
        """(2, 3 * units) where the recurrent product has a bias of its own, else (3 * units,)."""
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def split_bias(self, bias):
        """(input bias, recurrent bias)."""
        if bias is None or not self.reset_after:
            return bias, None
        return bias[0], bias[1]

    def _kernel_options(self):
        return super()._kernel_options() | {
            "reset_after": self.reset_after,
            "chung": self.update == "chung",
        }
