"""ForecastDisplay: a forecast beside the series that it goes on from."""

import numpy as np

from gatewise.errors import ConfigError, ShapeError

from .display import import_pyplot
from .series import check_labels
from .timeline import moments


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
        import_pyplot()  # says what is missing before any work is done
        forecasts = forecaster.predict(horizon, X_future)
        count = len(forecaster._histories)
        if isinstance(series, bool) or not isinstance(series, int) or not 0 <= series < count:
            raise ConfigError(f"series is {series!r}; the forecaster knows {count}, numbered from 0")
        forecast, history = _one_of(forecasts, forecaster, series), forecaster._histories[series]
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
            actual = _came(actual, forecast, names, column)
        seen_labels, labels = _labels(history, steps)
        display = cls(_column(forecast, column), labels, history.y[:, column], seen_labels, lower=lower, upper=upper,
                      coverage=coverage, actual=actual, name=str(names[column]) if history.form.names else None)
        return display.plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw; see :meth:`from_estimator`. Returns the display itself."""
        if ax is None:
            _, ax = import_pyplot().subplots()
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
    return tuple(_drawn(labels) for labels in (timeline.until(len(history)), timeline.after(ahead)))


def _drawn(labels):
    """Labels as an array that matplotlib draws over; dates in local time."""
    is_dates = hasattr(labels, "to_timestamp") or hasattr(labels, "tz_localize")
    return moments(labels) if is_dates else np.asarray(labels)


def _came(actual, forecast, names, column):
    """What came of one variable: a column of a frame by its name, of an array by its number."""
    check_labels(actual, getattr(forecast, "index", None), "actual")
    if hasattr(actual, "columns"):
        if names[column] not in list(actual.columns):
            raise ConfigError(f"actual has the columns {list(actual.columns)}; expected {names[column]!r} among them")
        values = np.asarray(actual[names[column]])
    else:
        values = np.asarray(actual)
    if values.shape not in ((len(forecast),), (len(forecast), len(names))):
        raise ShapeError(f"actual has {len(values)} steps, in shape {values.shape}; the forecast has {len(forecast)} steps of "
                         f"{len(names)} variables: give what came in the same steps")
    return _column(values, column)


def _one_of(forecasts, forecaster, series):
    return forecasts[series] if forecaster._several else forecasts


def _column(values, column):
    values = np.asarray(values)
    return values if values.ndim == 1 else values[:, column]
