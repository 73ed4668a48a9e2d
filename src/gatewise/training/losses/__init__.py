"""Losses. Names, formulas and defaults are Keras's.

A loss is the mean, over batch and steps, of a value at each position; a position is all axes but
the last. With weights it is the sum of weight times value over `normalizer`, by default the number
of positions that count (Keras's ``sum_over_batch_size``).

A loss that ``fuses`` with an activation can start from the scores in front of it: that is exact
where the probabilities themselves have already rounded to 0 or 1.
"""

from gatewise.registry import Registry

from .base import Loss, position_weights  # noqa: F401  what training.data takes from here
from .crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from .ctc import CTC
from .hinge import CategoricalHinge, Hinge, SquaredHinge
from .probability import GaussianNLL, KLDivergence, Poisson, Quantile
from .regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
)

__all__ = [
    "CTC",
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "get",
    "serialize",
]

_SHORT = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
}
_CLASSES = (
    MeanSquaredError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredLogarithmicError,
    Huber,
    LogCosh,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    Hinge,
    SquaredHinge,
    CategoricalHinge,
    Poisson,
    KLDivergence,
    GaussianNLL,
    Quantile,
    CTC,
)

LOSSES: Registry[Loss] = Registry(
    "loss",
    Loss,
    _CLASSES,
    _SHORT
    | {name.upper(): cls for name, cls in _SHORT.items()}
    | {cls.name: cls for cls in _CLASSES},
    namespace="gatewise.losses",
    guide="docs/losses-and-metrics.md",
)


def get(identifier):
    """A loss from a name, a saved configuration, a class or a loss."""
    return LOSSES.get(identifier)


def serialize(loss):
    """What :func:`get` reads back, as JSON values."""
    return LOSSES.serialize(loss)
