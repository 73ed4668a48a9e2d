"""What a forecasting network reads and how its outputs become forecasts.

Series are differenced and scaled, cut into windows, and the outputs are converted back to the
numbers of the series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewise import checks

from .scaling import scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Preparation:
    """Differences, scales and windows, fitted to the training part of the series only.

    Row t of what the network reads holds step t, and of what is known ahead the steps after it::

        [ differences of y (k) | past columns of X | calendar of step t + 1
          | ahead columns of X, steps t + 1 ... t + horizon ]

    all but the calendar scaled. The network's outputs, for steps 1 ... horizon after the window,
    are how far y is above its anchor (:func:`anchors`), in units of the scale of the differences.

    Attributes
    ----------
    window : int
        Steps that the network reads.
    horizon : int
        Steps that the network forecasts at once.
    lag : int
        Steps between the values of a difference; 0: no differences.
    center, spread : ndarray of shape (series, k)
        The scale of the differences; each series has its own.
    x_center, x_spread : ndarray of shape (f,)
        The scale of the columns of X.
    past, ahead : list of int
        The columns of X that are known up to now, and those that are known ahead.
    scaling : {None, "standard", "robust", "minmax"}
    missing : str
        How missing values are replaced, see :mod:`gatewise.estimators.reading.missing`.
    """

    window: int
    horizon: int
    lag: int
    center: np.ndarray
    spread: np.ndarray
    x_center: np.ndarray
    x_spread: np.ndarray
    past: list[int]
    ahead: list[int]
    scaling: str | None
    missing: str

    @classmethod
    def fit(
        cls,
        targets: Sequence[np.ndarray],
        features: Sequence[np.ndarray] | None,
        *,
        window: int,
        horizon: int,
        lag: int,
        ahead: Sequence[int],
        scaling: str | None,
        missing: str,
    ) -> Preparation:
        """Learn the scales.

        Parameters
        ----------
        targets : list of ndarray of shape (T_i, k)
            The training part of each series.
        features : list of ndarray of shape (T_i, f), or None
            The training part of X.
        window, horizon, lag, ahead, scaling, missing
            See the attributes.

        Raises
        ------
        NonFiniteError
            A column has no value in the training part.
        """
        scales = [scale_of(differences(y, lag), scaling) for y in targets]
        if features is None:
            x_center, x_spread = np.zeros(0), np.ones(0)
        else:
            x_center, x_spread = scale_of(np.concatenate(features), scaling)
        return cls(
            window=window,
            horizon=horizon,
            lag=lag,
            center=np.stack([center for center, _ in scales]),
            spread=np.stack([spread for _, spread in scales]),
            x_center=x_center,
            x_spread=x_spread,
            past=[column for column in range(len(x_center)) if column not in ahead],
            ahead=list(ahead),
            scaling=scaling,
            missing=missing,
        )

    @property
    def context(self) -> int:
        """The number of steps of y, up to the origin, that a forecast depends on."""
        return self.window + self.lag

    @property
    def fills_gaps(self) -> bool:
        """Whether series may have missing values."""
        return self.missing != "error"

    # ---- what the network reads

    def rows(
        self,
        number: int,
        y: np.ndarray,
        x: np.ndarray | None = None,
        known: np.ndarray | None = None,
    ) -> np.ndarray:
        """Return what the network reads at steps lag, lag + 1, ... of a series.

        Parameters
        ----------
        number : int
            The series.
        y : ndarray of shape (T, k)
        x : ndarray of shape (T, f), or None
        known : ndarray of shape (n, columns), or None
            See :meth:`known`.

        Returns
        -------
        ndarray of shape (n, features), float64
            As many steps as all of y, x and `known` have.
        """
        parts = [(differences(y, self.lag) - self.center[number]) / self.spread[number]]
        if self.past:
            assert x is not None  # it had columns in fit
            parts.append(self._scaled(x[:, self.past], self.past)[self.lag :])
        if known is not None:
            parts.append(known[self.lag :])
        return _side_by_side(parts)

    def known(self, calendar: np.ndarray | None, x: np.ndarray | None) -> np.ndarray | None:
        """Return what is known ahead, as the network reads it at steps 0, 1, ...

        Parameters
        ----------
        calendar : ndarray of shape (T, c), or None
            Calendar features from step 0 on.
        x : ndarray of shape (T, f), or None
            X from step 0 on; only the columns that are known ahead are used.

        Returns
        -------
        ndarray of shape (n, columns), or None
            None if nothing is known ahead.
        """
        parts = [] if calendar is None else [calendar[1:]]
        if self.ahead:
            assert x is not None  # it had columns in fit
            scaled = self._scaled(x[1:, self.ahead], self.ahead)
            parts.append(with_next_rows(scaled, self.horizon))
        return _side_by_side(parts) if parts else None

    def _scaled(self, values: np.ndarray, columns: list[int]) -> np.ndarray:
        return (values - self.x_center[columns]) / self.x_spread[columns]

    def windows(self, rows: np.ndarray, origins: np.ndarray, dtype: str) -> np.ndarray:
        """Return the windows that end at each origin.

        Parameters
        ----------
        rows : ndarray of shape (T - lag, features)
            What :meth:`rows` returned.
        origins : array of int of shape (n,)
            Steps of the series.
        dtype : str

        Returns
        -------
        ndarray of shape (n, window, features)

        Raises
        ------
        SizeError
            The array does not fit into memory.
        """
        origins = np.asarray(origins)
        checks.fits_memory(
            len(origins) * self.window * rows.shape[1], dtype, f"an array of {len(origins)} windows"
        )
        rows = rows.astype(dtype, copy=False)
        first = origins - self.window + 1 - self.lag
        windows = sliding_window_view(rows, self.window, axis=0)[first]
        return np.ascontiguousarray(np.moveaxis(windows, -1, 1))

    # ---- what the network outputs

    def targets(self, number: int, y: np.ndarray, origins: np.ndarray) -> np.ndarray:
        """Return the outputs that the network should have after each origin.

        Parameters
        ----------
        number : int
            The series.
        y : ndarray of shape (T, k)
        origins : array of int of shape (n,)

        Returns
        -------
        ndarray of shape (n, horizon * k)
            Step by step; NaN if y is missing.
        """
        origins = np.asarray(origins)
        truth = y[origins[:, None] + np.arange(1, self.horizon + 1)]
        base = self.base(last_seen(y), origins, self.horizon)
        drift = self._drift(number, self.horizon)
        return ((truth - base - drift) / self.spread[number]).reshape(
            len(origins), self.horizon * y.shape[1]
        )

    def base(self, y: np.ndarray, origins: np.ndarray, steps: int) -> np.ndarray:
        """Return the values of y that the forecasts of steps 1 ... `steps` are added to.

        Returns
        -------
        ndarray of shape (n, steps, k)
            y at the anchors after each origin; zeros without differences.
        """
        origins = np.asarray(origins)
        if not self.lag:
            return np.zeros((len(origins), steps, y.shape[1]))
        return y[origins[:, None] + anchors(steps, self.lag)]

    def restore(self, number: int, outputs: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Convert outputs to the numbers of a series.

        Parameters
        ----------
        number : int
            The series.
        outputs : ndarray of shape (n, steps, k)
            Steps 1 ... `steps` after each origin.
        base : ndarray of shape (n, steps, k)
            See :meth:`base`.
        """
        return outputs * self.spread[number] + self._drift(number, outputs.shape[1]) + base

    def _drift(self, number: int, steps: int) -> np.ndarray:
        """Return how far steps 1 ... `steps` are above their anchors on average, (steps, k).

        It is the mean difference, once for each lag between the step and its anchor.
        """
        lags = -(-np.arange(1, steps + 1) // self.lag) if self.lag else np.ones(steps, int)
        return lags[:, None] * np.reshape(self.center[number], (1, -1))

    def accumulate(
        self, number: int, outputs: np.ndarray, y: np.ndarray, origins: np.ndarray
    ) -> np.ndarray:
        """Convert outputs that are successive differences to the numbers of a series.

        Each is added to the value one lag before it, which may be a forecast.

        Parameters
        ----------
        number : int
            The series.
        outputs : ndarray of shape (n, steps, k)
        y : ndarray of shape (T, k)
        origins : array of int of shape (n,)
        """
        steps = outputs * self.spread[number] + self.center[number]
        if not self.lag:
            return steps
        count = steps.shape[1]
        known = y[np.asarray(origins)[:, None] + np.arange(1 - self.lag, 1)]
        levels = np.concatenate([known, steps], axis=1)
        for at in range(self.lag, self.lag + count):
            levels[:, at] += levels[:, at - self.lag]
        return levels[:, self.lag :]


def differences(y: np.ndarray, lag: int) -> np.ndarray:
    """Return ``y[t] - y[t - lag]`` for t from `lag` on, (T - lag, k); y itself if the lag is 0."""
    return y[lag:] - y[:-lag] if lag else y


def last_seen(y: np.ndarray) -> np.ndarray:
    """Return y with missing values replaced by the last value before them; NaN before the first."""
    gaps = np.isnan(y)
    if not gaps.any():
        return y
    at = np.maximum.accumulate(np.where(gaps, -1, np.arange(len(y))[:, None]), axis=0)
    return np.where(at < 0, np.nan, np.take_along_axis(y, np.maximum(at, 0), axis=0))


def anchors(steps: int, lag: int) -> np.ndarray:
    """Return the steps whose values the forecasts of steps 1, 2, ... ahead are added to.

    The anchor of a step is the last known step of the same season, with a lag of 1 the last known
    step. Anchors are counted from the origin, so that they are 0 or negative.
    """
    ahead = np.arange(1, steps + 1)
    return ahead - lag * -(-ahead // lag)


def with_next_rows(known: np.ndarray, horizon: int) -> np.ndarray:
    """Return rows t, t + 1, ..., t + horizon - 1 side by side as row t.

    Parameters
    ----------
    known : ndarray of shape (T, columns)
    horizon : int

    Returns
    -------
    ndarray of shape (max(0, T - horizon + 1), horizon * columns)
    """
    if len(known) < horizon:
        return np.empty((0, horizon * known.shape[1]))
    return np.moveaxis(sliding_window_view(known, horizon, axis=0), -1, 1).reshape(
        len(known) - horizon + 1, -1
    )


def _side_by_side(parts: list[np.ndarray]) -> np.ndarray:
    """Concatenate the columns of parts, as many rows as the shortest has."""
    return np.concatenate([part[: min(map(len, parts))] for part in parts], axis=1)
