"""Models as JSON values: get_config and from_config."""

import json

import numpy as np
import pytest

from gatewise import Model, Sequential, layers
from gatewise.errors import ConfigError, StateError
from gatewise.models import Seq2Seq


class Doubled(layers.Layer):
    """A layer of a user's own."""

    def run(self, inputs, tape, node):
        return inputs.with_values(2 * inputs.values)

    def run_backward(self, gradients, tape, node, wanted):
        return 2 * gradients


def graph():
    words, marks = layers.Input((None, 3), name="words"), layers.Input((2,), name="marks")
    shared = layers.Dense(4)
    x = layers.LSTM(4)(words) + shared(marks)
    return Model(
        {"words": words, "marks": marks}, [layers.Dense(1)(x), shared(marks[:, ::-1])], seed=3
    )


def row():
    model = Sequential([layers.GRU(3), layers.Dense(1)], seed=3)
    model.build((None, None, 2))
    return model


def translator():
    return Seq2Seq(10, 9, units=4, seed=3)


@pytest.mark.parametrize("make", [graph, row, translator])
def test_a_model_is_made_of_its_configuration(make):
    model = make()
    config = json.loads(json.dumps(model.get_config()))
    again = type(model).from_config(config)
    assert again.get_config() == model.get_config()
    assert again is not model and not np.shares_memory(again.flat_parameters, model.flat_parameters)
    for ours, theirs in zip(again.get_weights(), model.get_weights()):  # of the same seed
        np.testing.assert_array_equal(ours, theirs)


def test_without_the_shape_of_the_input_it_is_not_built():
    model = Sequential([layers.GRU(3), layers.Dense(1)])
    assert not Sequential.from_config(model.get_config()).built


def test_classes_of_users_are_given_by_name():
    x = layers.Input((3,))
    config = Model(x, Doubled()(x)).get_config()
    again = Model.from_config(config, custom_objects={"Doubled": Doubled})
    np.testing.assert_array_equal(again.predict(np.ones((1, 3))), [[2, 2, 2]])
    with pytest.raises(ConfigError, match="config describes no model: .*Doubled"):
        Model.from_config(config)


@pytest.mark.parametrize(
    "config, says",
    [
        ({}, "lacks 'class_name'"),
        (3, "not subscriptable"),
        ({"class_name": "Model", "name": "m", "layers": []}, "lacks 'inputs'"),
        ({"name": "m", "layers": [], "input_layers": []}, "lacks 'class_name'"),
    ],
)
def test_what_describes_no_model_is_refused(config, says):
    with pytest.raises(ConfigError, match=says):
        Model.from_config(config)


def test_a_row_of_layers_is_not_made_of_a_graph():
    with pytest.raises(ConfigError, match=r"describes a Model: call its from_config"):
        Sequential.from_config(graph().get_config())
    assert isinstance(Model.from_config(row().get_config()), Sequential)
    with pytest.raises(ConfigError, match=r"describes a Seq2Seq: call its from_config"):
        Sequential.from_config(translator().get_config())
    assert isinstance(Model.from_config(translator().get_config()), Seq2Seq)


def test_a_model_without_layers_has_no_configuration():
    with pytest.raises(StateError, match="has no layers"):
        Sequential().get_config()
