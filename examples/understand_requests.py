"""Understand what people ask of a voice assistant: the intent and the slots, from one network.

    python examples/understand_requests.py

Takes a quarter of a minute. Needs scikit-learn.
"""

from pathlib import Path

import numpy as np

try:
    from gatewise import Model, layers
    from gatewise.data import Vocabulary
    from gatewise.optimizers import Adam
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

REQUESTS = Path(__file__).resolve().parent / "data" / "requests.tsv"


def read(part):
    """Intents, words and tags: a tab between the parts of a line."""
    lines = [line.split("\t") for line in REQUESTS.read_text(encoding="utf-8").splitlines()]
    intents, *others = zip(*(line[1:] for line in lines if line[0] == part))
    return intents, *([text.split() for text in texts] for texts in others)


def main():
    intents, words, tags = read("train")
    test_intents, test_words, test_tags = read("test")
    vocabulary = Vocabulary(lowercase=True, min_count=2).fit(words)
    slots = Vocabulary().fit(tags)
    names, numbers = np.unique(intents, return_inverse=True)
    x = layers.Input((None,), name="words")
    h = layers.Dropout(0.4)(layers.Embedding(len(vocabulary), 48, mask_zero=True)(x))
    h = layers.Dropout(0.4)(layers.Bidirectional(layers.LSTM(48, return_sequences=True))(h))
    slot = layers.Dense(len(slots), "softmax", name="slots")(h)
    intent = layers.Dense(len(names), "softmax", name="intent")(layers.GlobalMaxPooling1D()(h))

    model = Model(x, [slot, intent], seed=0)
    model.compile(Adam(0.005), "sparse_categorical_crossentropy")
    y = {"slots": slots.transform(tags), "intent": numbers}
    model.fit(vocabulary.transform(words), y, epochs=15, batch_size=16, verbose=0)

    by_word, by_sentence = model.predict(vocabulary.transform(test_words))
    guessed = names[by_sentence.argmax(axis=1)]
    found = [
        [slots.tokens_[k] for k in row[: len(text)].argmax(axis=1)]
        for row, text in zip(by_word, test_words)
    ]
    right = [a == b for row, truth in zip(found, test_tags) for a, b in zip(row, truth)]
    print(f"{np.mean(guessed == np.array(test_intents)):.1%} of the intents of {len(found)} new")
    print(f"requests are right, and {np.mean(right):.1%} of the tags of their words\n")
    print(guessed[0], *map("{} ({})".format, test_words[0], found[0]), sep="\n  ")


if __name__ == "__main__":
    main()
