"""Forecasters to and from files: the same forecasts, and damaged files refused."""

import contextlib
import copy
import json

import numpy as np
import pandas
import pytest

from gatewise import SequenceForecaster, load_estimator
from gatewise.errors import CheckpointError, GatewiseError
from gatewise.estimators import fitted
from gatewise.estimators.packing import pack, unpack
from gatewise.models.saving import blaming

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"window": 5, "horizon": 2, "units": 3, "max_iter": 1, "random_state": 0}


@pytest.fixture
def frame(rng):
    return pandas.DataFrame(rng.normal(size=(60, 2)), pandas.date_range("2024-01-01", periods=60, freq="h"), columns=["a", "b"])


def cases(frame):
    """(forecaster, what predict needs) in all forms."""
    values = frame.to_numpy()
    yield SequenceForecaster(**SMALL).fit(values[:, 0]), {}
    yield SequenceForecaster(**SMALL, strategy="recursive", distribution="gaussian", differencing=3).fit(frame[:40]), {}
    yield SequenceForecaster(**SMALL, quantiles=[0.1, 0.5, 0.9], loss="mae").fit([values, values[:30]]), {}
    features = frame.rename(columns={"a": "p", "b": "q"})
    yield (SequenceForecaster(**SMALL, calendar="auto", future_features=["q"], scaling="robust").fit(frame["a"], features),
           {"X_future": features[["q"]][:2]})
    yield SequenceForecaster(**SMALL, calendar=["hour"]).fit(values, times=frame.index.to_numpy()), {}


def equal(a, b):
    if isinstance(a, list):
        return all(map(equal, a, b))
    return type(a) is type(b) and (a.equals(b) if hasattr(a, "equals") else np.array_equal(a, b))


def test_saved_is_loaded(frame, tmp_path):
    for number, (forecaster, known) in enumerate(cases(frame)):
        path = tmp_path / f"{number}.gatewise"
        forecaster.save(path)
        loaded = load_estimator(path)
        assert equal(loaded.predict(**known), forecaster.predict(**known)), number
        assert loaded.get_params() == forecaster.get_params()
        assert set(vars(loaded)) == set(vars(forecaster))
        if forecaster.quantiles or forecaster.distribution:
            for bounds in zip(loaded.predict_interval(coverage=0.8), forecaster.predict_interval(coverage=0.8)):
                assert equal(*bounds)


def test_loaded_goes_on(frame, tmp_path):
    forecaster = SequenceForecaster(**SMALL, calendar=["hour"]).fit(frame[:50])
    forecaster.save(tmp_path / "f.gatewise")
    loaded = load_estimator(tmp_path / "f.gatewise")
    pandas.testing.assert_frame_equal(loaded.update(frame[50:55]).predict(), forecaster.update(frame[50:55]).predict())
    assert loaded.backtest(frame).mae.tolist() == forecaster.backtest(frame).mae.tolist()


def entries(state, at=()):
    """The places of all values in nested JSON."""
    if isinstance(state, dict | list):
        for key, part in state.items() if isinstance(state, dict) else enumerate(state):
            yield (*at, key)
            yield from entries(part, (*at, key))


def changed(header, at, value):
    header = json.loads(json.dumps(header))
    place = header
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return header


def test_a_damaged_file_is_refused_or_means_something(frame):
    """Each entry of what a file holds replaced by what it cannot be: refused, or a forecaster that forecasts or says why not."""
    known = {"X_future": frame[:2]}
    forecaster = SequenceForecaster(**SMALL, calendar=["hour"], future_features=[1]).fit(frame, frame)
    arrays = {}
    whole = pack(fitted.state_of(forecaster), arrays, {}, "state")
    places = list(entries(whole))
    assert len(places) > 80
    refused = 0
    for at in places:
        for value in (None, -1, "x"):
            other = copy.deepcopy(forecaster)
            try:
                with blaming("file"):
                    fitted.restore(other, unpack(changed(whole, at, value), dict(arrays), {}))
            except CheckpointError:
                refused += 1
                continue
            with contextlib.suppress(GatewiseError):
                assert np.isfinite(other.predict(**known)).all(axis=None)
    assert refused > 2 * len(places)


@pytest.mark.parametrize(("name", "value"), [
    ("y", np.full((6, 2), np.nan)), ("y", np.zeros((2, 2))), ("y", np.zeros((6, 3))), ("spread", np.zeros((1, 2))),
    ("center", np.zeros((2, 2))), ("x", np.zeros((5, 1))), ("calendar", np.zeros((4, 2)))])
def test_damaged_arrays_are_refused(frame, name, value):
    forecaster = SequenceForecaster(**SMALL, calendar=["hour"], future_features=[1]).fit(frame, frame)
    state = fitted.state_of(forecaster)
    fitted.restore(forecaster, state)
    (state["preparation"] if name in state["preparation"] else state["histories"][0])[name] = value
    with pytest.raises(GatewiseError, match=name):
        fitted.restore(forecaster, state)
