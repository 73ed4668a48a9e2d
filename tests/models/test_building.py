"""Models described and built apart from any file: models/architecture.py."""

import copy
import json
import tracemalloc

import numpy as np
import pytest

from gatewise import Model, Sequential, layers, load_model
from gatewise.errors import CheckpointError, ConfigError
from gatewise.models import Seq2Seq, clone_model
from gatewise.models.architecture import (
    architecture_of,
    build_model,
    unbuilt_model,
    weight_shapes,
)
from gatewise.models.saving import named_weights


def row():
    return Sequential(
        [layers.Input((None, 3)), layers.Bidirectional(layers.GRU(4)), layers.Dense(2)], seed=1
    )


def graph():
    words, marks = layers.Input((None, 3), name="words"), layers.Input((2,), name="marks")
    shared = layers.Dense(4)
    x = layers.LSTM(4)(words) + shared(marks)
    return Model({"words": words, "marks": marks}, [x, shared(marks[:, ::-1])], seed=2)


def translator():
    model = Seq2Seq(7, 8, units=4, embedding=3, dropout=0.2, label_smoothing=0.1, seed=3, start=3)
    model._layer._parts["source_embedding"].trainable = False
    return model


def with_models_inside():
    target, source = layers.Input((None,), name="target"), layers.Input((None,), name="source")
    scores = Seq2Seq(7, 8, units=4, embedding=3, seed=4)([target, source])
    return Model([target, source], row()(layers.Dense(3)(scores)), seed=5)


ALL = pytest.mark.parametrize("make", [row, graph, translator, with_models_inside])


@ALL
def test_a_model_is_built_again_from_json(make):
    model = make()
    description = architecture_of(model)
    again = build_model(json.loads(json.dumps(description)))
    assert type(again) is type(model)
    assert architecture_of(again) == description
    assert [a.shape for a in again.get_weights()] == [a.shape for a in model.get_weights()]
    # the seed of the description determines the weights, unless models inside had theirs before
    if make is not with_models_inside:
        for a, b in zip(again.get_weights(), model.get_weights()):
            np.testing.assert_array_equal(a, b)


@ALL
def test_the_shapes_of_weights_are_known_before_there_are_any(make):
    model = make()
    unbuilt = unbuilt_model(architecture_of(model))
    shapes = weight_shapes(unbuilt)
    assert shapes == {name: array.shape for name, array in named_weights(model).items()}
    assert not unbuilt.built
    assert not any(layer._parameters for layer in unbuilt._layers)
    unbuilt._make_parameters()
    assert unbuilt.built


def line():
    x = layers.Input((None, 3))
    return Model(x, layers.Dense(2)(layers.LSTM(4)(x)))


def stack():
    return Sequential([layers.Input((None, 3)), layers.LSTM(4), layers.Dense(2)])


@pytest.mark.parametrize("make", [stack, line, translator])
def test_huge_weights_take_no_memory_before_their_shapes_are_compared(make):
    description = architecture_of(make())
    description["layers"][0]["config"]["units"] = 10**6
    tracemalloc.start()
    try:
        shapes = weight_shapes(unbuilt_model(description))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
    assert any(10**6 in shape for shape in shapes.values())


@ALL
def test_a_clone_has_weights_of_its_own_and_a_file_the_same(make, tmp_path):
    model = make()
    clone = clone_model(model)
    assert type(clone) is type(model)
    assert architecture_of(clone) == architecture_of(model)
    assert not np.shares_memory(clone.flat_parameters, model.flat_parameters)
    model.save(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors")
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_no_description_is_refused():
    with pytest.raises(ConfigError, match=r"'Modell'; expected one of Model, Seq2Seq, Sequential"):
        build_model(architecture_of(graph()) | {"class_name": "Modell"})
    with pytest.raises(ConfigError, match="lacks 'class_name'"):
        build_model({})
    unused = architecture_of(graph())
    unused["layers"].append(copy.deepcopy(unused["layers"][0]))
    unused["layers"][-1]["config"]["name"] = "unused"
    with pytest.raises(ConfigError, match="no output depends on layer 'unused'"):
        build_model(unused)
    with pytest.raises(ConfigError, match="has no layers"):
        weight_shapes(Sequential())
    with pytest.raises(ConfigError, match="no input shape"):
        weight_shapes(Sequential([layers.Dense(1)]))


def test_weights_of_other_shapes_are_refused_before_they_take_memory(tmp_path):
    model = translator()
    contents = architecture_of(model)
    contents["layers"][0]["config"]["units"] = 10**6

    class Forged(Seq2Seq):
        def _architecture(self):
            return contents

    model.__class__ = Forged
    model.save(tmp_path / "forged.safetensors")
    with pytest.raises(CheckpointError, match="the architecture asks for"):
        load_model(tmp_path / "forged.safetensors")
