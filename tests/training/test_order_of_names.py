"""Lists for inputs and outputs that were given as dicts: their order must be plain."""

import copy
import pickle

import numpy as np
import pytest

from gatewise import Model, load_model
from gatewise.errors import ConfigError
from gatewise.layers import Dense, Input, concatenate
from gatewise.models import clone_model

X = {"size": np.ones((4, 2)), "age": np.zeros((4, 2))}
Y = {"urgent": np.ones((4, 1)), "desk": np.ones((4, 1))}


def model_of(inputs, outputs):
    """A model whose dicts have their names in these orders."""
    symbols = {name: Input((2,), name=name) for name in sorted(inputs)}
    x = concatenate([*symbols.values()])
    made = {name: Dense(1, name=name)(x) for name in sorted(outputs)}
    return Model(
        {name: symbols[name] for name in inputs}, {name: made[name] for name in outputs}, seed=0
    )


def test_lists_are_read_where_a_dict_has_the_order_of_its_names():
    model = model_of(sorted(X), sorted(Y))
    model.compile("sgd", ["mse", "mae"], loss_weights=[1, 2])
    model.fit([X[name] for name in sorted(X)], [Y[name] for name in sorted(Y)], verbose=0)
    assert [type(loss).__name__[:10] for loss in model.loss] == ["MeanSquare", "MeanAbsolu"]


def saved(model, path):
    model.save(path)
    return load_model(path)


COPIES = {
    "itself": lambda model, path: model,
    "copy": lambda model, path: copy.deepcopy(model),
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "clone": lambda model, path: clone_model(model),
    "file": saved,
}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_lists_are_refused_where_a_dict_has_another_order(copied, tmp_path):
    model = copied(model_of(X, Y), tmp_path / "model")
    x, y = [*X.values()], [*Y.values()]
    with pytest.raises(
        ConfigError, match=r"x is a list.* in the order 'size', 'age', which is not"
    ):
        model.predict(x)
    model.compile("sgd", "mse")
    for given, what in (
        ({"x": x, "y": Y}, "x"),
        ({"x": X, "y": y}, "y"),
        ({"x": X, "y": Y, "sample_weight": [np.ones(4), None]}, "sample_weight"),
    ):
        with pytest.raises(ConfigError, match=f"{what} is a list.* as a dict by name"):
            model.fit(**given, verbose=0)
    model.fit(X, Y, verbose=0)
    assert set(model.predict(X)) == set(Y)
    inner = [Input((2,)), Input((2,))]
    with pytest.raises(ConfigError, match="x is a list"):
        model(inner)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": ["mse", "mae"]},
        {"loss": "mse", "loss_weights": [1, 2]},
        {"loss": "mse", "metrics": ["mae", "mse"]},
        {"loss": "mse", "weighted_metrics": [["mae"], None]},
    ],
    ids=lambda options: list(options)[-1],
)
def test_lists_of_compile_are_refused_when_they_are_used(options):
    """Keras's guide compiles so, and then once more with dicts."""
    model = model_of(X, Y)
    model.compile("sgd", **options)
    for call in (model.fit, model.evaluate, model.train_on_batch):
        with pytest.raises(ConfigError, match=f"{list(options)[-1]} is a list"):
            call(X, Y)
    assert set(model.predict(X)) == set(Y)
    model.compile("sgd", loss={"urgent": "mse", "desk": "mae"})
    model.fit(X, Y, verbose=0)


def test_a_model_called_with_symbols_returns_what_it_returns_for_arrays():
    x = Input((2,))
    by_name = Model(x, {"b": Dense(1)(x), "a": Dense(2)(x)}, seed=0)
    listed, alone = Model(x, [Dense(3)(x)]), Model(x, Dense(3)(x))
    given = Input((2,))
    made = by_name(given)
    assert {name: symbol.shape for name, symbol in made.items()} == {"a": (None, 2), "b": (None, 1)}
    assert [symbol.shape for symbol in listed(given)] == [(None, 3)]
    assert alone(given).shape == (None, 3)
    outer = Model(given, [made["b"], *listed(given)], seed=1)
    ones = np.ones((2, 2))
    np.testing.assert_array_equal(outer.predict(ones)[0], by_name.predict(ones)["b"])
