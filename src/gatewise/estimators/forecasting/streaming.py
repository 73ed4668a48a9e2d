"""The stream of a forecaster: forecasts while observations come in."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.transaction import Transaction, value_of

if TYPE_CHECKING:
    from .seen import SeenSeries


class ForecastStream:
    """Forecasts of series that go on; ``forecaster.stream()`` makes it.

    A step is what ``update`` and ``predict`` do, on the stream's own series: those of the
    forecaster do not change. Each forecast reads the last window from a state of zeros, as in
    training. One thread at a time may use a stream.

    Parameters
    ----------
    forecaster : SequenceForecaster
        A fitted forecaster.

    Raises
    ------
    NotFittedError
        The forecaster has not been fitted.

    Examples
    --------
    >>> import numpy as np
    >>> from gatewise import SequenceForecaster
    >>> y = np.sin(np.arange(100) / 5)
    >>> forecaster = SequenceForecaster(horizon=3, learning_rate="cosine", max_iter=2).fit(y[:90])
    >>> stream = forecaster.stream()
    >>> [stream.step(value).shape for value in y[90:92]]
    [(3,), (3,)]
    """

    def __init__(self, forecaster: Any) -> None:
        forecaster._need_fitted()
        self._begin: SeenSeries = forecaster._seen_series()
        self._forecaster = copy.copy(forecaster)

    def step(self, y: Any, X: Any = None, X_future: Any = None, horizon: int | None = None) -> Any:
        """Take one observation, and forecast the steps after it.

        Parameters
        ----------
        y : number, or array_like of shape (k,), or list of these
            The observation, with a number for each variable; a list with one for each series if
            there are several.
        X : array_like of shape (f,), or list of these, optional
            The columns of X at this step.
        X_future : array_like, frame, or list of these, optional
            As in :meth:`SequenceForecaster.predict`.
        horizon : int, optional
            As in :meth:`SequenceForecaster.predict`.

        Returns
        -------
        ndarray (horizon,) or (horizon, k), Series or DataFrame, or list of these
            What :meth:`SequenceForecaster.predict` returns.

        Raises
        ------
        ConfigError, ShapeError, DTypeError, NonFiniteError
            An argument does not fit; the series are as they were.
        """
        forecaster = self._forecaster
        with Transaction(value_of(lambda: forecaster._seen, self._take)):
            forecaster.update(_as_steps(y), None if X is None else _as_steps(X))
            return forecaster.predict(horizon, X_future)

    def _take(self, seen: SeenSeries) -> None:
        self._forecaster._seen = seen

    def reset(self) -> None:
        """Go back to the series that the forecaster had when the stream was made."""
        self._take(self._begin)


def _as_steps(observation: Any) -> Any:
    """Return an observation as a series of one step, or a list of them."""
    if isinstance(observation, list | tuple):
        return [np.asarray(each)[None] for each in observation]
    return np.asarray(observation)[None]
