"""BasicMotions: four activities from 100 steps of a watch's accelerometer and gyroscope.

40 recordings of 6 channels to train on, 40 to test, in the UEA archive's own split (Bagnall et al.
2018). Each channel is scaled by its mean and deviation over all steps of the training recordings.
"""

from gatewise.data import SequenceScaler

from .contenders import of_numbers
from .data import made_up_series, time_series
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of (100, 6)."""
    return made_up_series(6, 10, 10) if quick else time_series("BasicMotions")


TASK = Task(
    "BasicMotions",
    0.95,
    data,
    Network(units=32, pooling="max", dropout=0.3, epochs=60, batch_size=4, rate=0.005),
    of_numbers(SequenceScaler),
)
