"""Layers cannot be shared.

One that is in use already is refused, and what save writes can be read.
"""

import copy
import pickle

import numpy as np
import pytest

import gatewise
from gatewise.errors import ConfigError
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    Bidirectional,
    Dense,
    Dropout,
    Input,
    Recurrent,
    TimeDistributed,
)
from gatewise.models import Sequential


@pytest.mark.parametrize(
    "make",
    [lambda: Dense(2), lambda: Dropout(0.5), lambda: GRU(2, return_sequences=True)],
    ids=["dense", "dropout", "gru"],
)
@pytest.mark.parametrize("built", [True, False])
def test_a_layer_twice_in_one_model(make, built):
    layer, start = make(), [Input((None, 2))] if built else []
    with pytest.raises(
        ConfigError, match=f"layer {layer.name!r} is in this model already; make a new layer"
    ):
        Sequential([*start, layer, Dense(2), layer])
    model = Sequential([*start, layer])  # it is free again
    with pytest.raises(ConfigError, match="a layer cannot be in a model twice"):
        model.add(layer)
    assert model.layers == [layer]
    assert model.built == built
    model.pop()
    model.add(layer)


def test_a_layer_in_two_models():
    layer = Dense(2)
    first = Sequential([Input((3,)), layer])
    with pytest.raises(
        ConfigError, match=r"belongs to another model; .* set_weights\(layer.get_weights\(\)\)"
    ):
        Sequential([Input((3,)), layer])
    with pytest.raises(ConfigError, match="belongs to another model"):
        Sequential(first.layers)
    assert layer.model is first
    first.pop()
    assert Sequential([Input((3,)), layer]).layers == [layer]


INSIDE = {
    "each step": lambda layer: TimeDistributed(layer),
    "both ways": lambda layer: Bidirectional(layer),
    "backwards": lambda layer: Bidirectional(LSTM(2, return_sequences=True), backward_layer=layer),
}


@pytest.mark.parametrize("inside", INSIDE)
def test_a_layer_inside_another_and_beside_it(inside):
    def make():
        return LSTM(2, return_sequences=inside != "each step", go_backwards=inside == "backwards")

    layer = make()
    wrapper = INSIDE[inside](layer)
    for again in INSIDE.values():
        with pytest.raises(ConfigError, match="is in use already"):
            again(layer)
    for layers in ([layer, wrapper], [wrapper, layer], [layer]):
        with pytest.raises(
            ConfigError, match=f"is inside {wrapper.name!r} already; make a new layer"
        ):
            Sequential(layers)
    layer = make()
    Sequential([layer])
    with pytest.raises(ConfigError, match="is in use already"):
        INSIDE[inside](layer)


def test_a_wrapper_that_is_refused_leaves_the_layer_as_it_was():
    layer = LSTM(2, name="mine")
    with pytest.raises(ConfigError):
        Bidirectional(layer, merge_mode="both")
    with pytest.raises(gatewise.errors.ArgumentError):
        Bidirectional(layer, colour="red")
    assert layer.name == "mine"
    assert Bidirectional(layer).forward_layer is layer


@pytest.mark.parametrize(
    "through", [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies_are_free(through):
    wrapper = Bidirectional(LSTM(2))
    copied = through(wrapper)
    assert copied.forward_layer._holder is copied
    assert wrapper.forward_layer._holder is wrapper
    inner = through(wrapper.forward_layer)
    assert inner._holder is None
    Sequential([inner])
    with pytest.raises(ConfigError, match="is inside"):
        Sequential([copied.backward_layer])


@pytest.mark.parametrize(
    "cell",
    [gatewise.cells.LSTMCell(3), gatewise.cells.FullGateLSTMCell(3)],
    ids=["compiled", "own"],
)
def test_one_cell_in_two_layers(cell, rng):
    """A cell has no weights and no state: layers may share it."""

    def wrap(cell, **options):
        return (
            RNN(cell, **options)
            if isinstance(cell, gatewise.cells.RNNCell)
            else Recurrent(cell, **options)
        )

    model = Sequential([Input((None, 2)), wrap(cell, return_sequences=True), wrap(cell)], seed=1)
    twin = Sequential(
        [
            Input((None, 2)),
            wrap(copy.deepcopy(cell), return_sequences=True),
            wrap(copy.deepcopy(cell)),
        ],
        seed=1,
    )
    x, y = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 3))
    for each in (model, twin):
        each.compile("sgd", "mse")
        each.fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(x), twin.predict(x))


def test_names_set_later_stay_different(rng, tmp_path):
    model = Sequential(
        [Input((4, 2)), Dense(2, name="a"), TimeDistributed(Dense(2), name="b"), Dense(1, name="c")]
    )
    for taken in ("b", "b/layer", "c"):
        with pytest.raises(ConfigError, match=f"two layers of model .* would be named '{taken}'"):
            model.layers[0].name = taken
    for wrong in ("", None, 3):
        with pytest.raises(ConfigError, match=r"name is .*; expected a string"):
            model.layers[0].name = wrong
    model.layers[0].name = "a"
    model.layers[1].name = "d"
    model.save(tmp_path / "m")
    x = rng.normal(size=(2, 4, 2))
    loaded = gatewise.load_model(tmp_path / "m")
    assert [layer.name for layer in loaded.layers] == ["a", "d", "c"]
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
