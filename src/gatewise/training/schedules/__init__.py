"""Learning rates that follow a plan: functions of the number of steps taken.

Names, arguments and formulas are Keras's, those of ``StepDecay`` and ``OneCycle`` PyTorch's; all is
computed in double precision. ``optimizer.learning_rate`` takes a schedule in place of a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewise.errors import ConfigError
from gatewise.registry import Registry

from .base import LearningRateSchedule
from .cosine import CosineDecay, CosineDecayRestarts, OneCycle
from .decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    StepDecay,
)

if TYPE_CHECKING:
    from gatewise._typing import Config

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "StepDecay",
    "get",
    "serialize",
]

SCHEDULES: Registry[LearningRateSchedule] = Registry(
    "learning rate schedule",
    LearningRateSchedule,
    (
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        OneCycle,
        PiecewiseConstantDecay,
        PolynomialDecay,
        StepDecay,
    ),
    namespace="gatewise.schedules",
)


def get(identifier: Config | LearningRateSchedule) -> LearningRateSchedule:
    """A schedule from a saved configuration or a schedule.

    Parameters
    ----------
    identifier : dict or LearningRateSchedule
        What :func:`serialize` returned, or a schedule, which is returned itself.

    Returns
    -------
    LearningRateSchedule
        The object; a new one, unless it was given itself.

    Raises
    ------
    ConfigError
        The class is not known, or the configuration does not fit.
    DTypeError
        It is neither.

    Examples
    --------
    >>> from gatewise import schedules
    >>> config = {"initial_learning_rate": 0.1, "step_size": 10}
    >>> schedules.get({"class_name": "StepDecay", "config": config})
    StepDecay(initial_learning_rate=0.1, step_size=10)
    """
    return SCHEDULES.get(identifier)


def serialize(schedule: LearningRateSchedule) -> Config:
    """The class and arguments of a schedule as JSON values, which :func:`get` reads.

    Parameters
    ----------
    schedule : LearningRateSchedule
        The schedule to describe.

    Returns
    -------
    dict
        What :func:`get` reads.

    Raises
    ------
    ConfigError
        The class is user-defined: no reader of the file would have it.

    Examples
    --------
    >>> from gatewise import schedules
    >>> schedules.serialize(schedules.StepDecay(0.1, 10))["class_name"]
    'StepDecay'
    """
    name = type(schedule).__name__
    if SCHEDULES.classes.get(name) is not type(schedule):
        raise ConfigError(
            f"a schedule of class {name} cannot be written to a file; use one of gatewise.schedules"
            f" ({', '.join(sorted(SCHEDULES.classes))}), or a number as learning rate"
        )
    return SCHEDULES.serialize(schedule)
