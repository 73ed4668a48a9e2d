"""Forecast sunspots two years at a time, with a range that what comes lies in four times of five.

    python examples/forecast_range.py

Trains a GRU on the counts of 1749 to 1953, the last 20 years of which end training, then walks
through 1954 to 1983: a forecast, what came, the next forecast. Takes a few seconds. Needs
scikit-learn.
"""

import argparse
from pathlib import Path

import numpy as np

try:
    from gatewise import SequenceForecaster
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn ({error}); install it: python -m pip install '.[sklearn]'"
    ) from error

SEASON = 132  # months: a solar cycle lasts eleven years, and a forecast sees one
HORIZON = 24  # months ahead
VALIDATION = 20 * 12  # months
HELD_OUT = 30 * 12  # months, the last of the series


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the network; default 0")
    options = parser.parse_args()

    path = Path(__file__).resolve().parent / "data" / "monthly-sunspots.csv"
    months, numbers = np.loadtxt(
        path, delimiter=",", quotechar='"', skiprows=1, dtype=str, unpack=True
    )
    numbers, start = numbers.astype("float64"), len(numbers) - HELD_OUT

    forecaster = SequenceForecaster(
        window=SEASON,
        horizon=HORIZON,
        cell="gru",
        units=32,
        quantiles=[0.1, 0.5, 0.9],
        stride=4,
        batch_size=32,
        learning_rate_init=5e-3,
        max_iter=60,
        early_stopping=True,
        validation_fraction=VALIDATION / start,
        random_state=options.seed,
    )
    forecaster.fit(numbers[:start])

    print("years        forecast   range        came   inside")
    errors, naive, inside = [], [], []
    for origin in range(start, len(numbers), HORIZON):
        forecast, (lower, upper) = forecaster.predict(), forecaster.predict_interval(coverage=0.8)
        came = numbers[origin : origin + HORIZON]
        within = (lower <= came) & (came <= upper)
        print(
            f"{months[origin][:4]} to {months[origin + HORIZON - 1][:4]}  {forecast.mean():7.1f}  "
            f" {lower.mean():3.0f} to {upper.mean():3.0f}  {came.mean():6.1f}   {within.sum():2d}"
            f" of {HORIZON} months"
        )
        errors.append(forecast - came)
        naive.append(numbers[origin - 1] - came)
        inside.append(within)
        forecaster.update(came)  # two years have gone by; nothing is trained
    print(
        f"\nmean absolute error {np.abs(errors).mean():.1f}, of the last value"
        f" {np.abs(naive).mean():.1f}"
    )
    print(f"inside the range: {np.mean(inside):.0%} of the months; 80% were asked for")


if __name__ == "__main__":
    main()
