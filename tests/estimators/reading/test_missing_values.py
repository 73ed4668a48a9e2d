"""Missing values: each way of handling them against sequences made ready by hand."""

import tracemalloc

import numpy as np
import pytest
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import SequenceClassifier, SequenceForecaster, SequenceTagger
from gatewise.data.missing import feature_means, fill_forward, fill_mean, missing_indicators
from gatewise.errors import ConfigError, NonFiniteError, PredictionWarning


@pytest.fixture
def holes(rng):
    """(sequences with NaN, labels, the mean of each feature over all that was seen)."""
    X = ragged(rng)
    y = signs(X)
    for row in X:
        row[rng.random(row.shape) < 0.2] = np.nan
    return X, y, feature_means(np.concatenate(X)[None])


BY_HAND = {
    "forward_fill": lambda row, means: fill_forward(row[None], means=means)[0],
    "mean": lambda row, means: fill_mean(row[None], means)[0],
    "indicator": lambda row, means: missing_indicators(row[None], means=means)[0],
    "mask": lambda row, means: row[~np.isnan(row).any(axis=1)],
}


NOTHING_LEFT = pytest.mark.filterwarnings(
    "ignore:sequences? .* no step that counts:gatewise.errors.PredictionWarning"
)


@NOTHING_LEFT
@pytest.mark.parametrize("missing", BY_HAND)
def test_as_by_hand(missing, holes):
    X, y, means = holes
    ready = [BY_HAND[missing](row, means) for row in X]
    given = fitted(SequenceClassifier(missing=missing, **SMALL), X, y)
    expected = fitted(SequenceClassifier(**SMALL), ready, y)
    np.testing.assert_allclose(parameters_of(given), parameters_of(expected), rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        given.decision_function(X), expected.decision_function(ready), rtol=1e-6
    )
    np.testing.assert_allclose(given.feature_means_, means)


def test_decay_is_a_grud_layer(holes):
    X, y, means = holes
    estimator = fitted(SequenceClassifier("gru", missing="decay", num_layers=2, **SMALL), X, y)
    assert [type(layer).__name__ for layer in estimator.model_.layers[:2]] == ["GRUD", "GRU"]
    np.testing.assert_allclose(estimator.model_.layers[0].means, means)
    assert np.isfinite(estimator.predict_proba(X)).all()
    with pytest.raises(ConfigError, match="give cell='gru'"):
        SequenceClassifier("lstm", missing="decay").fit(X, y)
    with pytest.raises(ConfigError, match="recurrent_dropout is above 0"):
        SequenceClassifier("gru", missing="decay", recurrent_dropout=0.1).fit(X, y)


def test_means_are_those_of_training(holes):
    X, y, means = holes
    estimator = fitted(SequenceClassifier(missing="mean", **SMALL), X, y)
    alone = np.full((1, 2, 3), np.nan)
    np.testing.assert_array_equal(
        estimator.decision_function(alone), estimator.decision_function(np.tile(means, (1, 2, 1)))
    )


def test_a_row_with_nothing_left(holes):
    X, y, _ = holes
    estimator = fitted(SequenceClassifier(missing="mask", **SMALL), X, y)
    with pytest.warns(PredictionWarning, match="sequences 0, 1 of X have no step that counts"):
        nothing = estimator.decision_function([np.full((3, 3), np.nan), np.full((1, 3), np.nan)])
    assert np.isfinite(nothing).all() and nothing[0] == nothing[1]


@NOTHING_LEFT
def test_steps_left_out_repeat_the_label_before(holes):
    X, _, _ = holes
    y = [np.arange(len(row)) % 3 for row in X]
    tagger = fitted(SequenceTagger(missing="mask", **SMALL), X, y)
    plain = fitted(
        SequenceTagger(**SMALL),
        [row[seen(row)] for row in X],
        [labels[seen(row)] for row, labels in zip(X, y)],
    )
    np.testing.assert_allclose(parameters_of(tagger), parameters_of(plain), rtol=1e-6, atol=1e-12)
    for row, labels, kept in zip(
        X, tagger.predict(X), plain.predict([row[seen(row)] for row in X])
    ):
        assert len(labels) == len(row)
        if len(kept):
            np.testing.assert_array_equal(labels, kept[np.maximum(np.cumsum(seen(row)) - 1, 0)])


def seen(row):
    return ~np.isnan(row).any(axis=1)


def test_refused_where_nothing_was_said(holes):
    X, y, _ = holes
    with pytest.raises(NonFiniteError, match="contains NaN"):
        SequenceClassifier().fit(X, y)
    with pytest.raises(ConfigError, match="missing is 'drop'; choose one of 'error'"):
        SequenceClassifier(missing="drop").fit(X, y)
    with pytest.raises(NonFiniteError, match="X.* holds inf at index"):
        SequenceClassifier(missing="mean").fit(
            [np.where(np.isnan(row), np.inf, row) for row in X], y
        )


@pytest.mark.parametrize("missing", ["forward_fill", "mean"])
def test_filling_takes_at_most_half_as_much_memory_again(missing, rng):
    """Beside what "error" takes, for data without a gap.

    Of blocks, and of windows that are larger than their series.
    """
    block, labels = rng.normal(size=(300, 40, 20)), np.arange(300) % 2
    series = rng.normal(size=6000)

    def peak(work):
        tracemalloc.start()
        work()
        taken = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken

    def of_blocks(option):
        return peak(
            lambda: fitted(SequenceClassifier(units=2, max_iter=1, missing=option), block, labels)
        )

    def of_windows(option):
        forecaster = SequenceForecaster(
            window=60, units=2, max_iter=1, batch_size=1000, missing=option
        )
        return peak(lambda: fitted(forecaster, series))

    assert of_blocks(missing) <= 1.5 * of_blocks("error")
    assert of_windows(missing) <= 1.5 * of_windows("error")
