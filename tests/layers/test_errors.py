"""Wrong input: the class of the error, as ours and as the built-in, and the words that help.

Each case is ``call, class, built-in, words``; the words are regular expressions that must all be
found.
"""

import re

import numpy as np
import pytest
from cases import CELLS, make
from seeds import generator

from gatewise import GatewiseError, initializers, regularizers
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
    Layer,
    RepeatVector,
    SimpleRNN,
)
from gatewise.models import Sequential

BUILT_IN = {
    ConfigError: ValueError,
    ShapeError: ValueError,
    NonFiniteError: ValueError,
    DTypeError: TypeError,
    SizeError: MemoryError,
    StateError: RuntimeError,
}


def fails(call, error, *words):
    """The call raises this error, which is a GatewiseError and the built-in that fits, and says the words."""
    classes = error if isinstance(error, tuple) else (error,)
    with pytest.raises(classes) as caught:
        call()
    assert isinstance(caught.value, GatewiseError)
    assert isinstance(caught.value, BUILT_IN[type(caught.value)])
    for word in words:
        assert re.search(word, str(caught.value)), f"{word!r} is not in: {caught.value}"


def x_of(*shape, dtype="float32"):
    return np.zeros(shape, dtype)


@pytest.fixture
def layer(rng):
    """An LSTM in float32 built for 3 features."""
    return make("lstm", 5, 3, rng, "float32", return_sequences=True)


@pytest.fixture
def dense():
    built = Dense(4)
    built.build((None, 3))
    return built


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
    for layer in (Activation("tanh"), Dropout(0.1), Input((4, 3))):
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


# ---- sizes


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU, Dense])
@pytest.mark.parametrize(
    ("units", "error", "words"),
    [
        (0, ConfigError, ["units is 0", "1 to"]),
        (-1, ConfigError, ["units is -1", "1 to"]),
        (2**31, ConfigError, ["units is 2147483648"]),
        (2**62, ConfigError, ["units is 4611686018427387904"]),
        (2**200, ConfigError, ["units is 1606938"]),
        (2.5, DTypeError, [r"units is 2\.5", "whole number"]),
        (4.0, DTypeError, [r"units is 4\.0", "whole number"]),
        ("8", DTypeError, ["units is '8'", "whole number"]),
        (None, DTypeError, ["units is None", "whole number"]),
        (True, DTypeError, ["units is True", "whole number"]),
        ([4], DTypeError, [r"units is \[4\]", "whole number"]),
        (np.float32(4), DTypeError, ["units is", "whole number"]),
        (float("nan"), DTypeError, ["units is nan"]),
    ],
    ids=str,
)
def test_units(cls, units, error, words):
    fails(lambda: cls(units), error, *words)


def test_units_may_be_a_numpy_integer():
    assert LSTM(np.int16(4)).units == 4


@pytest.mark.parametrize("cls", [SimpleRNN, LSTM, GRU])
@pytest.mark.parametrize("units", [10**6, 10**9, 2**31 - 1])
def test_sizes_that_overflow(cls, units):
    """No byte of it is touched: the machine's memory is compared first."""
    layer = cls(units)
    fails(lambda: layer.build((None, None, 3)), (SizeError, ShapeError))
    assert not layer.built, "a failed build leaves the layer built, without parameters"
    fails(lambda: layer.forward(x_of(2, 4, 3)), (SizeError, ShapeError))


def test_sizes_that_overflow_say_how_much_there_is():
    fails(
        lambda: SimpleRNN(10**9).build((None, None, 3)),
        SizeError,
        "needs .* GiB",
        "this machine has",
    )
    fails(
        lambda: Dense(2**31 - 1).build((None, 2**31 - 1)),
        SizeError,
        "needs .* GiB",
        "this machine has",
    )
    fails(lambda: LSTM(2**30).build((None, None, 3)), (ShapeError, SizeError), "4294967296|GiB")


def test_a_failed_build_can_be_repeated_with_better_sizes():
    layer = Dense(10**6)
    fails(lambda: layer.build((None, 10**6)), SizeError)
    assert not layer.built
    layer.build((None, 2))
    assert layer.forward(x_of(1, 2)).shape == (1, 10**6)


def test_outputs_that_do_not_fit_into_memory(dense):
    x = np.broadcast_to(np.float32(0), (10**6, 3))
    wide = Dense(2**20)
    wide.build((None, 3))
    fails(lambda: wide.forward(x), SizeError, "output", "GiB")


@pytest.mark.parametrize(
    "shape",
    [
        (None, 4, 0),
        (None, -1, 3),
        (None, 2.5, 3),
        (None, "4", 3),
        (None, 4, 2**62),
        "abc",
        None,
        2.5,
        (None, 4, True),
    ],
    ids=str,
)
def test_build_shapes(shape):
    for layer in (LSTM(5), Dense(5), Flatten()):
        fails(lambda layer=layer: layer.build(shape), (ConfigError, DTypeError, ShapeError))
        assert not layer.built


def test_build_needs_the_number_of_features():
    fails(lambda: LSTM(5).build((None, 4, None)), ShapeError, "known number of features")
    for shape in ((None, 3), 3):
        fails(lambda shape=shape: LSTM(5).build(shape), ShapeError, r"\(batch, steps, features\)")
    fails(lambda: Dense(5).build((None, None)), ShapeError, "known number of features")
    fails(lambda: Dense(5).build((3,)), ShapeError, r"\(batch, ..., features\)")


def test_build_twice(layer):
    fails(lambda: layer.build((None, None, 3)), StateError, "built already", r"\(None, None, 3\)")


@pytest.mark.parametrize("shape", [0, -3, 2.5, "a", (4, 0), (4, "a"), (True,)], ids=str)
def test_input_shapes(shape):
    for make_one in (
        lambda: Input(shape),
        lambda: LSTM(4, input_shape=shape),
        lambda: LSTM(4, batch_input_shape=(2, shape)),
    ):
        fails(make_one, (ConfigError, DTypeError))


def test_input_needs_one_shape():
    fails(lambda: Input(), ConfigError, "either shape", "batch_shape")
    fails(lambda: Input((3,), batch_shape=(2, 3)), ConfigError, "either shape")


# ---- options


@pytest.mark.parametrize(
    "rate",
    [-0.1, 1.0, 1.5, float("nan"), float("inf"), 10**400],
    ids=["negative", "one", "above one", "nan", "inf", "more than a float holds"],
)
def test_rates_out_of_range(rate):
    for call in (
        lambda: LSTM(4, dropout=rate),
        lambda: GRU(4, recurrent_dropout=rate),
        lambda: Dropout(rate),
    ):
        fails(call, ConfigError, "(dropout|rate) is", r"\[0\.0, 1\.0\)")


@pytest.mark.parametrize("rate", ["0.5", None, True, [0.5], 1j], ids=str)
def test_rates_that_are_no_numbers(rate):
    for call in (
        lambda: LSTM(4, dropout=rate),
        lambda: GRU(4, recurrent_dropout=rate),
        lambda: Dropout(rate),
    ):
        fails(call, DTypeError, "(dropout|rate) is", "expected a number")


@pytest.mark.parametrize("option", ["activation", "recurrent_activation"])
def test_activations(option):
    for cls in (LSTM, GRU):
        fails(
            lambda cls=cls: cls(4, **{option: "sinh"}),
            ConfigError,
            "'sinh' is not known",
            "hard_sigmoid",
            "tanh",
        )
        fails(lambda cls=cls: cls(4, **{option: "softmax"}), ConfigError, "'softmax' is not known")
        fails(lambda cls=cls: cls(4, **{option: np.tanh}), DTypeError, "expected a name", "tanh")
        fails(lambda cls=cls: cls(4, **{option: 3}), DTypeError, "expected a name")


def test_activations_of_other_layers():
    for cls in (lambda a: SimpleRNN(4, a), lambda a: Dense(4, a), Activation):
        fails(lambda cls=cls: cls("TANH"), ConfigError, "'TANH' is not known", "tanh")
        fails(lambda cls=cls: cls(np.tanh), DTypeError, "expected a name")
    with pytest.raises(ConfigError, match="softmax"):
        Dense(4, "nonsense")


@pytest.mark.parametrize(
    "option", ["kernel_initializer", "recurrent_initializer", "bias_initializer"]
)
def test_initializers(option):
    fails(
        lambda: LSTM(4, **{option: "xavier"}),
        ConfigError,
        option,
        "'xavier' is not known",
        "glorot_uniform",
    )
    for wrong in (np.zeros, 3, None, {"class_name": "Nonsense"}, {}, np.zeros((2, 2))):
        fails(lambda wrong=wrong: LSTM(4, **{option: wrong}), (DTypeError, ConfigError), option)


def test_initializers_with_wrong_arguments():
    fails(lambda: initializers.Constant("a"), DTypeError, "value")
    fails(lambda: initializers.RandomNormal(stddev=-1), ConfigError, "stddev is -1")
    fails(lambda: initializers.RandomNormal(mean=float("nan")), ConfigError, "mean is nan")
    fails(
        lambda: initializers.Constant(1e300)((2, 3)),
        ConfigError,
        "gives values that float32 cannot hold",
    )
    fails(
        lambda: LSTM(4, bias_initializer="orthogonal").build((None, None, 3)),
        ShapeError,
        "two axes",
    )
    fails(
        lambda: LSTM(4, kernel_initializer="identity").build((None, None, 3)),
        ShapeError,
        "identity",
    )


@pytest.mark.parametrize(
    "saved",
    [
        {"class_name": "Constant", "config": {"wrong": 1}},
        {"class_name": "Constant", "config": 3},
        {"class_name": ["Zeros"]},
        {"class_name": {}},
    ],
    ids=str,
)
def test_saved_initializers_that_are_damaged(saved):
    """A configuration comes from a file, and a file may hold anything."""
    fails(lambda: initializers.get(saved), (ConfigError, DTypeError))


@pytest.mark.parametrize(
    "option", ["kernel_regularizer", "recurrent_regularizer", "bias_regularizer"]
)
def test_regularizers(option):
    fails(lambda: LSTM(4, **{option: "l3"}), ConfigError, option, "'l3' is not known", "l1_l2")
    for wrong in (0.01, abs, ["l1"]):
        fails(lambda wrong=wrong: LSTM(4, **{option: wrong}), DTypeError, option)
    fails(lambda: regularizers.L1(-1), ConfigError, "l1 is -1")
    fails(lambda: regularizers.L2("a"), DTypeError, "l2 is 'a'")


@pytest.mark.parametrize(
    "option",
    [
        "use_bias",
        "return_sequences",
        "return_state",
        "go_backwards",
        "stateful",
        "unit_forget_bias",
    ],
)
@pytest.mark.parametrize("value", [1, "yes", None], ids=str)
def test_flags(option, value):
    fails(lambda: LSTM(4, **{option: value}), DTypeError, f"{option} is {value!r}", "True or False")


def test_the_forms_of_the_gru():
    fails(lambda: GRU(4, update="foo"), ConfigError, "update is 'foo'", "'cho' or 'chung'")
    fails(lambda: GRU(4, reset_after=1), DTypeError, "reset_after is 1", "True or False")


@pytest.mark.parametrize("dtype", ["float16", "int32", "complex64", "bool", "longdouble"])
def test_dtypes(dtype):
    for cls in (lambda **k: LSTM(4, **k), lambda **k: Dense(4, **k), Flatten):
        fails(lambda cls=cls: cls(dtype=dtype), DTypeError, "dtype is", "float32, float64")


@pytest.mark.parametrize(
    "dtype", ["nonsense", 3, object(), np.zeros(3)], ids=["text", "number", "object", "array"]
)
def test_dtypes_that_are_none(dtype):
    fails(lambda: LSTM(4, dtype=dtype), DTypeError, "dtype is", "float32, float64")


@pytest.mark.parametrize("seed", [-1, 1.5, "a", 2**200], ids=str)
def test_seeds(seed):
    """At the latest when the first number is drawn."""
    if seed == 2**200:  # NumPy takes seeds of any size
        return LSTM(4, seed=seed).build((None, None, 3))
    for call in (
        lambda: LSTM(4, seed=seed).build((None, None, 3)),
        lambda: Dense(4, seed=seed).build((None, 3)),
        lambda: Dropout(0.5, seed=seed).forward(x_of(2, 3), training=True),
        lambda: LSTM(4, kernel_initializer=initializers.RandomNormal(seed=seed)).build(
            (None, None, 3)
        ),
    ):
        fails(call, (ConfigError, DTypeError), "seed")


def test_names():
    fails(lambda: LSTM(4, name=3), ConfigError, "name is 3")


@pytest.mark.parametrize("noise_shape", [(2, 3), (5, 1), (None, 2), (1, 1, 1)], ids=str)
def test_noise_shapes_that_do_not_fit(noise_shape):
    """An extent is the input's, or 1; anything else would change the shape of the output."""
    for batch in (1, 4):
        fails(
            lambda batch=batch: Dropout(0.5, noise_shape=noise_shape, seed=1).forward(
                x_of(batch, 3), training=True
            ),
            ShapeError,
            "noise_shape",
        )


# ---- order of calls


@pytest.mark.parametrize("cell", CELLS)
def test_backward_needs_a_forward(cell, rng):
    layer, x, dy = make(cell, 5, 3, rng, "float32"), x_of(2, 4, 3), x_of(2, 5)
    fails(lambda: layer.backward(dy), StateError, "nothing to go back over", "training=True")
    layer.forward(x)
    fails(lambda: layer.backward(dy), StateError, "nothing to go back over")
    layer.forward(x, training=True)
    layer.backward(dy)
    fails(lambda: layer.backward(dy), StateError, "nothing to go back over")


def test_backward_needs_a_forward_in_other_layers():
    for layer in (
        Dense(3),
        Activation("tanh"),
        Activation("softmax"),
        Flatten(),
        Dropout(0.2),
        Dropout(0),
        Input((3,)),
    ):
        fails(
            lambda layer=layer: layer.backward(x_of(2, 3)),
            StateError,
            "nothing to go back over",
            "training=True",
        )
        layer.forward(x_of(2, 3))
        fails(lambda layer=layer: layer.backward(x_of(2, 3)), StateError, "nothing to go back over")
        layer.forward(x_of(2, 3), training=True)
        layer.backward(x_of(2, 3))
        fails(lambda layer=layer: layer.backward(x_of(2, 3)), StateError, "nothing to go back over")


def test_a_wrong_gradient_can_be_put_right(layer):
    """The forward pass is not lost over it."""
    layer.forward(x_of(2, 4, 3), training=True)
    for wrong, error, *words in [
        (x_of(2, 5), ShapeError, r"dy has shape \(2, 5\)", r"\(2, 4, 5\)"),
        (x_of(2, 4, 5, 1), ShapeError, r"dy has shape \(2, 4, 5, 1\)"),
        (x_of(2, 4, 5).astype(complex), DTypeError, "dy holds complex"),
        (None, DTypeError, "dy"),
        ("text", DTypeError, "dy"),
        ([x_of(2, 4, 5), x_of(2, 5)], (ShapeError, DTypeError), "dy"),
    ]:
        fails(lambda wrong=wrong: layer.backward(wrong), error, *words)
    assert layer.backward(x_of(2, 4, 5)).shape == (2, 4, 3)


def test_gradients_of_a_layer_that_returns_its_state(rng):
    layer = make("lstm", 5, 3, rng, "float32", return_state=True)
    layer.forward(x_of(2, 4, 3), training=True)
    for wrong, error, *words in [
        ([x_of(2, 5)] * 2, ShapeError, "dy has 2 arrays", "returns 3"),
        ([x_of(2, 5), x_of(2, 4), None], ShapeError, r"dy\[1\] has shape \(2, 4\)", r"\(2, 5\)"),
        ([x_of(2, 5), None, x_of(2, 5, dtype="float64")], DTypeError, r"dy\[2\] is float64"),
        (x_of(2, 5), ShapeError, "dy"),
    ]:
        fails(lambda wrong=wrong: layer.backward(wrong), error, *words)
    assert layer.backward([None, None, None]).shape == (2, 4, 3)


@pytest.mark.parametrize("wrong", [3, 3.5, object()], ids=["int", "float", "object"])
@pytest.mark.parametrize("what", ["set_weights", "initial_state", "state", "dy"])
def test_things_that_are_no_lists(what, wrong, rng):
    layer = make("lstm", 5, 3, rng, "float32", return_state=True, stateful=True)
    layer.forward(x_of(2, 4, 3), training=True)
    call = {
        "set_weights": lambda: layer.set_weights(wrong),
        "initial_state": lambda: layer.forward(x_of(2, 4, 3), initial_state=wrong),
        "state": lambda: setattr(layer, "state", wrong),
        "dy": lambda: layer.backward(wrong),
    }[what]
    fails(call, (DTypeError, ShapeError))


# ---- weights


def test_set_weights(layer, dense):
    good = layer.get_weights()
    wrong_shape, wrong_kind = list(good), list(good)
    wrong_shape[2] = np.zeros(21)
    wrong_kind[2] = good[2].astype(complex)
    for weights, error, *words in [
        (good[:2], ShapeError, "has 3 weight arrays", "kernel, recurrent_kernel, bias", "got 2"),
        ([*good, good[0]], ShapeError, "got 4"),
        ([], ShapeError, "got 0"),
        (wrong_shape, ShapeError, r"bias has shape \(21,\)", r"\(20,\)"),
        ([good[0].T, *good[1:]], ShapeError, r"kernel has shape \(20, 3\)", r"\(3, 20\)"),
        (wrong_kind, DTypeError, "bias holds complex"),
        ([*good[:2], None], DTypeError, "bias"),
        ([*good[:2], "text"], DTypeError, "bias"),
    ]:
        fails(lambda weights=weights: layer.set_weights(weights), error, *words)
        for now, before in zip(layer.get_weights(), good):  # all or nothing
            np.testing.assert_array_equal(now, before)
    fails(lambda: LSTM(4).set_weights(good), StateError, "not built", "build")
    fails(
        lambda: dense.set_weights([np.zeros((3, 4))]),
        ShapeError,
        "has 2 weight arrays",
        "kernel, bias",
        "got 1",
    )
    fails(lambda: Activation("tanh").set_weights([]), StateError, "not built")


def test_set_weights_rounds_float64(layer):
    """The caller chose the layer's dtype; loading weights into it is not a silent loss."""
    layer.set_weights([w.astype(np.float64) for w in layer.get_weights()])
    assert all(w.dtype == np.float32 for w in layer.get_weights())


def test_a_layer_without_equations():
    class Empty(Layer):
        pass

    with pytest.raises(
        TypeError,
        match=r"layer Empty defines no run\(self, inputs, tape, node\) and no run_backward\(.*, which"
        r" .*docs/custom-layers.md.*docs/custom-cells.md",
    ):
        Empty()
