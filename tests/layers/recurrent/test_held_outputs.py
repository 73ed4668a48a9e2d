"""zero_output_for_mask: what recurrent layers give at steps that do not count."""

import copy
import pickle

import numpy as np
import pytest
from cases import assert_all_same_bits, assert_close, assert_same_bits, run, sequences

import gatewise
from gatewise.cells import FullGateLSTMCell
from gatewise.errors import ArgumentError, ConfigError, DTypeError
from gatewise.layers import (
    GRU,
    GRUD,
    LSTM,
    RNN,
    Bidirectional,
    Conv1D,
    Dense,
    Flatten,
    GlobalAveragePooling1D,
    Input,
    Masking,
    MinGRU,
    SimpleRNN,
    TimeDistributed,
)
from gatewise.models import Model, Sequential
from gatewise.testing import check_gradients

FEATURES = 3
MASK = np.array(
    [
        [1, 1, 0, 1, 0, 0],
        [0, 0, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
    ],
    bool,
)
LENGTHS = np.array([4, 0, 6, 1, 3])
LAYERS = {
    "rnn": SimpleRNN,
    "lstm": LSTM,
    "gru": GRU,
    "minimal": MinGRU,
    "missing": GRUD,
    "own cell": lambda units, **options: RNN(FullGateLSTMCell(units), **options),
}


def both(make, **options):
    """The layer with zeros, and with the last output, at steps that do not count."""
    return [
        make(
            4, return_sequences=True, zero_output_for_mask=zero, dtype="float64", seed=1, **options
        )
        for zero in (None, False)
    ]


def repeated(y, counts):
    """Equations: the last counted output."""
    wanted = y.copy()
    for row, flags in zip(wanted, counts):
        last = np.zeros(y.shape[2])
        for t, flag in enumerate(flags):
            last = row[t] if flag else last
            row[t] = last
    return wanted


@pytest.mark.parametrize("go_backwards", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_the_last_output_is_repeated(name, go_backwards, rng):
    x = sequences(rng, 5, 6, FEATURES)
    for arguments, counts in [
        ({"mask": MASK}, MASK),
        ({"lengths": LENGTHS}, np.arange(6) < LENGTHS[:, None]),
        ({"mask": MASK, "lengths": LENGTHS}, MASK & (np.arange(6) < LENGTHS[:, None])),
        ({}, MASK | True),
    ]:
        zeros, holds = both(LAYERS[name], go_backwards=go_backwards)
        plain = zeros.forward(x, **arguments)
        got = holds.forward(x, **arguments)
        assert_same_bits(got, repeated(plain, counts))
        assert_same_bits(holds.forward(x, training=True, **arguments), got)
        assert not plain[~counts].any()
        same = LAYERS[name](
            4,
            return_sequences=True,
            zero_output_for_mask=True,
            dtype="float64",
            seed=1,
            go_backwards=go_backwards,
        )
        assert_same_bits(same.forward(x, **arguments), plain)


@pytest.mark.parametrize(
    "arguments", [{"mask": MASK}, {"lengths": LENGTHS}, {}], ids=["mask", "lengths", "none"]
)
@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name, arguments, rng):
    _, holds = both(LAYERS[name], return_state=True, go_backwards=name == "gru")
    x = sequences(rng, 5, 6, FEATURES)
    zeros, _ = both(LAYERS[name], return_state=True, go_backwards=name == "gru")
    outputs = run(holds, x, **arguments)
    dy = [rng.normal(size=outputs[key].shape) for key in outputs if key.startswith("output")]
    # What the loss says of a repeated step, it says of the step that is repeated.
    counts = arguments.get("mask", np.arange(6) < LENGTHS[:, None] if arguments else MASK | True)
    sums = np.zeros_like(dy[0])
    for row in range(5):
        last = None
        for t in range(6):
            last = t if counts[row, t] else last
            if last is not None:
                sums[row, last] += dy[0][row, t]
    got, wanted = run(holds, x, dy, **arguments), run(zeros, x, [sums, *dy[1:]], **arguments)
    for key in wanted.keys() - {"output 0"}:
        assert_close(got[key], wanted[key], 1e-12, key)


def test_gradients_by_differences(rng):
    for arguments in ({"lengths": LENGTHS}, {}):
        _, holds = both(LSTM)
        check_gradients(holds, sequences(rng, 5, 6, FEATURES), max_entries=15, **arguments)


def test_the_last_output_alone_is_what_it_was(rng):
    x = sequences(rng, 5, 6, FEATURES)
    layers = [
        LSTM(4, zero_output_for_mask=zero, return_state=True, seed=2, dtype="float64")
        for zero in (None, True, False)
    ]
    results = [run(layer, x, mask=MASK) for layer in layers]
    assert_all_same_bits(results[1], results[0])
    assert_all_same_bits(results[2], results[0])


def test_both_ways_gives_zeros(rng):
    x = sequences(rng, 5, 6, FEATURES)
    layers = [
        Bidirectional(
            GRU(4, return_sequences=True, zero_output_for_mask=zero, seed=1), dtype="float64"
        )
        for zero in (None, False)
    ]
    assert_all_same_bits(run(layers[1], x, mask=MASK), run(layers[0], x, mask=MASK))
    assert (
        layers[1].forward_layer.zero_output_for_mask
        is layers[1].backward_layer.zero_output_for_mask
        is True
    )


@pytest.mark.parametrize("whole", [True, False], ids=["mask", "lengths"])
@pytest.mark.parametrize(
    "behind",
    [[], [Dense(2, "exponential")], [TimeDistributed(Dense(2, "tanh")), Dense(1)]],
    ids=len,
)
def test_in_a_model(whole, behind, rng, tmp_path):
    """Layers that look at one step alone go on from the repeated output.

    The loss and what is learned are the same.
    """
    x, y = sequences(rng, 5, 6, FEATURES), rng.normal(size=(5, 6, 1))
    arguments = {"mask": MASK} if whole else {"lengths": LENGTHS}
    counts = MASK if whole else np.arange(6) < LENGTHS[:, None]
    models = []
    for zero in (None, False):
        layer = LSTM(3, return_sequences=True, zero_output_for_mask=zero, dtype="float64")
        models.append(Sequential([Input((None, FEATURES)), layer, *copy.deepcopy(behind)], seed=3))
        models[-1].compile("sgd", "mse")
        y_of_width = np.repeat(y, models[-1].output_shape[-1], axis=-1)
        models[-1].train_on_batch(x, y_of_width, **arguments)
    plain, holds = models
    assert_all_same_bits(holds.get_weights(), plain.get_weights())
    start = np.zeros((1, 1, 3))
    for layer in plain.layers[1:]:
        start = layer.forward(start)
    wanted = repeated(plain.predict(x, **arguments), counts)
    first = np.where(counts.any(axis=1), counts.argmax(axis=1), 6)
    for row in range(5):
        wanted[row, : first[row]] = start[0, 0]
    assert_same_bits(holds.predict(x, **arguments), wanted)
    holds.save(tmp_path / "m")
    assert_same_bits(gatewise.load_model(tmp_path / "m").predict(x, **arguments), wanted)


@pytest.mark.parametrize(
    "behind",
    [
        lambda: Conv1D(2, 2, padding="same"),
        Flatten,
        GlobalAveragePooling1D,
        lambda: GRU(2),
        lambda: Bidirectional(GRU(2, return_sequences=True)),
    ],
)
def test_layers_that_look_at_several_steps_see_none_that_do_not_count(behind, rng):
    x = sequences(rng, 5, 6, FEATURES)
    x[~MASK] = 0
    models = [
        Sequential(
            [
                Input((6, FEATURES)),
                Masking(dtype="float64"),
                LSTM(3, return_sequences=True, zero_output_for_mask=zero),
                behind(),
            ],
            seed=3,
        )
        for zero in (None, False)
    ]
    assert_same_bits(models[1].predict(x), models[0].predict(x))


def behind_a_merge(kind, zero):
    """Models in which a repeated output would meet other arrays, or is inside another model."""
    x = Input((None, FEATURES), dtype="float64")
    layer = LSTM(3, return_sequences=True, zero_output_for_mask=zero, name="held")
    if kind == "merged":
        return Model(x, Dense(2)(layer(x) + Dense(3)(x)), seed=0)
    if kind == "two outputs":
        y = layer(x)
        return Model(x, [y, Dense(3)(x) * y], seed=0)
    inner = Sequential([Input((None, FEATURES), dtype="float64"), layer], seed=1)
    if kind == "inside a graph":
        return Model(x, Dense(2)(inner(x)), seed=0)
    return Sequential([inner, Dense(2)], seed=0)


@pytest.mark.parametrize("kind", ["merged", "two outputs", "inside a graph", "inside a stack"])
def test_what_would_be_repeated_is_not_silently_zero(kind, rng):
    x = sequences(rng, 5, 6, FEATURES)
    model = behind_a_merge(kind, False)
    for given in ({"mask": MASK}, {"lengths": LENGTHS}):
        with pytest.raises(ConfigError, match="'held' has zero_output_for_mask=False"):
            model.predict(x, **given)
    model.predict(x)
    for zero in (None, True):
        behind_a_merge(kind, zero).predict(x, mask=MASK)
    if kind == "merged":  # the loss counts no such step
        model.compile("sgd", "mse")
        model.fit(x, rng.normal(size=(5, 6, 2)), mask=MASK, verbose=0)


def test_a_layer_that_reads_other_steps_hides_a_repeated_output(rng):
    x = Input((None, FEATURES), dtype="float64")
    y = LSTM(3, return_sequences=True, zero_output_for_mask=False)(x)
    y = GRU(2, return_sequences=True)(y + Dense(3)(x))
    model = Model(x, y, seed=0)
    assert not model.predict(sequences(rng, 5, 6, FEATURES), mask=MASK)[~MASK].any()


def test_it_can_be_set_later_and_is_kept(rng):
    x, layer = (
        sequences(rng, 5, 6, FEATURES),
        LSTM(3, return_sequences=True, dtype="float64", seed=1),
    )
    before = layer.forward(x, mask=MASK)
    assert "zero_output_for_mask" not in layer.get_config()
    layer.zero_output_for_mask = False
    after = layer.forward(x, mask=MASK)
    assert not np.array_equal(before, after)
    assert_same_bits(copy.deepcopy(layer).forward(x, mask=MASK), after)
    assert_same_bits(pickle.loads(pickle.dumps(layer)).forward(x, mask=MASK), after)
    assert LSTM.from_config(layer.get_config()).zero_output_for_mask is False
    assert (
        RNN.from_config(
            RNN(FullGateLSTMCell(2), zero_output_for_mask=False).get_config()
        ).zero_output_for_mask
        is False
    )
    with pytest.raises(DTypeError, match="zero_output_for_mask is 0; expected True, False or None"):
        layer.zero_output_for_mask = 0


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: LSTM(3, zero_output_for_mask="maybe"),
            DTypeError,
            "zero_output_for_mask is 'maybe'; expected True, False or None",
        ),
        (
            lambda: GRU(3, implementation=7),
            ConfigError,
            "GRU: implementation is 7; leave it out, or give 2 or 1 or 0",
        ),
        (lambda: GRU(3, implementation=True), ConfigError, "implementation is True"),
        (
            lambda: LSTM(3, use_cudnn="zz"),
            ConfigError,
            "use_cudnn is 'zz'; leave it out, or give 'auto' or False or None",
        ),
        (lambda: LSTM(3, use_cudnn=True), ConfigError, "use_cudnn is True"),
        (lambda: SimpleRNN(3, unroll="yes"), ConfigError, "unroll is 'yes'"),
        (lambda: SimpleRNN(3, unroll=1), ConfigError, "unroll is 1"),
        (
            lambda: RNN(FullGateLSTMCell(3), time_major=True),
            ConfigError,
            "time_major is True; leave it out, or give False",
        ),
        (lambda: LSTM(3, autocast=False), ConfigError, "autocast=False does not exist in gatewise"),
        (lambda: Dense(3, autocast="x"), ConfigError, "autocast='x' does not exist in gatewise"),
        (lambda: Dense(3, unroll=True), ArgumentError, "Dense takes no argument 'unroll'"),
        (
            lambda: Dense(3, zero_output_for_mask=True),
            ArgumentError,
            "Dense takes no argument 'zero_output_for_mask'",
        ),
        (
            lambda: Bidirectional(LSTM(3), zero_output_for_mask=False),
            ArgumentError,
            "takes no argument 'zero_output_for_mask'",
        ),
    ],
)
def test_what_asks_for_nothing_there_is(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize(
    "options",
    [
        {"unroll": True},
        {"unroll": False},
        {"implementation": 1},
        {"implementation": 2},
        {"use_cudnn": "auto"},
        {"use_cudnn": False},
        {"time_major": False},
        {"autocast": True},
    ],
)
@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU, MinGRU])
def test_what_changes_nothing_is_taken(cls, options):
    layer = cls(3, seed=1, **options)
    x = np.ones((1, 2, 2), "float32")
    assert_same_bits(layer(x), cls(3, seed=1)(x))
