"""Experiments whose outcome others have published.

    python -m benchmarks.published --list
    python -m benchmarks.published jsb
    python -m benchmarks.published adding --seeds 1 2 3
    python -m benchmarks.published --quick    # all of them on made-up data: do they run?

Data are looked for in GATEWISE_DATA, by default ../shared/data beside the checkout.
"""

import argparse
import importlib

import gatewise

from .experiment import report

NAMES = ("jsb", "nottingham", "adding", "characters", "addition")


def main(arguments=None):
    """Parse, run, print."""
    arguments = parse(arguments)
    if arguments.list:
        for name in NAMES:
            print(f"{name:<12} {(load(name).__doc__ or ' ').splitlines()[0]}")
        return
    if not arguments.names and not arguments.quick:
        raise SystemExit(
            f"say which: {', '.join(NAMES)}; or --list, or --quick for all of them on made-up data"
        )
    if arguments.threads:
        gatewise.set_num_threads(arguments.threads)
    for name in arguments.names or NAMES:
        report(load(name).EXPERIMENT, arguments.seeds, arguments.quick)


def load(name):
    """The module of an experiment."""
    return importlib.import_module(f"{__package__}.{name}")


def parse(arguments):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.published",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--list", action="store_true", help="name the experiments")
    parser.add_argument(
        "--quick", action="store_true", help="made-up data, tiny networks, one epoch"
    )
    parser.add_argument("--seeds", type=int, nargs="+", help="the result is the median over these")
    parser.add_argument("--threads", type=int, help="how many; the figures do not depend on it")
    parsed = parser.parse_args(arguments)
    unknown = [name for name in parsed.names if name not in NAMES]
    if unknown:
        parser.error(f"no experiment is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    return parsed


if __name__ == "__main__":
    main()
