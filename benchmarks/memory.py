"""Memory of a training step beside PyTorch's.

    python -m benchmarks.memory

For each shape every engine starts in a new process, runs a small step, then one of the shape: the
table has the growth of the process's peak between the two.
"""

import os

from benchmarks.cases import KINDS, Case
from benchmarks.compare import machine
from benchmarks.runner import start_engines

SHAPES = [(32, 100, 64, 128), (64, 256, 32, 96), (64, 35, 650, 650), (128, 200, 64, 256)]
SMALL = (2, 3, 4, 5)


def main():
    """Measure, print."""
    print(machine())
    for kind in KINDS:
        for shape in SHAPES:
            print(
                f"training {kind:<5} {','.join(map(str, shape)):<16}"
                + "".join(
                    f"  {name} {grown / 2**20:7.1f} MiB" for name, grown in growth(kind, shape)
                ),
                flush=True,
            )


def growth(kind, shape):
    """(name, bytes by which the peak grew) of each engine."""
    engines, _ = start_engines(["gatewise", "torch"], os.cpu_count() or 1)
    for engine in engines:
        engine.ask(prepare=Case(kind, *SMALL, "training").to_dict())
        before = engine.ask(memory=True)["peak_bytes"]
        engine.ask(prepare=Case(kind, *shape, "training").to_dict())
        yield engine.name, engine.ask(memory=True)["peak_bytes"] - before
        engine.close()


if __name__ == "__main__":
    main()
