"""What each option of a recurrent cell costs: its time as a ratio of the plain cell's.

    python -m benchmarks.options           # all options, two shapes, inference and training
    python -m benchmarks.options --long    # MinGRU and MinLSTM over 16,384 steps, GRU and LSTM too
    python -m benchmarks.options --shapes 32,100,64,128 --only peepholes projection --rounds 20

Rich and plain cell take turns in one process; each turn is one call, and the ratio is that of the
fastest turns, so that a busy machine disturbs it little.
"""

import argparse
import os
import time
from functools import partial

import numpy as np

import gatewise
from gatewise.layers import GRU, LSTM, RNN, MinGRU, MinLSTM, SimpleRNN

from . import printed_forms

SHAPES = [(32, 100, 64, 128), (64, 35, 256, 256)]  # batch, steps, inputs, units
LONG = [(1, 16384, 64, 64), (1, 16384, 64, 256), (4, 16384, 64, 128)]


def in_numpy(cell, units, **options):
    """An RNN of one of the cells of printed_forms."""
    return RNN(cell(units), **options)


OPTIONS = {
    "peepholes": (LSTM, {"peepholes": True}),
    "coupled": (LSTM, {"coupled": True}),
    "no input gate": (LSTM, {"input_gate": False}),
    "no output gate": (LSTM, {"output_gate": False}),
    "hard gates": (LSTM, {"recurrent_activation": "hard_sigmoid"}),
    "linear output": (LSTM, {"output_activation": "linear"}),
    "clip": (LSTM, {"clip": 3.0}),
    "cell clip": (LSTM, {"cell_clip": 3.0}),
    "projection to half": (LSTM, {"projection": 0.5}),
    "zoneout": (LSTM, {"zoneout": 0.1}),
    "recurrent dropout": (LSTM, {"recurrent_dropout": 0.1}),
    "layer normalisation": (LSTM, {"layer_normalization": True}),
    "output gate inside": (LSTM, {"output_gate_inside": True}),
    "learned start": (LSTM, {"learned_initial_state": True}),
    "resets, one step in eight": (LSTM, {"resets": 8}),
    "GRU resets, one step in eight": (GRU, {"resets": 8}),
    "GRU clip": (GRU, {"clip": 3.0}),
    "GRU zoneout": (GRU, {"zoneout": 0.1}),
    "GRU complement": (GRU, {"candidate": "complement"}),
    "GRU complement, reset before": (GRU, {"candidate": "complement", "reset_after": False}),
    "GRU split": (GRU, {"candidate": "split"}),
    "GRU input, sigmoid output": (
        GRU,
        {"candidate": "input", "update": "chung", "output_activation": "sigmoid"},
    ),
    "GRU layer normalisation": (GRU, {"layer_normalization": True}),
    "SimpleRNN layer normalisation": (SimpleRNN, {"layer_normalization": True}),
    "SimpleRNN zoneout": (SimpleRNN, {"zoneout": 0.1}),
    "MinGRU for GRU": (MinGRU, {}),
    "MinLSTM for LSTM": (MinLSTM, {}),
    "full gates in NumPy for LSTM": (partial(LSTM.variant, "FGR"), {}),
    "gate inside in NumPy for LSTM": (partial(in_numpy, printed_forms.ProductInsideLSTM), {}),
    "complement in NumPy for GRU": (partial(in_numpy, printed_forms.OppositeResetGRU), {}),
    "split in NumPy for GRU": (partial(in_numpy, printed_forms.SharedGateGRU), {}),
    "input in NumPy for GRU": (partial(in_numpy, printed_forms.SigmoidOutputUnit), {}),
}
IN_TIME = ["MinGRU for GRU", "MinLSTM for LSTM"]  # made for all steps at once


def main():
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        help="batch,steps,inputs,units",
    )
    parser.add_argument("--only", nargs="+", choices=OPTIONS)
    parser.add_argument(
        "--long",
        action="store_true",
        help="long sequences, for cells that are made for all steps at once",
    )
    parser.add_argument("--rounds", type=int, default=15, help="turns of each cell")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    shapes = arguments.shapes or (LONG if arguments.long else SHAPES)
    gatewise.set_num_threads(arguments.threads)
    print(
        f"gatewise {gatewise.__version__} ({gatewise.build_info()['isa']}), {arguments.threads}"
        " threads, float32; time over the plain cell's, inference and training"
    )
    print(f"{'':<30}" + "".join(f"{','.join(map(str, shape)):>24}" for shape in shapes))
    for name in arguments.only or (IN_TIME if arguments.long else OPTIONS):
        cells = (
            f"{ratio(name, shape, False, arguments.rounds):>16.2f}"
            f"{ratio(name, shape, True, arguments.rounds):>8.2f}"
            for shape in shapes
        )
        print(f"{name:<30}" + "".join(cells), flush=True)


def ratio(name, shape, training, rounds):
    """Seconds of the rich cell over those of the plain one, the fastest turns of each."""
    cls, options = OPTIONS[name]
    if "projection" in options:
        options = {"projection": int(options["projection"] * shape[3])}
    plain = next(plain for plain in (LSTM, GRU, SimpleRNN) if is_plain_cell(plain, name, cls))
    calls = [call_of(cls, options, shape, training), call_of(plain, {}, shape, training)]
    best = [float("inf")] * 2
    for _ in range(rounds):
        for which, call in enumerate(calls):
            begin = time.perf_counter()
            call()
            best[which] = min(best[which], time.perf_counter() - begin)
    return best[0] / best[1]


def is_plain_cell(plain, name, cls):
    """Whether an option is measured against this layer."""
    return cls is plain or name.endswith(f"for {plain.__name__}")


def call_of(cls, options, shape, training):
    """A function that runs the layer once, after two calls; "resets": mean steps between them."""
    batch, steps, inputs, units = shape
    options = dict(options)
    every = options.pop("resets", None)
    layer = cls(units, return_sequences=True, seed=0, **options)
    layer.build((None, steps, inputs))
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, steps, inputs)).astype("float32")
    dy = rng.standard_normal((batch, *layer.output_shape[1:])).astype("float32")
    resets = None if every is None else rng.random((batch, steps)) < 1 / every

    def call():
        if not training:
            return layer.forward(x, resets=resets)
        layer.zero_gradients()
        layer.forward(x, resets=resets, training=True)
        return layer.backward(dy)

    call()
    call()
    return call


if __name__ == "__main__":
    main()
