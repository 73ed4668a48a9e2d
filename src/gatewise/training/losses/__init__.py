"""Losses. Names, formulas and defaults are Keras's.

A loss is the mean, over batch and steps, of a value at each position; a position is all axes but
the last. With weights it is the sum of weight times value over `normalizer`, by default the number
of positions that count (Keras's ``sum_over_batch_size``).

A loss that ``fuses`` with an activation can start from the scores in front of it: that is exact
where the probabilities themselves have already rounded to 0 or 1.
"""

from gatewise.configuration import config_of, object_of
from gatewise.errors import ConfigError, DTypeError, did_you_mean

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

_BY_NAME = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
}
_BY_NAME |= {name.upper(): cls for name, cls in _BY_NAME.items()}
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
_BY_NAME |= {cls.name: cls for cls in _CLASSES} | {cls.__name__: cls for cls in _CLASSES}


def get(identifier):
    """A loss from a name, a saved configuration, a class or a loss."""
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise ConfigError(
                f"loss {identifier!r} is not known; choose one of {', '.join(sorted(_BY_NAME))}"
                + did_you_mean(identifier, _BY_NAME)
            )
        return _BY_NAME[identifier]()
    if isinstance(identifier, dict):
        return object_of(identifier, Loss, _BY_NAME, "loss")
    own = (
        "; docs/losses-and-metrics.md shows how to write one of your own"
        if callable(identifier)
        else ""
    )
    raise DTypeError(f"loss is {identifier!r}; expected a name or a gatewise.losses object{own}")


def serialize(loss):
    """What :func:`get` reads back, as JSON values."""
    return config_of(loss, _BY_NAME)
