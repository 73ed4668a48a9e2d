"""Wrong inputs, lengths, resets and states.

Types and words of the errors.
"""

import re

import numpy as np
import pytest
from seeds import generator

from gatewise.errors import (
    ConfigError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    SizeError,
    StateError,
)
from gatewise.layers import (
    GRU,
    LSTM,
    Activation,
    Attention,
    Bidirectional,
    Conv1D,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPooling1D,
    Input,
    InputLayer,
    RepeatVector,
    SimpleRNN,
)
from gatewise.models import Sequential

from .error_cases import fails, x_of

# ---- shapes of x


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 5, 3), ()], ids=str)
def test_rank(layer, shape):
    fails(
        lambda: layer.forward(x_of(*shape)),
        ShapeError,
        r"x has shape \(.*\)",
        "3 axes",
        r"\(any, any, 3\)",
    )


def test_rank_of_an_unbuilt_layer():
    for shape in [(4, 3), (3,), (2, 4, 5, 3)]:
        fails(
            lambda shape=shape: LSTM(5).forward(x_of(*shape)),
            ShapeError,
            r"\(batch, steps, features\)",
        )
    fails(lambda: Dense(5).forward(x_of(3)), ShapeError, r"\(batch, ..., features\)")


def test_rank_of_other_layers(dense):
    fails(lambda: dense.forward(x_of(2, 3, 3)), ShapeError, r"\(2, 3, 3\)", "2 axes")
    for layer in (Activation("tanh"), Dropout(0.1), InputLayer(input_shape=(4, 3))):
        layer.build((None, 4, 3))
        fails(lambda layer=layer: layer.forward(x_of(2, 3)), ShapeError, r"\(2, 3\)", "3 axes")


@pytest.mark.parametrize("shape", [(2, 2), (2, 2, 3, 7), (2,)], ids=str)
def test_rank_of_flatten(shape):
    flatten = Flatten()
    flatten.build((None, 2, 3))
    fails(lambda: flatten.forward(x_of(*shape)), ShapeError, re.escape(str(shape)))


@pytest.mark.parametrize("shape", [(2,), (2, 4, 3), (2, 0)], ids=str)
def test_rank_of_repeat_vector(shape):
    repeat = RepeatVector(4)
    fails(
        lambda: repeat.forward(x_of(*shape)),
        ShapeError,
        re.escape(str(shape)),
        r"\(batch, features\)",
    )
    assert not repeat.built
    repeat.build((None, 3))
    fails(lambda: repeat.forward(x_of(*shape)), ShapeError, re.escape(str(shape)))
    fails(
        lambda: RepeatVector(4).build((None, 4, 3)),
        ShapeError,
        r"\(None, 4, 3\)",
        r"\(batch, features\)",
    )


@pytest.mark.parametrize(
    ("n", "error", "words"),
    [
        (0, ConfigError, ["n is 0", "1 to"]),
        (-1, ConfigError, ["n is -1"]),
        (2**40, ConfigError, ["n is 1099511627776"]),
        (2.5, DTypeError, [r"n is 2\.5", "whole number"]),
        (True, DTypeError, ["n is True"]),
        ("3", DTypeError, ["n is '3'"]),
        (None, DTypeError, ["n is None"]),
        (float("nan"), DTypeError, ["n is nan"]),
    ],
    ids=str,
)
def test_n_of_repeat_vector(n, error, words):
    fails(lambda: RepeatVector(n), error, *words)


def test_n_of_a_built_repeat_vector_is_fixed():
    repeat = RepeatVector(4)
    repeat.build((None, 3))
    with pytest.raises(StateError, match="n cannot change any more"):
        repeat.n = 5


def test_repeat_vector_that_no_memory_holds():
    fails(
        lambda: RepeatVector(2**31 - 1).forward(x_of(8, 4000)),
        SizeError,
        "output of layer 'repeat_vector",
    )


def test_features(layer, dense):
    fails(
        lambda: layer.forward(x_of(2, 4, 5)),
        ShapeError,
        "x has 5 features",
        "expects 3",
        r"\(2, 4, 5\)",
    )
    fails(lambda: dense.forward(x_of(2, 5)), ShapeError, "x has 5 features", "expects 3")
    fails(lambda: layer.forward(x_of(2, 4, 0)), ShapeError, "x has 0 features", "expects 3")


def test_no_steps(layer):
    others = [Bidirectional(SimpleRNN(2)), Attention(), Conv1D(2, 1)]
    for other in others:
        other.build((None, None, 3))
    for one in (layer, *others):
        fails(
            lambda one=one: one.forward(x_of(2, 0, 3)), ShapeError, r"\(2, 0, 3\)", "no time steps"
        )


def test_what_reads_steps_says_which_option_gives_them():
    for layer in (
        lambda: GRU(2),
        lambda: Conv1D(2, 1),
        lambda: GlobalMaxPooling1D(),
        lambda: Attention(),
        lambda: Bidirectional(GRU(2)),
    ):
        fails(
            lambda layer=layer: Sequential([Input((4, 3)), LSTM(2), layer()]),
            ShapeError,
            r"expected \(batch, steps, features\)",
            "the recurrent layer before it needs return_sequences=True",
        )
        fails(
            lambda layer=layer: layer().build((None, 3)),
            ShapeError,
            r"input shape \(None, 3\); expected [^;]*$",
        )


def test_no_features():
    for layer in (LSTM(5), Dense(5), Activation("softmax")):
        fails(lambda layer=layer: layer.forward(x_of(2, 4, 0)), (ShapeError, ConfigError))


def test_softmax_over_an_axis_of_no_extent():
    layer = Activation("softmax")
    layer.build((None, None))
    fails(lambda: layer.forward(x_of(2, 0)), (ShapeError, ConfigError))


def test_rows_of_different_lengths(layer):
    ragged = [[[1, 2, 3]], [[1, 2, 3], [4, 5, 6]]]
    fails(
        lambda: layer.forward(ragged),
        ShapeError,
        "x has rows of different lengths",
        "pad_sequences",
    )


# ---- types of x


@pytest.mark.parametrize(
    "x",
    [
        x_of(2, 4, 3).astype(complex),
        x_of(2, 4, 3).astype(object),
        np.full((2, 4, 3), "1.5"),
        np.full((2, 4, 3), b"1.5"),
        x_of(2, 4, 3).astype("datetime64[s]"),
        x_of(2, 4, 3).astype("timedelta64[s]"),
        None,
        "text",
        {"a": 1},
        [[["1.5"] * 3] * 4] * 2,
        [[[None] * 3] * 4] * 2,
        np.zeros((2, 4, 3), [("a", "f4")]),
    ],
    ids=[
        "complex",
        "object",
        "text",
        "bytes",
        "datetime",
        "timedelta",
        "None",
        "str",
        "dict",
        "list of text",
        "list of None",
        "records",
    ],
)
def test_types_that_hold_no_numbers(layer, dense, x):
    fails(lambda: layer.forward(x), DTypeError, "x holds .* values", "float32")
    fails(lambda: dense.forward(x), DTypeError, "x holds .* values", "float32")


def test_precision_is_never_lost_in_silence(layer):
    x = generator(0).normal(size=(2, 4, 3))
    fails(
        lambda: layer.forward(x),
        DTypeError,
        "x is float64",
        "computes in float32",
        r"astype\('float32'\)",
        "dtype='float64'",
    )
    if np.dtype(np.longdouble) != np.float64:
        fails(
            lambda: layer.forward(x.astype(np.longdouble)),
            DTypeError,
            "x is (longdouble|float128|float96)",
        )
        fails(
            lambda: LSTM(5, dtype="float64").forward(x.astype(np.longdouble)),
            DTypeError,
            "computes in float64",
        )
    layer.forward(x.astype("float32"), training=True)
    fails(lambda: layer.backward(np.zeros((2, 4, 5))), DTypeError, "dy is float64")
    fails(
        lambda: layer.forward(x.astype("float32"), initial_state=[np.zeros((2, 5))] * 2),
        DTypeError,
        "initial_state h is float64",
    )


@pytest.mark.parametrize(
    "value", [2**24 + 1, -(2**24) - 1, 2**31 - 1, 2**53 + 1, 2**63 - 1, 2**64 - 1]
)
def test_whole_numbers_that_float32_cannot_hold(layer, value):
    kinds = [
        kind
        for kind in ("int32", "uint32", "int64", "uint64")
        if np.iinfo(kind).min <= value <= np.iinfo(kind).max
    ]
    for kind in kinds:
        fails(
            lambda kind=kind: layer.forward(np.full((2, 4, 3), value, kind)),
            DTypeError,
            "float32 cannot represent",
            "float64",
        )


def test_whole_numbers_that_float32_holds(layer):
    for value in (2**24, 2**30, 2**62, -(2**40)):
        layer.forward(np.full((2, 4, 3), value, np.int64))


# ---- numbers that are none


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nonfinite_values_are_refused_with_their_position(layer, dense, bad):
    word = str(bad).removeprefix("-")
    x = x_of(2, 4, 3)
    x[1, 2, 0] = bad
    for training in (False, True):
        fails(
            lambda training=training: layer.forward(x, training=training),
            NonFiniteError,
            "x holds",
            word,
            r"index \(1, 2, 0\)",
        )
    x = x_of(7, 3)
    x[6, 2] = bad
    fails(lambda: dense.forward(x), NonFiniteError, "x holds", word, r"index \(6, 2\)")
    state = [x_of(2, 5), x_of(2, 5)]
    state[1][0, 4] = bad
    fails(
        lambda: layer.forward(x_of(2, 4, 3), initial_state=state),
        NonFiniteError,
        "initial_state c holds",
        word,
        r"index \(0, 4\)",
    )
    stateful = LSTM(5, stateful=True)
    fails(
        lambda: setattr(stateful, "state", state),
        NonFiniteError,
        "state c holds",
        r"index \(0, 4\)",
    )
    weights = layer.get_weights()
    weights[1][4, 19] = bad
    fails(
        lambda: layer.set_weights(weights),
        NonFiniteError,
        "recurrent_kernel holds",
        word,
        r"index \(4, 19\)",
    )


def test_numbers_that_overflow_float32(layer):
    fails(lambda: layer.forward(np.full((2, 4, 3), 1e300).tolist()), (NonFiniteError, DTypeError))
    weights = [w.astype(np.float64) for w in layer.get_weights()]
    weights[0][0, 0] = 1e300
    fails(lambda: layer.set_weights(weights), (NonFiniteError, DTypeError), "kernel")


# ---- lengths, resets, state


@pytest.mark.parametrize(
    ("lengths", "error", "words"),
    [
        ([4, 5], ShapeError, [r"lengths\[1\] is 5", "0 to 4"]),
        ([-1, 4], ShapeError, [r"lengths\[0\] is -1", "0 to 4"]),
        ([4, -(2**62)], ShapeError, [r"lengths\[1\] is -4611686018427387904"]),
        (
            np.array([4, 2**64 - 1], np.uint64),
            ShapeError,
            [r"lengths\[1\] is 18446744073709551615"],
        ),
        ([4], ShapeError, [r"shape \(1,\)", r"\(2,\)"]),
        ([4, 4, 4], ShapeError, [r"shape \(3,\)", r"\(2,\)"]),
        ([[4], [4]], ShapeError, [r"shape \(2, 1\)"]),
        (4, ShapeError, [r"shape \(\)"]),
        ([4.0, 4.0], DTypeError, ["float64", "whole numbers"]),
        ([True, True], DTypeError, ["bool", "whole numbers"]),
        (["4", "4"], DTypeError, ["whole numbers"]),
        ([None, 4], DTypeError, ["whole numbers"]),
        ([4, 2**70], (DTypeError, ShapeError), ["lengths"]),
        ([[4], [4, 4]], (DTypeError, ShapeError), ["lengths"]),
    ],
    ids=str,
)
def test_lengths(layer, lengths, error, words):
    for training in (False, True):
        fails(
            lambda training=training: layer.forward(
                x_of(2, 4, 3), lengths=lengths, training=training
            ),
            error,
            *words,
        )


@pytest.mark.parametrize(
    ("resets", "error", "words"),
    [
        (np.zeros((2, 4), int), DTypeError, ["resets holds int64", "booleans"]),
        (np.zeros((2, 4)), DTypeError, ["resets holds float64", "booleans"]),
        (np.zeros((2, 3), bool), ShapeError, [r"resets has shape \(2, 3\)", r"\(2, 4\)"]),
        (np.zeros(2, bool), ShapeError, [r"resets has shape \(2,\)", r"\(2, 4\)"]),
        ([[True], [True, False]], (DTypeError, ShapeError), ["resets"]),
    ],
    ids=["int", "float", "steps", "rank", "ragged"],
)
def test_resets(layer, resets, error, words):
    fails(lambda: layer.forward(x_of(2, 4, 3), resets=resets), error, *words)


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ([x_of(2, 5)], ShapeError, ["initial_state has 1 arrays", "expects 2", "h, c"]),
        ([x_of(2, 5)] * 3, ShapeError, ["initial_state has 3 arrays", "expects 2"]),
        (x_of(2, 5), ShapeError, ["initial_state has 1 arrays", "expects 2"]),
        (
            [x_of(2, 5), x_of(2, 4)],
            ShapeError,
            [r"initial_state c has shape \(2, 4\)", r"\(2, 5\)"],
        ),
        (
            [x_of(3, 5), x_of(3, 5)],
            ShapeError,
            [r"initial_state h has shape \(3, 5\)", r"\(2, 5\)"],
        ),
        ([x_of(5), x_of(5)], ShapeError, [r"initial_state h has shape \(5,\)", r"\(2, 5\)"]),
        ([x_of(2, 5), x_of(2, 5).astype(complex)], DTypeError, ["initial_state c holds complex"]),
        ([x_of(2, 5), None], (DTypeError, ShapeError), ["initial_state c"]),
        ("hc", (DTypeError, ShapeError), ["initial_state"]),
    ],
    ids=["one", "three", "array", "units", "rows", "rank", "complex", "None inside", "text"],
)
def test_initial_state(layer, state, error, words):
    fails(lambda: layer.forward(x_of(2, 4, 3), initial_state=state), error, *words)


def test_state():
    layer = LSTM(5, stateful=True)
    fails(
        lambda: setattr(layer, "state", [x_of(2, 5), x_of(3, 5)]),
        ShapeError,
        r"state c has shape \(3, 5\)",
        r"\(2, 5\)",
    )
    fails(
        lambda: setattr(layer, "state", [x_of(2, 4), x_of(2, 4)]),
        ShapeError,
        r"state h has shape \(2, 4\)",
        r"\(\w+, 5\)",
    )
    fails(lambda: setattr(layer, "state", [x_of(2, 5)]), ShapeError, "state has 1 arrays", "h, c")
    assert layer.state is None
    fails(
        lambda: setattr(LSTM(5), "state", [x_of(2, 5)] * 2),
        StateError,
        "keeps no state",
        "stateful=True",
    )
    layer.forward(x_of(2, 4, 3))
    fails(lambda: layer.forward(x_of(7, 4, 3)), ShapeError, "2 rows", "x has 7", r"reset_state\(\)")
    layer.reset_state()
    layer.forward(x_of(7, 4, 3))


def test_layers_without_state_take_none(dense):
    for layer in (dense, Activation("tanh"), Flatten(), Dropout(0.1)):
        x = x_of(2, 3)
        fails(
            lambda layer=layer: layer.forward(x, initial_state=[x]),
            ConfigError,
            "keeps no state",
            "recurrent layers",
        )
        fails(
            lambda layer=layer: layer.forward(x, resets=np.zeros((2, 3), bool)),
            ConfigError,
            "keeps no state",
        )
