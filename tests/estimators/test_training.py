"""Training of estimators: scikit-learn's conventions, bits, weights and interrupts."""

import io
import itertools
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from small_sequences import SMALL, fitted, parameters_of, ragged, targets_of

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
    SequenceTranscriber,
    optimizers,
    threads,
)
from gatewise.errors import ConfigError, GatewiseError, TrainingWarning
from gatewise.estimators.targets.labels import Labels
from gatewise.estimators.targets.step_labels import StepLabels
from gatewise.models import Sequential

ESTIMATORS = (
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    SequenceEncoder,
    SequenceTranscriber,
)


# ---- what is known afterwards


def test_attributes_of_a_fit(samples):
    X, y = samples
    estimator = SequenceClassifier(**SMALL)
    with pytest.warns(ConvergenceWarning, match="max_iter=3"):
        estimator.fit(X, y)
    assert isinstance(estimator.model_, Sequential)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 3
    assert estimator.t_ == 3 * len(X)
    assert estimator.loss_ == estimator.loss_curve_[-1]
    assert estimator.best_loss_ == min(estimator.loss_curve_)
    assert (estimator.n_outputs_, estimator.out_activation_) == (1, "logistic")
    assert estimator.validation_scores_ is None and estimator.best_validation_score_ is None
    assert estimator.model_._training_run is None


def test_the_loss_is_that_of_the_model(samples):
    """One batch, one pass: what is written down is the loss before the step."""
    X, y = samples
    estimator = fitted(
        SequenceClassifier(
            units=4, max_iter=1, batch_size=40, random_state=0, learning_rate_init=1e-12
        ),
        X,
        y,
    )
    p = estimator.predict_proba(X)[np.arange(40), np.searchsorted(estimator.classes_, y)]
    assert estimator.loss_ == pytest.approx(-np.log(p).mean(), rel=1e-6)


def test_training_ends_where_nothing_improves(samples):
    X, y = samples
    estimator = SequenceClassifier(
        units=4, max_iter=50, tol=10.0, n_iter_no_change=2, random_state=0
    ).fit(X, y)
    assert estimator.n_iter_ == 4  # the first is an improvement on nothing, then three are not


def test_adaptive_rate_falls_before_training_ends(samples):
    X, y = samples
    estimator = SequenceClassifier(
        units=4,
        max_iter=50,
        tol=10.0,
        n_iter_no_change=1,
        learning_rate="adaptive",
        learning_rate_init=1e-5,
        random_state=0,
    ).fit(X, y)
    assert estimator.n_iter_ == 1 + 2 * 3
    assert estimator.model_.optimizer.learning_rate == pytest.approx(1e-5 / 25)


def test_cosine_goes_to_zero_over_max_iter(samples):
    X, y = samples
    estimator = fitted(SequenceClassifier(learning_rate="cosine", **SMALL), X, y)
    assert estimator.model_.optimizer.iterations == 3 * 5  # batches of 8
    assert estimator.model_.optimizer.learning_rate == pytest.approx(0, abs=1e-12)


def test_cosine_runs_all_passes_and_that_is_no_warning(samples):
    X, y = samples
    options = {
        "units": 4,
        "max_iter": 8,
        "tol": 10.0,
        "n_iter_no_change": 2,
        "learning_rate": "cosine",
        "random_state": 0,
    }
    assert SequenceClassifier(**options).fit(X, y).n_iter_ == 8
    assert SequenceClassifier(early_stopping=True, **options).fit(X, y).n_iter_ == 4


def test_verbose_prints_a_line_a_pass(samples, capsys):
    fitted(SequenceClassifier(verbose=True, early_stopping=True, **SMALL), *samples)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert all("loss " in line and "validation_score " in line and "/s, " in line for line in lines)
    with pytest.raises(ConfigError, match="verbose is 3; expected"):
        SequenceClassifier(verbose=3).fit(*samples)


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceForecaster])
def test_verbose_shows_the_bar_of_models_with_the_time_left(estimator, samples, monkeypatch):
    """In a terminal; the bar is drawn after each batch here, however fast it is."""
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(sys.modules["gatewise.training.callbacks.progress"], "INTERVAL", -1.0)
    arguments = samples if estimator is SequenceClassifier else [np.sin(np.arange(60.0))]
    fitted(estimator(verbose=True, batch_size=8, **SMALL), *arguments)
    shown = terminal.getvalue()
    assert "epoch 2/3" in shown and " left, " in shown and " in all" in shown and "batch/s" in shown


# ---- bits


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_random_state_says_all(estimator, samples, forced_threads):
    X, _ = samples
    y, options = (
        targets_of(estimator, X),
        {
            "dropout": 0.2,
            "recurrent_dropout": 0.2,
            "units": 4,
            "max_iter": 2,
        },
    )
    first = fitted(estimator(random_state=3, early_stopping=True, n_jobs=1, **options), X, y)
    again = fitted(estimator(random_state=3, early_stopping=True, n_jobs=3, **options), X, y)
    other = fitted(estimator(random_state=4, early_stopping=True, **options), X, y)
    np.testing.assert_array_equal(parameters_of(first), parameters_of(again))
    assert not np.array_equal(parameters_of(first), parameters_of(other))
    drawn = [
        fitted(estimator(random_state=np.random.RandomState(5), **options), X, y) for _ in range(2)
    ]
    np.testing.assert_array_equal(*map(parameters_of, drawn))


def test_n_jobs_is_put_back(samples):
    before = threads.get_num_threads()
    fitted(SequenceClassifier(n_jobs=before + 1, **SMALL), *samples)
    assert threads.get_num_threads() == before
    for bad in (0, 1.5, True, "all"):
        with pytest.raises(ConfigError, match="n_jobs is"):
            SequenceClassifier(n_jobs=bad).fit(*samples)


@pytest.mark.parametrize(
    ("batch_size", "dtype"), [("auto", "float32"), (40, "float64"), (39, "float32")]
)
def test_dtype_auto(batch_size, dtype, samples):
    assert (
        fitted(SequenceClassifier(batch_size=batch_size, **SMALL), *samples).model_.dtype == dtype
    )
    assert (
        fitted(
            SequenceClassifier(batch_size=batch_size, dtype="float64", **SMALL), *samples
        ).model_.dtype
        == "float64"
    )


# ---- going on


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceRegressor, SequenceTagger])
def test_partial_fit_is_fit_a_pass_at_a_time(estimator, samples):
    X, _ = samples
    y = targets_of(estimator, X)
    whole = fitted(estimator(**SMALL), X, y)
    parts = estimator(**SMALL)
    for number in range(3):
        more = {"classes": whole.classes_} if number == 0 and hasattr(whole, "classes_") else {}
        assert parts.partial_fit(X, y, **more) is parts
    np.testing.assert_array_equal(parameters_of(parts), parameters_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_
    assert (parts.n_iter_, parts.t_) == (whole.n_iter_, whole.t_)


def test_partial_fit_knows_classes_from_the_first_call(samples):
    X, y = samples
    with pytest.raises(ConfigError, match="classes must be passed on the first call"):
        SequenceClassifier().partial_fit(X, y)
    estimator = SequenceClassifier(units=4).partial_fit(
        X[:5], ["above"] * 5, classes=["above", "below", "between"]
    )
    assert estimator.partial_fit(X, y).predict_proba(X).shape == (40, 3)
    with pytest.raises(ConfigError, match="y holds the label 'beside'; known are"):
        estimator.partial_fit(X[:1], ["beside"])
    with pytest.raises(ConfigError, match="early_stopping"):
        SequenceClassifier(early_stopping=True).partial_fit(X, y, classes=["above", "below"])
    with pytest.raises(ConfigError, match="'balanced' needs all samples"):
        SequenceClassifier(class_weight="balanced").partial_fit(X, y, classes=["above", "below"])


def test_warm_start_goes_on_from_the_weights(samples):
    X, y = samples
    estimator = fitted(SequenceClassifier(warm_start=True, **SMALL), X, y)
    model, before = estimator.model_, parameters_of(estimator)
    estimator.set_params(learning_rate_init=1e-12)
    fitted(estimator, X, y)
    assert estimator.model_ is model
    np.testing.assert_allclose(parameters_of(estimator), before, rtol=1e-4, atol=1e-7)
    assert (estimator.n_iter_, len(estimator.loss_curve_), estimator.t_) == (3, 6, 6 * 40)
    with pytest.raises(
        ConfigError, match="warm_start can only be used where `y` has the same classes"
    ):
        estimator.fit(X, ["above"] * 39 + ["beside"])
    estimator.set_params(warm_start=False, max_iter=1)
    assert fitted(estimator, X, y).model_ is not model
    assert len(estimator.loss_curve_) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "nonsense"},
        {"batch_size": -1},
        {"cell": "nonsense"},
        {"tol": -1.0},
        {"shuffle": 3},
        {"units": 0},
        {"missing": "mean", "cell": "nonsense"},
    ],
)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_fit_that_fails_changes_nothing(estimator, change, samples):
    X, _ = samples
    y = targets_of(estimator, X)
    made = fitted(estimator(**SMALL), X, y)
    known, before = (
        {name: value for name, value in vars(made).items() if name.endswith("_")},
        parameters_of(made),
    )
    other = [row[:, :2] for row in X]
    with pytest.raises(GatewiseError):
        made.set_params(**change).fit(
            other, {SequenceClassifier: np.resize(["c", "d", "e"], 40)}.get(estimator, y)
        )
    assert {name: value for name, value in vars(made).items() if name.endswith("_")} == known
    np.testing.assert_array_equal(parameters_of(made), before)
    with pytest.raises(GatewiseError):
        made.set_params(warm_start=True).fit(X, y)
    assert {name: value for name, value in vars(made).items() if name.endswith("_")} == known
    np.testing.assert_array_equal(parameters_of(made), before)


def test_a_first_partial_fit_that_fails_leaves_no_classes(samples):
    X, y = samples
    estimator = SequenceClassifier(**SMALL)
    with pytest.raises(ConfigError, match="y holds the label"):
        estimator.partial_fit(X, y, classes=["above", "beneath"])
    assert estimator.partial_fit(X, y, classes=["above", "below"]).predict(X).shape == (40,)


def test_the_rate_of_partial_fit_is_constant(samples):
    """Also after a fit along a cosine, at whose end it is 0.

    What Adam keeps of its gradients stays.
    """
    X, y = samples
    options = {"learning_rate": "cosine", "learning_rate_init": 0.02}
    estimator = fitted(SequenceClassifier(**options, **SMALL), X, y)
    before, steps = parameters_of(estimator), estimator.model_.optimizer.iterations
    slots = estimator.model_.optimizer.slots()
    estimator.partial_fit(X[:8], y[:8])
    assert not np.array_equal(parameters_of(estimator), before)
    optimizer = estimator.model_.optimizer
    assert (optimizer.learning_rate, optimizer.iterations) == (0.02, steps + 1)
    assert (
        set(optimizer.slots()) == set(slots)
        and estimator.partial_fit(X, y).model_.optimizer is optimizer
    )
    anew = SequenceClassifier(**options, **SMALL)
    for _ in range(4):  # more passes than max_iter
        anew.partial_fit(X, y, classes=["above", "below"])
    constant = SequenceClassifier(**options | {"learning_rate": "constant"}, **SMALL)
    for _ in range(4):
        constant.partial_fit(X, y, classes=["above", "below"])
    np.testing.assert_array_equal(parameters_of(anew), parameters_of(constant))


# ---- early stopping


def test_early_stopping_keeps_the_best_weights(samples):
    X, y = samples
    estimator = SequenceClassifier(
        units=4,
        early_stopping=True,
        validation_fraction=0.3,
        max_iter=30,
        n_iter_no_change=3,
        learning_rate_init=0.05,
        random_state=1,
    )
    fitted(estimator, X, y)
    best = int(np.argmax(estimator.validation_scores_))
    assert estimator.best_validation_score_ == estimator.validation_scores_[best]
    assert estimator.best_loss_ is None and len(estimator.validation_scores_) == estimator.n_iter_
    assert best + 1 < estimator.n_iter_  # so that weights must have been put back
    until = fitted(estimator.set_params(max_iter=best + 1), X, y)
    again = parameters_of(until)
    np.testing.assert_array_equal(
        parameters_of(fitted(estimator.set_params(max_iter=30), X, y)), again
    )


def test_warm_start_with_early_stopping_keeps_the_best_weights(samples):
    X, y = samples
    estimator = SequenceClassifier(
        units=4,
        early_stopping=True,
        warm_start=True,
        validation_fraction=0.3,
        max_iter=20,
        batch_size=4,
        n_iter_no_change=20,
        learning_rate_init=0.05,
        random_state=0,
    )
    fitted(estimator, X, y)
    before, best, scores = (
        parameters_of(estimator),
        estimator.best_validation_score_,
        list(estimator.validation_scores_),
    )
    fitted(estimator.set_params(learning_rate_init=5.0, max_iter=3), X, y)
    assert max(estimator.validation_scores_[20:]) < best  # or this test says nothing
    assert estimator.best_validation_score_ == best and estimator.validation_scores_[:20] == scores
    np.testing.assert_array_equal(parameters_of(estimator), before)


def test_early_stopping_may_come_and_go_with_warm_start(samples):
    X, y = samples
    estimator = fitted(SequenceClassifier(early_stopping=True, warm_start=True, **SMALL), X, y)
    fitted(estimator.set_params(early_stopping=False), X, y)
    assert estimator.validation_scores_ is None and estimator.best_validation_score_ is None
    assert estimator.best_loss_ == min(estimator.loss_curve_[3:])
    fitted(estimator.set_params(early_stopping=True), X, y)
    assert estimator.best_loss_ is None and len(estimator.validation_scores_) == 3
    estimator.set_params(early_stopping=False).partial_fit(X, y)
    assert estimator.best_loss_ == estimator.loss_


@pytest.mark.parametrize(
    ("estimator", "target"), [(SequenceClassifier, Labels), (SequenceTagger, StepLabels)]
)
def test_the_held_out_part_is_stratified_and_not_trained_on(estimator, target, rng, monkeypatch):
    """Two rare labels among 40: a draw of 4 that is not stratified would seldom hold one."""
    X = ragged(rng, 40)
    y = np.array(["rare"] * 10 + ["usual"] * 30)
    seen, score = [], target.score

    def watched(self, targets, scores, sample_weight):
        # of a tagger each step has the label of the row
        seen.append(targets if targets.ndim == 1 else targets[:, 0])
        return score(self, targets, scores, sample_weight)

    monkeypatch.setattr(target, "score", watched)
    made = fitted(estimator(early_stopping=True, validation_fraction=0.2, **SMALL), X, y)
    assert all(sorted(targets) == [0, 0, 1, 1, 1, 1, 1, 1] for targets in seen)
    assert made.t_ == 3 * 32
    with pytest.raises(ConfigError, match="validation_fraction is 0.01: 1 of 40 samples"):
        SequenceRegressor(early_stopping=True, validation_fraction=0.01).fit(X, np.arange(40.0))


# ---- weights


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_weight_is_so_many_copies(estimator, rng):
    """Also with a penalty, different lengths and several passes, as long as a batch holds all."""
    X = ragged(rng, 12)
    y, times = targets_of(estimator, X), rng.integers(0, 4, 12)
    copies = np.repeat(np.arange(12), times)
    options = {"units": 4, "max_iter": 15, "batch_size": 60, "alpha": 1.0, "random_state": 0}
    weighted = fitted(estimator(**options), X, y, sample_weight=times)
    repeated = fitted(
        estimator(**options), [X[n] for n in copies], None if y is None else [y[n] for n in copies]
    )
    assert weighted.model_.dtype == "float64"
    np.testing.assert_allclose(
        parameters_of(weighted), parameters_of(repeated), rtol=1e-7, atol=1e-12
    )
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_only_relations_of_weights_count(samples, rng):
    X, y = samples
    weights = rng.uniform(0.5, 2, len(X))
    few, many = (
        fitted(SequenceClassifier(dtype="float64", **SMALL), X, y, sample_weight=weights * by)
        for by in (1, 1000)
    )
    np.testing.assert_allclose(parameters_of(few), parameters_of(many), rtol=1e-9)
    flat = fitted(
        SequenceClassifier(dtype="float64", **SMALL), X, y, sample_weight=np.full(len(X), 7.0)
    )
    np.testing.assert_allclose(
        parameters_of(flat),
        parameters_of(fitted(SequenceClassifier(dtype="float64", **SMALL), X, y)),
    )


def test_class_weight_multiplies_sample_weight(samples, rng):
    X, y = samples
    weights, options = rng.uniform(0.5, 2, len(X)), SMALL | {"dtype": "float64"}
    given = fitted(
        SequenceClassifier(class_weight={"above": 3.0, "below": 0.5}, **options),
        X,
        y,
        sample_weight=weights,
    )
    expected = fitted(
        SequenceClassifier(**options),
        X,
        y,
        sample_weight=weights * np.where(y == "above", 3.0, 0.5),
    )
    np.testing.assert_allclose(parameters_of(given), parameters_of(expected), rtol=1e-9)
    balanced = fitted(SequenceClassifier(class_weight="balanced", **options), X[:30], y[:30])
    count = {label: (y[:30] == label).sum() for label in ("above", "below")}
    by_hand = fitted(
        SequenceClassifier(**options),
        X[:30],
        y[:30],
        sample_weight=[30 / (2 * count[label]) for label in y[:30]],
    )
    np.testing.assert_allclose(parameters_of(balanced), parameters_of(by_hand), rtol=1e-9)


@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceTagger])
def test_class_weights_that_leave_nothing(estimator, samples):
    X, _ = samples
    y = targets_of(estimator, X)
    labels = np.unique(np.concatenate([np.atleast_1d(part) for part in y]))
    for weight in (0.0, -1.0):
        with pytest.raises(ConfigError, match="class_weight leaves weights"):
            estimator(class_weight=dict.fromkeys(labels.tolist(), weight), **SMALL).fit(X, y)


@pytest.mark.parametrize(
    "weights", [np.zeros(40), -np.ones(40), np.ones(39), np.full(40, np.nan), np.ones((40, 2))]
)
@pytest.mark.parametrize("estimator", [SequenceClassifier, SequenceTagger])
def test_weights_that_cannot_be(estimator, weights, samples):
    X, _ = samples
    with pytest.raises(GatewiseError, match="(?i)weight"):
        estimator(**SMALL).fit(X, targets_of(estimator, X), sample_weight=weights)


# ---- what goes wrong


def test_an_interrupt_ends_training_with_a_warning(samples, monkeypatch):
    X, y = samples
    score = Labels.score
    made = SequenceClassifier(units=4, max_iter=100, early_stopping=True, random_state=0)

    def interrupted(*arguments):
        if len(made.loss_curve_) == 3:
            raise KeyboardInterrupt
        return score(*arguments)

    monkeypatch.setattr(Labels, "score", interrupted)
    with pytest.warns(TrainingWarning, match="interrupted"):
        estimator = made.fit(X, y)
    assert estimator.n_iter_ == len(estimator.validation_scores_) == len(estimator.loss_curve_) == 2
    assert estimator.predict(X).shape == (40,)


@pytest.mark.parametrize(
    "options", [{}, {"optimizer": optimizers.Adam(0.01, use_ema=True)}, {"learning_rate": "cosine"}]
)
def test_a_pass_cut_short_by_an_interrupt_leaves_the_estimator_as_the_last_whole_pass_did(
    options, samples, monkeypatch
):
    X, y = samples
    estimator = SequenceClassifier(
        units=4, max_iter=5, random_state=0, tol=0, dropout=0.2, **options
    )

    steps = itertools.count()

    def interrupt(model, samples):
        if next(steps) == 2 * 5 + 3:  # in the third pass of 5 batches
            raise KeyboardInterrupt
        return whole_step(model, samples)

    whole_step = Sequential._train_step
    monkeypatch.setattr(Sequential, "_train_step", interrupt)
    with pytest.warns(TrainingWarning, match="interrupted"):
        estimator.fit(X, y)
    monkeypatch.setattr(Sequential, "_train_step", whole_step)
    assert estimator.n_iter_ == len(estimator.loss_curve_) == 2 and estimator.t_ == 2 * 40
    if "learning_rate" not in options:  # cosine would fall faster
        shorter = fitted(clone(estimator).set_params(max_iter=2), X, y)
        np.testing.assert_array_equal(parameters_of(estimator), parameters_of(shorter))
        assert (
            estimator.loss_curve_ == shorter.loss_curve_
            and estimator.best_loss_ == shorter.best_loss_
        )
        np.testing.assert_array_equal(
            parameters_of(estimator.partial_fit(X, y)), parameters_of(shorter.partial_fit(X, y))
        )


def test_a_loss_that_breaks_leaves_the_weights_before(samples):
    X, _ = samples
    with pytest.warns(TrainingWarning, match="training stopped"):
        estimator = SequenceRegressor(
            units=4, optimizer=optimizers.SGD(1e30), max_iter=20, random_state=0
        ).fit(X, np.arange(40.0))
    assert np.isfinite(estimator.predict(X)).all()
    assert np.isfinite(estimator.loss_curve_).all()
