"""GRU-D, the gated recurrent unit for series with missing values (Che et al. 2018)."""

from __future__ import annotations

from typing import ClassVar

from .base import Cell


class GRUDCell(Cell):
    """A GRU that decays its state, and the last seen value of each feature, with time.

    The equations and the weights are those of :class:`gatewise.layers.GRUD`. No kernel computes
    this cell: the layer does, in NumPy.

    Parameters
    ----------
    units : int
        Number of units.
    activation, recurrent_activation : str or tuple, default "tanh" and "sigmoid"
        Activations of the candidate and of the gates.
    use_bias : bool, default True
        Whether there is a bias.
    clip : float, optional
        See :class:`Cell`.
    zoneout : float in [0, 1), default 0.0
        See :class:`Cell`.
    layer_normalization : bool, default False
        See :class:`Cell`.

    Examples
    --------
    >>> from gatewise.cells import GRUDCell
    >>> GRUDCell(4).parameter_shapes(9)["mask_kernel"]  # of 3 features: values, mask and time
    (3, 12)
    """

    gates: tuple[str, ...] = ("z", "r", "h")
    states: ClassVar[tuple[str, ...]] = ("h", "seen")

    def parameter_shapes(self, inputs: int) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name.

        Parameters
        ----------
        inputs : int
            Number of features of x, three for each feature of the series: value, mask and time.

        Returns
        -------
        dict of str to tuple of int
            Shapes by name, in the order of the weights.
        """
        features = inputs // 3
        shapes = super().parameter_shapes(features)
        return shapes | {
            "mask_kernel": shapes["kernel"],
            "input_decay_kernel": (features,),
            "input_decay_bias": (features,),
            "hidden_decay_kernel": (features, self.units),
            "hidden_decay_bias": (self.units,),
        }
