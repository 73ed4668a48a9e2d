"""SequenceRegressor with targets that stand beside steps."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from small_sequences import SMALL, fitted, parameters_of, ragged

from gatewise import SequenceRegressor, load_estimator
from gatewise.errors import ConfigError, NonFiniteError, ShapeError

STEPS = SMALL | {"per_step": True}


@pytest.fixture
def sequences(rng):
    """Sequences, and the sum of the first feature up to each step."""
    X = ragged(rng, 40)
    return X, [np.cumsum(row[:, 0]) for row in X]


def test_learns_what_each_step_is(sequences):
    X, y = sequences
    regressor = SequenceRegressor(
        per_step=True, units=8, max_iter=60, learning_rate_init=0.03, random_state=0
    )
    fitted(regressor, X, y)
    predicted = regressor.predict(X)
    assert [part.shape for part in predicted] == [row.shape for row in y]
    score = r2_score(np.concatenate(y), np.concatenate(predicted))
    assert regressor.score(X, y) == score > 0.8
    np.testing.assert_array_equal(regressor.predict(X[:1])[0], predicted[0])


def test_padding_counts_in_nothing(sequences):
    X, y = sequences
    regressor = SequenceRegressor(
        per_step=True, units=4, max_iter=1, batch_size=40, learning_rate_init=1e-12, random_state=0
    )
    fitted(regressor, X, y)
    assert regressor.loss_ == pytest.approx(
        np.square(np.concatenate(regressor.predict(X)) - np.concatenate(y)).mean(), rel=1e-6
    )


@pytest.mark.parametrize("outputs", [None, 1, 2])
def test_predictions_have_the_form_of_targets(outputs, rng):
    X = rng.normal(size=(20, 5, 3))
    y = np.cumsum(X[..., 0] if outputs is None else X[..., :outputs], axis=1)
    regressor = fitted(SequenceRegressor(**STEPS), X, y)
    assert regressor.predict(X).shape == y.shape
    assert regressor.score(X, y) == pytest.approx(
        r2_score(y.reshape(100, -1), regressor.predict(X).reshape(100, -1))
    )
    for many in (list(y), y.tolist(), tuple(y)):
        np.testing.assert_array_equal(
            parameters_of(fitted(SequenceRegressor(**STEPS), X, many)), parameters_of(regressor)
        )
    rows = regressor.predict(list(X))
    assert isinstance(rows, list) and np.array_equal(np.stack(rows), regressor.predict(X))
    table = X[..., 0]
    if outputs is None:
        assert fitted(SequenceRegressor(**STEPS), pd.DataFrame(table), pd.DataFrame(y)).predict(
            table
        ).shape == (20, 5)


def test_groups_give_a_number_a_row(sequences):
    X, y = sequences
    expected = fitted(SequenceRegressor(**STEPS), X, y)
    order = np.argsort(np.concatenate([np.arange(len(row)) for row in X]), kind="stable")
    who = np.repeat(np.arange(40), [len(row) for row in X])[order]
    rows, numbers = np.concatenate(X)[order], np.concatenate(y)[order]
    grouped = fitted(SequenceRegressor(**STEPS), rows, numbers, groups=who)
    np.testing.assert_array_equal(parameters_of(grouped), parameters_of(expected))
    np.testing.assert_array_equal(
        grouped.predict(rows, groups=who), np.concatenate(expected.predict(X))[order]
    )
    assert grouped.score(rows, numbers, groups=who) == pytest.approx(expected.score(X, y))


def test_weights_of_steps(sequences, rng):
    X, y = sequences
    weights = [rng.integers(0, 2, len(row)).astype(float) for row in X]
    options = STEPS | {"dtype": "float64", "batch_size": 40}
    given = fitted(SequenceRegressor(**options), X, y, sample_weight=weights)
    other = [np.where(weight > 0, numbers, 99.0) for numbers, weight in zip(y, weights)]
    again = fitted(SequenceRegressor(**options), X, other, sample_weight=weights)
    np.testing.assert_allclose(parameters_of(again), parameters_of(given), rtol=1e-9)
    assert given.score(X, other, sample_weight=weights) == pytest.approx(
        given.score(X, y, sample_weight=weights)
    )
    each = rng.uniform(1, 2, 40)
    by_row = fitted(SequenceRegressor(**options), X, y, sample_weight=each)
    by_step = fitted(
        SequenceRegressor(**options),
        X,
        y,
        sample_weight=[np.full(len(row), part) for row, part in zip(X, each)],
    )
    np.testing.assert_allclose(parameters_of(by_row), parameters_of(by_step), rtol=1e-9)


def test_early_stopping_scores_true_steps(sequences):
    """R squared on the held-out sequences, as `score` says it of them."""
    X, y = sequences
    options = STEPS | {"max_iter": 1, "early_stopping": True, "validation_fraction": 0.5}
    regressor = fitted(SequenceRegressor(**options), X, y)
    every = [regressor.score([X[n] for n in rows], [y[n] for n in rows]) for rows in split(40)]
    assert regressor.validation_scores_ == [pytest.approx(every[1], rel=1e-5)]


def split(count):
    from sklearn.model_selection import train_test_split
    from sklearn.utils import check_random_state

    return train_test_split(np.arange(count), test_size=0.5, random_state=check_random_state(0))


def test_steps_left_out_repeat_the_number_before(sequences):
    X, y = sequences
    for row in X:
        row[1, 0] = np.nan
    regressor = fitted(SequenceRegressor(missing="mask", **STEPS), X, y)
    plain = fitted(
        SequenceRegressor(**STEPS),
        [np.delete(row, 1, 0) for row in X],
        [np.delete(row, 1) for row in y],
    )
    np.testing.assert_allclose(
        parameters_of(regressor), parameters_of(plain), rtol=1e-6, atol=1e-12
    )
    assert all(
        numbers[0] == numbers[1] and len(numbers) == len(row)
        for numbers, row in zip(regressor.predict(X), X)
    )


def test_counts(sequences, tmp_path):
    X, y = sequences
    counts = [np.floor(np.abs(row)) for row in y]
    regressor = fitted(SequenceRegressor(loss="poisson", **STEPS), X, counts)
    assert all((part > 0).all() for part in regressor.predict(X))
    regressor.save(tmp_path / "file")
    for again, part in zip(load_estimator(tmp_path / "file").predict(X), regressor.predict(X)):
        np.testing.assert_array_equal(again, part)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_cross_validation(sequences):
    X, y = sequences
    assert np.isfinite(cross_val_score(SequenceRegressor(**STEPS), X, y, cv=3)).all()


@pytest.mark.parametrize(
    ("options", "change", "error", "message"),
    [
        ({}, lambda y: y[:-1], ShapeError, "y has 39 rows, X has 40"),
        ({}, lambda y: [row[:-1] for row in y], ShapeError, r"y\[0\] has shape"),
        (
            {},
            lambda y: [y[0][:, None], *y[1:]],
            ShapeError,
            r"y\[1\] has shape .* with the 1 columns of y\[0\]",
        ),
        ({}, lambda y: [row * np.nan for row in y], NonFiniteError, "y contains NaN"),
        ({}, lambda y: None, ConfigError, "requires y"),
        (
            {"per_step": False},
            lambda y: y,
            ShapeError,
            "y holds numbers of steps; .* per_step=True",
        ),
        ({"per_step": False}, lambda y: np.zeros((40, 6, 1)), ShapeError, "per_step=True"),
        ({"pooling": "max"}, lambda y: y, ConfigError, "pooling is 'max'; with per_step=True"),
    ],
)
def test_refused(options, change, error, message, sequences):
    X, y = sequences
    with pytest.raises(error, match=message):
        SequenceRegressor(**STEPS | options).fit(X, change(y))
