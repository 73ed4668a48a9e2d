"""Weights that several Python threads use: any number read them, or one changes them.

A pass through a model reads. What changes weights, a step of an optimizer or ``set_weights``, waits
for passes under way and holds back those to come. So a pass beside a change sees the old weights or
the new ones, never some of each. A model and its layers have one guard.
"""

from gatewise import threads
from gatewise.kernels._guard import Guard

_MESSAGE = (
    "weights are changed by code that runs inside a pass through the same layer or model, such as a"
    " layer, cell, loss or metric; change them before or after the pass"
)


def weights_guard():
    """A new guard: ``with guard:`` around what reads weights, ``with guard.writing:`` around what changes them.

    Raises
    ------
    StateError
        On entering ``guard.writing`` inside ``with guard:``, which would wait for itself.
    """
    return WeightsGuard(_MESSAGE)


class WeightsGuard(Guard):
    """A guard that a forked child finds free, and of which a copy is a new one."""

    def __init__(self, message):
        super().__init__(message)
        threads.renew_after_fork(self)

    def __reduce__(self):
        return weights_guard, ()
