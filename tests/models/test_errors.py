"""What is refused: the class of each error, and the words that tell what was given and what to do."""

import numpy as np
import pytest
from cases import run_python

from gatewise import losses, metrics
from gatewise.callbacks import EarlyStopping
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

X, Y = np.zeros((8, 5, 2)), np.zeros((8, 1))


def model_of(*stack, loss="mse", optimizer="sgd", metric_list=None):
    model = Sequential(
        list(stack) or [LSTM(3, input_shape=(5, 2), name="lstm"), Dense(1, name="dense")],
        name="net",
    )
    model.compile(optimizer, loss, metric_list)
    return model


def refused(error, words, call):
    """The call raises this error, which is a GatewiseError, with these words."""
    assert issubclass(error, GatewiseError)
    with pytest.raises(error, match=words) as caught:
        call()
    message = str(caught.value)
    assert len(message) > 15
    assert message[-1] != " "


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


# ---- too early -------------------------------------------------------------------------------------

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


# ---- shapes ----------------------------------------------------------------------------------------


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


# ---- values and types ------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad):
    x, y, w = X.copy(), Y.copy(), np.ones(8)
    x[3, 1, 1], y[6, 0], w[2] = bad, bad, bad
    text = str(bad)
    for call in (
        lambda m, x, y, **o: m.fit(x, y, verbose=0, **o),
        lambda m, x, y, **o: m.evaluate(x, y, **o),
        lambda m, x, y, **o: m.train_on_batch(x, y, **o),
    ):
        refused(
            NonFiniteError,
            rf"x holds {text} at index \(3, 1, 1\); expected finite numbers: fill or drop",
            lambda call=call: call(model_of(), x, Y),
        )
        refused(
            NonFiniteError,
            rf"y holds {text} at index \(6, 0\)",
            lambda call=call: call(model_of(), X, y),
        )
        refused(
            NonFiniteError,
            rf"sample_weight holds {text} at index \(2,\)",
            lambda call=call: call(model_of(), X, Y, sample_weight=w),
        )
    refused(NonFiniteError, rf"x holds {text} at index \(3, 1, 1\)", lambda: model_of().predict(x))
    refused(
        NonFiniteError,
        rf"x holds {text}",
        lambda: model_of().fit(X, Y, validation_data=(x, Y), verbose=0),
    )


def test_nothing_was_trained_when_something_was_refused():
    model = model_of()
    before = model.flat_parameters.copy()
    x = np.ones((8, 5, 2))
    x[7, 4, 1] = np.nan
    for call in (
        lambda: model.fit(x, Y, batch_size=1),
        lambda: model.fit(X + 1, Y, verbose="loud"),
        lambda: model.fit(X + 1, Y, validation_data=(x, Y)),
        lambda: model.fit(X + 1, Y, class_weight=[1]),
    ):
        with pytest.raises(GatewiseError):
            call()
        np.testing.assert_array_equal(model.flat_parameters, before)
        assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (
            np.zeros((8, 5, 2), complex),
            "x holds complex128 values; expected numbers that convert to float32",
        ),
        (np.zeros((8, 5, 2), object), "x holds object values"),
        (np.full((8, 5, 2), "1.0"), "x holds <U3 values"),
        (np.zeros((8, 5, 2), "datetime64[s]"), r"x holds datetime64\[s\] values"),
        (np.zeros((8, 5), [("a", "f4"), ("b", "f4")]), "x holds .* values"),
        (None, "x holds object values"),
        ("text", "x holds <U4 values"),
        ([["a"] * 5] * 8, "x holds <U1 values"),
        ({"a": 1}, "x holds object values"),
    ],
)
def test_types_that_are_not_numbers(x, words):
    for call in (lambda m: m.predict(x), lambda m: m.fit(x, Y), lambda m: m(x)):
        refused(DTypeError, words, lambda call=call: call(model_of()))


@pytest.mark.parametrize(
    "y", [np.zeros(8, complex), np.full(8, "a"), np.array([None] * 8), np.zeros(8, "M8[s]")]
)
def test_targets_that_are_not_numbers(y):
    refused(DTypeError, "y holds .* values; expected numbers", lambda: model_of().fit(X, y))
    refused(
        DTypeError,
        "y holds .* values",
        lambda: model_of(
            LSTM(2, input_shape=(5, 2)), Dense(3, "softmax"), loss="sparse_categorical_crossentropy"
        ).fit(X, y),
    )


# ---- options of fit and its like -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"epochs": -1}, ConfigError, "epochs is -1"),
        ({"epochs": 1.5}, DTypeError, "epochs is 1.5; expected a whole number"),
        ({"epochs": "3"}, DTypeError, "epochs is '3'"),
        ({"epochs": True}, DTypeError, "epochs is True"),
        ({"epochs": None}, DTypeError, "epochs is None"),
        ({"initial_epoch": -1}, ConfigError, "initial_epoch is -1"),
        ({"batch_size": 0}, ConfigError, "batch_size is 0; expected 1 to"),
        ({"batch_size": -4}, ConfigError, "batch_size is -4"),
        ({"batch_size": 2.0}, DTypeError, "batch_size is 2.0"),
        ({"batch_size": "auto"}, DTypeError, "batch_size is 'auto'"),
        (
            {"validation_split": 1.0},
            ConfigError,
            r"validation_split is 1.0; expected a number in \[0.0, 1.0\)",
        ),
        ({"validation_split": -0.5}, ConfigError, "validation_split is -0.5"),
        ({"validation_split": np.nan}, ConfigError, "validation_split is nan"),
        ({"validation_split": "0.2"}, DTypeError, "validation_split is '0.2'"),
        (
            {"validation_split": 0.99},
            ShapeError,
            "validation_split 0.99 of 8 samples leaves one side empty",
        ),
        ({"validation_data": (X,)}, ConfigError, r"validation_data: expected \(x, y\)"),
        ({"validation_data": X}, ConfigError, r"validation_data: expected \(x, y\)"),
        (
            {"validation_data": (X, Y, None, None, None, None, None)},
            ConfigError,
            r"validation_data: expected \(x, y\)",
        ),
        ({"validation_data": (X, Y[:3])}, ShapeError, "y has 3 rows, x has 8"),
        ({"shuffle": "batch"}, DTypeError, "shuffle is 'batch'; expected True or False"),
        ({"verbose": 3}, ConfigError, "verbose is 3; expected 'auto', 0, 1 or 2"),
        (
            {"sample_weight": np.ones(7)},
            ShapeError,
            r"sample_weight has shape \(7,\); expected \(8,\), a weight a sample",
        ),
        ({"sample_weight": np.ones((8, 5))}, ShapeError, r"sample_weight has shape \(8, 5\)"),
        ({"sample_weight": ["a"] * 8}, DTypeError, "sample_weight holds .* values"),
        ({"class_weight": "balanced"}, DTypeError, "class_weight is 'balanced'; expected a dict"),
        ({"lengths": np.ones(7, int)}, ShapeError, r"lengths has shape \(7,\); expected \(8,\)"),
        ({"lengths": np.full(8, 6)}, ShapeError, r"lengths\[0\] is 6; expected 0 to 5"),
        ({"lengths": np.ones(8)}, DTypeError, "lengths holds float64 values"),
        (
            {"resets": np.zeros((8, 5))},
            DTypeError,
            "resets holds float64 values; expected booleans",
        ),
        ({"callbacks": ["x"]}, ConfigError, "callbacks holds 'x'; expected"),
    ],
)
def test_bad_options_of_fit(options, error, words):
    refused(error, words, lambda: model_of().fit(X, Y, **{"verbose": 0} | options))


@pytest.mark.parametrize(
    "call",
    [lambda m, b: m.predict(X, batch_size=b), lambda m, b: m.evaluate(X, Y, batch_size=b)],
    ids=["predict", "evaluate"],
)
@pytest.mark.parametrize("batch_size", [0, False, 0.0, ""])
def test_empty_batch_sizes_of_predict_and_evaluate(call, batch_size):
    refused(GatewiseError, "batch_size is", lambda: call(model_of(), batch_size))


@pytest.mark.parametrize(
    "call",
    [lambda m, b: m.predict(X, batch_size=b), lambda m, b: m.evaluate(X, Y, batch_size=b)],
    ids=["predict", "evaluate"],
)
def test_bad_batch_sizes_of_predict_and_evaluate(call):
    refused(ConfigError, "batch_size is -1", lambda: call(model_of(), -1))
    refused(DTypeError, "batch_size is 1.5", lambda: call(model_of(), 1.5))
    assert call(model_of(), None) is not None


@pytest.mark.parametrize(
    "call", [lambda m: m.predict(X, verbose="loud"), lambda m: m.evaluate(X, Y, verbose="loud")]
)
def test_bad_verbose_of_predict_and_evaluate(call):
    refused(ConfigError, "verbose is 'loud'", lambda: call(model_of()))


def test_no_samples():
    refused(
        ShapeError, "x has 0 samples: nothing to train on", lambda: model_of().fit(X[:0], Y[:0])
    )


def test_no_samples_to_evaluate():
    refused(GatewiseError, "0 samples", lambda: model_of().evaluate(X[:0], Y[:0]))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"loss": "msee"}, ConfigError, "loss 'msee' is not known; choose one of .*mse"),
        ({"loss": None}, ConfigError, "compile needs a loss, for example loss='mse'"),
        ({"loss": 3}, DTypeError, "loss is 3; expected a name or a gatewise.losses object"),
        ({"loss": lambda a, b: 0}, DTypeError, "loss is <function"),
        (
            {"loss": "mse", "optimizer": "adamax"},
            ConfigError,
            "optimizer 'adamax' is not known; choose one of adagrad",
        ),
        (
            {"loss": "mse", "optimizer": None},
            DTypeError,
            "optimizer is None; expected a name or a gatewise",
        ),
        ({"loss": "mse", "optimizer": 0.01}, DTypeError, "optimizer is 0.01"),
        (
            {"loss": "mse", "metrics": "mae"},
            ConfigError,
            "metrics is 'mae'; expected a list, for example",
        ),
        (
            {"loss": "mse", "metrics": ["f1"]},
            ConfigError,
            "metric 'f1' is not known; choose one of acc",
        ),
        (
            {"loss": "mse", "metrics": [3]},
            DTypeError,
            "metric is 3; expected a name or a gatewise.metrics object",
        ),
        ({"loss": "mse", "metrics": [None]}, DTypeError, "metric is None"),
    ],
)
def test_bad_compile(options, error, words):
    refused(error, words, lambda: Sequential([Dense(1, input_shape=(2,))]).compile(**options))


def test_a_bad_compile_changes_nothing():
    model = model_of(metric_list=["mae"])
    loss, optimizer = model.loss, model.optimizer
    with pytest.raises(ConfigError):
        model.compile("adam", "mae", ["f1"])
    assert model.loss is loss
    assert model.optimizer is optimizer
    assert len(model.evaluate(X, Y, verbose=0)) == 2
    model.add(Dense(1))  # which chooses the metrics again
    assert len(model.evaluate(X, Y, verbose=0)) == 2


def test_bad_metrics_of_an_unbuilt_model_are_refused_by_compile():
    refused(
        ConfigError,
        "metric 'f1' is not known",
        lambda: Sequential([LSTM(2)]).compile("sgd", "mse", ["f1"]),
    )


# ---- built-in errors that should be ours -----------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: model_of().get_layer(index=7),
        lambda: Sequential(LSTM(3)),
        lambda: model_of().set_weights(None),
        lambda: model_of().layers[0].set_weights(5),
        lambda: model_of().fit(X, Y, callbacks=3),
        lambda: (
            model_of(LSTM(2, stateful=True, input_shape=(5, 2))).layers[0].__setattr__("state", 5)
        ),
        lambda: losses.get({"class_name": []}),
        lambda: EarlyStopping(monitor=5),
        lambda: EarlyStopping(baseline="low").on_train_begin(),
    ],
    ids=[
        "get_layer(index=7)",
        "Sequential(layer)",
        "set_weights(None)",
        "layer.set_weights(5)",
        "callbacks=3",
        "state = 5",
        "class_name=[]",
        "monitor=5",
        "baseline='low'",
    ],
)
def test_every_error_is_a_gatewise_error(call):
    with pytest.raises(GatewiseError):
        call()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential(name=5),
        lambda: Sequential(name=["net"]),
        lambda: metrics.MeanSquaredError(name={}),
        lambda: metrics.BinaryAccuracy(name=3),
    ],
)
def test_names_are_text(make):
    refused(GatewiseError, "name", make)


def test_two_metrics_of_one_name():
    """Whatever is done about it, evaluate and metrics_names must agree."""
    try:
        model = model_of(metric_list=["mse", "mse"])
    except GatewiseError:
        return
    assert len(model.metrics_names) == len(model.evaluate(X, Y, verbose=0))


# ---- no input crashes the process ------------------------------------------------------------------


def test_hostile_arrays_end_in_errors_not_in_crashes():
    """Shapes, types and values drawn at random, in a process of their own."""
    program = """
import numpy as np
from gatewise.errors import GatewiseError
from gatewise.layers import GRU, LSTM, Dense
from gatewise.models import Sequential
from seeds import generator
rng = generator()
done, refused, others = 0, 0, {}
for case in range(400):
    kind = case % 4
    stack = [[LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(2)], [GRU(2, input_shape=(4, 2)), Dense(1)],
             [Dense(3, input_shape=(2,))], [LSTM(2)]][kind]
    model = Sequential(stack, seed=0)
    model.compile("adam", ["mse", "mae"][case % 2], ["mae"])
    shape = rng.integers(0, 4, rng.integers(0, 5))
    if case % 3 == 0:
        shape = np.r_[rng.integers(0, 4, 2), 2]
    dtype = rng.choice(["f4", "f8", "f2", "i8", "u1", "?", "c8", "O", "U3", "M8[s]", ">f4", "S2"])
    x = np.zeros(shape, dtype)
    if rng.random() < 0.3 and x.ndim > 1:
        x = x.T
    if rng.random() < 0.2 and x.ndim:
        x = x[..., ::-1]
    y = np.zeros(rng.integers(0, 4, rng.integers(0, 4)), rng.choice(["f4", "i8", "U2", "c8"]))
    lengths = rng.choice([None, 0, 1, 2])
    options = {} if lengths is None else {"lengths": rng.integers(-1, 5, int(lengths))}
    weights = rng.integers(0, 3)
    if weights:
        options["sample_weight"] = np.ones(rng.integers(0, 4, weights))
    for call in (lambda: model.fit(x, y, verbose=0, **options), lambda: model.evaluate(x, y, **options),
                 lambda: model.predict(x), lambda: model.train_on_batch(x, y, **options)):
        try:
            call()
            done += 1
        except GatewiseError as error:
            assert str(error)
            refused += 1
        except Exception as error:
            others.setdefault(f"{type(error).__name__}: {error}", (case, x.shape, str(x.dtype), y.shape, options))
print(done, refused, others)
"""
    output = run_python(program, timeout=200, PYTHONWARNINGS="error")
    done, refused_count, others = output.split(maxsplit=2)
    assert others.strip() == "{}"
    assert int(done) > 30
    assert int(refused_count) > 500
