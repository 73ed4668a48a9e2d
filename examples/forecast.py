"""Forecast sunspots two years ahead with an LSTM and a GRU, beside three simpler forecasts.

    python examples/forecast.py

Trains on the counts of 1749 to 1933, stops training by those of 1934 to 1953, and forecasts 1954 to
1983 from every month of it: about ten seconds. Writes both models and a picture to examples/output.
Needs scikit-learn and matplotlib.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from gatewise.callbacks import EarlyStopping
from gatewise.data import windows
from gatewise.layers import GRU, LSTM, Dense, Input
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam

try:
    import matplotlib
    from sklearn.linear_model import LinearRegression
    from sklearn.preprocessing import StandardScaler
except ImportError as error:
    raise SystemExit(
        f"this example needs scikit-learn and matplotlib ({error}); install them: "
        "python -m pip install '.[plot]'"
    ) from error

HERE = Path(__file__).resolve().parent
SEASON = 132  # months: a solar cycle lasts eleven years
INPUT_STEPS = SEASON  # a forecast sees one whole cycle
HORIZON = 24  # months ahead, all forecast at once
VALIDATION = 20 * 12  # months
HELD_OUT = 30 * 12  # months, the last of the series; only the final table looks at them


def read_series(path):
    """Months (T,) as datetime64[M] and sunspot numbers (T,) as float64."""
    months, numbers = np.loadtxt(
        path, delimiter=",", quotechar='"', skiprows=1, dtype=str, unpack=True
    )
    return months.astype("datetime64[M]"), numbers.astype("float64")


def split(series):
    """Windows (x, y) of the training, validation and held-out part.

    A part holds the windows whose *targets* lie in it: what comes before a forecast is known by
    then, so the inputs may reach back into the part before.
    """
    ends = [len(series) - HELD_OUT - VALIDATION, len(series) - HELD_OUT, len(series)]
    starts = [0, ends[0] - INPUT_STEPS, ends[1] - INPUT_STEPS]
    return [windows(series[start:end], INPUT_STEPS, HORIZON) for start, end in zip(starts, ends)]


def linear_forecast(train, x):
    """Linear autoregression: every month ahead a weighted sum of the window, by least squares."""
    x_train, y_train = train
    model = LinearRegression().fit(x_train[:, :, 0], y_train)
    return model.predict(x[:, :, 0])


def train_network(layer, train, validation, seed):
    """A recurrent network that forecasts the change from the last month it sees.

    So it starts out near the last-value forecast, and a level it never met in training, such as
    the record cycle of 1957, does not throw it.
    """
    x_train, y_train = (array[::2] for array in train)  # neighbours are nearly alike: half the time
    x_validation, y_validation = validation
    model = Sequential([Input((INPUT_STEPS, 1)), layer(48, dropout=0.1), Dense(HORIZON)], seed=seed)
    model.compile(optimizer=Adam(learning_rate=2e-3), loss="mse")
    started = time.perf_counter()
    history = model.fit(
        x_train,
        y_train - x_train[:, -1],
        validation_data=(x_validation, y_validation - x_validation[:, -1]),
        batch_size=32,
        epochs=60,
        verbose=0,
        callbacks=[EarlyStopping(monitor="val_loss", patience=8, restore_best_weights=True)],
    ).history
    best = int(np.argmin(history["val_loss"]))
    print(
        f"{layer.__name__}: {len(history['val_loss'])} epochs in"
        f" {time.perf_counter() - started:.1f} s, weights of epoch {best + 1} kept, validation loss"
        f" {history['val_loss'][best]:.3f}"
    )
    return model


def network_forecast(model, x):
    """Forecasts (n, HORIZON) of a model of `train_network`."""
    return model.predict(x, verbose=0) + x[:, -1]


def reload(model, path, x, forecast):
    """Save the model, load it again, and stop unless the forecasts are the same, bit for bit."""
    model.save(path)
    again = network_forecast(load_model(path), x)
    if again.tobytes() != forecast.tobytes():
        sys.exit(f"{path}: the reloaded model forecasts something else")
    print(f"{path.name}: saved, reloaded, forecasts the same bits")


def print_table(errors):
    """MAE and RMSE of each forecast, in sunspots."""
    print(f"\n{'forecast':<22}{'MAE':>8}{'RMSE':>8}")
    for name, error in errors.items():
        print(f"{name:<22}{mae(error):>8.2f}{rmse(error):>8.2f}")


def mae(error):
    return np.abs(error).mean()


def rmse(error):
    return np.sqrt(np.square(error).mean())


def draw(path, months, truth, forecasts):
    """The held-out part with the forecasts of every second January, and errors by month ahead."""
    matplotlib.use("agg")  # a file, no window
    import matplotlib.pyplot as plt

    styles = {
        "last value": ("0.6", "--", 1.0),
        "seasonal naive": ("0.6", ":", 1.2),
        "linear autoregression": ("#009e73", "-", 1.2),
        "LSTM": ("#d55e00", "-", 2.0),
        "GRU": ("#0072b2", "-", 2.0),
    }
    figure, (top, bottom) = plt.subplots(
        2, figsize=(11, 8), height_ratios=(3, 2), layout="constrained"
    )
    top.plot(
        months, np.r_[truth[:, 0], truth[-1, 1:]], color="black", linewidth=0.8, label="counted"
    )
    for name, forecast in forecasts.items():
        color, line, width = styles[name]
        for origin in range(0, len(truth), HORIZON):
            top.plot(
                months[origin : origin + HORIZON],
                forecast[origin],
                color=color,
                linestyle=line,
                linewidth=width,
                label=name if origin == 0 else None,
            )
        bottom.plot(
            range(1, HORIZON + 1),
            np.abs(forecast - truth).mean(axis=0),
            color=color,
            linestyle=line,
            linewidth=width,
            label=name,
        )
    top.set(
        title=f"Sunspots {months[0]} to {months[-1]}, forecast {HORIZON} months at a time",
        xlabel="year",
        ylabel="monthly sunspot number",
        xlim=(months[0], months[-1]),
    )
    bottom.set(
        title="Error of the forecasts from every month",
        xlabel="months ahead",
        ylabel="mean absolute error (sunspots)",
        xlim=(1, HORIZON),
        ylim=(0, None),
        xticks=range(3, HORIZON + 1, 3),
    )
    for axes in (top, bottom):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.12 * (high - low))  # room for the legend above the lines
        axes.legend(frameon=False, fontsize="small", loc="upper left", ncols=6)
        axes.grid(axis="y", alpha=0.3)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the networks; default 0")
    parser.add_argument(
        "--output", type=Path, default=HERE / "output", help="folder of what is written"
    )
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    months, numbers = read_series(HERE / "data" / "monthly-sunspots.csv")
    # the training part alone
    scaler = StandardScaler().fit(numbers[: -HELD_OUT - VALIDATION, np.newaxis])
    series = scaler.transform(numbers[:, np.newaxis])[:, 0].astype("float32")
    train, validation, (x, y) = split(series)

    forecasts = {
        "last value": np.repeat(x[:, -1], HORIZON, axis=1),
        "seasonal naive": x[:, :HORIZON, 0],  # the window opens one season before the first target
        "linear autoregression": linear_forecast(train, x),
    }
    for layer in (LSTM, GRU):
        name = layer.__name__
        model = train_network(layer, train, validation, options.seed)
        forecasts[name] = network_forecast(model, x)
        reload(model, options.output / f"{name.lower()}.safetensors", x, forecasts[name])

    truth, *values = (scaler.inverse_transform(a) for a in (y, *forecasts.values()))
    forecasts = dict(zip(forecasts, values))
    errors = {name: forecast - truth for name, forecast in forecasts.items()}
    print_table(errors)
    draw(options.output / "forecast.png", months[-HELD_OUT:], truth, forecasts)
    print(f"\npicture: {options.output / 'forecast.png'}")

    for name in ("LSTM", "GRU"):
        for baseline in ("last value", "seasonal naive"):
            if mae(errors[name]) >= mae(errors[baseline]) or rmse(errors[name]) >= rmse(
                errors[baseline]
            ):
                sys.exit(f"the {name} does not beat the {baseline} forecast")


if __name__ == "__main__":
    main()
