"""The network of an estimator.

Layers, named and custom architectures, optimizers, checked parameters.
"""

import numpy as np
import pytest
from small_sequences import SMALL, fitted, parameters_of, targets_of

from gatewise import (
    SequenceClassifier,
    SequenceEncoder,
    SequenceRegressor,
    SequenceTagger,
    layers,
    optimizers,
)
from gatewise.errors import ConfigError, DTypeError

# ---- the network


def test_layers_follow_from_the_parameters(samples):
    X, y = samples
    estimator = fitted(
        SequenceClassifier(
            "gru",
            5,
            num_layers=2,
            bidirectional=True,
            pooling="mean",
            dropout=0.3,
            alpha=0.5,
            recurrent_dropout=0.1,
            max_iter=1,
            random_state=0,
        ),
        X,
        y,
    )
    kinds = [
        "Bidirectional",
        "Dropout",
        "Bidirectional",
        "Dropout",
        "GlobalAveragePooling1D",
        "Dense",
        "Activation",
    ]
    assert [type(layer).__name__ for layer in estimator.model_.layers] == kinds
    kernels = [
        spec for layer in estimator.model_.layers for spec in layer._specs if "kernel" in spec.name
    ]
    assert all(spec.regularizer.l2 == 0.5 / (2 * 8) for spec in kernels)  # batches of 8
    assert estimator.model_.layers[0].output_shape == (None, 6, 2 * 5)
    assert estimator.model_.optimizer.global_clipnorm == 1.0


NAMED = {
    "recurrent": ["GRU", "GRU", "Dense", "Activation"],
    "convolution": ["Conv1D", "GRU", "GRU", "Dense", "Activation"],
    "attention": ["GRU", "GRU", "Attention", "GlobalAveragePooling1D", "Dense", "Activation"],
    "normalization": [
        "GRU",
        "LayerNormalization",
        "GRU",
        "LayerNormalization",
        "Dense",
        "Activation",
    ],
}


@pytest.mark.parametrize("name", NAMED)
def test_named_architectures(name, samples):
    X, y = samples
    estimator = fitted(
        SequenceClassifier("gru", architecture=name, num_layers=2, pooling="last", **SMALL), X, y
    )
    assert [type(layer).__name__ for layer in estimator.model_.layers] == NAMED[name]
    one_by_one = np.concatenate([estimator.decision_function([row]) for row in X])
    np.testing.assert_array_equal(estimator.decision_function(X), one_by_one)
    tagger = fitted(
        SequenceTagger("gru", architecture=name, **SMALL), X, targets_of(SequenceTagger, X)
    )
    assert [len(labels) for labels in tagger.predict(X)] == [len(row) for row in X]
    with pytest.raises(
        ConfigError, match="leave one out" if name == "convolution" else "choose one of 'recurrent'"
    ):
        SequenceClassifier(
            "gru",
            missing="decay",
            architecture="convolution" if name == "convolution" else name + "s",
        ).fit(X, y)


@pytest.mark.parametrize("cls", [SequenceClassifier, SequenceRegressor, SequenceEncoder])
def test_only_the_classifier_takes_the_largest_of_all_steps_unless_told(cls, samples):
    X, _ = samples
    names = [
        type(layer).__name__ for layer in fitted(cls(**SMALL), X, targets_of(cls, X)).model_.layers
    ]
    assert ("GlobalMaxPooling1D" in names) == (cls is SequenceClassifier)


def test_an_architecture_of_ones_own(samples):
    X, y = samples
    asked = []

    def small(n_steps, n_features, n_outputs):
        asked.append((n_steps, n_features, n_outputs))
        return [layers.SimpleRNN(3), layers.Dense(n_outputs)]

    estimator = fitted(SequenceClassifier(architecture=small, max_iter=2, random_state=0), X, y)
    assert asked == [(6, 3, 1)]
    assert [type(layer).__name__ for layer in estimator.model_.layers] == [
        "SimpleRNN",
        "Dense",
        "Activation",
    ]
    assert ((estimator.predict_proba(X)[:, 1] > 0.5) == (estimator.predict(X) == "below")).all()
    for bad in (
        lambda *_: [],
        lambda *_: [layers.LSTM(2), "dense"],
        lambda *_: [layers.LSTM(7)],
        "transformer",
    ):
        with pytest.raises(ConfigError, match="architecture"):
            SequenceClassifier(architecture=bad).fit(X, y)


@pytest.mark.parametrize(
    ("last", "labels"),
    [
        (lambda n: [layers.Dense(n, "sigmoid")], 2),
        (lambda n: [layers.Dense(n, "softmax")], 3),
        (lambda n: [layers.Dense(n), layers.Activation("tanh")], 2),
    ],
)
def test_an_architecture_ends_in_scores(last, labels, samples):
    """Or its activation would come twice: probabilities above a half, all of them."""
    X, _ = samples
    y = np.resize(np.arange(labels), 40)
    with pytest.raises(ConfigError, match="end in scores: leave that activation out"):
        SequenceClassifier(
            architecture=lambda steps, features, n: [layers.GRU(3), *last(n)], **SMALL
        ).fit(X, y)
    with pytest.raises(ConfigError, match="would follow it"):
        SequenceRegressor(
            loss="poisson",
            architecture=lambda *_: [layers.GRU(3), layers.Dense(1, "relu")],
            **SMALL,
        ).fit(X, y)
    held = SequenceRegressor(
        architecture=lambda *_: [layers.GRU(3), layers.Dense(1, "softplus")], **SMALL
    )
    assert (fitted(held, X, y).predict(X) > 0).all()  # of numbers it may end in what it likes


def test_an_architecture_that_has_the_activation_already(samples):
    X, y = samples
    ended, added = (
        fitted(
            SequenceClassifier(
                architecture=lambda *_: [layers.GRU(3), layers.Dense(1), *more], **SMALL
            ),
            X,
            y,
        )
        for more in ([layers.Activation("sigmoid")], [])
    )
    np.testing.assert_array_equal(ended.predict_proba(X), added.predict_proba(X))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.GRU(2, stateful=True),
        lambda: layers.Bidirectional(layers.GRU(2, stateful=True)),
    ],
)
def test_an_architecture_keeps_no_state(layer, samples):
    with pytest.raises(
        ConfigError, match="stateful=True; a sequence would change the result of the next one"
    ):
        SequenceClassifier(architecture=lambda *_: [layer(), layers.Dense(1)], **SMALL).fit(
            *samples
        )


def test_an_architecture_for_tokens(rng):
    """Tokens are vectors before its layers see them."""
    asked = []

    def small(n_steps, n_features, n_outputs):
        asked.append((n_steps, n_features, n_outputs))
        return [layers.GRU(3), layers.Dense(n_outputs)]

    X = rng.integers(0, 9, (20, 5))
    estimator = fitted(
        SequenceClassifier(embedding=4, architecture=small, **SMALL), X, X.sum(axis=1) > 20
    )
    assert asked == [(5, 4, 1)]
    assert [type(layer).__name__ for layer in estimator.model_.layers] == [
        "Embedding",
        "GRU",
        "Dense",
        "Activation",
    ]
    assert estimator.model_.layers[0].get_weights()[0].shape == (9, 4)


def test_an_optimizer_that_is_given_stays_as_it_is(samples):
    X, y = samples
    given = optimizers.SGD(0.1, momentum=0.5)
    first, second = (fitted(SequenceClassifier(optimizer=given, **SMALL), X, y) for _ in range(2))
    assert given.iterations == 0 and not given.slots()
    assert type(first.model_.optimizer) is optimizers.SGD and first.model_.optimizer.momentum == 0.5
    np.testing.assert_array_equal(parameters_of(first), parameters_of(second))


@pytest.mark.parametrize(
    ("parameter", "value", "error"),
    [
        ("cell", "transformer", ConfigError),
        ("units", 0, ConfigError),
        ("num_layers", 1.5, DTypeError),
        ("pooling", "sum", ConfigError),
        ("dropout", 1.0, ConfigError),
        ("alpha", -1.0, ConfigError),
        ("optimizer", 3, DTypeError),
        ("optimizer", "x", ConfigError),
        ("learning_rate", "fast", ConfigError),
        ("learning_rate_init", 0.0, ConfigError),
        ("clipnorm", -1.0, ConfigError),
        ("batch_size", "all", ConfigError),
        ("batch_size", 0, ConfigError),
        ("max_iter", 0, ConfigError),
        ("tol", -1.0, ConfigError),
        ("n_iter_no_change", -1, ConfigError),
        ("shuffle", 1, DTypeError),
        ("dtype", "float16", DTypeError),
        ("random_state", "x", ConfigError),
        ("bidirectional", 1, DTypeError),
        ("warm_start", 0, DTypeError),
    ],
)
def test_parameters_are_checked_in_fit(parameter, value, error, samples):
    estimator = SequenceClassifier(**SMALL).set_params(**{parameter: value})
    if parameter == "warm_start":
        fitted(estimator.set_params(warm_start=False), *samples).set_params(warm_start=value)
    with pytest.raises(error):
        estimator.fit(*samples)
