"""Guess from which of eight languages a surname comes, by its letters.

    python examples/classify_names.py
    python examples/classify_names.py Kowalski Moreau      # names of your own

Takes a few seconds. Needs scikit-learn.
"""

import sys
from pathlib import Path

try:
    from sklearn.metrics import classification_report
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline

    from gatewise import SequenceClassifier
    from gatewise.data import Vocabulary
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn ({error}); install it: python -m pip install '.[sklearn]'"
    ) from error

HERE = Path(__file__).resolve().parent


def main():
    lines = (HERE / "data" / "surnames.tsv").read_text(encoding="utf-8").splitlines()[1:]
    names, languages = zip(*(line.split("\t") for line in lines))
    x, held_out, y, truth = train_test_split(
        names, languages, test_size=0.2, stratify=languages, random_state=0
    )

    # Names become rows of whole numbers, numbers become vectors that the model learns; some
    # languages have few names.
    model = make_pipeline(
        Vocabulary(),
        SequenceClassifier(
            units=64,
            bidirectional=True,
            embedding=32,
            dropout=0.3,
            learning_rate="cosine",
            learning_rate_init=0.01,
            class_weight="balanced",
            max_iter=15,
            random_state=0,
        ),
    )
    model.fit(x, y)
    print(classification_report(truth, model.predict(held_out), digits=3))

    for name in sys.argv[1:] or ["Papadimitriou", "Yamaguchi", "Schneider"]:
        probabilities = model.predict_proba([name])[0]
        best = probabilities.argsort()[:-4:-1]
        print(
            f"{name}: {', '.join(f'{model.classes_[at]} {probabilities[at]:.0%}' for at in best)}"
        )


if __name__ == "__main__":
    main()
