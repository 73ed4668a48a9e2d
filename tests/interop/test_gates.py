"""The table of gate orders."""

import numpy as np
import pytest

from gatewise import ShapeError
from gatewise.cells import GRUCell, LSTMCell, SimpleRNNCell
from gatewise.interop.gates import GATES, PEEPHOLES, joined_bias, reorder, separate_biases


def test_our_orders_are_those_of_the_cells():
    assert GATES["gatewise"]["lstm"] == "".join(LSTMCell(3).gates)
    assert GATES["gatewise"]["gru"] == "".join(GRUCell(3).gates).replace("h", "n")
    assert GATES["gatewise"]["rnn"] == "".join(SimpleRNNCell(3).gates)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("framework", GATES)
def test_there_and_back(framework, cell):
    theirs, ours = GATES[framework][cell], GATES["gatewise"][cell]
    assert sorted(theirs) == sorted(ours)
    array = np.arange(2 * 5 * len(ours)).reshape(2, -1)
    moved = reorder(array, ours, theirs)
    assert (reorder(moved, theirs, ours) == array).all()
    for place, gate in enumerate(theirs):
        start = 5 * ours.index(gate)
        assert (moved[:, 5 * place : 5 * place + 5] == array[:, start : start + 5]).all()


def test_peepholes_have_the_order_of_the_gates():
    for framework, order in PEEPHOLES.items():
        assert order == GATES[framework]["lstm"].replace("g", "")


def test_a_width_that_does_not_divide():
    with pytest.raises(ShapeError, match=r"\(2, 7\) does not divide into the 3 gates z r n"):
        reorder(np.zeros((2, 7)), "zrn", "rzn")


def test_biases():
    two = np.arange(12.0).reshape(2, 6)
    assert separate_biases(two).states.tolist() == two[1].tolist()
    assert separate_biases(two[0]).states.tolist() == [0] * 6
    assert joined_bias(separate_biases(two)).tolist() == (two[0] + two[1]).tolist()
