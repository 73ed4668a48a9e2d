"""Initializers, regularizers and constraints of one's own.

Used, copied into a file by name and argument, and read back.
"""

import inspect

import numpy as np
import pytest
from cases import assert_same_bits

from gatewise import constraints, initializers, layers, regularizers
from gatewise.constraints import Constraint
from gatewise.errors import CheckpointError, ConfigError, DTypeError, GatewiseError, ShapeError
from gatewise.initializers import Initializer
from gatewise.layers import LSTM, Dense, Input
from gatewise.models import Sequential, load_model
from gatewise.regularizers import L1, L1L2, L2, Regularizer
from gatewise.testing import check_gradients
from gatewise.utils import custom_object_scope


class Alternate(Initializer):
    def __init__(self, size=1.0):
        self.size = size

    def draw(self, shape, rng):
        return self.size * (-1.0) ** np.arange(np.prod(shape)).reshape(shape)


class Quartic(Regularizer):
    def __init__(self, rate):
        self.rate = rate

    def __call__(self, w):
        return self.rate * float((w**4).sum())

    def add_gradient(self, w, gradient):
        gradient += 4 * self.rate * w**3


class Within(Constraint):
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, w):
        return np.clip(w, self.low, self.high)


OWN = {cls.__name__: cls for cls in (Alternate, Quartic, Within)}
OF_DENSE = {
    "kernel_initializer": Alternate(0.5),
    "kernel_regularizer": Quartic(0.1),
    "kernel_constraint": Within(-0.4, 0.3),
}
OF_LSTM = {**OF_DENSE, "recurrent_initializer": Alternate(0.2), "bias_regularizer": Quartic(0.3)}


def model_of(dtype=None):
    model = Sequential(
        [Input((None, 2), dtype=dtype), LSTM(3, **OF_LSTM), Dense(1, **OF_DENSE)], seed=0
    )
    model.compile("sgd", "mse")
    return model


@pytest.fixture
def x(rng):
    return rng.normal(size=(4, 5, 2))


def test_they_are_used(x):
    model = model_of("float64")
    kernel, recurrent_kernel = model.get_weights()[:2]
    assert (abs(kernel) == 0.5).all() and (abs(recurrent_kernel) == 0.2).all()
    assert model.layers[1].penalty() == pytest.approx(0.1 * 3 * 0.5**4)
    assert check_gradients(model, x, y=x[:, 0, :1]).passed
    model.train_on_batch(x, x[:, 0, :1])
    kernel = model.get_weights()[0]
    assert kernel.min() == -0.4 and kernel.max() == 0.3


def test_they_come_back_from_a_file(x, tmp_path):
    model, y = model_of(), x[:, 0, :1]
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model", custom_objects=OWN)
    assert [layer.get_config() for layer in again.layers] == [
        layer.get_config() for layer in model.layers
    ]
    for one in (model, again):
        one.train_on_batch(x, y)
    for a, b in zip(again.get_weights(), model.get_weights()):
        assert_same_bits(a, b)


@pytest.mark.parametrize("missing", OWN)
def test_a_file_whose_classes_are_not_given(missing, tmp_path):
    model_of().save(tmp_path / "model")
    given = {name: cls for name, cls in OWN.items() if name != missing}
    with pytest.raises(
        CheckpointError, match=f"class '{missing}' is not known: give it, as load_model"
    ):
        load_model(tmp_path / "model", custom_objects=given)
    for wrong in (Dense, 3, OF_DENSE["kernel_constraint"]):
        with pytest.raises(
            CheckpointError, match=f"for '{missing}'; expected a class that derives from"
        ):
            load_model(tmp_path / "model", custom_objects=given | {missing: wrong})


@pytest.mark.parametrize(
    "option", ["kernel_initializer", "kernel_regularizer", "kernel_constraint"]
)
def test_what_a_file_cannot_describe_is_refused_before_it_is_written(option, tmp_path):
    base = type(OF_DENSE[option]).__mro__[1]

    class Forgetful(base):
        def __init__(self, rate):
            self.kept = rate

        def __call__(self, *given):
            return np.zeros(given[0]) if option == "kernel_initializer" else 0.0

        def add_gradient(self, w, gradient):
            pass

    known = {
        "kernel_initializer": "Zeros",
        "kernel_regularizer": "L2",
        "kernel_constraint": "NonNeg",
    }[option]
    for made, error, words in [
        (
            Forgetful(0.1),
            ConfigError,
            "Forgetful has no attribute 'rate' for the argument of its constructor",
        ),
        (
            type(known, (Forgetful,), {"rate": 1})(1),
            ConfigError,
            f"{known} has the name of a class of gatewise",
        ),
        (type("Other", (Forgetful,), {"rate": {1, 2}})(1), GatewiseError, "set"),
    ]:
        model = Sequential([Input((2,)), Dense(3, **{option: made})])
        with pytest.raises(error, match=words):
            model.save(tmp_path / "model")
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("base", "call"),
    [
        (Initializer, lambda made: made((2, 3))),
        (Constraint, lambda made: made(np.ones((2, 3)))),
        (Regularizer, lambda made: made(np.ones((2, 3)))),
        (Regularizer, lambda made: made.add_gradient(np.ones((2, 3)), np.ones((2, 3)))),
    ],
)
def test_a_class_without_what_it_must_define(base, call):
    with pytest.raises(DTypeError, match="Empty defines no "):
        call(type("Empty", (base,), {})())


def test_a_configuration_by_name_in_a_scope():
    saved = regularizers.serialize(Quartic(0.5))
    assert saved == {"class_name": "Quartic", "config": {"rate": 0.5}}
    with pytest.raises(ConfigError, match="'Quartic' is not known"):
        regularizers.get(saved)
    with custom_object_scope(OWN):
        again = regularizers.get(saved)
    assert type(again) is Quartic and again.rate == 0.5


@pytest.mark.parametrize(
    "given",
    [
        L2(0.5),
        {"l1": 0.0, "l2": 0.5},
        {"l2": 0.5},
        {"class_name": "L2", "config": {"l2": 0.5}},
        {"class_name": "L1L2", "config": {"l2": 0.5}},
    ],
    ids=["object", "two names", "one name", "configuration", "other class"],
)
def test_a_regularizer_is_not_lost_in_a_dict(given):
    made = regularizers.get(given)
    assert isinstance(made, L1L2) and (made.l1, made.l2) == (0, 0.5)
    assert regularizers.serialize(made) == {"l1": 0.0, "l2": 0.5}
    assert regularizers.serialize(L1(0.5)) == {"l1": 0.5, "l2": 0.0}


@pytest.mark.parametrize(
    ("get", "given", "error"),
    [
        (regularizers.get, {"L2": 0.5}, ConfigError),
        (regularizers.get, {"l2": 0.5, "l3": 1}, ConfigError),
        (regularizers.get, {"class_name": "L2", "config": {"L2": 1}}, ConfigError),
        (regularizers.get, {"class_name": "L3", "config": {}}, ConfigError),
        (regularizers.get, {"class_name": ["L2"]}, DTypeError),
        (regularizers.get, {"class_name": "Regularizer"}, ConfigError),
        (regularizers.get, {1: 2}, ConfigError),
        (constraints.get, {"max_value": 3}, DTypeError),
        (constraints.get, {"class_name": "Max"}, ConfigError),
        (constraints.get, {"class_name": "MaxNorm", "config": [3]}, ConfigError),
        (initializers.get, {}, DTypeError),
        (initializers.get, {"class_name": None}, DTypeError),
        (initializers.get, {"class_name": "Zeros", "config": {"a": 1}}, ConfigError),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_configuration_that_fits_nothing(get, given, error):
    with pytest.raises(error) as caught:
        get(given)
    assert isinstance(caught.value, GatewiseError)


def test_what_is_kept_is_what_the_constructor_takes():
    for registry in (
        constraints.CONSTRAINTS,
        initializers.INITIALIZERS,
        regularizers.REGULARIZERS,
    ):
        for cls in registry.classes.values():
            assert cls().get_config().keys() == inspect.signature(cls).parameters.keys()


def test_what_ones_own_constraint_gives_has_the_shape_of_the_weights():
    class Row(constraints.Constraint):
        def __call__(self, w):
            return w[:1]

    model = Sequential([layers.Input((3,)), layers.Dense(2, kernel_constraint=Row())], seed=0)
    model.compile("sgd", "mse")
    with pytest.raises(
        ShapeError, match=r"constraint Row returned shape \(1, 2\); expected \(3, 2\)"
    ):
        model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))


def test_weights_of_the_other_gru_inside_a_wrapper():
    ours, other = (
        layers.Bidirectional(layers.GRU(3, reset_after=after)) for after in (True, False)
    )
    for layer in (ours, other):
        layer.build((None, None, 2))
    with pytest.raises(ShapeError, match="reset_after=False"):
        ours.set_weights(other.get_weights())
