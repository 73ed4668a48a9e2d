"""ForecastDisplay: a plot of a forecast and of the series before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise import checks
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators.display import import_pyplot, line_options

from .preparation import last_seen
from .series.columns import check_labels
from .series.labels import moments
from .series.unfold import part_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.lines import Line2D

    from gatewise._typing import Array

    from .forecaster import SequenceForecaster
    from .history import History
    from .series.advice import Labels

UNITS = (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0), ("seconds", 1.0))
LEGEND_HEIGHT = 0.17  # two rows, as part of the height of the lines
PATHS = 1000  # that an interval of a recursive forecast comes from


class ForecastDisplay:
    """Plot of a forecast, its interval, the steps before it, and a naive forecast to compare with.

    :meth:`from_estimator` makes and draws it. The object holds the numbers, and :meth:`plot` draws
    them again. Lines of future steps begin at the last step seen.

    Parameters
    ----------
    forecast : ndarray of shape (horizon,)
        The forecast of one variable.
    labels : ndarray of shape (horizon,)
        The positions of the steps that are forecast on the time axis: datetime64 or numbers.
    seen : ndarray of shape (n,)
        The last steps before the forecast.
    seen_labels : ndarray of shape (n,)
        Their positions on the time axis.
    lower, upper : ndarray of shape (horizon,), optional
        The bounds of the interval.
    coverage : float in (0, 1), optional
        The probability that the interval holds a step.
    actual : ndarray of shape (horizon,), optional
        The values that came.
    naive : ndarray of shape (horizon,), optional
        A forecast without a network.
    naive_label : str, default "naive"
        The name of the naive forecast in the legend.
    name : str, optional
        The name of the variable.
    title : str, optional
        The title of the plot.
    unit : str, optional
        The unit of labels that are durations, or the time zone of dates.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
    line_, seen_line_ : matplotlib Line2D
        The forecast, and the steps before it.
    actual_line_, naive_line_ : matplotlib Line2D, or None
    band_ : matplotlib collection, or None
        The interval.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from gatewise import SequenceForecaster
    >>> from gatewise.estimators import ForecastDisplay
    >>> y = np.sin(np.arange(100) / 5)
    >>> forecaster = SequenceForecaster(horizon=5, max_iter=5, learning_rate="cosine")
    >>> ForecastDisplay.from_estimator(forecaster.fit(y)).naive_label
    'naive (last value)'
    """

    ax_: Axes
    figure_: Figure | SubFigure
    line_: Line2D
    seen_line_: Line2D
    actual_line_: Line2D | None
    naive_line_: Line2D | None
    band_: PolyCollection | None

    def __init__(
        self,
        forecast: Array,
        labels: Array,
        seen: Array,
        seen_labels: Array,
        *,
        lower: Array | None = None,
        upper: Array | None = None,
        coverage: float | None = None,
        actual: Array | None = None,
        naive: Array | None = None,
        naive_label: str = "naive",
        name: str | None = None,
        title: str | None = None,
        unit: str | None = None,
    ) -> None:
        self.forecast = forecast
        self.labels = labels
        self.seen = seen
        self.seen_labels = seen_labels
        self.lower = lower
        self.upper = upper
        self.coverage = coverage
        self.actual = actual
        self.naive = naive
        self.naive_label = naive_label
        self.name = name
        self.title = title
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        forecaster: SequenceForecaster,
        horizon: int | None = None,
        *,
        X_future: Any = None,
        coverage: float | None = None,
        actual: Any = None,
        naive: bool | int = True,
        variable: Any = 0,
        series: Any = 0,
        ax: Axes | None = None,
        **line_kw: Any,
    ) -> ForecastDisplay:
        """Draw the forecast of a fitted forecaster.

        Parameters
        ----------
        forecaster : SequenceForecaster
            It is fitted.
        horizon : int, optional
            Steps to forecast, see :meth:`SequenceForecaster.predict`.
        X_future : array_like, frame, or list of these, optional
            See :meth:`SequenceForecaster.predict`.
        coverage : float in (0, 1), optional
            Draw the interval of this coverage; needs quantiles or a distribution.
        actual : array_like of shape (horizon,) or (horizon, k), or frame, optional
            The values that came; if y was a panel, in its form or for the one series.
        naive : bool or int, default True
            Draw the forecast in which every step repeats the value this many steps earlier: 24 of
            hourly steps repeats the day before. True: the last value, or the season that
            `differencing` names. False: none.
        variable : int or name, default 0
            Which of the variables that are forecast together.
        series : int, or label in a panel, default 0
            Which of the series, if there are several.
        ax : matplotlib Axes, optional
            None: a new figure.
        **line_kw : dict
            Properties of the forecast's line, for :meth:`matplotlib.axes.Axes.plot`.

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
        seen = forecaster._seen_series()
        number, title = _number_of(series, forecaster)
        history = seen.histories[number]
        names = list(history.form.names or range(history.y.shape[1]))
        column = _column_of(variable, names)
        forecast = forecaster._points(horizon, X_future)[number]
        steps = len(forecast)
        lower = upper = None
        if coverage is not None:
            bounds = forecaster._bounds(horizon, coverage, X_future, PATHS)[number]
            lower, upper = (bound[:, column] for bound in bounds)
        if actual is not None:
            actual = part_of(actual, seen.panel, number, "actual")
            actual = _actual_values(actual, _index_ahead(history, steps), steps, names, column)
        repeated, naive_label = _naive(
            naive, history.y[:, column], forecaster._preparation.lag, steps
        )
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
            naive_label=naive_label,
            name=str(names[column]) if history.form.names else None,
            title=title,
            unit=unit,
        )
        return display.plot(ax, **line_kw)

    def plot(self, ax: Axes | None = None, **line_kw: Any) -> ForecastDisplay:
        """Draw the forecast.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            None: a new figure.
        **line_kw : dict
            Properties of the forecast's line, for :meth:`matplotlib.axes.Axes.plot`.

        Returns
        -------
        ForecastDisplay
            The display itself.

        Raises
        ------
        ArgumentError, MissingPackageError
        """
        line_kw = line_options(line_kw, self.plot)
        if ax is None:
            _, ax = import_pyplot().subplots()
        self.ax_, self.figure_ = ax, ax.figure
        (self.seen_line_,) = ax.plot(
            self.seen_labels, self.seen, color="black", linewidth=1.2, label="seen"
        )
        options: dict[str, Any] = {
            "color": "C0",
            "linewidth": 1.8,
            "label": "forecast",
            "zorder": 3,
        } | line_kw
        (self.line_,) = ax.plot(*self._joined(self.forecast), **options)
        self.band_ = self.actual_line_ = self.naive_line_ = None
        if self.lower is not None and self.upper is not None:
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
        self._name_axes(ax)
        return self

    def _name_axes(self, ax: Axes) -> None:
        """Set the labels of the axes, the title and the legend."""
        ax.set(ylabel=self.name or "value")
        if self.title is not None:
            ax.set_title(self.title)
        if np.asarray(self.labels).dtype.kind == "M":
            _shorten_dates(ax)
            ax.set_xlabel("time" if self.unit is None else f"time ({self.unit})")
        else:
            ax.set_xlabel("step" if self.unit is None else f"time in {self.unit}")
        ax.margins(x=0.02)
        if ax.get_yscale() == "linear":  # room for the legend above the lines
            low, high = ax.get_ylim()
            ax.set_ylim(low, high + LEGEND_HEIGHT * (high - low))
        ax.legend(loc="upper left", ncols=3, frameon=False, fontsize="small")

    def _joined(self, values: Array) -> tuple[Array, Array]:
        """Return labels and values of future steps after the last step seen, if that is known."""
        if not len(self.seen) or np.isnan(self.seen[-1]):
            return self.labels, values
        return np.concatenate([self.seen_labels[-1:], self.labels]), np.concatenate(
            [self.seen[-1:], values]
        )


def _shorten_dates(ax: Axes) -> None:
    """Show few and short dates, which do not overlap in a figure of the default size."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _number_of(series: Any, forecaster: SequenceForecaster) -> tuple[int, str | None]:
    """Return the number and the title of a series, given by number or by label in a panel."""
    seen = forecaster._seen
    keys = () if seen.panel is None else seen.panel.keys
    if not isinstance(series, bool) and series in keys:
        number = keys.index(series)
    elif isinstance(series, bool) or not isinstance(series, int) or not 0 <= series < len(seen):
        known = f"{len(seen)}, numbered from 0" + (
            f": {', '.join(map(repr, keys[:8]))}" if keys else ""
        )
        raise ConfigError(f"series is {series!r}; the forecaster has {known}")
    else:
        number = series
    if not keys:
        return number, f"series {number}" if seen.several and len(seen) > 1 else None
    key = keys[number]
    return number, ", ".join(map(str, key)) if isinstance(key, tuple) else str(key)


def _column_of(variable: Any, names: list[Any]) -> int:
    """Return the number of a variable, given by name or number."""
    if variable in names:
        return names.index(variable)
    if isinstance(variable, int) and 0 <= variable < len(names):
        return variable
    raise ConfigError(f"variable is {variable!r}; the forecaster has {', '.join(map(repr, names))}")


def _naive(naive: Any, seen: Array, lag: int, steps: int) -> tuple[Array | None, str]:
    """Return the forecast that repeats earlier values, and its name; (None, "") for no forecast."""
    if isinstance(naive, bool | np.bool_):
        if not naive:
            return None, ""
        season = max(1, lag)
    else:
        season = checks.whole_number(naive, "naive")
    if season > len(seen):
        raise ConfigError(
            f"naive is {season}; the forecaster has the last {len(seen)} steps of the series: give"
            " a number of steps up to that"
        )
    values = last_seen(seen[:, None])[-season:, 0]
    label = "naive (last value)" if season == 1 else f"naive ({season} steps before)"
    return values[np.arange(steps) % season], label


def _index_ahead(history: History, steps: int) -> Labels | None:
    """Return the labels of the next steps, if the series had a pandas index."""
    if history.timeline is None or history.form.kind not in ("series", "frame"):
        return None
    return None if history.timeline.freq is None else history.timeline.after(steps)


def _labels(history: History, ahead: int) -> tuple[Array, Array, str | None]:
    """Return positions of the steps seen and of the next ones on the time axis, and the unit.

    Without labels they are numbers, 0 for the last step seen.
    """
    timeline = history.timeline
    if timeline is None or timeline.freq is None:
        return np.arange(1 - len(history), 1), np.arange(1, ahead + 1), None
    seen, later = (
        _positions(labels) for labels in (timeline.until(len(history)), timeline.after(ahead))
    )
    if seen.dtype.kind != "m":
        zone = getattr(timeline.last, "tz", None)
        return seen, later, None if zone is None else str(zone)
    seen, later = (labels / np.timedelta64(1, "s") for labels in (seen, later))
    span = later[-1] - seen[0]
    unit, length = next((one for one in UNITS if span >= 3 * one[1]), UNITS[-1])
    return seen / length, later / length, unit


def _positions(labels: Labels) -> Array:
    """Return labels as an array that matplotlib can draw; dates in local time."""
    is_dates = hasattr(labels, "to_timestamp") or hasattr(labels, "tz_localize")
    return moments(labels) if is_dates else np.asarray(labels)


def _actual_values(
    actual: Any, index: Labels | None, steps: int, names: Sequence[Any], column: int
) -> Array:
    """Return the values that came, of one variable: by name in a frame, by number in an array."""
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
            f" steps of {len(names)} variables: give the values that came in the same steps"
        )
    return values if values.ndim == 1 else values[:, column]
