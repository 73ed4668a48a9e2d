"""Spoken digits: which of 0 to 9 one of three speakers says.

1,500 recordings at 8 kHz of the Free Spoken Digit Dataset, takes 0 to 4 to test, 5 to 49 to train
on, as its authors say. A sequence is a recording's log mel energies, 40 bands in frames of 25 ms
every 10 ms, each band scaled by its mean and deviation over all frames of the training recordings.
Making the features is part of the fit, for all alike.
"""

from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from gatewise.data import SequenceScaler, log_mel

from . import data as readers
from .contenders import of_numbers
from .task import Network, Task

RATE = 8000  # samples a second


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of recordings."""
    return readers.made_up_sounds() if quick else readers.spoken_digits()


def energies(recordings):
    """List of (frames, bands)."""
    return [log_mel(recording.astype("float32"), RATE) for recording in recordings]


def prepare():
    """From recordings to scaled energies."""
    return make_pipeline(FunctionTransformer(energies), SequenceScaler())


TASK = Task(
    "Spoken digits",
    0.93,
    data,
    Network(units=64, pooling="max", dropout=0.3, epochs=10, batch_size=32, rate=0.005),
    of_numbers(prepare),
)
