"""X_future: the columns of X that are known ahead, in the steps to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .rollout import Past
from .series.columns import check_labels
from .series.reading import per_series
from .series.table import read_table
from .series.unfold import unfold_future

if TYPE_CHECKING:
    from .preparation import Preparation
    from .seen import SeenSeries


def pasts_at_the_end(
    seen: SeenSeries, preparation: Preparation, steps: int, needed: int, X_future: Any
) -> list[Past]:
    """Return what a forecast of each series starts from, at its last step.

    Parameters
    ----------
    seen : SeenSeries
    preparation : Preparation
    steps : int
        Steps of the forecast.
    needed : int
        Steps of X_future that it needs.
    X_future : object
        See :meth:`SequenceForecaster.predict`.

    Raises
    ------
    ConfigError, ShapeError, DTypeError, NonFiniteError
    """
    futures = _futures(seen, preparation, needed, X_future)
    pasts = []
    for number, (history, future) in enumerate(zip(seen.histories, futures)):
        x = history.x if future is None else np.concatenate([history.x, future])
        known = preparation.known(history.calendar_ahead(seen.calendar, steps), x)
        pasts.append(Past(number, history.y, history.x, known, np.array([len(history) - 1])))
    return pasts


def _futures(
    seen: SeenSeries, preparation: Preparation, needed: int, X_future: Any
) -> list[np.ndarray | None]:
    """Return the columns of X in the steps to come, (needed, f), for each series.

    None for each series if no column is known ahead.
    """
    ahead = preparation.ahead
    if not ahead:
        if X_future is not None:
            raise ConfigError(
                "X_future was given, and no column of X is known ahead: name them in"
                " future_features"
            )
        return [None] * len(seen)
    if X_future is None:
        names = [column if seen.x_names is None else seen.x_names[column] for column in ahead]
        raise ConfigError(
            f"predict needs X_future, {needed} steps of the {len(ahead)} columns of X that are"
            f" known ahead (future_features={names!r})"
        )
    parts = per_series(unfold_future(X_future, seen.panel), len(seen), seen.several, "X_future")
    for part, history in zip(parts, seen.histories):
        if history.timeline is not None and history.timeline.freq is not None:
            check_labels(part, history.timeline.after(needed), "X_future")
    return [_future(part, needed, seen, preparation) for part in parts]


def _future(given: Any, needed: int, seen: SeenSeries, preparation: Preparation) -> np.ndarray:
    """Return X of one series in the steps to come, NaN in the columns that are not known ahead."""
    ahead, width = preparation.ahead, len(preparation.x_center)
    if hasattr(given, "columns") and seen.x_names is not None:
        names = [seen.x_names[column] for column in ahead]
        missing = [name for name in names if name not in list(given.columns)]
        if missing:
            raise ShapeError(f"X_future lacks the columns {missing}; it has {list(given.columns)}")
        given = given[names]
    values = read_table(given, "X_future", seen.missing)
    if values.shape == (needed, width):
        return values
    if values.shape != (needed, len(ahead)):
        raise ShapeError(
            f"X_future has shape {values.shape}; expected ({needed}, {len(ahead)}): {needed} steps"
            " of the columns of X that are known ahead"
        )
    whole = np.full((needed, width), np.nan)
    whole[:, ahead] = values
    return whole
