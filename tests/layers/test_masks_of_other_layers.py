"""Masks with holes, in the layers that are not compiled: a masked step is as if it were not there."""

import numpy as np
import pytest
from cases import assert_all_close, assert_close, make, run, sequences, states_for

from gatewise.errors import ConfigError
from gatewise.layers import GRUD, RNN, AdditiveAttention, Attention, BatchNormalization, Conv1D, Dense, Input, Masking
from gatewise.models import Sequential
from gatewise.testing import check_gradients

from .test_custom_cells import ElmanCell

FEATURES = 3
LAYERS = {
    "own cell": lambda: RNN(ElmanCell(4), return_sequences=True, dtype="float64", seed=0),
    "missing values": lambda: GRUD(4, return_sequences=True, dtype="float64", seed=0),
    "batch": lambda: BatchNormalization(dtype="float64"),
    "convolution": lambda: Conv1D(4, 3, padding="causal", dtype="float64", seed=0),
    "attention": lambda: Attention(dtype="float64"), "additive": lambda: AdditiveAttention(dtype="float64", seed=0),
}


def holes(rng, batch, steps):
    """A mask with holes, with a row of all steps and one of none."""
    mask = rng.random((batch, steps)) < 0.6
    mask[0], mask[1] = True, False
    return mask


@pytest.mark.parametrize("name", LAYERS)
def test_masked_steps_are_as_if_they_were_not_there(name, rng):
    x, mask = sequences(rng, 5, 7, FEATURES), holes(rng, 5, 7)
    lengths = mask.sum(axis=1)
    front = np.zeros_like(x)
    for row in range(5):
        front[row, :lengths[row]] = x[row, mask[row]]
    layer, twin = LAYERS[name](), LAYERS[name]()
    wanted, got = run(twin, front, lengths=lengths), run(layer, x, mask=mask)
    for part in ("output 0", "x"):
        spread = np.zeros_like(got[part])
        for row in range(5):
            spread[row, mask[row]] = wanted[part][row, :lengths[row]]
        assert_close(got.pop(part), spread, 1e-13, part)
        wanted.pop(part)
    assert_all_close(got, wanted, 1e-12)


@pytest.mark.parametrize("go_backwards", [False, True])
def test_masks_and_resets_are_those_of_the_compiled_layer(go_backwards, rng):
    compiled = make("rnn", 5, FEATURES, rng, return_sequences=True, return_state=True, go_backwards=go_backwards)
    own = RNN(ElmanCell(5), return_sequences=True, return_state=True, go_backwards=go_backwards, dtype="float64")
    own.build((None, None, FEATURES))
    own.set_weights(compiled.get_weights())
    x, arguments = sequences(rng, 6, 8, FEATURES), {"mask": holes(rng, 6, 8), "resets": rng.random((6, 8)) < 0.3,
                                                    "initial_state": states_for(compiled, 6, rng)}
    assert_all_close(run(own, x, **arguments), run(compiled, x, **arguments), 1e-12)


def test_in_a_model_behind_a_masking(rng):
    x, y = sequences(rng, 5, 6, FEATURES), rng.normal(size=(5, 6, 1))
    x[~holes(rng, 5, 6)] = 0
    model = Sequential([Input((None, FEATURES)), Masking(0.0, dtype="float64"), Conv1D(3, 2, padding="same"), BatchNormalization(),
                        RNN(ElmanCell(3), return_sequences=True), Attention(), Dense(1)], seed=0)
    assert check_gradients(model, x, y=y, loss="mse", max_entries=6).passed


def test_a_mask_beside_several_inputs_is_refused(rng):
    x = sequences(rng, 2, 4, FEATURES)
    with pytest.raises(ConfigError, match="takes a mask beside one input, not beside 2"):
        Attention(dtype="float64").forward([x, x], mask=np.ones((2, 4), bool))
