"""What all experiments train with."""

import sys

from gatewise.optimizers import Adam
from gatewise.schedules import CosineDecay

# A bar in a terminal; no line an epoch elsewhere, where the table is kept.
VERBOSE = 1 if sys.stderr.isatty() else 0


def adam(rate, rows, batch_size, epochs, weight_decay=None, norm=1.0):
    """Adam, gradients clipped to this norm, the rate falling to zero along half a cosine."""
    return Adam(
        CosineDecay(rate, epochs * -(-rows // batch_size)),
        global_clipnorm=norm,
        weight_decay=weight_decay,
    )
