"""The simple recurrent unit (Elman 1990)."""

from .base import Cell


class SimpleRNNCell(Cell):
    """``h = act(x W + h' U + b)``. Options: see :class:`Cell`."""

    family = "rnn"
    gates = ("h",)

    def __init__(
        self,
        units,
        activation="tanh",
        use_bias=True,
        clip=None,
        zoneout=0.0,
        layer_normalization=False,
    ):
        super().__init__(units, activation, "linear", use_bias, clip, zoneout, layer_normalization)
        self._refuse_beside_normalization()
