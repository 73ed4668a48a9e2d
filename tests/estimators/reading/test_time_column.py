"""Long tables whose rows are in no order: time= puts them in order within their groups."""

import numpy as np
import pandas as pd
import pytest
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceForecaster,
    SequenceRegressor,
    SequenceTagger,
)
from gatewise.errors import ConfigError, NonFiniteError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def tables(rng):
    """(table in order, the same rows in another order, where each of these stands in the first)."""
    X = ragged(rng, 12, 2)
    steps = np.concatenate(X)
    table = pd.DataFrame(
        {
            "a": steps[:, 0],
            "b": steps[:, 1],
            "who": np.repeat(np.arange(12), [len(row) for row in X]),
            "day": np.concatenate([pd.date_range("2024-01-01", periods=len(row)) for row in X]),
        }
    )
    table["label"] = np.repeat(signs(X), [len(row) for row in X])
    table["tag"] = np.where(table["a"] > 0, "up", "down")
    within = rng.permutation(len(table))
    first = table.groupby("who").head(1).index  # groups appear in the same order
    at = np.concatenate([first, np.setdiff1d(within, first, assume_unique=True)])
    return table, table.iloc[at].reset_index(drop=True), at


@pytest.mark.parametrize(
    "estimator", [SequenceClassifier, SequenceRegressor, SequenceTagger, SequenceEncoder]
)
def test_rows_in_any_order(estimator, tables):
    table, mixed, at = tables
    column = {
        SequenceClassifier: "label",
        SequenceRegressor: "who",
        SequenceTagger: "tag",
        SequenceEncoder: "label",
    }[estimator]
    used = ["a", "b", "who", "day"]
    expected = fitted(estimator(**SMALL), table[used[:3]], table[column], groups="who")
    given = fitted(estimator(**SMALL), mixed[used], mixed[column], groups="who", time="day")
    np.testing.assert_array_equal(parameters_of(given), parameters_of(expected))
    assert list(given.feature_names_in_) == ["a", "b"]
    beside = fitted(
        estimator(**SMALL),
        mixed[["a", "b"]].to_numpy(),
        mixed[column],
        groups=mixed["who"],
        time=mixed["day"],
    )
    np.testing.assert_array_equal(parameters_of(beside), parameters_of(expected))
    for method in (
        "predict",
        "predict_proba",
        "predict_log_proba",
        "decision_function",
        "transform",
    ):
        if hasattr(given, method):
            ours = getattr(given, method)(mixed[used], groups="who", time="day")
            theirs = getattr(expected, method)(table[used[:3]], groups="who")
            np.testing.assert_array_equal(
                ours, theirs[at] if estimator is SequenceTagger else theirs
            )
    if hasattr(given, "score"):
        assert given.score(mixed[used], mixed[column], groups="who", time="day") == expected.score(
            table[used[:3]], table[column], groups="who"
        )
    if hasattr(given, "fit_transform"):
        np.testing.assert_array_equal(
            given.fit_transform(mixed[used], mixed[column], groups="who", time="day"), theirs
        )
    given.partial_fit(mixed[used], mixed[column], groups="who", time="day")


def test_numbers_of_steps(tables):
    table, mixed, at = tables
    regressor = SequenceRegressor(per_step=True, **SMALL)
    expected = fitted(regressor, table[["a", "b"]], table["a"], groups=table["who"]).predict(
        table[["a", "b"]], groups=table["who"]
    )
    given = fitted(regressor, mixed[["a", "b", "who", "day"]], mixed["a"], groups="who", time="day")
    np.testing.assert_array_equal(
        given.predict(mixed[["a", "b", "who", "day"]], groups="who", time="day"), expected[at]
    )


def test_times_that_do_not_fit(tables):
    table = tables[0][["a", "b", "who", "day"]]
    classifier, y = SequenceClassifier(**SMALL), np.arange(12) % 2
    twice = table.assign(day=table["day"].where(table.index != 1, table["day"].iloc[0]))
    with pytest.raises(
        ConfigError, match="2024-01-01 00:00:00 in row 0 and again in row 1 of group 0"
    ):
        classifier.fit(twice, y, groups="who", time="day")
    with pytest.raises(NonFiniteError, match="time is NaT in row 3"):
        classifier.fit(
            table.assign(day=table["day"].where(table.index != 3)), y, groups="who", time="day"
        )
    with pytest.raises(
        ConfigError, match="time is 'hour', which is no column of X; there are a, b, who, day"
    ):
        classifier.fit(table, y, groups="who", time="hour")
    with pytest.raises(ConfigError, match="groups and time are both 'who'"):
        classifier.fit(table, y, groups="who", time="who")
    with pytest.raises(ConfigError, match="groups was not given"):
        classifier.fit(table, y, time="day")
    with pytest.raises(ConfigError, match="sequences one by one"):
        classifier.fit([table, table], [0, 1], time="day")
    with pytest.raises(ConfigError, match="time is 'day' and X is a ndarray"):
        classifier.fit(table[["a", "b"]].to_numpy(), y, groups=table["who"], time="day")


@pytest.mark.parametrize("levels", [["who"], ["day"], ["who", "day"]])
def test_names_of_levels_of_the_index(tables, levels):
    """The index of a frame is not looked at; reset_index is what makes columns of it."""
    table = tables[0]
    X = table[["a", "b", "who", "day"]].set_index(levels)
    for fit in (
        lambda X: SequenceClassifier(**SMALL).fit(X, table["label"], groups="who", time="day"),
        lambda X: SequenceForecaster(window=1, units=2, max_iter=1).fit(
            X, groups="who", time="day"
        ),
    ):
        with pytest.raises(
            ConfigError,
            match=rf"'{levels[0]}', which is no column of .*; it is a level of the index: "
            r"[Xy] = [Xy].reset_index\(\)",
        ):
            fit(X)
        fit(X.reset_index())
    with pytest.raises(ShapeError, match="groups has 2 labels, .*or the name of one column"):
        SequenceClassifier(**SMALL).fit(table, table["label"], groups=["who", "day"])
