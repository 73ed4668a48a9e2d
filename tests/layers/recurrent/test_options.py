"""Options of the cells: each against the equations, its gradients and its bits."""

import numpy as np
import pytest
from cases import (
    CELLS,
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
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewise.kernels import arrays
from gatewise.kernels.cell_options import CANDIDATES
from gatewise.testing import check_gradients

from .option_cases import OPTIONS, ZONED, build

TOLERANCE = 1e-7  # of gradients


def everything(layer, rng, batch, steps):
    return {
        "lengths": ragged(rng, batch, steps),
        "resets": rng.random((batch, steps)) < 0.25,
        "initial_state": states_for(layer, batch, rng),
    }


def check(layer, x, max_entries=40, **arguments):
    report = check_gradients(layer, x, tolerance=TOLERANCE, max_entries=max_entries, **arguments)
    assert {"x", *layer.parameters} <= set(report.errors)
    assert not report.unchecked


# ---- against the equations


@pytest.mark.parametrize("go_backwards", [False, True], ids=["forward", "backward"])
@pytest.mark.parametrize("units", [5, pytest.param(16, marks=pytest.mark.long), 37])
@pytest.mark.parametrize("name", OPTIONS)
def test_forward(name, units, go_backwards, dtype, tolerance, rng):
    layer = build(
        name,
        units,
        3,
        rng,
        dtype,
        return_sequences=True,
        return_state=True,
        go_backwards=go_backwards,
    )
    x = sequences(rng, 9, 6, 3, dtype)
    arguments = everything(layer, rng, 9, 6)
    wanted = expected(layer, x, **arguments)
    for training in (False, True):
        assert_all_close(
            layer.forward(x, training=training, **arguments), wanted, tolerance.forward
        )


# One row and few of many units: threads share bands, and x W is computed ahead.
@pytest.mark.parametrize(
    ("batch", "steps", "inputs", "units"), [(1, 19, 3, 210), (2, 18, 2, 140), (13, 2, 4, 100)]
)
@pytest.mark.parametrize(
    "name",
    [
        "coupled with peepholes",
        "projection of everything",
        "only f",
        "NOG of Greff",
        "gru clip",
        "gate inside",
        "complement before",
        "split",
        "input with output",
        "gru_before output",
        "normalised",
        "rnn normalised",
        "gru normalised",
    ],
)
@pytest.mark.long
def test_large(name, batch, steps, inputs, units, dtype, tolerance, rng, forced_threads):
    layer = build(name, units, inputs, rng, dtype, return_sequences=True, return_state=True)
    x = sequences(rng, batch, steps, inputs, dtype)
    arguments = everything(layer, rng, batch, steps)
    wanted = expected(layer, x, **arguments)
    first = None
    for threads in (1, 2, 3, 5):
        forced_threads.set_num_threads(threads)
        results = run(layer, x, **arguments)
        first = first or results
        assert_all_same_bits(results, first)
        assert_all_close(as_list(layer.forward(x, **arguments)), wanted, tolerance.forward)
    y = layer.forward(x, **arguments)[0]
    assert_same_bits(y, first["output 0"])  # inference gives the same bits


@pytest.mark.parametrize("name", [*OPTIONS, *(f"zoneout {key}" for key in ZONED)])
def test_a_row_is_alone_what_it_is_in_a_batch(name, dtype, rng):
    layer = build(name, 17, 3, rng, dtype, return_sequences=True, return_state=True)
    x, state = sequences(rng, 9, 5, 3, dtype), states_for(layer, 9, rng)
    whole = layer.forward(x, initial_state=state)
    for row in (0, 4, 8):
        alone = layer.forward(
            x[row : row + 1], initial_state=[part[row : row + 1] for part in state]
        )
        assert_all_same_bits([part[0] for part in alone], [part[row] for part in whole])


@pytest.mark.parametrize("name", [*OPTIONS, *(f"zoneout {key}" for key in ZONED)])
def test_steps_one_by_one(name, rng):
    layer = build(name, 17, 3, rng, return_sequences=True, stateful=True)
    x = sequences(rng, 4, 6, 3)
    whole = layer.forward(x)
    layer.reset_state()
    assert_same_bits(
        np.concatenate([layer.forward(x[:, t : t + 1]) for t in range(6)], axis=1), whole
    )


def test_switched_off_options_are_the_plain_cell(dtype, rng):
    plain = make("lstm", 17, 3, rng, dtype, return_sequences=True)
    seen = make(
        "lstm", 17, 3, rng, dtype, return_sequences=True, peepholes=True, clip=1e9, cell_clip=1e9
    )
    seen.set_weights([*plain.get_weights(), np.zeros((3, 17), dtype)])
    x = sequences(rng, 9, 6, 3, dtype)
    ours, theirs = run(seen, x), run(plain, x)
    del ours["peephole"]
    assert_all_same_bits(ours, theirs)


# ---- gradients


@pytest.mark.parametrize("units", [6, 17])
@pytest.mark.parametrize("name", [*OPTIONS, *(f"zoneout {key}" for key in ZONED)])
def test_gradients(name, units, rng):
    layer = build(name, units, 3, rng, return_sequences=True, return_state=True, seed=5)
    check(layer, sequences(rng, 4, 5, 3), **everything(layer, rng, 4, 5))


@pytest.mark.parametrize(
    "name",
    [
        "peepholes",
        "projection of everything",
        "zoneout lstm projected",
        "zoneout gru",
        "gru_before clip",
        "normalised",
        "rnn normalised",
        "gru normalised",
    ],
)
def test_gradients_of_other_calls(name, rng):
    layer = build(
        name,
        6,
        3,
        rng,
        recurrent_dropout=0.4,
        dropout=0.2,
        use_bias=False,
        go_backwards=True,
        seed=5,
    )
    check(layer, sequences(rng, 5, 4, 3), **everything(layer, rng, 5, 4))
    check(layer, sequences(rng, 1, 1, 3))


@pytest.mark.parametrize(
    "activation",
    [
        ("leaky_relu", 0.0),
        ("elu", 0.0),
        ("elu", 0.4),
        ("leaky_relu", 1.5),
        ("hard_sigmoid", -0.4, 0.6),
        ("thresholded_relu", 0.3),
        ("thresholded_relu", -0.2),
        "thresholded_relu",
        ("scaled_tanh", -0.9, 1.2),
        "scaled_tanh",
        ("affine", -0.7, 0.2),
        "affine",
    ],
    ids=str,
)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_activations_with_constants(cell, activation, dtype, tolerance, rng):
    places = [{"activation": activation}]
    if cell != "rnn":
        places.append({"recurrent_activation": activation})
    if cell == "lstm":
        places.append({"output_activation": activation})
    for place in places:
        layer = make(cell, 6, 3, rng, dtype, return_sequences=True, clip=0.9, **place)
        x = sequences(rng, 3, 4, 3, dtype)
        assert_close(layer.forward(x), expected(layer, x), tolerance.forward)
        if dtype == "float64":
            check(layer, x, max_entries=12)


# ---- zoneout


@pytest.mark.parametrize("name", ZONED)
def test_zoneout_is_what_was_drawn(name, dtype, tolerance, rng):
    layer = build(
        f"zoneout {name}", 17, 3, rng, dtype, return_sequences=True, return_state=True, seed=3
    )
    batch, steps = 9, 6
    x = sequences(rng, batch, steps, 3, dtype)
    arguments = everything(layer, rng, batch, steps)
    of_c, of_h = (
        layer.cell.zoneout if isinstance(layer.cell.zoneout, tuple) else (None, layer.cell.zoneout)
    )
    generator = np.random.default_rng()
    generator.bit_generator.state = layer.random_generator().bit_generator.state
    key = int(generator.integers(2**32))
    kept = [arrays.zoneout_mask((batch, steps, layer.cell.output_width), of_h, key, dtype)]
    rates = [of_h]
    if of_c is not None:
        kept.append(arrays.zoneout_mask((batch, steps, 17), of_c, key, dtype, of_c=True))
        rates.append(of_c)
    assert_all_close(
        layer.forward(x, training=True, **arguments),
        expected(layer, x, kept=kept, **arguments),
        tolerance.forward,
    )
    assert_all_close(
        layer.forward(x, **arguments),
        expected(layer, x, kept=rates, **arguments),
        tolerance.forward,
    )


def test_zoneout_draws_anew_and_repeats_by_seed(rng):
    x = sequences(rng, 4, 5, 3)
    weights = make("lstm", 8, 3, rng).get_weights()
    results = []
    for _ in range(2):
        layer = make("lstm", 8, 3, rng, zoneout=0.5, seed=7)
        layer.set_weights(weights)
        results.append([layer.forward(x, training=True) for _ in range(2)])
    assert_all_same_bits(results[0], results[1])
    assert np.abs(results[0][0] - results[0][1]).max() > 1e-3


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
def test_zoneout_draws_are_fair(rate):
    """Rates along every axis, no correlation between neighbours, between c and h, or between keys.

    5 deviations.
    """
    shape = (40, 50, 70)
    kept = arrays.zoneout_mask(shape, rate, 12345, "float64")
    others = [
        arrays.zoneout_mask(shape, rate, 12345, "float64", of_c=True),
        arrays.zoneout_mask(shape, rate, 12346, "float64"),
        np.roll(kept, 1, 0),
        np.roll(kept, 1, 1),
        np.roll(kept, 1, 2),
    ]
    deviation = np.sqrt(rate * (1 - rate))
    for axis in range(3):
        other_axes = tuple(a for a in range(3) if a != axis)
        count = kept.size / shape[axis]
        assert np.abs(kept.mean(axis=other_axes) - rate).max() < 5 * deviation / np.sqrt(count)
    for other in others:
        assert abs(((kept - rate) * (other - rate)).mean()) < 5 * deviation**2 / np.sqrt(kept.size)
    # a rate is rounded
    assert (arrays.zoneout_mask(shape, rate, 12345, "float32") == kept).mean() > 0.999


@pytest.mark.parametrize("name", ZONED)
def test_zoneout_and_threads(name, dtype, rng, forced_threads):
    layer = build(f"zoneout {name}", 37, 3, rng, dtype, return_sequences=True, seed=2)
    x = sequences(rng, 13, 5, 3, dtype)
    arguments = everything(layer, rng, 13, 5)
    start = layer.random_generator().bit_generator.state
    first = None
    for threads in (1, 2, 5):
        forced_threads.set_num_threads(threads)
        layer.rng.bit_generator.state = start
        results = run(layer, x, **arguments)
        first = first or results
        assert_all_same_bits(results, first)


# ---- learned initial states


@pytest.mark.parametrize("cell", [*CELLS, "projected"])
def test_learned_initial_state(cell, rng):
    options = {"projection": 3} if cell == "projected" else {}
    layer = make(
        "lstm" if options else cell,
        6,
        3,
        rng,
        return_sequences=True,
        learned_initial_state=True,
        **options,
    )
    names = [f"initial_{state}" for state in layer.cell.states]
    assert list(layer.parameters)[-len(names) :] == names
    x, lengths = sequences(rng, 5, 4, 3), [4, 0, 2, 1, 4]
    start = [np.tile(layer.parameters[name], (5, 1)) for name in names]
    assert_same_bits(layer.forward(x, lengths), layer.forward(x, lengths, initial_state=start))
    check(layer, x, lengths=lengths, resets=rng.random((5, 4)) < 0.25)
    results = run(layer, x, initial_state=start)
    assert not results[names[0]].any()  # a state that was given is not learned


# ---- any combination


@st.composite
def problems(draw):
    cell = draw(st.sampled_from(["rnn", "gru", "gru_before", "lstm", "lstm", "lstm", "lstm"]))
    kinds = st.sampled_from(
        [
            "tanh",
            "sigmoid",
            "softsign",
            "linear",
            "relu",
            ("scaled_tanh", 1.2, 0.8),
            ("affine", 0.5, 0.1),
            ("hard_sigmoid", 0.25, 0.5),
        ]
    )
    units = draw(st.integers(2, 20))
    options = {
        "activation": draw(kinds),
        "clip": draw(st.sampled_from([None, 0.6])),
        "zoneout": draw(st.sampled_from([0.0, 0.0, 0.3])),
    }
    if cell != "rnn":
        options["recurrent_activation"] = draw(kinds)
    if cell == "lstm":
        options |= {
            name: draw(st.booleans()) for name in ("peepholes", "input_gate", "output_gate")
        }
        forget = draw(st.sampled_from(["there", "coupled", "none"]))
        options |= {
            "forget_gate": forget != "none",
            "coupled": forget == "coupled",
            "output_activation": draw(st.one_of(st.none(), kinds)),
            "cell_clip": draw(st.sampled_from([None, 0.5])),
            "projection": draw(st.one_of(st.none(), st.integers(1, units - 1))),
        }
        options["input_gate"] |= options["coupled"]
        options["output_gate_inside"] = options["output_gate"] and draw(st.booleans())
        options["peepholes"] &= (
            options["input_gate"] or options["forget_gate"] or options["output_gate"]
        )
    if cell.startswith("gru"):
        forms = ["reset", "complement"] if "before" in cell else CANDIDATES
        options["candidate"] = draw(st.sampled_from(forms))
        options["output_activation"] = draw(st.one_of(st.none(), kinds))
    options |= {
        name: draw(st.booleans()) for name in ("use_bias", "return_sequences", "go_backwards")
    }
    sizes = [draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4))]
    arguments = {name: draw(st.booleans()) for name in ("lengths", "resets", "initial_state")}
    return cell, units, options, sizes, arguments, draw(st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(problems())
def test_any_combination(problem):
    cell, units, options, (batch, steps, inputs), wanted, seed = problem
    rng = np.random.default_rng(seed)
    layer = make(cell, units, inputs, rng, seed=seed, **options)
    randomize(layer, rng, 0.5)
    arguments = {
        name: value for name, value in everything(layer, rng, batch, steps).items() if wanted[name]
    }
    x = sequences(rng, batch, steps, inputs)
    rates = layer.cell.zoneout
    kept = rates[::-1] if isinstance(rates, tuple) else [rates]
    assert_close(layer.forward(x, **arguments), expected(layer, x, kept=kept, **arguments), 1e-10)
    check(layer, x, max_entries=8, seed=seed, **arguments)
