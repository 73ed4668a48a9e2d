"""Losses. Names, formulas and defaults are Keras's.

A loss is the mean, over batch and steps, of a value at each position; a position is all axes but
the last. With weights it is the sum of weight times value over `normalizer`, by default the number
of positions that count (Keras's ``sum_over_batch_size``).

A loss that fuses with an activation can start from the scores in front of it: that is exact
where the probabilities themselves have already rounded to 0 or 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise.registry import Registry

from .base import Loss
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
from .weights import position_weights  # noqa: F401  for the rooms beside this one

if TYPE_CHECKING:
    from gatewise._typing import Config

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

_SHORT: dict[str, type[Loss]] = {
    "mse": MeanSquaredError,
    "mae": MeanAbsoluteError,
    "mape": MeanAbsolutePercentageError,
    "msle": MeanSquaredLogarithmicError,
    "bce": BinaryCrossentropy,
    "kld": KLDivergence,
}
_CLASSES: tuple[type[Loss], ...] = (
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


def get(identifier: str | Config | type[Loss] | Loss) -> Loss:
    """A loss from a name, a class, a saved configuration or a loss.

    Parameters
    ----------
    identifier : str, dict, type or Loss
        A name such as ``"mse"``, ``"mean_squared_error"`` or ``"MeanSquaredError"``; what
        :func:`serialize` returned; a class, which is made with its defaults; or a loss, which is
        returned itself.

    Returns
    -------
    Loss
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The name is not known, or the configuration does not fit.
    DTypeError
        It is none of these.

    Examples
    --------
    >>> from gatewise import losses
    >>> losses.get("mse")
    MeanSquaredError()
    """
    return LOSSES.get(identifier)


def serialize(loss: Loss) -> Config:
    """The class and arguments of a loss as JSON values, which :func:`get` reads.

    Parameters
    ----------
    loss : Loss
        The loss to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        A user-defined class has the name of one of the library's, or lacks an argument.

    Examples
    --------
    >>> from gatewise import losses
    >>> losses.serialize(losses.Huber(delta=2.0))
    {'class_name': 'Huber', 'config': {'delta': 2.0}}
    """
    return LOSSES.serialize(loss)
