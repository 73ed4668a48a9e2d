"""Models of many layers: work grows with their number, not with its square.

Adding and removing leaves everything in its place.
"""

import copy
import pickle
import sys
from functools import partial

import numpy as np
import pytest
from seeds import generator

from gatewise import Sequential, load_model
from gatewise.errors import ConfigError
from gatewise.layers import LSTM, Activation, BatchNormalization, Dense, Input


def stack(count):
    return [
        Dense(2, dtype="float32", name=f"d{k}") if k % 2 else Activation("tanh")
        for k in range(count)
    ]


def model_of(count):
    model = Sequential([Input((2,)), *stack(count)], seed=1)
    model.compile("adam", "mse")
    return model


def lines_of(function):
    """How many lines of Python a call executes: a measure of work that no other program changes."""
    count, before = 0, sys.gettrace()

    def trace(frame, event, argument):
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def added(count):
    model = Sequential([Input((2,))], seed=1)
    layers = stack(count)

    def add():
        for layer in layers:
            model.add(layer)

    return add


def popped(count):
    model = model_of(count)

    def pop():
        while len(model.layers) > 1:
            model.pop()

    return pop


def with_file(count, folder, work):
    model, path = model_of(count), folder / f"{count}.safetensors"
    model.save(path)
    return lambda: work(model, path)


X = np.zeros((2, 2), np.float32)
WORK = {
    "build": lambda n, folder: partial(Sequential, [Input((2,)), *stack(n)], seed=1),
    "add": lambda n, folder: added(n),
    "pop": lambda n, folder: popped(n),
    "save": lambda n, folder: with_file(n, folder, lambda model, path: model.save(path)),
    "load_model": lambda n, folder: with_file(n, folder, lambda model, path: load_model(path)),
    "save_weights": lambda n, folder: with_file(
        n, folder, lambda model, path: model.save_weights(path)
    ),
    "load_weights": lambda n, folder: with_file(
        n, folder, lambda model, path: model.load_weights(path)
    ),
    "summary": lambda n, folder: partial(
        lambda model: model.summary(print_fn=lambda line: None), model_of(n)
    ),
    "weights": lambda n, folder: partial(
        lambda model: model.set_weights(model.get_weights()), model_of(n)
    ),
    "copy": lambda n, folder: partial(lambda model: copy.deepcopy(model), model_of(n)),
    "train": lambda n, folder: partial(lambda model: model.train_on_batch(X, X), model_of(n)),
    "predict": lambda n, folder: partial(lambda model: model.predict(X, verbose=0), model_of(n)),
    "freeze": lambda n, folder: partial(
        lambda model: setattr(model, "trainable", False), model_of(n)
    ),
}


@pytest.mark.parametrize("what", WORK)
def test_twice_as_many_layers_are_twice_the_work(what, tmp_path):
    small, large = (lines_of(WORK[what](count, tmp_path)) for count in (60, 120))
    assert small > 60  # it did something for each layer
    assert large < 2.3 * small


def test_layers_added_one_by_one_are_those_of_a_list():
    """Weights, buffers and training, to the bit, however often the buffers moved."""
    together, one_by_one = model_of(9), Sequential([Input((2,))], seed=1)
    for layer in stack(9):
        one_by_one.add(layer)
        assert one_by_one.built
    one_by_one.compile("adam", "mse")
    x = np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)
    for model in (
        together,
        one_by_one,
        copy.deepcopy(one_by_one),
        pickle.loads(pickle.dumps(one_by_one)),
    ):
        reference = model_of(9)
        model.set_weights(reference.get_weights())
        for trained in (model, reference):
            trained.rng.bit_generator.state = generator(5).bit_generator.state
            trained.fit(x, x, epochs=2, verbose=0)
        np.testing.assert_array_equal(model._flat_weights(), reference._flat_weights())
        assert model.flat_parameters.size == model.flat_gradients.size == model.count_params()
        assert all(
            array.base is not None and np.shares_memory(array, model.flat_parameters)
            for array in model.weights
        )


def test_a_pickle_does_not_hold_the_room_for_more_layers():
    together, one_by_one = model_of(40), Sequential([Input((2,))], seed=1)
    for layer in stack(40):
        one_by_one.add(layer)
    one_by_one.compile("adam", "mse")
    assert abs(len(pickle.dumps(one_by_one)) - len(pickle.dumps(together))) < 200


def test_a_layer_that_was_removed_keeps_its_weights():
    model = Sequential([Input((2,)), Dense(3), Dense(4)], seed=1)
    last, kept = model.layers[-1], model.layers[-1].get_weights()
    first = model.get_weights()[:2]
    model.pop()
    assert model.count_params() == model.flat_parameters.size == 9 and last.model is None
    model.add(Dense(4))  # takes the place of the one that was removed
    model.set_weights([array + 1 for array in model.get_weights()])
    for here, there in zip(kept, last.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    other = Sequential([Input((3,)), last], seed=2)
    for here, there in zip(kept, other.get_weights(), strict=True):
        np.testing.assert_array_equal(here, there)
    np.testing.assert_array_equal(model.get_weights()[0], first[0] + 1)


def test_a_layer_that_cannot_be_added_leaves_the_model_as_it_was():
    model = Sequential([Input((4, 2)), LSTM(3, return_sequences=True, name="a")], seed=1)
    model.compile("sgd", "mse")
    weights, refused = model._flat_weights(), LSTM(2, return_state=True, name="b")
    for _ in range(2):
        with pytest.raises(ConfigError, match="return_state"):
            model.add(refused)
    np.testing.assert_array_equal(model._flat_weights(), weights)
    assert model.built and len(model.layers) == 1 and refused.model is None
    model.add(LSTM(2, name="b"))  # the name is free
    model.add(BatchNormalization())
    assert model.predict(np.zeros((1, 4, 2)), verbose=0).shape == (1, 2)
    model.fit(np.zeros((2, 4, 2)), np.zeros((2, 2)), verbose=0)


def test_a_dtype_that_comes_late_holds_for_all():
    model = Sequential([Input((2,)), Dense(2)], seed=1)
    model.add(Dense(2, dtype="float64"))
    assert {array.dtype for array in model.get_weights()} == {np.dtype("float64")}
    with pytest.raises(ConfigError, match="one dtype"):
        model.add(Dense(2, dtype="float32"))
    assert len(model.layers) == 2 and model.predict(np.zeros((1, 2)), verbose=0).dtype == np.float64


def test_two_layers_of_one_name_are_refused_whenever_it_was_given(tmp_path):
    model = Sequential([Input((2,)), Dense(2, name="a"), Dense(2, name="b")], seed=1)
    with pytest.raises(ConfigError, match="named 'a'"):
        model.add(Dense(2, name="a"))
    model.layers[0].name = "c"
    model.add(Dense(2, name="a"))  # free by now
    model.layers[0]._name = "b"  # as a program that goes behind the library's back does
    with pytest.raises(ConfigError, match="two layers are named 'b'"):
        model.save(tmp_path / "model.safetensors")
    assert not list(tmp_path.iterdir())
