"""ForecastDisplay: what is drawn, and over what."""

import numpy as np
import pandas
import pytest

from gatewise import SequenceForecaster
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators import ForecastDisplay

matplotlib = pytest.importorskip("matplotlib", reason="displays draw with matplotlib (pip install .[plot])")
matplotlib.use("agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def pyplot():
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


@pytest.fixture
def frame(rng):
    return pandas.DataFrame(rng.normal(size=(40, 2)), pandas.date_range("2024-01-01", periods=40, freq="D"), columns=["a", "b"])


def fitted(y, **options):
    return SequenceForecaster(window=5, horizon=4, units=3, max_iter=1, random_state=0, **options).fit(y)


def test_forecast_interval_and_what_came(frame, pyplot):
    forecaster = fitted(frame[:36], distribution="gaussian")
    display = ForecastDisplay.from_estimator(forecaster, coverage=0.8, actual=frame[36:], variable="b")
    forecast, interval = forecaster.predict(), forecaster.predict_interval(coverage=0.8)
    np.testing.assert_array_equal(display.line_.get_ydata(), forecast["b"])
    np.testing.assert_array_equal(display.line_.get_xdata(), forecast.index)
    np.testing.assert_array_equal(display.seen_line_.get_ydata(), frame["b"][31:36])
    np.testing.assert_array_equal(display.seen_line_.get_xdata(), frame.index[31:36])
    np.testing.assert_array_equal(display.actual_line_.get_ydata(), frame["b"][36:])
    heights = display.band_.get_paths()[0].vertices[:, 1]
    assert heights.min() == interval.lower["b"].min() and heights.max() == interval.upper["b"].max()
    assert display.ax_.get_ylabel() == "b"
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["seen", "forecast", "80% interval", "came"]


def test_what_came_is_found_by_its_name(frame, pyplot):
    forecaster = fitted(frame[:36])
    turned = frame[36:][["b", "a"]]
    for actual in (turned, frame[36:].to_numpy(), frame["a"][36:], turned.assign(c=0.0)):
        display = ForecastDisplay.from_estimator(forecaster, actual=actual, variable="a")
        np.testing.assert_array_equal(display.actual, frame["a"][36:])
    for wrong, kind, words in ((turned[["b"]], ConfigError, r"columns \['b'\]; expected 'a'"),
                               (frame[:4], ShapeError, "row 0 of actual is labelled"),
                               (np.zeros((4, 3)), ShapeError, r"\(4, 3\).*4 steps of 2 variables")):
        with pytest.raises(kind, match=words):
            ForecastDisplay.from_estimator(forecaster, actual=wrong, variable="a")


@pytest.mark.parametrize("index", [pandas.date_range("2024-03-30", periods=40, freq="h", tz="Europe/Berlin"),
                                   pandas.period_range("2024-01", periods=40, freq="M")], ids=["zone", "periods"])
def test_dates_are_drawn_in_local_time(index, frame, pyplot):
    display = ForecastDisplay.from_estimator(fitted(frame.set_axis(index)))
    assert display.ax_.get_xlabel() == "time"
    assert display.seen_labels.dtype.kind == display.labels.dtype.kind == "M"
    local = index.to_timestamp() if hasattr(index, "to_timestamp") else index.tz_localize(None)
    np.testing.assert_array_equal(display.seen_labels, local[-5:].to_numpy())


def test_axes_of_ones_own_and_drawing_again(frame, pyplot):
    _, ax = pyplot.subplots()
    forecaster = fitted([frame["a"].to_numpy(), frame["b"].to_numpy()])
    display = ForecastDisplay.from_estimator(forecaster, 3, series=1, ax=ax, color="red")
    assert display.ax_ is ax and display.figure_ is ax.figure and display.line_.get_color() == "red"
    np.testing.assert_array_equal(display.line_.get_xdata(), [1, 2, 3])
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
        with pytest.raises(ConfigError, match=f"series is {series!r}; the forecaster knows 1"):
            ForecastDisplay.from_estimator(forecaster, series=series)
