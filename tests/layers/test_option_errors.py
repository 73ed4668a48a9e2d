"""Wrong sizes and options of layers: types and words of the errors."""

import numpy as np
import pytest

from gatewise import initializers, regularizers
from gatewise.errors import (
    ConfigError,
    DTypeError,
    ShapeError,
    SizeError,
    StateError,
)
from gatewise.layers import (
    GRU,
    LSTM,
    Activation,
    Dense,
    Dropout,
    Flatten,
    Input,
    SimpleRNN,
)

from .error_cases import fails, x_of

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
    fails(lambda: layer.build((None, None, 3)), StateError, "already built", r"\(None, None, 3\)")


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
