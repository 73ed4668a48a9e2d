"""Backtests: forecasts from one origin after the other, each from what was known by then, beside what came."""

from dataclasses import dataclass

import numpy as np
from sklearn.base import clone

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .series import read_features, read_target


@dataclass(repr=False)
class Backtest:
    """Forecasts of one series and what came.

    Attributes
    ----------
    origins : ndarray of int (n,)
        How many steps of y were known at each forecast.
    forecasts, actuals : ndarray (n, horizon, k), float64
        Of steps 1 ... horizon after each origin.
    index : pandas.Index or ndarray of datetime64, or None
        Labels of the steps of y.
    names : tuple
        Of the variables.
    """

    origins: np.ndarray
    forecasts: np.ndarray
    actuals: np.ndarray
    index: object
    names: tuple

    def __repr__(self):
        count, horizon, variables = self.forecasts.shape
        return (
            f"Backtest({count} origins from {self.origins[0]} to {self.origins[-1]}, horizon"
            f" {horizon}, {variables} variables, mae {self.mae.mean():.4g}, mse"
            f" {self.mse.mean():.4g})"
        )

    @property
    def errors(self):
        """Forecasts minus actuals, (n, horizon, k)."""
        return self.forecasts - self.actuals

    @property
    def mae(self):
        """Mean absolute error of each step ahead, (horizon,); actual values that are missing are left out."""
        return self._mean(np.abs(self.errors))

    @property
    def mse(self):
        """Mean squared error of each step ahead, (horizon,)."""
        return self._mean(np.square(self.errors))

    @property
    def rmse(self):
        """Root of :attr:`mse`."""
        return np.sqrt(self.mse)

    @staticmethod
    def _mean(values):
        """Of each step ahead, over what is known; NaN where nothing is."""
        seen = ~np.isnan(values)
        counts = seen.sum(axis=(0, 2))
        return np.where(
            counts > 0, values.sum(axis=(0, 2), where=seen) / np.maximum(counts, 1), np.nan
        )

    def to_frame(self):
        """A pandas DataFrame with a row a forecast number: origin, step, label, variable, forecast, actual, error."""
        import pandas

        count, horizon, variables = self.forecasts.shape
        names, shape = np.empty(variables, object), (count, horizon, variables)
        names[:] = self.names  # which may be tuples
        steps = np.broadcast_to(np.arange(1, horizon + 1)[:, None], shape)
        at = (self.origins[:, None, None] + steps - 1).reshape(-1)
        columns = {
            "origin": np.broadcast_to(self.origins[:, None, None], shape).reshape(-1),
            "step": steps.reshape(-1),
            "label": at if self.index is None else self.index[at],
            "variable": np.broadcast_to(names, shape).reshape(-1),
            "forecast": self.forecasts.reshape(-1),
            "actual": self.actuals.reshape(-1),
            "error": self.errors.reshape(-1),
        }
        return pandas.DataFrame(columns)

    def by_step(self):
        """A pandas DataFrame with a row a step ahead: mae, mse, rmse."""
        import pandas

        index = pandas.RangeIndex(1, self.forecasts.shape[1] + 1, name="step")
        return pandas.DataFrame({"mae": self.mae, "mse": self.mse, "rmse": self.rmse}, index)


def run_backtest(forecaster, y, x, times, initial, horizon, step, refit, groups=None, time=None):
    """See :meth:`SequenceForecaster.backtest`: a Backtest, a list of them if y is a list of series, or a dict."""
    step = checks.whole_number(step, "step")
    if initial is None:
        forecaster._need_fitted()
    y, x, panel = forecaster._unfolded(y, x, times, initial is None, groups, time)
    series, several = read_target(y, times, missing=True)
    if initial is None:
        if checks.flag(refit, "refit"):
            raise ConfigError(
                "refit=True needs initial=, the number of steps that the first fit sees"
            )
        fitted, first = forecaster, forecaster._preparation.context
    else:
        first = checks.whole_number(initial, "initial")
        fitted = clone(forecaster).fit(*_known(y, x, times, several, first))
    series = fitted._in_same_zone(series)
    for one, history in zip(series, fitted._histories):
        history.check_spacing(one)
    features = read_features(x, series, several, fitted._x_names, missing=True)
    steps = fitted._steps(horizon)
    after = max(steps, fitted._steps_known_ahead(steps))
    origins = [np.arange(first, len(one) - after + 1, step) for one in series]
    if not all(map(len, origins)):
        raise ShapeError(
            f"y has {min(map(len, series))} steps; a backtest needs {first + after}: {first} before"
            f" the first forecast and {after} after it"
        )
    if checks.flag(refit, "refit"):
        forecasts = _refitted(forecaster, y, x, times, several, origins, steps)
    else:
        histories = fitted._histories_of(series, features)
        forecasts = [
            fitted._forecasts_from(number, history, origin - 1, steps)
            for number, (history, origin) in enumerate(zip(histories, origins))
        ]
    found = []
    for one, origin, forecast in zip(series, origins, forecasts):
        names = one.form.names or tuple(range(one.values.shape[1]))
        found.append(
            Backtest(
                origin, forecast, one.values[origin[:, None] + np.arange(steps)], one.index, names
            )
        )
    if panel is not None and panel.keys:
        return dict(zip(panel.keys, found))
    return found if several and panel is None else found[0]


def _refitted(forecaster, y, x, times, several, origins, steps):
    """Forecasts of a new fit for each origin."""
    if any(len(one) != len(origins[0]) for one in origins):
        raise ShapeError(
            "refit=True fits all series at each origin, and they have different numbers of steps;"
            " backtest them apart"
        )
    forecasts = []
    for count in origins[0]:
        fitted = clone(forecaster).fit(*_known(y, x, times, several, count))
        ahead = count + fitted._steps_known_ahead(steps)
        future = (
            _each(x, several, lambda part: part[count:ahead]) if fitted._preparation.ahead else None
        )
        forecast = fitted.predict(steps, future)
        parts = forecast if several else [forecast]
        forecasts.append([np.asarray(part, np.float64).reshape(steps, -1) for part in parts])
    return [np.stack(forecast) for forecast in zip(*forecasts)]


def _known(y, x, times, several, count):
    """(y, x, times) of the first `count` steps."""
    return tuple(
        None if given is None else _each(given, several, lambda part: part[:count])
        for given in (y, x, times)
    )


def _each(given, several, cut):
    """`cut` applied to the part of each series."""
    return [cut(part) for part in given] if several else cut(given)
