"""What a run that breaks advises: it must fit the cause."""

import numpy as np
import pytest

from gatewise import optimizers
from gatewise.errors import TrainingWarning
from gatewise.layers import GRU, Dense, Input
from gatewise.losses import Loss
from gatewise.models import Sequential


class Logarithm(Loss):
    """Infinite where the prediction is its target, not a number below."""

    name = "logarithm"

    def _positions(self, y_true, y_pred, want_gradient):
        with np.errstate(all="ignore"):
            return np.log(y_pred - y_true).mean(-1), 1 / (y_pred - y_true)


def model_of(loss="mse", optimizer="sgd", **options):
    model = Sequential([Input((None, 2)), GRU(3, **options), Dense(1)], seed=0)
    model.compile(optimizer, loss)
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(8, 4, 2)), rng.normal(size=(8, 1))


def advice(model, x, y, **options):
    with pytest.warns(TrainingWarning, match="training stopped") as caught:
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, **options)
    return next(text for each in caught if "training stopped" in (text := str(each.message)))


def test_steps_that_are_too_large(data):
    x, y = data
    text = advice(model_of(optimizer=optimizers.SGD(1e20)), x, 1e3 * y, epochs=5)
    assert "smaller learning rate, or clipnorm" in text
    assert "no learning rate helps" not in text


@pytest.mark.parametrize("bad", [0, 5])
def test_a_loss_that_its_targets_break(bad, data):
    x, y = data
    y = np.full_like(y, -9.0)
    y[bad] = 9
    text = advice(model_of(Logarithm()), x, y)
    assert f"at batch {bad // 4 + 1}" in text
    assert (
        "the loss logarithm of this batch is not finite either, so that no learning rate helps"
        in text
    )
    assert "smaller learning rate" not in text


def test_targets_that_are_too_large(data):
    x, y = data
    text = advice(model_of(), x, 1e25 * y)
    assert "the loss mean_squared_error of this batch is not finite either" in text
    assert "scale it if it is large" in text


def test_inputs_that_are_too_large(data):
    x, y = data
    model = Sequential([Input((2,)), Dense(3), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    text = advice(model, 3e38 * np.sign(x[:, 0]), y)
    assert (
        "the outputs for this batch are not finite either, so that no learning rate helps" in text
    )
    assert "scale x" in text


def test_a_stateful_model_keeps_its_state(data):
    model = model_of(Logarithm(), stateful=True)
    x, y = data
    with pytest.warns(TrainingWarning, match="no learning rate helps"):
        model.fit(iter([(x[:4], y[:4] - 99), (x[:4], y[:4] + 99)]), verbose=0)
    assert model.layers[0].state is None  # as before the epoch
