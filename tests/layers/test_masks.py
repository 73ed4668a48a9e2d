"""Masks with holes: a masked step has no effect, with resets, forward and backward."""

import itertools

import numpy as np
import pytest
from cases import (
    CELLS,
    as_list,
    assert_all_close,
    assert_all_same_bits,
    expected,
    make,
    randomize,
    run,
    sequences,
    states_for,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewise.cells.published import FullGateLSTMCell
from gatewise.errors import ConfigError, DTypeError, ShapeError
from gatewise.layers import (
    GRU,
    GRUD,
    LSTM,
    RNN,
    Activation,
    Bidirectional,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Masking,
    TimeDistributed,
)
from gatewise.layers.masks import lengths_and_places
from gatewise.testing import check_gradients

MASK = np.array(
    [
        [1, 0, 1, 1, 0, 1],  # holes
        [0, 0, 0, 0, 0, 0],  # no step at all
        [1, 1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1, 1],  # padded on the left
        [1, 1, 0, 0, 0, 0],  # on the right
        [0, 0, 0, 1, 0, 0],
    ],
    bool,
)


def step_by_step(layer, x, mask, initial_state=None, resets=None):
    """What a recurrent layer must return.

    The reference, one step of one row at a time, state carried over masked ones.
    """
    batch, steps, _ = x.shape
    y, last = np.zeros((batch, steps, layer.units)), []
    for b in range(batch):
        state = [
            np.zeros((1, layer.units)) if initial_state is None else s[b : b + 1]
            for s in initial_state or layer.cell.states
        ]
        counted = np.flatnonzero(mask[b])
        end = counted[-1] + 1 if counted.size else 0  # past it there is nothing
        cleared, places = False, iter(counted)
        for t in range(end)[::-1] if layer.go_backwards else range(end):
            cleared = cleared or (resets is not None and resets[b, t])
            if mask[b, t]:
                state = [np.zeros_like(s) for s in state] if cleared else state
                state = one_step(layer, x[b : b + 1, t : t + 1], state)
                y[b, next(places)], cleared = state[0][0], False
        last.append([s[0] for s in state])
    last = [np.array(part) for part in zip(*last)]
    output = y if layer.return_sequences else last[0]
    return [output, *last] if layer.return_state else [output]


def one_step(layer, x, state):
    class Whole:  # what `expected` reads of a layer
        go_backwards, return_sequences, return_state, cell, _parameters = (
            False,
            False,
            True,
            layer.cell,
            layer._parameters,
        )

    return expected(Whole, x, initial_state=state)[1:]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_layers(cell, return_sequences, backwards, rng):
    layer = make(
        cell,
        4,
        3,
        rng,
        return_sequences=return_sequences,
        return_state=True,
        go_backwards=backwards,
    )
    x, arguments = (
        sequences(rng, 6, 6, 3),
        {
            "mask": MASK,
            "initial_state": states_for(layer, 6, rng),
        },
    )
    for resets in (None, rng.random((6, 6)) < 0.3, ~MASK):
        arguments["resets"] = resets
        assert_all_close(as_list(layer(x, **arguments)), step_by_step(layer, x, **arguments), 1e-12)
    report = check_gradients(
        layer, x, max_entries=8, **arguments | {"resets": rng.random((6, 6)) < 0.3}
    )
    assert len(report.errors) == len(layer.parameters) + 1 + len(layer.cell.states)


@pytest.mark.long
@pytest.mark.parametrize("backwards", [False, True])
def test_layers_around_cells_in_numpy(backwards, rng):
    """A row is as its counted steps alone, with resets and backwards."""
    for layer in (
        RNN(FullGateLSTMCell(3), True, True, backwards, dtype="float64", seed=1),
        GRUD(
            3,
            return_sequences=True,
            return_state=True,
            go_backwards=backwards,
            dtype="float64",
            seed=1,
        ),
    ):
        x, resets = sequences(rng, 6, 6, 6), rng.random((6, 6)) < 0.3
        layer.build(x.shape)
        y, *last = layer(x, mask=MASK, resets=resets)
        assert not y[~MASK].any()
        for b, mask in enumerate(MASK):
            if mask.any():
                flags = [
                    resets[b, i + 1 : t + 1].any()
                    for i, t in itertools.pairwise([-1, *np.flatnonzero(mask)])
                ]
                back = [
                    resets[b, t:i].any()
                    for t, i in itertools.pairwise(
                        [*np.flatnonzero(mask), np.flatnonzero(mask)[-1] + 1]
                    )
                ]
                alone, *ends = layer(
                    x[b : b + 1, mask], resets=np.array([back if backwards else flags])
                )
                assert_all_close(
                    [y[b, mask], *(part[b] for part in last)],
                    [alone[0], *(end[0] for end in ends)],
                    1e-12,
                )
        both = Bidirectional(
            type(layer).from_config(
                layer.get_config() | {"go_backwards": False, "return_state": False}
            )
        )
        check_gradients(both, x, mask=MASK, resets=resets, max_entries=4, tolerance=1e-6)


@st.composite
def problems(draw):
    seed = draw(st.integers(0, 2**20))
    batch, steps = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    flags = st.lists(st.booleans(), min_size=batch * steps, max_size=batch * steps)
    return {
        "seed": seed,
        "cell": draw(st.sampled_from(["rnn", "lstm", "gru"])),
        "mask": draw(flags),
        "resets": draw(flags),
        "shape": (batch, steps),
        "return_sequences": draw(st.booleans()),
        "go_backwards": draw(st.booleans()),
        "lengths": draw(
            st.none() | st.lists(st.integers(0, steps), min_size=batch, max_size=batch)
        ),
    }


@pytest.mark.long
@given(problems())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mask_with_any_resets(problem):
    rng, shape = np.random.default_rng(problem["seed"]), problem["shape"]
    layer = make(
        problem["cell"],
        3,
        2,
        rng,
        return_sequences=problem["return_sequences"],
        go_backwards=problem["go_backwards"],
        return_state=True,
    )
    x, state = sequences(rng, *shape, 2), states_for(layer, shape[0], rng)
    mask, resets = np.reshape(problem["mask"], shape), np.reshape(problem["resets"], shape)
    whole = (
        mask
        if problem["lengths"] is None
        else mask & (np.arange(shape[1]) < np.array(problem["lengths"])[:, None])
    )
    arguments = {
        "mask": mask,
        "lengths": problem["lengths"],
        "initial_state": state,
        "resets": resets,
    }
    assert_all_close(
        as_list(layer(x, **arguments)), step_by_step(layer, x, whole, state, resets), 1e-12
    )
    check_gradients(layer, x, max_entries=3, tolerance=1e-6, **arguments)


@pytest.mark.parametrize("merge_mode", ["concat", "mul", None])
@pytest.mark.parametrize("return_sequences", [False, True])
def test_both_directions(merge_mode, return_sequences, rng):
    layer = Bidirectional(
        LSTM(3, return_sequences=return_sequences, return_state=True, dtype="float64"), merge_mode
    )
    layer.build((None, None, 2))
    randomize(layer, rng)
    x, resets = sequences(rng, 6, 6, 2), rng.random((6, 6)) < 0.3
    state = [rng.normal(size=(6, 3)) for _ in range(4)]
    ahead = step_by_step(layer.forward_layer, x, MASK, state[:2], resets)
    back = step_by_step(layer.backward_layer, x, MASK, state[2:], resets)
    if return_sequences:  # k-th visited, at the k-th place that counts: turned round within these
        for row, mask in zip(back[0], MASK):
            row[mask] = row[mask][::-1]
    merged = {
        "concat": [np.concatenate([ahead[0], back[0]], -1)],
        "mul": [ahead[0] * back[0]],
        None: [ahead[0], back[0]],
    }
    arguments = {"mask": MASK, "initial_state": state, "resets": resets}
    assert_all_close(layer(x, **arguments), [*merged[merge_mode], *ahead[1:], *back[1:]], 1e-12)
    check_gradients(layer, x, max_entries=8, **arguments)


@pytest.mark.parametrize(
    "make_layer",
    [
        lambda: Dense(3, "tanh"),
        lambda: Activation("softmax"),
        lambda: TimeDistributed(Dense(2)),
        lambda: Dropout(0.4, seed=1),
        lambda: Flatten(),
        lambda: GlobalAveragePooling1D(),
        lambda: GlobalMaxPooling1D(),
        lambda: Masking(),
        lambda: LSTM(3, dropout=0.3, recurrent_dropout=0.2, return_sequences=True, seed=2),
    ],
)
def test_gradients_of_every_kind_of_layer(make_layer, rng):
    layer = make_layer()
    layer._set_dtype("float64")
    x = sequences(rng, 6, 6, 2)
    check_gradients(layer, x, mask=MASK, max_entries=20)
    y = layer(x, mask=MASK)
    if layer.keeps_steps:
        assert not y[~MASK].any() and y[MASK].any()
    other = np.where(MASK[..., None], x, 7.5)  # what stands at masked steps does not matter
    np.testing.assert_array_equal(layer(other, mask=MASK), y)


def test_flatten_leaves_steps_where_they_are(rng):
    layer, x = Flatten(), sequences(rng, 6, 6, 2, "float32")
    np.testing.assert_array_equal(
        layer(x, mask=MASK), np.where(MASK[..., None], x, 0).reshape(6, 12)
    )
    np.testing.assert_array_equal(
        layer(x, [6, 0, 1, 2, 3, 4])[2], np.r_[x[2, 0], np.zeros(10)].astype("float32")
    )


def test_pooling(rng):
    x = sequences(rng, 6, 6, 2) - 3
    for layer, function in ((GlobalAveragePooling1D, np.mean), (GlobalMaxPooling1D, np.max)):
        wanted = [
            function(row[mask], axis=0) if mask.any() else np.zeros(2) for row, mask in zip(x, MASK)
        ]
        np.testing.assert_allclose(layer(dtype="float64")(x, mask=MASK), wanted, rtol=1e-14)


def test_right_padding_is_lengths(rng):
    """The same bits, and no copy of x on the way."""
    layer = make("lstm", 5, 3, rng, return_sequences=True)
    x, lengths = sequences(rng, 4, 6, 3), np.array([6, 0, 2, 5])
    mask = np.arange(6) < lengths[:, None]
    assert lengths_and_places(mask)[1] is None and lengths_and_places(np.ones((4, 6), bool)) == (
        None,
        None,
    )
    assert_all_same_bits(run(layer, x, mask=mask), run(layer, x, lengths=lengths))
    assert_all_same_bits(run(layer, x, mask=np.ones((4, 6), bool)), run(layer, x))
    assert layer._read(x, None, None, None, mask)[1] is None


def test_a_masked_row_has_the_bits_of_its_steps_alone(rng):
    layer = make("gru", 17, 3, rng, "float32", return_sequences=True)
    x = sequences(rng, 6, 6, 3, "float32")
    y = layer(x, mask=MASK)
    for row, mask, out in zip(x, MASK, y):
        if mask.any():
            np.testing.assert_array_equal(layer(row[None, mask])[0], out[mask])


def test_inference_between_forward_and_backward(rng):
    layer = make("lstm", 3, 2, rng, return_sequences=True)
    x = sequences(rng, 6, 6, 2)
    first = run(layer, x, mask=MASK)
    layer.zero_gradients()
    y = layer(x, mask=MASK, training=True)
    layer(x)
    layer(x, mask=~MASK)
    np.testing.assert_array_equal(layer.backward(np.ones_like(y)), first["x"])


def test_state_is_kept_over_masked_steps(rng):
    layer = make("lstm", 3, 2, rng, stateful=True)
    x = sequences(rng, 6, 6, 2)
    layer(x[:, :3], mask=MASK[:, :3])
    layer(x[:, 3:], mask=MASK[:, 3:])
    halves = layer.state
    layer.reset_state()
    layer(x, mask=MASK)
    assert_all_same_bits(layer.state, halves)


def test_masks_of_values(rng):
    x = rng.normal(size=(2, 3, 2)).astype("float32")
    x[0, 1], x[1, 0], x[1, 2, 0] = 0.1, 0.1, 0.1
    layer = Masking(0.1)  # not the same number in float32 and float64
    np.testing.assert_array_equal(layer.compute_mask(x), [[True, False, True], [False, True, True]])
    np.testing.assert_array_equal(layer(x), np.where(layer.compute_mask(x)[..., None], x, 0))
    assert Masking.from_config(layer.get_config()).mask_value == 0.1
    words = np.array([[1, 0, 2], [0, 0, 3]])
    np.testing.assert_array_equal(Embedding(4, 2, mask_zero=True).compute_mask(words), words > 0)
    assert Embedding(4, 2).compute_mask(words) is None and Dense(2).compute_mask(x) is None


@pytest.mark.parametrize(
    ("layer", "mask", "error", "words"),
    [
        (
            LSTM(3),
            np.ones((2, 5), int),
            DTypeError,
            "mask holds int64 values; expected booleans, True where a step counts",
        ),
        (
            LSTM(3),
            np.ones((2, 4), bool),
            ShapeError,
            r"mask has shape \(2, 4\), x has \(2, 5, 3\); expected \(2, 5\), one flag a step",
        ),
        (LSTM(3), [[True], [True, False]], ShapeError, "mask has rows of different lengths"),
        (GRU(3), np.ones((2, 5, 1), bool), ShapeError, r"mask has shape \(2, 5, 1\)"),
    ],
)
def test_wrong_masks(layer, mask, error, words, rng):
    with pytest.raises(error, match=words):
        layer(np.zeros((2, 5, 3), np.float32), mask=mask)


def test_a_mask_without_steps():
    with pytest.raises(
        ShapeError, match=r"mask was given with an x of shape \(2, 3\), which has no steps"
    ):
        Dense(2)(np.zeros((2, 3), np.float32), mask=np.ones((2, 3), bool))
    with pytest.raises(ConfigError, match="mask_value is nan"):
        Masking(float("nan"))
