"""Targets and names of losses: what is accepted and what is refused."""

import numpy as np
import pytest

from gatewise import losses
from gatewise.errors import ConfigError, DTypeError, GatewiseError, NonFiniteError, ShapeError

from .loss_cases import NAMES

# ---- targets


def test_targets_take_the_missing_axis_of_one():
    loss = losses.MeanSquaredError()
    assert loss.prepare([1, 2, 3], (3, 1), "float32").shape == (3, 1)
    assert loss.prepare(np.ones((3, 4)), (3, 4, 1), "float32").shape == (3, 4, 1)
    for wrong, shape in (
        (np.ones(3), (3, 2)),
        (np.ones((3, 2)), (3, 1)),
        (np.ones((2, 1)), (3, 1)),
    ):
        with pytest.raises(ShapeError, match=r"y has shape .*, the model's output has"):
            loss.prepare(wrong, shape, "float32")


def test_sparse_targets():
    loss = losses.SparseCategoricalCrossentropy()
    for given in ([0, 2, 1], [[0], [2], [1]], [0.0, 2.0, 1.0], np.array([0, 2, 1], np.uint8)):
        y = loss.prepare(given, (3, 3), "float32")
        assert y.dtype.kind == "i"
        assert y.tolist() == [0, 2, 1]
    assert loss.prepare(np.zeros((3, 4, 1)), (3, 4, 2), "float32").shape == (3, 4)
    with pytest.raises(
        ShapeError, match=r"y holds class 3; the model's output has 3 classes, 0 to 2"
    ):
        loss.prepare([0, 3], (2, 3), "float32")
    with pytest.raises(
        ShapeError, match=r"y holds class -1; the model's output has 3 classes, 0 to 2"
    ):
        loss.prepare([0, -1], (2, 3), "float32")
    with pytest.raises(ShapeError, match="expects class numbers of shape"):
        loss.prepare(np.eye(3), (3, 3), "float32")
    with pytest.raises(DTypeError, match="expects class numbers"):
        loss.prepare([0.5, 1], (2, 3), "float32")
    with pytest.raises(DTypeError, match="expects class numbers"):
        loss.prepare(["a", "b"], (2, 3), "float32")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_sparse_targets_are_called_that(bad):
    with pytest.raises(GatewiseError, match=r"nan|inf"):
        losses.SparseCategoricalCrossentropy().prepare(np.array([0.0, bad]), (2, 3), "float32")


def test_booleans_are_class_numbers():
    """y = x > 0, as people write it; Keras takes it."""
    assert losses.SparseCategoricalCrossentropy().prepare(
        np.array([True, False]), (2, 2), "float32"
    ).tolist() == [1, 0]


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("sparse")])
def test_non_finite_targets_are_refused(name):
    y = np.zeros((3, 2))
    y[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match=r"y holds nan at index \(1, 1\)"):
        losses.get(name).prepare(y, (3, 2), "float32")
    with pytest.raises(DTypeError, match="y holds complex128 values"):
        losses.get(name).prepare(np.zeros((3, 2), complex), (3, 2), "float32")


# ---- names


@pytest.mark.parametrize(
    "identifier",
    [
        "mse",
        "mean_squared_error",
        "MeanSquaredError",
        losses.MeanSquaredError,
        losses.MeanSquaredError(),
        {"class_name": "MeanSquaredError", "config": {}},
    ],
)
def test_every_way_to_name_a_loss(identifier):
    assert type(losses.get(identifier)) is losses.MeanSquaredError


@pytest.mark.parametrize(
    ("short", "name"),
    [("MSE", "MeanSquaredError"), ("MAE", "MeanAbsoluteError"), ("BCE", "BinaryCrossentropy")],
)
def test_keras_capital_names(short, name):
    assert type(losses.get(short)).__name__ == name


def test_unknown_losses_are_refused():
    with pytest.raises(ConfigError, match=r"loss 'msee' is not known; choose one of .*mse"):
        losses.get("msee")
    with pytest.raises(
        ConfigError, match=r"loss class 'Nothing' is not known: give it, .*custom_objects"
    ):
        losses.get({"class_name": "Nothing"})
    for wrong in (3, None, [], lambda y, p: 0):
        with pytest.raises(DTypeError, match=r"expected a name or a gatewise.losses object"):
            losses.get(wrong)
    with pytest.raises(DTypeError, match="from_logits is 1; expected True or False"):
        losses.BinaryCrossentropy(from_logits=1)


@pytest.mark.parametrize(
    "loss",
    [
        losses.MeanSquaredError(),
        losses.BinaryCrossentropy(from_logits=True),
        losses.CategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(True),
    ],
)
def test_serialize_round_trip(loss):
    again = losses.get(losses.serialize(loss))
    assert type(again) is type(loss)
    assert vars(again) == vars(loss)
