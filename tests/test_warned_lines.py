"""A warning points to the line of the user's program that called gatewise."""

import warnings

import numpy as np
import pytest

from gatewise import SequenceClassifier, Sequential, load_model
from gatewise.layers import GRU, Dense, Input

X, Y = np.zeros((4, 5, 2), np.float32), np.zeros((4, 1), np.float32)


def network(stateful=False):
    model = Sequential([Input((None, 2)), GRU(3, stateful=stateful), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    return model


def states_of_a_file(tmp_path):
    model = network(stateful=True)
    model.predict(X, verbose=0)
    model.save(tmp_path / "model.safetensors")
    load_model(tmp_path / "model.safetensors").predict(X[:2], verbose=0)


def loss_that_is_not_finite(_):
    network().fit(X, Y + 1e30, verbose=0)


def not_converged(_):
    SequenceClassifier(units=2, max_iter=1).fit(X, [0, 1, 0, 1])


CASES = {
    "states": states_of_a_file,
    "validation_freq": (
        lambda _: network().fit(X, Y, verbose=0, validation_data=(X, Y), validation_freq=5)
    ),
    "too few batches": (
        lambda _: network().fit(iter([(X, Y)]), epochs=2, steps_per_epoch=3, verbose=0)
    ),
    "loss": loss_that_is_not_finite,
    "convergence": not_converged,
    "ending": lambda path: network().save(path / "model.h5"),
}


@pytest.mark.parametrize("case", CASES)
def test_warnings_point_to_the_program(case, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CASES[case](tmp_path)
    assert caught
    assert {warning.filename for warning in caught} == {__file__}
