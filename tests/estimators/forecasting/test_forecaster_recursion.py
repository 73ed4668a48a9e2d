"""Recursive forecasts are the network's outputs for the window and its own forecasts so far."""

import numpy as np
import pytest

from gatewise import SequenceForecaster, layers

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NETWORKS = {
    "lstm": {},
    "two": {"num_layers": 2, "dropout": 0.2},
    "normalization": {"architecture": "normalization", "cell": "gru"},
    "attention": {"architecture": "attention"},
    "convolution": {"architecture": "convolution"},
    "bidirectional": {"bidirectional": True},
    "mean": {"pooling": "mean"},
    "max": {"pooling": "max"},
    "own bidirectional": {
        "architecture": lambda steps, features, outputs: [
            layers.Bidirectional(layers.GRU(3)),
            layers.Dense(outputs),
        ]
    },
    "backwards": {
        "architecture": lambda steps, features, outputs: [
            layers.GRU(3, go_backwards=True),
            layers.Dense(outputs),
        ]
    },
    "causal": {
        "architecture": lambda steps, features, outputs: [
            layers.Conv1D(3, 2, padding="causal"),
            layers.GRU(3),
            layers.Dense(outputs),
        ]
    },
    "flat": {
        "architecture": lambda steps, features, outputs: [layers.Flatten(), layers.Dense(outputs)]
    },
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_recursion_says_what_the_network_says(network, rng):
    y = np.sin(np.arange(60) / 4) + 0.1 * rng.normal(size=60)
    forecaster = SequenceForecaster(
        **network,
        window=5,
        units=3,
        max_iter=2,
        strategy="recursive",
        scaling=None,
        dtype="float64",
        random_state=0,
    ).fit(y)
    read = list(y[-5:])
    for _ in range(4):
        read.append(
            float(
                forecaster.model_.predict(np.array(read[-5:])[None, :, None], verbose=0).ravel()[0]
            )
        )
    np.testing.assert_allclose(forecaster.predict(4), read[5:], rtol=1e-9)
