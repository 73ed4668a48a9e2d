"""What X may be: forms of the same sequences give the same estimator, to the bit."""

import numpy as np
import pandas as pd
import pytest
from data import SMALL, fitted, parameters_of, ragged, signs

from gatewise import SequenceClassifier, SequenceRegressor
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NonFiniteError, NotFittedError, ShapeError

FORMS = {
    "block": lambda X: X[..., None],
    "rows": list,
    "columns": lambda X: [row[:, None] for row in X],
    "tuple": tuple,
    "objects": lambda X: objects(list(X)),
    "frame": pd.DataFrame,
    "series": lambda X: pd.Series(list(X)),
    "nested lists": lambda X: X.tolist(),
    "integers or not": lambda X: X.astype(object),
}


def objects(rows):
    array = np.empty(len(rows), object)
    array[:] = rows
    return array


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_table(form, rng):
    X, y = rng.normal(size=(24, 5)), rng.integers(0, 2, 24)
    expected = fitted(SequenceClassifier(**SMALL), X, y)
    given = fitted(SequenceClassifier(**SMALL), FORMS[form](X), y)
    np.testing.assert_array_equal(parameters_of(given), parameters_of(expected))
    np.testing.assert_array_equal(given.decision_function(FORMS[form](X)), expected.decision_function(X))
    np.testing.assert_array_equal(given.decision_function(FORMS["rows"](X)), expected.decision_function(X))


@pytest.mark.parametrize("make", [list, tuple, objects, pd.Series, lambda X: [row.tolist() for row in X],
                                  lambda X: [pd.DataFrame(row) for row in X]])
def test_forms_of_ragged_sequences(make, rng):
    X = ragged(rng)
    expected = fitted(SequenceClassifier(**SMALL), X, signs(X))
    given = fitted(SequenceClassifier(**SMALL), make(X), signs(X))
    np.testing.assert_array_equal(given.decision_function(make(X)), expected.decision_function(X))
    assert given.n_features_in_ == 3


def test_what_stands_beside_a_sequence_changes_nothing(rng):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    together = estimator.decision_function(X)
    np.testing.assert_array_equal(np.concatenate([estimator.decision_function([row]) for row in X]), together)
    longer = [row for row in X if len(row) == 6]
    np.testing.assert_array_equal(estimator.decision_function(np.stack(longer)), estimator.decision_function(longer))


def test_polars(rng):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, y = rng.normal(size=(12, 4)), rng.normal(size=12)
    frame = polars.DataFrame({name: X[:, number] for number, name in enumerate("abcd")})
    estimator = fitted(SequenceRegressor(**SMALL), frame, y)
    np.testing.assert_array_equal(estimator.predict(frame), fitted(SequenceRegressor(**SMALL), X, y).predict(X))
    assert list(estimator.feature_names_in_) == list("abcd")


class Columns:
    """A table of named columns that is no pandas frame."""

    def __init__(self, columns):
        self._columns, self.columns = columns, list(columns)
        self.shape = (len(next(iter(columns.values()))), len(columns))

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, name):
        return Columns({part: self._columns[part] for part in name}) if isinstance(name, list) else self._columns[name]

    def __array__(self, dtype=None, copy=None):
        return np.column_stack(list(self._columns.values())).astype(dtype)


def long_table(X, make=pd.DataFrame):
    return make({"a": np.concatenate(X)[:, 0], "b": np.concatenate(X)[:, 1], "c": np.concatenate(X)[:, 2],
                 "who": np.repeat([f"person {(7 * number) % 24}" for number in range(len(X))], [len(row) for row in X])})


@pytest.mark.parametrize("make", [pd.DataFrame, Columns])
def test_groups_of_a_long_table(make, rng):
    X = ragged(rng)
    y = signs(X)
    expected = fitted(SequenceClassifier(**SMALL), X, y)
    frame = long_table(X, make)
    named = fitted(SequenceClassifier(**SMALL), frame, y, groups="who")
    np.testing.assert_array_equal(parameters_of(named), parameters_of(expected))
    np.testing.assert_array_equal(named.predict_proba(frame, groups="who"), expected.predict_proba(X))
    assert named.score(frame, y, groups="who") == expected.score(X, y)
    assert named.n_features_in_ == 3
    if make is pd.DataFrame:
        assert list(named.feature_names_in_) == ["a", "b", "c"]
    labels = np.asarray(frame["who"])
    each_row = np.repeat(y, [len(row) for row in X])
    beside = fitted(SequenceClassifier(**SMALL), np.concatenate(X), each_row, groups=labels)
    np.testing.assert_array_equal(parameters_of(beside), parameters_of(expected))


def test_rows_of_groups_may_be_mixed(rng):
    X = ragged(rng)
    estimator = fitted(SequenceRegressor(**SMALL), X, rng.normal(size=len(X)))
    first_steps_first = np.argsort(np.concatenate([np.arange(len(row)) for row in X]), kind="stable")
    frame, who = np.concatenate(X)[first_steps_first], np.asarray(long_table(X)["who"])[first_steps_first]
    np.testing.assert_array_equal(estimator.predict(frame, groups=who), estimator.predict(X))
    numbers = np.repeat(np.arange(len(X))[::-1], [len(row) for row in X])  # labels that fall
    np.testing.assert_array_equal(estimator.predict(np.concatenate(X), groups=numbers), estimator.predict(X))


def test_tokens(rng):
    X = [rng.integers(0, 9, length) for length in rng.integers(1, 7, 24)]
    y = np.array([len(row) % 2 for row in X])
    estimator = fitted(SequenceClassifier(embedding=3, **SMALL), X, y)
    assert estimator.vocabulary_size_ == 1 + max(row.max() for row in X)
    assert estimator.model_.layers[0].get_weights()[0].shape == (estimator.vocabulary_size_, 3)
    np.testing.assert_array_equal(estimator.decision_function([row.tolist() for row in X]), estimator.decision_function(X))
    table = np.stack([np.resize(row, 4) for row in X])
    wide = fitted(SequenceClassifier(embedding=3, vocabulary_size=50, **SMALL), table.astype(float), y)
    np.testing.assert_array_equal(wide.predict(table), wide.predict(table[..., None]))
    with pytest.raises(ConfigError, match="X holds the number 50; the vocabulary has 50"):
        wide.predict(np.full((1, 4), 50))
    for bad, error in ((table + 0.5, DTypeError), (table - 9, ConfigError), (np.zeros((3, 4, 2)), ShapeError)):
        with pytest.raises(error, match="with embedding"):
            SequenceClassifier(embedding=3).fit(bad, y[:len(bad)])
    with pytest.raises(ConfigError, match="none can be missing"):
        SequenceClassifier(embedding=3, missing="mean").fit(table, y)


@pytest.mark.parametrize(("X", "error", "message"), [
    (np.zeros((4, 2, 2, 2)), ShapeError, r"expected \(n, time\), \(n, time, features\)"),
    (np.zeros((4, 0, 2)), ShapeError, "at least one time step"),
    ([np.zeros(3), np.zeros((3, 2)), np.zeros(2), np.zeros(2)], ShapeError, r"X\[1\] has 2 features a step, X\[0\] has 1"),
    ([np.zeros(0)] * 4, ShapeError, "every sequence is empty"),
    ([np.zeros(2), 3, np.zeros(2), np.zeros(2)], ShapeError, r"X\[1\] has shape \(\)"),
    ([np.zeros((2, 2, 2)), np.zeros(3)] * 2, ShapeError, r"X\[0\] has shape"),
    ([[1, 2], [3, [4, 5]], [6], [7]], ShapeError, r"X\[1\] has steps of different sizes"),
    ([np.array([1.0, np.nan]), np.zeros(3)] * 2, NonFiniteError, "contains NaN"),
    (np.full((4, 2, 1), np.inf), NonFiniteError, "X holds inf at index"),
    (np.array([1.0, 2.0, 3.0, 4.0]), GatewiseError, "Reshape your data"),
])
def test_what_X_may_not_be(X, error, message):
    with pytest.raises(error, match=message):
        SequenceRegressor(**SMALL).fit(X, [1.0, 2.0, 3.0, 4.0])


def test_groups_that_do_not_fit(rng):
    X = ragged(rng)
    frame = long_table(X)
    estimator = SequenceClassifier(**SMALL)
    with pytest.raises(ConfigError, match="'whom', which is no column of X; there are a, b, c, who"):
        estimator.fit(frame, signs(X), groups="whom")
    with pytest.raises(ConfigError, match="no named columns"):
        estimator.fit(frame.to_numpy(), signs(X), groups="who")
    with pytest.raises(ShapeError, match="groups has 3 labels"):
        estimator.fit(frame[["a", "b"]], signs(X), groups=[1, 2, 3])
    with pytest.raises(ShapeError, match="changes within group 'person 0'"):
        estimator.fit(frame, np.arange(len(frame)), groups="who")
    with pytest.raises(ShapeError, match="y has 5 entries"):
        estimator.fit(frame, np.arange(5), groups="who")


def test_other_features_and_columns_are_refused(rng):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    with pytest.raises(ShapeError, match="X has 2 features a step, but SequenceClassifier is expecting 3"):
        estimator.predict([row[:, :2] for row in X])
    with pytest.raises(GatewiseError, match="X has 4 features, but SequenceRegressor is expecting 5 features"):
        fitted(SequenceRegressor(**SMALL), np.zeros((6, 5)), np.arange(6.0)).predict(np.zeros((6, 4)))
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SequenceClassifier().predict(X)
