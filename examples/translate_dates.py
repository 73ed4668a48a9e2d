"""Translate dates into one form, and show what the network looks at while it writes.

    python examples/translate_dates.py
    python examples/translate_dates.py attention.png    # a picture, if there is matplotlib

Takes a quarter of a minute. Needs scikit-learn.
"""

import sys
from pathlib import Path

try:
    from gatewise import SequenceTranslator
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

DATA = Path(__file__).resolve().parent / "data"


def read_pairs(name):
    """(dates as people write them, dates as YYYY-MM-DD)."""
    lines = (DATA / name).read_text(encoding="ascii").splitlines()
    return tuple(zip(*(line.split("\t") for line in lines)))


def draw(weights, source, target, path):
    """A picture of how much each character written attends to each character read."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SystemExit(f"a picture needs matplotlib ({error})") from error
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(weights, cmap="Greys", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(source)), source, family="monospace")
    axes.set_yticks(range(len(target)), target, family="monospace")
    axes.set(xlabel="read", ylabel="written")
    figure.savefig(path)


def main():
    dates, wanted = read_pairs("dates_train.tsv")
    test_dates, test_wanted = read_pairs("dates_test.tsv")
    translator = SequenceTranslator(units=64, learning_rate_init=0.005, random_state=0)
    translator.fit(dates, wanted)
    print(f"{len(dates)} dates to train on; of {len(test_dates)} new ones,")
    print(f"{translator.score(test_dates, test_wanted):.0%} are exactly right")
    for date, text in zip(test_dates[:5], translator.predict(test_dates[:5])):
        print(f"{date:<32} {text}")
    if len(sys.argv) > 1:
        one = test_dates[2:3]
        draw(translator.attention_weights(one)[0], one[0], *translator.predict(one), sys.argv[1])
        print(f"what it looked at: {sys.argv[1]}")


if __name__ == "__main__":
    main()
