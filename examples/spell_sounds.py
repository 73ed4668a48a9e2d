"""From spelling to sound: the phonemes of English words, by encoder and decoder with attention.

    python examples/spell_sounds.py

Takes half a minute. Needs scikit-learn. benchmarks/tasks has the whole dictionary.
"""

from pathlib import Path

try:
    from gatewise import SequenceTranslator
    from gatewise.metrics import token_error_rate
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

WORDS = Path(__file__).resolve().parent / "data" / "sounds.tsv"


def read_words(path):
    """Words, and the phonemes of each as a list."""
    pairs = (line.split("\t") for line in path.read_text(encoding="ascii").splitlines())
    words, sounds = zip(*((word, sound.split()) for word, sound in pairs))
    return words, sounds


def main():
    words, sounds = read_words(WORDS)
    known, new = slice(3000), slice(3000, None)
    translator = SequenceTranslator(units=64, dropout=0.2, max_iter=15, random_state=0)
    translator.fit(words[known], sounds[known])
    found = translator.predict(words[new], beam=4)
    print(f"{len(words[known])} words to train on; of {len(found)} new ones,")
    right = sum(a == b for a, b in zip(found, sounds[new]))
    wrong = token_error_rate(sounds[new], found)
    print(f"{right} are exactly right; {wrong:.0%} of the phonemes are wrong")
    for word, sound in list(zip(words[new], found))[:8]:
        print(f"{word:<9} {' '.join(sound)}")


if __name__ == "__main__":
    main()
