"""SequenceForecaster: its forecasts against hand-made ones, and what must not change them."""

import copy
import pickle

import numpy as np
import pandas
import pytest
import reference_forecasts as reference
from forecaster_cases import hourly, small
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

import gatewise
from gatewise import SequenceForecaster
from gatewise.errors import ConfigError, DTypeError, NonFiniteError, NotFittedError, ShapeError
from gatewise.estimators.forecasting.heads import PointHead
from gatewise.estimators.forecasting.history import History
from gatewise.estimators.forecasting.samples import ValidationPart, WindowCutter
from gatewise.estimators.forecasting.series.reading import Form

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STRATEGIES = ("direct", "recursive")


# ---- against a forecast made by hand


@pytest.mark.parametrize("scaling", [None, "standard", "robust", "minmax"])
@pytest.mark.parametrize("lag", [0, 1, 4])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_forecast_is_that_of_the_equations(y, strategy, lag, scaling):
    forecaster = small(strategy=strategy, differencing=lag, scaling=scaling).fit(y)
    by_hand = reference.direct if strategy == "direct" else reference.recursive
    expected = by_hand(forecaster.model_, y, window=6, horizon=3, lag=lag, scaling=scaling)
    np.testing.assert_allclose(forecaster.predict(), expected, rtol=1e-10)


@pytest.mark.parametrize("lag", [0, 3])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_known_ahead_stands_beside_the_step_before_it(y, x, strategy, lag):
    """The calendar of the next step, and X of the next `horizon` steps or of one step at a time."""
    x = x if strategy == "direct" else x[:, [0, 2]]  # recursion knows all columns ahead
    columns, past = ([2, 0], [1]) if strategy == "direct" else ([1, 0], [])
    forecaster = small(
        strategy=strategy, differencing=lag, calendar=["hour"], future_features=columns
    )
    forecast = forecaster.fit(hourly(y[:55], ["a", "b"]), x[:55]).predict(X_future=x[55:58])
    scaled = (x - x[:55].mean(0)) / x[:55].std(0)

    def known(t):
        angle = 2 * np.pi * ((t + 1) % 24) / 24
        ahead = range(t + 1, t + (4 if strategy == "direct" else 2))
        return [
            *scaled[t, past],
            np.sin(angle),
            np.cos(angle),
            *(scaled[step, column] for step in ahead for column in columns),
        ]

    by_hand = reference.direct if strategy == "direct" else reference.recursive
    expected = by_hand(forecaster.model_, y[:55], 6, 3, lag, "standard", known)
    np.testing.assert_allclose(forecast, expected, rtol=1e-10)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_targets_and_their_way_back_are_exact(rng, y, lag):
    """What a perfect network would say leads back to the series, differences and scales undone."""
    from gatewise.estimators.forecasting.preparation import Preparation

    made = Preparation.fit(
        [y],
        None,
        window=6,
        horizon=5,
        lag=lag,
        ahead=[],
        scaling="standard",
        missing="error",
    )
    origins = np.array([8, 20, 41])
    said = made.targets(0, y, origins).reshape(3, 5, 2)
    truth = y[origins[:, None] + np.arange(1, 6)]
    np.testing.assert_allclose(made.restore(0, said, made.base(y, origins, 5)), truth, rtol=1e-13)
    # scaled differences, one by one
    steps = np.stack([made.rows(0, y)[origins + j - lag] for j in range(1, 6)], axis=1)
    np.testing.assert_allclose(made.accumulate(0, steps, y, origins), truth, rtol=1e-13)


def test_recursion_over_two_periods(rng):
    """Forecasts of a noisy season are better than the period before.

    They come from windows of one period.
    """
    window = 12
    t = np.arange(180) * 2 * np.pi / 12
    y = 10 + 3 * np.sin(t) + 1.5 * np.sin(2 * t + 1) + rng.normal(0, 0.5, 180)
    forecaster = SequenceForecaster(
        window,
        strategy="recursive",
        cell="gru",
        units=16,
        learning_rate="cosine",
        max_iter=60,
        learning_rate_init=0.02,
        random_state=0,
    ).fit(y[:144])
    found = forecaster.backtest(y[132 - window :], horizon=24)
    before = np.stack(
        [np.tile(y[132 + at - window - 12 : 132 + at - window], 2) for at in found.origins]
    )
    assert found.rmse.mean() < np.sqrt(np.square(before - found.actuals[..., 0]).mean())


def test_recursion_of_a_network_that_reads_its_window_as_a_whole(y):
    forecaster = small(strategy="recursive", bidirectional=True, pooling="mean").fit(y)
    np.testing.assert_allclose(
        forecaster.predict(7),
        reference.recursive(forecaster.model_, y, 6, 7, 0, "standard"),
        rtol=1e-5,
    )


def test_a_linear_network_finds_a_linear_rule(rng):
    """y[t] = 0.7 y[t-1] + 2 x[t]: what is known ahead is used, and at the right step."""
    x = rng.normal(size=(400, 1))
    y = np.zeros(400)
    for t in range(1, 400):
        y[t] = 0.7 * y[t - 1] + 2 * x[t, 0]
    options = {
        "cell": "rnn",
        "units": 8,
        "max_iter": 60,
        "learning_rate_init": 0.01,
        "future_features": "all",
        "random_state": 0,
    }
    for strategy, horizon, window in (("recursive", 4, 10), ("direct", 2, 3)):
        forecaster = SequenceForecaster(window, horizon, strategy, **options).fit(y[:360], x[:360])
        found = forecaster.backtest(y[345:], x[345:])
        assert found.mse.max() < 0.15 * y.var(), strategy


def test_features_known_up_to_now_are_used(rng):
    """y follows the feature one step later."""
    x = rng.normal(size=(300, 2))
    y = np.r_[0, x[:-1, 1]]
    forecaster = SequenceForecaster(
        window=3, cell="rnn", units=8, max_iter=60, learning_rate_init=0.01, random_state=0
    )
    forecaster.fit(y[:280], x[:280])
    assert forecaster.score(y[280:], x[280:]) > 0.8


# ---- forms of y


def test_answers_have_the_form_of_the_series(y):
    assert small().fit(y[:, 0]).predict().shape == (3,)
    assert small().fit(y[:, :1]).predict().shape == (3, 1)
    flat, table = small().fit([y[:40, 0], y[:50, 1]]).predict(), small().fit([y[:40], y]).predict(2)
    assert [one.shape for one in flat] == [(3,), (3,)]
    assert [one.shape for one in table] == [(2, 2), (2, 2)]
    frame = hourly(y, ["a", "b"])
    forecast = small().fit(frame).predict()
    assert list(forecast.columns) == ["a", "b"]
    assert list(forecast.index) == list(pandas.date_range("2024-02-29 12:00", periods=3, freq="h"))
    series = small().fit(frame["b"]).predict()
    assert series.name == "b" and list(series.index) == list(forecast.index)
    np.testing.assert_array_equal(small().fit(y).predict(), forecast.to_numpy())


def test_a_frame_that_nobody_can_continue(y):
    index = pandas.DatetimeIndex(
        np.datetime64("2024-01-01") + np.cumsum(np.arange(1, 61)) * np.timedelta64(1, "h")
    )
    with pytest.raises(ShapeError, match="not evenly spaced"):  # before the training, not after it
        small().fit(pandas.Series(y[:, 0], index))


def test_several_series_have_their_own_scale(y):
    """One a thousand times the other: forecasts of each lie in its own range."""
    forecaster = small(differencing=1).fit([y[:, 0], 1000 * y[:, 0]])
    small_one, large_one = forecaster.predict()
    np.testing.assert_allclose(large_one, 1000 * small_one, rtol=1e-9)


def test_names_and_numbers_of_variables(y):
    forecaster = small().fit(hourly(y, ["a", "b"]))
    assert forecaster.n_features_in_ == 2
    assert list(forecaster.feature_names_in_) == ["a", "b"]
    assert not hasattr(forecaster.fit(y), "feature_names_in_")


# ---- update


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": "recursive"},
        {"differencing": 4},
        {"calendar": ["hour"]},
        {"strategy": "recursive", "distribution": "gaussian", "differencing": 1},
    ],
    ids=str,
)
def test_update_is_the_same_as_having_seen_the_longer_series(y, options):
    frame = hourly(y, ["a", "b"])
    forecaster = small(**options).fit(frame[:45])
    # from every origin, in the long series itself
    whole = forecaster.backtest(frame[:51], horizon=2)
    for first, last in ((45, 46), (46, 49)):
        assert forecaster.update(frame[first:last]) is forecaster
    forecast = forecaster.predict(2)
    assert forecast.index[0] == frame.index[49]
    np.testing.assert_array_equal(
        forecast.to_numpy(), whole.forecasts[list(whole.origins).index(49)]
    )


def test_update_with_features_and_several_series(y, x):
    options = {"future_features": [2], "horizon": 2}
    forecaster = small(**options).fit([y[:40], y[5:50]], [x[:40], x[5:50]])
    forecaster.update([y[40:43], y[50:51]], [x[40:43], x[50:51]])
    # the columns known ahead, or all
    forecasts = forecaster.predict(X_future=[x[43:45, 2:], x[51:53]])
    for number, (start, end) in enumerate(((0, 43), (5, 51))):
        window = forecaster.backtest([y[start : end + 2]] * 2, [x[start : end + 2]] * 2)[number]
        np.testing.assert_array_equal(forecasts[number], window.forecasts[-1])


def test_update_refuses_what_does_not_come_next(y):
    frame = hourly(y, ["a", "b"])
    forecaster = small().fit(frame[:40])
    with pytest.raises(ShapeError, match="continues with"):
        forecaster.update(frame[41:44])
    with pytest.raises(ShapeError, match="columns"):
        forecaster.update(frame[["b", "a"]][40:44])
    with pytest.raises(ShapeError, match="3 features.*expecting 2"):
        forecaster.update(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match="not in a list"):
        forecaster.update([y[40:42]])
    with pytest.raises(NonFiniteError, match="NaN"):
        forecaster.update(np.full((2, 2), np.nan))


# ---- the past alone


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"strategy": "recursive", "future_features": "all"},
        {"differencing": 5},
        {"scaling": "robust"},
    ],
    ids=str,
)
def test_backtest_never_looks_ahead(y, x, options):
    """Whatever comes after an origin, its forecast has the same bits.

    But for features that are known ahead.
    """
    frame = hourly(y, ["a", "b"])
    before = small(**options).backtest(frame, x, initial=40, horizon=3, step=4)
    poisoned = frame.copy()
    poisoned[48:] = 1e6
    ahead = x.copy()
    if "future_features" not in options:
        ahead[48:] = -1e6
    after = small(**options).backtest(poisoned, ahead, initial=40, horizon=3, step=4)
    same = before.origins <= 48
    assert list(before.origins[same]) == [40, 44, 48]
    np.testing.assert_array_equal(after.forecasts[same], before.forecasts[same])
    assert (after.forecasts[~same] != before.forecasts[~same]).any()


def test_backtest_on_a_future_that_is_not_a_number(y):
    before = small().backtest(y, initial=50, step=10)
    y[50:] = np.nan
    after = small().backtest(y, initial=50, step=10)
    np.testing.assert_array_equal(after.forecasts, before.forecasts)
    assert np.isnan(after.mae).all()


def test_scales_come_from_the_training_part_alone(y):
    """Validation steps end training, and nothing else of them is learnt."""
    options = {"early_stopping": True, "validation_fraction": 0.25}
    spoilt = y.copy()
    spoilt[45:] *= 100
    a, b = (small(**options).fit(series) for series in (y, spoilt))
    np.testing.assert_array_equal(a._preparation.center, b._preparation.center)
    np.testing.assert_array_equal(a.loss_curve_, b.loss_curve_)
    assert a.validation_scores_ != b.validation_scores_
    assert not np.array_equal(a._preparation.center, small().fit(y)._preparation.center)


def test_validation_windows_are_those_whose_targets_are_held_out(y):
    forecaster = small(early_stopping=True, validation_fraction=0.25, stride=1)
    preparation = forecaster.fit(y)._preparation
    cutter = WindowCutter(
        preparation, PointHead("mse"), ValidationPart(0.25, 3), 1, lambda windows: windows
    )
    train, held_out = cutter._origins(0, History(y, None, None, None, Form("table")))
    assert (train[0], train[-1]) == (5, 41)  # targets up to step 44
    assert (held_out[0], held_out[-1]) == (44, 56)  # targets from step 45 up


# ---- distributions


def test_quantiles_of_noise(rng):
    """Independent normal numbers.

    The interval covers what it says, and the quantiles are in order.
    """
    y = rng.normal(5, 2, 1500)
    forecaster = SequenceForecaster(
        window=3,
        horizon=2,
        units=4,
        quantiles=[0.05, 0.25, 0.5, 0.75, 0.95],
        max_iter=15,
        learning_rate_init=0.01,
        random_state=0,
    ).fit(y)
    lower, upper = forecaster.predict_interval(coverage=0.9)
    inner = forecaster.predict_interval(coverage=0.5)
    assert (
        (lower < inner.lower).all()
        and (inner.lower < forecaster.predict()).all()
        and (inner.upper < upper).all()
    )
    np.testing.assert_allclose(lower, 5 - 1.645 * 2, atol=1.0)
    np.testing.assert_allclose(upper, 5 + 1.645 * 2, atol=1.0)
    with pytest.raises(ConfigError, match=r"coverage=0.8 needs quantiles 0.1 and 0.9.*0.9, 0.5"):
        forecaster.predict_interval(coverage=0.8)


def test_normal_distribution_of_noise(rng):
    y = rng.normal(5, 2, 1500)
    forecaster = SequenceForecaster(
        window=3,
        horizon=2,
        units=4,
        distribution="gaussian",
        max_iter=15,
        learning_rate_init=0.01,
        random_state=0,
    ).fit(y)
    lower, upper = forecaster.predict_interval(coverage=0.95)
    np.testing.assert_allclose((lower + upper) / 2, forecaster.predict(), rtol=1e-6)
    np.testing.assert_allclose(upper - lower, 2 * 1.96 * 2, rtol=0.25)


def test_paths_of_a_random_walk_spread_with_the_root_of_time(rng):
    y = np.cumsum(rng.normal(size=1500))
    forecaster = SequenceForecaster(
        window=3,
        strategy="recursive",
        differencing=1,
        units=4,
        distribution="gaussian",
        max_iter=15,
        learning_rate_init=0.01,
        random_state=0,
    ).fit(y)
    lower, upper = forecaster.predict_interval(16, coverage=0.9, n_paths=2000)
    np.testing.assert_allclose(
        (upper - lower)[[0, 3, 15]], 2 * 1.645 * np.sqrt([1, 4, 16]), rtol=0.25
    )
    again = forecaster.predict_interval(16, coverage=0.9, n_paths=2000)
    np.testing.assert_array_equal(again.lower, lower)  # random_state
    assert not np.array_equal(
        forecaster.set_params(random_state=1).predict_interval(16, n_paths=2000).lower, lower
    )


def test_quantiles_that_cross_are_put_in_order():
    from gatewise.estimators.forecasting.heads import QuantileHead

    head = QuantileHead([0.1, 0.5, 0.9])
    said = np.array([[3.0, 0.0, 2.0, 1.0, 1.0, 2.0]])  # quantile by quantile, of two numbers
    np.testing.assert_array_equal(head.point(said), [[2.0, 1.0]])
    lower, upper = head.bounds(said, 0.8)
    np.testing.assert_array_equal(lower, [[1.0, 0.0]])
    np.testing.assert_array_equal(upper, [[3.0, 2.0]])


def test_intervals_have_the_form_of_the_series(y):
    interval = small(distribution="gaussian").fit(hourly(y, ["a", "b"])).predict_interval()
    assert list(interval.upper.columns) == ["a", "b"] and (interval.lower < interval.upper).all(
        axis=None
    )
    lower, upper = (
        small(quantiles=[0.1, 0.5, 0.9]).fit([y, y[:50]]).predict_interval(2, coverage=0.8)
    )
    assert [one.shape for one in (*lower, *upper)] == [(2, 2)] * 4


# ---- calendar


def test_calendar_makes_the_hour_known(rng):
    """A series that is nothing but the hour of the day, with a window of one step."""
    index = pandas.date_range("2024-03-01", periods=24 * 20, freq="h")
    series = pandas.Series((index.hour == 7).astype(float) + rng.normal(0, 0.05, len(index)), index)
    options = {
        "window": 1,
        "units": 8,
        "max_iter": 80,
        "learning_rate_init": 0.01,
        "random_state": 0,
    }
    with_hour = SequenceForecaster(calendar=["hour"], **options).fit(series[:-48])
    assert (
        with_hour.score(series[-48:])
        > 0.5
        > SequenceForecaster(**options).fit(series[:-48]).score(series[-48:])
    )
    assert with_hour.predict(1).index[0].hour == 0


def test_calendar_of_an_array_with_times(y):
    index = pandas.date_range("2024-02-27", periods=60, freq="h")
    frame = small(calendar=["hour", "month"]).fit(pandas.DataFrame(y, index))
    array = small(calendar=["hour", "month"]).fit(y[:50], times=index.to_numpy()[:50])
    assert array.calendar_ == ["hour", "month"]
    array = small(calendar=["hour", "month"]).fit(y, times=index.to_numpy())
    np.testing.assert_array_equal(array.predict(), frame.predict().to_numpy())
    assert isinstance(array.predict(), np.ndarray)
    with pytest.raises(ConfigError, match="times="):
        small(calendar="auto").fit(y)
    with pytest.raises(ConfigError, match="need dates"):
        small(calendar="auto").fit(pandas.DataFrame(y))


# ---- what cannot be


def test_errors_say_what_to_do(y, x):
    with pytest.raises(ConfigError, match="horizon is 4.*3 steps.*recursive"):
        small().fit(y).predict(4)
    with pytest.raises(ConfigError, match="known ahead"):
        small(strategy="recursive").fit(y, x).predict(2)
    with pytest.raises(ConfigError, match="needs X_future, 3 steps"):
        small(future_features="all").fit(y, x).predict()
    with pytest.raises(ConfigError, match="no column of X is known ahead"):
        small().fit(y, x).predict(X_future=x[:3])
    with pytest.raises(ShapeError, match=r"\(2, 3\); expected \(3, 1\)"):
        small(future_features=[1]).fit(y, x).predict(X_future=x[:2])
    with pytest.raises(ConfigError, match="names column 'q'"):
        small(future_features=["q"]).fit(y, x)
    with pytest.raises(ConfigError, match="X was not given"):
        small(future_features="all").fit(y)
    with pytest.raises(ShapeError, match="59 steps, y has 60"):
        small().fit(y, x[:-1])
    with pytest.raises(ShapeError, match="n_samples=8.*at least 9"):
        small().fit(y[:8])
    with pytest.raises(ShapeError, match="validation part"):
        small(early_stopping=True, validation_fraction=0.5).fit(y[:14])
    with pytest.raises(ConfigError, match="predict_interval needs"):
        small().fit(y).predict_interval()
    with pytest.raises(ConfigError, match="predict_interval needs"):
        small(strategy="recursive").fit(y).predict_interval()
    with pytest.raises(ConfigError, match="strategy='direct'"):
        small(strategy="recursive", quantiles=[0.1, 0.5, 0.9]).fit(y)
    with pytest.raises(ConfigError, match=r"0.5 must be among"):
        small(quantiles=[0.1, 0.9]).fit(y)
    with pytest.raises(ConfigError, match="one or the other"):
        small(quantiles=[0.5], distribution="gaussian").fit(y)
    for name, value in (
        ("strategy", "both"),
        ("scaling", "log"),
        ("distribution", "poisson"),
        ("calendar", "hour"),
        ("calendar", ["fortnight"]),
        ("window", 0),
        ("differencing", -1),
        ("stride", 0),
    ):
        with pytest.raises(ConfigError, match=name):
            small(**{name: value}).fit(hourly(y, ["a", "b"]))
    with pytest.raises(NotFittedError):
        small().predict()
    with pytest.raises(NotFittedError):
        small().update(y)
    with pytest.raises(DTypeError, match="datetime64"):
        small().fit(np.arange("2024-01", "2034-01", dtype="datetime64[M]"))
    with pytest.raises(ShapeError, match="list of arrays"):
        small().fit(y[None])
    with pytest.raises(ShapeError, match=r"\[1, 2\] variables"):
        small().fit([y, y[:, 0]])
    with pytest.raises(ShapeError, match="parts; y has 2 series"):
        small().fit([y, y], [x])


# ---- an estimator among others


@pytest.mark.parametrize(
    "options",
    [{}, {"strategy": "recursive", "distribution": "gaussian"}, {"calendar": "auto"}],
    ids=str,
)
def test_copies_and_pickles_forecast_the_same(y, options):
    forecaster = small(**options).fit(hourly(y, ["a", "b"]))
    expected = forecaster.predict()
    for other in (
        copy.deepcopy(forecaster),
        pickle.loads(pickle.dumps(forecaster)),
        clone(forecaster).fit(hourly(y, ["a", "b"])),
    ):
        pandas.testing.assert_frame_equal(other.predict(), expected)
        pandas.testing.assert_frame_equal(
            other.update(hourly(y[:2], ["a", "b"], "2024-02-29 12:00")).predict(),
            copy.deepcopy(forecaster).update(y[:2]).predict(),
        )


def test_series_are_never_changed_nor_kept(y, x):
    given = y.copy(), x.copy()
    forecaster = small().fit(y, x)
    forecast = forecaster.predict()
    np.testing.assert_array_equal(y, given[0])
    np.testing.assert_array_equal(x, given[1])
    y[:], x[:] = 0, 0
    np.testing.assert_array_equal(forecaster.predict(), forecast)
    assert len(forecaster._seen.histories[0]) == 6


def test_warm_start_goes_on(y):
    forecaster = small(warm_start=True).fit(y)
    weights = forecaster.model_.get_weights()
    forecaster.fit(y)
    assert forecaster.t_ == 2 * 2 * 52
    assert any(not np.array_equal(a, b) for a, b in zip(weights, forecaster.model_.get_weights()))
    with pytest.raises(ConfigError, match="warm_start"):
        forecaster.set_params(window=5).fit(y)


def test_results_do_not_depend_on_threads(y, threads):
    forecasts = []
    for count in (1, 2):
        forecasts.append(small(n_jobs=count, strategy="recursive").fit(y).predict(5))
    np.testing.assert_array_equal(*forecasts)


def test_it_learns_what_no_line_can_say():
    """The logistic map: each step is a parabola of the last, and has no correlation with it."""
    y = np.full(500, 0.3)
    for t in range(1, 500):
        y[t] = 1 - 1.9 * y[t - 1] ** 2
    windows, targets = gatewise.data.windows(y, 3)
    line = LinearRegression().fit(windows[:400, :, 0], targets[:400, 0])
    forecaster = SequenceForecaster(
        window=3, cell="rnn", units=16, max_iter=60, learning_rate_init=0.01, random_state=0
    )
    forecaster.fit(y[:403])
    assert line.score(windows[400:, :, 0], targets[400:, 0]) < 0.2
    assert forecaster.score(y[403:]) > 0.9


def test_a_line_goes_on_as_a_line_beyond_the_first_lag():
    """Each step ahead is one more mean difference above its anchor.

    Nothing is left for the network to learn.
    """
    y = 1000 + 50 * np.arange(200.0)
    for lag, wanted in ((1, 10), (4, 10)):
        forecaster = SequenceForecaster(
            8, wanted, differencing=lag, units=4, max_iter=5, random_state=0
        ).fit(y)
        np.testing.assert_allclose(
            forecaster.predict(), 1000 + 50 * np.arange(200.0, 200 + wanted), rtol=1e-4
        )


def test_tables_of_columns_of_several_levels(y):
    columns = pandas.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    frame = hourly(y, columns)
    table = small().fit(frame[:40]).backtest(frame, initial=40).to_frame()
    assert set(table["variable"]) == {("a", "x"), ("a", "y")}
    assert len(table) == len(table["label"])
