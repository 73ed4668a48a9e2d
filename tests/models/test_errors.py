"""What models refuse: calls that come too early, shapes of inputs and targets, stacks of layers."""

import numpy as np
import pytest

from gatewise.errors import (
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
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
    RepeatVector,
    SimpleRNN,
)
from gatewise.models import Sequential

from .error_cases import X, Y, model_of, refused


def test_errors_are_built_ins_too():
    for error, built_in in (
        (ConfigError, ValueError),
        (ShapeError, ValueError),
        (DTypeError, TypeError),
        (NonFiniteError, ValueError),
        (StateError, RuntimeError),
        (CheckpointError, OSError),
        (SizeError, MemoryError),
    ):
        assert issubclass(error, GatewiseError)
        assert issubclass(error, built_in)


# ---- too early

EARLY = "the model has no layers: add some first"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: m.fit(X, Y), "fit: the model has no layers: add some first"),
        (lambda m: m.evaluate(X, Y), "evaluate: the model has no layers"),
        (lambda m: m.predict(X), "predict: the model has no layers"),
        (lambda m: m.train_on_batch(X, Y), "train_on_batch: the model has no layers"),
        (lambda m: m.test_on_batch(X, Y), "test_on_batch: the model has no layers"),
        (lambda m: m.compute_gradients(X, Y), "compute_gradients: the model has no layers"),
        (lambda m: m(X), EARLY),
        (lambda m: m.build((None, 5, 2)), EARLY),
        (lambda m: m.pop(), "there is no layer to remove"),
        (lambda m: m.get_weights(), "get_weights: the model is not built"),
        (lambda m: m.save("nowhere"), "save: the model is not built"),
    ],
)
def test_no_layers(call, words):
    refused(StateError, words, lambda: call(Sequential()))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda m: m.get_weights(),
            "get_weights: the model is not built: give its first layer an input_shape",
        ),
        (lambda m: m.set_weights([]), "set_weights: the model is not built"),
        (lambda m: m.save("nowhere"), "save: the model is not built"),
    ],
)
def test_unbuilt(call, words):
    refused(StateError, words, lambda: call(Sequential([LSTM(3), Dense(1)])))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.fit(X, Y),
        lambda m: m.evaluate(X, Y),
        lambda m: m.train_on_batch(X, Y),
        lambda m: m.test_on_batch(X, Y),
        lambda m: m.compute_gradients(X, Y),
    ],
)
def test_uncompiled(call):
    model = Sequential([LSTM(3, input_shape=(5, 2)), Dense(1)])
    refused(
        StateError,
        r"the model is not compiled: call compile\(optimizer, loss\) first",
        lambda: call(model),
    )
    assert model.predict(X).shape == (8, 1)  # which needs no compiling


# ---- shapes


@pytest.mark.parametrize(
    "run",
    [
        lambda m, x: m.fit(x, np.zeros(len(x)), verbose=0),
        lambda m, x: m.predict(x),
        lambda m, x: m(x),
        lambda m, x: m.evaluate(x, np.zeros(len(x))),
        lambda m, x: m.train_on_batch(x, np.zeros(len(x))),
    ],
    ids=["fit", "predict", "call", "evaluate", "train_on_batch"],
)
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((8, 5, 3)), r"x has shape \(8, 5, 3\); the model expects \(samples, 5, 2\)"),
        (np.zeros((8, 5)), r"x has shape \(8, 5\); the model expects \(samples, 5, 2\)"),
        (
            np.zeros((8, 5, 2, 1)),
            r"x has shape \(8, 5, 2, 1\); the model expects \(samples, 5, 2\)",
        ),
        (np.zeros(8), r"x has shape \(8,\); the model expects"),
        (np.zeros((8, 0, 2)), r"x has shape \(8, 0, 2\): no time steps; expected at least 1"),
        ([[[1, 2]], [[1]]], "x has rows of different lengths; pad them .*pad_sequences"),
    ],
)
def test_wrong_inputs(run, x, words):
    refused(ShapeError, words, lambda: run(model_of(), x))


def test_wrong_inputs_of_other_stacks():
    refused(
        ShapeError,
        r"x has shape \(8, 4\); the model expects \(samples, 3\)",
        lambda: model_of(Dense(2, input_shape=(3,))).predict(np.zeros((8, 4))),
    )
    refused(
        ShapeError,
        r"x has shape \(8, 5, 3\); the model expects \(samples, any, 2\)",
        lambda: model_of(GRU(2, input_shape=(None, 2))).predict(np.zeros((8, 5, 3))),
    )


@pytest.mark.parametrize("noise_shape", [(None, 3), (2, 4)])
def test_noise_shapes_that_do_not_fit(noise_shape):
    model = model_of(Dropout(0.5, noise_shape=noise_shape, input_shape=(4,)), Dense(1))
    refused(ShapeError, "noise_shape", lambda: model.fit(np.ones((3, 4)), np.ones(3), verbose=0))


def test_other_steps_than_flatten_was_built_for():
    model = model_of(LSTM(3, return_sequences=True, input_shape=(5, 2)), Flatten(), Dense(1))
    refused(ShapeError, r"x has shape \(8, 7, 2\)", lambda: model.predict(np.zeros((8, 7, 2))))


def test_repeat_vector_takes_the_last_output_only():
    refused(
        ShapeError,
        r"\(None, 5, 3\); expected \(batch, features\); the recurrent layer before it needs"
        r" return_sequences=F",
        lambda: model_of(LSTM(3, return_sequences=True, input_shape=(5, 2)), RepeatVector(4)),
    )


def test_lengths_and_resets_are_not_those_of_repeated_steps():
    """They would be read past their ends."""
    decoder = model_of(Input((7,)), RepeatVector(3), LSTM(4, return_sequences=True))
    refused(
        ShapeError,
        "lengths go up to 7, layer .* reads 3 steps",
        lambda: decoder.predict(np.zeros((2, 7)), lengths=[7, 2]),
    )
    refused(
        ShapeError,
        "resets has flags for 7 steps, layer .* reads 3",
        lambda: decoder.predict(np.zeros((2, 7)), resets=np.ones((2, 7), bool)),
    )


@pytest.mark.parametrize(
    ("loss", "stack", "y", "words"),
    [
        (
            "mse",
            (Dense(1),),
            np.zeros((8, 2)),
            r"y has shape \(8, 2\), the model's output has \(8, 1\); loss mean_squared",
        ),
        ("mse", (Dense(2),), np.zeros(8), r"y has shape \(8,\), the model's output has \(8, 2\)"),
        (
            "mse",
            (Dense(1),),
            np.zeros((7, 1)),
            "y has 7 rows, x has 8; expected one target a sample",
        ),
        (
            "mse",
            (Dense(1),),
            np.zeros((8, 5, 1)),
            r"y has shape \(8, 5, 1\), the model's output has \(8, 1\)",
        ),
        (
            "binary_crossentropy",
            (Dense(1, "sigmoid"),),
            np.zeros((8, 2)),
            "loss binary_crossentropy expects the same",
        ),
        (
            "categorical_crossentropy",
            (Dense(3, "softmax"),),
            np.zeros(8),
            r"y has shape \(8,\), .* output has \(8, 3\)",
        ),
        (
            "sparse_categorical_crossentropy",
            (Dense(3, "softmax"),),
            np.full(8, 3),
            "y holds class 3; .* 3 classes, 0 to 2",
        ),
        (
            "sparse_categorical_crossentropy",
            (Dense(3, "softmax"),),
            np.full(8, -1),
            "y holds class -1; .* 3 classes",
        ),
        (
            "sparse_categorical_crossentropy",
            (Dense(3, "softmax"),),
            np.zeros((8, 3), int),
            r"expects class numbers of shape \(8,\)",
        ),
    ],
)
def test_wrong_targets(loss, stack, y, words):
    def model():
        last = [type(layer).from_config(layer.get_config()) for layer in stack]
        return model_of(LSTM(3, input_shape=(5, 2)), *last, loss=loss)

    for call in (
        lambda m: m.fit(X, y, verbose=0),
        lambda m: m.evaluate(X, y),
        lambda m: m.train_on_batch(X, y),
        lambda m: (
            m.fit(X, np.zeros(8), validation_data=(X, y), verbose=0)
            if len(m.get_weights()[-1]) == 1 and loss == "mse"
            else m.evaluate(X, y)
        ),
    ):
        refused(ShapeError, words, lambda call=call: call(model()))


@pytest.mark.parametrize("y", [3.0, np.float32(1), None, np.array(3.0)])
def test_wrong_targets_that_have_no_rows(y):
    with pytest.raises(GatewiseError, match="y "):
        model_of().fit(X, y)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: Sequential([LSTM(3, input_shape=(5,))]),
            ShapeError,
            r"expected \(batch, steps, features\)",
        ),
        (
            lambda: Sequential([LSTM(3, input_shape=(5, 2)), LSTM(3)]),
            ShapeError,
            r"expected \(batch, steps, features\)",
        ),
        (
            lambda: Sequential([LSTM(3, input_shape=(5, None))]),
            ShapeError,
            "known number of features",
        ),
        (
            lambda: Sequential(
                [GRU(3, return_sequences=True, input_shape=(None, 2)), Flatten(), Dense(1)]
            ),
            ShapeError,
            "known number of features",
        ),
        (
            lambda: Sequential([LSTM(3, return_state=True, input_shape=(5, 2))]),
            ConfigError,
            "return_state=True; a Sequential passes on one output",
        ),
        (
            lambda: Sequential([Dense(1, input_shape=(0,))]),
            ConfigError,
            "an extent of input_shape is 0",
        ),
        (
            lambda: Sequential([Dense(1, input_shape=(-2,))]),
            ConfigError,
            "an extent of input_shape is -2",
        ),
        (
            lambda: Sequential([Dense(1, input_shape=(2.5,))]),
            DTypeError,
            "an extent of input_shape is 2.5",
        ),
        (
            lambda: Sequential([Dense(1, input_shape="ab")]),
            DTypeError,
            "input_shape is 'ab'; expected a tuple",
        ),
        (
            lambda: Sequential([Dense(1, input_shape={})]).predict(X),
            GatewiseError,
            "input_shape is {}; expected a tuple",
        ),
        (lambda: Sequential([Input()]), ConfigError, "Input needs either shape"),
        (
            lambda: Sequential([Input((5, 2), batch_shape=(None, 5, 2))]),
            ConfigError,
            "Input needs either shape",
        ),
        (
            lambda: Sequential([Dense(1, input_shape=(2,)), Input((2,))]),
            ConfigError,
            "an Input can only be the first",
        ),
        (
            lambda: Sequential(["lstm"]),
            ConfigError,
            "add: got 'lstm'; expected a gatewise.layers object",
        ),
        (lambda: Sequential([LSTM]), ConfigError, "expected a gatewise.layers object"),
        (lambda: Sequential([None]), ConfigError, "expected a gatewise.layers object"),
        (
            lambda: Sequential([Dense(1, name="a"), Dense(1, name="a")]),
            ConfigError,
            "two layers are named 'a'",
        ),
        (lambda: Sequential([Dense(1, name=3)]), ConfigError, "name is 3; expected a string"),
        (lambda: Sequential(seed=-1), ConfigError, "seed is -1"),
        (lambda: Sequential(seed=1.5), DTypeError, "seed is 1.5; expected a whole number"),
        (lambda: Sequential(seed="a"), DTypeError, "seed is 'a'"),
    ],
)
def test_models_that_cannot_be(make, error, words):
    refused(error, words, make)


@pytest.mark.parametrize("unbuilt", [False, True])
def test_return_state(unbuilt):
    model = Sequential([LSTM(3, return_state=True)]) if unbuilt else Sequential()
    refused(
        ConfigError,
        r"return_state=True; a Sequential passes on one output",
        lambda: (
            model.predict(X)
            if unbuilt
            else model.add(GRU(3, return_state=True, input_shape=(5, 2)))
        ),
    )


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LSTM(0), ConfigError, "units is 0; expected 1 to"),
        (lambda: GRU(-3), ConfigError, "units is -3"),
        (lambda: SimpleRNN(2.0), DTypeError, "units is 2.0; expected a whole number"),
        (lambda: Dense("8"), DTypeError, "units is '8'"),
        (lambda: Dense(True), DTypeError, "units is True"),
        (lambda: LSTM(2**31), ConfigError, "units is 2147483648"),
        (
            lambda: LSTM(3, activation="swish"),
            ConfigError,
            "activation 'swish' is not known; choose one of .*tanh",
        ),
        (lambda: LSTM(3, activation=np.tanh), DTypeError, "expected a name, one of .*tanh"),
        (lambda: LSTM(3, activation="softmax"), ConfigError, "activation 'softmax' is not known"),
        (
            lambda: Dense(3, kernel_initializer="magic"),
            ConfigError,
            "kernel_initializer 'magic' is not known",
        ),
        (
            lambda: Dense(3, kernel_regularizer="l3"),
            ConfigError,
            "kernel_regularizer 'l3' is not known; choose one of l1",
        ),
        (
            lambda: LSTM(3, dropout=1.0),
            ConfigError,
            r"dropout is 1.0; expected a number in \[0.0, 1.0\)",
        ),
        (lambda: Dropout(-0.1), ConfigError, "rate is -0.1"),
        (lambda: Dropout("half"), DTypeError, "rate is 'half'; expected a number"),
        (
            lambda: LSTM(3, return_sequences=1),
            DTypeError,
            "return_sequences is 1; expected True or False",
        ),
        (lambda: GRU(3, reset_after="no"), DTypeError, "reset_after is 'no'"),
        (lambda: GRU(3, update="new"), ConfigError, "update is 'new'; expected 'cho' or 'chung'"),
        (
            lambda: LSTM(3, dtype="float16"),
            DTypeError,
            "dtype is float16; expected one of float32, float64",
        ),
        (lambda: LSTM(3, dtype="int32"), DTypeError, "dtype is int32"),
        (lambda: Activation("gelu"), ConfigError, "activation 'gelu' is not known"),
    ],
)
def test_layers_that_cannot_be(make, error, words):
    refused(error, words, make)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Dense(2**31 - 1, input_shape=(2**20,))]),
        lambda: Sequential([LSTM(2**28, input_shape=(5, 2))]),
        lambda: Sequential([Dense(2**31 - 1, input_shape=(2**31 - 1,)), Dense(2**31 - 1)]),
    ],
)
def test_sizes_that_no_machine_has(make):
    refused(SizeError, r"needs [\d,.]+ GiB, this machine has [\d,.]+ GiB; use smaller sizes", make)


def test_outputs_that_no_machine_has():
    """The check comes before the allocation, not by it."""
    model = Sequential([Dense(2**22, input_shape=(2**9, 1)), Dense(1)])
    refused(
        SizeError,
        r"the output of layer .* needs",
        lambda: model.predict(np.zeros((200, 2**9, 1)), batch_size=200),
    )
