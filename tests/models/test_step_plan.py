"""What a model computes at one step, as data."""

import pickle

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.cells import RNNCell
from gatewise.errors import ConfigError, StateError
from gatewise.layers.step_ops import DenseOp, LookupOp, RecurrentOp
from gatewise.models import Seq2Seq
from gatewise.models.step_plan import step_plan


def names_of(plan):
    return [type(planned.op).__name__ for planned in plan.ops]


def test_layers_in_a_row_become_operations_in_a_row():
    model = Sequential(
        [
            layers.Input((None, 3)),
            layers.Conv1D(5, 3, padding="causal", activation="softmax"),
            layers.Dropout(0.1),
            layers.LSTM(8, return_sequences=True),
            layers.GRU(4),
            layers.Dense(2, activation="softmax"),
        ],
        seed=0,
    )
    plan = step_plan(model)
    assert names_of(plan) == [
        *("ConvolutionOp", "SoftmaxOp", "RecurrentOp", "RecurrentOp", "DenseOp", "SoftmaxOp"),
    ]
    assert [planned.sources for planned in plan.ops] == [(k,) for k in range(6)]
    assert [vector.width for vector in plan.vectors] == [3, 5, 5, 8, 4, 2, 2]
    assert [vector.role for vector in plan.vectors] == ["step"] * 4 + ["answer"] * 3
    assert plan.outputs[0].vector == 6


def test_the_weights_are_those_of_the_moment():
    model = Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(2)], seed=0)
    before = model.get_weights()
    plan = step_plan(model)
    model.set_weights([0 * array for array in before])
    lstm, dense = (planned.op for planned in plan.ops)
    assert isinstance(lstm, RecurrentOp) and isinstance(dense, DenseOp)
    np.testing.assert_array_equal(lstm.weights["recurrent_kernel"], before[1])
    np.testing.assert_array_equal(dense.kernel, before[3])
    copy = pickle.loads(pickle.dumps(plan))
    np.testing.assert_array_equal(copy.ops[1].op.kernel, before[3])


def test_the_initial_state_may_be_learned():
    model = Sequential(
        [layers.Input((None, 3)), layers.LSTM(4, learned_initial_state=True)], seed=0
    )
    weights = model.get_weights()
    weights[-2][:] = [1, 2, 3, 4]
    model.set_weights(weights)
    op = step_plan(model).ops[0].op
    assert op.state_names == ("h", "c")
    np.testing.assert_array_equal(op.initial[0], [1, 2, 3, 4])
    np.testing.assert_array_equal(op.initial[1], np.zeros(4))


def test_models_that_are_layers_are_opened():
    inner = Sequential([layers.Input((4,)), layers.Dense(3, name="inner")], name="head")
    x = layers.Input((None, 3))
    y = layers.TimeDistributed(inner, name="each")(layers.GRU(4, return_sequences=True)(x))
    plan = step_plan(Model(x, y))
    assert [planned.op.name for planned in plan.ops][1:] == ["each/inner"]
    assert plan.vectors[-1].role == "step"


def test_a_layer_that_is_called_twice_has_two_states():
    x = layers.Input((None, 3))
    lstm = layers.LSTM(3, return_sequences=True, name="shared")
    plan = step_plan(Model(x, lstm(lstm(x))))
    assert [planned.op.name for planned in plan.ops] == ["shared", "shared:2"]


def test_when_vectors_are_written():
    model = Sequential(
        [
            layers.Input((None, 2)),
            layers.Conv1D(3, 3, strides=2, dilation_rate=1),
            layers.AveragePooling1D(2),
            layers.Conv1D(3, 2, padding="causal", strides=2),
            layers.GlobalMaxPooling1D(),
        ]
    )
    found = [(vector.first, vector.every) for vector in step_plan(model).vectors]
    assert found == [(0, 1), (2, 2), (4, 4), (4, 8), (4, 8)]


def test_an_input_without_steps_does_not_change():
    x, size = layers.Input((None, 3)), layers.Input((2,))
    joined = layers.Concatenate()([layers.LSTM(4)(x), layers.Dense(3)(size)])
    plan = step_plan(Model([x, size], joined))
    assert [plan.vectors[each.vector].role for each in plan.inputs] == ["step", "constant"]
    assert plan.vectors[plan.outputs[0].vector].role == "answer"


def test_whole_numbers_are_looked_up():
    model = Sequential([layers.Input((None,)), layers.Embedding(7, 3, mask_zero=True)])
    plan = step_plan(model)
    assert isinstance(plan.ops[0].op, LookupOp)
    assert plan.inputs[0].size == 7 and plan.inputs[0].mask == 0


class Sums(RNNCell):
    """A cell in NumPy."""

    def __init__(self, units):
        self.units = units

    def parameter_shapes(self, inputs):
        return {"kernel": (inputs, self.units)}

    def step(self, x, states, parameters):
        y = states[0] + x @ parameters["kernel"]
        return y, [y], x

    def step_backward(self, d_output, d_states, saved, parameters, gradients):
        d_y = d_output + d_states[0]
        gradients["kernel"] += saved.T @ d_y
        return d_y @ parameters["kernel"].T, [d_y]


class Doubled(layers.Dense):
    def run(self, inputs, tape, node):
        return inputs.with_values(2 * super().run(inputs, tape, node).values)


@pytest.mark.parametrize(
    ("shape", "reason"), [((4, 3), "all steps of the other"), ((3,), "sums products")]
)
def test_products_of_two_arrays_are_refused(shape, reason):
    x, y = layers.Input((4, 3)), layers.Input(shape)
    given = [x if len(shape) > 1 else layers.LSTM(3)(x), y]
    with pytest.raises(ConfigError, match=f"dot.*{reason}"):
        step_plan(Model([x, y], layers.Dot(axes=-1)(given)))


def test_slopes_of_each_step_are_refused():
    model = Sequential([layers.Input((4, 3)), layers.PReLU()])
    with pytest.raises(ConfigError, match=r"slopes differ.*shared_axes=\[1\]"):
        step_plan(model)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.Bidirectional(layers.LSTM(3)), "backward layer"),
        (layers.LSTM(3, go_backwards=True), "go_backwards"),
        (layers.Conv1D(2, 3, padding="same"), "padding is 'same'"),
        (layers.ZeroPadding1D(1), "adds, removes or repeats"),
        (layers.RNN(Sums(2)), "NumPy"),
        (layers.TimeDistributed(layers.Bidirectional(layers.LSTM(3))), "rank"),
        (Doubled(2), "user-defined"),
    ],
    ids=lambda value: value.name if isinstance(value, layers.Layer) else "",
)
def test_what_cannot_be_a_stream_is_refused_with_its_layer_and_the_reason(layer, reason):
    if reason == "rank":
        model = Sequential([layers.Input((None, 5, 3)), layer])
        reason = "a sequence or an image"
    else:
        model = Sequential([layers.Input((None, 3)), layers.LSTM(3, return_sequences=True), layer])
        reason = f"{layer.name}.*{reason}"
    with pytest.raises(ConfigError, match=reason):
        step_plan(model)


def test_joints_that_no_stream_can_make():
    x, z = layers.Input((None, 3)), layers.Input((None, 3))
    lstm = layers.LSTM(3)
    for y, reason in (
        (layers.Add()([lstm(x), x]), "last step only"),
        (layers.Add()([layers.Conv1D(3, 2)(x), x]), "different numbers of steps"),
        (layers.Concatenate(axis=1)([x, x]), "along their steps"),
        (x[:, 2], "last step alone"),
        (layers.LSTM(3)(z, initial_state=layers.LSTM(3, return_state=True)(x)[1:]), "final state"),
    ):
        inputs = [x, z] if "state" in reason and "final" in reason else x
        with pytest.raises(ConfigError, match=reason):
            step_plan(Model(inputs, y))


def test_a_model_without_steps_or_weights_is_refused():
    with pytest.raises(ConfigError, match="reads no steps"):
        step_plan(Sequential([layers.Input((3,)), layers.Dense(2)]))
    with pytest.raises(StateError):
        step_plan(Sequential([layers.LSTM(3)]))


def test_an_encoder_and_a_decoder_are_refused_with_the_reason():
    with pytest.raises(ConfigError, match="encoder reads a whole sequence"):
        step_plan(Seq2Seq(5, 5, units=4))


class Twice(layers.Wrapper):
    """A user-defined wrapper."""


def test_a_wrapper_does_not_say_what_a_step_is():
    model = Sequential([layers.Input((None, 3)), Twice(layers.Dense(2))])
    with pytest.raises(ConfigError, match="does not say what it computes"):
        step_plan(model)
