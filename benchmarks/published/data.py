"""Where the data lie, and made-up data of the same form for --quick."""

import os
from pathlib import Path

import numpy as np

KEYS = 88  # of a piano


class DataMissing(SystemExit):
    """Ends the command with a sentence, not with a traceback."""


def data_file(folder, name, readme="benchmarks/published/README.md"):
    """The path of a data file in GATEWISE_DATA, by default ``../shared/data``.

    Raises
    ------
    DataMissing
        There is no such file; says which, and where to get it.
    """
    root = Path(
        os.environ.get("GATEWISE_DATA")
        or Path(__file__).resolve().parents[2].parent / "shared" / "data"
    )
    path = root / folder / name
    if not path.is_file():
        raise DataMissing(
            f"{path} is missing: set GATEWISE_DATA to a folder that holds {folder}/{name} "
            f"({readme} says where it comes from), or try --quick, which needs no data"
        )
    return path


def piano_rolls(name):
    """(training, validation, test) pieces: lists of float32 (frames, 88), 1 = sounding."""
    from scipy.io import loadmat

    contents = loadmat(data_file("poly_music", f"{name}.mat"))
    return [
        [np.asarray(piece, np.float32) for piece in contents[part][0]]
        for part in ("traindata", "validdata", "testdata")
    ]


def made_up_rolls(seed=0):
    """A few short pieces of the same form: chords that last two frames."""
    rng = np.random.default_rng(seed)
    return [
        [
            np.repeat(rng.random((frames, KEYS)) < 0.05, 2, axis=0).astype(np.float32)
            for frames in rng.integers(3, 9, count)
        ]
        for count in (6, 3, 3)
    ]


def shakespeare():
    """The text of char-rnn's tinyshakespeare, str."""
    return data_file("tiny_shakespeare", "input.txt").read_text(encoding="ascii")


def made_up_text():
    """A little text."""
    return (
        "to be, or not to be, that is the question:\nwhether 'tis nobler in the mind to suffer\n"
        * 20
    )
