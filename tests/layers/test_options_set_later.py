"""Options that are set once a layer is made: checked as they are when it is made, or refused where nobody would read them."""

import pytest

from gatewise.cells import FullGateLSTMCell
from gatewise.errors import ConfigError, DTypeError, StateError
from gatewise.layers import (
    GRU,
    GRUD,
    LSTM,
    RNN,
    Attention,
    BatchNormalization,
    Dropout,
    LayerNormalization,
    MinGRU,
    MinLSTM,
    SpatialDropout1D,
)


@pytest.mark.parametrize(("layer", "option", "good", "bad"), [
    (lambda: LSTM(3), "dropout", 0.5, 2.0), (lambda: GRU(3), "recurrent_dropout", 0.5, -1.0),
    (lambda: Dropout(0.1), "rate", 0.5, 1.5), (lambda: SpatialDropout1D(0.1), "rate", 0, 1), (Attention, "dropout", 0.5, None),
    (BatchNormalization, "momentum", 1, 1.1), (BatchNormalization, "epsilon", 0.1, 0.0), (LayerNormalization, "epsilon", 1, "1"),
    (lambda: MinGRU(3), "recurrent_dropout", 0.0, 0.1), (lambda: GRUD(3), "dropout", 0.0, 0.1),
    (lambda: RNN(FullGateLSTMCell(3)), "dropout", 0, 0.1),
])
def test_options_set_later_are_checked(layer, option, good, bad):
    layer = layer()
    for _ in range(2):
        setattr(layer, option, good)
        with pytest.raises((ConfigError, DTypeError), match=f"{option} is {bad!r}"):
            setattr(layer, option, bad)
        assert getattr(layer, option) == good
        if not layer.built:
            layer.build((None, None, 3))


@pytest.mark.parametrize("layer", [lambda: LSTM(3), lambda: GRU(3), lambda: MinLSTM(3), lambda: GRUD(3)])
@pytest.mark.parametrize(("option", "value"), [("activation", "relu"), ("clip", 1.0), ("use_bias", False), ("zoneout", 0.5)])
def test_options_of_the_cell_cannot_be_set_later(layer, option, value):
    layer = layer()
    for _ in range(2):
        with pytest.raises(StateError, match=f"{option} cannot be set: it is an option of its cell"):
            setattr(layer, option, value)
        if not layer.built:
            layer.build((None, None, 3))
    with pytest.raises(StateError, match="has no attribute .mark."):  # what neither has
        layer.mark = value


def test_options_of_a_built_layer_that_cannot_be_set():
    for layer, option, value in [(LSTM(3), "unit_forget_bias", False), (GRUD(3), "means", [0.5])]:
        setattr(layer, option, value)
        layer.build((None, None, 3))
        with pytest.raises(StateError, match=f"{option} cannot change any more"):
            setattr(layer, option, value)
