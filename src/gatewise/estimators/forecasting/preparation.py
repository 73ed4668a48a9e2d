"""What a forecasting network reads and says: differences, scales, windows, and the way back to the series' own numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from gatewise import checks
from gatewise.errors import ConfigError, NonFiniteError

SCALINGS = (None, "standard", "robust", "minmax")


def scale_of(values, scaling):
    """(centre, spread), each (columns,), such that (values - centre) / spread is scaled; scikit-learn's rules.

    Parameters
    ----------
    values : ndarray (n, columns)
    scaling : {None, "standard", "robust", "minmax"}
        A column that never changes is only centred.

    Raises
    ------
    NonFiniteError
        A column in which everything is missing.
    """
    from sklearn import preprocessing

    columns = values.shape[1]
    empty = np.isnan(values).all(axis=0)
    if empty.any():
        raise NonFiniteError(
            f"in the training part every value of column {int(empty.argmax())} is missing, or every"
            " difference; leave the column out"
        )
    if scaling is None:
        return np.zeros(columns), np.ones(columns)
    if scaling == "standard":
        fitted = preprocessing.StandardScaler().fit(values)
        return fitted.mean_, fitted.scale_
    if scaling == "robust":
        fitted = preprocessing.RobustScaler().fit(values)
        return fitted.center_, fitted.scale_
    fitted = preprocessing.MinMaxScaler().fit(values)
    return fitted.data_min_, 1 / fitted.scale_


def checked_scaling(scaling):
    """One of SCALINGS."""
    if scaling is not None and not (isinstance(scaling, str) and scaling in SCALINGS):
        raise ConfigError(
            f"scaling is {scaling!r}; expected 'standard', 'robust', 'minmax' or None"
        )
    return scaling


def differences(y, lag):
    """``y[t] - y[t - lag]`` for t from `lag` on: (T - lag, k). Without a lag y itself."""
    return y[lag:] - y[:-lag] if lag else y


def last_seen(y):
    """`y` with the last value that was seen where one is missing; NaN before the first."""
    gaps = np.isnan(y)
    if not gaps.any():
        return y
    at = np.maximum.accumulate(np.where(gaps, -1, np.arange(len(y))[:, None]), axis=0)
    return np.where(at < 0, np.nan, np.take_along_axis(y, np.maximum(at, 0), axis=0))


def anchors(steps, lag):
    """Where the value stands to which the forecast of step 1, 2, ... ahead is added, counted from the origin, <= 0.

    It is the last known value of the same season; with a lag of 1 the last known value.
    """
    ahead = np.arange(1, steps + 1)
    return ahead - lag * -(-ahead // lag)


@dataclass
class Preparation:
    """Fitted on the training part of the series, and on nothing else.

    Row t of what the network reads holds step t, and of what is known ahead the steps after it::

        [ differences of y (k) | past columns of X | calendar of step t + 1 | ahead columns of X, steps t + 1 ... t + horizon ]

    all but the calendar scaled. It says, for steps 1 ... horizon after the window, how far y lies
    above its anchor (:func:`anchors`), in units of the scale of the differences.

    Attributes
    ----------
    window, horizon, lag : int
        Steps read; steps said at once; of the differences, 0 for none.
    center, spread : ndarray (series, k)
        Each series has its own scale.
    x_center, x_spread : ndarray (f,)
    past, ahead : list of int
        Columns of X.
    scaling : one of SCALINGS
    missing : str
        What is done about missing values.
    """

    window: int
    horizon: int
    lag: int
    center: np.ndarray
    spread: np.ndarray
    x_center: np.ndarray
    x_spread: np.ndarray
    past: list
    ahead: list
    scaling: str | None
    missing: str

    @classmethod
    def fit(cls, window, horizon, lag, scaling, missing, targets, features, ahead):
        """Learn the scales.

        Parameters
        ----------
        targets : list of ndarray (T_i, k)
            The training part of each series.
        features : list of ndarray (T_i, f), or None
        ahead : list of int
        """
        scales = [scale_of(differences(y, lag), scaling) for y in targets]
        if features is None:
            x_center, x_spread = np.zeros(0), np.ones(0)
        else:
            x_center, x_spread = scale_of(np.concatenate(features), scaling)
        past = [column for column in range(len(x_center)) if column not in ahead]
        return cls(
            window,
            horizon,
            lag,
            np.stack([center for center, _ in scales]),
            np.stack([spread for _, spread in scales]),
            x_center,
            x_spread,
            past,
            list(ahead),
            scaling,
            missing,
        )

    @property
    def context(self):
        """Steps of y before the origin that a forecast depends on."""
        return self.window + self.lag

    # ---- what the network reads

    def rows(self, number, y, x=None, known=None):
        """What the network reads of steps lag, lag + 1, ... of a series, as far as all of it is known.

        Parameters
        ----------
        number : int
            Of the series.
        y : ndarray (T, k)
        x : ndarray (T, f), or None
        known : ndarray (n, columns), or None
            See :meth:`known`.

        Returns
        -------
        ndarray (n, features), float64
        """
        parts = [(differences(y, self.lag) - self.center[number]) / self.spread[number]]
        if self.past:
            parts.append(self._scaled(x[:, self.past], self.past)[self.lag :])
        if known is not None:
            parts.append(known[self.lag :])
        return np.concatenate([part[: min(map(len, parts))] for part in parts], axis=1)

    def known(self, calendar, x):
        """What is known ahead, as the network reads it at steps 0, 1, ...; None where nothing is.

        Parameters
        ----------
        calendar : ndarray (T, c), or None
        x : ndarray (T, f), or None
            Both from step 0 on; of x the columns that are known ahead are looked at.
        """
        parts = [] if calendar is None else [calendar[1:]]
        if self.ahead:
            parts.append(leads(self._scaled(x[1:, self.ahead], self.ahead), self.horizon))
        return (
            np.concatenate([part[: min(map(len, parts))] for part in parts], axis=1)
            if parts
            else None
        )

    def _scaled(self, values, columns):
        return (values - self.x_center[columns]) / self.x_spread[columns]

    def windows(self, rows, origins, dtype):
        """The windows that end with each origin, a step of the series: (n, window, features)."""
        origins = np.asarray(origins)
        checks.fits_memory(
            len(origins) * self.window * rows.shape[1], dtype, f"an array of {len(origins)} windows"
        )
        rows = rows.astype(dtype, copy=False)
        first = origins - self.window + 1 - self.lag
        cut = sliding_window_view(rows, self.window, axis=0)[first]
        return np.ascontiguousarray(np.moveaxis(cut, -1, 1))

    # ---- what it says

    def base(self, y, origins, steps):
        """What is added to the answers for steps 1 ... `steps` after each origin: (n, steps, k)."""
        origins = np.asarray(origins)
        if not self.lag:
            return np.zeros((len(origins), steps, y.shape[1]))
        return y[origins[:, None] + anchors(steps, self.lag)]

    def targets(self, number, y, origins):
        """What the network ought to say after each origin: (n, horizon * k), step by step; NaN where y is missing."""
        origins = np.asarray(origins)
        truth = y[origins[:, None] + np.arange(1, self.horizon + 1)]
        base = self.base(last_seen(y), origins, self.horizon)
        drift = self._drift(number, self.horizon)
        return ((truth - base - drift) / self.spread[number]).reshape(
            len(origins), self.horizon * y.shape[1]
        )

    def restore(self, number, said, base):
        """The series' own numbers: `said` (n, steps, k) on top of `base`, which is anchored at each origin."""
        return said * self.spread[number] + self._drift(number, said.shape[1]) + base

    def _drift(self, number, steps):
        """What steps 1 ... `steps` are above their anchors in the mean, (steps, k): one mean difference for each lag between."""
        lags = -(-np.arange(1, steps + 1) // self.lag) if self.lag else np.ones(steps, int)
        return lags[:, None] * np.reshape(self.center[number], (1, -1))

    def accumulate(self, number, said, y, origins):
        """The same for answers that are differences one after the other, each on top of the one a lag before it.

        Parameters
        ----------
        said : ndarray (n, steps, k)
        y : ndarray (T, k)
        origins : array of int (n,)
        """
        steps = said * self.spread[number] + self.center[number]
        if not self.lag:
            return steps
        count = steps.shape[1]
        known = y[np.asarray(origins)[:, None] + np.arange(1 - self.lag, 1)]
        levels = np.concatenate([known, steps], axis=1)
        for at in range(self.lag, self.lag + count):
            levels[:, at] += levels[:, at - self.lag]
        return levels[:, self.lag :]


def leads(known, horizon):
    """Row t holds rows t, t + 1, ..., t + horizon - 1 of `known` side by side: (T - horizon + 1, horizon * columns)."""
    if len(known) < horizon:
        return np.empty((0, horizon * known.shape[1]))
    return np.moveaxis(sliding_window_view(known, horizon, axis=0), -1, 1).reshape(
        len(known) - horizon + 1, -1
    )
