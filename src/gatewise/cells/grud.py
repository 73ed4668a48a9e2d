"""GRU-D, the gated recurrent unit for series with missing values (Che et al. 2018)."""

from .base import Cell


class GRUDCell(Cell):
    """A GRU that decays its state, and what it last saw of each feature, with the time since that was seen.

    The equations and the weights stand at :class:`gatewise.layers.GRUD`.
    """

    gates = ("z", "r", "h")
    states = ("h", "seen")

    def parameter_shapes(self, inputs):
        """dict name -> shape, for x with values, mask and time of inputs / 3 features."""
        features = inputs // 3
        shapes = super().parameter_shapes(features)
        return shapes | {
            "mask_kernel": shapes["kernel"],
            "input_decay_kernel": (features,),
            "input_decay_bias": (features,),
            "hidden_decay_kernel": (features, self.units),
            "hidden_decay_bias": (self.units,),
        }
