"""GRU-D against its equations, row by row, and against differences.

What is missing decays, what is seen does not.
"""

import numpy as np
import pytest
from cases import (
    assert_all_close,
    assert_all_same_bits,
    assert_close,
    assert_same_bits,
    make,
    ragged,
    randomize,
    run,
)
from reference import ACTIVATIONS

from gatewise.data import missing_indicators
from gatewise.errors import ArgumentError, ConfigError, DTypeError, ShapeError, StateError
from gatewise.layers import GRUD, Dense, Input
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam
from gatewise.testing import check_gradients

FEATURES = 3
MEANS = [0.5, -1.0, 2.0]


def series(rng, batch, steps, dtype="float64", features=FEATURES):
    """Values (0 where missing), mask, and times that are no round numbers."""
    mask = rng.random((batch, steps, features)) < 0.5
    values = np.where(mask, rng.normal(size=mask.shape), 0)
    return np.concatenate([values, mask, rng.uniform(0.2, 3, mask.shape)], axis=2).astype(dtype)


def layer_of(rng, units=4, dtype="float64", scale=0.7, features=FEATURES, **options):
    """A built layer with random weights, decays on both sides of where they begin."""
    layer = GRUD(units, dtype=dtype, **options)
    layer.build((None, None, 3 * features))
    return randomize(layer, rng, scale)


def everything(layer, rng, batch, steps):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": [
            rng.normal(size=(batch, size)).astype(layer.dtype) for size in layer.state_sizes
        ],
    }


def wanted(layer, x, lengths=None, resets=None, initial_state=None):
    """([sequences, h, last seen value minus the mean]) by the paper's equations, in loops."""
    w = {name: array.astype(np.float64) for name, array in layer.parameters.items()}
    features, units = layer.features, layer.units
    act, sigm = ACTIVATIONS[layer.cell.activation], ACTIVATIONS[layer.cell.recurrent_activation]
    means = np.zeros(features) if layer.means is None else np.array(layer.means)
    (W_z, W_r, W), (U_z, U_r, U), (V_z, V_r, V) = (
        np.split(w[name], 3, axis=1) for name in ("kernel", "recurrent_kernel", "mask_kernel")
    )
    b_z, b_r, b = np.split(w.get("bias", np.zeros(3 * units)), 3)
    batch, steps, _ = x.shape
    y, final = (
        np.zeros((batch, steps, units)),
        [
            np.zeros((batch, units)),
            np.zeros((batch, features)),
        ],
    )
    for row in range(batch):
        count = steps if lengths is None else lengths[row]
        h, last = np.zeros(units), means
        if initial_state is not None:
            h, last = initial_state[0][row], initial_state[1][row] + means
        for place in range(count):
            t = count - 1 - place if layer.go_backwards else place
            value, m, delta = np.split(x[row, t].astype(np.float64), 3)
            if resets is not None and resets[row, t]:
                h, last = np.zeros(units), means
            last = np.where(m == 1, value, last)
            decay = np.exp(-np.maximum(0, w["input_decay_kernel"] * delta + w["input_decay_bias"]))
            filled = m * value + (1 - m) * (decay * last + (1 - decay) * means)
            h = (
                np.exp(-np.maximum(0, delta @ w["hidden_decay_kernel"] + w["hidden_decay_bias"]))
                * h
            )
            z = sigm(filled @ W_z + h @ U_z + m @ V_z + b_z)
            r = sigm(filled @ W_r + h @ U_r + m @ V_r + b_r)
            h = (1 - z) * h + z * act(filled @ W + (r * h) @ U + m @ V + b)
            y[row, place] = h
        final[0][row], final[1][row] = h, last - means
    return [y if layer.return_sequences else final[0], *final]


OPTIONS = [
    {},
    {"return_sequences": True},
    {"go_backwards": True, "return_sequences": True},
    {"means": MEANS},
    {"use_bias": False, "means": MEANS},
    {"activation": "softsign", "recurrent_activation": "hard_sigmoid"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_forward(options, dtype, tolerance, rng):
    layer = layer_of(rng, dtype=dtype, return_state=True, **options)
    for batch, steps in [(1, 1), (6, 7)]:
        x = series(rng, batch, steps, dtype)
        for arguments in (
            {},
            {"lengths": ragged(rng, batch, steps)},
            everything(layer, rng, batch, steps),
        ):
            assert_all_close(
                layer.forward(x, **arguments), wanted(layer, x, **arguments), tolerance.forward
            )


@pytest.mark.long
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_backward(options, rng):
    """Of the mask and the times too."""
    layer, x = layer_of(rng, return_state=True, **options), series(rng, 4, 5)
    for arguments in ({}, everything(layer, rng, 4, 5)):
        report = check_gradients(layer, x, max_entries=20, **arguments)
        assert set(report.errors) >= {"x", *layer.parameters} and not report.unchecked


def test_backward_of_rows_without_steps_and_of_much_that_is_missing(rng):
    layer, x = layer_of(rng, return_state=True, means=MEANS), series(rng, 3, 4)
    x[:, :, FEATURES : 2 * FEATURES] = 0
    x[1, 2, FEATURES] = 1
    start = [rng.normal(size=(3, 4)), rng.normal(size=(3, FEATURES))]
    check_gradients(layer, x, max_entries=30, initial_state=start, lengths=[0, 4, 2])


def test_no_missing_values_and_no_decay_are_a_gru(dtype, tolerance, rng):
    gru = make("gru_before_chung", 5, FEATURES, rng, dtype, return_sequences=True)
    layer = GRUD(5, return_sequences=True, dtype=dtype)
    layer.build((None, None, 3 * FEATURES))
    w = layer.get_weights()
    layer.set_weights([*gru.get_weights(), np.zeros_like(w[3]), w[4], w[5], -np.abs(w[6]), w[7]])
    x = series(rng, 6, 7, dtype)
    x[..., FEATURES : 2 * FEATURES] = 1
    arguments = {"lengths": ragged(rng, 6, 7), "resets": rng.random((6, 7)) < 0.2}
    got, plain = (
        run(layer, x, **arguments),
        run(gru, np.ascontiguousarray(x[..., :FEATURES]), **arguments),
    )
    got["x"] = got["x"][..., :FEATURES]
    for name in ("output 0", "x", "kernel", "recurrent_kernel", "bias"):
        assert_close(got[name], plain[name], 5 * tolerance.forward, name)


def test_what_stands_where_a_value_is_missing_does_not_matter(rng):
    layer, x = layer_of(rng, return_sequences=True), series(rng, 4, 6)
    other = x.copy()
    other[..., :FEATURES] += 7 * (1 - x[..., FEATURES : 2 * FEATURES])
    assert_close(layer.forward(other), layer.forward(x), 1e-14)


def test_a_missing_value_decays_from_the_last_one_to_the_mean(rng):
    """With the identity for W and nothing else, the candidate is the value filled in."""
    layer = GRUD(
        2,
        activation="linear",
        use_bias=False,
        means=[1.0, -2.0],
        dtype="float64",
        return_sequences=True,
    )
    layer.build((None, None, 6))
    zeros = [np.zeros_like(w) for w in layer.get_weights()]
    kernel, input_decay, hidden_decay_bias = zeros[0], zeros[3], zeros[-1]
    kernel[:, 4:] = np.eye(2)
    input_decay[:] = 0.5
    hidden_decay_bias[:] = 50  # nothing is left of h
    layer.set_weights(zeros)
    x = np.zeros((1, 3, 6))
    x[0, 1] = [5, 0, 1, 0, 1, 1]  # the first feature is seen at the second step
    x[0, 2] = [0, 0, 0, 0, 1, 3]
    y = 2 * layer.forward(x)  # z is one half
    assert_close(y[0], [[1, -2], [5, -2], [1 + 4 * np.exp(-0.5), -2]], 1e-12)


# ---- what must be equal


def test_parts_with_carried_state_are_the_whole(dtype, rng):
    layer = layer_of(rng, dtype=dtype, means=MEANS, return_sequences=True, stateful=True)
    x, resets = series(rng, 5, 9, dtype), rng.random((5, 9)) < 0.2
    whole, state = layer.forward(x, resets=resets), layer.state
    layer.reset_state()
    parts = [layer.forward(x[:, a:b], resets=resets[:, a:b]) for a, b in [(0, 4), (4, 5), (5, 9)]]
    assert_same_bits(np.concatenate(parts, axis=1), whole)
    assert_all_same_bits(layer.state, state)


def test_a_row_does_not_depend_on_its_neighbours(dtype, rng):
    layer = layer_of(rng, 17, dtype, return_sequences=True, means=MEANS)
    x, lengths = series(rng, 13, 6, dtype), ragged(rng, 13, 6)
    whole = layer.forward(x, lengths=lengths)
    for row in range(13):
        assert_same_bits(
            layer.forward(x[row : row + 1], lengths=lengths[row : row + 1]), whole[row : row + 1]
        )
    assert_same_bits(layer.forward(x, lengths=lengths, training=True), whole)


def test_threads_give_the_same_bits(dtype, rng, forced_threads):
    layer, x = layer_of(rng, 17, dtype, return_sequences=True), series(rng, 11, 6, dtype)
    arguments, results = everything(layer, rng, 11, 6), []
    for count in (1, 2, 3):
        forced_threads.set_num_threads(count)
        results.append(run(layer, x, **arguments))
    for other in results[1:]:
        assert_all_same_bits(other, results[0])


def test_padding_is_not_looked_at(rng):
    layer, x = layer_of(rng, return_sequences=True), series(rng, 2, 6)
    lengths, other = np.array([6, 3]), x.copy()
    other[1, 3:] = 9
    wanted_results, got = run(layer, x, lengths=lengths), run(layer, other, lengths=lengths)
    assert_all_close(got, wanted_results, 1e-14)
    assert not got["x"][1, 3:].any()


def test_it_reads_what_missing_indicators_gives(rng):
    values = rng.normal(size=(3, 5, FEATURES))
    values[rng.random(values.shape) < 0.4] = np.nan
    layer, x = (
        layer_of(rng, return_state=True, means=MEANS),
        missing_indicators(values, means=MEANS),
    )
    assert_all_close(layer.forward(x), wanted(layer, x), 1e-12)
    assert_all_close(layer.forward(x), layer.forward(missing_indicators(values)), 1e-12)


# ---- in models


def test_it_learns_what_only_the_pattern_of_missing_values_tells(rng, tmp_path):
    x = series(rng, 120, 6, features=2)
    y = x[:, :, 2].mean(axis=1)  # how often the first feature was seen
    model = Sequential([Input((None, 6)), GRUD(6, means=[0.1, 0.2]), Dense(1)], seed=0)
    model.compile(Adam(0.02), "mse")
    history = model.fit(x, y, epochs=12, batch_size=20, verbose=0).history["loss"]
    assert history[-1] < 0.2 * y.var()
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    assert again.layers[0].means == [0.1, 0.2]
    assert_same_bits(again.predict(x), model.predict(x))


# ---- errors


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: GRUD(4).build((None, None, 4)),
            ShapeError,
            r"\(None, None, 4\); expected 3 \* features",
        ),
        (lambda: GRUD(4).build((None, 6)), ShapeError, r"expected \(batch, steps, features\)"),
        (
            lambda: GRUD(4, means=[1.0]).build((None, None, 6)),
            ShapeError,
            "means has 1 numbers; .* reads 2 features",
        ),
        (lambda: GRUD(4, means=["a"]), DTypeError, "a mean is 'a'"),
        (lambda: GRUD(4, means=[float("nan")]), ConfigError, "a mean is nan"),
        (lambda: GRUD(4, means=3.0), DTypeError, "means is float; expected a list of numbers"),
        (lambda: GRUD(4, dropout=0.1), ArgumentError, "GRUD takes no argument 'dropout'"),
        (
            lambda: GRUD(4, learned_initial_state=True),
            ArgumentError,
            "GRUD takes no argument 'learned_initial_state'",
        ),
        (
            lambda: setattr(GRUD(4, stateful=True), "state", [np.zeros((2, 4)), np.zeros((2, 3))]),
            StateError,
            "is not built",
        ),
    ],
)
def test_errors(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_state_of_a_wrong_width(rng):
    layer = layer_of(rng)
    with pytest.raises(
        ShapeError, match=r"initial_state seen has shape \(2, 4\); expected \(2, 3\)"
    ):
        layer.forward(series(rng, 2, 3), initial_state=[np.zeros((2, 4)), np.zeros((2, 4))])


def test_a_new_layer_forgets_slowly(rng):
    layer = GRUD(8, seed=0)
    layer.build((None, None, 12))
    p = layer.parameters
    assert 0 <= p["input_decay_kernel"].min() and p["input_decay_kernel"].max() <= 0.1
    assert p["hidden_decay_kernel"].std() > 0.1 and not p["hidden_decay_bias"].any()
