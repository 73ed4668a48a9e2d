"""A whole training run compared with PyTorch and Keras, each as its users write it.

    python -m benchmarks.training
    python -m benchmarks.training --kinds lstm --engines gatewise torch --json result.json

A run is the model made, given its first weights, and trained: imports do not count. gatewise and
Keras call `fit`; PyTorch runs the usual loop over slices of a shuffled tensor, which is faster than
a DataLoader. Data, first weights, optimizer, batches and epochs are the same; each library shuffles
by itself, so that losses agree but for that. Each engine has a process of its own, and engines take
turns.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

from benchmarks.compare import machine
from benchmarks.jobs import SIZES, jobs
from benchmarks.runner import start_engines


def main(arguments=None):
    """Parse, measure, print; the rows."""
    arguments = parse(arguments)
    engines, missing = start_engines(
        ["gatewise", *(key for key in arguments.engines if key != "gatewise")], arguments.threads
    )
    if not engines or engines[0].key != "gatewise":
        raise SystemExit("gatewise is not installed: install it first")
    print(f"{machine()}; {arguments.threads} threads; float32; median of {arguments.rounds} runs")
    print(
        "; ".join(f"{engine.name} {engine.version}" for engine in engines)
        + (f"; not installed: {', '.join(missing)}" if missing else "")
    )
    print(header(engines))
    rows = []
    for job in jobs(arguments.kinds, arguments.sizes):
        rows.append(measure(job, engines, arguments.rounds))
        print(row_text(rows[-1], engines), flush=True)
    for engine in engines:
        engine.close()
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps(
                {
                    "machine": machine(),
                    "threads": arguments.threads,
                    "rounds": arguments.rounds,
                    "engines": {engine.name: engine.version for engine in engines},
                    "rows": rows,
                },
                indent=1,
            )
        )
    return rows


def parse(arguments):
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kinds", nargs="+", choices=("lstm", "gru"), default=["lstm", "gru"])
    parser.add_argument(
        "--engines",
        nargs="+",
        choices=("gatewise", "torch", "keras"),
        default=["gatewise", "torch", "keras"],
    )
    parser.add_argument(
        "--sizes", nargs="+", type=size, default=SIZES, help="units,batch,steps,inputs,rows,epochs"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of each engine")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="write the rows to this file")
    return parser.parse_args(arguments)


def size(text):
    """Six numbers with commas between them."""
    numbers = tuple(int(part) for part in text.split(","))
    if len(numbers) != 6 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not units,batch,steps,inputs,rows,epochs")
    return numbers


def measure(job, engines, rounds):
    """One row: median seconds and final loss of each engine, after a short run to warm up."""
    seconds, losses = ({engine.key: [] for engine in engines} for _ in range(2))
    for engine in engines:
        engine.ask(fit=job.to_dict() | {"epochs": 1})
    for _ in range(rounds):
        for engine in engines:
            reply = engine.ask(fit=job.to_dict())
            seconds[engine.key].append(reply["seconds"])
            losses[engine.key].append(reply["loss"])
    return {
        "job": job.to_dict(),
        "label": job.label(),
        "seconds": {key: statistics.median(values) for key, values in seconds.items()},
        "loss": {key: statistics.median(values) for key, values in losses.items()},
    }


def header(engines):
    """Names of the columns."""
    return f"{'kind':<5} {'H,B,T,I':<14}" + "".join(
        f"{engine.name:>11} {'ratio':>6} {'loss':>9}" for engine in engines
    )


def row_text(row, engines):
    """One line: seconds, their ratio to gatewise's, and the final loss, of each engine."""
    own = row["seconds"]["gatewise"]
    cells = (
        f"{row['seconds'][engine.key]:11.3f} {row['seconds'][engine.key] / own:6.2f}"
        f" {row['loss'][engine.key]:9.3g}"
        for engine in engines
    )
    return f"{row['job']['kind']:<5} {row['label']:<14}" + "".join(cells)


if __name__ == "__main__":
    main()
