"""Results that must be equal, most of them to the bit.

Chunks of time, padding, training and inference, state.
"""

import numpy as np
import pytest
from cases import (
    CELLS,
    as_list,
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    make,
    ragged,
    run,
    sequences,
    states_for,
)
from seeds import generator

from gatewise.layers import (
    GRU,
    LSTM,
    Activation,
    Dense,
    Dropout,
    Flatten,
    InputLayer,
    RepeatVector,
    SimpleRNN,
)

from .identity_cases import everything, train

# ---- time


@pytest.mark.parametrize("cell", CELLS)
def test_chunks_with_carried_state_are_the_whole(cell, dtype, rng, forced_threads):
    """To the bit, wherever the cut is, and step by step."""
    steps = 8
    layer = make(cell, 17, 3, rng, dtype, return_sequences=True, return_state=True)
    forced_threads.set_num_threads(2)
    for batch in (1, 5):
        x, start, resets = (
            sequences(rng, batch, steps, 3, dtype),
            states_for(layer, batch, rng),
            None,
        )
        for resets in (None, rng.random((batch, steps)) < 0.2):
            whole = layer.forward(x, initial_state=start, resets=resets)
            for cuts in ([0, 3, 8], [0, 1, 8], [0, 7, 8], [0, 2, 4, 8], range(9)):
                state, parts = start, []
                for begin, end in zip(cuts, list(cuts)[1:]):
                    piece = None if resets is None else resets[:, begin:end]
                    y, *state = layer.forward(x[:, begin:end], initial_state=state, resets=piece)
                    parts.append(y)
                assert_all_same_bits([np.concatenate(parts, axis=1), *state], whole)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_through_chunks_are_those_of_the_whole(cell, dtype, tolerance, rng):
    """The state's gradient handed back from the second chunk to the first."""
    batch, steps, cut = 5, 8, 3
    layer = make(cell, 10, 3, rng, dtype, return_sequences=True, return_state=True)
    x, start = sequences(rng, batch, steps, 3, dtype), states_for(layer, batch, rng)
    dy = [rng.normal(size=out.shape).astype(dtype) for out in layer.forward(x)]
    whole = run(layer, x, dy, initial_state=start)
    _, *state = layer.forward(x[:, :cut], initial_state=start)
    second = run(layer, x[:, cut:], [dy[0][:, cut:], *dy[1:]], initial_state=state)
    carried = [second[f"state {k}"] for k in range(len(state))]
    first = run(layer, x[:, :cut], [dy[0][:, :cut], *carried], initial_state=start)
    assert_close(
        np.concatenate([first["x"], second["x"]], axis=1), whole["x"], 10 * tolerance.identity
    )
    for name in layer.gradients:
        assert_all_close([first[name] + second[name]], [whole[name]], 20 * tolerance.identity)
    for k in range(len(state)):
        assert_all_close([first[f"state {k}"]], [whole[f"state {k}"]], 10 * tolerance.identity)


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_padded_is_unpadded(cell, go_backwards, dtype, tolerance, rng):
    lengths = [0, 1, 4, 7, 7]
    layer = make(
        cell, 17, 3, rng, dtype, return_sequences=True, return_state=True, go_backwards=go_backwards
    )
    x, start = sequences(rng, 5, 7, 3, dtype), states_for(layer, 5, rng)
    dy = [rng.normal(size=out.shape).astype(dtype) for out in layer.forward(x)]
    padded = run(layer, x, dy, lengths=lengths, initial_state=start)
    sums = {name: np.zeros_like(gradient) for name, gradient in layer.gradients.items()}
    for row, length in enumerate(lengths):
        here = slice(row, row + 1)
        assert not padded["output 0"][row, length:].any()
        if length == 0:
            for k, state in enumerate(start):
                assert_same_bits(padded[f"output {k + 1}"][row], state[row])
                assert_same_bits(padded[f"state {k}"][row], dy[k + 1][row])
            continue
        alone = run(
            layer,
            x[here, :length],
            [dy[0][here, :length], *(d[here] for d in dy[1:])],
            initial_state=[state[here] for state in start],
        )
        assert_same_bits(padded["output 0"][here, :length], alone["output 0"])
        for k in range(len(start)):
            assert_same_bits(padded[f"output {k + 1}"][here], alone[f"output {k + 1}"])
            assert_all_close(
                [padded[f"state {k}"][here]], [alone[f"state {k}"]], tolerance.identity
            )
        assert_all_close([padded["x"][here, :length]], [alone["x"]], tolerance.identity)
        for name in sums:
            sums[name] += alone[name]
    for name, total in sums.items():
        assert_all_close([padded[name]], [total], 10 * tolerance.identity)


@pytest.mark.parametrize("cell", CELLS)
def test_backwards_is_forwards_over_reversed_rows(cell, dtype, tolerance, rng):
    batch, steps = 5, 7
    forwards = make(cell, 10, 3, rng, dtype, return_sequences=True, return_state=True)
    backwards = make(
        cell, 10, 3, rng, dtype, return_sequences=True, return_state=True, go_backwards=True
    )
    backwards.set_weights(forwards.get_weights())
    for lengths in (np.full(batch, steps), ragged(rng, batch, steps)):
        x, resets = sequences(rng, batch, steps, 3, dtype), rng.random((batch, steps)) < 0.2
        start = states_for(forwards, batch, rng)
        turned, turned_resets = x.copy(), resets.copy()
        for row, length in enumerate(lengths):
            turned[row, :length], turned_resets[row, :length] = (
                x[row, :length][::-1],
                resets[row, :length][::-1],
            )
        dy = [rng.normal(size=out.shape).astype(dtype) for out in forwards.forward(x)]
        wanted = run(
            forwards, turned, dy, lengths=lengths, resets=turned_resets, initial_state=start
        )
        got = run(backwards, x, dy, lengths=lengths, resets=resets, initial_state=start)
        for row, length in enumerate(lengths):
            wanted["x"][row, :length] = wanted["x"][row, :length][::-1].copy()
        for name in wanted:
            if name.startswith("output"):
                assert_same_bits(got[name], wanted[name], name)
            else:
                assert_all_close([got[name]], [wanted[name]], 10 * tolerance.identity)


@pytest.mark.parametrize("cell", CELLS)
def test_a_reset_is_a_new_row(cell, dtype, rng):
    layer = make(cell, 10, 3, rng, dtype, return_sequences=True, return_state=True)
    x, start, resets = (
        sequences(rng, 4, 7, 3, dtype),
        states_for(layer, 4, rng),
        np.zeros((4, 7), bool),
    )
    resets[1, 3] = resets[2, 0] = resets[3, 6] = True
    y, *last = layer.forward(x, initial_state=start, resets=resets)
    for row, at in [(1, 3), (2, 0), (3, 6)]:
        here = slice(row, row + 1)
        after = layer.forward(x[here, at:])
        assert_all_same_bits([y[here, at:], *(state[here] for state in last)], after)
        assert_same_bits(
            y[here, :at] if at else y[here, :0],
            (
                layer.forward(x[here, :at], initial_state=[s[here] for s in start])[0]
                if at
                else y[here, :0]
            ),
        )
    assert_same_bits(y[:1], layer.forward(x[:1], initial_state=[s[:1] for s in start])[0])


# ---- the same thing asked for in two ways


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_training_and_inference_give_the_same_bits(cell, go_backwards, dtype, rng):
    for units in (1, 16, 37):
        for return_sequences in (False, True):
            layer = make(
                cell,
                units,
                3,
                rng,
                dtype,
                return_sequences=return_sequences,
                return_state=True,
                go_backwards=go_backwards,
            )
            for arguments in ({}, everything(layer, rng, 13, 5)):
                x = sequences(rng, 13, 5, 3, dtype)
                assert_all_same_bits(
                    layer.forward(x, training=True, **arguments), layer.forward(x, **arguments)
                )


@pytest.mark.parametrize("activation", ["linear", "tanh", "softmax"])
def test_training_and_inference_give_the_same_bits_in_dense(activation, dtype, rng):
    layer = Dense(37, activation, dtype=dtype, seed=1)
    x = rng.normal(size=(13, 5)).astype(dtype)
    assert_same_bits(layer.forward(x, training=True), layer.forward(x))


@pytest.mark.parametrize("cell", CELLS)
def test_the_last_output_is_the_last_of_the_sequence(cell, dtype, rng):
    sequence = make(cell, 17, 3, rng, dtype, return_sequences=True, return_state=True)
    last = make(cell, 17, 3, rng, dtype, return_state=True)
    last.set_weights(sequence.get_weights())
    x, arguments = sequences(rng, 7, 5, 3, dtype), everything(last, rng, 7, 5)
    arguments["lengths"] = np.maximum(arguments["lengths"], 1)
    y, *states = sequence.forward(x, **arguments)
    output, *other_states = last.forward(x, **arguments)
    assert_same_bits(output, y[np.arange(7), arguments["lengths"] - 1])
    assert_same_bits(output, states[0])
    assert_all_same_bits(other_states, states)


@pytest.mark.parametrize("cell", CELLS)
def test_lengths_of_all_steps_are_no_lengths(cell, dtype, rng):
    layer = make(cell, 17, 3, rng, dtype, return_sequences=True, return_state=True)
    x = sequences(rng, 7, 5, 3, dtype)
    plain = train(layer, x)
    assert_all_same_bits(train(layer, x, lengths=[5] * 7), plain)
    assert_all_same_bits(train(layer, x, resets=np.zeros((7, 5), bool)), plain)
    assert_all_same_bits(
        train(layer, x, initial_state=[np.zeros((7, 17), dtype)] * len(layer.cell.states)), plain
    )


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_add_up_until_they_are_cleared(cell, dtype, tolerance, rng):
    layer = make(cell, 10, 3, rng, dtype)
    x = sequences(rng, 5, 4, 3, dtype)
    once = run(layer, x)
    layer.forward(x, training=True)
    layer.backward(np.ones((5, 10), dtype))
    for name, gradient in layer.gradients.items():
        assert_all_close([gradient], [2 * once[name]], tolerance.identity)
    layer.zero_gradients()
    assert not any(gradient.any() for gradient in layer.gradients.values())
    assert_all_same_bits(run(layer, x), once)


@pytest.mark.parametrize("cell", CELLS)
def test_an_inference_between_forward_and_backward_is_not_noticed(cell, dtype, rng):
    layer = make(
        cell, 10, 3, rng, dtype, return_sequences=True, dropout=0.2, recurrent_dropout=0.2, seed=1
    )
    x, dy = sequences(rng, 5, 4, 3, dtype), sequences(rng, 5, 4, 10, dtype)
    results = []
    for between in (False, True):
        layer.rng = generator(3)
        layer.zero_gradients()
        layer.forward(x, training=True)
        if between:
            layer.forward(sequences(rng, 9, 6, 3, dtype), lengths=[6] * 9)
        results.append([layer.backward(dy), *(g.copy() for g in layer.gradients.values())])
    assert_all_same_bits(results[1], results[0])


def test_missing_gradients_are_zeros(dtype, rng):
    for cell in CELLS:
        layer = make(cell, 5, 3, rng, dtype, return_sequences=True, return_state=True)
        x = sequences(rng, 4, 6, 3, dtype)
        outputs = layer.forward(x)
        for kept in range(len(outputs)):
            dy = [out if k == kept else np.zeros_like(out) for k, out in enumerate(outputs)]
            wanted = run(layer, x, dy)
            got = run(layer, x, [d if k == kept else None for k, d in enumerate(dy)])
            for name in wanted:
                np.testing.assert_array_equal(got[name], wanted[name])


def test_a_layer_from_its_config_is_the_same_layer(dtype, rng):
    layers = [
        LSTM(
            5,
            activation="relu",
            recurrent_activation="hard_sigmoid",
            dropout=0.2,
            recurrent_dropout=0.1,
            seed=3,
            kernel_regularizer="l2",
            return_sequences=True,
            unit_forget_bias=False,
            dtype=dtype,
            name="a",
        ),
        GRU(
            5,
            reset_after=False,
            update="chung",
            go_backwards=True,
            return_state=True,
            use_bias=False,
            seed=3,
            dtype=dtype,
        ),
        SimpleRNN(
            5,
            stateful=True,
            recurrent_initializer="identity",
            bias_initializer="ones",
            seed=3,
            dtype=dtype,
            input_shape=(None, 3),
        ),
        Dense(
            4, "softmax", kernel_initializer="he_normal", bias_regularizer="l1", seed=3, dtype=dtype
        ),
        Activation("elu", dtype=dtype),
        Dropout(0.3, noise_shape=(None, 1, None), seed=3, dtype=dtype),
        Flatten(dtype=dtype),
        InputLayer(input_shape=(4, 3), dtype=dtype),
    ]
    x = sequences(rng, 5, 4, 3, dtype)
    for layer in [*layers, RepeatVector(4, dtype=dtype)]:
        config = layer.get_config()
        twin = type(layer).from_config(config)
        assert twin.get_config() == config
        assert twin.name == layer.name
        for training in (False, True):
            given = x[:, 0] if isinstance(layer, RepeatVector) else x
            assert_all_same_bits(
                as_list(twin.forward(given, training=training)),
                as_list(layer.forward(given, training=training)),
            )


def test_layers_with_one_seed_are_alike_and_others_are_not(rng):
    first, again, other = LSTM(5, seed=1), LSTM(5, seed=1), LSTM(5, seed=2)
    for layer in (first, again, other):
        layer.build((None, None, 3))
    assert_all_same_bits(again.get_weights(), first.get_weights())
    assert (first.get_weights()[0] != other.get_weights()[0]).any()


# ---- state


@pytest.mark.parametrize("cell", CELLS)
def test_a_stateful_layer_carries_its_state(cell, dtype, rng):
    plain = make(cell, 10, 3, rng, dtype, return_sequences=True, return_state=True)
    layer = make(cell, 10, 3, rng, dtype, return_sequences=True, stateful=True)
    layer.set_weights(plain.get_weights())
    x = sequences(rng, 5, 9, 3, dtype)
    y, *last = plain.forward(x)
    for training in (False, True):
        layer.reset_state()
        assert layer.state is None
        parts = [layer.forward(x[:, a:b], training=training) for a, b in [(0, 4), (4, 5), (5, 9)]]
        assert_same_bits(np.concatenate(parts, axis=1), y)
        assert_all_same_bits(layer.state, last)
    # the state is that of each row's last true step, and rows of no steps keep theirs
    lengths, before = np.array([2, 0, 4, 1, 3]), layer.state
    _, *wanted = plain.forward(x[:, :4], lengths=lengths, initial_state=before)
    layer.forward(x[:, :4], lengths=lengths)
    assert_all_same_bits(layer.state, wanted)
    assert_same_bits(layer.state[0][1], before[0][1])


@pytest.mark.parametrize("cell", CELLS)
def test_the_state_can_be_read_set_and_cleared(cell, dtype, rng):
    layer = make(cell, 10, 3, rng, dtype, stateful=True)
    x = sequences(rng, 5, 4, 3, dtype)
    fresh = layer.forward(x)
    state = layer.state
    second = layer.forward(x)
    assert (second != fresh).any()
    layer.state = state
    state[0][:] = 7  # a copy was taken
    assert_same_bits(layer.forward(x), second)
    layer.state = None
    assert_same_bits(layer.forward(x), fresh)
    layer.reset_state()
    assert_same_bits(layer.forward(x), fresh)
    # an initial state that is passed counts more than the kept one
    given = states_for(layer, 5, rng)
    wanted = layer.forward(x, initial_state=given)
    layer.reset_state()
    assert_same_bits(layer.forward(x, initial_state=given), wanted)
    # a failed call leaves the state as it was
    before = layer.state
    with pytest.raises(ValueError, match="NaN|nan"):
        layer.forward(np.full((5, 4, 3), np.nan, dtype))
    assert_all_same_bits(layer.state, before)


@pytest.mark.parametrize("cell", CELLS)
def test_a_stateful_layer_takes_any_batch_size(cell, dtype, rng):
    layer = make(cell, 10, 3, rng, dtype, stateful=True)
    plain = make(cell, 10, 3, rng, dtype)
    plain.set_weights(layer.get_weights())
    for batch in (5, 1, 12):
        x = sequences(rng, batch, 4, 3, dtype)
        layer.reset_state()
        assert_same_bits(layer.forward(x), plain.forward(x))
        layer.state = states = states_for(layer, batch + 1, rng)
        longer = sequences(rng, batch + 1, 4, 3, dtype)
        assert_same_bits(layer.forward(longer), plain.forward(longer, initial_state=states))


def test_other_layers_keep_no_state(dtype, rng):
    layer = make("lstm", 5, 3, rng, dtype)
    x = sequences(rng, 4, 3, 3, dtype)
    assert_same_bits(layer.forward(x), layer.forward(x))
    assert layer.state is None


def test_the_backward_pass_leaves_small_numbers_as_they_were(rng):
    """Subnormal numbers are zero while a gradient is computed, and numbers again behind it.

    What vanishes is zero, not slow.
    """
    layer = GRU(5, seed=0)
    x = rng.normal(size=(2, 400, 3)).astype("float32")
    y = layer.forward(x, training=True)
    dx = layer.backward(np.ones_like(y))
    assert not ((dx != 0) & (np.abs(dx) < np.finfo(np.float32).tiny)).any()
    assert np.float32(1e-39) * np.float32(0.5) > 0
    assert (np.full(100, 1e-39, np.float32) * np.float32(0.5) > 0).all()
