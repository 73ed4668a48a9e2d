"""How cost grows: with threads, and with steps, rows and units.

python -m benchmarks.scaling
python -m benchmarks.scaling --kinds gru --modes training
"""

import argparse
import os

from benchmarks.cases import KINDS, MODES, Case
from benchmarks.compare import machine
from benchmarks.runner import start_engines, take_turns

BASE = (32, 100, 64, 128)  # batch, steps, inputs, units
GROWTH = {
    "steps": (1, 10, 100, 1000),
    "batch": (1, 4, 16, 64, 256),
    "units": (16, 32, 64, 128, 256, 512),
}
AXES = ("batch", "steps", "inputs", "units")


def main():
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["lstm"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    arguments = parser.parse_args()
    print(machine())
    for kind in arguments.kinds:
        for mode in arguments.modes:
            threads_table(kind, mode)
            for axis, extents in GROWTH.items():
                growth_table(kind, mode, axis, extents)


def threads_table(kind, mode):
    """Times of the base shape for 1, 2, 4, ... threads: new processes for each number."""
    print(f"\n{mode}, {kind}, {','.join(map(str, BASE))}: ms by threads (speed-up on one thread)")
    first, count = None, 1
    while count <= (os.cpu_count() or 1):
        engines, _ = start_engines(["gatewise", "torch", "onnxruntime"], count)
        times = take_turns(engines, prepare=Case(kind, *BASE, mode).to_dict())
        first = first or times
        cells = [
            f"{engine.name} {times[engine.key] * 1e3:.2f}"
            f" ({first[engine.key] / times[engine.key]:.2f}x)"
            for engine in engines
            if times[engine.key]
        ]
        print(f"{count:>8}  {'  '.join(cells)}")
        close(engines)
        count *= 2


def growth_table(kind, mode, axis, extents):
    """Times as one extent grows, and what one of it costs."""
    print(
        f"\n{mode}, {kind}, {','.join(map(str, BASE))} but for {axis}: ms (us for each of {axis})"
    )
    engines, _ = start_engines(["gatewise", "torch", "onnxruntime"], os.cpu_count() or 1)
    for extent in extents:
        shape = tuple(extent if name == axis else base for name, base in zip(AXES, BASE))
        times = take_turns(engines, prepare=Case(kind, *shape, mode).to_dict())
        print(
            f"{extent:>8}  "
            + "  ".join(
                f"{engine.name} {times[engine.key] * 1e3:.3f}"
                f" ({times[engine.key] / extent * 1e6:.1f})"
                for engine in engines
                if times[engine.key]
            )
        )
    close(engines)


def close(engines):
    """End their processes."""
    for engine in engines:
        engine.close()


if __name__ == "__main__":
    main()
