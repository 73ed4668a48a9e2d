"""GunPoint: whether an actor draws a gun or points a finger, from 150 steps of a hand's place.

50 tracks to train on, 150 to test, in the UCR archive's own split (Dau et al. 2019); the archive has scaled each track by
its own mean and deviation.
"""

from gatewise.data import SequenceScaler

from .contenders import of_numbers
from .data import made_up_series, time_series
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of (150, 1)."""
    return made_up_series(1, 10, 10) if quick else time_series("GunPoint")


TASK = Task("GunPoint", 0.90, data, Network(cell="gru", units=32, pooling="max", epochs=150, batch_size=16, rate=0.01),
            of_numbers(SequenceScaler))
