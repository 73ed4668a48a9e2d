"""Names of columns are checked in every form of frames, by every estimator and transformer."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from small_sequences import SMALL, Columns, fitted, parameters_of

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    SequenceTagger,
    load_estimator,
)
from gatewise.data import FrameStacker, SequencePadder, SequenceScaler, Windower
from gatewise.errors import DTypeError, NonFiniteError, ShapeError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ESTIMATORS = (SequenceClassifier, SequenceRegressor, SequenceTagger, SequenceEncoder)
TRANSFORMERS = (SequenceScaler, FrameStacker, SequencePadder, lambda: Windower(window=2))


def polars_frame(columns):
    return pytest.importorskip("polars").DataFrame(columns)


@pytest.fixture(params=[pd.DataFrame, Columns, polars_frame], ids=["pandas", "stand-in", "polars"])
def make(request):
    return request.param


def frames(rng, make, count=12):
    return [
        make({"a": rng.normal(size=steps), "b": rng.normal(size=steps)})
        for steps in rng.integers(3, 6, count)
    ]


def swapped(X):
    return [frame[["b", "a"]] for frame in X]


def objects(X):
    result = np.empty(len(X), object)
    result[:] = X
    return result


def targets(estimator, X):
    if estimator is SequenceTagger:
        return [np.arange(len(frame)) % 2 for frame in X]
    return None if estimator is SequenceEncoder else np.arange(len(X)) % 2


FORMS = (list, tuple, objects, pd.Series)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_lists_of_frames_are_held_to_the_names_of_the_first(estimator, make, rng, tmp_path):
    X = frames(rng, make)
    y = targets(estimator, X)
    method = "transform" if estimator is SequenceEncoder else "predict"
    mixed = [*X[:-1], swapped(X)[-1]]
    with pytest.raises(
        ShapeError, match=r"X\[11\] has the columns \['b', 'a'\], X\[0\] has \['a', 'b'\]"
    ):
        fitted(estimator(**SMALL), mixed, y)
    given = fitted(estimator(**SMALL), X, y)
    assert given.feature_names_in_.tolist() == ["a", "b"] and given.n_features_in_ == 2
    arrays = fitted(estimator(**SMALL), [np.asarray(frame) for frame in X], y)
    path = tmp_path / "estimator.gatewise"
    given.save(path)
    for one in (
        given,
        load_estimator(path),
        pickle.loads(pickle.dumps(given)),
        copy.deepcopy(given),
    ):
        for ours, theirs in zip(
            getattr(one, method)(X), getattr(arrays, method)([np.asarray(frame) for frame in X])
        ):
            np.testing.assert_array_equal(ours, theirs)
        for form in FORMS:
            with pytest.raises(ShapeError, match="same order as they were in fit"):
                getattr(one, method)(form(swapped(X)))
            getattr(one, method)(form(X))
    with pytest.raises(ShapeError, match=r"X\[1\] has the columns"):
        getattr(given, method)([X[0], swapped(X)[1]])
    with pytest.raises(ShapeError, match="unseen at fit time:\n- c\n"):
        getattr(given, method)([make({"a": np.ones(3), "c": np.ones(3)})])
    if estimator is not SequenceEncoder:
        with pytest.raises(ShapeError, match="same order"):
            given.score(swapped(X), y)
    with pytest.raises(ShapeError, match="same order"):
        given.partial_fit(swapped(X), y)
    with pytest.raises(ShapeError, match="same order"):
        given.set_params(warm_start=True).fit(swapped(X), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        getattr(given, method)([np.asarray(frame) for frame in X])
    with pytest.warns(UserWarning, match="X has feature names, but"):
        getattr(arrays, method)(X)
    given.set_params(warm_start=False)
    assert not hasattr(fitted(given, [np.asarray(frame) for frame in X], y), "feature_names_in_")


def test_long_tables_and_lists_have_the_same_names(make, rng):
    X = frames(rng, make)
    table = make(
        {name: np.concatenate([np.asarray(frame[name]) for frame in X]) for name in "ab"}
        | {"who": np.repeat(np.arange(12), [len(frame) for frame in X])}
    )
    y = np.arange(12) % 2
    of_table = fitted(SequenceClassifier(**SMALL), table, y, groups="who")
    of_list = fitted(SequenceClassifier(**SMALL), X, y)
    for one in (of_table, of_list):
        assert one.feature_names_in_.tolist() == ["a", "b"]
        np.testing.assert_array_equal(one.predict_proba(X), one.predict_proba(table, groups="who"))
        with pytest.raises(ShapeError, match="same order"):
            one.predict(swapped(X))
        with pytest.raises(ShapeError, match="same order"):
            one.predict(table[["b", "who", "a"]], groups="who")


@pytest.mark.parametrize("transformer", TRANSFORMERS)
def test_transformers(transformer, make, rng):
    X = frames(rng, make)
    with pytest.raises(ShapeError, match=r"X\[1\] has the columns \['b', 'a'\]"):
        transformer().fit([X[0], *swapped(X)[1:]])
    given = transformer().fit(X)
    assert given.feature_names_in_.tolist() == ["a", "b"]
    given.transform(X)
    for form in FORMS:
        with pytest.raises(ShapeError, match="same order as they were in fit"):
            given.transform(form(swapped(X)))
    if hasattr(given, "partial_fit"):
        with pytest.raises(ShapeError, match="same order"):
            given.partial_fit(swapped(X))
    if isinstance(given, SequenceScaler):
        with pytest.raises(ShapeError, match="same order"):
            given.inverse_transform(swapped(X))
    if isinstance(given, Windower):
        with pytest.raises(ShapeError, match="same order"):
            Windower(window=2).fit(X[0]).transform(swapped(X)[0])
        with pytest.raises(ShapeError, match=r"X\[1\] has the columns"):
            given.pairs([X[0], swapped(X)[1]])
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        given.transform([np.asarray(frame) for frame in X])


def test_names_that_are_no_text_go_by_position(rng):
    X = [pd.DataFrame(rng.normal(size=(4, 2))) for _ in range(6)]
    classifier = fitted(SequenceClassifier(**SMALL), X, [0, 1] * 3)
    assert not hasattr(classifier, "feature_names_in_")
    np.testing.assert_array_equal(
        classifier.predict(X), classifier.predict([frame.to_numpy() for frame in X])
    )
    with pytest.raises(
        DTypeError,
        match="only supported if all input features have string names, and column 7 is a int",
    ):
        SequenceClassifier(**SMALL).fit(
            [frame.rename(columns={1: "b", 0: 7}) for frame in X], [0, 1] * 3
        )


def long_table(rng):
    return pd.DataFrame({"a": rng.normal(size=12), "b": rng.normal(size=12)}), np.repeat(
        np.arange(4), 3
    )


DAYS = pd.date_range("2024-01-01", periods=12)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            DAYS,
            (
                r"column 'extra' of .* holds dates; expected numbers: leave it out; if it orders"
                r" the rows .* time="
            ),
        ),
        (DAYS.tz_localize("Europe/Berlin"), "column 'extra' of .* holds dates"),
        (DAYS.date, "column 'extra' of .* holds dates"),
        (DAYS.to_period("D"), "column 'extra' of .* holds"),
        (DAYS - DAYS[0], r"column 'extra' of .* holds durations; .*total_seconds"),
        (["x", "y"] * 6, r"column 'extra' of .* holds text; .*OneHotEncoder"),
        (pd.Categorical(["x", "y"] * 6), "holds categories; .*OneHotEncoder"),
        (pd.array(["x", "y"] * 6, dtype="string"), "holds text"),
        ([None, "y"] * 6, "holds text"),
        ([[1], [2]] * 6, "column 'extra' of .* holds list objects"),
    ],
    ids=str,
)
def test_columns_that_are_no_numbers_are_named(column, message, rng):
    table, who = long_table(rng)
    table["extra"] = column
    parts = [part for _, part in table.groupby(who)]
    for estimator in ESTIMATORS:
        y = [0, 1] * 2 if estimator is not SequenceEncoder else None
        for X, groups in ((table, who), (parts, None), (table.iloc[:4], None)):
            with pytest.raises(DTypeError, match=message):
                estimator(**SMALL).fit(X, y, groups=groups)
    for transformer in TRANSFORMERS:
        with pytest.raises(DTypeError, match=message):
            transformer().fit(parts)


def test_columns_that_are_numbers(rng):
    table, who = long_table(rng)
    expected = fitted(
        SequenceRegressor(**SMALL), table.assign(flag=1.0, count=3.0), np.arange(4.0), groups=who
    ).predict(table.assign(flag=1.0, count=3.0), groups=who)
    same = table.assign(flag=True, count=pd.array([3] * 12, dtype="Int64")).astype({"a": object})
    given = fitted(SequenceRegressor(**SMALL), same, np.arange(4.0), groups=who)
    np.testing.assert_array_equal(given.predict(same, groups=who), expected)


def test_containers_that_are_no_list(rng):
    table, who = long_table(rng)
    parts = dict(list(table.groupby(who)))
    for estimator in (SequenceClassifier(**SMALL), SequenceEncoder(**SMALL)):
        with pytest.raises(DTypeError, match=r"X is a dict; .*list\(X.values\(\)\)"):
            estimator.fit(parts, [0, 1] * 2)
        with pytest.raises(DTypeError, match=r"X\[0\] is a dict"):
            estimator.fit([{"a": [1.0], "b": [2.0]}] * 4, [0, 1] * 2)
        with pytest.raises(DTypeError, match=r"X is a generator; .*list\(X\)"):
            estimator.fit((part for part in parts.values()), [0, 1] * 2)
        with pytest.raises(DTypeError, match=r"X is a function"):
            estimator.fit(lambda: parts.values(), [0, 1] * 2)
    for transformer in TRANSFORMERS:
        with pytest.raises(DTypeError, match="X is a dict"):
            transformer().fit(parts)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_nan_names_the_place_and_the_parameter(estimator, rng):
    table, who = long_table(rng)
    table.loc[4, "b"] = np.nan
    parts = [part for _, part in table.groupby(who)]
    y = [0, 1] * 2 if estimator is not SequenceEncoder else None
    cure = (
        rf"{estimator.__name__} accepts missing values if the parameter missing is one of"
        r" 'forward_fill', 'mean', 'mask', 'indicator' or 'decay'"
    )
    with pytest.raises(
        NonFiniteError, match=r"contains NaN, first in group 1, feature 'b', at step 1. " + cure
    ):
        estimator(**SMALL).fit(table, y, groups=who)
    for X in (parts, np.stack(parts)):
        name = "'b'" if X is parts else "1"
        with pytest.raises(
            NonFiniteError,
            match=f"contains NaN, first in sequence 1, feature {name}, at step 1. " + cure,
        ):
            estimator(**SMALL).fit(X, y)
    with pytest.raises(
        NonFiniteError, match="contains NaN, first in sequence 1, at step 2. " + cure
    ):
        estimator(**SMALL).fit(np.where(np.arange(12).reshape(4, 3) == 5, np.nan, 1.0), y)
    with pytest.raises(NonFiniteError, match="contains NaN, .*tokens cannot be missing"):
        estimator(embedding=2, **SMALL).fit(
            np.where(np.arange(12).reshape(4, 3) == 5, np.nan, 1.0), y
        )


def test_other_things_that_X_cannot_be(rng):
    block, y = rng.normal(size=(4, 6, 2)), [0, 1] * 2
    classifier = SequenceClassifier(**SMALL)
    dates = np.full((4, 3), np.datetime64("2024-01-01"))
    for X in (dates, dates[..., None], list(dates), pd.Series(list(dates))):
        with pytest.raises(DTypeError, match="holds dates"):
            classifier.fit(X, y)
    with pytest.raises(DTypeError, match="X holds durations"):
        classifier.fit(dates - dates[0], y)
    for estimator in (classifier, SequenceClassifier(embedding=2, **SMALL)):
        with pytest.raises(DTypeError, match="X holds text; .*gatewise.data.Vocabulary"):
            estimator.fit(["a b", "c"] * 2, y)
    with pytest.raises(ShapeError, match=r"X\[0\] is a pair, as of a sequence and its target"):
        classifier.fit([(rows, 0) for rows in block], y)
    fitted(classifier, block, y)
    with pytest.raises(
        ShapeError, match=r"expecting 2 features a step as input: steps come before features"
    ):
        classifier.predict(block.transpose(0, 2, 1)[:, :, :6])
    with pytest.raises(
        ShapeError,
        match=r"expecting 2 features a step as input: .* put a single sequence into a list",
    ):
        classifier.predict(block[0])


def test_missing_values_of_pandas_are_read_in_every_form(rng):
    holes = [1.0, np.nan, 3.0] * 4
    who = np.repeat(np.arange(4), 3)
    columns = {
        "floats": holes,
        "Int64": pd.array([1, None, 3] * 4, dtype="Int64"),
        "objects": np.array([1, None, 3] * 4, object),
    }
    expected = None
    for column in columns.values():
        table = pd.DataFrame({"a": column, "b": np.arange(12.0)})
        parts = [part for _, part in table.groupby(who)]
        for X, groups in ((table, who), (parts, None)):
            given = parameters_of(
                fitted(
                    SequenceClassifier(missing="indicator", **SMALL), X, [0, 1] * 2, groups=groups
                )
            )
            expected = given if expected is None else expected
            np.testing.assert_array_equal(given, expected)


def test_columns_with_other_names_than_text_keep_their_order_in_a_list(rng):
    """They go by position, so that frames of one list in another order would be read crosswise."""
    frames = [
        pd.DataFrame(rng.normal(size=(4, 2)), columns=columns)
        for columns in ([0, 1], [0, 1], [1, 0])
    ]
    tuples = [
        frame.set_axis(
            pd.MultiIndex.from_tuples([("k", column) for column in frame.columns]), axis=1
        )
        for frame in frames
    ]
    for given in (frames, tuples):
        with pytest.raises(
            ShapeError, match=r"X\[2\] has the columns .*; expected the same order in every frame"
        ):
            SequenceClassifier(**SMALL).fit(given, [0, 1, 0])
    fitted(SequenceClassifier(**SMALL), [frames[0], frames[1].set_axis([2, 3], axis=1)], [0, 1])


def test_missing_values_as_none_in_lists_of_different_lengths():
    X = [[1.0, None], [2.0, 3.0, 1.0], [1.0, 1.0], [None, 2.0, 1.0]]
    ours = fitted(SequenceClassifier(**SMALL, missing="mean"), X, [0, 1, 0, 1])
    arrays = [np.array(row, float) for row in X]
    np.testing.assert_array_equal(ours.predict_proba(X), ours.predict_proba(arrays))
    steps = [[[1.0], [None]], [[2.0], [3.0], [1.0]], [np.array([1.0]), np.array([2.0])]]
    np.testing.assert_array_equal(
        ours.predict_proba(steps), ours.predict_proba([np.array(row, float) for row in steps])
    )


@pytest.mark.parametrize("of", [set, lambda rows: dict(enumerate(rows)).values()])
def test_collections_without_an_order_or_places(of):
    with pytest.raises(DTypeError, match=r"expected an array or a list of sequences: list\(X\)"):
        SequenceClassifier(**SMALL).fit(of([(1.0, 2.0), (3.0, 4.0)]), [0, 1])
