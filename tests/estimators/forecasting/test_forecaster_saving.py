"""What a file keeps of a forecaster, entry by entry: damage is refused."""

import contextlib
import copy
import json

import numpy as np
import pandas
import pytest

from gatewise import SequenceForecaster, load_estimator
from gatewise.errors import CheckpointError, GatewiseError
from gatewise.estimators.forecasting import state as forecaster_state
from gatewise.estimators.packing import VALUES
from gatewise.models.restoring import file_errors

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"window": 5, "horizon": 2, "units": 3, "max_iter": 1, "random_state": 0}


@pytest.fixture
def frame(rng):
    return pandas.DataFrame(
        rng.normal(size=(60, 2)),
        pandas.date_range("2024-01-01", periods=60, freq="h"),
        columns=["a", "b"],
    )


def test_what_was_fitted_is_kept_though_parameters_were_set_since(frame, tmp_path):
    forecaster = SequenceForecaster(**SMALL, strategy="recursive", distribution="gaussian").fit(
        frame
    )
    forecaster.set_params(strategy="direct", distribution=None, horizon=7, window=9)
    forecaster.save(tmp_path / "f.gatewise")
    loaded = load_estimator(tmp_path / "f.gatewise")
    pandas.testing.assert_frame_equal(loaded.predict(4), forecaster.predict(4))
    pandas.testing.assert_frame_equal(
        loaded.predict_interval(3).upper, forecaster.predict_interval(3).upper
    )


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
    """Each entry of what a file holds replaced by what it cannot be.

    Refused, or a forecaster that forecasts or says why not.
    """
    known = {"X_future": frame[:2]}
    forecaster = SequenceForecaster(**SMALL, calendar=["hour"], future_features=[1]).fit(
        frame, frame
    )
    arrays = {}
    whole = VALUES.encode(forecaster_state.state_of(forecaster), "state", arrays)
    places = list(entries(whole))
    assert len(places) > 80
    refused = 0
    for at in places:
        for value in (None, -1, "x"):
            other = copy.deepcopy(forecaster)
            try:
                with file_errors("file"):
                    forecaster_state.take_state(
                        other, VALUES.decode(changed(whole, at, value), dict(arrays))
                    )
            except CheckpointError:
                refused += 1
                continue
            with contextlib.suppress(GatewiseError):
                assert np.isfinite(other.predict(**known)).all(axis=None)
    assert refused > 2 * len(places)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("y", np.full((6, 2), np.nan)),
        ("y", np.zeros((2, 2))),
        ("y", np.zeros((6, 3))),
        ("spread", np.zeros((1, 2))),
        ("center", np.zeros((2, 2))),
        ("x", np.zeros((5, 1))),
        ("calendar", np.zeros((4, 2))),
    ],
)
def test_damaged_arrays_are_refused(frame, name, value):
    forecaster = SequenceForecaster(**SMALL, calendar=["hour"], future_features=[1]).fit(
        frame, frame
    )
    state = forecaster_state.state_of(forecaster)
    forecaster_state.take_state(forecaster, state)
    (state["preparation"] if name in state["preparation"] else state["histories"][0])[name] = value
    with pytest.raises(GatewiseError, match=name):
        forecaster_state.take_state(forecaster, state)
