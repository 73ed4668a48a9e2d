"""Weights of a file that fit by their shapes and mean something else: refused."""

import numpy as np
import pytest
from cases import assert_all_same_bits

from gatewise import checkpoint
from gatewise.errors import CheckpointError
from gatewise.layers import GRU, LSTM, RNN, Bidirectional, Dense, Dropout, Input, TimeDistributed
from gatewise.models import Sequential

PAIRS = {
    "reset": (
        lambda: GRU(3, use_bias=False),
        lambda: GRU(3, use_bias=False, reset_after=False),
        "GRU.reset_after=False",
    ),
    "update": (lambda: GRU(3), lambda: GRU(3, update="chung"), "update='chung'"),
    "gates": (
        lambda: LSTM(3, input_gate=False),
        lambda: LSTM(3, output_gate=False),
        r"LSTM\(output_gate=False\)",
    ),
    "coupled": (
        lambda: LSTM(3, coupled=True),
        lambda: LSTM(3, forget_gate=False),
        r"LSTM\(coupled=True\)",
    ),
    "another cell": (
        lambda: GRU(3, use_bias=False),
        lambda: LSTM(3, coupled=True, use_bias=False),
        "GRU",
    ),
    "inside": (
        lambda: Bidirectional(GRU(3)),
        lambda: Bidirectional(GRU(3, update="chung")),
        "forward: GRU.*backward: GRU",
    ),
    "one inside": (
        lambda: Bidirectional(GRU(3), backward_layer=GRU(3, go_backwards=True)),
        lambda: Bidirectional(GRU(3), backward_layer=GRU(3, go_backwards=True, update="chung")),
        "chung",
    ),
    "deep inside": (
        lambda: TimeDistributed(Bidirectional(GRU(3))),
        lambda: TimeDistributed(Bidirectional(GRU(3, update="chung"))),
        "layer: forward: GRU",
    ),
}


def model(make, seed=0):
    layer = make()
    shape = (None, 4, 2) if isinstance(layer, TimeDistributed) else (None, 2)
    return Sequential([Input(shape), Dropout(0.1), layer, Dense(1)], seed=seed)


@pytest.mark.parametrize("save", ["save", "save_weights"])
@pytest.mark.parametrize("name", PAIRS)
def test_weights_of_another_kind(name, save, tmp_path):
    first, second, words = PAIRS[name]
    for one, other in ((first, second), (second, first)):
        source, fits, does_not = model(one), model(one, 1), model(other, 1)
        assert [w.shape for w in source.get_weights()] == [w.shape for w in does_not.get_weights()]
        getattr(source, save)(tmp_path / "file")
        before = does_not.get_weights()
        with pytest.raises(
            CheckpointError, match="those of another model.*whose weights have the same shapes"
        ) as caught:
            does_not.load_weights(tmp_path / "file")
        assert_all_same_bits(does_not.get_weights(), before)
        fits.load_weights(tmp_path / "file")
        assert_all_same_bits(fits.get_weights(), source.get_weights())
        caught.match(words)


def test_files_of_older_versions_are_read(tmp_path):
    source, other = model(PAIRS["reset"][0]), model(PAIRS["reset"][1], 1)
    source.save_weights(tmp_path / "new")
    tensors, header = checkpoint.read(tmp_path / "new")
    assert header["kinds"] == {source.layers[1].name: "GRU(reset_after=True, update='cho')"}
    del header["kinds"]
    checkpoint.write(tmp_path / "old", tensors, header)
    other.load_weights(tmp_path / "old")
    assert_all_same_bits(other.get_weights(), source.get_weights())


@pytest.mark.parametrize("wrong", [3, [], {"gru": 3}, "GRU"])
def test_kinds_that_are_none(wrong, tmp_path):
    source = model(PAIRS["reset"][0])
    source.save_weights(tmp_path / "new")
    tensors, header = checkpoint.read(tmp_path / "new")
    checkpoint.write(tmp_path / "bad", tensors, header | {"kinds": wrong})
    with pytest.raises(CheckpointError, match="kinds, of its weights, is no dict of names to text"):
        source.load_weights(tmp_path / "bad")


def test_layers_whose_shapes_say_it_have_no_kind():
    from gatewise.cells import FullGateLSTMCell

    for layer in (
        LSTM(3),
        Dense(2),
        RNN(FullGateLSTMCell(2)),
        Bidirectional(LSTM(3)),
        LSTM(3, peepholes=True),
    ):
        assert layer._kind() is None
    assert np.all([GRU(3)._kind() != GRU(3, reset_after=False)._kind()])
