"""Options that are set once a layer is made.

Checked as they are when it is made, or refused where nobody would read them.
"""

import numpy as np
import pytest
from cases import assert_all_same_bits

import gatewise
from gatewise.cells import FullGateLSTMCell
from gatewise.errors import ConfigError, DTypeError, GatewiseError, SettingError, StateError
from gatewise.layers import (
    ELU,
    GRU,
    GRUD,
    LSTM,
    RNN,
    Activation,
    AdditiveAttention,
    Attention,
    AveragePooling1D,
    BatchNormalization,
    Bidirectional,
    Concatenate,
    Conv1D,
    Cropping1D,
    Dense,
    DepthwiseConv1D,
    Dot,
    Dropout,
    Embedding,
    GlobalMaxPooling2D,
    Input,
    LayerNormalization,
    LeakyReLU,
    Masking,
    MaxPooling1D,
    MinGRU,
    MinLSTM,
    MultiHeadAttention,
    Permute,
    ReLU,
    RepeatVector,
    Reshape,
    Softmax,
    SpatialDropout1D,
    TimeDistributed,
    UpSampling1D,
    ZeroPadding1D,
)


@pytest.mark.parametrize(
    ("layer", "option", "good", "bad"),
    [
        (lambda: LSTM(3), "dropout", 0.5, 2.0),
        (lambda: GRU(3), "recurrent_dropout", 0.5, -1.0),
        (lambda: Dropout(0.1), "rate", 0.5, 1.5),
        (lambda: SpatialDropout1D(0.1), "rate", 0, 1),
        (Attention, "dropout", 0.5, None),
        (BatchNormalization, "momentum", 1, 1.1),
        (BatchNormalization, "epsilon", 0.1, 0.0),
        (LayerNormalization, "epsilon", 1, "1"),
        (lambda: MinGRU(3), "recurrent_dropout", 0.0, 0.1),
        (lambda: GRUD(3), "dropout", 0.0, 0.1),
        (lambda: RNN(FullGateLSTMCell(3)), "dropout", 0, 0.1),
    ],
)
def test_options_set_later_are_checked(layer, option, good, bad):
    layer = layer()
    for _ in range(2):
        setattr(layer, option, good)
        with pytest.raises((ConfigError, DTypeError), match=f"{option} is {bad!r}"):
            setattr(layer, option, bad)
        assert getattr(layer, option) == good
        if not layer.built:
            layer.build((None, None, 3))


@pytest.mark.parametrize(
    "layer", [lambda: LSTM(3), lambda: GRU(3), lambda: MinLSTM(3), lambda: GRUD(3)]
)
@pytest.mark.parametrize(
    ("option", "value"),
    [("activation", "relu"), ("clip", 1.0), ("use_bias", False), ("zoneout", 0.5)],
)
def test_options_of_the_cell_cannot_be_set_later(layer, option, value):
    layer = layer()
    for _ in range(2):
        with pytest.raises(
            StateError, match=f"{option} cannot be set: it is an option of its cell"
        ):
            setattr(layer, option, value)
        if not layer.built:
            layer.build((None, None, 3))
    with pytest.raises(StateError, match="has no attribute .mark."):  # what neither has
        layer.mark = value


def test_options_of_a_built_layer_that_cannot_be_set():
    for layer, option, value in [(LSTM(3), "unit_forget_bias", False), (GRUD(3), "means", [0.5])]:
        setattr(layer, option, value)
        layer.build((None, None, 3))
        with pytest.raises(StateError, match=f"{option} cannot change any more"):
            setattr(layer, option, value)


# ---- options set before a layer is built

INPUT = (None, 5, 3)
BEFORE = {
    "units": (lambda: Dense(2), 3, [0, 2.5, "3", None, True]),
    "activation": (lambda: Dense(2), "softmax", ["nonsense", 3]),
    "use_bias": (lambda: Dense(2), False, [0, "no", None]),
    "filters": (lambda: Conv1D(2, 2), 3, [0, 2.5]),
    "window": (lambda: Conv1D(2, 2), 3, [0, 2.5, [1, 2]]),
    "strides": (lambda: MaxPooling1D(2), 1, [0, "1"]),
    "padding": (lambda: MaxPooling1D(2), "same", ["causal", "full", 1]),
    "depth_multiplier": (lambda: DepthwiseConv1D(2), 3, [0, 2.5]),
    "keepdims": (GlobalMaxPooling2D, True, [1, None]),
    "dilation": (lambda: AveragePooling1D(2), 1, [2, 0]),
    "axis": (Concatenate, 1, [0, 1.5, None]),
    "axes": (lambda: Dot(1), (1, 2), [0, (1, 0), [1], None]),
    "normalize": (lambda: Dot(1), True, [1, None]),
    "num_heads": (lambda: MultiHeadAttention(2, 3), 3, [0, 1.5, None]),
    "key_dim": (lambda: MultiHeadAttention(2, 3), 4, [0, 1.5, None]),
    "value_dim": (lambda: MultiHeadAttention(2, 3), 4, [0, 1.5, None]),
    "target_shape": (lambda: Reshape((2, 3)), (3, 2), [0, (0, 1), (-1, -1), "x", None]),
    "dims": (lambda: Permute((2, 1)), (1, 2), [(1, 1), (0, 1), 2]),
    "cropping": (Cropping1D, (0, 1), [-1, (1,), "1"]),
    "size": (UpSampling1D, 3, [0, 1.5]),
    "max_value": (ReLU, 1.5, [-1, "x"]),
    "negative_slope": (LeakyReLU, 0.5, [-1, None]),
    "threshold": (ReLU, 0.5, [-1, None]),
    "alpha": (ELU, 0.5, [-1, None]),
    "n": (lambda: RepeatVector(2), 3, [0, 1.5]),
    "output_dim": (lambda: Embedding(4, 2), 3, [0, 1.5]),
    "input_dim": (lambda: Embedding(4, 2), 3, [0, 1.5]),
    "mask_zero": (lambda: Embedding(4, 2), True, [1, "yes"]),
    "mask_value": (Masking, 1, ["x", None, float("nan")]),
    "center": (LayerNormalization, False, [0, "x"]),
    "scale": (BatchNormalization, False, [0, "x"]),
    "use_scale": (Attention, True, [1, None]),
    "use_causal_mask": (Attention, True, [1, None]),
    "return_attention_scores": (AdditiveAttention, True, [1, None]),
    "score_mode": (Attention, "concat", ["cos", None, ["dot"]]),
    "return_sequences": (lambda: LSTM(2), True, [1, "yes", None]),
    "return_state": (lambda: LSTM(2), False, [1, "yes"]),
    "go_backwards": (lambda: GRU(2), True, [1, None]),
    "stateful": (lambda: GRU(2), True, [1, None]),
    "learned_initial_state": (lambda: MinGRU(2), True, [1, None]),
    "unit_forget_bias": (lambda: LSTM(2), False, [1, None]),
    "means": (lambda: GRUD(2), [0.5], [0.5, ["x"]]),
    "merge_mode": (lambda: Bidirectional(LSTM(2)), "sum", ["both", 1, ["sum"]]),
}
OTHERS = [
    ("learned_initial_state", lambda: RNN(FullGateLSTMCell(2)), False, [True, 1]),
    (
        "merge_mode",
        lambda: Bidirectional(LSTM(2), backward_layer=LSTM(3, go_backwards=True)),
        None,
        ["sum", "ave", "mul"],
    ),
    ("use_scale", AdditiveAttention, False, [0]),
    ("axis", Softmax, (1, 2), [0, [], None]),
    ("padding", ZeroPadding1D, (1, 2), [-1, (1,), "same"]),
    ("negative_slope", ReLU, 0.5, [-1, None]),
    ("activation", lambda: Activation("tanh"), "elu", ["x"]),
    ("input_dim", lambda: Embedding(4, 2, weights=np.ones((4, 2))), 4, [3, 5]),
]


@pytest.mark.parametrize(
    ("option", "make", "good", "bad"), [(name, *rest) for name, rest in BEFORE.items()] + OTHERS
)
def test_options_set_before_a_layer_is_built_are_checked_as_the_constructor_does(
    option, make, good, bad
):
    layer = make()
    before = getattr(layer, option)
    for value in bad:
        with pytest.raises(GatewiseError):
            setattr(layer, option, value)
        assert getattr(layer, option) == before
    setattr(layer, option, good)
    assert getattr(layer, option) == good
    again = type(layer).from_config(layer.get_config())
    assert getattr(again, option) == good


def test_every_option_that_is_fixed_is_tried_above():
    tried = {name for name, *_ in OTHERS} | BEFORE.keys()
    for name in gatewise.layers.__all__:
        cls = getattr(gatewise.layers, name)
        if isinstance(cls, type):
            fixed = {
                each
                for base in cls.__mro__
                for each, value in vars(base).items()
                if type(value).__name__ == "Fixed"
            }
            assert fixed <= tried, name


@pytest.mark.parametrize("wrap", [TimeDistributed, Bidirectional])
def test_options_of_a_layer_inside_another_cannot_be_set(wrap):
    layer = LSTM(2)
    wrapper = wrap(layer)
    for option, value in (("return_sequences", True), ("stateful", True), ("return_state", True)):
        with pytest.raises(
            StateError,
            match=(
                f"layer {layer.name!r} is inside {wrapper.name!r}: {option} cannot change any more"
            ),
        ):
            setattr(layer, option, value)


def test_options_of_a_cell_cannot_be_set():
    layer = LSTM(2)
    for option, value in (("units", 3), ("activation", "relu"), ("clip", 1.0)):
        with pytest.raises(SettingError, match=f"{option} is chosen when the object is made"):
            setattr(layer.cell, option, value)
    with pytest.raises(SettingError, match="cell is chosen|layer 'lstm.*': cell cannot be set"):
        layer.cell = GRU(2).cell


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: Dense(2, seed=seed),
        lambda seed: LSTM(2, seed=seed),
        lambda seed: Dropout(0.1, seed=seed),
        lambda seed: Conv1D(2, 2, seed=seed),
        lambda seed: Embedding(3, 2, seed=seed),
        lambda seed: Attention(seed=seed),
        lambda seed: RNN(FullGateLSTMCell(2), seed=seed),
        lambda seed: Bidirectional(LSTM(2), seed=seed),
        lambda seed: TimeDistributed(Dense(2), seed=seed),
    ],
)
def test_seeds_are_checked_when_a_layer_is_made(make):
    for wrong in ("x", 1.5, -1, True):
        with pytest.raises((ConfigError, DTypeError), match="seed"):
            make(wrong)
    assert make(3).seed == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda outer, inner: Bidirectional(LSTM(2, dropout=0.5, seed=inner), seed=outer),
        lambda outer, inner: TimeDistributed(Dense(4, seed=inner), seed=outer),
        lambda outer, inner: TimeDistributed(Bidirectional(LSTM(2, seed=inner)), seed=outer),
    ],
)
def test_the_seed_of_a_wrapper_is_that_of_the_layers_inside(make):
    x = np.ones(
        (
            (2, 4, 3, 3)
            if type(make(1, None)) is TimeDistributed and make(1, None).layer._has_state
            else (2, 4, 3)
        ),
        "float32",
    )
    results = []
    for outer, inner in ((7, None), (None, 7), (7, 7), (8, None)):
        layer = make(outer, inner)
        layer.forward(x, training=True)
        results.append(layer.get_weights())
        again = type(layer).from_config(layer.get_config())
        assert again.seed == layer.seed == (outer or inner)
    assert_all_same_bits(results[1], results[0])
    assert_all_same_bits(results[2], results[0])
    assert not np.array_equal(results[3][0], results[0][0])
    with pytest.raises(
        ConfigError, match="seed is 8 and layer's seed is 7|seed is 8 and forward's seed is 7"
    ):
        make(8, 7)


def test_two_seeds_inside_are_refused():
    with pytest.raises(
        ConfigError,
        match="forward's seed is 1 and backward's seed is 2; all layers inside draw from one",
    ):
        Bidirectional(LSTM(2, seed=1), backward_layer=LSTM(2, seed=2, go_backwards=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: LSTM(2, input_shape=(4, 3), input_dim=2),
            r"input_shape \(4, 3\) and input_dim \(any, 2\)",
        ),
        (
            lambda: Dense(2, input_shape=(3,), batch_input_shape=(8, 4)),
            r"input_shape \(3\) and batch_input_shape \(4\)",
        ),
        (
            lambda: Embedding(3, 2, input_length=4, input_shape=(5,)),
            r"input_length \(4\) and input_shape \(5\)",
        ),
        (
            lambda: TimeDistributed(Dense(2), input_shape=(4, 3), batch_input_shape=(8, 4, 2)),
            "give one of them",
        ),
        (lambda: Input((3,), batch_size=0), "batch_size is 0"),
        (
            lambda: Input(batch_shape=(8, 3), batch_size=8),
            "batch_size is given together with batch_shape",
        ),
    ],
)
def test_shapes_that_say_different_things(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_shapes_that_agree():
    assert LSTM(2, input_shape=(4, 3), input_dim=3)._given_input_shape == (4, 3)
    assert LSTM(2, batch_input_shape=(8, None, 3), input_shape=(4, 3))._given_input_shape == (4, 3)
    assert Embedding(3, 2, input_length=4, input_shape=(None,))._given_input_shape == (4,)


def test_a_recurrent_layer_of_no_cell():
    with pytest.raises(DTypeError, match="cell is 3; expected an object of gatewise.cells"):
        gatewise.layers.Recurrent(3)
