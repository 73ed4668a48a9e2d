"""Forecasts of a fitted network by hand.

Loops, one step at a time, from the description of SequenceForecaster.
"""

import numpy as np


def scale(changes, scaling):
    """(centre, spread) of each column."""
    if scaling is None:
        return np.zeros(changes.shape[1]), np.ones(changes.shape[1])
    if scaling == "standard":
        return changes.mean(0), changes.std(0)
    if scaling == "robust":
        low, middle, high = np.percentile(changes, [25, 50, 75], axis=0)
        return middle, high - low
    return changes.min(0), changes.max(0) - changes.min(0)


def changes_of(y, lag):
    return np.array([y[t] - y[t - lag] for t in range(lag, len(y))]) if lag else y.copy()


def direct(model, y, window, horizon, lag, scaling, known=None):
    """All steps at once, each on top of the last known value of its season.

    `known`, a function, gives what the network reads beside step t: a list of numbers.
    """
    center, spread = scale(changes_of(y, lag), scaling)
    read = _beside((changes_of(y, lag)[-window:] - center) / spread, len(y) - window, known)
    said = model.predict(read[None], verbose=0)[0]
    forecast = []
    for step in range(1, horizon + 1):
        # a mean difference for each lag back to the anchor
        drift = center * (-(-step // lag) if lag else 1)
        value = said[(step - 1) * y.shape[1] : step * y.shape[1]] * spread + drift
        if lag:
            at = len(y) - 1 + step
            while at >= len(y):
                at -= lag
            value = value + y[at]
        forecast.append(value)
    return np.array(forecast)


def recursive(model, y, window, horizon, lag, scaling, known=None):
    """One step, which is appended to the series; the network then reads the last window of it."""
    center, spread = scale(changes_of(y, lag), scaling)
    whole = y.copy()
    for _ in range(horizon):
        read = (changes_of(whole, lag)[-window:] - center) / spread
        value = (
            model.predict(_beside(read, len(whole) - window, known)[None], verbose=0)[0] * spread
            + center
        )
        whole = np.vstack([whole, value + whole[len(whole) - lag] if lag else value])
    return whole[len(y) :]


def _beside(read, first, known):
    """What is read of steps first, first + 1, ..., and beside it what is known."""
    if known is None:
        return read
    return np.array([[*row, *known(first + number)] for number, row in enumerate(read)])
