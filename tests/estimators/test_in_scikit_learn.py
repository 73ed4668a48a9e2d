"""Inside what scikit-learn puts around estimators, on blocks and on ragged sequences."""

import copy
import pickle

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    SequenceTranscriber,
    layers,
)
from gatewise.data import SequenceScaler

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = (
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    SequenceEncoder,
    SequenceTranscriber,
)


@pytest.fixture(params=["block", "list", "objects"])
def samples(request, rng):
    """(X, labels, numbers)."""
    X = ragged(rng, 36)
    labels, numbers = signs(X), np.array([row.sum() for row in X])
    if request.param == "block":
        return np.stack([np.resize(row, (5, 3)) for row in X]), labels, numbers
    if request.param == "list":
        return X, labels, numbers
    array = np.empty(36, object)
    array[:] = X
    return array, labels, numbers


def test_pipeline_and_scaler(samples):
    X, y, _ = samples
    pipeline = make_pipeline(SequenceScaler(), SequenceClassifier(**SMALL))
    train, test, y_train, y_test = train_test_split(X, y, random_state=0, stratify=y)
    assert pipeline.fit(train, y_train).predict_proba(test).shape == (9, 2)
    assert 0 <= pipeline.score(test, y_test) <= 1


def test_cross_validation(samples):
    X, y, numbers = samples
    assert cross_val_score(SequenceClassifier(**SMALL), X, y, cv=3).shape == (3,)
    assert cross_val_score(SequenceRegressor(**SMALL), X, numbers, cv=TimeSeriesSplit(3)).shape == (
        3,
    )
    assert cross_val_predict(
        SequenceClassifier(**SMALL), X, y, cv=3, method="decision_function"
    ).shape == (36,)


def test_cross_validation_of_a_long_table(rng):
    """Labels go to the splitter and to the estimator.

    A sequence is never cut, and scores are those of sequences one by one.
    """
    X = ragged(rng, 12)
    lengths, y = [len(row) for row in X], np.arange(12) % 2
    who = np.repeat(np.arange(12), lengths)
    folds = [np.unique(who[held]) for _, held in GroupKFold(3).split(who, groups=who)]
    expected = []
    for held in folds:
        train = np.setdiff1d(np.arange(12), held)
        estimator = SequenceClassifier(**SMALL).fit([X[n] for n in train], y[train])
        expected.append(estimator.score([X[n] for n in held], y[held]))
    with config_context(enable_metadata_routing=True):
        estimator = (
            SequenceClassifier(**SMALL).set_fit_request(groups=True).set_score_request(groups=True)
        )
        scores = cross_val_score(
            estimator,
            np.concatenate(X),
            np.repeat(y, lengths),
            cv=GroupKFold(3),
            params={"groups": who},
        )
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.long
def test_grid_search_in_two_processes(samples):
    X, y, _ = samples
    search = GridSearchCV(
        SequenceClassifier(**SMALL), {"units": [3, 4]}, cv=2, n_jobs=2, error_score="raise"
    ).fit(X, y)
    alone = GridSearchCV(
        SequenceClassifier(**SMALL), {"units": [3, 4]}, cv=2, error_score="raise"
    ).fit(X, y)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    np.testing.assert_array_equal(
        parameters_of(search.best_estimator_), parameters_of(alone.best_estimator_)
    )


def test_voting_and_stacking(samples):
    X, y, numbers = samples
    several = [("lstm", SequenceClassifier(**SMALL)), ("gru", SequenceClassifier("gru", **SMALL))]
    voting = VotingClassifier(several, voting="soft").fit(X, y)
    np.testing.assert_allclose(
        voting.predict_proba(X),
        np.mean([part.predict_proba(X) for part in voting.estimators_], axis=0),
    )
    assert StackingClassifier(several, cv=2).fit(X, y).predict(X).shape == (36,)
    several = [("lstm", SequenceRegressor(**SMALL)), ("rnn", SequenceRegressor("rnn", **SMALL))]
    assert VotingRegressor(several).fit(X, numbers).predict(X).shape == (36,)
    assert StackingRegressor(several, cv=2).fit(X, numbers).predict(X).shape == (36,)


def test_calibrated_and_one_against_the_rest(samples, rng):
    X, y, _ = samples
    calibrated = CalibratedClassifierCV(SequenceClassifier(**SMALL), cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    three = np.resize(["a", "b", "c"], 36)
    assert set(OneVsRestClassifier(SequenceClassifier(**SMALL)).fit(X, three).predict(X)) <= {
        "a",
        "b",
        "c",
    }


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["deepcopy", "pickle"],
)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_copies_go_on_as_the_original(estimator, copied, rng):
    X = ragged(rng)
    y = [np.arange(len(row)) % 2 for row in X] if estimator is SequenceTagger else np.arange(24) % 2
    first = fitted(estimator(warm_start=True, dropout=0.2, **SMALL), X, y)
    second = copied(first)
    assert second.model_ is not first.model_
    method = "transform" if estimator is SequenceEncoder else "predict"
    for ours, theirs in zip(getattr(first, method)(X), getattr(second, method)(X)):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(
        parameters_of(fitted(first, X, y)), parameters_of(fitted(second, X, y))
    )


def architecture(n_steps, n_features, n_outputs):
    return [layers.GRU(3), layers.Dense(n_outputs)]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_clones_and_html(estimator):
    made = estimator("gru", 7, early_stopping=True)
    assert clone(made).get_params() == made.get_params()
    assert "units=7" in repr(made) and estimator.__name__ in made._repr_html_()
    if estimator is not SequenceEncoder:  # which takes names of architectures, and no functions
        assert clone(made.set_params(architecture=architecture)).architecture is architecture


@pytest.mark.parametrize("estimator", [*ESTIMATORS, SequenceForecaster])
def test_parameters_are_documented(estimator):
    text = estimator.__doc__.split("Attributes\n")[0]
    assert "{" not in text.replace('{"', "")
    for name in estimator().get_params():
        assert f"\n    {name} :" in text, name
