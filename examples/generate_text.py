"""Learn to write like Shakespeare, character by character.

    python examples/generate_text.py
    python examples/generate_text.py "MENENIUS:"     # a beginning of your own
    python examples/generate_text.py --text book.txt --passes 20 --units 128 --layers 2

Takes some seconds, in which it learns a few words. With the whole of tiny-shakespeare and the last
line's options, it takes ten minutes. Needs scikit-learn.
"""

import argparse
from pathlib import Path

try:
    from gatewise import SequenceGenerator
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn ({error}); install it: python -m pip install '.[sklearn]'"
    ) from error

HERE = Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt", nargs="?", default="First Citizen:\n")
    parser.add_argument("--text", type=Path, default=HERE / "data" / "shakespeare.txt")
    parser.add_argument("--passes", type=int, default=10)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--layers", type=int, default=1)
    options = parser.parse_args()

    text = options.text.read_text(encoding="utf-8")
    at = len(text) * 9 // 10
    generator = SequenceGenerator(
        units=options.units,
        num_layers=options.layers,
        end_token=False,  # a part of a book does not end
        learning_rate_init=0.01,
        max_iter=options.passes,
        random_state=0,
    )
    generator.fit([text[:at]])
    print(f"{len(generator.vocabulary_)} characters, {at:,} to learn from")
    print(f"perplexity of the rest: {generator.perplexity([text[at:]]):.2f}\n")
    print(options.prompt + generator.generate(options.prompt, 300, 0.7, random_state=0))


if __name__ == "__main__":
    main()
