"""ForecastDisplay: a forecast beside the series that it goes on from."""

import numpy as np

from gatewise.errors import ConfigError, MissingPackageError, ShapeError


class ForecastDisplay:
    """A forecast, its interval, what was seen and what came.

    Made by :meth:`from_estimator`; an object keeps what it shows, and :meth:`plot` draws it again.

    Parameters
    ----------
    forecast : ndarray (horizon,)
    labels : ndarray (horizon,)
        Of the steps that are forecast.
    seen, seen_labels : ndarray (n,)
        The last steps before them.
    lower, upper : ndarray (horizon,), optional
        The interval.
    coverage : float, optional
    actual : ndarray (horizon,), optional
        What came.
    name : str, optional
        Of the variable.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_, seen_line_ : matplotlib Line2D
        The forecast; the steps before it.
    actual_line_ : matplotlib Line2D, or None
    band_ : matplotlib collection, or None
        The interval.
    """

    def __init__(self, forecast, labels, seen, seen_labels, *, lower=None, upper=None, coverage=None, actual=None, name=None):
        self.forecast, self.labels, self.seen, self.seen_labels = forecast, labels, seen, seen_labels
        self.lower, self.upper, self.coverage, self.actual, self.name = lower, upper, coverage, actual, name

    @classmethod
    def from_estimator(cls, forecaster, horizon=None, *, X_future=None, coverage=None, actual=None, variable=0, series=0, ax=None,
                       **line_kw):
        """Draw the forecast of a fitted forecaster.

        Parameters
        ----------
        forecaster : SequenceForecaster
        horizon, X_future
            See :meth:`SequenceForecaster.predict`.
        coverage : float, optional
            Draw the interval of this coverage; needs quantiles or a distribution.
        actual : array_like (horizon,) or (horizon, k), optional
            What came.
        variable : int or name
            Which of the variables that are forecast together.
        series : int
            Which of the series, where there are several.
        ax : matplotlib Axes, optional
            None: a new figure.
        **line_kw
            Of the forecast's line, for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ForecastDisplay
        """
        _pyplot()  # says what is missing before any work is done
        forecast = _one_of(forecaster.predict(horizon, X_future), forecaster, series)
        history = forecaster._histories[series]
        names = list(history.form.names or range(history.y.shape[1]))
        if variable not in names and not (isinstance(variable, int) and 0 <= variable < len(names)):
            raise ConfigError(f"variable is {variable!r}; the forecaster knows {', '.join(map(repr, names))}")
        column = names.index(variable) if variable in names else variable
        steps = len(forecast)
        lower = upper = None
        if coverage is not None:
            interval = forecaster.predict_interval(horizon, coverage, X_future)
            lower, upper = (_column(_one_of(bound, forecaster, series), column) for bound in interval)
        if actual is not None:
            actual = _column(actual, column)
            if len(actual) != steps:
                raise ShapeError(f"actual has {len(actual)} steps, the forecast has {steps}; give what came in the same steps")
        seen_labels, labels = _labels(history, steps)
        display = cls(_column(forecast, column), labels, history.y[:, column], seen_labels, lower=lower, upper=upper,
                      coverage=coverage, actual=actual, name=str(names[column]) if history.form.names else None)
        return display.plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw; see :meth:`from_estimator`. Returns the display itself."""
        if ax is None:
            _, ax = _pyplot().subplots()
        self.ax_, self.figure_ = ax, ax.figure
        self.seen_line_, = ax.plot(self.seen_labels, self.seen, color="black", linewidth=1, label="seen")
        self.line_, = ax.plot(self.labels, self.forecast, **{"color": "C0", "label": "forecast"} | line_kw)
        self.band_ = self.actual_line_ = None
        if self.lower is not None:
            self.band_ = ax.fill_between(self.labels, self.lower, self.upper, color=self.line_.get_color(), alpha=0.25, linewidth=0,
                                         label=f"{self.coverage:.0%} interval")
        if self.actual is not None:
            self.actual_line_, = ax.plot(self.labels, self.actual, color="black", linestyle=":", linewidth=1, label="came")
        ax.set(xlabel="time" if np.asarray(self.labels).dtype.kind == "M" else "step", ylabel=self.name or "value")
        ax.legend()
        return self


def _labels(history, ahead):
    """What the steps seen and those ahead are drawn over: their labels, or numbers, 0 for the last step seen."""
    timeline = history.timeline
    if timeline is None or timeline.freq is None:
        return np.arange(1 - len(history), 1), np.arange(1, ahead + 1)
    return tuple(np.asarray(labels.to_timestamp() if hasattr(labels, "to_timestamp") else labels)
                 for labels in (timeline.until(len(history)), timeline.after(ahead)))


def _one_of(forecasts, forecaster, series):
    return forecasts[series] if forecaster._several else forecasts


def _column(values, column):
    values = np.asarray(values)
    return values if values.ndim == 1 else values[:, column]


def _pyplot():
    try:
        import matplotlib.pyplot as pyplot
    except ImportError as error:
        raise MissingPackageError("drawing needs matplotlib: python -m pip install 'gatewise[plot]'") from error
    return pyplot
