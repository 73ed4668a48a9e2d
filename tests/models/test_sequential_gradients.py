"""Gradients and losses of whole models, against differences."""

import numpy as np
import pytest
from seeds import generator

from gatewise import losses, optimizers, testing
from gatewise.layers import GRU, LSTM, Activation, Dense, Dropout, Flatten, Input, SimpleRNN

from .small import compiled

# ---- gradients of whole models

MODELS = {
    "lstm, mse": ([lambda: LSTM(3), lambda: Dense(2)], "mse"),
    "two lstm, mae": (
        [lambda: LSTM(3, return_sequences=True), lambda: LSTM(2), lambda: Dense(2)],
        "mae",
    ),
    "gru, binary fused": ([lambda: GRU(3), lambda: Dense(2, "sigmoid")], "binary_crossentropy"),
    "gru, binary logits": (
        [lambda: GRU(3), lambda: Dense(2)],
        losses.BinaryCrossentropy(from_logits=True),
    ),
    "gru, binary through an Activation": (
        [lambda: GRU(3), lambda: Dense(2), lambda: Activation("sigmoid")],
        "binary_crossentropy",
    ),
    "binary, not fused": (
        [lambda: GRU(3), lambda: Dense(2, "sigmoid"), lambda: Flatten()],
        "binary_crossentropy",
    ),
    "rnn, softmax fused": (
        [lambda: SimpleRNN(4), lambda: Dense(3, "softmax")],
        "sparse_categorical_crossentropy",
    ),
    "softmax not fused": (
        [lambda: SimpleRNN(4), lambda: Dense(3, "softmax"), lambda: Flatten()],
        "sparse_categorical_crossentropy",
    ),
    "one-hot fused": (
        [
            lambda: LSTM(3, return_sequences=True),
            lambda: GRU(3, go_backwards=True),
            lambda: Dense(3),
            lambda: Activation("softmax"),
        ],
        "categorical_crossentropy",
    ),
    "one-hot not fused": (
        [lambda: LSTM(3), lambda: Dense(3, "softmax"), lambda: Flatten()],
        "categorical_crossentropy",
    ),
    "softmax under mse": ([lambda: LSTM(3), lambda: Dense(3, "softmax")], "mse"),
    "sigmoid under one-hot": (
        [lambda: LSTM(3), lambda: Dense(3, "sigmoid")],
        "categorical_crossentropy",
    ),
    "every step": (
        [
            lambda: GRU(3, reset_after=False, return_sequences=True),
            lambda: Dense(4, "tanh"),
            lambda: Dense(3, "softmax"),
        ],
        "sparse_categorical_crossentropy",
    ),
    "flatten": (
        [
            lambda: LSTM(2, return_sequences=True),
            lambda: Flatten(),
            lambda: Dense(5, "softplus"),
            lambda: Dense(2),
        ],
        "mse",
    ),
    "dropout": (
        [
            lambda: LSTM(3, dropout=0.3, recurrent_dropout=0.3, return_sequences=True),
            lambda: Dropout(0.4),
            lambda: GRU(3, recurrent_dropout=0.2),
            lambda: Dense(2),
        ],
        "mse",
    ),
    "penalties": (
        [
            lambda: LSTM(3, kernel_regularizer="l2", recurrent_regularizer="l1"),
            lambda: Dense(2, bias_regularizer="l1_l2"),
        ],
        "mse",
    ),
    "recurrent last": ([lambda: LSTM(3, return_sequences=True), lambda: SimpleRNN(2)], "mse"),
    "no recurrence": ([lambda: Dense(4, "elu"), lambda: Dense(3)], "mse"),
}


def targets_for(model, shape, rng):
    if model.loss._sparse:
        return rng.integers(0, shape[-1], shape[:-1])
    if model.loss._fuses == "softmax":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if model.loss._fuses == "sigmoid":
        return rng.integers(0, 2, shape)
    return rng.normal(size=shape)


@pytest.mark.filterwarnings(
    "ignore:loss categorical_crossentropy behind 3 columns with activation .sigmoid."
)
@pytest.mark.parametrize("variant", ["plain", "weights", "lengths"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_whole_models(name, variant, rng):
    stack, loss = MODELS[name]
    model = compiled(Input((5, 2), dtype="float64"), *(make() for make in stack), loss=loss)
    for array in model.weights:  # biases that are not zero, weights that are not small
        array += rng.normal(size=array.shape) * 0.3
    x = rng.normal(size=(4, 5, 2))
    y = targets_for(model, model.compute_output_shape(x.shape), rng)
    options = {}
    if variant == "weights":
        options["sample_weight"] = np.array([0.5, 0, 2, 1.5])
    if variant == "lengths":
        options["lengths"] = np.array([5, 1, 3, 2])
    start = model.rng.bit_generator.state

    def scalar():
        model.rng.bit_generator.state = start  # the same dropout
        return model.compute_gradients(x, y, **options)

    scalar()
    pairs = {
        f"{layer.name}/{key}": (layer.parameters[key], layer.gradients[key].copy())
        for layer in model.layers
        for key in layer.parameters
    }
    report = testing.compare_gradients(scalar, pairs, max_entries=12)
    assert report.passed
    assert max(abs(gradient).max() for _, gradient in pairs.values()) > 1e-3


@pytest.mark.filterwarnings(
    "ignore:loss categorical_crossentropy behind 3 columns with activation .sigmoid."
)
def test_the_loss_of_a_step_is_the_loss_of_a_test_step(xy):
    for stack, loss in MODELS.values():
        if "dropout" in str(stack):
            continue
        model = compiled(Input((6, 2)), *(make() for make in stack), loss=loss)
        if any(getattr(layer, "dropout", getattr(layer, "rate", 0)) for layer in model.layers):
            continue
        y = targets_for(model, model.compute_output_shape(xy[0].shape), generator(0))
        assert model.test_on_batch(xy[0], y) == pytest.approx(
            model.compute_gradients(xy[0], y), rel=1e-5
        )


def test_fused_and_unfused_losses_train_alike(rng):
    x, y = rng.normal(size=(16, 4, 2)), rng.integers(0, 3, 16)
    paths = []
    for tail in (
        [lambda: Dense(3, "softmax")],
        [lambda: Dense(3), lambda: Activation("softmax")],
        [lambda: Dense(3, "softmax"), lambda: Flatten()],
    ):
        model = compiled(
            LSTM(3, dtype="float64", input_shape=(4, 2)),
            *(make() for make in tail),
            seed=4,
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            optimizer="adam",
        )
        history = model.fit(x, y, epochs=4, batch_size=5, verbose=0).history
        paths.append((history["loss"], history["accuracy"]))
    for loss, accuracy in paths[1:]:
        assert loss == pytest.approx(paths[0][0], rel=1e-9)
        assert accuracy == paths[0][1]


def test_losses_of_confident_models_stay_finite():
    """Scores of 1000 in float32, where probabilities are exactly 0 and 1.

    The right gradient, no warning.
    """
    for units, activation, loss, y in (
        (1, "sigmoid", "binary_crossentropy", [0]),
        (2, "softmax", "sparse_categorical_crossentropy", [1]),
    ):
        model = compiled(
            Dense(units, activation, input_shape=(1,)),
            loss=loss,
            metrics=["accuracy"],
            optimizer=optimizers.SGD(1.0),
        )
        model.set_weights([np.array([[1000.0] + [-1000.0] * (units - 1)]), np.zeros(units)])
        loss_value, accuracy = model.train_on_batch([[1.0]], y)
        assert loss_value == pytest.approx(1000.0 * units)
        assert accuracy == 0
        assert model.get_weights()[1][0] == -1
