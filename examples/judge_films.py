"""Tell praise from blame in sentences about films: a network and naive Bayes, averaged.

    python examples/judge_films.py [folder of rt-polarity.neg and rt-polarity.pos]

Takes a few seconds; a few minutes with all 10,662 sentences. Needs scikit-learn.
"""

import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

try:
    from sklearn.model_selection import train_test_split

    from gatewise import Model, layers
    from gatewise.data import Vocabulary
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

FOLDER = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).resolve().parent / "data/reviews")


def words_and_pairs(text):
    return [*text.split(), *map(" ".join, pairwise(text.split()))]


def main():
    files = [FOLDER / f"rt-polarity.{kind}" for kind in ("neg", "pos")]
    blame, praise = (file.read_text("utf-8", "replace").strip().split("\n") for file in files)
    y = np.repeat([0, 1], [len(blame), len(praise)])
    texts, new, y, truth = train_test_split(blame + praise, y, test_size=0.1, random_state=0)
    words, pairs = Vocabulary(str.split, min_count=2), Vocabulary(words_and_pairs)
    rows, paired = words.fit_transform(texts), pairs.fit_transform(texts)

    read, read_pairs = layers.Input((None,), name="words"), layers.Input((None,), name="pairs")
    x = layers.Dropout(0.5)(layers.Embedding(len(words), 64, mask_zero=True)(read))
    x = layers.Conv1D(64, 3, padding="same", activation="relu")(x)
    x = layers.Bidirectional(layers.LSTM(32, return_sequences=True))(x)
    x = layers.Dropout(0.5)(layers.GlobalMaxPooling1D()(x))
    network = Model(read, layers.Dense(1, "sigmoid")(x), seed=0)
    network.compile("adam", "binary_crossentropy")
    network.fit(rows, y, epochs=4, verbose=0)

    # Naive Bayes: the sum of logarithms of how much more praise than blame uses each number.
    counts = np.ones((2, len(pairs)))
    np.add.at(counts, (np.repeat(y, [len(row) for row in paired]), np.concatenate(paired)), 1)
    odds = np.diff(np.log(counts / counts.sum(axis=1, keepdims=True)), axis=0).T
    x = layers.Embedding(len(pairs), 1, mask_zero=True, weights=odds)(read_pairs)
    ones = {"kernel_initializer": "ones", "recurrent_initializer": "ones"}
    bayes = layers.SimpleRNN(1, "linear", use_bias=False, **ones)(x)  # adds up what it reads
    both = Model([read, read_pairs], (network.output + layers.Activation("sigmoid")(bayes)) * 0.5)
    mean = both.predict([words.transform(new), pairs.transform(new)]).ravel()
    print(f"{np.mean((mean > 0.5) == truth):.1%} of {len(new)} new sentences are judged right:")
    print(*(f"{share:.2f} {sentence}" for share, sentence in zip(mean[:4], new)), sep="\n")


main()
