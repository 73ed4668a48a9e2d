"""gatewise beside PyTorch, ONNX Runtime and Keras: one table.

python -m benchmarks.compare                # the grid, inference and training, float32
python -m benchmarks.compare --kinds lstm --modes training --shapes 32,100,64,128
python -m benchmarks.compare --dtype float64 --keras --json result.json
python -m benchmarks.compare --odd          # shapes that no tile fits
python -m benchmarks.compare --busy 2       # beside two busy processes
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
from pathlib import Path

from benchmarks.cases import GRID, KINDS, MODES, ODD, Case, cases
from benchmarks.load import busy_processes
from benchmarks.peak import peak_gflops
from benchmarks.runner import Engine, start_engines, take_turns


def main():
    """Parse, measure, print."""
    arguments = parse()
    with busy_processes(arguments.busy):
        compare(arguments)


def compare(arguments):
    """The table that the arguments ask for."""
    keys = ["gatewise", "torch", "onnxruntime"] + (["keras"] if arguments.keras else [])
    engines, missing = start_engines(keys, arguments.threads)
    if not engines or engines[0].key != "gatewise":
        raise SystemExit("gatewise is not installed: install it first")
    if arguments.busy:
        engines.append(alone())
    print(
        f"{machine()}; {arguments.threads} threads; {arguments.dtype}"
        + (f"; beside {arguments.busy} busy processes" if arguments.busy else "")
    )
    print(
        "; ".join(f"{engine.name} {engine.version}" for engine in engines)
        + (f"; not installed: {', '.join(missing)}" if missing else "")
    )
    shapes = arguments.shapes or (ODD if arguments.odd else GRID)
    rows = []
    print(header(engines))
    for case in cases(arguments.kinds, shapes, arguments.modes, arguments.dtype):
        rows.append(measure(case, engines, arguments.threads))
        print(row_text(rows[-1], engines), flush=True)
    lines = [*means(rows), *(beside_one_thread(rows) if arguments.busy else [])]
    print("\n".join(lines))
    if arguments.tiny:
        times = take_turns(engines, tiny_step=True)
        print(
            "tiny training step: "
            + ", ".join(
                f"{engine.name} {times[engine.key] * 1e6:.0f} us"
                for engine in engines
                if times[engine.key]
            )
        )
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps(
                {
                    "machine": machine(),
                    "threads": arguments.threads,
                    "dtype": arguments.dtype,
                    "engines": {engine.name: engine.version for engine in engines},
                    "rows": rows,
                    "busy": arguments.busy,
                    "means": lines,
                    "tiny_step_seconds": times if arguments.tiny else None,
                },
                indent=1,
            )
        )
    for engine in engines:
        engine.close()


def alone():
    """gatewise once more, on one thread: on a busy machine two must not be slower."""
    engine = Engine("gatewise", 1)
    engine.key, engine.name = "alone", "one thread"
    return engine


def parse():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        help="batch,steps,inputs,units",
    )
    parser.add_argument(
        "--odd", action="store_true", help="shapes that no tile fits, instead of the grid"
    )
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--keras", action="store_true", help="Keras too")
    parser.add_argument(
        "--tiny", action="store_true", help="a full training step of a tiny net too"
    )
    parser.add_argument(
        "--busy",
        type=int,
        default=0,
        metavar="N",
        help="beside N processes that keep a processor busy",
    )
    parser.add_argument("--json", help="write the rows to this file")
    return parser.parse_args()


def machine():
    """Processor and system."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        names = [
            line
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0].split(":")[1].strip() if names else model
    elif platform.system() == "Darwin":
        model = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True
        ).stdout.strip()
    return (
        f"{model}, {os.cpu_count()} CPUs, {platform.system()}, Python {platform.python_version()}"
    )


def measure(case: Case, engines, threads):
    """One row: median seconds, ratio to the best peer, GF/s, and the part of the measured peak."""
    peaks = []
    times = take_turns(
        engines,
        prepare=case.to_dict(),
        before_turn=lambda: peaks.append(peak_gflops(threads, case.dtype)),
    )
    peak = statistics.median(peaks)
    own = times["gatewise"]
    peers = [value for key, value in times.items() if key in ("torch", "onnxruntime") and value]
    gflops = case.operations() / own / 1e9
    return {
        "case": case.to_dict(),
        "label": case.label(),
        "seconds": times,
        "ratio": min(peers) / own if peers else None,
        "gflops": gflops,
        "peak_gflops": peak,
        "percent_of_peak": 100 * gflops / peak,
    }


def header(engines):
    """Names of the columns."""
    names = "".join(f"{engine.name:>14}" for engine in engines)
    return (
        f"{'mode':<10} {'kind':<5} {'B,T,I,H':<16}{names} {'ratio':>7} {'GF/s':>7} {'% peak':>7}   "
        "(ms; ratio to the better of PyTorch and ONNX Runtime)"
    )


def row_text(row, engines):
    """One line of the table."""
    case = row["case"]
    cells = "".join(
        f"{row['seconds'][engine.key] * 1e3:14.3f}" if row["seconds"][engine.key] else f"{'-':>14}"
        for engine in engines
    )
    ratio = f"{row['ratio']:7.2f}" if row["ratio"] else f"{'-':>7}"
    return (
        f"{case['mode']:<10} {case['kind']:<5} {row['label']:<16}{cells} {ratio}"
        f" {row['gflops']:7.1f} {row['percent_of_peak']:7.1f}"
    )


def beside_one_thread(rows):
    """Of each mode and kind: the times of gatewise over those that it takes on one thread."""
    for (mode, kind), members in by_mode_and_kind(rows).items():
        ratios = {
            row["label"]: row["seconds"]["gatewise"] / row["seconds"]["alone"] for row in members
        }
        worst = max(ratios, key=ratios.get)
        yield (
            f"{mode:<10} {kind:<5} beside one thread {geometric_mean(ratios.values()):.2f} of its"
            f" time, at most {ratios[worst]:.2f} at {worst}"
        )


def means(rows):
    """Geometric mean and worst ratio of each mode and kind."""
    for (mode, kind), members in by_mode_and_kind(row for row in rows if row["ratio"]).items():
        mean = geometric_mean(row["ratio"] for row in members)
        worst = min(members, key=lambda row: row["ratio"])
        yield (
            f"{mode:<10} {kind:<5} geometric mean {mean:.2f}x, worst {worst['ratio']:.2f}x at"
            f" {worst['label']}"
        )


def by_mode_and_kind(rows):
    """Rows in groups."""
    groups = {}
    for row in rows:
        groups.setdefault((row["case"]["mode"], row["case"]["kind"]), []).append(row)
    return groups


def geometric_mean(values):
    """Of positive numbers."""
    return statistics.geometric_mean(list(values))


if __name__ == "__main__":
    main()
