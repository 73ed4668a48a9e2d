"""ETTh1: six loads and the oil temperature of a transformer, a day ahead, hour by hour.

14,400 hours, cut as is customary (Zhou et al. 2021): 12 months of 30 days to train on, 4 to
validate on, 4 to test; each variable scaled by its mean and deviation in the first part. A forecast
of 24 hours starts from every hour of the test part; the figure is the mean squared error over all
of them. What a contender has to choose, it chooses by the validation part.
"""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

import gatewise
from gatewise.data import windows

from .data import data_file
from .task import OURS, Network, Task

HORIZON = 24  # hours
WINDOW = 48  # hours that Ridge and the networks see; the latter their 47 changes
VALIDATION = 0.25  # of what there is to fit to: 4 months of 16
MONTH = 30 * 24


def data(seed, quick):
    """((hours to fit to, None), (hours with the test part at their end, truth of each origin))."""
    hours = made_up() if quick else read()
    month = len(hours) // 20
    first = hours[: 12 * month]
    hours = (hours - first.mean(axis=0)) / first.std(axis=0)
    start = 16 * month
    came = np.stack(
        [hours[origin : origin + HORIZON] for origin in range(start, len(hours) - HORIZON + 1)]
    )
    return (hours[:start], None), ((hours, start), came)


def read():
    """ndarray (14400, 7) of float64."""
    return np.loadtxt(
        data_file("ett_hourly", "ETTh1.csv"),
        delimiter=",",
        skiprows=1,
        usecols=range(1, 8),
        max_rows=20 * MONTH,
    )


def made_up(seed=0):
    """Days of the same form, with noise: (500, 7)."""
    hours = np.arange(500)[:, None]
    return np.sin(2 * np.pi * hours / 24 + np.arange(7)) + np.random.default_rng(seed).normal(
        0, 0.2, (500, 7)
    )


def error(came, forecast):
    """Mean squared error over origins, hours and variables."""
    return mean_squared_error(came.ravel(), np.asarray(forecast).ravel())


class Ours(BaseEstimator):
    """SequenceForecaster: the network predicts differences from the last observed hour."""

    def __init__(self, network, seed):
        self.network, self.seed = network, seed

    def fit(self, hours, y=None):
        network = self.network
        self.forecaster_ = gatewise.SequenceForecaster(
            window=WINDOW - 1,
            horizon=HORIZON,
            differencing=1,
            loss="mae",
            cell=network.cell,
            units=network.units,
            num_layers=network.num_layers,
            dropout=network.dropout,
            recurrent_dropout=0.2,
            learning_rate="cosine",
            learning_rate_init=network.rate,
            batch_size=network.batch_size,
            max_iter=network.epochs,
            n_iter_no_change=network.epochs,
            early_stopping=True,
            validation_fraction=VALIDATION,
            random_state=self.seed,
        ).fit(hours)
        return self

    def predict(self, given):
        hours, start = given
        return self.forecaster_.backtest(hours[start - WINDOW :]).forecasts


class OfWindows(BaseEstimator):
    """Base of what forecasts from (n, WINDOW, 7): subclasses define ``_fit`` and ``_forecast``."""

    def __init__(self, network=None, seed=0):
        self.network, self.seed = network, seed

    def fit(self, hours, y=None):
        edge = round(len(hours) * (1 - VALIDATION))
        self._fit(
            windows(hours[:edge], WINDOW, HORIZON), windows(hours[edge - WINDOW :], WINDOW, HORIZON)
        )
        return self

    def predict(self, given):
        hours, start = given
        return self._forecast(windows(hours[start - WINDOW :], WINDOW, HORIZON)[0])


class Yesterday(OfWindows):
    """The same hour yesterday."""

    def _fit(self, train, validation):
        pass

    def _forecast(self, x):
        return x[:, -HORIZON:]


class Line(OfWindows):
    """Ridge regression on all values of the window; the validation part chooses the penalty."""

    def _fit(self, train, validation):
        (x, y), (held_x, held_y) = (
            [part.reshape(len(part), -1) for part in pair] for pair in (train, validation)
        )
        lines = [Ridge(alpha).fit(x, y) for alpha in np.logspace(-1, 5, 13)]
        self.line_ = min(lines, key=lambda line: error(held_y, line.predict(held_x)))

    def _forecast(self, x):
        return self.line_.predict(x.reshape(len(x), -1)).reshape(len(x), HORIZON, -1)


class PyTorch(OfWindows):
    """The same network in PyTorch, without recurrent dropout or early stopping."""

    def _fit(self, train, validation):
        from .pytorch import regressor

        x, y = train
        self.net_ = regressor(
            self.network, self.seed, inputs=x.shape[2], outputs=HORIZON * x.shape[2], samples=len(x)
        )
        changes, last = self._changes(x)
        self.net_.fit(changes, (y - last).reshape(len(y), -1).astype(np.float32))

    def _forecast(self, x):
        changes, last = self._changes(x)
        return self.net_.predict(changes).reshape(len(x), HORIZON, -1) + last

    @staticmethod
    def _changes(x):
        """What the network reads, and the last hour, above which its answers lie."""
        changes = np.diff(x, axis=1).astype(np.float32)
        return {"x": changes, "lengths": np.full(len(x), changes.shape[1])}, x[:, -1:]


def pytorch(network, seed):
    """ImportError without PyTorch and skorch."""
    from . import pytorch as needed  # noqa: F401

    return PyTorch(network, seed)


TASK = Task(
    "ETTh1, a day ahead",
    0.424,
    data,
    Network(units=96, epochs=12, batch_size=64, rate=2e-3),
    {
        OURS: Ours,
        "the same hour yesterday": Yesterday,
        "Ridge on the same window": Line,
        "PyTorch, by skorch": pytorch,
    },
    unit="mean squared error on the test part",
    score=error,
    lower_is_better=True,
)
