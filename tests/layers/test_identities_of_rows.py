"""Results that must be equal, most of them to the bit.

Any number of threads, rows in batches, order of rows.
"""

import numpy as np
import pytest
from cases import (
    CELLS,
    as_list,
    assert_all_close,
    assert_all_same_bits,
    assert_same_bits,
    make,
    ragged,
    run,
    sequences,
    states_for,
)

from gatewise.layers import (
    Activation,
    Dense,
)

from .identity_cases import everything, train

THREADS = (1, 2, 3, 5)


# ---- threads


@pytest.mark.parametrize("cell", CELLS)
def test_threads_give_the_same_bits(cell, dtype, rng, threads):
    """On work so large that threads are used without being forced to."""
    batch, steps, inputs, units = 37, 20, 21, 33
    layer = make(cell, units, inputs, rng, dtype, return_sequences=True, return_state=True)
    operations = batch * steps * layer.cell._operations(inputs)
    x, arguments = sequences(rng, batch, steps, inputs, dtype), everything(layer, rng, batch, steps)
    results = []
    for count in THREADS:
        threads.set_num_threads(count)
        assert threads.threads_for_products(operations) == count, (
            "too little work for threads: this tests nothing"
        )
        results.append(
            (train(layer, x), train(layer, x, **arguments), as_list(layer.forward(x, **arguments)))
        )
    for other in results[1:]:
        for got, wanted in zip(other, results[0]):
            assert_all_same_bits(got, wanted)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True, "go_backwards": True},
        {"dropout": 0.3, "recurrent_dropout": 0.3, "seed": 1},
        {"use_bias": False, "return_sequences": True},
    ],
    ids=["last output", "backwards", "dropout", "no bias"],
)
@pytest.mark.parametrize("cell", CELLS)
def test_threads_forced_on_small_work_give_the_same_bits(cell, options, dtype, rng, forced_threads):
    layer = make(cell, 17, 3, rng, dtype, **options)
    for batch, steps in [(1, 1), (2, 7), (5, 4), (11, 3)]:
        x, arguments = sequences(rng, batch, steps, 3, dtype), everything(layer, rng, batch, steps)
        results = []
        for count in THREADS:
            forced_threads.set_num_threads(count)
            assert forced_threads.threads_for(1) == count
            results.append(
                (
                    train(layer, x),
                    train(layer, x, **arguments),
                    as_list(layer.forward(x, **arguments)),
                )
            )
        for other in results[1:]:
            for got, wanted in zip(other, results[0]):
                assert_all_same_bits(got, wanted)


@pytest.mark.parametrize(("steps", "inputs"), [(9, 150), (100, 150), (9, 600)])
def test_threads_give_the_same_bits_through_wide_layers(steps, inputs, dtype, rng, threads):
    """More columns than one block of the weight gradients, more rows than one block of dx.

    And so wide that BLAS runs.
    """
    batch, units = 9, 70
    layer = make("lstm", units, inputs, rng, dtype, return_sequences=True)
    x = sequences(rng, batch, steps, inputs, dtype)
    results = []
    for count in THREADS:
        threads.set_num_threads(count)
        assert threads.threads_for_products(batch * steps * layer.cell._operations(inputs)) == count
        results.append(train(layer, x))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


@pytest.mark.parametrize("activation", ["linear", "tanh", "softmax"])
def test_threads_give_the_same_bits_in_dense(activation, dtype, rng, threads):
    batch, inputs, units = 1000, 50, 150
    layer = Dense(units, activation, dtype=dtype, seed=1)
    x = rng.normal(size=(batch, inputs)).astype(dtype)
    layer.build((None, inputs))
    results = []
    for count in THREADS:
        threads.set_num_threads(count)
        assert threads.threads_for_products(2 * batch * inputs * units) == count
        assert threads.threads_for(4 * batch * units) == count  # the activation's slope
        results.append((train(layer, x), {"y": layer.forward(x)}))
    for other in results[1:]:
        for got, wanted in zip(other, results[0]):
            assert_all_same_bits(got, wanted)


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_threads_give_the_same_bits_in_activations(activation, dtype, rng, threads):
    x = rng.normal(size=(2000, 101)).astype(dtype)
    layer, results = Activation(activation, dtype=dtype), []
    for count in THREADS:
        threads.set_num_threads(count)
        assert threads.threads_for(4 * x.size) == count
        results.append(train(layer, x))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


# ---- rows


def positions(batch):
    return sorted({0, 1, batch // 2, batch - 2, batch - 1})


@pytest.mark.parametrize("units", [1, 16, 33])
@pytest.mark.parametrize("cell", CELLS)
def test_a_row_is_the_same_bits_in_any_batch(cell, units, dtype, rng, threads):
    """Alone; at the head, in the middle and at the end of others.

    And whatever their lengths are.
    """
    steps, inputs = 5, 7
    layer = make(cell, units, inputs, rng, dtype, return_sequences=True, return_state=True)
    x, (resets, *states) = (
        sequences(rng, 1, steps, inputs, dtype),
        (
            rng.random((1, steps)) < 0.3,
            *states_for(layer, 1, rng),
        ),
    )
    for length in (steps, 3):
        alone = layer.forward(x, lengths=[length], resets=resets, initial_state=states)
        if length == steps:
            assert_all_same_bits(layer.forward(x, resets=resets, initial_state=states), alone)
        for batch in (7, 93, 1000):
            others = sequences(rng, batch, steps, inputs, dtype)
            other_states = states_for(layer, batch, rng)
            other_resets = rng.random((batch, steps)) < 0.3
            for at in positions(batch):
                for lengths in (np.full(batch, steps), ragged(rng, batch, steps)):
                    together = (
                        others.copy(),
                        other_resets.copy(),
                        [state.copy() for state in other_states],
                    )
                    together[0][at], together[1][at] = x[0], resets[0]
                    for place, state in zip(together[2], states):
                        place[at] = state[0]
                    lengths[at] = length
                    got = layer.forward(
                        together[0], lengths=lengths, resets=together[1], initial_state=together[2]
                    )
                    assert_all_same_bits([out[at : at + 1] for out in got], alone)


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_row_is_the_same_bits_for_every_height_of_tile(
    cell, return_sequences, dtype, rng, forced_threads
):
    layer = make(cell, 37, 3, rng, dtype, return_sequences=return_sequences)
    x = sequences(rng, 40, 4, 3, dtype)
    forced_threads.set_num_threads(1)
    alone = [layer.forward(x[row : row + 1]) for row in range(40)]
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        for batch in range(1, 41):
            assert_same_bits(layer.forward(x[:batch]), np.concatenate(alone[:batch]))


@pytest.mark.parametrize("activation", ["linear", "sigmoid", "softmax"])
def test_a_row_is_the_same_bits_in_any_batch_of_dense(activation, dtype, rng):
    layer = Dense(37, activation, dtype=dtype, seed=1)
    x = rng.normal(size=(1000, 11)).astype(dtype)
    whole = layer.forward(x)
    for batch in (1, 2, 7, 93, 500):
        for start in (0, 1, 401, 1000 - batch):
            assert_same_bits(layer.forward(x[start : start + batch]), whole[start : start + batch])
    over_time = Dense(37, activation, dtype=dtype)
    over_time.build((None, 100, 11))
    over_time.set_weights(layer.get_weights())
    assert_same_bits(over_time.forward(x.reshape(10, 100, 11)).reshape(1000, 37), whole)


@pytest.mark.parametrize("cell", CELLS)
def test_permuted_rows_give_permuted_results(cell, dtype, tolerance, rng):
    batch, steps = 29, 6
    layer = make(cell, 17, 3, rng, dtype, return_sequences=True, return_state=True)
    x, arguments = sequences(rng, batch, steps, 3, dtype), everything(layer, rng, batch, steps)
    dy = [rng.normal(size=out.shape).astype(dtype) for out in layer.forward(x, **arguments)]
    wanted = run(layer, x, dy, **arguments)
    order = rng.permutation(batch)
    arguments = {
        name: [s[order] for s in v] if isinstance(v, list) else v[order]
        for name, v in arguments.items()
    }
    got = run(layer, x[order], [d[order] for d in dy], **arguments)
    for name in got:
        if name.startswith("output"):
            assert_same_bits(got[name], wanted[name][order], name)
        elif name == "x" or name.startswith("state"):
            assert_all_close([got[name]], [wanted[name][order]], tolerance.identity)
        else:  # sums over the rows, in another order
            assert_all_close([got[name]], [wanted[name]], 10 * tolerance.identity)
