"""Sequences that continue through a model step by step have the bits of one pass."""

import numpy as np
import pytest
from examples_in_docstrings import check_examples
from seeds import generator

from gatewise import Input, Sequential
from gatewise.cells import RNNCell
from gatewise.errors import ConfigError, ShapeError, StateError
from gatewise.generation import sample
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    Attention,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    ConvLSTM1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalMaxPooling1D,
    Layer,
    LayerNormalization,
    MaxPooling1D,
    MinGRU,
    RepeatVector,
    SimpleRNN,
    TimeDistributed,
)
from gatewise.models import Model, clone_model
from gatewise.models.stepping import Stepper

FEATURES, STEPS = 3, 11


class Sum(RNNCell):
    """A cell in Python: h = h' + the sum of x."""

    def __init__(self, units):
        self.units = units

    def parameter_shapes(self, inputs):
        return {"scale": (self.units,)}

    def step(self, x, states, parameters):
        h = states[0] + x.sum(axis=1, keepdims=True) * parameters["scale"]
        return h, [h], None

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        raise NotImplementedError


class Shift(Layer):
    """The input of the step before."""

    reads_steps = True

    def run(self, inputs, tape, node):
        x = inputs.values
        return inputs.with_values(np.concatenate([np.zeros_like(x[:, :1]), x[:, :-1]], axis=1))

    def run_backward(self, gradients, tape, node, wanted):
        raise NotImplementedError


STACKS = {
    "lstm": lambda: [LSTM(5, return_sequences=True), Dense(4, "softmax")],
    "last step": lambda: [GRU(17, return_sequences=True), LSTM(6), Dense(4)],
    "learned start": lambda: [LSTM(4, learned_initial_state=True, return_sequences=True)],
    "stateful": lambda: [
        LSTM(4, stateful=True, return_sequences=True),
        SimpleRNN(3, stateful=True),
    ],
    "returns state": lambda: [MinGRU(4, return_sequences=True), LayerNormalization()],
    "convolution": lambda: [
        Conv1D(4, 3, padding="causal", dilation_rate=2),
        Conv1D(3, 1),
        Conv1D(5, 4, padding="causal", activation="tanh"),
    ],
    "normalized": lambda: [BatchNormalization(), LSTM(4, return_sequences=True), Dropout(0.5)],
    "cell in Python": lambda: [RNN(Sum(3), return_sequences=True), Dense(2)],
    "each step": lambda: [TimeDistributed(Dense(6)), LSTM(4), Dense(3)],
    "no memory": lambda: [Dense(6, "tanh"), Dense(3)],
}


def built(stack, features=FEATURES):
    model = Sequential(stack, seed=3)
    model.build((None, None, features))
    # biases too; a variance is not negative
    draws = (generator().random(array.shape) for array in model.get_weights())
    model.set_weights([draw.astype("float32") for draw in draws])
    return model


def whole(model, x):
    """What the model gives after the last step, in one pass that knows no state."""
    model.reset_state()
    y = model.predict(x, batch_size=len(x))
    model.reset_state()
    return y[:, -1] if y.ndim == 3 else y


@pytest.mark.parametrize("name", STACKS)
def test_parts_of_any_length_have_the_bits_of_one_pass(name, rng):
    model = built(STACKS[name]())
    x = rng.normal(size=(4, STEPS, FEATURES)).astype("float32")
    for cuts in ([*range(1, STEPS)], [4, 5, 9], []):
        stepper = Stepper(model)
        for first, last in zip([0, *cuts], [*cuts, STEPS]):
            y = stepper.advance(np.ascontiguousarray(x[:, first:last]))
            assert np.array_equal(y, whole(model, x[:, :last]))
        assert stepper.rows == 4


@pytest.mark.parametrize("name", STACKS)
def test_rows_of_different_lengths_are_as_alone(name, rng):
    model = built(STACKS[name]())
    x = rng.normal(size=(5, STEPS, FEATURES)).astype("float32")
    lengths = np.array([[3, STEPS, 1, 7, 4], [2, 0, 5, 0, 1]])
    stepper = Stepper(model)
    for counts in lengths:
        padded = x.copy()
        padded[np.arange(STEPS) >= counts[:, None]] = np.nan
        y = stepper.advance(padded, counts)
        ran = counts > 0
    for row in np.flatnonzero(ran):
        one = np.concatenate([x[row, :count] for count in lengths[:, row]])[None]
        assert np.array_equal(y[row], whole(model, one)[0])
    # all rows go on from where they are
    y = stepper.advance(x[:, :1])
    for row in range(5):
        one = np.concatenate([*(x[row, :count] for count in lengths[:, row]), x[row, :1]])[None]
        assert np.array_equal(y[row], whole(model, one)[0])


@pytest.mark.parametrize("name", STACKS)
def test_rows_in_another_order(name, rng):
    model = built(STACKS[name]())
    x = rng.normal(size=(3, 5, FEATURES)).astype("float32")
    stepper = Stepper(model)
    stepper.advance(x)
    order = np.array([2, 0, 2, 2])
    stepper.take(order)
    assert stepper.rows == 4
    following = rng.normal(size=(4, 1, FEATURES)).astype("float32")
    expected = whole(model, np.concatenate([x[order], following], axis=1))
    assert np.array_equal(stepper.advance(following), expected)


def test_whole_numbers(rng):
    model = Sequential([Embedding(7, 4), LSTM(5, return_sequences=True), Dense(7)], seed=0)
    model.build((None, None))
    x = rng.integers(0, 7, (3, 6)).astype("int32")
    stepper = Stepper(model)
    for t in range(6):
        y = stepper.advance(np.ascontiguousarray(x[:, t : t + 1]))
    assert np.array_equal(y, model.predict(x)[:, -1])
    no_memory = Sequential([Embedding(7, 4), Dense(2)], seed=0)
    no_memory.build((None, None))
    assert np.array_equal(Stepper(no_memory).advance(x), no_memory.predict(x)[:, -1])


def test_float64(rng):
    model = Sequential([LSTM(5, dtype="float64"), Dense(2, dtype="float64")], seed=0)
    model.build((None, None, FEATURES))
    x = rng.normal(size=(2, 4, FEATURES))
    stepper = Stepper(model)
    stepper.advance(x[:, :3].copy())
    y = stepper.advance(x[:, 3:].copy())
    assert y.dtype == np.float64
    assert np.array_equal(y, model.predict(x))


def test_the_model_and_its_own_state_do_not_change(rng):
    model = built([LSTM(4, stateful=True, return_sequences=True), Dense(2)])
    x = rng.normal(size=(2, 6, FEATURES)).astype("float32")
    model.predict(x[:, :3])
    state = [array.tobytes() for array in model.layers[0].state]
    weights = [array.tobytes() for array in model.get_weights()]
    stepper = Stepper(model)
    stepper.advance(rng.normal(size=(5, 2, FEATURES)).astype("float32"))
    stepper.advance(rng.normal(size=(5, 1, FEATURES)).astype("float32"))
    assert [array.tobytes() for array in model.layers[0].state] == state
    assert [array.tobytes() for array in model.get_weights()] == weights


def test_two_steppers_of_one_model(rng):
    model = built([GRU(4, return_sequences=True)])
    x = rng.normal(size=(2, 1, 4, FEATURES)).astype("float32")
    steppers = [Stepper(model), Stepper(model)]
    for t in range(4):
        y = [stepper.advance(part[:, t : t + 1]) for stepper, part in zip(steppers, x)]
    for part, last in zip(x, y):
        assert np.array_equal(last, whole(model, part))


def test_a_call_that_fails_leaves_the_sequences_where_they_were(rng, monkeypatch):
    model = built([LSTM(4, return_sequences=True), Dense(3)])
    x = rng.normal(size=(2, 3, FEATURES)).astype("float32")
    stepper = Stepper(model)
    stepper.advance(x[:, :2].copy())
    with monkeypatch.context() as context:
        context.setattr(Dense, "run", lambda *arguments: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stepper.advance(x[:, 2:].copy())
    assert np.array_equal(stepper.advance(x[:, 2:].copy()), whole(model, x))


def test_reset_begins_new_sequences(rng):
    model = built([LSTM(4)])
    x = rng.normal(size=(2, 3, FEATURES)).astype("float32")
    stepper = Stepper(model)
    stepper.advance(x)
    with pytest.raises(ShapeError, match="x has 1 rows; the stepper holds the states of 2"):
        stepper.advance(x[:1])
    stepper.reset()
    assert stepper.rows is None
    assert np.array_equal(stepper.advance(x[:1]), whole(model, x[:1]))


@pytest.mark.parametrize(
    ("stack", "message"),
    [
        ([Bidirectional(LSTM(3, return_sequences=True)), Dense(2)], "later steps"),
        ([LSTM(3, go_backwards=True)], "later steps"),
        ([Attention()], "later steps"),
        ([Conv1D(3, 2, padding="same")], "not causal"),
        ([Conv1D(3, 2)], "not causal"),
        ([Conv1D(3, 2, strides=2, padding="causal")], "not causal"),
        ([MaxPooling1D(2)], "not causal"),
        ([GlobalMaxPooling1D()], "all steps of a sequence at once"),
        ([LSTM(3), RepeatVector(2)], "describes a whole sequence"),
        ([Shift()], "does not define advance"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value[-1]).__name__,
)
def test_layers_that_cannot_step_are_named(stack, message):
    model = Sequential(stack)
    model.build((None, 8, FEATURES))
    named = next(layer for layer in stack if layer._cannot_advance)
    with pytest.raises(ConfigError, match=message) as error:
        Stepper(model)
    assert repr(named.name) in str(error.value)
    assert type(named).__name__ in str(error.value)


def test_flatten_cannot_step():
    model = Sequential([LSTM(3, return_sequences=True), Flatten()])
    model.build((None, 4, FEATURES))
    with pytest.raises(ConfigError, match=r"'flatten.* needs all steps of a sequence at once"):
        Stepper(model)


def test_a_model_that_is_not_built():
    with pytest.raises(StateError, match="not built"):
        Stepper(Sequential([LSTM(3)]))


def test_example():
    check_examples("gatewise.models.stepping")


def test_images(rng):
    model = Sequential(
        [ConvLSTM1D(3, 2, stateful=True, return_sequences=True, input_shape=(None, 5, 2))], seed=0
    )
    model.build((None, None, 5, 2))
    x = rng.normal(size=(2, 6, 5, 2)).astype("float32")
    stepper = Stepper(model)
    for t in range(6):
        y = stepper.advance(x[:, t : t + 1])
    assert model.layers[0].state is None
    assert np.array_equal(y, model.predict(x)[:, -1])


def residual(seed=0):
    """A graph: an embedding, a recurrent layer around which its input goes, and a state."""
    x = Input((None,), name="tokens")
    vectors = Embedding(7, 4)(x)
    h, last = GRU(4, return_sequences=True, return_state=True)(vectors)
    y = LSTM(5, return_sequences=True)(h + vectors)
    return Model(x, Dense(7, "softmax")(y), seed=seed)


def test_graphs(rng):
    model = residual()
    x = rng.integers(0, 7, (3, 6)).astype("int32")
    stepper = Stepper(model)
    for t in range(6):
        y = stepper.advance(x[:, t : t + 1])
    assert np.array_equal(y, model.predict(x)[:, -1])
    assert np.array_equal(Stepper(model).run(x), model.predict(x))
    drawn = sample(model, [[1, 2], [3]], 5, seed=[1, 2])
    assert np.array_equal(drawn[1], sample(model, [3], 5, seed=2))


def two_readers():
    """A model of two inputs and two outputs that remembers."""
    a, b = Input((None, 4)), Input((None, 4))
    y, h = GRU(4, return_sequences=True, return_state=True)(a + b)
    return Model([a, b], [y, LSTM(3, return_sequences=True)(b)], name="two_readers")


def nested(kind):
    """Models that hold models: of whole numbers, with one more recurrent layer."""
    if kind == "straight":
        inner = Sequential([Embedding(7, 4), LSTM(5, return_sequences=True)])
        return Sequential(
            [inner, Sequential([Dense(4), Sequential([GRU(3, return_sequences=True)])]), Dense(7)]
        )
    if kind == "last step":
        inner = Sequential([Embedding(7, 4), LSTM(5, return_sequences=True), GRU(4)])
        return Sequential([inner, Sequential([Dense(5, "tanh")]), Dense(7)])
    x = Input((None,))
    if kind == "graph":
        return Model(x, Dense(7)(residual()(x)))
    if kind == "ends in softmax":
        last = Sequential([Input((None, 4)), GRU(5, return_sequences=True), Dense(7, "softmax")])
        return Model(x, last(Embedding(7, 4)(x)))
    y = Embedding(7, 4)(x)
    shared = Sequential([Input((None, 4)), GRU(4, return_sequences=True)])
    first, second = two_readers()([shared(y), y])
    return Model(x, Dense(7, "softmax")(shared(first) + Dense(4)(second)))


@pytest.mark.parametrize("kind", ["straight", "last step", "graph", "shared", "ends in softmax"])
def test_models_inside(kind, rng):
    model = nested(kind)
    model.build((None, None))
    x = rng.integers(0, 7, (3, 9)).astype("int32")
    whole = model.predict(x)
    for cuts in (range(1, 9), [4, 5]):
        stepper = Stepper(model)
        for first, last in zip([0, *cuts], [*cuts, 9]):
            y = stepper.advance(x[:, first:last])
            until = whole[:, last - 1] if whole.ndim == 3 else model.predict(x[:, :last])
            assert np.array_equal(y, until)
        if whole.ndim == 3:
            assert np.array_equal(Stepper(model).run(x), whole)
    stepper.take(np.array([2, 0, 2]))
    more = np.concatenate([x[[2, 0, 2]], np.array([[1], [2], [3]])], axis=1).astype("int32")
    y, whole = stepper.advance(more[:, 9:]), model.predict(more)
    assert np.array_equal(y, whole[:, -1] if whole.ndim == 3 else whole)
    drawn = sample(model, [[1, 2], [3]], 5, seed=[1, 2])
    assert np.array_equal(drawn[1], sample(model, [3], 5, seed=2))


def test_layers_of_models_inside_are_named():
    inner = Sequential([Embedding(7, 4), Bidirectional(GRU(3, return_sequences=True), name="both")])
    x = Input((None,))
    with pytest.raises(ConfigError, match="layer 'both' .* depends on later steps"):
        Stepper(Model(x, inner(x)))
    a = Input((None, 2))
    inner = Model(a, GRU(2, name="started")(a, initial_state=Dense(2)(GRU(2)(a))))
    with pytest.raises(ConfigError, match="layer 'started' starts from a state"):
        Stepper(Model(a, inner(a)))
    with pytest.raises(ConfigError, match="layer 'started' starts from a state"):
        Stepper(Sequential([Input((None, 2)), clone_model(inner)]))


def test_graphs_that_cannot_step():
    a, b = Input((None, 2)), Input((None, 2))
    with pytest.raises(ConfigError, match="has 2 inputs and 1 outputs"):
        Model([a, b], a + b)._stepper()
    state = Input((3,))
    with pytest.raises(ConfigError):
        Model([a, state], GRU(3)(a, initial_state=state))._stepper()
