"""A recurrent layer behind an Embedding computes x W + b once for each row of the table."""

import numpy as np
import pytest
from cases import CELLS, assert_all_same_bits, assert_close, make

from gatewise import Sequential
from gatewise.layers import GRU, LSTM, Batch, Bidirectional, Embedding, Steps, Tape
from gatewise.layers.tape import Lookup

LENGTHS = np.array([6, 0, 3, 7, 1])


def looked_up(rng, rows, width, dtype, lengths=None, collects=False):
    """The same values with their table and without it."""
    table = rng.standard_normal((rows, width)).astype(dtype)
    numbers = rng.integers(0, rows, (5, 7)).astype(np.int32)
    steps = None if lengths is None else Steps(lengths)
    return Batch(table[numbers], steps, Lookup(numbers, table, collects)), Batch(
        table[numbers], steps
    )


def trained(layer, inputs, dy):
    """Output, gradient of x and gradients of the parameters."""
    for gradient in layer.gradients.values():
        gradient.fill(0)
    tape = Tape()
    y = layer.run(inputs, tape, "node").values
    dx = layer.run_backward(dy, tape, "node", True)
    return y, None if dx is None else dx.copy(), {k: v.copy() for k, v in layer.gradients.items()}


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "ragged"])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("units", [5, 17, 64])
@pytest.mark.parametrize("cell", CELLS)
def test_output_has_the_bits_of_values_and_gradients_agree(
    cell, units, backwards, lengths, dtype, rng, tolerance
):
    layer = make(cell, units, 4, rng, dtype, return_sequences=True, go_backwards=backwards)
    table, plain = looked_up(rng, 6, 4, dtype, lengths)
    assert layer._reads(table.lookup)
    assert_all_same_bits(
        [layer.run(table, None, None).values], [layer.run(plain, None, None).values]
    )
    dy = rng.standard_normal((5, 7, units)).astype(dtype)
    if lengths is not None:
        dy[np.arange(7) >= lengths[:, None]] = 0
    (y, dx, gradients), (want_y, want_dx, wanted) = (
        trained(layer, inputs, dy) for inputs in (table, plain)
    )
    assert_all_same_bits([y], [want_y])
    assert_close(dx, want_dx, tolerance.backward)
    for name, gradient in gradients.items():
        assert_close(gradient, wanted[name], tolerance.backward)


@pytest.mark.parametrize("backwards", [False, True])
def test_gradient_of_the_table_is_collected(backwards, rng):
    layer = make("lstm", 5, 4, rng, "float64", return_sequences=True, go_backwards=backwards)
    table, plain = looked_up(rng, 6, 4, "float64", LENGTHS, collects=True)
    dy = rng.standard_normal((5, 7, 5))
    dy[np.arange(7) >= LENGTHS[:, None]] = 0
    assert trained(layer, table, dy)[1] is None
    wanted = np.zeros((6, 4))
    np.add.at(wanted, table.lookup.numbers, trained(layer, plain, dy)[1])
    assert_close(table.lookup.gradient, wanted, 1e-12)


def test_threads_give_the_same_bits(rng, threads):
    layer = make("gru", 33, 4, rng, "float32", return_sequences=True)
    table, _ = looked_up(rng, 6, 4, "float32", LENGTHS, collects=True)
    dy = rng.standard_normal((5, 7, 33)).astype("float32")
    results = []
    for count in (1, 2, 3):
        threads.set_num_threads(count)
        table.lookup.gradient = None
        y, _, gradients = trained(layer, table, dy)
        results.append([y, table.lookup.gradient, *gradients.values()])
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


def test_large_tables_dropout_and_other_cells_read_values(rng):
    layer = make("lstm", 5, 4, rng, "float32")
    assert not layer._reads(looked_up(rng, 35, 4, "float32")[0].lookup)
    normalized = LSTM(5, layer_normalization=True, seed=0)
    normalized.build((None, None, 4))
    assert not normalized._reads(looked_up(rng, 6, 4, "float32")[0].lookup)
    layer.dropout = 0.5
    table, _ = looked_up(rng, 6, 4, "float32", collects=True)
    assert trained(layer, table, np.ones((5, 5), "float32"))[1].shape == (5, 7, 4)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: LSTM(3, return_sequences=True),
        lambda: GRU(5, go_backwards=True),
        lambda: Bidirectional(LSTM(4)),
    ],
)
def test_gradients_of_a_model(layer, rng):
    model = Sequential([Embedding(3, 2, mask_zero=True, dtype="float64"), layer()], seed=0)
    model.compile("sgd", "mse")
    x = rng.integers(0, 3, (4, 6))
    y = rng.standard_normal(model(x).shape)
    model.compute_gradients(x, y)
    found = model.flat_gradients.copy()
    wanted = np.empty_like(found)
    for k in range(len(found)):
        values = []
        for step in (1e-6, -1e-6):
            before = model.flat_parameters[k]
            model.flat_parameters[k] += step
            values.append(model.evaluate(x, y, verbose=0))
            model.flat_parameters[k] = before
        wanted[k] = (values[0] - values[1]) / 2e-6
    assert_close(found, wanted, 1e-6)
