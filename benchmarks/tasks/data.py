"""Readers of the tasks' data, and made-up data of the same form for --quick."""

import hashlib
from pathlib import Path

import numpy as np

from ..published import data as published

LETTERS = "abcdefghij"


def data_file(folder, name):
    """The path of a data file in GATEWISE_DATA; a missing one ends the command with a message."""
    return published.data_file(folder, name, readme="benchmarks/tasks/README.md")


# ---- numbers


def time_series(name):
    """((X, y) to train on, (X, y) to test) of a UCR or UEA data set, in the archive's own split.

    X is a list of float32 (steps, channels), y an array of str.
    """
    return tuple(
        read_ts(data_file(f"time_series_classification/{name}", f"{name}_{part}.ts"))
        for part in ("TRAIN", "TEST")
    )


def read_ts(path):
    """Samples and labels of a .ts file: channels divided by ``:``, values by ``,``, label last."""
    samples, labels = [], []
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if line and line[0] not in "#@":
            *channels, label = line.split(":")
            samples.append(
                np.array([channel.split(",") for channel in channels], np.float32).T.copy()
            )
            labels.append(label.strip())
    return samples, np.array(labels)


def made_up_series(channels, shortest, longest, classes=2, count=24, seed=0):
    """The same form as :func:`time_series`: noise about a level that tells the class."""
    rng = np.random.default_rng(seed)

    def part():
        labels = np.arange(count) % classes
        samples = [
            rng.normal(label, size=(rng.integers(shortest, longest + 1), channels)).astype(
                np.float32
            )
            for label in labels
        ]
        return samples, labels.astype(str)

    return part(), part()


# ---- sound


def spoken_digits(test=lambda speaker, take: take < 5):
    """((X, y) to train on, (X, y) to test): float64 (samples,) in [-1, 1) at 8 kHz, and digits.

    `test` says of which speaker's takes the test part is.
    """
    from scipy.io import wavfile

    first = data_file("spoken_digits/recordings", "0_jackson_0.wav")
    parts = {True: ([], []), False: ([], [])}
    for path in sorted(first.parent.glob("*.wav")):
        digit, speaker, take = path.stem.split("_")
        recordings, labels = parts[test(speaker, int(take))]
        recordings.append(wavfile.read(path)[1] / 2**15)
        labels.append(digit)
    return tuple(
        (recordings, np.array(labels)) for recordings, labels in (parts[False], parts[True])
    )


def made_up_sounds(seed=0):
    """Tones of two pitches."""
    rng = np.random.default_rng(seed)

    def part():
        labels = np.arange(12) % 2
        return [
            np.sin(np.arange(rng.integers(1200, 2400)) * (label + 1) / 5) / 2 for label in labels
        ], labels.astype(str)

    return part(), part()


# ---- text


def surnames():
    """(names, languages): 20,050 names, as they stand in the files of 18 languages."""
    names, languages = [], []
    for path in sorted(data_file("surnames", "Arabic.txt").parent.glob("*.txt")):
        lines = path.read_text(encoding="utf-8").split("\n")
        found = [line.strip() for line in lines if line.strip()]
        names += found
        languages += [path.stem] * len(found)
    return names, np.array(languages)


def reviews():
    """(sentences, "pos" or "neg"): 10,662 of each other's length, tokens parted by blanks."""
    sentences, labels = [], []
    for label in ("neg", "pos"):
        text = data_file("movie_review_polarity", f"rt-polarity.{label}").read_text(
            encoding="utf-8", errors="replace"
        )
        found = [line.strip() for line in text.split("\n") if line.strip()]
        sentences += found
        labels += [label] * len(found)
    return sentences, np.array(labels)


def slots(part):
    """(words, tags) of SNIPS, `part` being train, valid or test: two lists of lists of str."""
    return tuple(
        [
            line.split()
            for line in (
                data_file(f"snips_slots/{part}", name).read_text(encoding="utf-8").splitlines()
            )
        ]
        for name in ("seq.in", "seq.out")
    )


def intents(part):
    """The intents of :func:`slots`, a list of str."""
    return data_file(f"snips_slots/{part}", "label").read_text(encoding="utf-8").split()


def made_up_words(count=40, seed=0):
    """(words, label): words whose first letter tells the label, "a" or "b"."""
    rng = np.random.default_rng(seed)
    labels = np.array(["a", "b"])[np.arange(count) % 2]
    return [
        label + "".join(rng.choice(list(LETTERS), rng.integers(2, 8))) for label in labels
    ], labels


def made_up_sentences(count=40, seed=0):
    """(sentences, label): letters as words, the first of which tells the label."""
    words, labels = made_up_words(count, seed)
    return [" ".join(word) for word in words], labels


def made_up_slots(count=40, seed=0):
    """(words, tags): two lists of lists of str; "a" begins a chunk, "b" goes on with it."""
    words = [list(word) for word in made_up_words(count, seed)[0]]
    return words, [
        ["B-x" if letter == "a" else "I-x" if letter == "b" else "O" for letter in row]
        for row in words
    ]


def date_pairs(part):
    """Dates as people write them, and as YYYY-MM-DD; part "train", "valid" or "test"."""
    path = data_file("date_translation", f"{part}.tsv")
    lines = path.read_text(encoding="ascii").splitlines()
    return tuple(map(list, zip(*(line.split("\t") for line in lines))))


def pronunciations():
    """(word, its pronunciations without stress) of each part, "train", "valid" and "test"."""
    sounds = {}
    path = data_file("cmudict", "cmudict")
    for line in path.read_text(encoding="latin-1").splitlines():
        word, _, *phones = line.split()
        if word.isascii() and word.isalpha():
            sounds.setdefault(word.lower(), []).append([phone.rstrip("012") for phone in phones])
    parts = {"train": [], "valid": [], "test": []}
    for word, each in sounds.items():
        place = int(hashlib.sha1(word.encode()).hexdigest(), 16) % 100
        parts["train" if place < 90 else "valid" if place < 95 else "test"].append((word, each))
    return parts


def shakespeare_rows(quick=False):
    """(first 95 %, last 5 %) of 32 rows of contiguous text of tiny-shakespeare, lists of str."""
    text, count = (published.made_up_text(), 4) if quick else (published.shakespeare(), 32)
    size = len(text) // count
    at = size * 95 // 100
    rows = [text[row * size : (row + 1) * size] for row in range(count)]
    return [row[:at] for row in rows], [row[at:] for row in rows]
