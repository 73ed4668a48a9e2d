"""Weights of samples, steps, outputs and classes."""

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.utils.class_weight import compute_class_weight
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import SequenceClassifier, SequenceRegressor, SequenceTagger, losses
from gatewise.errors import NonFiniteError, ShapeError

WHOLE = {"units": 4, "max_iter": 4, "random_state": 0, "batch_size": 1000, "shuffle": False}


# ---- of classes


@pytest.mark.parametrize("several", [False, True])
def test_balanced_classes_count_samples_by_their_weights(several, rng):
    """Weight k is k copies, with class_weight as well."""
    X = ragged(rng, 20)
    y = rng.integers(0, 2, (20, 3)) if several else rng.choice(["a", "b", "c"], 20)
    weights = rng.integers(0, 4, 20)
    weighted = fitted(
        SequenceClassifier(class_weight="balanced", **WHOLE), X, y, sample_weight=weights
    )
    at = np.repeat(np.arange(20), weights)
    copied = fitted(
        SequenceClassifier(class_weight="balanced", **WHOLE), [X[row] for row in at], y[at]
    )
    np.testing.assert_allclose(
        parameters_of(weighted), parameters_of(copied), rtol=1e-9, atol=1e-12
    )


def test_balanced_labels_of_steps_count_steps_by_their_weights(rng):
    X = ragged(rng, 20)
    y, weights = (
        [rng.integers(0, 3, len(row)) for row in X],
        [rng.integers(0, 3, len(row)) for row in X],
    )
    flat_y, flat = np.concatenate(y), np.concatenate(weights).astype(float)
    by_class = compute_class_weight(
        "balanced", classes=np.arange(3), y=np.repeat(flat_y, flat.astype(int))
    )
    balanced = fitted(SequenceTagger(class_weight="balanced", **WHOLE), X, y, sample_weight=weights)
    by_hand = fitted(
        SequenceTagger(class_weight=dict(enumerate(by_class)), **WHOLE), X, y, sample_weight=weights
    )
    plain = fitted(
        SequenceTagger(**WHOLE), X, y, sample_weight=[by_class[a] * b for a, b in zip(y, weights)]
    )
    np.testing.assert_allclose(
        parameters_of(balanced), parameters_of(by_hand), rtol=1e-9, atol=1e-12
    )
    np.testing.assert_allclose(parameters_of(balanced), parameters_of(plain), rtol=1e-9, atol=1e-12)


def test_a_label_of_weight_zero_is_no_class(rng):
    X = ragged(rng, 20)
    y = [np.arange(len(row)) % 2 for row in X]
    weights = [np.ones(len(row)) for row in X]
    plain = fitted(SequenceTagger(**WHOLE), X, y, sample_weight=weights)
    for unknown in (7, np.nan, -1):
        other, less = [row.astype(float) for row in y], [row.copy() for row in weights]
        other[3][0], other[5][-1] = unknown, unknown
        less[3][0] = less[5][-1] = 0
        tagger = fitted(SequenceTagger(**WHOLE), X, other, sample_weight=less)
        assert tagger.classes_.tolist() == [0, 1] and tagger.n_outputs_ == 1
        again = fitted(SequenceTagger(**WHOLE), X, y, sample_weight=less)
        np.testing.assert_array_equal(parameters_of(tagger), parameters_of(again))
        tagger.partial_fit(X, other, sample_weight=less)
    texts = [np.where(row == 0, "a", "b").astype(object) for row in y]
    texts[3][0] = None
    weights[3][0] = 0
    assert fitted(SequenceTagger(**WHOLE), X, texts, sample_weight=weights).classes_.tolist() == [
        "a",
        "b",
    ]
    assert plain.classes_.tolist() == [0, 1]


def test_a_label_of_a_step_that_is_left_out_is_no_class(rng):
    X = [row.copy() for row in ragged(rng, 20)]
    y = [np.arange(len(row)) % 2 for row in X]
    X[4][1, 0], y[4][1] = np.nan, 9
    tagger = fitted(SequenceTagger(missing="mask", **SMALL), X, y)
    assert tagger.classes_.tolist() == [0, 1]
    everything = [np.full_like(row, np.nan) for row in X]
    with pytest.raises(ShapeError, match="X holds no step that counts"):
        SequenceTagger(missing="mask", **SMALL).fit(everything, y)


# ---- of outputs


def several(rng, per_step):
    X = ragged(rng, 24)
    y = [rng.normal(size=(len(row), 2)) for row in X] if per_step else rng.normal(size=(24, 2))
    weights = (
        [rng.choice([0, 0.5, 2.0], size=row.shape) for row in y]
        if per_step
        else rng.choice([0, 0.5, 2.0], size=y.shape)
    )
    return X, y, weights


def unknown(y, weights):
    return (
        [unknown(*pair) for pair in zip(y, weights)]
        if isinstance(y, list)
        else np.where(weights == 0, np.nan, y)
    )


@pytest.mark.parametrize("per_step", [False, True])
def test_targets_of_weight_zero_may_be_unknown(per_step, rng):
    X, y, weights = several(rng, per_step)
    options = {"per_step": per_step, "early_stopping": True, "validation_fraction": 0.3} | SMALL
    first = fitted(SequenceRegressor(**options), X, y, sample_weight=weights)
    second = fitted(SequenceRegressor(**options), X, unknown(y, weights), sample_weight=weights)
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))
    assert first.validation_scores_ == second.validation_scores_
    flat_y, flat, predicted = (
        (np.concatenate(part) if per_step else np.asarray(part))
        for part in (y, weights, first.predict(X))
    )
    wanted = np.mean(
        [r2_score(flat_y[:, j], predicted[:, j], sample_weight=flat[:, j]) for j in (0, 1)]
    )
    assert first.score(X, unknown(y, weights), sample_weight=weights) == pytest.approx(wanted)
    with pytest.raises(
        NonFiniteError, match="y contains NaN, at .*; expected a number, or a sample_weight of 0"
    ):
        equal = [np.ones(len(row)) for row in X] if per_step else np.ones(24)
        SequenceRegressor(**options).fit(X, unknown(y, weights), sample_weight=equal)
    with pytest.raises(NonFiniteError, match="NaN"):
        SequenceRegressor(**options).fit(X, unknown(y, weights))
    with pytest.raises(NonFiniteError, match="NaN"):
        first.score(X, unknown(y, weights))


@pytest.mark.parametrize("per_step", [False, True])
def test_the_loss_is_the_mean_weighted_by_outputs(per_step, rng):
    X, y, weights = several(rng, per_step)
    estimator = SequenceRegressor(
        per_step=per_step,
        max_iter=1,
        learning_rate_init=1e-12,
        units=4,
        random_state=0,
        batch_size=1000,
    )
    fitted(estimator, X, unknown(y, weights), sample_weight=weights)
    parts = y, weights, estimator.predict(X)
    flat_y, flat, predicted = (
        (np.concatenate(part) if per_step else np.asarray(part)) for part in parts
    )
    assert estimator.loss_ == pytest.approx(
        np.average((flat_y - predicted) ** 2, weights=flat), rel=1e-6
    )


def test_equal_weights_of_outputs_are_one_weight(rng):
    X, y, _ = several(rng, False)
    weights = rng.uniform(0.5, 2, 24)
    one, each = (
        fitted(SequenceRegressor(**WHOLE), X, y, sample_weight=given)
        for given in (weights, np.stack([weights] * 2, 1))
    )
    np.testing.assert_allclose(parameters_of(one), parameters_of(each), rtol=1e-10)
    column = fitted(SequenceRegressor(**WHOLE), X, y[:, 0], sample_weight=weights)
    same = fitted(SequenceRegressor(**WHOLE), X, y[:, 0], sample_weight=weights)
    np.testing.assert_array_equal(parameters_of(column), parameters_of(same))


def test_unknown_numbers_of_whole_samples_and_of_groups(rng):
    X, y = ragged(rng, 24), rng.normal(size=24)
    weights = np.ones(24)
    weights[[3, 7]] = 0
    plain, gaps = (
        fitted(SequenceRegressor(**SMALL), X, given, sample_weight=weights)
        for given in (y, unknown(y, weights))
    )
    np.testing.assert_array_equal(parameters_of(plain), parameters_of(gaps))
    assert plain.score(X, y, weights) == pytest.approx(plain.score(X, unknown(y, weights), weights))
    rows, groups = np.concatenate(X), np.repeat(np.arange(24), [len(row) for row in X])
    a_row = fitted(
        SequenceRegressor(**SMALL),
        rows,
        unknown(y, weights)[groups],
        sample_weight=weights[groups],
        groups=groups,
    )
    np.testing.assert_array_equal(parameters_of(a_row), parameters_of(gaps))
    steps = np.where(rng.random(len(rows)) < 0.3, 0.0, 1.0)
    targets = rng.normal(size=(len(rows), 2))
    tall = fitted(
        SequenceRegressor(per_step=True, **SMALL),
        rows,
        np.where(steps[:, None] == 0, np.nan, targets),
        sample_weight=steps,
        groups=groups,
    )
    assert np.isfinite(tall.predict(rows, groups)).all()
    assert np.isfinite(
        tall.score(rows, np.where(steps[:, None] == 0, np.nan, targets), steps, groups)
    )


def test_a_number_of_a_step_that_is_left_out_may_be_unknown(rng):
    X = [row.copy() for row in ragged(rng, 24)]
    y = [rng.normal(size=len(row)) for row in X]
    X[4][1, 0] = np.nan
    plain = fitted(SequenceRegressor(per_step=True, missing="mask", **SMALL), X, y)
    y[4][1] = np.nan
    gap = fitted(SequenceRegressor(per_step=True, missing="mask", **SMALL), X, y)
    np.testing.assert_array_equal(parameters_of(plain), parameters_of(gap))
    y[4][0] = np.nan
    with pytest.raises(NonFiniteError, match="y contains NaN"):
        SequenceRegressor(per_step=True, missing="mask", **SMALL).fit(X, y)


def test_weights_that_do_not_fit(rng):
    X, y, weights = several(rng, False)
    with pytest.raises(ShapeError, match="sample_weight has 3 columns, y has 2"):
        SequenceRegressor(**SMALL).fit(X, y, sample_weight=np.ones((24, 3)))
    with pytest.raises(ShapeError, match="sample_weight has 23 rows, X has 24 samples"):
        SequenceRegressor(**SMALL).fit(X, y, sample_weight=weights[1:])

    class Sums(losses.Loss):
        name = "sums"

        def _positions(self, y_true, y_pred, want_gradient):
            off = (y_pred - y_true).sum(axis=-1)
            return off**2, np.broadcast_to(2 * off[..., None], y_pred.shape).copy()

    with pytest.raises(ShapeError, match="loss sums is no mean over outputs"):
        SequenceRegressor(loss=Sums(), **SMALL).fit(X, y, sample_weight=weights)
    assert fitted(SequenceClassifier(**SMALL), X, signs(X)).score(X, signs(X)) >= 0
