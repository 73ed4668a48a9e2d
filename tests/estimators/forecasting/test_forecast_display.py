"""ForecastDisplay: what is drawn, and over what."""

import itertools

import numpy as np
import pandas
import pytest

from gatewise import SequenceForecaster
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError
from gatewise.estimators import ForecastDisplay, LearningCurve

matplotlib = pytest.importorskip(
    "matplotlib", reason="displays draw with matplotlib (pip install .[plot])"
)
matplotlib.use("agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def pyplot():
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def frame(rng):
    return pandas.DataFrame(
        rng.normal(size=(40, 2)),
        pandas.date_range("2024-01-01", periods=40, freq="D"),
        columns=["a", "b"],
    )


def fitted(y, **options):
    return SequenceForecaster(
        window=5, horizon=4, units=3, max_iter=1, random_state=0, **options
    ).fit(y)


def test_forecast_interval_and_what_came(frame, pyplot):
    """Lines of the steps to come begin at the last step seen."""
    forecaster = fitted(frame[:36], distribution="gaussian")
    display = ForecastDisplay.from_estimator(
        forecaster, coverage=0.8, actual=frame[36:], variable="b"
    )
    forecast, interval = forecaster.predict(), forecaster.predict_interval(coverage=0.8)
    last = frame["b"].iloc[35]
    np.testing.assert_array_equal(display.forecast, forecast["b"])
    np.testing.assert_array_equal(display.line_.get_ydata(), [last, *forecast["b"]])
    np.testing.assert_array_equal(display.line_.get_xdata(), frame.index[35:40])
    np.testing.assert_array_equal(display.seen_line_.get_ydata(), frame["b"][31:36])
    np.testing.assert_array_equal(display.seen_line_.get_xdata(), frame.index[31:36])
    np.testing.assert_array_equal(display.actual_line_.get_ydata(), frame["b"][35:])
    np.testing.assert_array_equal(display.naive_line_.get_ydata(), [last] * 5)
    heights = display.band_.get_paths()[0].vertices[:, 1]
    assert heights.min() == min(last, interval.lower["b"].min())
    assert heights.max() == max(last, interval.upper["b"].max())
    np.testing.assert_array_equal(display.lower, interval.lower["b"])
    assert display.ax_.get_ylabel() == "b"
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["seen", "forecast", "80% interval", "actual", "naive (last value)"]


def test_a_last_step_that_is_missing_joins_nothing(rng, pyplot):
    y = rng.normal(size=40)
    y[-1] = np.nan
    display = ForecastDisplay.from_estimator(fitted(y, missing="forward_fill"))
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(display.naive_line_.get_ydata(), [y[-2]] * 4)


@pytest.mark.parametrize(
    ("naive", "options", "expected", "words"),
    [
        (True, {}, [8, 8, 8, 8], "last value"),
        (True, {"differencing": 3}, [6, 7, 8, 6], "3 steps before"),
        (2, {}, [7, 8, 7, 8], "2 steps before"),
        (5, {"differencing": 1}, [4, 5, 6, 7], "5 steps before"),
        (False, {}, None, ""),
    ],
)
def test_naive_forecasts(naive, options, expected, words, pyplot):
    display = ForecastDisplay.from_estimator(fitted(np.arange(39.0) % 10, **options), naive=naive)
    if expected is None:
        assert display.naive is None and display.naive_line_ is None
    else:
        np.testing.assert_array_equal(display.naive, expected)
        assert words in display.naive_line_.get_label()
    for wrong in (0, -1, "a", 1000):
        with pytest.raises((ConfigError, DTypeError), match="naive is"):
            ForecastDisplay.from_estimator(fitted(np.arange(39.0), **options), naive=wrong)


def overlaps(axis, renderer):
    """Whether labels of an axis cover each other."""
    boxes = [
        label.get_window_extent(renderer) for label in axis.get_ticklabels() if label.get_text()
    ]
    boxes = sorted(boxes, key=lambda box: box.x0)
    return any(left.x1 >= right.x0 for left, right in itertools.pairwise(boxes))


@pytest.mark.parametrize("freq", ["s", "15min", "h", "D", "B", "W", "MS", "QS", "YS"])
@pytest.mark.parametrize("steps", [12, 60])
def test_dates_do_not_overlap_at_the_default_size(freq, steps, pyplot):
    labels = pandas.date_range("2024-01-01", periods=steps + 8, freq=freq).to_numpy()
    display = ForecastDisplay(np.zeros(8), labels[steps:], np.zeros(steps), labels[:steps]).plot()
    display.figure_.canvas.draw()
    ticks = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert not overlaps(display.ax_.xaxis, display.figure_.canvas.get_renderer()), ticks
    assert len(ticks) >= 3


def test_the_legend_covers_no_line(frame, pyplot):
    forecaster = fitted(frame[:36], distribution="gaussian")
    display = ForecastDisplay.from_estimator(forecaster, coverage=0.99, actual=frame[36:])
    display.figure_.canvas.draw()
    bottom = display.ax_.get_legend().get_window_extent().y0
    for line in display.ax_.get_lines():
        top = display.ax_.transData.transform((0, np.nanmax(line.get_ydata())))[1]
        assert top < bottom
    heights = display.band_.get_paths()[0].vertices[:, 1]
    assert display.ax_.transData.transform((0, heights.max()))[1] < bottom


def test_durations_have_a_unit(rng, pyplot):
    y = pandas.Series(rng.normal(size=40), pandas.timedelta_range("1h", periods=40, freq="30min"))
    display = ForecastDisplay.from_estimator(fitted(y))
    assert display.ax_.get_xlabel() == "time in hours"
    np.testing.assert_allclose(display.labels, 20.5 + 0.5 * np.arange(1, 5))


def test_series_of_a_panel_by_label(frame, pyplot):
    panel = pandas.concat({"north": frame[:36], "south": frame[:36] + 50}, names=["store", "day"])
    forecaster = fitted(panel)
    actual = pandas.concat({"north": frame[36:], "south": frame[36:] + 50}, names=["store", "day"])
    for given in (actual, actual.loc["south"], actual.loc["south"].to_numpy()):
        display = ForecastDisplay.from_estimator(
            forecaster, series="south", actual=given, variable="a"
        )
        assert display.ax_.get_title() == "south"
        np.testing.assert_array_equal(display.forecast, forecaster.predict().loc["south"]["a"])
        np.testing.assert_array_equal(display.actual, frame["a"][36:] + 50)
    assert ForecastDisplay.from_estimator(forecaster, series=0).title == "north"
    with pytest.raises(
        ConfigError,
        match="series is 'west'; the forecaster has 2, numbered from 0: 'north', 'south'",
    ):
        ForecastDisplay.from_estimator(forecaster, series="west")
    numbered = fitted({7: frame["a"], 3: frame["b"]})
    np.testing.assert_array_equal(
        ForecastDisplay.from_estimator(numbered, series=3).forecast, numbered.predict()[3]
    )


@pytest.mark.parametrize("groups", [None, "store"])
def test_what_came_in_a_table(frame, groups, pyplot):
    """Its rows may be in any order, as in fit."""
    whole = pandas.concat({"n": frame, "s": frame + 50}, names=["store", "day"]).reset_index()
    if groups is None:
        whole = whole[whole["store"] == "s"].drop(columns="store")
    seen, later = whole[whole["day"] < frame.index[36]], whole[whole["day"] >= frame.index[36]]
    forecaster = SequenceForecaster(window=5, horizon=4, units=3, max_iter=1, random_state=0).fit(
        seen, groups=groups, time="day"
    )
    series = 0 if groups is None else "s"
    for given in (later, later[::-1]):
        display = ForecastDisplay.from_estimator(
            forecaster, series=series, actual=given, variable="a"
        )
        np.testing.assert_array_equal(display.actual, frame["a"][36:] + 50)
    with pytest.raises(ShapeError, match="row 0 of actual is labelled"):
        ForecastDisplay.from_estimator(
            forecaster, series=series, actual=seen[seen["day"] < frame.index[4]]
        )


def test_misspelt_arguments(frame, pyplot):
    forecaster = fitted(frame)
    for wrong, meant in (
        ("covrage", "coverage"),
        ("actuals", "actual"),
        ("colour", "color"),
        ("linewdith", "linewidth"),
        ("X_futur", "X_future"),
        ("serie", "series"),
    ):
        with pytest.raises(
            ArgumentError,
            match=f"from_estimator takes no argument '{wrong}'; did you mean '{meant}'",
        ):
            ForecastDisplay.from_estimator(forecaster, **{wrong: 1})
    display = ForecastDisplay.from_estimator(forecaster, lw=3, c="red", ls=":")
    assert (
        display.line_.get_linewidth(),
        display.line_.get_color(),
        display.line_.get_linestyle(),
    ) == (3, "red", ":")
    with pytest.raises(
        ArgumentError,
        match=(
            "plot takes no argument 'xyzzy'; expected ax, or a property of a matplotlib line|plot"
        ),
    ):
        display.plot(xyzzy=1)
    with pytest.raises(ConfigError, match=r"color.*c"):
        ForecastDisplay.from_estimator(forecaster, c="red", color="blue")
    with pytest.raises(ArgumentError, match="did you mean 'color'"):
        LearningCurve.from_estimator(forecaster, colr="red")
    assert LearningCurve.from_estimator(forecaster, c="red").line_.get_color() == "red"


def test_what_came_is_found_by_its_name(frame, pyplot):
    forecaster = fitted(frame[:36])
    turned = frame[36:][["b", "a"]]
    for actual in (turned, frame[36:].to_numpy(), frame["a"][36:], turned.assign(c=0.0)):
        display = ForecastDisplay.from_estimator(forecaster, actual=actual, variable="a")
        np.testing.assert_array_equal(display.actual, frame["a"][36:])
    for wrong, kind, words in (
        (turned[["b"]], ConfigError, r"columns \['b'\]; expected 'a'"),
        (frame[:4], ShapeError, "row 0 of actual is labelled"),
        (np.zeros((4, 3)), ShapeError, r"\(4, 3\).*4 steps of 2 variables"),
    ):
        with pytest.raises(kind, match=words):
            ForecastDisplay.from_estimator(forecaster, actual=wrong, variable="a")


@pytest.mark.parametrize(
    "index",
    [
        pandas.date_range("2024-03-30", periods=40, freq="h", tz="Europe/Berlin"),
        pandas.period_range("2024-01", periods=40, freq="M"),
    ],
    ids=["zone", "periods"],
)
def test_dates_are_drawn_in_local_time(index, frame, pyplot):
    display = ForecastDisplay.from_estimator(fitted(frame.set_axis(index)))
    zone = getattr(index, "tz", None)
    assert display.ax_.get_xlabel() == ("time" if zone is None else "time (Europe/Berlin)")
    assert display.seen_labels.dtype.kind == display.labels.dtype.kind == "M"
    local = index.to_timestamp() if hasattr(index, "to_timestamp") else index.tz_localize(None)
    np.testing.assert_array_equal(display.seen_labels, local[-5:].to_numpy())


def test_axes_of_ones_own_and_drawing_again(frame, pyplot):
    _, ax = pyplot.subplots()
    forecaster = fitted([frame["a"].to_numpy(), frame["b"].to_numpy()])
    display = ForecastDisplay.from_estimator(forecaster, 3, series=1, ax=ax, color="red")
    assert display.ax_ is ax and display.figure_ is ax.figure and display.line_.get_color() == "red"
    np.testing.assert_array_equal(display.line_.get_xdata(), [0, 1, 2, 3])
    np.testing.assert_array_equal(display.seen_line_.get_xdata(), [-4, -3, -2, -1, 0])
    assert display.band_ is None and display.actual_line_ is None
    assert display.plot().ax_ is not ax


def test_what_cannot_be_drawn(frame, pyplot):
    forecaster = fitted(frame)
    with pytest.raises(ConfigError, match="'c'.*'a', 'b'"):
        ForecastDisplay.from_estimator(forecaster, variable="c")
    with pytest.raises(ShapeError, match="actual has 2 steps"):
        ForecastDisplay.from_estimator(forecaster, actual=frame[:2])
    with pytest.raises(ConfigError, match="predict_interval needs"):
        ForecastDisplay.from_estimator(forecaster, coverage=0.9)
    for series in (1, -1, True, "a"):
        with pytest.raises(ConfigError, match=f"series is {series!r}; the forecaster has 1"):
            ForecastDisplay.from_estimator(forecaster, series=series)
