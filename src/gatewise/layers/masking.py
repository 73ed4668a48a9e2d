"""Masks from values: steps that only fill up a row."""

import numpy as np

from gatewise import checks

from .base import Layer
from .options import Fixed


class Masking(Layer):
    """Steps do not count where every feature is one value: (batch, steps, features), the first layer of a Sequential.

    A masked step is as if it were not there, to all layers, the loss and the metrics: recurrent
    layers leave their state as it is, means go over the other steps. Outputs of the model are zero
    there, and so is this layer's.

    Parameters
    ----------
    mask_value : float
    """

    _keeps_limits = True
    _rank, _axes = 3, "(batch, steps, features)"
    reads_steps = _first_only = True
    mask_value = Fixed(checks.number)

    def __init__(self, mask_value=0.0, **kwargs):
        super().__init__(**kwargs)
        self.mask_value = mask_value

    @staticmethod
    def _shape_of_features(features):
        return (None, features)

    def compute_mask(self, x):
        return (x != np.asarray(self.mask_value, x.dtype)).any(axis=-1)

    def run(self, inputs, tape, node):
        x = inputs.values
        mask = self.compute_mask(x)[..., None]
        if tape is not None:
            tape.keep(node, mask)
        return inputs.with_values(np.where(mask, x, x.dtype.type(0)))

    def run_backward(self, gradients, tape, node, wanted):
        mask = tape.take(node)
        return np.where(mask, gradients, gradients.dtype.type(0)) if wanted else None

    def get_config(self):
        return super().get_config() | {"mask_value": self.mask_value}
