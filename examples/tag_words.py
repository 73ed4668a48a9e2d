"""Find places, times and conditions in questions about the weather: a tag for each word.

    python examples/tag_words.py

Takes a few seconds. Needs scikit-learn.
"""

from pathlib import Path

try:
    from sklearn.pipeline import make_pipeline

    from gatewise import SequenceTagger
    from gatewise.data import Vocabulary
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn ({error}); install it: python -m pip install '.[sklearn]'"
    ) from error

HERE = Path(__file__).resolve().parent


def read_tagged(path):
    """Words and tags, two lists of lists of str: a line a word, a blank line between sentences."""
    sentences = path.read_text(encoding="utf-8").strip().split("\n\n")
    pairs = [[line.split("\t") for line in sentence.split("\n")] for sentence in sentences]
    return [[word for word, _ in words] for words in pairs], [
        [tag for _, tag in words] for words in pairs
    ]


def main():
    words, tags = read_tagged(HERE / "data" / "weather_train.tsv")
    test_words, test_tags = read_tagged(HERE / "data" / "weather_test.tsv")

    # A word that comes once in training is unknown: so the model learns what unknown words are
    # like.
    model = make_pipeline(
        Vocabulary(lowercase=True, min_count=2),
        SequenceTagger(
            units=48,
            bidirectional=True,
            embedding=32,
            dropout=0.3,
            learning_rate="cosine",
            learning_rate_init=0.01,
            batch_size=16,
            max_iter=12,
            random_state=0,
        ),
    )
    model.fit(words, tags)

    predicted = model.predict(test_words)
    right = [
        guess == tag for row, truth in zip(predicted, test_tags) for guess, tag in zip(row, truth)
    ]
    outside = [tag == "O" for truth in test_tags for tag in truth]
    print(
        f"{len(right)} words of {len(test_tags)} new sentences: {sum(right) / len(right):.1%} of"
        " the tags are right"
    )
    print(f"(with the commonest tag for each: {sum(outside) / len(outside):.1%})\n")

    question = "will it be freezing in zorkville on friday morning".split()
    for word, tag in zip(question, model.predict([question])[0]):
        print(f"{word:<12} {tag}")


if __name__ == "__main__":
    main()
