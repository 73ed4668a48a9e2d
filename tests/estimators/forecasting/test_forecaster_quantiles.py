"""predict_quantiles: every quantile that was trained can be had, in the form of predict."""

import itertools

import numpy as np
import pandas
import pytest

from gatewise import SequenceForecaster
from gatewise.errors import ConfigError, DTypeError, NotFittedError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LEVELS = [0.05, 0.3, 0.5, 0.6, 0.9]  # none but 0.5 has a partner


def small(**options):
    return SequenceForecaster(
        **({"window": 5, "horizon": 3, "units": 4, "max_iter": 3, "random_state": 0} | options)
    )


@pytest.fixture
def y(rng):
    return pandas.DataFrame(
        np.cumsum(rng.normal(size=(60, 2)), axis=0),
        pandas.date_range("2024-01-01", periods=60),
        columns=["a", "b"],
    )


@pytest.mark.parametrize("lag", [0, 1])
def test_quantiles_without_a_partner(y, lag):
    forecaster = small(quantiles=LEVELS, differencing=lag).fit(y)
    found = forecaster.predict_quantiles()
    assert list(found) == LEVELS and all(type(level) is float for level in found)
    for low, high in itertools.pairwise(LEVELS):
        assert (found[low] <= found[high]).all(axis=None)
    assert (found[0.05] < found[0.9]).any(axis=None)
    for forecast in found.values():
        assert forecast.index.equals(forecaster.predict().index) and list(forecast.columns) == [
            "a",
            "b",
        ]
    pandas.testing.assert_frame_equal(found[0.5], forecaster.predict())
    pandas.testing.assert_frame_equal(forecaster.predict_quantiles(quantiles=0.3), found[0.3])
    some = forecaster.predict_quantiles(2, [0.9, 0.05])
    assert list(some) == [0.9, 0.05]
    pandas.testing.assert_frame_equal(some[0.9], found[0.9][:2], check_freq=False)


def test_they_are_the_networks_own_numbers_put_in_order(y):
    """By hand: the outputs of the network, sorted, in the units of y."""
    values = y["a"].to_numpy()
    forecaster = small(quantiles=[0.2, 0.5, 0.7], dtype="float64").fit(values)
    scaled = (values - values.mean()) / values.std()
    said = np.sort(forecaster.model_.predict(scaled[None, -5:, None]).reshape(3, 3), axis=0)
    expected = said * values.std() + values.mean()
    np.testing.assert_allclose(list(forecaster.predict_quantiles().values()), expected, rtol=1e-10)


@pytest.mark.parametrize("strategy", ["direct", "recursive"])
def test_quantiles_of_a_normal_distribution(y, strategy):
    forecaster = small(distribution="gaussian", strategy=strategy).fit([y["a"], y["b"]])
    found = forecaster.predict_quantiles(quantiles=[0.1, 0.5, 0.9])
    lower, upper = forecaster.predict_interval(coverage=0.8)
    for number in (0, 1):
        np.testing.assert_allclose(found[0.1][number], lower[number], rtol=1e-12)
        np.testing.assert_allclose(found[0.9][number], upper[number], rtol=1e-12)
        assert (found[0.1][number] < found[0.5][number]).all() and (
            found[0.5][number] < found[0.9][number]
        ).all()
        if strategy == "direct":
            pandas.testing.assert_series_equal(found[0.5][number], forecaster.predict()[number])
    with pytest.raises(ConfigError, match="any: name them, for example quantiles="):
        forecaster.predict_quantiles()


def test_quantiles_with_features_known_ahead(y, rng):
    x = rng.normal(size=(60, 1))
    forecaster = small(quantiles=LEVELS, future_features="all").fit(y["a"].to_numpy(), x)
    pair = [forecaster.predict_quantiles(X_future=np.full((3, 1), value)) for value in (-3.0, 3.0)]
    assert all((pair[0][level] != pair[1][level]).any() for level in LEVELS)
    with pytest.raises(ConfigError, match="X_future"):
        forecaster.predict_quantiles()


def test_quantiles_that_cannot_be_had(y):
    forecaster = small(quantiles=LEVELS).fit(y)
    with pytest.raises(
        ConfigError,
        match=r"quantile 0\.2 was asked for; .*\[0\.05, 0\.3, 0\.5, 0\.6, 0\.9\].*include 0\.2",
    ):
        forecaster.predict_quantiles(quantiles=[0.3, 0.2])
    for wrong, kind in (
        (1.0, ConfigError),
        ([0.0], ConfigError),
        ([], ConfigError),
        ([0.3, 0.3], ConfigError),
        ("0.3", DTypeError),
        ([None], DTypeError),
    ):
        with pytest.raises(kind, match="quantiles is"):
            forecaster.predict_quantiles(quantiles=wrong)
    for strategy in ("direct", "recursive"):
        plain = small(strategy=strategy).fit(y)
        for asked in (None, 0.5):
            with pytest.raises(
                ConfigError,
                match="predict_quantiles needs a forecaster that was built with quantiles",
            ):
                plain.predict_quantiles(quantiles=asked)
    with pytest.raises(NotFittedError):
        small(quantiles=LEVELS).predict_quantiles()


def test_quantiles_from_a_file(y, tmp_path):
    from gatewise import load_estimator

    forecaster = small(quantiles=LEVELS).fit(y)
    forecaster.save(tmp_path / "file")
    again = load_estimator(tmp_path / "file").predict_quantiles()
    for level, forecast in forecaster.predict_quantiles().items():
        pandas.testing.assert_frame_equal(again[level], forecast)
