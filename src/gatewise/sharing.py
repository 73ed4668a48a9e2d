"""Weights that several Python threads use: any number of readers, or one writer.

A pass through a model reads. Whatever changes weights, a step of an optimizer or ``set_weights``,
waits for passes under way and holds back those to come. A pass beside a change therefore sees the
old weights or the new ones, never some of each. A model and its layers share one guard.
"""

from gatewise import threads
from gatewise.kernels._guard import Guard

_MESSAGE = (
    "weights are changed by code that runs inside a pass through the same layer or model, such as a"
    " layer, cell, loss or metric; change them before or after the pass"
)


class WeightsGuard(Guard):
    """Guard of weights: ``with guard:`` around reading, ``with guard.writing:`` around changing.

    A forked child finds it free, and a copy of it is a new one.

    Raises
    ------
    StateError
        On entering ``guard.writing`` inside ``with guard:``, which would wait for itself.
    """

    def __init__(self) -> None:
        super().__init__(_MESSAGE)
        threads.renew_after_fork(self)

    def __reduce__(self) -> tuple[type["WeightsGuard"], tuple[()]]:
        return WeightsGuard, ()
