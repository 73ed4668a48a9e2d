"""User-defined wrappers train, are checked, frozen, copied and saved: docs/custom-layers.md."""

import copy
import pickle

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_same_bits, run, sequences

from gatewise.errors import ConfigError, DTypeError
from gatewise.layers import GRU, LSTM, Dense, Embedding, Input, ParameterSpec, Wrapper
from gatewise.models import Model, Sequential, load_model
from gatewise.testing import check_gradients


class Residual(Wrapper):
    """x and the output of a layer, which is scaled by trained numbers."""

    def __init__(self, layer, start=0.5, **kwargs):
        super().__init__(layer, **kwargs)
        self.start = start

    def parameter_specs(self, input_shape):
        own = [
            ParameterSpec("scale", (input_shape[-1],), "ones", "l2"),
            ParameterSpec("passes", (1,), trained=False),
        ]
        return [*super().parameter_specs(input_shape), *own]

    def run(self, inputs, tape, node):
        y = super().run(inputs, tape, node)
        if tape is not None:
            tape.keep(node, y.values)
            passes = self.parameters["passes"]
            tape.afterwards(lambda: passes.__iadd__(1))
        scale = self.start * self.parameters["scale"]
        return y.with_values(inputs.values + scale * y.values)

    def run_backward(self, gradients, tape, node, wanted):
        y = tape.take(node)
        rows = (self.start * gradients * y).reshape(-1, y.shape[-1])
        self.gradients["scale"][...] += rows.sum(axis=0)
        scale = self.start * self.parameters["scale"]
        dx = super().run_backward(scale * gradients, tape, node, wanted)
        return gradients + dx if wanted else None


class Last(Wrapper):
    """The last step of what the layer makes."""

    keeps_steps = False

    def compute_output_shape(self, input_shape):
        batch, _, features = super().compute_output_shape(input_shape)
        return (batch, features)

    def run(self, inputs, tape, node):
        y = super().run(inputs, tape, node)
        if tape is not None:
            tape.keep(node, y.values.shape)
        return type(y)(y.values[:, -1])

    def run_backward(self, gradients, tape, node, wanted):
        d_y = np.zeros(tape.take(node), self.dtype)
        d_y[:, -1] = gradients
        return super().run_backward(d_y, tape, node, wanted)


OWN = {"Residual": Residual, "Last": Last}


def small_model(frozen=False):
    stack = [
        Residual(GRU(3, return_sequences=True, dropout=0.2), trainable=not frozen),
        Last(Residual(Dense(3, "tanh", kernel_regularizer="l2"))),
        Dense(1),
    ]
    model = Sequential([Input((None, 3)), *stack], seed=0)
    model.compile("adam", "mse")
    return model


def trained(model, x):
    model.fit(x, x.mean(axis=(1, 2)), epochs=2, verbose=0)
    return model


def test_without_a_subclass_it_is_the_layer(rng):
    ours, plain = Wrapper(LSTM(5), seed=3), LSTM(5, seed=3)
    x = sequences(rng, 3, 4, 2, "float32")
    results = {
        name.removeprefix("layer/"): array
        for name, array in run(ours, x, lengths=[4, 0, 2]).items()
    }
    wanted = {
        name: array
        for name, array in run(plain, x, lengths=[4, 0, 2]).items()
        if not name.startswith("state")
    }
    assert_all_same_bits(results, wanted)
    assert (ours.keeps_steps, ours.reads_steps, ours.causal) == (False, True, False)


def test_gradients(rng):
    x = sequences(rng, 4, 5, 3)
    for layer in (
        Residual(LSTM(3, return_sequences=True), dtype="float64"),
        Last(Residual(GRU(3, return_sequences=True, go_backwards=True)), dtype="float64"),
    ):
        report = check_gradients(layer, x, lengths=[5, 2, 0, 3])
        names = {"kernel", "recurrent_kernel", "bias"}
        assert {name.rpartition("/")[2] for name in report.errors} == names | {"scale", "x"}


def test_files_copies_and_dropout(rng, tmp_path):
    x = sequences(rng, 24, 5, 3, "float32")
    model, same = trained(small_model(), x), trained(small_model(), x)
    assert_same_bits(model.predict(x), same.predict(x))
    assert model.layers[0].parameters["passes"] == 2
    model.save(tmp_path / "model")
    again = [
        load_model(tmp_path / "model", custom_objects=OWN),
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
    ]
    wanted = model.predict(x)
    trained(model, x)
    for other in again:
        assert_same_bits(other.predict(x), wanted)
        assert_same_bits(trained(other, x).predict(x), model.predict(x))


def test_a_frozen_wrapper_stays(rng):
    x, model = sequences(rng, 24, 5, 3, "float32"), small_model(frozen=True)
    before = model.layers[0].get_weights()[:-1]
    trained(model, x)
    assert_all_same_bits(model.layers[0].get_weights()[:-1], before)
    assert model.count_params(trainable=True) == model.layers[1].count_params(True) + 4
    model.layers[0].trainable = True
    trained(model, x)
    after = model.layers[0].get_weights()[:-1]
    assert all((new != old).any() for new, old in zip(after, before, strict=True))


@pytest.mark.parametrize("kind", ["Sequential", "Model"])
def test_a_model_inside(kind, tmp_path):
    def inner():
        stack = [Dense(4, "tanh"), GRU(3, return_sequences=True, dropout=0.2)]
        if kind == "Sequential":
            return Sequential([Input((None, 3)), *stack], name="inner", seed=1)
        x = Input((None, 3))
        return Model(x, stack[1](stack[0](x)) + x, name="inner", seed=1)

    block = inner()
    kept = block.get_weights()
    model = Sequential([Input((None, 3)), Residual(block), Dense(1)], seed=0)
    for a, b in zip(block.get_weights(), kept, strict=True):
        assert_same_bits(a, b)
    model.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(6, 5, 3))
    model.fit(x, x[..., :1], verbose=0)
    alone, (scale, passes) = block.predict(x), model.layers[0].get_weights()[-2:]
    assert passes == 1
    y = (x + 0.5 * scale * alone).astype("float32")
    head = model.layers[1]
    np.testing.assert_allclose(model.predict(x), head.forward(y), rtol=1e-4, atol=1e-6)
    model.save(tmp_path / "model")
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    copies.append(load_model(tmp_path / "model", custom_objects=OWN))
    for made in copies:
        assert_same_bits(made.predict(x), model.predict(x))
    wide = Sequential([Input((None, 3), dtype="float64"), Dense(3)], seed=2)
    check_gradients(Residual(wide, dtype="float64"), x)
    with pytest.raises(ConfigError, match="model that begins with an Embedding or a Masking"):
        Residual(Sequential([Embedding(3, 2)]))


def test_what_is_refused():
    used = Dense(2)
    used.build((None, 2))
    for layer, error, words in (
        (LSTM(2, stateful=True), ConfigError, "Residual takes no stateful layer"),
        (Embedding(3, 2), ConfigError, "Residual takes no Embedding"),
        (used, ConfigError, "in use already"),
        ("Dense", DTypeError, "expected a gatewise.layers object"),
    ):
        with pytest.raises(error, match=words):
            Residual(layer)
