"""Layers and models called with a symbol and training=: False holds in training, too."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import Model, Sequential, callbacks, load_model
from gatewise.errors import ConfigError, DTypeError
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    AdditiveAttention,
    Attention,
    BatchNormalization,
    Bidirectional,
    ConvLSTM1D,
    Dense,
    Dropout,
    EncoderDecoder,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Input,
    Layer,
    LSTMCell,
    MultiHeadAttention,
    SimpleRNN,
    SpatialDropout1D,
    TimeDistributed,
)
from gatewise.models import clone_model
from gatewise.testing import check_gradients

DROPS = {"dropout": 0.4, "recurrent_dropout": 0.3}
LAYERS = {
    "dropout": lambda: Dropout(0.5),
    "spatial": lambda: SpatialDropout1D(0.5),
    "noise": lambda: GaussianNoise(0.5),
    "gaussian dropout": lambda: GaussianDropout(0.5),
    "batch normalization": lambda: BatchNormalization(gamma_initializer="normal"),
    "lstm": lambda: LSTM(4, **DROPS, return_sequences=True),
    "gru": lambda: GRU(4, **DROPS, return_sequences=True),
    "simple": lambda: SimpleRNN(4, **DROPS, return_sequences=True),
    "zoneout": lambda: LSTM(4, zoneout=(0.3, 0.2), return_sequences=True),
    "two directions": lambda: Bidirectional(GRU(3, **DROPS, return_sequences=True)),
    "stack": lambda: RNN([LSTMCell(3, dropout=0.5), LSTMCell(4)], return_sequences=True),
    "attention": lambda: Attention(dropout=0.5, use_scale=True),
    "additive": lambda: AdditiveAttention(dropout=0.5),
    "heads": lambda: MultiHeadAttention(2, 3, dropout=0.5),
    "each step": lambda: TimeDistributed(
        Sequential([Input((3,), dtype="float64"), BatchNormalization(), Dense(4), Dropout(0.5)])
    ),
}
TWO = {"attention", "additive", "heads"}


def model_of(name, training=False):
    x = Input((None, 3), dtype="float64")
    layer = LAYERS[name]()
    read = Dense(3, activation="tanh")(x)
    y = layer([read, read] if name in TWO else read, training=training)
    model = Model(x, GlobalAveragePooling1D()(Dense(2)(y)), seed=0)
    model.compile("sgd", "mse")
    return model


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(4, 5, 3)) + 1, rng.normal(size=(4, 2))


@pytest.mark.parametrize("name", LAYERS)
def test_training_computes_what_inference_does(name):
    x, y = data()
    model = model_of(name)
    np.testing.assert_allclose(model(x, training=True), model(x), rtol=1e-12)
    free = model_of(name, training=None)
    assert abs(free(x, training=True) - free(x)).max() > 1e-3
    kept = [array.copy() for layer in model.layers for array in layer._kept_arrays()]
    check_gradients(model, x, y=y, lengths=[5, 3, 1, 4], max_entries=12)
    drawn = model.rng.bit_generator.state
    model.train_on_batch(x, y)
    assert model.rng.bit_generator.state == drawn
    for layer in model.layers:
        for array in layer._kept_arrays():
            np.testing.assert_array_equal(array, kept.pop(0))


def test_images_with_steps():
    x = Input((None, 6, 2))
    y = ConvLSTM1D(3, 3, dropout=0.4, recurrent_dropout=0.3)(x, training=False)
    model = Model(x, GlobalAveragePooling1D()(y), seed=0)
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 2))
    np.testing.assert_allclose(model(values, training=True), model(values), rtol=1e-5, atol=1e-6)


def test_an_encoder_and_a_decoder():
    symbols = [Input((None,)), Input((None,))]
    layer = EncoderDecoder(9, 8, units=4, embedding=3, dropout=0.5, scheduled_sampling=1.0)
    model = Model(symbols, layer(symbols, training=False), seed=0)
    tokens = [np.array([[1, 3, 4, 5]]), np.array([[3, 4, 7]])]
    np.testing.assert_allclose(model(tokens, training=True), model(tokens), rtol=1e-5, atol=1e-6)


def test_one_layer_may_be_called_in_both_ways():
    x = Input((40,))
    layer = Dropout(0.5)
    model = Model(x, [layer(x, training=False), layer(x), layer(x, training=None)], seed=0)
    fixed, *dropped = model(np.ones((2, 40)), training=True)
    assert (fixed == 1).all()
    assert all((y == 0).any() for y in dropped)


def base_of(kind):
    """A base with moving averages and dropout."""
    if kind == "Sequential":
        return Sequential(
            [Input((6, 6, 2)), BatchNormalization(), Dropout(0.5), GlobalAveragePooling2D()],
            name="base",
            seed=1,
        )
    x = Input((6, 6, 2))
    y = Dropout(0.5)(BatchNormalization()(x))
    inner = Model(y, GlobalAveragePooling2D()(y), name="inner", seed=2)
    return Model(x, inner(y), name="base", seed=1)


@pytest.mark.parametrize("kind", ["Model", "Sequential"])
def test_a_base_runs_at_inference(kind, tmp_path):
    base, image = base_of(kind), Input((6, 6, 2))
    y = base(image, training=False)
    assert y.shape == (None, 2)
    model = Model(image, Dense(1)(y), seed=0)
    images = np.random.default_rng(1).normal(size=(8, 6, 6, 2)) + 2
    model.compile("sgd", "mse")
    model.fit(images, np.zeros(8), verbose=0)
    moving = base.layers[0 if kind == "Sequential" else 1].get_weights()[2:]
    assert (moving[0] == 0).all()
    assert (moving[1] == 1).all()
    model.save(tmp_path / "model.safetensors")
    copies = [
        model,
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        load_model(tmp_path / "model.safetensors"),
        clone_model(model),
    ]
    for each in copies:
        np.testing.assert_allclose(each(images, training=True), each(images), rtol=1e-5)
    alone = base(images, training=True)  # elsewhere the base trains as ever
    assert abs(alone - base(images)).max() > 0.1


def test_a_run_of_another_training_is_not_continued(tmp_path):
    x, y = data()
    path = tmp_path / "run.safetensors"
    model_of("lstm", None).fit(x, y, verbose=0, callbacks=callbacks.ModelCheckpoint(path))
    with pytest.raises(ConfigError, match="training was not given, here it is False"):
        model_of("lstm", False).fit(x, y, epochs=2, verbose=0, resume_from=path)


class Jittered(Layer):
    """A layer that asks the tape how it runs."""

    def run(self, inputs, tape, node):
        if tape is None or not tape.training:
            return inputs
        return inputs.with_values(inputs.values + 1)

    def run_backward(self, gradients, tape, node, wanted):
        return gradients


def test_a_custom_layer_asks_the_tape():
    x = Input((2,))
    layer = Jittered()
    model = Model(x, [layer(x), layer(x, training=False)])
    jittered, plain = model(np.zeros((1, 2)), training=True)
    assert (jittered == 1).all()
    assert (plain == 0).all()


def test_training_true_is_refused():
    x = Input((2,))
    model = Sequential([Input((2,)), Dropout(0.5)])
    for call in (Dropout(0.5), model):
        with pytest.raises(ConfigError, match=r"training=True; .* call the model with arrays"):
            call(x, training=True)
        with pytest.raises(DTypeError, match="training is 'no'"):
            call(x, training="no")
    with pytest.raises(ConfigError, match="called with a symbol and lengths="):
        model(x, lengths=[1])
