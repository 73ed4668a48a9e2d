"""A copied or pickled layer is complete, and independent of the original and of its model."""

import copy
import pickle

import numpy as np
import pytest
from cases import assert_same_bits

from gatewise.errors import StateError
from gatewise.layers import (
    GRU,
    LSTM,
    BatchNormalization,
    Bidirectional,
    Dense,
    Input,
    MinGRU,
    TimeDistributed,
)
from gatewise.models import Sequential

COPIED = [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))]
WRAPPERS = {
    "bidirectional": lambda: Bidirectional(LSTM(3)),
    "time distributed": lambda: TimeDistributed(Dense(3)),
    "averages": lambda: TimeDistributed(BatchNormalization()),
}
LAYERS = WRAPPERS | {"lstm": lambda: LSTM(3), "dense": lambda: Dense(3)}


@pytest.fixture
def x(rng):
    return rng.normal(size=(3, 4, 2)).astype("f")


@pytest.mark.parametrize("copied", COPIED, ids=["copy", "pickle"])
@pytest.mark.parametrize("make", WRAPPERS.values(), ids=WRAPPERS)
def test_a_copied_wrapper_writes_to_the_layers_that_it_holds(make, copied, x):
    layer = make()
    before = layer(x)
    other = copied(layer)
    assert_same_bits(other(x), before)
    y = other.forward(x, training=True)
    other.backward(np.ones_like(y))
    assert all(gradient.any() for gradient in other.gradients.values() if gradient.ndim == 1)
    other.set_weights([0 * w for w in other.get_weights()])
    assert not other(x).any()
    other.parameters[next(name for name in other.parameters if name.endswith(("bias", "beta")))][
        ...
    ] = 1
    assert other(x).any()
    assert_same_bits(layer(x), before)
    assert not any(gradient.any() for gradient in layer.gradients.values())


def test_a_wrapper_in_a_wrapper_can_be_copied(rng):
    x = rng.normal(size=(2, 3, 4, 2)).astype("f")
    layer = TimeDistributed(Bidirectional(GRU(2)))
    layer(x)
    other = copy.deepcopy(layer)
    other.set_weights([0 * w for w in other.get_weights()])
    assert layer(x).any() and not other(x).any()


@pytest.mark.parametrize("copied", COPIED, ids=["copy", "pickle"])
@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)
def test_a_layer_of_a_model_can_be_copied_without_its_model(make, copied, x):
    model = Sequential([Input((None, 2)), make()], seed=0)
    before = model.predict(x)
    other = copied(model.layers[0])
    assert other.model is None and model.layers[0].model is model
    assert_same_bits(other(x), before)
    assert_same_bits(Sequential([other]).predict(x), before)
    other.set_weights([0 * w for w in other.get_weights()])
    assert_same_bits(model.predict(x), before)


@pytest.mark.parametrize("copied", COPIED, ids=["copy", "pickle"])
@pytest.mark.parametrize("built", [False, True])
def test_the_layers_of_a_copied_model_are_its_own(built, copied):
    model = Sequential([*([Input((None, 2))] if built else []), LSTM(3)])
    other = copied(model)
    assert (
        other.built is built and other.layers[0].model is other and model.layers[0].model is model
    )


def test_a_shallow_copy_is_a_whole_one(rng):
    """Two that share a buffer or packed weights would not know of each other's changes."""
    model = Sequential([Input((None, 3)), LSTM(3), Dense(1)], seed=0)
    x = rng.normal(size=(5, 6, 3))
    model.compile("sgd", "mse")
    copied, before = copy.copy(model), model.predict(x)
    model.fit(x, np.ones((5, 1)), epochs=2, verbose=0)
    assert (model.predict(x) != before).any()
    assert np.array_equal(copied.predict(x), before)
    layer = LSTM(3)
    y = layer(x.astype("float32"))
    other = copy.copy(layer)
    layer.set_weights([0 * w for w in layer.get_weights()])
    assert np.array_equal(other(x.astype("float32")), y)


@pytest.mark.parametrize(
    "make", [lambda: GRU(3), lambda: Bidirectional(LSTM(3)), lambda: MinGRU(3), lambda: Dense(3)]
)
def test_a_copy_has_no_pass_to_go_back_over(make, rng):
    layer = make()
    y = layer.forward(rng.normal(size=(2, 4, 3)).astype("float32"), training=True)
    with pytest.raises(StateError, match="no forward pass to differentiate"):
        copy.deepcopy(layer).backward(np.ones_like(y))
    layer.backward(np.ones_like(y))
