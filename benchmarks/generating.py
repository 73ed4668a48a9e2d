"""Characters a second that a model generates, beside PyTorch: each engine in its own process.

    python -m benchmarks.generating                  # one text, one thread
    python -m benchmarks.generating --rows 32

An embedding of 64, two LSTM layers of 128, 65 characters, which are drawn from the softmax one
after the other. The engines take turns; the figures are medians. PyTorch steps its LSTM with a
state under inference_mode, and draws by multinomial.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

SYMBOLS, EMBEDDING, UNITS = 65, 64, 128


def ours(rows, steps):
    """Seconds that gatewise takes."""
    import gatewise
    from gatewise import layers
    from gatewise.generation import sample

    gatewise.set_num_threads(1)
    model = gatewise.Sequential(
        [
            layers.Embedding(SYMBOLS, EMBEDDING),
            layers.LSTM(UNITS, return_sequences=True),
            layers.LSTM(UNITS, return_sequences=True),
            layers.Dense(SYMBOLS, "softmax"),
        ],
        seed=0,
    )
    model.build((None, None))
    prompts = [[1]] * rows
    sample(model, prompts, 20, seed=0)
    start = time.perf_counter()
    sample(model, prompts, steps, seed=0)
    return time.perf_counter() - start


def theirs(rows, steps):
    """Seconds that PyTorch takes."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    vectors = nn.Embedding(SYMBOLS, EMBEDDING)
    recurrent = nn.LSTM(EMBEDDING, UNITS, 2, batch_first=True)
    scores = nn.Linear(UNITS, SYMBOLS)

    def generate(count):
        symbols, state = torch.ones((rows, 1), dtype=torch.long), None
        for _ in range(count):
            y, state = recurrent(vectors(symbols), state)
            symbols = torch.multinomial(scores(y[:, 0]).softmax(dim=1), 1)

    with torch.inference_mode():
        generate(20)
        start = time.perf_counter()
        generate(steps)
        return time.perf_counter() - start


ENGINES = {"gatewise": ours, "PyTorch": theirs}


def main():
    """Parse, run in turns, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.engine:
        print(ENGINES[options.engine](options.rows, options.steps))
        return
    seconds = {engine: [] for engine in ENGINES}
    for _ in range(options.repeats):
        for engine, found in seconds.items():
            command = [sys.executable, "-m", "benchmarks.generating", "--engine", engine]
            command += ["--rows", str(options.rows), "--steps", str(options.steps)]
            done = subprocess.run(
                command,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=True,
                capture_output=True,
                text=True,
            )
            found.append(float(done.stdout))
    for engine, found in seconds.items():
        rate = options.rows * options.steps / statistics.median(found)
        print(f"{engine:<10} {rate:10,.0f} characters a second, {options.rows} texts at once")


if __name__ == "__main__":
    main()
