"""Streams of estimators give what the estimators predict for the steps so far."""

import numpy as np
import pytest

from gatewise import SequenceClassifier, SequenceForecaster, SequenceRegressor, SequenceTagger
from gatewise.errors import ConfigError, NonFiniteError, NotFittedError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

STEPS = 12


@pytest.fixture
def X(rng):
    return rng.normal(size=(20, STEPS, 2))


@pytest.fixture
def labels(rng):
    return np.arange(20) % 3


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_the_probabilities_so_far(pooling, X, labels):
    classifier = SequenceClassifier(units=5, max_iter=2, pooling=pooling, random_state=0)
    classifier.fit(X, labels)
    for rows in (1, 4):
        stream = classifier.stream(rows)
        given = X[:rows] if rows > 1 else X[0]
        for t in range(STEPS):
            found = stream.step(given[..., t, :])
            wanted = classifier.predict_proba(X[:rows, : t + 1])
            np.testing.assert_array_equal(found, wanted if rows > 1 else wanted[0])
        stream.reset()
        block = stream.process(given)
        np.testing.assert_array_equal(block[..., -1, :], found)
        assert block.shape == (*([rows] if rows > 1 else []), STEPS, 3)


def test_a_table_two_classes_and_rows_that_come_and_go(X):
    classifier = SequenceClassifier(units=5, max_iter=2, random_state=0)
    table = X[..., 0]
    classifier.fit(table, np.arange(20) % 2)
    stream = classifier.stream()
    for value in table[3]:
        found = stream.step(value)
    np.testing.assert_array_equal(found, classifier.predict_proba(table[3:4])[0])
    state = stream.state
    assert stream.add(1) == range(1, 2) and stream.rows == 2
    assert stream.step(table[:2, 0]).shape == (2, 2)
    stream.drop(1)
    stream.state = state
    longer = np.append(table[3], 1.0)
    np.testing.assert_array_equal(stream.step(1.0), classifier.predict_proba([longer])[0])
    assert repr(stream) == "<stream of a SequenceClassifier, 1 row>"


def test_several_labels(X):
    y = (X.mean(axis=1) > 0).astype(int)
    classifier = SequenceClassifier(units=5, max_iter=2, random_state=0).fit(X, y)
    found = classifier.stream().process(X[0])[-1]
    np.testing.assert_array_equal(found, classifier.predict_proba(X[:1])[0])


def test_tokens(rng):
    X = rng.integers(0, 9, size=(20, STEPS))
    classifier = SequenceClassifier(units=5, embedding=3, max_iter=2, random_state=0)
    classifier.fit(X, np.arange(20) % 2)
    stream = classifier.stream()
    for token in X[0]:
        found = stream.step(int(token))
    np.testing.assert_array_equal(found, classifier.predict_proba(X[:1])[0])
    with pytest.raises(ShapeError):
        stream.step(99)


def test_numbers_of_a_regressor(X):
    one = SequenceRegressor(units=5, max_iter=2, random_state=0).fit(X, X.sum(axis=(1, 2)))
    found = one.stream().process(X[0])
    assert found.shape == (STEPS,)
    assert found[-1] == one.predict(X[:1])[0]
    assert np.ndim(one.stream().step(X[0, 0])) == 0
    two = SequenceRegressor(units=5, max_iter=2, random_state=0).fit(X, X.sum(axis=1))
    np.testing.assert_array_equal(two.stream().process(X[0])[-1], two.predict(X[:1])[0])
    steps = SequenceRegressor(units=5, max_iter=2, random_state=0, per_step=True)
    steps.fit(X, X.sum(axis=2))
    np.testing.assert_array_equal(steps.stream().process(X[0]), steps.predict(X[:1])[0])


def test_labels_of_steps(X):
    tagger = SequenceTagger(units=5, max_iter=2, random_state=0).fit(X, (X[..., 0] > 0).astype(int))
    np.testing.assert_array_equal(tagger.stream().process(X[0]), tagger.predict_proba(X[:1])[0])
    assert tagger.stream(3).step(X[:3, 0]).shape == (3, 2)
    tagger.fit(X, np.arange(20) % 2)
    with pytest.raises(ConfigError, match="label for each row"):
        tagger.stream()


def test_missing_values(X, labels):
    X[0, 3, 1] = X[5, 2, 0] = np.nan
    classifier = SequenceClassifier(units=5, max_iter=2, missing="mean", random_state=0)
    classifier.fit(X, labels)
    np.testing.assert_array_equal(
        classifier.stream().process(X[0])[-1], classifier.predict_proba(X[:1])[0]
    )
    np.testing.assert_array_equal(
        [classifier.stream().step(X[0, 3])], classifier.predict_proba(X[:1, 3:4])
    )
    for missing in ("forward_fill", "mask", "indicator"):
        classifier.set_params(missing=missing).fit(X, labels)
        with pytest.raises(ConfigError, match=f"missing='{missing}'"):
            classifier.stream()
    X = np.nan_to_num(X)
    stream = SequenceClassifier(units=5, max_iter=2).fit(X, labels).stream()
    with pytest.raises(NonFiniteError):
        stream.step([np.nan, 1])


def test_what_cannot_be_a_stream(X, labels):
    with pytest.raises(NotFittedError):
        SequenceClassifier().stream()
    both = SequenceClassifier(units=3, max_iter=1, bidirectional=True).fit(X, labels)
    with pytest.raises(ConfigError, match="Bidirectional"):
        both.stream()
    with pytest.raises(ConfigError, match="batch"):
        SequenceClassifier(units=3, max_iter=1).fit(X, labels).stream(0)


def test_a_forecaster_takes_one_observation_at_a_time():
    y = np.sin(np.arange(120) / 5)
    forecaster = SequenceForecaster(horizon=3, max_iter=3, random_state=0).fit(y[:90])
    before = forecaster.predict()
    stream = forecaster.stream()
    for t in range(90, 100):
        found = stream.step(y[t])
    np.testing.assert_array_equal(forecaster.predict(), before)
    wanted = SequenceForecaster(horizon=3, max_iter=3, random_state=0).fit(y[:90])
    np.testing.assert_array_equal(found, wanted.update(y[90:100]).predict())
    with pytest.raises((ConfigError, ShapeError)):
        stream.step(y[100], horizon=50)
    np.testing.assert_array_equal(stream.step(y[100]), wanted.update(y[100:101]).predict())
    stream.reset()
    np.testing.assert_array_equal(stream.step(y[90], horizon=2), _after(forecaster, y[90:91])[:2])
    with pytest.raises(NotFittedError):
        SequenceForecaster().stream()


def _after(forecaster, y):
    stream = forecaster.stream()
    for value in y:
        found = stream.step(value)
    return found


def test_several_variables_and_series(rng):
    y = np.cumsum(rng.normal(size=(80, 2)), axis=0)
    forecaster = SequenceForecaster(horizon=2, max_iter=2, random_state=0).fit(y[:70])
    found = _after(forecaster, y[70:73])
    np.testing.assert_array_equal(found, forecaster.update(y[70:73]).predict())
    series = [y[:, 0], 3 * y[:60, 1]]
    forecaster = SequenceForecaster(horizon=2, max_iter=2, random_state=0).fit(series)
    found = forecaster.stream().step([1.0, 2.0])
    wanted = forecaster.update([np.array([1.0]), np.array([2.0])]).predict()
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_columns_that_are_known(rng):
    y, X = rng.normal(size=80), rng.normal(size=(84, 2))
    forecaster = SequenceForecaster(horizon=2, max_iter=2, future_features=[1], random_state=0)
    forecaster.fit(y[:70], X[:70])
    found = forecaster.stream().step(y[70], X[70], X[71:73])
    forecaster.update(y[70:71], X[70:71])
    np.testing.assert_array_equal(found, forecaster.predict(X_future=X[71:73]))
