"""Tell nine speakers apart by how they say one vowel: sequences of 7 to 26 steps.

    python examples/classify_sequences.py

Takes a few seconds. Needs scikit-learn.
"""

import gzip
from pathlib import Path

import numpy as np

try:
    from sklearn.model_selection import cross_val_score, train_test_split
    from sklearn.pipeline import make_pipeline

    from gatewise import SequenceClassifier
    from gatewise.data import SequenceScaler
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn ({error}); install it: python -m pip install '.[sklearn]'"
    ) from error

HERE = Path(__file__).resolve().parent


def read_ts(path):
    """Sequences, a list of (steps, 12), and speakers: one a line, channels separated by colons."""
    sequences, speakers = [], []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            if line[0] not in "#@\n":
                *channels, speaker = line.strip().split(":")
                sequences.append(
                    np.array([channel.split(",") for channel in channels], np.float32).T
                )
                speakers.append(speaker)
    return sequences, speakers


def main():
    sequences, speakers = read_ts(HERE / "data" / "japanese_vowels.ts.gz")
    lengths = [len(sequence) for sequence in sequences]
    print(
        f"{len(sequences)} sequences of {min(lengths)} to {max(lengths)} steps,"
        f" {sequences[0].shape[1]} features a step"
    )

    # A list of arrays of different lengths goes through scikit-learn's tools as it is.
    model = make_pipeline(
        SequenceScaler(),
        SequenceClassifier(
            units=32,
            bidirectional=True,
            dropout=0.5,
            learning_rate="cosine",
            learning_rate_init=0.01,
            batch_size=16,
            max_iter=20,
            random_state=0,
        ),
    )
    scores = cross_val_score(model, sequences, speakers, cv=3)
    print(f"accuracy in three folds: {', '.join(f'{score:.3f}' for score in scores)}")

    x, held_out, y, truth = train_test_split(
        sequences, speakers, test_size=20, stratify=speakers, random_state=0
    )
    model.fit(x, y)
    for probabilities, speaker in zip(model.predict_proba(held_out[:5]), truth):
        best = probabilities.argmax()
        print(
            f"speaker {speaker}: the model says {model.classes_[best]}, {probabilities[best]:.0%}"
            " sure"
        )


if __name__ == "__main__":
    main()
