"""Stacks of random layers with random options in C, against predict."""

import numpy as np
import pytest

from gatewise import layers

from .c_programs import Program, assert_close, needs_compiler, sequential, signal

pytestmark = needs_compiler

ACTIVATIONS = ["linear", "tanh", "sigmoid", "relu", "hard_sigmoid", "softsign", "softplus", "elu"]


def chosen(rng, **options):
    """Each option with one of its values, or without it."""
    return {
        name: values[rng.integers(len(values))]
        for name, values in options.items()
        if rng.random() < 0.3
    }


def lstm(rng):
    if rng.random() < 0.2:
        options = {"layer_normalization": True}
    else:
        options = chosen(
            rng,
            peepholes=[True],
            clip=[0.5, 3.0],
            cell_clip=[0.3],
            projection=[1, 2],
            zoneout=[0.1, (0.2, 0.4)],
            output_activation=ACTIVATIONS,
            recurrent_activation=["sigmoid", "hard_sigmoid"],
        )
        left_out = chosen(rng, input_gate=[False], forget_gate=[False], output_gate=[False])
        options |= left_out or chosen(rng, coupled=[True], output_gate_inside=[True])
    units = int(rng.integers(3, 20))
    return layers.LSTM(units, return_sequences=True, **options, **chosen(rng, use_bias=[False]))


def gru(rng):
    options = chosen(rng, update=["chung"], use_bias=[False], learned_initial_state=[True])
    if rng.random() < 0.2:
        options |= {"layer_normalization": True}
    else:
        options |= chosen(
            rng, clip=[0.5], zoneout=[0.3], output_activation=ACTIVATIONS, activation=["elu"]
        )
        form = rng.integers(3)
        if form == 0:
            options |= {"reset_after": False} | chosen(rng, candidate=["complement"])
        elif form == 1:
            options["candidate"] = ["complement", "split", "input"][rng.integers(3)]
    return layers.GRU(int(rng.integers(1, 20)), return_sequences=True, **options)


def convolution(rng):
    options = {"padding": ["causal", "valid"][rng.integers(2)]}
    # one of them alone may be more than 1
    options |= chosen(rng, strides=[2, 3]) or chosen(rng, dilation_rate=[2, 3])
    kind = rng.integers(3)
    window, activation = int(rng.integers(1, 5)), ACTIVATIONS[rng.integers(len(ACTIVATIONS))]
    if kind == 0:
        return layers.Conv1D(int(rng.integers(1, 9)), window, activation=activation, **options)
    if kind == 1:
        return layers.DepthwiseConv1D(window, depth_multiplier=int(rng.integers(1, 3)), **options)
    return layers.SeparableConv1D(int(rng.integers(1, 9)), window, **options)


def pooling(rng):
    kind = [layers.MaxPooling1D, layers.AveragePooling1D][rng.integers(2)]
    return kind(int(rng.integers(1, 4)), strides=int(rng.integers(1, 4)))


def dense(rng):
    activation = [*ACTIVATIONS, "softmax"][rng.integers(len(ACTIVATIONS) + 1)]
    return layers.Dense(int(rng.integers(1, 12)), activation)


def other(rng):
    return [
        lambda: layers.LayerNormalization(),
        lambda: layers.BatchNormalization(),
        lambda: layers.Softmax(),
        lambda: layers.Dropout(0.5),
        lambda: layers.ReLU(negative_slope=0.3),
        lambda: layers.MinGRU(7, return_sequences=True),
        lambda: layers.MinLSTM(7, return_sequences=True),
        lambda: layers.SimpleRNN(7, return_sequences=True),
    ][rng.integers(8)]()


def check(seed, folder, weights):
    rng = np.random.default_rng(seed)
    makers = [lstm, gru, convolution, pooling, dense, other]
    parts = [makers[k](rng) for k in rng.integers(len(makers), size=rng.integers(2, 6))]
    model = sequential(*parts, seed=seed)
    x = signal(150, seed=seed)
    expected = model.predict(x[None])[0]
    found = Program(model, weights, folder).run(x)
    assert np.isfinite(found).all()
    if weights == "float32":
        assert_close(found, expected, 5e-5)
    else:
        assert found.shape == expected.shape
        assert np.square(found - expected).mean() <= 0.1**2 * max(np.square(expected).mean(), 0.01)


@pytest.mark.parametrize("seed", range(12))
def test_random_layers(seed, tmp_path):
    check(seed, tmp_path, "float32")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 200))
def test_more_random_layers(seed, tmp_path):
    check(seed, tmp_path / "float32", "float32")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(300, 330))
def test_random_layers_in_bytes(seed, tmp_path):
    check(seed, tmp_path / "int8", "int8")
