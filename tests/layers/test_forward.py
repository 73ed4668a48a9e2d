"""Forward passes against the equations, for every form of input; arrays stay their owner's."""

import itertools

import numpy as np
import pytest
import reference
from cases import (
    ACTIVATIONS,
    CELLS,
    UNITS,
    as_list,
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    expected,
    make,
    ragged,
    randomize,
    run,
    sequences,
    states_for,
)
from seeds import generator

from gatewise.layers import Activation, Dense, Dropout, Flatten, InputLayer, RepeatVector


def everything(layer, rng, batch, steps):
    """Ragged lengths with an empty row, resets, an initial state."""
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": states_for(layer, batch, rng),
    }


def check(layer, x, tolerance, **arguments):
    """Inference and training against the reference."""
    wanted = as_list(expected(layer, x, **arguments))
    for training in (False, True):
        got = layer.forward(x, training=training, **arguments)
        assert all(out.dtype == layer.dtype for out in as_list(got))
        assert isinstance(got, list) == layer.return_state
        assert_all_close(as_list(got), wanted, tolerance.forward)


# ---- recurrent layers


@pytest.mark.parametrize("units", [*UNITS, 2, 3, 4, 5, 8, 9, 64, 65])
@pytest.mark.parametrize("cell", CELLS)
def test_units(cell, units, dtype, tolerance, rng):
    layer = make(cell, units, 3, rng, dtype, return_sequences=True, return_state=True)
    x = sequences(rng, 4, 5, 3, dtype)
    check(layer, x, tolerance)
    check(layer, x, tolerance, **everything(layer, rng, 4, 5))


@pytest.mark.parametrize(
    ("batch", "steps", "inputs"),
    [(1, 1, 1), (1, 9, 2), (13, 1, 3), (7, 3, 1), (2, 35, 20), (25, 4, 37), (3, 16, 2), (3, 17, 2)],
)
@pytest.mark.parametrize("cell", CELLS)
def test_shapes(cell, batch, steps, inputs, dtype, tolerance, rng):
    layer = make(cell, 6, inputs, rng, dtype, return_sequences=True, return_state=True)
    x = sequences(rng, batch, steps, inputs, dtype)
    check(layer, x, tolerance)
    check(layer, x, tolerance, initial_state=states_for(layer, batch, rng))
    check(layer, x, tolerance, **everything(layer, rng, batch, steps))


@pytest.mark.parametrize(
    ("return_sequences", "return_state", "go_backwards"),
    list(itertools.product([False, True], repeat=3)),
)
@pytest.mark.parametrize("cell", CELLS)
def test_outputs(cell, return_sequences, return_state, go_backwards, dtype, tolerance, rng):
    layer = make(
        cell,
        5,
        3,
        rng,
        dtype,
        return_sequences=return_sequences,
        return_state=return_state,
        go_backwards=go_backwards,
    )
    x = sequences(rng, 5, 6, 3, dtype)
    check(layer, x, tolerance)
    check(layer, x, tolerance, lengths=[0, 0, 0, 0, 0], initial_state=states_for(layer, 5, rng))
    for _ in range(3):
        check(layer, x, tolerance, **everything(layer, rng, 5, 6))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("cell", CELLS)
def test_activations(cell, activation, dtype, tolerance, rng):
    x = sequences(rng, 3, 4, 3, dtype)
    if activation == "exponential":  # grows from step to step, and so does the rounding
        x *= 0.5
    layer = randomize(
        make(cell, 6, 3, rng, dtype, activation=activation, return_sequences=True), rng, 0.3
    )
    check(layer, x, tolerance, **everything(layer, rng, 3, 4))
    if cell != "rnn":
        layer = make(cell, 6, 3, rng, dtype, recurrent_activation=activation, return_sequences=True)
        check(randomize(layer, rng, 0.3), x, tolerance, **everything(layer, rng, 3, 4))


@pytest.mark.parametrize("cell", CELLS)
def test_without_bias(cell, dtype, tolerance, rng):
    layer = make(cell, 10, 3, rng, dtype, use_bias=False, return_sequences=True)
    check(layer, sequences(rng, 4, 5, 3, dtype), tolerance)


@pytest.mark.parametrize("cell", CELLS)
def test_saturated_and_denormal(cell, dtype, tolerance, rng):
    layer = make(cell, 10, 3, rng, dtype, return_sequences=True)
    x = sequences(rng, 4, 5, 3, dtype)
    for scale in (1e30, 1e4, np.finfo(dtype).smallest_subnormal):
        check(layer, x * x.dtype.type(scale), tolerance)


@pytest.mark.parametrize("return_sequences", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_a_batch_of_no_rows(cell, return_sequences, dtype, rng):
    layer = make(cell, 5, 3, rng, dtype, return_sequences=return_sequences, return_state=True)
    x = np.empty((0, 4, 3), dtype)
    for arguments in (
        {},
        {
            "lengths": np.empty(0, int),
            "resets": np.empty((0, 4), bool),
            "initial_state": states_for(layer, 0, rng),
        },
    ):
        for training in (False, True):
            y, *states = layer.forward(x, training=training, **arguments)
            assert y.shape == ((0, 4, 5) if return_sequences else (0, 5)) and y.dtype == dtype
            assert [state.shape for state in states] == [(0, 5)] * len(layer.cell.states)
        layer.zero_gradients()
        assert layer.backward([y, *states]).shape == x.shape
        assert all(not gradient.any() for gradient in layer.gradients.values())
        assert [gradient.shape for gradient in layer.initial_state_gradient] == [(0, 5)] * len(
            layer.cell.states
        )


def test_a_batch_of_no_rows_through_other_layers(dtype):
    for layer in (
        Dense(3, "softmax", dtype=dtype),
        Activation("tanh", dtype=dtype),
        Activation("softmax", dtype=dtype),
        Dropout(0.5, dtype=dtype),
        InputLayer(input_shape=(4, 2), dtype=dtype),
    ):
        layer.build((None, 4, 2))
        y = layer.forward(np.empty((0, 4, 2), dtype), training=True)
        assert y.shape == (0, 4, 3 if isinstance(layer, Dense) else 2)
        assert layer.backward(y).shape == (0, 4, 2)
    flatten = Flatten(dtype=dtype)
    assert flatten.forward(np.empty((0, 4, 2), dtype), training=True).shape == (0, 8)
    assert flatten.backward(np.empty((0, 8), dtype)).shape == (0, 4, 2)
    repeat = RepeatVector(3, dtype=dtype)
    assert repeat.forward(np.empty((0, 2), dtype), training=True).shape == (0, 3, 2)
    assert repeat.backward(np.empty((0, 3, 2), dtype)).shape == (0, 2)


# ---- dropout


def test_input_dropout_is_one_draw_a_sequence(dtype, rng):
    """A linear layer that copies its input shows the mask."""
    layer = make(
        "rnn", 50, 50, rng, dtype, activation="linear", dropout=0.3, return_sequences=True, seed=1
    )
    layer.set_weights([np.eye(50), np.zeros((50, 50)), np.zeros(50)])
    x = np.ones((40, 6, 50), dtype)
    np.testing.assert_array_equal(layer.forward(x), x)
    y = layer.forward(x, training=True)
    np.testing.assert_array_equal(np.unique(y), np.asarray([0, 1 / 0.7], dtype))
    np.testing.assert_array_equal(y, np.repeat(y[:, :1], 6, axis=1))
    assert (y[:, 0] == 0).mean() == pytest.approx(0.3, abs=0.06)
    assert len(np.unique(y[:, 0], axis=0)) == 40, "rows share a draw"
    assert (layer.forward(x, training=True) != y).any()


def test_recurrent_dropout_is_one_draw_a_sequence(dtype, rng):
    layer = make(
        "rnn",
        50,
        1,
        rng,
        dtype,
        activation="linear",
        recurrent_dropout=0.3,
        return_sequences=True,
        seed=1,
    )
    layer.set_weights([np.zeros((1, 50)), np.eye(50), np.zeros(50)])
    x, h0 = np.zeros((40, 4, 1), dtype), [np.ones((40, 50), dtype)]
    np.testing.assert_array_equal(layer.forward(x, initial_state=h0), np.ones((40, 4, 50)))
    y = layer.forward(x, initial_state=h0, training=True)
    mask = y[:, 0]
    np.testing.assert_array_equal(np.unique(mask), np.asarray([0, 1 / 0.7], dtype))
    for t in range(4):
        np.testing.assert_allclose(y[:, t], mask ** (t + 1), rtol=1e-5)
    assert (mask == 0).mean() == pytest.approx(0.3, abs=0.06)
    assert len(np.unique(mask, axis=0)) == 40, "rows share a draw"


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_dropout_touches_only_the_recurrent_product(cell, rng, dtype, tolerance):
    """Of the GRU, h' is kept unmasked where it is mixed with the candidate."""
    units, rate, batch, steps = 10, 0.4, 3, 4
    layer = make(
        cell, units, 3, rng, dtype, recurrent_dropout=rate, return_sequences=True, return_state=True
    )
    shows_mask = make("rnn", units, 3, rng, dtype, activation="linear", recurrent_dropout=rate)
    shows_mask.set_weights([np.zeros((3, units)), np.eye(units), np.zeros(units)])
    shows_mask.rng, layer.rng = generator(8), generator(8)
    mask = shows_mask.forward(
        np.zeros((batch, 1, 3), dtype),
        initial_state=[np.ones((batch, units), dtype)],
        training=True,
    ).astype(np.float64)
    assert 0 < (mask == 0).sum() < mask.size

    x, states = sequences(rng, batch, steps, 3, dtype), states_for(layer, batch, rng)
    W, U, b = (np.asarray(w, np.float64) for w in layer.get_weights())
    h = states[0].astype(np.float64)
    c, wanted = states[-1].astype(np.float64), []
    for t in range(steps):
        if layer.cell.family == "gru":
            b_x, b_h = b if b.ndim == 2 else (b, np.zeros_like(b))
            a, q = x[:, t] @ W + b_x, (h * mask) @ U + b_h
            z, r = np.split(reference.sigmoid((a + q)[:, : 2 * units]), 2, axis=1)
            if layer.cell.reset_after:
                inner = r * q[:, 2 * units :]
            else:
                inner = (r * h * mask) @ U[:, 2 * units :]
            n = np.tanh(a[:, 2 * units :] + inner)
            h = z * h + (1 - z) * n if layer.cell.update == "cho" else (1 - z) * h + z * n
        elif layer.cell.family == "lstm":
            _, (h, c) = reference.lstm(x[:, t : t + 1], W, U, b, h * mask, c)
        else:
            _, (h,) = reference.rnn(x[:, t : t + 1], W, U, b, h * mask)
        wanted.append(h)
    y, *last = layer.forward(x, initial_state=states, training=True)
    assert_close(y, np.stack(wanted, axis=1), tolerance.forward)
    assert_close(last[0], h, tolerance.forward)


# ---- layers without memory


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax"])
def test_dense(activation, use_bias, dtype, tolerance, rng):
    for shape, units in [
        ((1, 1), 1),
        ((5, 3), 17),
        ((3, 4, 5), 37),
        ((2, 3, 2, 4), 3),
        ((400, 2), 70),
    ]:
        layer = Dense(units, activation=activation, use_bias=use_bias, dtype=dtype)
        layer.build((None, *shape[1:]))
        randomize(layer, rng)
        x = rng.normal(size=shape).astype(dtype)
        wanted = reference.dense(x, *layer.get_weights(), activation=activation)
        for training in (False, True):
            y = layer.forward(x, training=training)
            assert y.dtype == dtype
            assert_close(y, wanted, tolerance.forward)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax"])
def test_activation_layer(activation, dtype, tolerance, rng):
    for shape in [(1, 1), (5, 17), (3, 4, 5), (500, 70)]:
        x = rng.normal(scale=3, size=shape).astype(dtype)
        y = Activation(activation, dtype=dtype).forward(x)
        assert y.dtype == dtype
        assert_close(y, reference.ACTIVATIONS[activation](x.astype(np.float64)), tolerance.forward)


def test_dropout_layer(dtype, rng):
    x = rng.normal(size=(50, 20, 10)).astype(dtype)
    for noise_shape, shared in [
        (None, ()),
        ((None, 1, None), (1,)),
        ((1, None, None), (0,)),
        ((50, 1, 1), (1, 2)),
    ]:
        layer = Dropout(0.25, noise_shape=noise_shape, seed=1, dtype=dtype)
        np.testing.assert_array_equal(layer.forward(x), x)
        y = layer.forward(x, training=True)
        ratio = y / x
        assert np.isclose(ratio, 0).any() and np.isclose(ratio, 4 / 3).any()
        assert (np.isclose(ratio, 0) | np.isclose(ratio, 4 / 3)).all()
        dropped = y == 0
        assert dropped.mean() == pytest.approx(0.25, abs=0.12)
        for axis in range(3):
            same = (dropped == dropped.take([0], axis=axis)).all()
            assert same == (axis in shared)


def test_flatten_and_input(dtype, rng):
    x = rng.normal(size=(3, 4, 5)).astype(dtype)
    np.testing.assert_array_equal(Flatten(dtype=dtype).forward(x), x.reshape(3, 20))
    np.testing.assert_array_equal(InputLayer(input_shape=(4, 5), dtype=dtype).forward(x), x)


def test_repeat_vector(dtype, rng):
    x = rng.normal(size=(3, 5)).astype(dtype)
    layer = RepeatVector(4, dtype=dtype)
    y = layer.forward(x, training=True)
    assert layer.output_shape == (None, 4, 5) and y.flags.c_contiguous
    assert_same_bits(y, np.stack([x] * 4, axis=1))
    dy = rng.normal(size=y.shape).astype(dtype)
    np.testing.assert_allclose(layer.backward(dy), sum(dy[:, step] for step in range(4)), rtol=1e-5)
    one = RepeatVector(1, dtype=dtype)
    assert not np.shares_memory(one.forward(x), x)


# ---- the forms that inputs come in

FORMS = {
    "list": lambda x: x.tolist(),
    "tuples": lambda x: tuple(tuple(map(tuple, row)) for row in x.tolist()),
    "list of arrays": list,
    "fortran": np.asfortranarray,
    "transposed": lambda x: np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "reversed": lambda x: np.ascontiguousarray(x[::-1, ::-1, ::-1])[::-1, ::-1, ::-1],
    "read-only": lambda x: _read_only(x.copy()),
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "odd address": lambda x: _at_odd_address(x),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "subclass": lambda x: x.view(np.memmap),
}


def _read_only(x):
    x.flags.writeable = False
    return x


def _at_odd_address(x):
    memory = np.empty(x.nbytes + 1, np.uint8)[1:]
    odd = memory.view(x.dtype).reshape(x.shape)
    odd[...] = x
    assert odd.flags.c_contiguous and not odd.flags.aligned
    return odd


def layers_for_forms(dtype, rng):
    yield make("lstm", 10, 3, rng, dtype, return_sequences=True)
    yield make("gru_before", 10, 3, rng, dtype, dropout=0.2, go_backwards=True, seed=1)
    yield Dense(7, "tanh", dtype=dtype, seed=1)
    yield Activation("softmax", dtype=dtype)
    yield Flatten(dtype=dtype)
    yield Dropout(0.5, seed=1, dtype=dtype)
    yield InputLayer(input_shape=(4, 3), dtype=dtype)


@pytest.mark.parametrize("form", FORMS)
def test_inputs_may_come_in_any_form(form, dtype, rng):
    x = sequences(rng, 5, 4, 3, dtype)
    if form == "broadcast":
        x[:] = x[0]
    for layer in layers_for_forms(dtype, rng):
        layer.built or layer.build((None, 4, 3))
        wanted = layer.forward(x)
        assert_same_bits(layer.forward(FORMS[form](x)), wanted)
        layer.rng = generator(3)
        wanted = run(layer, x, dy=[np.ones_like(wanted)])
        layer.rng = generator(3)
        dy = [
            (
                FORMS[form](np.ones_like(wanted["output 0"]))
                if wanted["output 0"].ndim == 3
                else np.ones_like(wanted["output 0"])
            )
        ]
        assert_all_same_bits(run(layer, FORMS[form](x), dy=dy), wanted)


@pytest.mark.parametrize(
    "kind", ["bool", "int8", "uint8", "int16", "int32", "int64", "uint64", "float16", "float32"]
)
def test_inputs_of_narrower_types(kind, dtype, rng):
    x = rng.integers(0, 2 if kind == "bool" else 100, (5, 4, 3)).astype(kind)
    for layer in layers_for_forms(dtype, rng):
        assert_same_bits(layer.forward(x), layer.forward(x.astype(dtype)))
        assert_same_bits(layer.forward(x.tolist()), layer.forward(x.astype(dtype)))


@pytest.mark.parametrize("kind", ["int32", "int8", "uint64", "list", "strided", "read-only"])
def test_lengths_resets_and_states_may_come_in_any_form(kind, dtype, rng):
    layer = make("lstm", 5, 3, rng, dtype, return_sequences=True)
    x, lengths, resets = sequences(rng, 5, 6, 3, dtype), ragged(rng, 5, 6), rng.random((5, 6)) < 0.3
    states = states_for(layer, 5, rng)
    wanted = layer.forward(x, lengths=lengths, resets=resets, initial_state=states)
    if kind == "list":
        lengths, resets, states = (
            lengths.tolist(),
            resets.tolist(),
            [state.tolist() for state in states],
        )
    elif kind == "strided":
        lengths, resets, states = (
            np.repeat(lengths, 2)[::2],
            np.asfortranarray(resets),
            tuple(np.asfortranarray(state) for state in states),
        )
    elif kind == "read-only":
        lengths, resets, states = (
            _read_only(lengths),
            _read_only(resets),
            [_read_only(state) for state in states],
        )
    else:
        lengths = lengths.astype(kind)
    assert_same_bits(layer.forward(x, lengths=lengths, resets=resets, initial_state=states), wanted)


def test_a_single_state_need_not_be_in_a_list(dtype, rng):
    layer = make("gru", 5, 3, rng, dtype)
    x, (h,) = sequences(rng, 4, 3, 3, dtype), states_for(layer, 4, rng)
    assert_same_bits(layer.forward(x, initial_state=h), layer.forward(x, initial_state=[h]))


# ---- whose memory is it


def one_of_each(dtype, rng):
    """(layer, arguments) that take every path where an array might be kept instead of copied."""
    for cell in CELLS:
        for options in (
            {"return_sequences": True, "return_state": True},
            {"return_state": True, "stateful": True},
            {
                "return_sequences": True,
                "go_backwards": True,
                "dropout": 0.3,
                "recurrent_dropout": 0.3,
            },
            {"stateful": True},
        ):
            layer = make(cell, 5, 3, rng, dtype, seed=1, **options)
            yield layer, everything(layer, rng, 4, 6)
            yield layer, {}
    for layer in layers_for_forms(dtype, rng):
        if not hasattr(layer, "cell"):
            yield layer, {}
    yield Dropout(0, dtype=dtype), {}
    yield Activation("linear", dtype=dtype), {}
    yield Dense(3, dtype=dtype), {}


def test_inputs_are_never_changed(dtype, rng):
    x = sequences(rng, 4, 6, 3, dtype)
    for layer, arguments in one_of_each(dtype, rng):
        given = [x, *(a for v in arguments.values() for a in (v if isinstance(v, list) else [v]))]
        before = [array.copy() for array in given]
        layer.forward(x, **arguments)
        outputs = as_list(layer.forward(x, training=True, **arguments))
        dy = [rng.normal(size=out.shape).astype(dtype) for out in outputs]
        dy_before = [array.copy() for array in dy]
        layer.backward(dy if len(dy) > 1 else dy[0])
        for array, value in zip((*given, *dy), (*before, *dy_before)):
            assert_same_bits(array, value, repr(layer))


def test_outputs_belong_to_the_caller(dtype, rng):
    """Whatever is done to what forward returned.

    The backward pass, the state and the next call do not notice.
    """
    x = sequences(rng, 4, 6, 3, dtype)
    for layer, arguments in one_of_each(dtype, rng):
        results = []
        for spoil in (False, True):
            layer.rng = generator(5)
            if hasattr(layer, "reset_state"):
                layer.reset_state()
            layer.forward(
                x[:, :3] if not isinstance(layer, Flatten) else x,
                **{k: v for k, v in arguments.items() if k == "initial_state"},
            )
            outputs = as_list(layer.forward(x, training=True, **arguments))
            dy = [np.cos(np.arange(out.size)).reshape(out.shape).astype(dtype) for out in outputs]
            values = [out.copy() for out in outputs]
            if spoil:
                for out in outputs:
                    assert not np.shares_memory(out, x)
                    out.fill(np.nan)
            layer.zero_gradients()
            dx = layer.backward(dy if len(dy) > 1 else dy[0])
            values += [dx.copy(), *(gradient.copy() for gradient in layer.gradients.values())]
            for gradient in getattr(layer, "initial_state_gradient", None) or []:
                values.append(gradient.copy())
                gradient.fill(np.nan)
            if spoil:
                assert not np.shares_memory(dx, x)
                dx.fill(np.nan)
            values += getattr(layer, "state", None) or []
            if getattr(layer, "state", None) and spoil:
                for array in layer.state:
                    array.fill(np.nan)
            values += as_list(layer.forward(x, **arguments))
            results.append(values)
        assert_all_same_bits(results[1], results[0])


def test_dx_does_not_share_memory_with_dy(dtype, rng):
    x = sequences(rng, 4, 6, 3, dtype)
    sharing = []
    for layer, arguments in one_of_each(dtype, rng):
        outputs = as_list(layer.forward(x, training=True, **arguments))
        dx = layer.backward(outputs if len(outputs) > 1 else outputs[0])
        if any(np.shares_memory(dx, dy) for dy in outputs):
            sharing.append(repr(layer))
    assert not sharing


def test_a_later_forward_leaves_earlier_outputs_alone(dtype, rng):
    x, other = sequences(rng, 4, 6, 3, dtype), sequences(rng, 4, 6, 3, dtype)
    for layer, arguments in one_of_each(dtype, rng):
        for training in (False, True):
            first = as_list(layer.forward(x, training=training, **arguments))
            before = [out.copy() for out in first]
            layer.forward(other, training=training, **arguments)
            assert_all_same_bits(first, before)


def test_weights_are_handed_out_as_copies_and_parameters_as_views(dtype, rng):
    for layer in (
        make("lstm", 5, 3, rng, dtype),
        make("gru", 5, 3, rng, dtype),
        Dense(5, dtype=dtype, seed=1),
    ):
        x = sequences(rng, 4, 6, 3, dtype)
        before = layer.forward(x)
        for array in layer.get_weights():
            array.fill(np.nan)
        weights = [rng.normal(size=array.shape) for array in layer.get_weights()]
        assert_same_bits(layer.forward(x), before)
        layer.set_weights(weights)
        after = layer.forward(x)
        assert (after != before).any()
        for array in weights:
            array.fill(np.nan)
        assert_same_bits(layer.forward(x), after)
        # written to through views, at any time, and packed copies do not lag behind
        parameters = layer.parameters
        assert all(
            np.shares_memory(view, layer.parameters[name]) for name, view in parameters.items()
        )
        layer.forward(x)
        parameters["kernel"][...] = 0
        parameters["bias"][...] = 0
        wanted = layer.__class__.from_config(layer.get_config() | {"name": "other"})
        wanted.build(layer.input_shape)
        wanted.set_weights(layer.get_weights())
        assert_same_bits(layer.forward(x), wanted.forward(x))


def test_padding_is_never_read(dtype, rng):
    """Any numbers past a row's end, in x and in dy: the same bits in every result and gradient."""
    lengths = np.array([0, 3, 6, 1])
    past = np.arange(6) >= lengths[:, None]
    for cell in CELLS:
        for options in ({}, {"go_backwards": True}, {"recurrent_dropout": 0.3, "dropout": 0.3}):
            layer = make(cell, 5, 3, rng, dtype, return_sequences=True, seed=1, **options)
            x, dy = sequences(rng, 4, 6, 3, dtype), sequences(rng, 4, 6, 5, dtype)
            results = []
            for filler in (0, 1, -1e30):
                x[past], dy[past] = filler, filler
                layer.rng = generator(2)
                results.append(run(layer, x, [dy], lengths=lengths))
                assert not results[-1]["output 0"][past].any()
                assert not results[-1]["x"][past].any()
            for result in results[1:]:
                for name in result:
                    np.testing.assert_array_equal(result[name], results[0][name], name)
