"""scikit-learn's metrics by name, over steps and over forecasts."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted, ragged

from gatewise import SequenceClassifier, SequenceForecaster, SequenceRegressor, SequenceTagger
from gatewise.data import SequenceScaler
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.estimators import get_scorer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("block", [True, False])
@pytest.mark.parametrize("classes", [2, 3])
def test_taggers(block, classes, rng):
    X = list(rng.normal(size=(12, 5, 3))) if block else ragged(rng, 12)
    y = [np.arange(len(row)) % classes for row in X]
    if block:
        X, y = np.stack(X), np.stack(y)
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    truth, said = np.concatenate(list(y)), np.concatenate(list(tagger.predict(X)))
    proba = np.concatenate(list(tagger.predict_proba(X)))
    assert (
        get_scorer("accuracy")(tagger, X, y)
        == tagger.score(X, y)
        == metrics.accuracy_score(truth, said)
    )
    assert get_scorer("f1_macro")(tagger, X, y) == metrics.f1_score(truth, said, average="macro")
    assert get_scorer("neg_log_loss")(tagger, X, y) == pytest.approx(
        -metrics.log_loss(truth, proba)
    )
    of_one = proba[:, 1] if classes == 2 else proba
    assert get_scorer("roc_auc" if classes == 2 else "roc_auc_ovr")(tagger, X, y) == pytest.approx(
        metrics.roc_auc_score(truth, of_one, multi_class="ovr")
    )
    weights = rng.uniform(size=12)
    assert get_scorer("accuracy")(tagger, X, y, sample_weight=weights) == pytest.approx(
        tagger.score(X, y, sample_weight=weights)
    )
    search = GridSearchCV(
        make_pipeline(SequenceScaler(), SequenceTagger(**SMALL)),
        {"sequencetagger__units": [2, 3]},
        cv=2,
        scoring=get_scorer("f1_macro"),
        error_score="raise",
    ).fit(X, y)
    assert 0 <= search.best_score_ <= 1


def test_taggers_of_rows_and_of_long_tables(rng):
    X = ragged(rng, 12)
    y = np.arange(12) % 2
    tagger = fitted(SequenceTagger(**SMALL), X, y)
    assert get_scorer("f1")(tagger, X, y) == metrics.f1_score(y, tagger.predict(X))


def test_other_estimators_are_scored_as_ever(rng):
    X = ragged(rng, 12)
    y = np.arange(12) % 2
    classifier = fitted(SequenceClassifier(**SMALL), X, y)
    assert get_scorer("accuracy")(classifier, X, y) == metrics.get_scorer("accuracy")(
        classifier, X, y
    )


@pytest.mark.parametrize("outputs", [None, 2])
def test_numbers_of_steps(outputs, rng):
    X = ragged(rng, 12)
    y = [rng.normal(size=len(row) if outputs is None else (len(row), outputs)) for row in X]
    regressor = fitted(SequenceRegressor(per_step=True, **SMALL), X, y)
    expected = -metrics.mean_absolute_error(np.concatenate(y), np.concatenate(regressor.predict(X)))
    assert get_scorer("neg_mean_absolute_error")(regressor, X, y) == pytest.approx(expected)
    assert get_scorer("r2")(regressor, X, y) == pytest.approx(regressor.score(X, y))


def test_forecasters(rng):
    y, X = np.sin(np.arange(80) / 3), rng.normal(size=(80, 2))
    forecaster = fitted(SequenceForecaster(window=4, horizon=2, **SMALL), y[:60])
    assert get_scorer("r2")(forecaster, y[60:]) == forecaster.score(y[60:])
    truth, forecasts = forecaster.forecasts_beside(y[60:])
    assert truth.shape == forecasts.shape == (38, 1)
    assert truth[:4, 0].tolist() == [y[60], y[61], y[61], y[62]]
    assert (
        get_scorer("neg_mean_absolute_error")(forecaster, y[60:])
        == -np.abs(truth - forecasts).mean()
    )
    search = GridSearchCV(
        SequenceForecaster(window=4, **SMALL),
        {"units": [2, 3]},
        cv=TimeSeriesSplit(2),
        scoring=get_scorer("neg_mean_absolute_error"),
        error_score="raise",
    )
    assert search.fit(y).best_score_ < 0
    assert search.fit(y, X).best_score_ < 0
    with pytest.raises(ConfigError, match="forecasts have no weights"):
        get_scorer("r2")(forecaster, y[60:], sample_weight=np.ones(20))


def test_scorers_of_scikit_learn_are_refused_where_they_reach_a_forecaster(rng):
    y = rng.normal(size=40)
    with pytest.raises(
        DTypeError, match=r"horizon is a ndarray; .*scoring=gatewise.estimators.get_scorer"
    ):
        cross_val_score(
            SequenceForecaster(window=3, **SMALL),
            y,
            y,
            scoring="neg_mean_absolute_error",
            cv=TimeSeriesSplit(2),
            error_score="raise",
        )


def test_a_gap_is_seen_where_steps_have_labels(rng):
    pandas = pytest.importorskip("pandas")
    y = pandas.Series(rng.normal(size=60), pandas.date_range("2024-01-01", periods=60))
    assert cross_val_score(
        SequenceForecaster(window=3, **SMALL), y, cv=TimeSeriesSplit(2), error_score="raise"
    ).shape == (2,)
    with pytest.raises(ShapeError, match="the new steps are labelled .* the series continues with"):
        cross_val_score(
            SequenceForecaster(window=3, **SMALL),
            y,
            cv=TimeSeriesSplit(2, gap=3),
            error_score="raise",
        )


def test_what_is_no_scorer():
    with pytest.raises(ConfigError, match="scoring is 'f2'; expected one of the names"):
        get_scorer("f2")
    with pytest.raises(DTypeError, match="what sklearn.metrics.make_scorer made"):
        get_scorer(lambda estimator, X, y: 0.0)
