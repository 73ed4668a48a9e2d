"""Watch a live series: a forecaster that sees one value at a time, and reports surprises.

    python examples/monitor.py

Learns the monthly sunspots until 1939. Then the months arrive one by one, each is compared with
what was forecast for it, and an error that three months in a hundred have is reported. Needs
scikit-learn.
"""

import time
from pathlib import Path

import numpy as np

try:
    from gatewise import SequenceForecaster
except ImportError as error:
    say = "this example needs scikit-learn ({}); install it: python -m pip install '.[sklearn]'"
    raise SystemExit(say.format(error)) from error

SERIES = Path(__file__).resolve().parent / "data" / "monthly-sunspots.csv"
SEEN = 24 * 12  # months that end in 1983 and were not learned from


def main():
    months, numbers = np.loadtxt(
        SERIES, delimiter=",", quotechar='"', skiprows=1, dtype=str, unpack=True
    )
    values = np.sqrt(numbers.astype("float64"))  # so that the noise is as large at any level
    known, live = values[:-SEEN], values[-SEEN:]
    forecaster = SequenceForecaster(
        window=24, cell="gru", units=32, learning_rate="cosine", learning_rate_init=5e-3,
        max_iter=20, random_state=0,
    )  # fmt: skip
    errors = []
    stream = forecaster.fit(known[:-240]).stream()
    expected = forecaster.predict()[0]
    for value in known[-240:]:  # twenty years that tell how large errors are
        errors.append(abs(value - expected))
        expected = stream.step(value)[0]
    limit, took, missed = np.quantile(errors, 0.97), [], []
    for month, value in zip(months[-SEEN:], live):
        missed.append(abs(value - expected))
        if missed[-1] > limit:
            print(f"{month}: {value**2:5.1f} came, {expected**2:5.1f} were expected")
        start = time.perf_counter_ns()
        expected = stream.step(value)[0]
        took.append((time.perf_counter_ns() - start) / 1000)
    naive = np.abs(np.diff(values))[-SEEN:].mean()
    print(f"{SEEN} months, mean error {np.mean(missed):.2f}; of the month before {naive:.2f}")
    print(f"a month took {np.median(took):.0f} us, the slowest {np.max(took):.0f} us")


if __name__ == "__main__":
    main()
