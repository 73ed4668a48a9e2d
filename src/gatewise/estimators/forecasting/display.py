"""ForecastDisplay: a forecast beside the series that it goes on from."""

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators.display import import_pyplot, line_options

from .columns import check_labels
from .labels import moments
from .preparation import last_seen
from .unfold import part_of

UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
LEGEND = 0.17  # of the height of the lines: two rows


class ForecastDisplay:
    """A forecast, its interval, what was seen, what came, and a naive forecast to compare with.

    Made by :meth:`from_estimator`; an object keeps what it shows, and :meth:`plot` draws it again.
    Lines of the steps to come begin at the last step seen.

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
    naive : ndarray (horizon,), optional
        A forecast without a network.
    naive_label : str
        What it is.
    name : str, optional
        Of the variable.
    title : str, optional
        Of the series.
    unit : str, optional
        Of labels that are durations; the time zone of dates.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_, seen_line_ : matplotlib Line2D
        The forecast; the steps before it.
    actual_line_, naive_line_ : matplotlib Line2D, or None
    band_ : matplotlib collection, or None
        The interval.
    """

    def __init__(
        self,
        forecast,
        labels,
        seen,
        seen_labels,
        *,
        lower=None,
        upper=None,
        coverage=None,
        actual=None,
        naive=None,
        naive_label="naive",
        name=None,
        title=None,
        unit=None,
    ):
        self.forecast, self.labels, self.seen, self.seen_labels = (
            forecast,
            labels,
            seen,
            seen_labels,
        )
        self.lower, self.upper, self.coverage, self.actual = lower, upper, coverage, actual
        self.naive, self.naive_label = naive, naive_label
        self.name, self.title, self.unit = name, title, unit

    @classmethod
    def from_estimator(
        cls,
        forecaster,
        horizon=None,
        *,
        X_future=None,
        coverage=None,
        actual=None,
        naive=True,
        variable=0,
        series=0,
        ax=None,
        **line_kw,
    ):
        """Draw the forecast of a fitted forecaster.

        Parameters
        ----------
        forecaster : SequenceForecaster
        horizon, X_future
            See :meth:`SequenceForecaster.predict`.
        coverage : float, optional
            Draw the interval of this coverage; needs quantiles or a distribution.
        actual : array_like (horizon,) or (horizon, k), optional
            What came; of a panel in its form, or of the one series.
        naive : bool or int
            Draw the forecast that every step repeats the value so many steps earlier: 24 for hours,
            the day before. True: the last value, or the season that `differencing` names. False:
            none.
        variable : int or name
            Which of the variables that are forecast together.
        series : int, or label in a panel
            Which of the series, if there are several.
        ax : matplotlib Axes, optional
            None: a new figure.
        **line_kw
            Of the forecast's line, for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ForecastDisplay

        Raises
        ------
        ArgumentError
            A name in `line_kw` is no property of a line.
        NotFittedError, ConfigError, ShapeError, MissingPackageError
        """
        import_pyplot()  # raises before any work is done
        line_options(line_kw, cls.from_estimator)
        forecaster._need_fitted()
        series, title = _number_of(series, forecaster)
        history = forecaster._seen.histories[series]
        names = list(history.form.names or range(history.y.shape[1]))
        if variable not in names and not (isinstance(variable, int) and 0 <= variable < len(names)):
            raise ConfigError(
                f"variable is {variable!r}; the forecaster knows {', '.join(map(repr, names))}"
            )
        column = names.index(variable) if variable in names else variable
        forecast = forecaster._points(horizon, X_future)[series]
        steps = len(forecast)
        lower = upper = None
        if coverage is not None:
            lower, upper = (
                bound[:, column]
                for bound in forecaster._bounds(horizon, coverage, X_future, 1000)[series]
            )
        if actual is not None:
            actual = part_of(actual, forecaster._seen.panel, series, "actual")
            actual = _came(actual, _index_ahead(history, steps), steps, names, column)
        repeated, said = _naive(naive, history.y[:, column], forecaster._preparation.lag, steps)
        seen_labels, labels, unit = _labels(history, steps)
        display = cls(
            forecast[:, column],
            labels,
            history.y[:, column],
            seen_labels,
            lower=lower,
            upper=upper,
            coverage=coverage,
            actual=actual,
            naive=repeated,
            naive_label=said,
            name=str(names[column]) if history.form.names else None,
            title=title,
            unit=unit,
        )
        return display.plot(ax, **line_kw)

    def plot(self, ax=None, **line_kw):
        """Draw; see :meth:`from_estimator`. Returns the display itself."""
        line_kw = line_options(line_kw, self.plot)
        if ax is None:
            _, ax = import_pyplot().subplots()
        self.ax_, self.figure_ = ax, ax.figure
        (self.seen_line_,) = ax.plot(
            self.seen_labels, self.seen, color="black", linewidth=1.2, label="seen"
        )
        options = {"color": "C0", "linewidth": 1.8, "label": "forecast", "zorder": 3} | line_kw
        (self.line_,) = ax.plot(*self._joined(self.forecast), **options)
        self.band_ = self.actual_line_ = self.naive_line_ = None
        if self.lower is not None:
            labels, lower = self._joined(self.lower)
            self.band_ = ax.fill_between(
                labels,
                lower,
                self._joined(self.upper)[1],
                color=self.line_.get_color(),
                alpha=0.2,
                linewidth=0,
                label=f"{self.coverage:.0%} interval",
            )
        if self.actual is not None:
            (self.actual_line_,) = ax.plot(
                *self._joined(self.actual),
                color="black",
                linestyle=(0, (1, 1)),
                linewidth=1.5,
                label="actual",
            )
        if self.naive is not None:
            (self.naive_line_,) = ax.plot(
                *self._joined(self.naive),
                color="0.55",
                linestyle="--",
                linewidth=1.2,
                label=self.naive_label,
            )
        ax.set(ylabel=self.name or "value")
        if self.title is not None:
            ax.set_title(self.title)
        if np.asarray(self.labels).dtype.kind == "M":
            _readable_dates(ax)
            ax.set_xlabel("time" if self.unit is None else f"time ({self.unit})")
        else:
            ax.set_xlabel("step" if self.unit is None else f"time in {self.unit}")
        ax.margins(x=0.02)
        if ax.get_yscale() == "linear":  # room for the legend above the lines
            low, high = ax.get_ylim()
            ax.set_ylim(low, high + LEGEND * (high - low))
        ax.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")
        return self

    def _joined(self, values):
        """(labels, values) of the steps to come, behind the last step seen, unless that is missing."""
        if not len(self.seen) or np.isnan(self.seen[-1]):
            return self.labels, values
        return np.concatenate([self.seen_labels[-1:], self.labels]), np.concatenate(
            [self.seen[-1:], values]
        )


def _readable_dates(ax):
    """Few ticks, each as short as it can be, so that they never overlap at the size that figures have by default."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _number_of(series, forecaster):
    """(number of the series, its title) of a number, or of a label in a panel."""
    panel, count = forecaster._seen.panel, len(forecaster._seen.histories)
    keys = () if panel is None else panel.keys
    if not isinstance(series, bool) and series in keys:
        number = keys.index(series)
    elif isinstance(series, bool) or not isinstance(series, int) or not 0 <= series < count:
        known = f"{count}, numbered from 0" + (
            f": {', '.join(map(repr, keys[:8]))}" if keys else ""
        )
        raise ConfigError(f"series is {series!r}; the forecaster knows {known}")
    else:
        number = series
    if not keys:
        return number, f"series {number}" if forecaster._seen.several and count > 1 else None
    key = keys[number]
    return number, ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _naive(naive, seen, lag, steps):
    """(values, what they are called) of the forecast that repeats earlier values; (None, "") of none."""
    if isinstance(naive, bool | np.bool_):
        if not naive:
            return None, ""
        season = max(1, lag)
    else:
        season = checks.whole_number(naive, "naive")
    if season > len(seen):
        raise ConfigError(
            f"naive is {season}; the forecaster keeps the last {len(seen)} steps of the series:"
            " give a number of steps up to that"
        )
    values = last_seen(seen[:, None])[-season:, 0]
    return (
        values[np.arange(steps) % season],
        "naive (last value)" if season == 1 else f"naive ({season} steps before)",
    )


def _index_ahead(history, steps):
    """The labels of the next steps as an index, if the series came with one of pandas."""
    if history.form.kind not in ("series", "frame") or history.timeline.freq is None:
        return None
    return history.timeline.after(steps)


def _labels(history, ahead):
    """What the steps seen and those ahead are drawn over: their labels, or numbers, 0 for the last step seen; and the unit."""
    timeline = history.timeline
    if timeline is None or timeline.freq is None:
        return np.arange(1 - len(history), 1), np.arange(1, ahead + 1), None
    seen, later = (
        _drawn(labels) for labels in (timeline.until(len(history)), timeline.after(ahead))
    )
    if seen.dtype.kind != "m":
        zone = getattr(timeline.last, "tz", None)
        return seen, later, None if zone is None else str(zone)
    seen, later = (labels / np.timedelta64(1, "s") for labels in (seen, later))
    span = later[-1] - seen[0]
    unit, length = next((one for one in UNITS if span >= 3 * one[1]), UNITS[-1])
    return seen / length, later / length, unit


def _drawn(labels):
    """Labels as an array that matplotlib draws over; dates in local time."""
    is_dates = hasattr(labels, "to_timestamp") or hasattr(labels, "tz_localize")
    return moments(labels) if is_dates else np.asarray(labels)


def _came(actual, index, steps, names, column):
    """What came of one variable: a column of a frame by its name, of an array by its number."""
    check_labels(actual, index, "actual")
    if hasattr(actual, "columns"):
        if names[column] not in list(actual.columns):
            raise ConfigError(
                f"actual has the columns {list(actual.columns)}; expected {names[column]!r} among"
                " them"
            )
        values = np.asarray(actual[names[column]])
    else:
        values = np.asarray(actual)
    if values.shape not in ((steps,), (steps, len(names))):
        raise ShapeError(
            f"actual has {len(values)} steps, in shape {values.shape}; the forecast has {steps}"
            f" steps of {len(names)} variables: give what came in the same steps"
        )
    return values if values.ndim == 1 else values[:, column]
