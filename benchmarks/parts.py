"""Where the time of an LSTM goes: the tile, the cell, the layer, both halves of training.

    python -m benchmarks.parts
    python -m benchmarks.parts --threads 1 --shapes 32,50,256,256

The tile alone is a SimpleRNN without activation, whose weights lie in L1, L2 or beyond: the same
tiles without a cell. The cell alone is five activations over numbers in L1, for each unit and step.
A layer of the shape would take the sum of both if nothing else cost time.
"""

import argparse
import os
import statistics
import time

import numpy as np

import gatewise
from benchmarks.cases import Case
from benchmarks.compare import machine
from benchmarks.engines.gatewise_engine import prepare
from benchmarks.peak import peak_gflops
from benchmarks.worker import SETTLE
from gatewise import layers
from gatewise.kernels import activations, arrays

SHAPES = [
    (8, 100, 64, 128),
    (20, 20, 200, 200),
    (32, 100, 64, 128),
    (32, 50, 256, 256),
    (64, 35, 650, 650),
    (2, 50, 64, 512),
]
# Where the weights of so many units lie: 16 KiB, 1 MiB, 16 MiB.
PLACES = {"L1": 64, "L2": 512, "beyond L2": 2048}
ROUNDS = 7


def main():
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--rows", nargs="+", type=int, default=[48, 16, 2], help="rows that a thread holds"
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        default=SHAPES,
        type=lambda text: tuple(int(part) for part in text.split(",")),
    )
    arguments = parser.parse_args()
    gatewise.set_num_threads(arguments.threads)
    print(f"{machine()}; {arguments.threads} threads; float32; {gatewise.build_info()['isa']}")
    print("\nthe tile alone: GF/s (% of the peak measured beside it)")
    for rows in arguments.rows:
        cells = [
            f"{name} {speed:.0f} ({100 * speed / peak:.0f} %)"
            for name, units in PLACES.items()
            for speed, peak in [tile_speed(rows * arguments.threads, units, arguments.threads)]
        ]
        print(f"  {rows:>3} rows a thread   " + "   ".join(cells))
    cell = cell_seconds()
    print(f"\nthe cell alone, on one thread: {cell * 16 * 1e9:.1f} ns for 16 units and a step")
    print(
        "\na layer: ms; products at the peak, and the cell, in ms; what is left over in % of the"
        " layer"
    )
    for shape in arguments.shapes:
        print(layer_line(Case("lstm", *shape, "inference"), cell, arguments.threads))
    print(
        "\na training step: ms (% of the peak) of the forward half, which keeps its gates, and of"
        " the backward half"
    )
    for shape in arguments.shapes:
        print(training_line(Case("lstm", *shape, "training"), arguments.threads))


def median_seconds(run, before_turn=lambda: None):
    """Median of the calls of several turns of 0.05 s, each after calls that do not count."""
    times = []
    for _ in range(ROUNDS):
        before_turn()
        begin = time.perf_counter()
        while time.perf_counter() - begin < SETTLE:
            run()
        begin, turn = time.perf_counter(), []
        while not turn or time.perf_counter() - begin < 0.05:
            start = time.perf_counter()
            run()
            turn.append(time.perf_counter() - start)
        times += turn
    return statistics.median(times)


def tile_speed(rows, units, threads):
    """(GF/s of h' U over as many steps as fill some milliseconds, peak beside it)."""
    steps = max(2, round(5e8 / (2 * rows * units * units)))
    layer = layers.SimpleRNN(units, activation="linear", use_bias=False, seed=0)
    x = np.zeros((rows, steps, 1), "float32")
    layer.build((None, steps, 1))
    peaks = []
    seconds = median_seconds(lambda: layer.forward(x), lambda: peaks.append(peak_gflops(threads)))
    return 2 * rows * steps * units * (units + 1) / seconds / 1e9, statistics.median(peaks)


def cell_seconds():
    """Seconds of four sigmoids (one in place of the candidate) and a tanh, per unit and step."""
    z = np.random.default_rng(0).standard_normal(2048).astype("float32")
    y = np.empty_like(z)

    def run():
        for name in ("sigmoid", "sigmoid", "sigmoid", "tanh", "tanh"):
            arrays.activate(z, y, activations.code(name), 1)

    return median_seconds(run) / z.size


def layer_line(case, cell, threads):
    """One shape: its time, and the time that its parts account for."""
    peaks = []
    seconds = median_seconds(prepare(case), lambda: peaks.append(peak_gflops(threads)))
    products = case.operations() / statistics.median(peaks) / 1e9
    cells = case.batch * case.steps * case.units * cell / threads
    return (
        f"  {case.label():<16} {seconds * 1e3:8.3f}   products {products * 1e3:7.3f}   cell"
        f" {cells * 1e3:7.3f}   left {100 * (seconds - products - cells) / seconds:4.0f} %"
    )


def training_line(case, threads):
    """One shape: both halves of a training step; backward has two thirds of the products."""
    peaks, layer = [], layers.LSTM(case.units, return_sequences=True, seed=0)
    x = (
        np.random.default_rng(0)
        .standard_normal((case.batch, case.steps, case.inputs))
        .astype("float32")
    )
    layer.build(x.shape)
    forward = median_seconds(
        lambda: layer.forward(x, training=True), lambda: peaks.append(peak_gflops(threads))
    )
    backward = median_seconds(prepare(case)) - forward
    peak = statistics.median(peaks) * 1e9
    return (
        f"  {case.label():<16} forward {forward * 1e3:8.3f}"
        f" ({100 * case.operations() / 3 / forward / peak:.0f} %)   backward {backward * 1e3:8.3f}"
        f" ({200 * case.operations() / 3 / backward / peak:.0f} %)"
    )


if __name__ == "__main__":
    main()
