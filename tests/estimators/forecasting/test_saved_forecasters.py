"""Files of forecasters: forecasts go on as if nothing had been saved."""

import forgery
import numpy as np
import pandas as pd
import pytest
from seeds import plain_generator
from small_sequences import fitted

from gatewise import SequenceForecaster, load_estimator
from gatewise.errors import CheckpointError, ConfigError, DTypeError, GatewiseError

SMALL = {"window": 6, "horizon": 3, "units": 3, "max_iter": 2, "random_state": 0}


def waves(rng, steps=60, variables=1):
    t = np.arange(steps)[:, None] + 5 * np.arange(variables)
    return np.sin(t / 3) + 0.1 * rng.normal(size=(steps, variables))


def gaps(rng, series):
    return np.where(rng.random(series.shape) < 0.1, np.nan, series)


def dates(steps=60):
    return pd.date_range("2024-03-01", periods=steps, freq="h", tz="Europe/Vienna")


CASES = {
    "array": lambda rng: (SequenceForecaster(**SMALL), waves(rng)[:, 0], None, None),
    "table, recursive": lambda rng: (
        SequenceForecaster(strategy="recursive", differencing=1, **SMALL),
        waves(rng, 60, 2),
        None,
        None,
    ),
    "frame with a calendar": lambda rng: (
        SequenceForecaster(calendar=["hour"], quantiles=[0.1, 0.5, 0.9], **SMALL),
        pd.DataFrame(waves(rng, 60, 2), dates(), columns=["a", "b"]),
        None,
        None,
    ),
    "series, known ahead": lambda rng: (
        SequenceForecaster(distribution="gaussian", future_features=["known"], **SMALL),
        pd.Series(waves(rng)[:, 0], dates(), name="load"),
        pd.DataFrame(waves(rng, 60, 2), dates(), columns=["known", "not"]),
        np.ones((3, 1)),
    ),
    "with gaps": lambda rng: (
        SequenceForecaster(missing="indicator", differencing=1, **SMALL),
        gaps(rng, waves(rng, 60, 2)),
        None,
        None,
    ),
    "several": lambda rng: (
        SequenceForecaster(differencing=4, scaling="robust", **SMALL),
        [waves(rng)[:, 0], waves(rng, 40)[:, 0]],
        None,
        None,
    ),
}


def forecasts(forecaster, future):
    given = forecaster.predict(X_future=future)
    return given if isinstance(given, list) else [given]


@pytest.mark.parametrize("case", CASES)
def test_forecasts_go_on(case, rng, tmp_path):
    forecaster, y, X, future = CASES[case](rng)
    fitted(forecaster, y, X)
    forecaster.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    assert set(vars(again)) == set(vars(forecaster))
    for ours, theirs in zip(forecasts(again, future), forecasts(forecaster, future), strict=True):
        assert type(ours) is type(theirs)
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
        if hasattr(theirs, "index"):
            assert ours.index.equals(theirs.index)
    if X is None:
        more = forecasts(forecaster, None)
        for one in (again, forecaster):
            one.update(more if isinstance(y, list) else more[0])
        for ours, theirs in zip(forecasts(again, None), forecasts(forecaster, None)):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    if forecaster.quantiles or forecaster.distribution:
        for ours, theirs in zip(
            again.predict_interval(coverage=0.8, X_future=future),
            forecaster.predict_interval(coverage=0.8, X_future=future),
        ):
            np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


# of a history too large for float32, which is then refused
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
@pytest.mark.parametrize("case", CASES)
def test_files_that_lie(case, rng, tmp_path):
    """A forged file gives a CheckpointError or a forecaster that forecasts or refuses to."""
    forecaster, y, X, future = CASES[case](rng)
    fitted(forecaster, y, X).save(tmp_path / "good")
    content = (tmp_path / "good").read_bytes()
    taken, wrong = 0, {}
    for seed in range(60):
        (tmp_path / "file").write_bytes(forgery.forge(content, plain_generator(seed)))
        read = False
        try:
            again = load_estimator(tmp_path / "file")
            read, taken = True, taken + 1
            forecasts(again, future)
        except CheckpointError:
            continue
        except GatewiseError as error:
            if not read:
                wrong[seed] = error
        except Exception as error:
            wrong[seed] = error
    assert not wrong
    assert 0 < taken < 50


def test_columns_of_several_levels(rng, tmp_path):
    columns = pd.MultiIndex.from_product([["a"], ["x", "y"]])
    frame = pd.DataFrame(waves(rng, 60, 2), dates(), columns=columns)
    forecaster = fitted(SequenceForecaster(**SMALL, future_features=[("a", "y")]), frame, frame)
    forecaster.save(tmp_path / "file")
    forecast = load_estimator(tmp_path / "file").predict(X_future=frame[:3].to_numpy())
    pd.testing.assert_frame_equal(forecast, forecaster.predict(X_future=frame[:3].to_numpy()))
    assert forecast.columns.equals(columns)
    series = fitted(
        SequenceForecaster(**SMALL), pd.Series(waves(rng)[:, 0], dates(), name=("a", 1))
    )
    series.save(tmp_path / "file")
    assert load_estimator(tmp_path / "file").predict().name == ("a", 1)


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range(
            "2024-01-01", periods=60, freq=pd.offsets.CustomBusinessDay(holidays=["2024-03-26"])
        ),
        pd.date_range("2024-01-01", periods=60, tz="dateutil/Europe/Berlin"),
    ],
    ids=["holidays", "zone"],
)
def test_what_could_not_be_read_is_not_written(index, rng, tmp_path):
    forecaster = fitted(SequenceForecaster(**SMALL), pd.Series(waves(rng)[:, 0], index))
    with pytest.raises(DTypeError, match="files cannot hold the index"):
        forecaster.save(tmp_path / "file")
    assert not (tmp_path / "file").exists()
    assert "2024-03-26" not in forecaster.predict().index


def test_warm_start_goes_on_from_a_file(rng, tmp_path):
    y = pd.Series(waves(rng)[:, 0], dates())
    fitted(SequenceForecaster(**SMALL, calendar="auto", scaling="robust", warm_start=True), y).save(
        tmp_path / "file"
    )
    seen = load_estimator(tmp_path / "file").t_
    assert fitted(load_estimator(tmp_path / "file"), y).t_ == 2 * seen
    for change in ({"scaling": "standard"}, {"calendar": ["weekday"]}):
        with pytest.raises(ConfigError, match=next(iter(change))):
            load_estimator(tmp_path / "file").set_params(**change).fit(y)


def test_files_from_before_there_were_panels(rng, tmp_path, monkeypatch):
    """Their state has no "panel", and forecasts go on."""
    from gatewise.estimators.forecasting import state as forecaster_state

    y = pd.Series(waves(rng)[:, 0], dates())
    forecaster = fitted(SequenceForecaster(**SMALL, calendar=["hour"]), y)
    whole = forecaster_state.state_of(forecaster)
    assert whole["panel"] is None
    monkeypatch.setattr(
        "gatewise.estimators.forecasting.fitting.state_of",
        lambda one: {name: value for name, value in whole.items() if name != "panel"},
    )
    forecaster.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file")
    pd.testing.assert_series_equal(again.predict(), forecaster.predict())
