"""Steps of generation that run as streams give what a stepper gives."""

import numpy as np
import pytest

from gatewise import Sequential, layers
from gatewise.models.stepping import Stepper
from gatewise.models.stream_stepper import StreamStepper


def model_of(*inner):
    return Sequential(
        [layers.Input((None,)), layers.Embedding(7, 4), *inner, layers.Dense(7, "softmax")], seed=0
    )


@pytest.mark.parametrize("scores", [True, False])
def test_steps_blocks_and_rows_in_another_order(scores, rng):
    model = model_of(
        layers.Conv1D(4, 3, padding="causal"),
        layers.LSTM(5, return_sequences=True),
        layers.GRU(3),
    )
    steppers = Stepper(model, scores), StreamStepper(model, scores)

    def both(act):
        wanted, found = map(act, steppers)
        if wanted is not None:
            np.testing.assert_array_equal(found, wanted)

    x = rng.integers(0, 7, size=(3, 20)).astype(np.int32)
    lengths = np.array([4, 1, 3])
    both(lambda stepper: stepper.advance(x[:, :4], lengths))
    both(lambda stepper: stepper.advance(x[:, 4:5]))
    both(lambda stepper: stepper.advance(x[:, 5:6]))
    assert steppers[1]._stream is not None
    both(lambda stepper: stepper.take(np.array([2, 0, 0])))
    both(lambda stepper: stepper.advance(x[:, 6:7]))
    both(lambda stepper: stepper.take(np.array([1, 2])))
    both(lambda stepper: stepper.advance(x[:2, 7:8]))
    both(lambda stepper: stepper.advance(x[:2, 8:12]))
    assert steppers[1]._stream is None
    both(lambda stepper: stepper.advance(x[:2, 12:13]))
    both(lambda stepper: stepper.take(np.array([], int)))
    both(lambda stepper: stepper.reset())
    both(lambda stepper: stepper.advance(x[:1, :1]))
    both(lambda stepper: stepper.advance(x[:1, 1:2]))
    assert steppers[1].rows == 1


@pytest.mark.parametrize("activation", ["linear", "relu", "softmax"])
@pytest.mark.parametrize("last", [True, False])
def test_scores_are_what_comes_before_the_activation(activation, last, rng):
    ends = (
        [layers.Dense(7, activation)] if last else [layers.Dense(7), layers.Activation(activation)]
    )
    model = Sequential([layers.Input((None, 3)), layers.GRU(4), *ends], seed=0)
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    stepper, stream = Stepper(model, True), StreamStepper(model, True)
    for t in range(5):
        np.testing.assert_array_equal(
            stream.advance(x[:, t : t + 1]), stepper.advance(x[:, t : t + 1])
        )
    assert stream._stream is not None


class Doubled(layers.Dense):
    def run(self, inputs, tape, node):
        return inputs.with_values(2 * super().run(inputs, tape, node).values)


@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.GRUD(4, return_sequences=True),
        lambda: layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)], return_sequences=True),
        lambda: layers.RNN([layers.GRUCell(4), layers.SimpleRNNCell(3)]),
    ],
    ids=["GRUD", "stack", "last of a stack"],
)
def test_layers_of_several_parts(layer, rng):
    model = Sequential([layers.Input((None, 6)), layer()], seed=0)
    x = rng.random(size=(3, 7, 6)).astype("float32")
    wanted = model.predict(x)
    for stepper in (Stepper(model), StreamStepper(model)):
        stepper.advance(x[:, :2])
        for t in range(2, 5):
            y = stepper.advance(x[:, t : t + 1])
        stepper.take(np.array([2, 0, 1]))
        y = stepper.advance(x[[2, 0, 1], 5:])
        np.testing.assert_array_equal(y, (wanted[:, -1] if wanted.ndim > 2 else wanted)[[2, 0, 1]])


def test_rows_of_a_stack_without_a_step_keep_their_state(rng):
    stack = layers.RNN([layers.LSTMCell(3), layers.GRUCell(4)])
    model = Sequential([layers.Input((None, 6)), stack], seed=0)
    x = rng.random(size=(2, 7, 6)).astype("float32")
    stepper = Stepper(model)
    stepper.advance(x[:, :3])
    stepper.advance(x[:, 3:5], np.array([2, 0]))
    y = stepper.advance(np.stack([x[0, 5:], x[1, 3:5]]))
    np.testing.assert_array_equal(y[0], model.predict(x[:1])[0])
    np.testing.assert_array_equal(y[1], model.predict(x[1:, :5])[0])


def test_a_model_that_is_no_stream_steps_all_the_same(rng):
    model = Sequential([layers.Input((None, 6)), layers.LSTM(3), Doubled(4)], seed=0)
    x = rng.random(size=(2, 5, 6)).astype("float32")
    stepper, other = Stepper(model), StreamStepper(model)
    for t in range(5):
        np.testing.assert_array_equal(
            other.advance(x[:, t : t + 1]), stepper.advance(x[:, t : t + 1])
        )
    assert other._stream is None
