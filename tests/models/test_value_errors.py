"""What models refuse: values and types of arrays, options of compile, fit, evaluate and predict."""

import numpy as np
import pytest
from cases import run_python

from gatewise import losses, metrics
from gatewise.callbacks import EarlyStopping
from gatewise.errors import (
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
)
from gatewise.layers import (
    LSTM,
    Dense,
)
from gatewise.models import Sequential

from .error_cases import X, Y, model_of, refused

# ---- values and types


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


# ---- options of fit and its like


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


# ---- built-in errors that should be ours


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


# ---- no input crashes the process


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
    stack = [
        [LSTM(3, return_sequences=True, input_shape=(None, 2)), Dense(2)],
        [GRU(2, input_shape=(4, 2)), Dense(1)],
        [Dense(3, input_shape=(2,))],
        [LSTM(2)],
    ][kind]
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
    for call in (
        lambda: model.fit(x, y, verbose=0, **options),
        lambda: model.evaluate(x, y, **options),
        lambda: model.predict(x),
        lambda: model.train_on_batch(x, y, **options),
    ):
        try:
            call()
            done += 1
        except GatewiseError as error:
            assert str(error)
            refused += 1
        except Exception as error:
            given = (case, x.shape, str(x.dtype), y.shape, options)
            others.setdefault(f"{type(error).__name__}: {error}", given)
print(done, refused, others)
"""
    output = run_python(program, timeout=200, PYTHONWARNINGS="error")
    done, refused_count, others = output.split(maxsplit=2)
    assert others.strip() == "{}"
    assert int(done) > 30
    assert int(refused_count) > 500
