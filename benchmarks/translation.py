"""A training step of an encoder and decoder with attention, compared with PyTorch.

    python -m benchmarks.translation
    python -m benchmarks.translation --attention bahdanau --threads 1

Both have read the tokens already: a step is forward, backward and Adam, as gatewise's `fit` and the
usual loop in PyTorch make it. Each engine has a process of its own, and engines take turns.
"""

import argparse
import os

from benchmarks.compare import machine
from benchmarks.runner import start_engines, take_turns

# Rows of 20 tokens, and rows of 10 to 30, as texts have them: PyTorch packs the latter for its
# encoder, and its decoder computes the padding.
SIZES = (
    {"batch": 64, "units": 128, "steps": 20, "fewest": 20},
    {"batch": 64, "units": 128, "steps": 30, "fewest": 10},
    {"batch": 64, "units": 256, "steps": 30, "fewest": 10},
)


def main(arguments=None):
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.translation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--attention",
        nargs="+",
        choices=("luong", "bahdanau"),
        default=["luong", "bahdanau"],
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args(arguments)
    engines, missing = start_engines(["gatewise", "torch"], arguments.threads)
    print(f"{machine()}; {arguments.threads} threads; float32; milliseconds of a training step")
    print("; ".join(f"{engine.name} {engine.version}" for engine in engines), *missing)
    for attention in arguments.attention:
        for size in SIZES:
            case = size | {"embedding": 64, "tokens": 50, "attention": attention}
            times = take_turns(engines, seconds=0.2, translation=case)
            own, shown = times["gatewise"], " ".join(f"{k} {1e3 * t:.2f}" for k, t in times.items())
            ratio = f"; ratio {times['torch'] / own:.2f}" if times.get("torch") else ""
            tokens = f"{size['fewest']} to {size['steps']} tokens"
            print(f"{attention:<9} {size['units']} units, {tokens}: {shown}{ratio}", flush=True)
    for engine in engines:
        engine.close()


if __name__ == "__main__":
    main()
