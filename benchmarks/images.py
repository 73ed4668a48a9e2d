"""Milliseconds of a batch of videos, beside PyTorch: inference, and a step of training.

    python -m benchmarks.images --threads 2

A batch is (32, 12, 24, 24, 1). `frames` is a convolution of 16 filters of each image, pooling, and
an LSTM of 64 units; `convlstm` is a ConvLSTM2D of 16 filters and the mean over places. Each engine
runs in a process of its own. PyTorch is measured with channels first and last; the figures are
medians of 15 calls.
"""

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np

ENGINES = ("gatewise", "pytorch", "pytorch channels_last")
CASES = ("frames", "convlstm")


def batch():
    """(videos, labels)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((32, 12, 24, 24, 1)).astype("float32")
    return x, rng.integers(0, 10, 32)


def gatewise_calls(case, threads, _):
    """(inference, step of training), functions without arguments."""
    import gatewise
    from gatewise import layers
    from gatewise.layers import TimeDistributed as Each

    gatewise.set_num_threads(threads)
    x, y = batch()
    middle = {
        "frames": [
            Each(layers.Conv2D(16, 3, padding="same", activation="relu")),
            Each(layers.MaxPooling2D(2)),
            Each(layers.Flatten()),
            layers.LSTM(64),
        ],
        "convlstm": [layers.ConvLSTM2D(16, 3, padding="same"), layers.GlobalAveragePooling2D()],
    }[case]
    model = gatewise.Sequential(
        [layers.Input(x.shape[1:]), *middle, layers.Dense(10, "softmax")], seed=0
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return lambda: model.predict_on_batch(x), lambda: model.train_on_batch(x, y)


def pytorch_calls(case, threads, channels_last):
    """The same of PyTorch."""
    import torch

    from .torch_videos import MODULES

    torch.set_num_threads(threads)
    x, y = (torch.as_tensor(array) for array in batch())
    x = x.movedim(-1, 2).contiguous()
    module = MODULES[case]()
    if channels_last:
        module = module.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(module.parameters())

    def infer():
        with torch.inference_mode():
            return module(x).softmax(-1)

    def train():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()

    return infer, train


def milliseconds(call):
    """Median of 15 calls after 3."""
    times = []
    for _ in range(18):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times[3:])


def measure(engine, case, threads):
    """One line of the table; what is not installed is named."""
    make = gatewise_calls if engine == "gatewise" else pytorch_calls
    try:
        calls = make(case, threads, engine.endswith("last"))
    except ImportError as error:
        return f"{case:<10}{engine:<24}left out: {error}"
    return f"{case:<10}{engine:<24}" + "".join(f"{milliseconds(call):>10.1f} ms" for call in calls)


def main(arguments=None):
    """Print the table, or with --one a line of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.images", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "CASE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(measure(*options.one, options.threads))
        return
    print(f"{'':<34}{'inference':>13}{'training':>13}")
    for case in CASES:
        for engine in ENGINES:
            command = [sys.executable, "-m", "benchmarks.images", "--one", engine, case]
            subprocess.run([*command, "--threads", str(options.threads)], check=True)


if __name__ == "__main__":
    main()
