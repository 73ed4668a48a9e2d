"""JapaneseVowels: which of nine speakers says /ae/, from 7 to 29 steps of 12 coefficients.

270 utterances to train on, 370 to test, in the UEA archive's own split (Kudo, Toyama and Shimbo
1999). Each coefficient is scaled by its mean and deviation over all steps of the training
utterances.
"""

from gatewise.data import SequenceScaler

from .contenders import of_numbers
from .data import made_up_series, time_series
from .task import Network, Task


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of (steps, 12)."""
    return made_up_series(12, 5, 9) if quick else time_series("JapaneseVowels")


TASK = Task(
    "JapaneseVowels",
    0.95,
    data,
    Network(
        units=64,
        bidirectional=True,
        pooling="max",
        dropout=0.5,
        epochs=30,
        batch_size=16,
        rate=0.005,
    ),
    of_numbers(SequenceScaler),
)
