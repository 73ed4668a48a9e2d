"""Backtest: forecasts of one series from one origin after another, with the values that came."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

    from gatewise._typing import Array


@dataclass(repr=False)
class Backtest:
    """Forecasts of one series and the values that came.

    :meth:`gatewise.SequenceForecaster.backtest` returns it.

    Parameters
    ----------
    origins : ndarray of shape (n,), int
        How many steps of y were known at each forecast.
    forecasts, actuals : ndarray of shape (n, horizon, k), float64
        Steps 1 ... horizon after each origin.
    index : pandas.Index, ndarray of datetime64 of shape (T,), or None
        The labels of the steps of y.
    names : tuple
        The names of the variables, or their numbers.

    Attributes
    ----------
    errors : ndarray of shape (n, horizon, k)
        Forecasts minus actual values.
    mae, mse, rmse : ndarray of shape (horizon,)
        Mean absolute error, mean squared error and its root at each step ahead.
    """

    origins: Array
    forecasts: Array
    actuals: Array
    index: pandas.Index[Any] | Array | None
    names: tuple[Any, ...]

    def __repr__(self) -> str:
        count, horizon, variables = self.forecasts.shape
        return (
            f"Backtest({count} origins from {self.origins[0]} to {self.origins[-1]}, horizon"
            f" {horizon}, {variables} variables, mae {self.mae.mean():.4g}, mse"
            f" {self.mse.mean():.4g})"
        )

    @property
    def errors(self) -> Array:
        """Forecasts minus actual values, (n, horizon, k)."""
        return self.forecasts - self.actuals

    @property
    def mae(self) -> Array:
        """Mean absolute error of each step ahead, (horizon,), without missing values."""
        return self._mean(np.abs(self.errors))

    @property
    def mse(self) -> Array:
        """Mean squared error of each step ahead, (horizon,), without missing values."""
        return self._mean(np.square(self.errors))

    @property
    def rmse(self) -> Array:
        """Root of the mean squared error of each step ahead, (horizon,)."""
        return np.sqrt(self.mse)

    @staticmethod
    def _mean(values: Array) -> Array:
        """Return the mean of each step ahead over the values that are known; NaN if none is."""
        seen = ~np.isnan(values)
        counts = seen.sum(axis=(0, 2))
        return np.where(
            counts > 0, values.sum(axis=(0, 2), where=seen) / np.maximum(counts, 1), np.nan
        )

    def to_frame(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with a row for each number that was forecast.

        Returns
        -------
        pandas.DataFrame
            Columns origin, step, label, variable, forecast, actual, error.
        """
        import pandas

        count, horizon, variables = self.forecasts.shape
        shape = (count, horizon, variables)
        names = np.empty(variables, object)
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

    def by_step(self) -> pandas.DataFrame:
        """Return a pandas DataFrame with a row for each step ahead.

        Returns
        -------
        pandas.DataFrame
            Columns mae, mse, rmse; the index is the step, from 1.
        """
        import pandas

        index = pandas.RangeIndex(1, self.forecasts.shape[1] + 1, name="step")
        return pandas.DataFrame({"mae": self.mae, "mse": self.mse, "rmse": self.rmse}, index)
