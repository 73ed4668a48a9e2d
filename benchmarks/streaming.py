"""Microseconds of one step of a live signal: a recurrent layer and a Dense head, by engine.

    python -m benchmarks.streaming                            # LSTM, one stream, 20 to 512 units
    python -m benchmarks.streaming --kind gru --streams 64
    python -m benchmarks.streaming --steps 1000000            # tails of a million steps
    python -m benchmarks.streaming --stack                    # the cost of Python: three layers
    python -m benchmarks.streaming --memory                   # memory over ten million steps

Each engine runs in a process of its own, on one thread; they take turns. Every step is timed by
itself, the clock's own time included. A row has the median, the 99th and the 99.9th percentile and
the worst step, and how many times as long as gatewise's the engine's median is. An engine that is
not installed is named and left out. RTNeural is compiled from the folder RTNEURAL (and EIGEN), by
the compiler of CXX or c++; the export to C by that of CC or cc.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tracemalloc

import numpy as np

from benchmarks.stream_engines import ENGINES, Case

UNITS = (20, 32, 64, 128, 250, 512)
TURNS = 20


class Worker:
    """An engine in a process of its own."""

    def __init__(self, engine, case, steps):
        self.engine = engine
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.stream_engines", engine, json.dumps(case.asdict())],
            env=os.environ | {"OMP_NUM_THREADS": "1", "GATEWISE_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.steps = steps
        self.missing = self.answer().get("missing")

    def answer(self):
        """What the process says next."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": f"{self.engine} has ended"}

    def ask(self, question):
        """Write a line, read one."""
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.answer()

    def turn(self):
        """Run some steps."""
        self.ask(f"run {self.steps}")

    def close(self):
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait()


def measure(case, engines, steps):
    """dict of engine to its figures, or to why it is missing."""
    workers = [Worker(engine, case, max(1, steps // TURNS)) for engine in engines]
    there = [worker for worker in workers if worker.missing is None]
    for _ in range(TURNS):
        for worker in there:
            worker.turn()
    found = {w.engine: w.ask("report") if w.missing is None else w.missing for w in workers}
    for worker in workers:
        worker.close()
    return found


def show(case, found):
    """Print the rows of a case."""
    ours = found["gatewise"]["median"]
    for engine, figures in found.items():
        name = f"{case.kind},{case.units:<5}{engine:<22}"
        if isinstance(figures, str):
            print(f"{name} left out: {figures}")
            continue
        numbers = "".join(f"{figures[k]:>10.2f}" for k in ("median", "p99", "p999", "worst"))
        print(f"{name}{numbers}   x{figures['median'] / ours:<6.2f}", flush=True)


def stack(steps):
    """Print what a step of three layers costs over the same step inside of a block."""
    case = Case("lstm", 32, 1, layers=3)
    found = measure(case, ["gatewise", "gatewise block"], steps)
    step, inside = (found[name]["median"] for name in ("gatewise", "gatewise block"))
    print(f"three LSTM layers of 32: step {step:.2f} us, inside of a block {inside:.2f} us,")
    print(f"so that the call from Python costs {step - inside:.2f} us (the clock included)")


def memory(steps):
    """Print what steps leave behind: resident memory, and a tenth as many under tracemalloc."""
    from gatewise import Model, layers

    a, b = layers.Input((None, 8), name="a"), layers.Input((None, 4), name="b")
    x = layers.LSTM(32, return_sequences=True)(layers.Concatenate()([a, b]))
    several = Model([a, b], [layers.Dense(1)(x), layers.Dense(2)(x)], seed=0)
    one = Model(a, layers.Dense(1)(layers.LSTM(32, return_sequences=True)(a)), seed=0)
    steps_in = [np.ones(8, "f"), np.ones(4, "f")]
    for name, model, given, out in (
        ("one array", one, steps_in[0], np.empty(1, "f")),
        ("several", several, steps_in, [np.empty(1, "f"), np.empty(2, "f")]),
    ):
        stream = model.stream()
        repeat(stream.step, given, out, 1000)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        repeat(stream.step, given, out, steps // 10)
        after, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(
            f"{name}: {steps // 10:>12,} steps under tracemalloc, {after - before:+} bytes,"
            f" {peak - before} at the peak"
        )
        start = resident()
        for k in range(1, 11):
            repeat(stream.step, given, out, steps // 10)
            grown = (resident() - start) // 1024
            print(f"{name}: {k * steps // 10:>12,} steps, resident {grown:+} KiB", flush=True)


def repeat(step, x, out, steps):
    """Take the same step again and again."""
    for _ in range(steps):
        step(x, out=out)


def resident():
    """Bytes of the process that are in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main(arguments=None):
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", choices=["lstm", "gru"], default="lstm")
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--units", type=int, nargs="+", default=UNITS)
    parser.add_argument("--steps", type=int, help="20,000; 10,000,000 with --memory")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=None)
    parser.add_argument("--stack", action="store_true", help="only the cost of Python")
    parser.add_argument("--memory", action="store_true", help="only what steps leave behind")
    options = parser.parse_args(arguments)
    if options.memory:
        memory(options.steps or 10_000_000)
        return
    options.steps = options.steps or 20_000
    if options.stack:
        stack(options.steps)
        return
    engines = options.engines or [name for name in ENGINES if name != "gatewise block"]
    engines = ["gatewise", *(name for name in engines if name != "gatewise")]
    print(f"us a step; {options.streams} streams, {options.steps:,} steps")
    print(f"{'':<32}{'median':>10}{'99 %':>10}{'99.9 %':>10}{'worst':>10}   median / gatewise's")
    ratios = {}
    for units in options.units:
        case = Case(options.kind, units, options.streams)
        found = measure(case, engines, options.steps)
        show(case, found)
        for engine, figures in found.items():
            if not isinstance(figures, str):
                ratio = figures["median"] / found["gatewise"]["median"]
                ratios.setdefault(engine, []).append(ratio)
    print("\ngeometric mean of the ratios, over all sizes")
    for engine, values in ratios.items():
        print(f"{engine:<22}{statistics.geometric_mean(values):>8.2f}")


if __name__ == "__main__":
    main()
