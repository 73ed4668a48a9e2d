"""Forecasts of steps that are known, for backtests and scores.

A backtest uses one fitted forecaster, or a new fit for each origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError

from .backtest import Backtest
from .rollout import Past
from .seen import refuse_times_of_panel
from .series.reading import read_features, read_target
from .series.unfold import unfold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .running import Running


@dataclass(frozen=True)
class GivenSteps:
    """y, X and times as a user gave them, a panel taken apart.

    Attributes
    ----------
    y, X, times : object
        Lists of the parts of each series if `several`. X and times may be None.
    several : bool
    """

    y: Any
    X: Any
    times: Any
    several: bool

    def fit_to_first(self, forecaster: Running, count: int) -> Running:
        """Return a clone of a forecaster fitted to the first `count` steps of each series."""
        given = (self._each(part, lambda one: one[:count]) for part in (self.y, self.X, self.times))
        return clone(forecaster).fit(*given)

    def features_between(self, start: int, stop: int) -> Any:
        """Return X of the steps from `start` up to `stop`."""
        return self._each(self.X, lambda part: part[start:stop])

    def _each(self, given: Any, cut: Callable[[Any], Any]) -> Any:
        """Return `cut` of the part of each series; None of None."""
        if given is None:
            return None
        return [cut(part) for part in given] if self.several else cut(given)


def run_backtest(
    forecaster: Running,
    y: Any,
    X: Any,
    times: Any,
    *,
    initial: int | None,
    horizon: int | None,
    step: int,
    refit: bool,
    groups: Any,
    time: Any,
) -> Any:
    """Run a backtest; see :meth:`SequenceForecaster.backtest`.

    Returns
    -------
    Backtest, list of Backtest, or dict of Backtest

    Raises
    ------
    NotFittedError, ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    step = checks.whole_number(step, "step")
    refit = checks.flag(refit, "refit")
    if initial is None:
        forecaster._need_fitted()
        y, X, panel = forecaster._seen.unfold(y, X, times, groups, time)
    else:
        y, X, panel = unfold(y, X, None, groups, time)
        refuse_times_of_panel(panel, times)
    series, several = read_target(y, times, missing=True)
    given = GivenSteps(y, X, times, several)
    if initial is not None:
        first = checks.whole_number(initial, "initial")
        fitted = given.fit_to_first(forecaster, first)
    elif refit:
        raise ConfigError("refit=True needs initial=, the number of steps that the first fit sees")
    else:
        fitted, first = forecaster, forecaster._preparation.context
    seen = fitted._seen
    series = seen.in_same_zones(series)
    for one, history in zip(series, seen.histories):
        history.check_spacing(one)
    features = read_features(X, series, several, seen.x_names, missing=True)
    rollout = fitted._rollout()
    steps = rollout.steps(horizon)
    after = max(steps, rollout.steps_known_ahead(steps))
    origins = [np.arange(first, len(one) - after + 1, step) for one in series]
    if not all(map(len, origins)):
        raise ShapeError(
            f"y has {min(map(len, series))} steps; a backtest needs {first + after}: {first} before"
            f" the first forecast and {after} after it"
        )
    if refit:
        forecasts = _refitted(forecaster, given, origins, steps)
    else:
        forecasts = [
            forecasts_from(fitted, number, history, origin - 1, steps)
            for number, (history, origin) in enumerate(
                zip(seen.histories_of(series, features), origins)
            )
        ]
    found = [
        Backtest(
            origin,
            forecast,
            one.values[origin[:, None] + np.arange(steps)],
            one.index,
            one.form.names or tuple(range(one.values.shape[1])),
        )
        for one, origin, forecast in zip(series, origins, forecasts)
    ]
    if panel is not None and panel.keys:
        return dict(zip(panel.keys, found))
    return found if several and panel is None else found[0]


def forecasts_beside(
    forecaster: Running, y: Any, X: Any, times: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return steps of y and forecasts of them; see :meth:`SequenceForecaster.forecasts_beside`.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    seen = forecaster._seen
    steps = forecaster._rollout().steps(None)
    longer = seen.extended(y, X, times, "y")
    truths, forecasts = [], []
    for number, (history, before) in enumerate(zip(longer.histories, seen.histories)):
        new = len(history) - len(before)
        if new < max(2, steps):
            raise ShapeError(
                f"y has {new} steps; a score needs at least {max(2, steps)}, for a whole forecast"
            )
        origins = np.arange(len(before) - 1, len(history) - steps)
        forecast = forecasts_from(forecaster, number, history, origins, steps)
        truth = history.y[origins[:, None] + np.arange(1, steps + 1)]
        known = ~np.isnan(truth).any(axis=2)
        truths.append(truth[known])
        forecasts.append(forecast[known])
    return np.concatenate(truths), np.concatenate(forecasts)


def forecasts_from(
    fitted: Running, number: int, history: Any, origins: np.ndarray, steps: int
) -> np.ndarray:
    """Return forecasts from several steps of a history that continues after them.

    Parameters
    ----------
    fitted : Running
    number : int
        The series.
    history : History
    origins : ndarray of int of shape (n,)
    steps : int

    Returns
    -------
    ndarray of shape (n, steps, k)
    """
    known = fitted._preparation.known(history.calendar, history.x)
    return fitted._rollout().point(Past(number, history.y, history.x, known, origins), steps)


def _refitted(
    forecaster: Running, given: GivenSteps, origins: Sequence[np.ndarray], steps: int
) -> list[np.ndarray]:
    """Return forecasts of a new fit for each origin, (n, steps, k) for each series."""
    if any(len(one) != len(origins[0]) for one in origins):
        raise ShapeError(
            "refit=True fits all series at each origin, and they have different numbers of steps;"
            " run a backtest for each of them"
        )
    forecasts = []
    for count in origins[0]:
        fitted = given.fit_to_first(forecaster, count)
        needed = fitted._rollout().steps_known_ahead(steps)
        forecasts.append(
            fitted._points(steps, given.features_between(count, count + needed) if needed else None)
        )
    return [np.stack(forecast) for forecast in zip(*forecasts)]
