"""The decoder that attends before each step: against its layers, called step by step."""

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, randomize

from gatewise.layers import GRU, LSTM, Batch, SimpleRNN, Steps, Tape
from gatewise.layers.recurrent.attending import AttendingDecoder
from gatewise.testing import compare_gradients

CELLS = {"lstm": LSTM, "gru": GRU, "rnn": SimpleRNN}
LENGTHS = np.array([4, 0, 3, 1])  # of the memories
TARGETS = np.array([2, 5, 0, 5])


def decoder(cell, units, rng, dtype="float64"):
    step = CELLS[cell](units, return_sequences=True, return_state=True, dtype=dtype)
    layer = AttendingDecoder(step, dtype=dtype)
    layer.build([(None, None, 3), (None, None, 6), (None, None, units)])
    return randomize(layer, rng)


def inputs_of(layer, rng, ragged=False, steps=5):
    units = layer.layer.units

    def drawn(*shape):
        return rng.standard_normal(shape).astype(layer.dtype)

    memory = Steps(LENGTHS) if ragged else None
    return [
        Batch(drawn(4, steps, 3), Steps(TARGETS) if ragged else None),
        Batch(drawn(4, 4, 6), memory),
        Batch(drawn(4, 4, units), memory),
        *(Batch(drawn(4, units)) for _ in layer.layer.state_names),
    ]


def step_by_step(layer, inputs):
    """[outputs, contexts, *states] of rows without ends."""
    x, memory, keys, *states = inputs
    outputs, contexts = [], []
    for t in range(x.values.shape[1]):
        query = layer.query.run(Batch(states[0].values[:, None]), None, None)
        context = layer.attention.run([query, memory, keys], None, None).values
        read = np.concatenate([x.values[:, t : t + 1], context], axis=2)
        output, *states = layer.layer.run([Batch(read), *states], None, None)
        outputs.append(output.values)
        contexts.append(context)
    return [
        np.concatenate(outputs, axis=1),
        np.concatenate(contexts, axis=1),
        *(state.values for state in states),
    ]


def values(batches):
    return [batch.values for batch in batches]


@pytest.mark.parametrize("units", [5, 17])
@pytest.mark.parametrize("cell", CELLS)
def test_bits_are_those_of_single_steps(cell, units, dtype, rng):
    layer = decoder(cell, units, rng, dtype)
    x, memory, keys, *states = inputs_of(layer, rng, ragged=True)
    inputs = [Batch(x.values), memory, keys, *states]
    wanted = step_by_step(layer, inputs)
    assert_all_same_bits(values(layer.run(inputs, None, None)), wanted)
    assert_all_same_bits(values(layer.run(inputs, Tape(), "node")), wanted)


def test_rows_end_where_their_targets_do(rng):
    layer = decoder("lstm", 5, rng)
    inputs = inputs_of(layer, rng, ragged=True)
    weights = []
    outputs, contexts, *states = values(layer.run(inputs, None, None, weights))
    assert weights[0].shape == (4, 5, 4)
    for row, (steps, length) in enumerate(zip(TARGETS, LENGTHS)):
        assert not outputs[row, steps:].any() and not contexts[row, steps:].any()
        sums = weights[0][row, :steps].sum(axis=1)
        assert_close(sums, np.full(steps, float(length > 0)), 1e-14)
        assert not weights[0][row, :, length:].any()
        alone = [Batch(part.values[row : row + 1]) for part in inputs]
        alone[0] = Batch(alone[0].values[:, :steps])
        alone[1:3] = (Batch(part.values, Steps(LENGTHS[row : row + 1])) for part in alone[1:3])
        if steps:
            found = values(layer.run(alone, None, None))
            wanted = [outputs[row : row + 1, :steps], *(state[row : row + 1] for state in states)]
            assert_all_same_bits([found[0], *found[2:]], wanted)


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients(cell, ragged, rng):
    layer = decoder(cell, 5, rng)
    inputs = inputs_of(layer, rng, ragged)
    arrays = values(inputs)
    dy = [rng.standard_normal(array.shape) for array in values(layer.run(inputs, None, None))]
    if ragged:
        for part in dy[:2]:
            part[np.arange(5) >= TARGETS[:, None]] = 0

    def loss():
        found = values(layer.run(inputs, None, None))
        return sum((one * other).sum() for one, other in zip(found, dy))

    for gradient in layer.gradients.values():
        gradient.fill(0)
    tape = Tape()
    layer.run(inputs, tape, "node")
    found = layer.run_backward([part.copy() for part in dy], tape, "node", True)
    pairs = dict(enumerate(zip(arrays, found))) | {
        name: (array, layer.gradients[name]) for name, array in layer.parameters.items()
    }
    report = compare_gradients(loss, {str(name): pair for name, pair in pairs.items()})
    assert report.passed, report


def test_threads_give_the_same_bits(rng, threads):
    layer = decoder("gru", 17, rng, "float32")
    inputs = inputs_of(layer, rng, ragged=True)
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        for gradient in layer.gradients.values():
            gradient.fill(0)
        tape = Tape()
        found = values(layer.run(inputs, tape, "node"))
        gradients = layer.run_backward(
            [np.ones_like(found[0]), np.ones_like(found[1])], tape, "node", True
        )
        results.append(
            [*found, *(part.copy() for part in gradients)]
            + [part.copy() for part in layer.gradients.values()]
        )
    for other in results[1:]:
        assert_all_same_bits(other, results[0])
