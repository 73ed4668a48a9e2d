"""Initializers: names, configurations, and what their values are.

Variances beside Keras's: parity/test_keras_layers.py.
"""

import numpy as np
import pytest
from seeds import generator

from gatewise import initializers
from gatewise.errors import ConfigError, ShapeError
from gatewise.initializers import (
    Constant,
    HeNormal,
    Identity,
    Orthogonal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from gatewise.layers import SimpleRNN


@pytest.mark.parametrize(
    "name",
    [name for name in initializers.__all__ if name not in ("Initializer", "get", "serialize")],
)
def test_every_one_has_a_name_and_comes_back_from_its_configuration(name, rng):
    made = initializers.get(name)
    again = initializers.get(initializers.serialize(made))
    assert type(again) is type(made) and again.get_config() == made.get_config()
    for one in (made, again):
        one.seed = None
    first, second = (one((6, 12), generator(1), "float64") for one in (made, again))
    assert first.tobytes() == second.tobytes() and first.dtype == np.float64


def test_a_truncated_normal_stays_within_two_deviations(rng):
    values = TruncatedNormal(3.0, 0.5)((200, 100), rng, "float64")
    assert abs(values - 3).max() <= 1
    assert values.mean() == pytest.approx(3, abs=0.02)
    assert values.std() == pytest.approx(0.5 * 0.8796, rel=0.02)


@pytest.mark.parametrize("distribution", ["truncated_normal", "uniform"])
@pytest.mark.parametrize(("mode", "fan"), [("fan_in", 300), ("fan_out", 100), ("fan_avg", 200)])
def test_variance_scaling(mode, fan, distribution, rng):
    values = VarianceScaling(3.0, mode, distribution)((300, 100), rng, "float64")
    assert values.var() == pytest.approx(3 / fan, rel=0.03)


def test_variance_scaling_makes_the_others(rng):
    same = VarianceScaling(2.0, "fan_in", "truncated_normal")((5, 4), generator(3))
    assert same.tobytes() == HeNormal()((5, 4), generator(3)).tobytes()


def test_a_recurrent_identity_hands_the_state_on(rng):
    """IRNN (Le et al. 2015): relu, an identity, no input: the state stays."""
    layer = SimpleRNN(
        4,
        "relu",
        recurrent_initializer=Identity(),
        kernel_initializer="zeros",
        return_sequences=True,
        dtype="float64",
    )
    h = np.abs(rng.normal(size=(2, 4)))
    np.testing.assert_array_equal(
        layer.forward(rng.normal(size=(2, 5, 3)), initial_state=[h]),
        np.repeat(h[:, None], 5, axis=1),
    )


def test_orthogonal_and_constant(rng):
    q = Orthogonal(2.0)((4, 12), rng, "float64")
    np.testing.assert_allclose(q @ q.T, 4 * np.eye(4), atol=1e-12)
    assert (Constant(0.25)((3, 2)) == 0.25).all()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: VarianceScaling(0), ConfigError, "scale is 0"),
        (lambda: VarianceScaling(mode="fan"), ConfigError, "mode is 'fan'"),
        (lambda: VarianceScaling(distribution="normal"), ConfigError, "distribution is 'normal'"),
        (lambda: TruncatedNormal(stddev=-1), ConfigError, "stddev is -1"),
        (lambda: Identity()((3, 4)), ShapeError, "identity weights"),
        (lambda: RandomUniform(1, -1), ConfigError, "maxval is -1"),
        (lambda: RandomUniform(-1e308, 1e308), ConfigError, "maxval - minval is inf"),
        (
            lambda: initializers.get("glorot"),
            ConfigError,
            "'glorot' is not known; choose one of .*truncated_normal",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()
