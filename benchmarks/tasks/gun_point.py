"""GunPoint: whether an actor draws a gun or points a finger, from 150 steps of a hand's place.

50 tracks to train on, 150 to test, in the UCR archive's own split (Dau et al. 2019); the archive
has scaled each track by its own mean and deviation. The network reads every fifth step together
with the four before it.
"""

from sklearn.preprocessing import FunctionTransformer

from gatewise.data import stack_frames

from .contenders import of_numbers
from .data import made_up_series, time_series
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of (150, 1)."""
    return made_up_series(1, 10, 10) if quick else time_series("GunPoint")


def stacked(tracks):
    """List of (30, 5)."""
    return [stack_frames(track, 5, stride=5) for track in tracks]


def prepare():
    """From tracks to stacked ones."""
    return FunctionTransformer(stacked)


TASK = Task(
    "GunPoint",
    0.90,
    data,
    Network(
        units=32,
        bidirectional=True,
        pooling="max",
        dropout=0.3,
        epochs=100,
        batch_size=16,
        rate=0.01,
    ),
    of_numbers(prepare),
)
