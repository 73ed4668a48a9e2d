"""Views, models over layers of another one: their copies and files go on with their training."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import Model, callbacks, load_model, optimizers
from gatewise.errors import CheckpointError, StateError
from gatewise.layers import GRU, Dense, Input, ReLU

OPTIONS = {"batch_size": 3, "verbose": 0}


def models():
    """A model, and views of its first and of its last layers."""
    x = Input((None, 3))
    first = GRU(4, dropout=0.2, name="first")(Dense(5, name="below")(x))
    last = Dense(2, name="last")(Dense(3, name="middle")(first))
    whole = Model(x, last, seed=0)
    return whole, Model(x, first), Model(first, last)


def view_of(place):
    view = models()[1 if place == "first" else 2]
    optimizer = optimizers.AdamW(0.01, weight_decay=0.1, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    view.compile(optimizer, "mse")
    return view


def data(place):
    rng = np.random.default_rng(0)
    shapes = [(8, 5, 3), (8, 4)] if place == "first" else [(8, 4), (8, 2)]
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("way", ["copy", "pickle", "file"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_copy_of_a_trained_view_goes_on(place, way, tmp_path):
    view, given = view_of(place), data(place)
    view.fit(*given, epochs=2, **OPTIONS)
    if way == "copy":
        made = copy.deepcopy(view)
    elif way == "pickle":
        made = pickle.loads(pickle.dumps(view))
    else:
        view.save(tmp_path / "view")
        made = load_model(tmp_path / "view")
    assert made.optimizer.iterations == view.optimizer.iterations == 6
    assert made.optimizer.slots()["average"].size == made.count_params()
    for model in (view, made):
        model.fit(*given, epochs=2, shuffle=False, **OPTIONS)
    for a, b in zip(made.get_weights(), view.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = copy.deepcopy(made)
    assert again.optimizer.slots().keys() == made.optimizer.slots().keys()


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_run_of_a_view_continues_to_the_bit(place, tmp_path):
    given = data(place)
    whole, part, resumed = (view_of(place) for _ in range(3))
    whole.fit(*given, epochs=4, **OPTIONS)
    path = tmp_path / "run"
    part.fit(*given, epochs=2, callbacks=callbacks.ModelCheckpoint(path), **OPTIONS)
    again = callbacks.ModelCheckpoint(tmp_path / "again")
    resumed.fit(*given, epochs=4, resume_from=path, callbacks=again, **OPTIONS)
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    # the file is that of a model of its own
    alone = load_model(path)
    assert alone.count_params() == part.count_params() == alone.flat_parameters.size


def test_a_copy_of_a_view_that_its_host_has_outgrown_says_so():
    x = Input((3,))
    y = Dense(2, name="a")(x)
    small = Model(x, y, seed=0)
    small.compile("adam", "mse")
    small.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)
    Model(x, Dense(1)(y), seed=1)  # takes the layer over
    with pytest.raises(StateError, match="compile it with a new optimizer"):
        copy.deepcopy(small).fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)


def test_layers_that_only_the_view_has_are_built():
    _, first, last = models()
    view = Model(last.input, ReLU()(last.get_layer("middle").output))
    for model in (first, last, view):
        assert all(layer.built for layer in model.layers)
        model.set_weights(model.get_weights())
    assert view.layers[-1].output_shape == (None, 3)


def test_a_file_of_another_view_is_refused(tmp_path):
    first, last = view_of("first"), view_of("last")
    first.fit(*data("first"), **OPTIONS)
    first.save(tmp_path / "first")
    with pytest.raises(CheckpointError):
        last.load_weights(tmp_path / "first")
