"""Spoken digits, spelled, by a speaker whose voice was not in training.

As spoken_letters, with another split: all recordings of two speakers to train on, those of the
third to test. The seeds 0, 1 and 2 hold out jackson, nicolas and yweweler.
"""

from dataclasses import replace

from . import data as readers
from . import spoken_letters

SPEAKERS = "jackson", "nicolas", "yweweler"


def data(seed, quick):
    """((X, y) to train on, (X, y) to test); X are lists of recordings, y of words."""
    held_out = SPEAKERS[seed % len(SPEAKERS)]
    return spoken_letters.spelled(
        readers.made_up_sounds()
        if quick
        else readers.spoken_digits(lambda speaker, take: speaker == held_out)
    )


TASK = replace(
    spoken_letters.TASK,
    title="Spoken digits, spelled, by another speaker",
    goal=None,
    data=data,
    seeds=(0, 1, 2),
)
