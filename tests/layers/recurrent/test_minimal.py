"""MinGRU and MinLSTM: equations, gradients, bits, and the ends of their gates."""

import numpy as np
import pytest
from cases import (
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    expected,
    ragged,
    randomize,
    run,
    sequences,
    states_for,
)

from gatewise.errors import ConfigError
from gatewise.layers import Dense, MinGRU, MinLSTM
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam
from gatewise.testing import check_gradients

LAYERS = {"MinGRU": MinGRU, "MinLSTM": MinLSTM}


@pytest.fixture(params=LAYERS)
def cls(request):
    return LAYERS[request.param]


def build(cls, units, inputs, rng, dtype="float64", **options):
    layer = cls(units, dtype=dtype, **options)
    layer.build((None, None, inputs))
    return randomize(layer, rng)


def everything(layer, rng, batch, steps):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": states_for(layer, batch, rng),
    }


@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("units", [1, 5, 16, 37, 64, 65, 150])
def test_forward(cls, units, go_backwards, dtype, tolerance, rng):
    layer = build(
        cls,
        units,
        3,
        rng,
        dtype,
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
    )
    x = sequences(rng, 9, 6, 3, dtype)
    for arguments in ({}, everything(layer, rng, 9, 6)):
        wanted = expected(layer, x, **arguments)
        for training in (False, True):
            assert_all_close(
                layer.forward(x, training=training, **arguments), wanted, tolerance.forward
            )


@pytest.mark.parametrize("activation", ["tanh", "relu", ("leaky_relu", 0.1)], ids=str)
def test_activations(cls, activation, dtype, tolerance, rng):
    layer = build(cls, 17, 3, rng, dtype, activation=activation, use_bias=False)
    x = sequences(rng, 4, 6, 3, dtype)
    assert_close(layer.forward(x), expected(layer, x), tolerance.forward)


@pytest.mark.parametrize("units", [1, 6, 17, 70])
def test_gradients(cls, units, rng):
    layer = build(cls, units, 3, rng, return_sequences=True, return_state=True)
    check_gradients(
        layer,
        sequences(rng, 4, 5, 3),
        tolerance=1e-7,
        max_entries=40,
        **everything(layer, rng, 4, 5),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "tanh", "dropout": 0.3, "go_backwards": True},
        {"use_bias": False},
        {"learned_initial_state": True, "activation": "softsign"},
    ],
    ids=str,
)
def test_gradients_of_options(cls, options, rng):
    layer = build(cls, 6, 3, rng, seed=2, **options)
    x = sequences(rng, 4, 5, 3)
    report = check_gradients(
        layer,
        x,
        tolerance=1e-7,
        max_entries=40,
        lengths=[5, 0, 2, 4],
        resets=rng.random((4, 5)) < 0.25,
    )
    assert {"x", *layer.parameters} == set(report.errors)
    check_gradients(layer, x[:1, :1], tolerance=1e-7)


@pytest.mark.parametrize(("batch", "steps", "units"), [(1, 500, 70), (9, 30, 37), (3, 1, 200)])
def test_threads_give_the_same_bits(cls, batch, steps, units, dtype, rng, forced_threads):
    layer = build(cls, units, 3, rng, dtype, return_sequences=True, return_state=True)
    x = sequences(rng, batch, steps, 3, dtype)
    arguments = everything(layer, rng, batch, steps)
    first = None
    for threads in (1, 2, 3, 7):
        forced_threads.set_num_threads(threads)
        results = run(layer, x, **arguments)
        first = first or results
        assert_all_same_bits(results, first)
        assert_same_bits(layer.forward(x, **arguments)[0], first["output 0"])


def test_a_row_is_alone_what_it_is_in_a_batch(cls, dtype, rng):
    layer = build(cls, 17, 3, rng, dtype, return_sequences=True)
    x = sequences(rng, 9, 5, 3, dtype)
    whole = layer.forward(x)
    for row in (0, 4, 8):
        assert_same_bits(layer.forward(x[row : row + 1])[0], whole[row])


def test_steps_one_by_one(cls, rng):
    layer = build(cls, 17, 3, rng, return_sequences=True, stateful=True)
    x = sequences(rng, 4, 6, 3)
    whole = layer.forward(x)
    layer.reset_state()
    assert_same_bits(
        np.concatenate([layer.forward(x[:, t : t + 1]) for t in range(6)], axis=1), whole
    )


def test_gates_that_vanish(cls, dtype, rng):
    """Sums of -500 make both gates of a minLSTM zero.

    Their ratio is still what it should be, and has its gradient.
    """
    layer = build(cls, 3, 2, rng, dtype, return_sequences=True)
    weights = dict(zip(layer.parameters, layer.get_weights()))
    blocks = len(layer.cell.gates)
    weights["bias"][:] = np.repeat([-500.0] * (blocks - 1) + [0.5], 3)
    layer.set_weights(list(weights.values()))
    x = sequences(rng, 2, 4, 2, dtype)
    results = run(layer, x)
    assert all(np.isfinite(array).all() for array in results.values())
    if cls is MinLSTM:
        assert 0.01 < np.abs(results["output 0"]).max() < 10
        assert np.abs(results["kernel"][:, :6]).max() > 1e-3
    else:
        assert not results["output 0"].any()


def test_it_learns_a_mean(cls, rng):
    x = rng.normal(size=(64, 8, 1)).astype("float32")
    model = Sequential([cls(16, return_sequences=True), cls(16), Dense(1)], seed=1)
    model.compile(Adam(0.01), "mse")
    history = model.fit(x, 3 * x.mean(axis=1), epochs=40, batch_size=16, verbose=0).history["loss"]
    assert history[-1] < 0.1 * history[0]


def test_files(cls, tmp_path, rng):
    model = Sequential([cls(5, "tanh", input_shape=(4, 3)), Dense(2)], seed=1)
    model.build((None, 4, 3))
    model.save(tmp_path / "model")
    x = sequences(rng, 2, 4, 3, "float32")
    assert_same_bits(load_model(tmp_path / "model").predict(x), model.predict(x))
    assert "recurrent_initializer" not in model.layers[0].get_config()


@pytest.mark.parametrize(
    "name", ["recurrent_initializer", "recurrent_regularizer", "recurrent_dropout"]
)
def test_there_is_no_recurrent_kernel(cls, name):
    with pytest.raises(ConfigError, match=f"no option '{name}': there is no recurrent kernel"):
        cls(4, **{name: 0.1})
