"""SequenceEncoder: features of sequences."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from small_sequences import SMALL, fitted, parameters_of, ragged, signs

from gatewise import SequenceClassifier, SequenceEncoder
from gatewise.errors import ConfigError, ShapeError
from gatewise.estimators.targets.reconstruction import Reconstruction


def test_features_are_what_the_decoder_reads(rng):
    X = ragged(rng)
    encoder = fitted(SequenceEncoder(n_components=2, **SMALL), X)
    features = encoder.transform(X)
    assert features.shape == (24, 2)
    kinds = ["LSTM", "Dense", "RepeatVector", "LSTM", "Dense", "Activation"]
    assert [type(layer).__name__ for layer in encoder.model_.layers] == kinds
    repeated = np.repeat(features[:, None], 6, axis=1)
    lengths = np.array([len(row) for row in X])
    padded = np.zeros((24, 6, 3), "float32")
    for place, row in zip(padded, X):
        place[: len(row)] = row
    lstm, dense = encoder.model_.layers[3:5]
    np.testing.assert_allclose(
        encoder.model_.predict(padded, lengths=lengths), dense(lstm(repeated)), rtol=1e-5, atol=1e-6
    )


def test_the_loss_is_that_of_true_steps(rng):
    X = ragged(rng, 20)
    encoder = fitted(
        SequenceEncoder(
            units=4, max_iter=1, batch_size=20, learning_rate_init=1e-12, random_state=0
        ),
        X,
    )
    padded, lengths = np.zeros((20, 6, 3)), np.array([len(row) for row in X])
    for place, row in zip(padded, X):
        place[: len(row)] = row
    valid = np.arange(6) < lengths[:, None]
    wrong = np.square(encoder.model_.predict(padded, lengths=lengths) - padded)[valid]
    assert encoder.loss_ == pytest.approx(wrong.mean(), rel=1e-6)


def test_learns_to_give_back(rng):
    t = np.linspace(0, 3, 8)
    X = np.sin(t + rng.uniform(0, 6, (60, 1)))
    encoder = fitted(
        SequenceEncoder(units=12, max_iter=150, learning_rate_init=0.02, random_state=0), X
    )
    assert encoder.loss_curve_[-1] < 0.1 * encoder.loss_curve_[0]
    phases = encoder.transform(X)
    assert (
        LogisticRegression(max_iter=1000).fit(phases, X[:, 0] > 0).score(phases, X[:, 0] > 0) > 0.95
    )


def test_with_labels_it_is_the_body_of_a_classifier(rng):
    X = ragged(rng, 40)
    y = signs(X)
    encoder = fitted(SequenceEncoder(pooling="max", **SMALL), X, y)
    classifier = fitted(SequenceClassifier(**SMALL), X, y)
    np.testing.assert_array_equal(parameters_of(encoder), parameters_of(classifier))
    head = classifier.model_.layers[-2]
    np.testing.assert_allclose(
        head(encoder.transform(X))[:, 0], classifier.decision_function(X), rtol=1e-5, atol=1e-7
    )
    plain = fitted(SequenceEncoder(objective="reconstruction", **SMALL), X, y)
    np.testing.assert_array_equal(
        parameters_of(plain), parameters_of(fitted(SequenceEncoder(**SMALL), X))
    )


def test_with_numbers_and_with_tokens(rng):
    X = ragged(rng)
    numbers = fitted(SequenceEncoder(early_stopping=True, **SMALL), X, rng.normal(size=(24, 2)))
    assert numbers.n_outputs_ == 2 and numbers.transform(X).shape == (24, 4)
    tokens = [rng.integers(0, 7, length) for length in rng.integers(1, 6, 24)]
    encoder = fitted(SequenceEncoder(embedding=3, early_stopping=True, **SMALL), tokens)
    assert encoder.out_activation_ == "softmax" and encoder.n_outputs_ == encoder.vocabulary_size_
    assert encoder.transform(tokens).shape == (24, 4)
    # The score is the loss turned round: less than that of guessing wildly, and no score above 0.
    assert all(-3 < score < 0 for score in encoder.validation_scores_)


@pytest.mark.parametrize("kind", ["none", "labels", "several labels", "numbers"])
def test_partial_fit_is_fit_a_pass_at_a_time(kind, rng):
    X = ragged(rng)
    y = {
        "none": None,
        "labels": signs(X),
        "several labels": rng.integers(0, 2, (24, 3)),
        "numbers": rng.normal(size=24),
    }[kind]
    whole = fitted(SequenceEncoder(**SMALL), X, y)
    parts = SequenceEncoder(**SMALL)
    for _ in range(3):
        assert parts.partial_fit(X, y) is parts
    np.testing.assert_array_equal(parameters_of(parts), parameters_of(whole))
    assert parts.loss_curve_ == whole.loss_curve_


def test_partial_fit_may_be_told_the_labels_to_come(rng):
    X = ragged(rng)
    y = signs(X)
    encoder = SequenceEncoder(**SMALL).partial_fit(
        X[:3], ["above"] * 3, classes=["above", "below", "between"]
    )
    assert encoder.partial_fit(X, y).n_outputs_ == 3
    with pytest.raises(ConfigError, match="y holds the label 'beside'"):
        encoder.partial_fit(X[:1], ["beside"])
    with pytest.raises(ConfigError, match="y holds the label 'below'; known are"):
        SequenceEncoder(**SMALL).partial_fit(X[:3], ["above"] * 3).partial_fit(X, y)
    with pytest.raises(ConfigError, match="leave classes out"):
        SequenceEncoder(**SMALL).partial_fit(X, classes=["a", "b"])
    with pytest.raises(ConfigError, match="learns from no labels"):
        SequenceEncoder(**SMALL).partial_fit(X).partial_fit(X, classes=["a", "b"])


def test_architectures_that_have_a_name(rng):
    X = ragged(rng)
    made = {
        "recurrent": ["GRU"],
        "convolution": ["Conv1D", "GRU"],
        "attention": ["GRU", "Attention", "GlobalAveragePooling1D"],
        "normalization": ["GRU", "LayerNormalization"],
    }
    for name, expected in made.items():
        encoder = fitted(SequenceEncoder("gru", architecture=name, **SMALL), X)
        kinds = [type(layer).__name__ for layer in encoder.model_.layers]
        assert kinds == [*expected, "RepeatVector", "GRU", "Dense", "Activation"]
        assert encoder.transform(X).shape == (24, 4)
        np.testing.assert_array_equal(encoder.transform(X[:1]), encoder.transform(X)[:1])
    with pytest.raises(ConfigError, match="architecture is .*choose one of 'recurrent'"):
        SequenceEncoder(architecture=lambda *_: []).fit(X)


def test_early_stopping_knows_only_relations_of_weights(rng):
    X = ragged(rng, 40)
    runs = [
        fitted(
            SequenceEncoder(
                units=4,
                max_iter=30,
                early_stopping=True,
                learning_rate_init=0.01,
                n_iter_no_change=3,
                random_state=0,
            ),
            X,
            sample_weight=np.full(40, weight),
        )
        for weight in (1.0, 1e-6)
    ]
    assert runs[0].n_iter_ == runs[1].n_iter_
    np.testing.assert_allclose(runs[0].validation_scores_, runs[1].validation_scores_, rtol=1e-5)


def test_padding_does_not_count_in_early_stopping(rng, monkeypatch):
    seen, score = [], Reconstruction.score

    def watched(self, targets, scores, sample_weight):
        seen.append(-np.square(targets - scores)[sample_weight > 0].mean())
        return score(self, targets, scores, sample_weight)

    monkeypatch.setattr(Reconstruction, "score", watched)
    encoder = SequenceEncoder(early_stopping=True, validation_fraction=0.5, **SMALL)
    fitted(encoder, ragged(rng, 20))
    np.testing.assert_allclose(encoder.validation_scores_, seen, rtol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_in_a_pipeline(rng):
    X = ragged(rng, 40)
    pipeline = make_pipeline(
        SequenceEncoder(bidirectional=True, pooling="mean", **SMALL), LogisticRegression()
    ).fit(X, signs(X))
    assert pipeline.predict(X).shape == (40,)
    assert list(pipeline[:-1].get_feature_names_out()) == [
        f"sequenceencoder{number}" for number in range(8)
    ]
    frame = SequenceEncoder(**SMALL).set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns) == [f"sequenceencoder{number}" for number in range(4)]


def test_sequences_longer_than_those_it_was_fitted_to(rng):
    X = ragged(rng)
    encoder = fitted(SequenceEncoder(warm_start=True, **SMALL), X)
    assert encoder.transform([rng.normal(size=(20, 3))]).shape == (1, 4)
    fitted(encoder, [row[:3] for row in X])
    with pytest.raises(ShapeError, match="X has 20 steps; the network gives back up to 6"):
        encoder.fit([rng.normal(size=(20, 3))] * 4)
    with pytest.raises(ConfigError, match="objective is 'labels'"):
        SequenceEncoder(objective="labels").fit(X)
