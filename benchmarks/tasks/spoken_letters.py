"""Spoken digits, spelled: the letters of the word that one of three speakers says, by CTC.

Recordings, split and log mel energies are those of spoken_digits; the target of a recording is the
text "zero" to "nine", and nothing says where a letter is spoken. The figure is the share of texts
that are right as a whole. gatewise and PyTorch both read the likeliest letter of each step.
"""

from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline

import gatewise

from . import data as readers
from .contenders import OURS, PYTORCH, settings
from .spoken_digits import prepare
from .task import Network, Task

WORDS = "zero one two three four five six seven eight nine".split()


def spelled(parts):
    """The parts of spoken digits with words for their labels."""
    return tuple((X, [WORDS[int(digit)] for digit in y]) for X, y in parts)


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of recordings, y of words."""
    return spelled(readers.made_up_sounds() if quick else readers.spoken_digits())


def ours(network, seed):
    """gatewise's."""
    transcriber = gatewise.SequenceTranscriber(**settings(network, seed))
    return make_pipeline(prepare(), transcriber)


def pytorch(network, seed):
    """The same network in PyTorch; ImportError without PyTorch and skorch."""
    from .pytorch import Transcriber

    return make_pipeline(prepare(), Transcriber(network, seed))


TASK = Task(
    "Spoken digits, spelled",
    0.97,
    data,
    Network(units=64, num_layers=2, bidirectional=True, dropout=0.3, epochs=30, rate=0.005),
    {OURS: ours, PYTORCH: pytorch},
    unit="share of words that are right",
    score=accuracy_score,
)
