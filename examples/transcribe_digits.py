"""Spell spoken digits: from a recording of a word to its letters, by CTC.

    python examples/transcribe_digits.py

Takes a quarter of a minute. Needs scikit-learn.
"""

import io
import zipfile
from pathlib import Path

from scipy.io import wavfile

try:
    from sklearn.pipeline import make_pipeline

    from gatewise import SequenceTranscriber
    from gatewise.data import SequenceScaler, log_mel
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

RECORDINGS = Path(__file__).resolve().parent / "data" / "spoken_digits.zip"
WORDS = "zero one two three four five six seven eight nine".split()


def read_recordings(path):
    """((frames, words) to train on, (frames, words) to test): takes 0 and 1 are to test."""
    parts = ([], []), ([], [])
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            digit, _, take = name.removesuffix(".wav").split("_")
            sounds, words = parts[int(take) < 2]
            sound = wavfile.read(io.BytesIO(archive.read(name)))[1].astype("float32") / 2**15
            sounds.append(log_mel(sound, 8000))  # 40 energies for each hundredth of a second
            words.append(WORDS[int(digit)])
    return parts


def main():
    (sounds, words), (test_sounds, test_words) = read_recordings(RECORDINGS)
    training = {"learning_rate": "cosine", "learning_rate_init": 0.01, "max_iter": 60}
    transcriber = SequenceTranscriber("gru", 48, num_layers=2, dropout=0.3, batch_size=16)
    transcriber.set_params(random_state=0, **training)
    model = make_pipeline(SequenceScaler(), transcriber)
    model.fit(sounds, words)
    heard = model.predict(test_sounds)
    right = sum(a == b for a, b in zip(heard, test_words))
    print(
        f"{len(words)} recordings to train on; of {len(heard)} new ones, {right} words are right,"
    )
    print(f"and {model.score(test_sounds, test_words):.0%} of the letters")
    for said, word in list(zip(test_words, heard))[::7]:
        print(f"{said:<6} heard as {word}")


if __name__ == "__main__":
    main()
