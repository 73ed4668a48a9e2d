"""Real tasks: gatewise's estimators beside a simple model and beside the same network in PyTorch.

    python -m benchmarks.tasks --list
    python -m benchmarks.tasks japanese_vowels
    python -m benchmarks.tasks --all --threads 1    # measure everything again
    python -m benchmarks.tasks surnames --seeds 0 --only gatewise
    python -m benchmarks.tasks --quick              # all of them on made-up data: do they run?

Data are looked for in GATEWISE_DATA, by default ../shared/data beside the checkout.
"""

import argparse
import importlib

from threadpoolctl import threadpool_limits

import gatewise

from .task import report

NAMES = (
    "japanese_vowels",
    "basic_motions",
    "gun_point",
    "spoken_digits",
    "spoken_letters",
    "new_speakers",
    "surnames",
    "movie_reviews",
    "sentiment",
    "snips_slots",
    "snips_joint",
    "text_generation",
    "dates",
    "pronunciation",
    "moving_digits",
    "moving_digits_convlstm",
    "etth1",
)


def main(arguments=None):
    """Parse, run, print."""
    options = parse(arguments)
    if options.list:
        for name in NAMES:
            print(f"{name:<22} {(load(name).__doc__ or ' ').splitlines()[0]}")
        return
    if not (options.names or options.all or options.quick):
        raise SystemExit(
            f"say which: {', '.join(NAMES)}; or --all, --list, or --quick for all of them on"
            " made-up data"
        )
    if options.threads:
        limit_threads(options.threads)
    for name in options.names or NAMES:
        report(load(name).TASK, options.seeds, options.quick, options.only)


def load(name):
    """The module of a task."""
    return importlib.import_module(f"{__package__}.{name}")


def limit_threads(count):
    """As many threads for all that take part."""
    gatewise.set_num_threads(count)
    threadpool_limits(count)
    try:
        import torch
    except ImportError:
        return  # its row of the table says so
    torch.set_num_threads(count)


def parse(arguments):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.tasks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--list", action="store_true", help="name the tasks")
    parser.add_argument("--all", action="store_true", help="run all of them")
    parser.add_argument(
        "--quick", action="store_true", help="made-up data, tiny networks, two epochs"
    )
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        help="random_state of each run; the result is the median over them",
    )
    parser.add_argument("--only", metavar="TEXT", help="contenders whose name begins with it")
    parser.add_argument(
        "--threads", type=int, help="how many; gatewise's figures do not depend on it"
    )
    parsed = parser.parse_args(arguments)
    unknown = [name for name in parsed.names if name not in NAMES]
    if unknown:
        parser.error(f"no task is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    return parsed


if __name__ == "__main__":
    main()
