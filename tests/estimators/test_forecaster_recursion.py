"""Networks that a recursive forecast can be made with: those whose state goes on from step to step."""

import numpy as np
import pytest

from gatewise import SequenceForecaster, layers
from gatewise.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SMALL = {"window": 5, "horizon": 2, "units": 3, "max_iter": 2, "random_state": 0}


@pytest.fixture
def y(rng):
    return np.sin(np.arange(60) / 4) + 0.1 * rng.normal(size=60)


@pytest.mark.parametrize("options", [
    {"architecture": "attention"}, {"architecture": "convolution"}, {"bidirectional": True}, {"pooling": "mean"},
    {"pooling": "max"},
    {"architecture": lambda steps, features, outputs: [layers.Bidirectional(layers.GRU(3)), layers.Dense(outputs)]},
    {"architecture": lambda steps, features, outputs: [layers.GRU(3, go_backwards=True), layers.Dense(outputs)]},
    {"architecture": lambda steps, features, outputs: [
        layers.Conv1D(3, 2, padding="causal"), layers.GRU(3), layers.Dense(outputs)]},
    {"architecture": lambda steps, features, outputs: [layers.Flatten(), layers.Dense(outputs)]}],
    ids=["attention", "convolution", "bidirectional", "mean", "max", "own bidirectional", "backwards", "causal", "flat"])
def test_recursion_refuses_networks_without_a_state_to_carry(y, options):
    with pytest.raises(ConfigError, match="carries the network's state on.*strategy='direct'"):
        SequenceForecaster(**SMALL, strategy="recursive", **options).fit(y)
    assert np.isfinite(SequenceForecaster(**SMALL, **options).fit(y).predict()).all()


@pytest.mark.parametrize("options", [
    {}, {"num_layers": 2, "dropout": 0.2}, {"architecture": "normalization"}, {"cell": "gru"},
    {"architecture": lambda steps, features, outputs: [
        layers.Conv1D(3, 1), layers.TimeDistributed(layers.Dense(3, "tanh")), layers.MinGRU(3), layers.BatchNormalization(),
        layers.Dense(outputs)]}], ids=["lstm", "two", "normalization", "gru", "own"])
def test_recursion_says_what_the_network_says_of_all_it_has_read(y, options):
    forecaster = SequenceForecaster(**(SMALL | options), strategy="recursive", scaling=None, dtype="float64").fit(y)
    read = list(y[-5:])
    for _ in range(4):
        read.append(float(forecaster.model_.predict(np.array(read)[None, :, None], verbose=0).ravel()[0]))
    np.testing.assert_allclose(forecaster.predict(4), read[5:], rtol=1e-9)
