"""What X may be: forms of the same sequences give the same estimator, to the bit."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, Columns, fitted, parameters_of, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
)
from gatewise.data import Vocabulary
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    NotFittedError,
    PredictionWarning,
    ShapeError,
    SizeError,
)
from gatewise.estimators.reading.groups import Groups
from gatewise.estimators.reading.sequences import padded

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
    np.testing.assert_array_equal(
        given.decision_function(FORMS[form](X)), expected.decision_function(X)
    )
    np.testing.assert_array_equal(
        given.decision_function(FORMS["rows"](X)), expected.decision_function(X)
    )


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        objects,
        pd.Series,
        lambda X: [row.tolist() for row in X],
        lambda X: [pd.DataFrame(row) for row in X],
    ],
)
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
    np.testing.assert_array_equal(
        np.concatenate([estimator.decision_function([row]) for row in X]), together
    )
    longer = [row for row in X if len(row) == 6]
    np.testing.assert_array_equal(
        estimator.decision_function(np.stack(longer)), estimator.decision_function(longer)
    )


def test_polars(rng):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X, y = rng.normal(size=(12, 4)), rng.normal(size=12)
    frame = polars.DataFrame({name: X[:, number] for number, name in enumerate("abcd")})
    estimator = fitted(SequenceRegressor(**SMALL), frame, y)
    np.testing.assert_array_equal(
        estimator.predict(frame), fitted(SequenceRegressor(**SMALL), X, y).predict(X)
    )
    assert list(estimator.feature_names_in_) == list("abcd")


def test_series_of_polars(rng):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    X = ragged(rng)
    y = signs(X)
    expected = fitted(SequenceClassifier(**SMALL), X, y)
    steps = polars.Series([row.tolist() for row in X])
    given = fitted(SequenceClassifier(**SMALL), steps, polars.Series(y))
    np.testing.assert_array_equal(parameters_of(given), parameters_of(expected))
    numbers = [row[:, 0] for row in X]
    np.testing.assert_array_equal(
        parameters_of(fitted(SequenceClassifier(**SMALL), polars.Series(numbers), y)),
        parameters_of(fitted(SequenceClassifier(**SMALL), numbers, y)),
    )
    who = polars.DataFrame(
        {"v": np.concatenate(numbers), "who": np.repeat(np.arange(24), [len(row) for row in X])}
    )
    grouped = fitted(SequenceClassifier(**SMALL), who, polars.Series(y), groups="who")
    np.testing.assert_array_equal(
        parameters_of(grouped), parameters_of(fitted(SequenceClassifier(**SMALL), numbers, y))
    )


def test_labels_in_frames_of_polars(rng):
    polars = pytest.importorskip("polars", reason="polars is not installed")
    # as many steps as sequences: a frame read by its columns would fit as well
    X = rng.normal(size=(6, 6))
    y = (X > 0).astype(int)
    columns = list("abcdef")
    expected = parameters_of(fitted(SequenceTagger(**SMALL), X, y))
    np.testing.assert_array_equal(
        parameters_of(fitted(SequenceTagger(**SMALL), X, polars.DataFrame(y, columns))), expected
    )
    weights = np.array([0, 1, 1, 2, 1, 1])
    np.testing.assert_array_equal(
        parameters_of(
            fitted(
                SequenceClassifier(**SMALL), X, polars.DataFrame(y, columns), sample_weight=weights
            )
        ),
        parameters_of(fitted(SequenceClassifier(**SMALL), X, y, sample_weight=weights)),
    )


def long_table(X, make=pd.DataFrame):
    return make(
        {
            "a": np.concatenate(X)[:, 0],
            "b": np.concatenate(X)[:, 1],
            "c": np.concatenate(X)[:, 2],
            "who": np.repeat(
                [f"person {(7 * number) % 24}" for number in range(len(X))], [len(row) for row in X]
            ),
        }
    )


@pytest.mark.parametrize("make", [pd.DataFrame, Columns])
def test_groups_of_a_long_table(make, rng):
    X = ragged(rng)
    y = signs(X)
    expected = fitted(SequenceClassifier(**SMALL), X, y)
    frame = long_table(X, make)
    named = fitted(SequenceClassifier(**SMALL), frame, y, groups="who")
    np.testing.assert_array_equal(parameters_of(named), parameters_of(expected))
    np.testing.assert_array_equal(
        named.predict_proba(frame, groups="who"), expected.predict_proba(X)
    )
    assert named.score(frame, y, groups="who") == expected.score(X, y)
    assert named.n_features_in_ == 3
    if make is pd.DataFrame:
        assert list(named.feature_names_in_) == ["a", "b", "c"]
    labels = np.asarray(frame["who"])
    each_row = np.repeat(y, [len(row) for row in X])
    beside = fitted(SequenceClassifier(**SMALL), np.concatenate(X), each_row, groups=labels)
    np.testing.assert_array_equal(parameters_of(beside), parameters_of(expected))


@pytest.mark.parametrize("make", [pd.Series, pd.DataFrame])
def test_targets_of_groups_follow_their_labels(make):
    """What groupby gives is sorted by label.

    Sequences stand in the order in which labels first appear.
    """
    for labels in (
        [3, 1, 2],
        ["zoe", "amy", "mia"],
        pd.to_datetime(["2024-03-01", "2024-01-01", "2024-02-01"]),
    ):
        groups = Groups(np.repeat(labels, 2))
        by_label = make([3.0, 1.0, 2.0], labels).sort_index()
        assert np.asarray(groups.one_each(by_label, "y")).ravel().tolist() == [3.0, 1.0, 2.0]
    others = make([1.0, 2.0, 3.0], ["amy", "mia", "tom"])  # not the labels: they say nothing
    assert np.asarray(groups.one_each(others, "y")).ravel().tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("estimator", [SequenceRegressor, SequenceTagger])
def test_targets_and_weights_by_label_in_fit_and_score(estimator, rng):
    X = ragged(rng)
    frame = long_table(X)
    who = frame["who"].unique()
    y, weights = pd.Series(np.arange(24) % 3, who), pd.Series(rng.uniform(1, 2, 24), who)
    expected = fitted(estimator(**SMALL), X, y.to_numpy(), sample_weight=weights.to_numpy())
    given = fitted(
        estimator(**SMALL), frame, y.sort_index(), sample_weight=weights.sort_index(), groups="who"
    )
    np.testing.assert_array_equal(parameters_of(given), parameters_of(expected))
    assert given.score(
        frame, y.sort_index(), sample_weight=weights.sort_index(), groups="who"
    ) == expected.score(X, y.to_numpy(), sample_weight=weights.to_numpy())
    each_row = np.repeat(y.to_numpy(), [len(row) for row in X])
    assert given.score(frame, each_row, groups="who") == expected.score(X, y.to_numpy())


def test_rows_of_groups_may_be_mixed(rng):
    X = ragged(rng)
    estimator = fitted(SequenceRegressor(**SMALL), X, rng.normal(size=len(X)))
    first_steps_first = np.argsort(
        np.concatenate([np.arange(len(row)) for row in X]), kind="stable"
    )
    frame, who = (
        np.concatenate(X)[first_steps_first],
        np.asarray(long_table(X)["who"])[first_steps_first],
    )
    np.testing.assert_array_equal(estimator.predict(frame, groups=who), estimator.predict(X))
    numbers = np.repeat(np.arange(len(X))[::-1], [len(row) for row in X])  # labels that fall
    np.testing.assert_array_equal(
        estimator.predict(np.concatenate(X), groups=numbers), estimator.predict(X)
    )


def test_tokens(rng):
    X = [rng.integers(0, 9, length) for length in rng.integers(1, 7, 24)]
    y = np.array([len(row) % 2 for row in X])
    estimator = fitted(SequenceClassifier(embedding=3, **SMALL), X, y)
    assert estimator.vocabulary_size_ == 1 + max(row.max() for row in X)
    assert estimator.model_.layers[0].get_weights()[0].shape == (estimator.vocabulary_size_, 3)
    np.testing.assert_array_equal(
        estimator.decision_function([row.tolist() for row in X]), estimator.decision_function(X)
    )
    table = np.stack([np.resize(row, 4) for row in X])
    wide = fitted(
        SequenceClassifier(embedding=3, vocabulary_size=50, **SMALL), table.astype(float), y
    )
    np.testing.assert_array_equal(wide.predict(table), wide.predict(table[..., None]))
    with pytest.raises(ConfigError, match="X holds the number 50; the vocabulary has 50"):
        wide.predict(np.full((1, 4), 50))
    with pytest.raises(ConfigError, match=r"below 2\*\*63"):
        wide.predict(np.full((1, 4), 2**63 + 1, np.uint64))
    for bad, error in (
        (table + 0.5, DTypeError),
        (table - 9, ConfigError),
        (np.zeros((3, 4, 2)), ShapeError),
    ):
        with pytest.raises(error, match="with embedding"):
            SequenceClassifier(embedding=3).fit(bad, y[: len(bad)])
    with pytest.raises(ConfigError, match="none can be missing"):
        SequenceClassifier(embedding=3, missing="mean").fit(table, y)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros((4, 2, 2, 2)), ShapeError, r"expected \(n, time\), \(n, time, features\)"),
        (np.zeros((4, 0, 2)), ShapeError, "at least one time step"),
        (
            [np.zeros(3), np.zeros((3, 2)), np.zeros(2), np.zeros(2)],
            ShapeError,
            r"X\[1\] has 2 features a step, X\[0\] has 1",
        ),
        ([np.zeros(0)] * 4, ShapeError, "every sequence is empty"),
        ([np.zeros(2), 3, np.zeros(2), np.zeros(2)], ShapeError, r"X\[1\] has shape \(\)"),
        ([np.zeros((2, 2, 2)), np.zeros(3)] * 2, ShapeError, r"X\[0\] has shape"),
        ([[1, 2], [3, [4, 5]], [6], [7]], ShapeError, r"X\[1\] has steps of different sizes"),
        ([np.array([1.0, np.nan]), np.zeros(3)] * 2, NonFiniteError, "contains NaN"),
        (np.full((4, 2, 1), np.inf), NonFiniteError, "X holds inf at index"),
        (np.array([1.0, 2.0, 3.0, 4.0]), GatewiseError, "Reshape your data"),
    ],
)
def test_what_X_may_not_be(X, error, message):
    with pytest.raises(error, match=message):
        SequenceRegressor(**SMALL).fit(X, [1.0, 2.0, 3.0, 4.0])


def test_groups_that_do_not_fit(rng):
    X = ragged(rng)
    frame = long_table(X)
    estimator = SequenceClassifier(**SMALL)
    with pytest.raises(
        ConfigError, match="'whom', which is no column of X; there are a, b, c, who"
    ):
        estimator.fit(frame, signs(X), groups="whom")
    with pytest.raises(ConfigError, match="no named columns"):
        estimator.fit(frame.to_numpy(), signs(X), groups="who")
    with pytest.raises(ShapeError, match="groups has 3 labels"):
        estimator.fit(frame[["a", "b"]], signs(X), groups=[1, 2, 3])
    with pytest.raises(ShapeError, match="changes within group 'person 0'"):
        estimator.fit(frame, np.arange(len(frame)), groups="who")
    with pytest.raises(ShapeError, match="y has 5 entries"):
        estimator.fit(frame, np.arange(5), groups="who")


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
def test_groups_without_a_label(missing):
    frame = pd.DataFrame({"v": np.arange(4.0), "id": np.array(["b", "b", missing, "c"], object)})
    for table, groups in ((frame, "id"), (frame[["v"]], frame["id"].tolist())):
        with pytest.raises(ConfigError, match=r"groups\[2\] is .*expected a label for each row"):
            SequenceRegressor(**SMALL).fit(table, [1, 2], groups=groups)
    with pytest.raises(ConfigError, match=r"groups\[1\] is .*NaT"):
        Groups(np.array(["2024-01-01", "NaT"], "datetime64[D]"))
    with pytest.raises(DTypeError, match="labels of several kinds"):
        Groups(np.array(["a", 1], object))


def test_masked_elements_are_refused(rng):
    block, y = rng.normal(size=(6, 4, 2)), np.arange(6.0)
    masked = np.ma.masked_array(block, block > 1)
    for X, groups in (
        (masked, None),
        (masked[..., 0], None),
        (list(masked), None),
        (masked[:, 0], np.arange(6)),
    ):
        with pytest.raises(NonFiniteError, match="has masked elements"):
            SequenceRegressor(**SMALL).fit(X, y, groups=groups)
    hidden = np.ma.masked_array(np.arange(6), np.arange(6) == 2)
    for estimator, given in (
        (SequenceRegressor, hidden),
        (SequenceClassifier, hidden),
        (SequenceTagger, hidden),
        (SequenceTagger, np.ma.masked_array(np.zeros((6, 4), int), masked[..., 0].mask)),
    ):
        with pytest.raises(NonFiniteError, match=r"y.* has masked elements"):
            estimator(**SMALL).fit(block, given)
    with pytest.raises(NonFiniteError, match="sample_weight has masked elements"):
        SequenceRegressor(**SMALL).fit(block, y, sample_weight=hidden)
    with pytest.raises(NonFiniteError, match="y has masked elements"):
        SequenceForecaster(window=2, **SMALL).fit(
            np.ma.masked_array(np.arange(9.0), np.arange(9) == 4)
        )
    nothing_hidden = np.ma.masked_array(block, np.zeros(block.shape, bool))
    np.testing.assert_array_equal(
        parameters_of(fitted(SequenceRegressor(**SMALL), nothing_hidden, y)),
        parameters_of(fitted(SequenceRegressor(**SMALL), block, y)),
    )


def test_empty_sequences_alone(rng):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    empty = np.empty((0, 3))
    with pytest.warns(PredictionWarning, match="sequences 0, 1 of X have no step"):
        both = estimator.decision_function([empty, empty])
    with pytest.warns(PredictionWarning, match="sequence 1 of X has no step"):
        np.testing.assert_array_equal(both, estimator.decision_function([X[0], empty])[[1, 1]])
    texts = make_pipeline(Vocabulary("words"), SequenceClassifier(embedding=3, **SMALL))
    fitted(texts, ["a b", "c"] * 6, [0, 1] * 6)
    with pytest.warns(PredictionWarning, match="sequence 0 of X has no step"):
        np.testing.assert_array_equal(texts.predict_proba([""]), texts.predict_proba(["", "a"])[:1])
    tokens = texts[-1]
    with pytest.warns(PredictionWarning, match="sequence 0 of X has no step"):
        np.testing.assert_array_equal(tokens.predict_proba([[]]), texts.predict_proba([""]))


def test_nothing_is_learned_from_empty_sequences(rng):
    X = ragged(rng)
    for option in ({}, {"missing": "mean"}, {"embedding": 3}):
        estimator = SequenceClassifier(**option, **SMALL)
        for empty in ([[], []], [np.zeros(0)] * 2, np.zeros((2, 0, 1))):
            with pytest.raises(ShapeError, match="every sequence is empty"):
                estimator.fit(empty, [0, 1])
    fitted_before = fitted(SequenceEncoder(**SMALL), X)
    with pytest.raises(ShapeError, match="every sequence is empty"):
        fitted_before.partial_fit([np.zeros((0, 3))])


def test_sequences_that_do_not_fit_into_memory_once_padded():
    lengths = np.array([1] * 100_000 + [10**9])
    with pytest.raises(
        SizeError, match="100001 sequences padded to the 1000000000 steps of the longest"
    ):
        padded(np.zeros((0, 1)), lengths)


def test_other_features_and_columns_are_refused(rng):
    X = ragged(rng)
    estimator = fitted(SequenceClassifier(**SMALL), X, signs(X))
    with pytest.raises(
        ShapeError, match="X has 2 features a step, but SequenceClassifier is expecting 3"
    ):
        estimator.predict([row[:, :2] for row in X])
    with pytest.raises(
        GatewiseError, match="X has 4 features, but SequenceRegressor is expecting 5 features"
    ):
        fitted(SequenceRegressor(**SMALL), np.zeros((6, 5)), np.arange(6.0)).predict(
            np.zeros((6, 4))
        )
    with pytest.raises(NotFittedError, match="not fitted yet"):
        SequenceClassifier().predict(X)
