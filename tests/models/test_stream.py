"""Streams against predict: every layer and option gives the same bits, step by step."""

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import ConfigError

STEPS = 19

RECURRENT = {
    "lstm": lambda: layers.LSTM(20),
    "lstm of several pieces": lambda: layers.LSTM(130, return_sequences=True),
    "lstm without bias": lambda: layers.LSTM(
        5, use_bias=False, recurrent_activation="hard_sigmoid"
    ),
    "peepholes and zoneout": lambda: layers.LSTM(7, peepholes=True, zoneout=(0.1, 0.2)),
    "coupled": lambda: layers.LSTM(7, coupled=True, clip=0.5, cell_clip=0.7),
    "no input gate": lambda: layers.LSTM(7, input_gate=False),
    "no output gate": lambda: layers.LSTM(7, output_gate=False, forget_gate=False),
    "projection": lambda: layers.LSTM(70, projection=9, return_sequences=True),
    "gate inside": lambda: layers.LSTM(7, output_gate_inside=True),
    "normalized lstm": lambda: layers.LSTM(70, layer_normalization=True, return_sequences=True),
    "learned state": lambda: layers.LSTM(7, learned_initial_state=True),
    "stateful": lambda: layers.LSTM(7, stateful=True),
    "gru": lambda: layers.GRU(20, return_sequences=True),
    "reset before": lambda: layers.GRU(70, reset_after=False),
    "gru with output activation": lambda: layers.GRU(7, output_activation="softplus"),
    "its sequences": lambda: layers.GRU(
        7, output_activation="sigmoid", candidate="split", return_sequences=True
    ),
    "candidate input": lambda: layers.GRU(7, candidate="input"),
    "candidate complement": lambda: layers.GRU(7, candidate="complement", zoneout=0.3),
    "chung": lambda: layers.GRU(7, update="chung", clip=0.4),
    "normalized gru": lambda: layers.GRU(7, layer_normalization=True),
    "rnn": lambda: layers.SimpleRNN(33, activation="relu", return_sequences=True),
    "normalized rnn": lambda: layers.SimpleRNN(33, layer_normalization=True, zoneout=0.0),
    "gru-d": lambda: layers.GRUD(20, return_sequences=True),
    "gru-d with means": lambda: layers.GRUD(
        70, means=[0.5, -0.1], use_bias=False, recurrent_activation="hard_sigmoid"
    ),
    "mingru": lambda: layers.MinGRU(70, return_sequences=True),
    "minlstm": lambda: layers.MinLSTM(5, activation="tanh"),
    "stacked": lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(70)]),
}

OTHERS = {
    "dense": lambda: [layers.Dense(70, activation="elu"), layers.Dense(3, activation="softmax")],
    "nothing at inference": lambda: [
        layers.Dropout(0.5),
        layers.SpatialDropout1D(0.5),
        layers.GaussianNoise(1.0),
        layers.GaussianDropout(0.5),
        layers.Reshape((-1, 5)),
        layers.Permute((1, 2)),
        layers.Activation("linear"),
        layers.Dense(3),
    ],
    "activations": lambda: [
        layers.Activation(("leaky_relu", 0.1)),
        layers.ELU(0.5),
        layers.LeakyReLU(0.1),
        layers.ReLU(1.5, 0.1, 0.2),
        layers.PReLU(shared_axes=[1]),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ReLU(),
        layers.Softmax(),
    ],
    "batch normalization": lambda: [layers.BatchNormalization(), layers.LSTM(3)],
    "its parts": lambda: [
        layers.BatchNormalization(center=False),
        layers.BatchNormalization(scale=False),
        layers.BatchNormalization(scale=False, center=False),
    ],
    "layer normalization": lambda: [
        layers.LayerNormalization(epsilon=0.1),
        layers.Dense(70),
        layers.LayerNormalization(scale=False),
        layers.LayerNormalization(center=False),
    ],
    "causal convolution": lambda: [
        layers.Conv1D(6, 3, padding="causal", dilation_rate=2, activation="relu"),
        layers.Conv1D(4, 1, activation="softmax", use_bias=False),
    ],
    "valid convolution": lambda: [layers.Conv1D(6, 3), layers.Conv1D(6, 2, dilation_rate=4)],
    "strides": lambda: [layers.Conv1D(4, 3, strides=2), layers.Conv1D(3, 2, 3, padding="causal")],
    "depthwise": lambda: [
        layers.DepthwiseConv1D(4, padding="causal", depth_multiplier=3, activation="tanh"),
        layers.DepthwiseConv1D(2, strides=2, use_bias=False, activation="softmax"),
    ],
    "separable": lambda: [layers.SeparableConv1D(4, 3, padding="causal", activation="relu")],
    "pooling": lambda: [layers.MaxPooling1D(3, strides=1), layers.AveragePooling1D(2)],
    "wide pooling": lambda: [layers.Dense(1), layers.AveragePooling1D(9, strides=1)],
    "running mean": lambda: [
        layers.LSTM(3, return_sequences=True),
        layers.GlobalAveragePooling1D(),
    ],
    "running maximum": lambda: [layers.GlobalMaxPooling1D(), layers.Dense(2)],
    "answers at some steps": lambda: [layers.MaxPooling1D(2), layers.LSTM(3), layers.Dense(2)],
    "time distributed": lambda: [
        layers.TimeDistributed(layers.Dense(3, activation="relu")),
        layers.TimeDistributed(Sequential([layers.Input((3,)), layers.Dense(4), layers.ReLU()])),
    ],
}


def streamed(stream, x, rows):
    """What a stream gives at each step, and for the whole block."""
    steps = [stream.step(x[:, t] if rows > 1 else x[0, t]) for t in range(x.shape[1])]
    stream.reset()
    return steps, stream.process(x if rows > 1 else x[0])


def assert_streams_as_it_predicts(model, x, rows=None):
    """Each output of a stream has the bits of predict."""
    rows = len(x) if rows is None else rows
    y = model.predict(x)
    y = y if rows > 1 else y[0]
    steps, block = streamed(model.stream(rows), x, rows)
    due = [step for step in steps if step is not None]
    np.testing.assert_array_equal(np.stack(due, axis=-2), block)
    if y.ndim == block.ndim:
        np.testing.assert_array_equal(block, y)
    else:  # the answer so far
        np.testing.assert_array_equal(due[-1], y)
        middle = model.predict(x[:, : STEPS // 2])
        at = len(due) - (len(steps) - STEPS // 2) - 1
        np.testing.assert_array_equal(due[at], middle if rows > 1 else middle[0])


def with_new_weights(model, rng):
    """The model with weights that are neither zeros nor equal."""
    model.set_weights([0.3 + 0.4 * rng.random(a.shape) for a in model.get_weights()])
    return model


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RECURRENT)
def test_every_recurrent_layer(name, dtype, rng):
    model = Sequential(
        [layers.Input((None, 6), dtype=dtype), RECURRENT[name](), layers.Dense(3)], seed=0
    )
    for rows in (1, 7):
        x = rng.normal(size=(rows, STEPS, 6)).astype(dtype)
        if name == "stateful":
            model.reset_states()
        assert_streams_as_it_predicts(stateless(model), x)


def stateless(model):
    """The model, or one with the same weights that keeps no state."""
    if not model.layers[0].stateful:
        return model
    config = model.layers[0].get_config() | {"stateful": False}
    entry = layers.Input((None, 6), dtype=model.dtype)
    copy = Sequential([entry, layers.LSTM(**config), layers.Dense(3)])
    copy.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        model.stream().process(np.ones((3, 6))), copy.stream().process(np.ones((3, 6)))
    )
    return copy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_layer(name, dtype, rng):
    model = Sequential([layers.Input((None, 5), dtype=dtype), *OTHERS[name]()], seed=0)
    with_new_weights(model, rng)
    for rows in (1, 4):
        assert_streams_as_it_predicts(model, rng.normal(size=(rows, STEPS, 5)).astype(dtype))


def test_a_graph_of_several_inputs_and_outputs(rng):
    a, b, c = layers.Input((None, 5)), layers.Input((None, 5)), layers.Input((2,))
    joined = layers.Concatenate()([layers.LSTM(3, return_sequences=True)(a), layers.Dense(2)(b)])
    y = layers.Multiply()([layers.Add()([joined, layers.Dense(5)(c)]), a]) * 2 - 1
    y = 1 / (y * y + 1) + layers.Maximum()([a, b]) - layers.Average()([a, b, y])
    y = (2 - layers.Minimum()([y, layers.Dense(1)(b)]))[:, :, 1:4] / 3
    model = Model([a, b, c], {"steps": y, "answer": layers.GRU(2)(y)}, seed=0)
    for rows in (1, 3):
        given = [
            rng.normal(size=(rows, STEPS, 5)),
            rng.normal(size=(rows, STEPS, 5)),
            rng.normal(size=(rows, 2)),
        ]
        wanted = model.predict(given)
        stream = model.stream(rows)
        found = [stream.step([given[0][:, t], given[1][:, t], given[2]]) for t in range(STEPS)]
        np.testing.assert_array_equal(
            np.stack([step["steps"] for step in found], axis=1), wanted["steps"]
        )
        np.testing.assert_array_equal(found[-1]["answer"], wanted["answer"])
        stream.reset()
        block = stream.process(dict(zip(model.input_names, given)))
        np.testing.assert_array_equal(block["steps"], wanted["steps"])


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("ends", [True, False])
def test_whole_numbers(rows, ends, rng):
    model = Sequential(
        [layers.Input((None,)), layers.Embedding(7, 4), layers.GRU(5, return_sequences=ends)]
    )
    assert_streams_as_it_predicts(model, rng.integers(0, 7, size=(rows, STEPS)))


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("ends", [True, False])
def test_masked_steps_do_not_exist(rows, ends, rng):
    model = Sequential(
        [
            layers.Input((None, 5)),
            layers.Masking(-1.0),
            layers.Conv1D(4, 3, padding="causal"),
            layers.LSTM(5, return_sequences=ends),
            layers.Dense(2),
        ]
    )
    x = rng.normal(size=(rows, STEPS, 5)).astype("float32")
    x[rng.random((rows, STEPS)) < 0.4] = -1
    assert_streams_as_it_predicts(model, x)
    numbers = Sequential(
        [
            layers.Input((None,)),
            layers.Embedding(7, 4, mask_zero=True),
            layers.MinGRU(5, return_sequences=True),
            layers.GlobalAveragePooling1D() if ends else layers.GRU(3, return_sequences=True),
        ]
    )
    assert_streams_as_it_predicts(numbers, rng.integers(0, 7, size=(rows, STEPS)))


def test_answers_hold_between_steps_that_are_due(rng):
    model = Sequential([layers.Input((None, 2)), layers.MaxPooling1D(3), layers.LSTM(3)], seed=0)
    stream, x = model.stream(), rng.normal(size=(9, 2)).astype("float32")
    found = [stream.step(step) for step in x]
    assert found[0] is None and found[1] is None
    for t in range(2, 9):
        np.testing.assert_array_equal(found[t], model.predict(x[None, : t + 1])[0])


def test_float_precision_and_lists_are_converted_as_predict_does(rng):
    model = Sequential([layers.Input((None, 3)), layers.GRU(4)], seed=0)
    x = rng.normal(size=(STEPS, 3))
    stream = model.stream()
    for step in x:
        y = stream.step(step.tolist())
    np.testing.assert_array_equal(y, model.predict(x[None])[0])


def test_an_answer_before_the_first_step_that_counts(rng):
    for inner in (
        [layers.LSTM(3)],
        [layers.GRU(4, return_sequences=True), layers.GlobalMaxPooling1D()],
    ):
        model = Sequential([layers.Input((None, 2)), layers.Masking(), *inner, layers.Dense(2)])
        with_new_weights(model, rng)
        x = rng.normal(size=(3, 6, 2)).astype("float32")
        x[:, [0, 1, 4]] = 0
        stream, alone = model.stream(3), model.stream()
        for t in range(6):
            wanted = model.predict(x[:, : t + 1])
            np.testing.assert_array_equal(stream.step(x[:, t]), wanted)
            np.testing.assert_array_equal(alone.step(x[0, t]), wanted[0])
            state = alone.state
            alone = model.stream()
            alone.state = state


HELD = {"return_sequences": True, "zero_output_for_mask": False}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: [layers.LSTM(3, **HELD), layers.Dense(2), layers.Softmax()],
        lambda: [layers.GRU(3, **HELD), layers.PReLU(shared_axes=[1])],
        lambda: [layers.MinGRU(3, **HELD), layers.LSTM(2, return_sequences=True), layers.Dense(2)],
        lambda: [layers.LSTM(3, **HELD), layers.Conv1D(2, 3, padding="causal")],
        lambda: [layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], **HELD), layers.Dense(2)],
        lambda: [layers.GRUD(3, **HELD), layers.TimeDistributed(layers.Dense(2))],
    ],
    ids=["lstm", "gru", "undone", "window", "stack", "gru-d"],
)
def test_outputs_repeated_at_masked_steps(make, dtype, rng):
    model = Sequential([layers.Input((None, 6), dtype=dtype), layers.Masking(), *make()], seed=0)
    with_new_weights(model, rng)
    for rows in (1, 3):
        x = rng.normal(size=(rows, 12, 6)).astype(dtype)
        x[rng.random((rows, 12)) < 0.5] = 0
        x[0, :2] = 0
        wanted, stream = model.predict(x), model.stream(rows)
        np.testing.assert_array_equal(stream.process(x), wanted)
        stream.reset()
        for t in range(12):
            np.testing.assert_array_equal(stream.step(x[:, t]), wanted[:, t])
            state, stream = stream.state, model.stream(rows)
            stream.state = state


def test_repeated_outputs_that_are_not_known_are_refused():
    x = layers.Input((None, 3))
    h = layers.LSTM(3, **HELD)(layers.Masking()(x))
    with pytest.raises(ConfigError, match="merged with others for output"):
        Model(x, layers.Add()([h, h])).stream()
    for layer in (
        layers.LSTM(3, learned_initial_state=True, **HELD),
        layers.GRU(3, output_activation="sigmoid", **HELD),
    ):
        with pytest.raises(ConfigError, match=f"{layer.name}.*not its state"):
            Sequential([layers.Input((None, 3)), layers.Masking(), layer]).stream()


@pytest.mark.parametrize("learned", [True, False])
def test_an_output_activation_before_the_first_step_that_counts(learned, rng):
    gru = layers.GRU(4, output_activation="softplus", learned_initial_state=learned)
    model = Sequential([layers.Input((None, 2)), layers.Masking(), gru, layers.Dense(2)])
    with_new_weights(model, rng)
    x = rng.normal(size=(3, 6, 2)).astype("float32")
    x[:, [0, 1, 4]] = 0
    stream, alone = model.stream(3), model.stream()
    for t in range(6):
        wanted = model.predict(x[:, : t + 1])
        np.testing.assert_array_equal(stream.step(x[:, t]), wanted)
        np.testing.assert_array_equal(alone.step(x[0, t]), wanted[0])
