"""Masks with holes, in the layers that are not compiled.

A masked step is as if it were not there.
"""

import numpy as np
import pytest
from cases import assert_all_close, assert_close, make, run, sequences, states_for

from gatewise.errors import ConfigError, ShapeError
from gatewise.layers import (
    GRU,
    GRUD,
    LSTM,
    RNN,
    Activation,
    AdditiveAttention,
    Attention,
    BatchNormalization,
    Conv1D,
    Dense,
    Input,
    LayerNormalization,
    Masking,
    TimeDistributed,
)
from gatewise.models import Sequential
from gatewise.testing import check_gradients

from .recurrent.test_custom_cells import ElmanCell

FEATURES = 3
LAYERS = {
    "own cell": lambda: RNN(ElmanCell(4), return_sequences=True, dtype="float64", seed=0),
    "missing values": lambda: GRUD(4, return_sequences=True, dtype="float64", seed=0),
    "batch": lambda: BatchNormalization(dtype="float64"),
    "convolution": lambda: Conv1D(4, 3, padding="causal", dtype="float64", seed=0),
    "attention": lambda: Attention(dtype="float64"),
    "additive": lambda: AdditiveAttention(dtype="float64", seed=0),
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
        front[row, : lengths[row]] = x[row, mask[row]]
    layer, twin = LAYERS[name](), LAYERS[name]()
    wanted, got = run(twin, front, lengths=lengths), run(layer, x, mask=mask)
    for part in ("output 0", "x"):
        spread = np.zeros_like(got[part])
        for row in range(5):
            spread[row, mask[row]] = wanted[part][row, : lengths[row]]
        assert_close(got.pop(part), spread, 1e-13, part)
        wanted.pop(part)
    assert_all_close(got, wanted, 1e-12)


@pytest.mark.parametrize("go_backwards", [False, True])
def test_masks_and_resets_are_those_of_the_compiled_layer(go_backwards, rng):
    compiled = make(
        "rnn", 5, FEATURES, rng, return_sequences=True, return_state=True, go_backwards=go_backwards
    )
    own = RNN(
        ElmanCell(5),
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
        dtype="float64",
    )
    own.build((None, None, FEATURES))
    own.set_weights(compiled.get_weights())
    x, arguments = (
        sequences(rng, 6, 8, FEATURES),
        {
            "mask": holes(rng, 6, 8),
            "resets": rng.random((6, 8)) < 0.3,
            "initial_state": states_for(compiled, 6, rng),
        },
    )
    assert_all_close(run(own, x, **arguments), run(compiled, x, **arguments), 1e-12)


def test_in_a_model_behind_a_masking(rng):
    x, y = sequences(rng, 5, 6, FEATURES), rng.normal(size=(5, 6, 1))
    x[~holes(rng, 5, 6)] = 0
    model = Sequential(
        [
            Input((None, FEATURES)),
            Masking(0.0, dtype="float64"),
            Conv1D(3, 2, padding="same"),
            BatchNormalization(),
            RNN(ElmanCell(3), return_sequences=True),
            Attention(),
            Dense(1),
        ],
        seed=0,
    )
    assert check_gradients(model, x, y=y, loss="mse", max_entries=6).passed


def test_a_mask_beside_several_inputs_is_refused(rng):
    x = sequences(rng, 2, 4, FEATURES)
    with pytest.raises(ConfigError, match="takes a mask with one input, not with 2"):
        Attention(dtype="float64").forward([x, x], mask=np.ones((2, 4), bool))


PREFIX = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    "make_layer",
    [
        lambda: Dense(2, bias_initializer="ones", dtype="float64"),
        lambda: LayerNormalization(dtype="float64"),
        lambda: TimeDistributed(Dense(2, bias_initializer="ones"), dtype="float64"),
        lambda: Activation("sigmoid", dtype="float64"),
    ],
    ids=["dense", "normalization", "each step", "activation"],
)
def test_a_mask_means_the_same_with_holes_and_without(make_layer, rng):
    """Outputs are zero where nothing counts, and gradients there are nothing.

    Lengths say what a mask of a prefix says.
    """
    x, layer = sequences(rng, 4, 4, FEATURES), make_layer()
    layer.build(x.shape)
    turned = run(layer, x[:, ::-1], mask=PREFIX[:, ::-1])  # the same steps, with holes in front
    for arguments in ({"mask": PREFIX}, {"lengths": PREFIX.sum(axis=1)}):
        results = run(layer, x, **arguments)
        assert not results["output 0"][~PREFIX].any()
        assert not results["x"][~PREFIX].any()
        assert results["output 0"][PREFIX].any()
    for name in layer.gradients:  # run draws dy by place: a sum of ones does not know places
        counts = []
        for mask, given in ((PREFIX, x), (PREFIX[:, ::-1], x[:, ::-1])):
            y = layer.forward(given, mask=mask, training=True)
            layer.zero_gradients()
            layer.backward(np.ones_like(y))
            counts.append(layer.gradients[name].copy())
        assert_close(*counts, 1e-12)
    assert not turned["output 0"][~PREFIX[:, ::-1]].any()


@pytest.mark.parametrize("cls", [LSTM, GRU], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("holes_before", [False, True])
def test_a_reset_behind_the_last_counted_step_clears_the_next_call(cls, holes_before, rng):
    x, mask, resets = (
        rng.normal(size=(3, 6, FEATURES)),
        np.ones((3, 6), bool),
        np.zeros((3, 6), bool),
    )
    mask[:2, 2], resets[0, 2] = False, True
    mask[1, 0] = not holes_before
    options = {"return_sequences": True, "dtype": "float64", "seed": 1}
    whole, kept = cls(3, **options), cls(3, stateful=True, **options)
    parts = [
        kept.forward(x[:, a:b], mask=mask[:, a:b], resets=resets[:, a:b])
        for a, b in ((0, 3), (3, 6))
    ]
    assert_close(np.concatenate(parts, axis=1), whole.forward(x, mask=mask, resets=resets), 1e-12)


def test_each_step_alone_sees_no_padding(rng):
    """Statistics of a BatchNormalization inside, and the loss, are those of the rows without it."""
    x, losses = sequences(rng, 3, 4, FEATURES), []
    for pad in (0, 6):
        model = Sequential([Masking(), TimeDistributed(BatchNormalization()), LSTM(2)], seed=0)
        model.compile("sgd", "mse")
        losses.append(
            [
                model.train_on_batch(
                    np.concatenate([x, np.zeros((3, pad, FEATURES))], axis=1), np.ones((3, 2))
                )
                for _ in range(3)
            ]
        )
    assert losses[0] == losses[1]
    layer = TimeDistributed(BatchNormalization(), dtype="float64")
    check_gradients(layer, x, lengths=[4, 0, 2], tolerance=1e-7)


def test_a_reset_that_a_layer_going_backwards_visits_last_clears_what_it_keeps():
    x, layer = np.ones((2, 3, 1)), GRU(2, go_backwards=True, stateful=True, dtype="float64", seed=0)
    layer(
        x,
        mask=np.array([[False, True, True]] * 2),
        resets=np.array([[True, False, False], [False] * 3]),
    )
    assert not layer.state[0][0].any()
    assert layer.state[0][1].all()
    layer.reset_state()
    layer(
        x,
        mask=np.array([[True, True, False]] * 2),
        resets=np.array([[False, False, True], [False] * 3]),
    )
    # it begins at the last step that counts: behind that there is nothing
    np.testing.assert_array_equal(*layer.state[0])


@pytest.mark.parametrize(
    "make_layer", [lambda: Dense(3), lambda: Activation("tanh")], ids=["dense", "activation"]
)
def test_lengths_without_steps_are_refused(make_layer):
    with pytest.raises(ShapeError, match="lengths were given with an x of shape \\(2, 4\\)"):
        make_layer().forward(np.ones((2, 4), "float32"), lengths=[1, 4])
