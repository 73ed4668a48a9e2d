"""What a user sets on an object takes effect or is refused with the cure.

No setting is accepted and read by nobody.
"""

import copy
import pickle

import numpy as np
import pytest
from samples import samples_of

from gatewise import (
    callbacks,
    cells,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    regularizers,
    schedules,
)
from gatewise.attributes import Guarded
from gatewise.errors import ConfigError, DTypeError, GatewiseError, SettingError, StateError
from gatewise.models import Sequential


@pytest.fixture
def model():
    made = Sequential([layers.Input((5, 2)), layers.LSTM(3, seed=2), layers.Dense(1)], seed=0)
    made.compile("adam", "mse", metrics=["mae"])
    return made


REFUSED = [
    (lambda m: m.optimizer, "lr", 0.1, "its name is learning_rate"),
    (lambda m: m.optimizer, "learning_rat", 0.1, "did you mean 'learning_rate'"),
    (lambda m: m.optimizer, "iterations", 5, "iterations is 0 and cannot become 5"),
    (lambda m: m.optimizer, "iterations", "5", "iterations is '5'"),
    (lambda m: m.layers[0], "rng", 5, "rng is 5"),
    (lambda m: m.optimizer, "schedule", 0, "has no attribute"),
    (
        lambda m: m.layers[0],
        "kernel_regularizer",
        "l2",
        r"chosen when the object is made.*LSTM\(..., kernel_regularizer=...\)",
    ),
    (lambda m: m.layers[0], "recurrent_initializer", "zeros", "chosen when"),
    (lambda m: m.layers[0], "bias_constraint", "non_neg", "chosen when"),
    (lambda m: m.layers[0], "seed", 3, "chosen when"),
    (lambda m: m.layers[0], "dtype", "float64", "chosen when"),
    (lambda m: m.layers[0], "input_shape", (None, 3, 2), "chosen when"),
    (lambda m: m.layers[0], "peepholes", True, "option of its cell"),
    (lambda m: m.layers[0], "units", 4, "chosen when"),
    (lambda m: m.layers[0], "trainabel", False, "did you mean 'trainable'"),
    (
        lambda m: m.layers[1],
        "kernel",
        np.ones((3, 1)),
        r"parameters\['kernel'\]\[...\] = values, or call set_weights",
    ),
    (lambda m: m.layers[1], "weights", [], "set_weights"),
    (lambda m: m.layers[1], "trainable_weights", [], "set_weights"),
    (lambda m: m.layers[1], "parameters", {}, "cannot be set"),
    (lambda m: m.layers[0], "return_sequences", True, "cannot change any more"),
    (lambda m: m.layers[1], "name", "", "name is ''"),
    (lambda m: m.layers[1], "name", 3, "name is 3"),
    (lambda m: m, "optimizer", "sgd", "compile"),
    (lambda m: m, "loss", "mae", "compile"),
    (lambda m: m, "metrics", ["mse"], "compile"),
    (lambda m: m, "learning_rate", 0.1, "model.optimizer.learning_rate"),
    (lambda m: m, "seed", 1, r"Sequential\(..., seed=...\)"),
    (lambda m: m, "layers", [], "add"),
    (lambda m: m, "weights", [], "set_weights"),
    (lambda m: m, "flat_parameters", np.zeros(3), "write into it"),
    (lambda m: m, "built", False, "cannot be set"),
    (lambda m: m, "trainabel", False, "did you mean 'trainable'"),
    (lambda m: m, "stop_trainig", True, "did you mean 'stop_training'"),
    (lambda m: losses.Huber(), "delta", 2.0, r"Huber\(..., delta=...\), and compile"),
    (lambda m: losses.BinaryCrossentropy(), "label_smoothing", 0.1, "and compile"),
    (lambda m: losses.Huber(), "detla", 2.0, "did you mean 'delta'"),
    (lambda m: metrics.Precision(), "thresholds", 0.3, "and compile"),
    (lambda m: metrics.Precision(), "treshold", 0.3, "has no attribute"),
    (lambda m: callbacks.EarlyStopping(), "monitor", "loss", "chosen when"),
    (lambda m: callbacks.EarlyStopping(), "patince", 3, "did you mean 'patience'"),
    (lambda m: callbacks.EarlyStopping(), "patience", -1, "patience is -1"),
    (lambda m: callbacks.ReduceLROnPlateau(), "factor", 2.0, "factor is 2.0"),
    (lambda m: callbacks.History(), "histroy", {}, "did you mean 'history'"),
    (lambda m: m.layers[0].cell, "units", 4, r"LSTMCell\(..., units=...\)"),
    (lambda m: cells.FullGateLSTMCell(2), "trainable", False, "trainable of the RNN layer"),
    (lambda m: regularizers.L2(0.1), "l2", "a", r"L2\(..., l2=...\)"),
    (lambda m: constraints.MaxNorm(2), "max_norm", 3, "did you mean 'max_value'|has no attribute"),
    (lambda m: initializers.RandomNormal(), "stddev", -1, "stddev=..."),
    (lambda m: schedules.StepDecay(0.1, 3), "step_size", 0, "step_size=..."),
    (lambda m: callbacks.ModelCheckpoint("x"), "filepath", "y", "chosen when"),
]


@pytest.mark.parametrize(
    ("of", "name", "value", "words"),
    REFUSED,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_would_read_is_refused(model, of, name, value, words):
    thing = of(model)
    before = dict(vars(thing))
    with pytest.raises(GatewiseError, match=words) as caught:
        setattr(thing, name, value)
    assert isinstance(caught.value, ValueError | StateError | DTypeError)
    assert vars(thing).keys() == before.keys() and all(
        vars(thing)[key] is before[key] for key in before
    )


def test_names_in_a_model_stay_different(model):
    with pytest.raises(ConfigError, match="give each its own name"):
        model.layers[1].name = model.layers[0].name
    model.layers[1].name = model.layers[1].name
    layers.Dense(1).name = model.layers[0].name  # of no model


def test_the_error_is_an_attribute_error_too(model):
    with pytest.raises(AttributeError):
        model.optimizer.lr = 0.1
    assert issubclass(SettingError, ConfigError)


def every_object():
    """One of each public class that can be made of its name, or of a number."""
    for module in (layers, losses, metrics, optimizers, callbacks):
        for name in module.__all__:
            cls = getattr(module, name)
            if not (isinstance(cls, type) and issubclass(cls, Guarded)):
                continue
            for arguments in ((), (2,), (2, 3), (0.5,), ("x",), (layers.GRU(2),), ([[1]],), (len,)):
                try:
                    yield cls(*arguments)
                    break
                except (GatewiseError, TypeError):
                    continue


@pytest.mark.parametrize("thing", list(every_object()), ids=lambda thing: type(thing).__name__)
def test_no_object_of_the_library_takes_an_attribute_that_it_does_not_have(thing):
    # Small values (slots, frozen records) refuse it as Python does.
    with pytest.raises(SettingError if isinstance(thing, Guarded) else AttributeError):
        thing.nobody_reads_this = 1
    # which set attributes too
    for again in (copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))):
        assert type(again) is type(thing)


def test_nearly_every_class_was_tried():
    assert len({type(thing) for thing in every_object()}) > 75


def test_what_is_read_can_be_set(model, rng):
    model.name, model.layers[1].name = "other", "output"
    model.stop_training = False
    model.optimizer.learning_rate = 0.5
    model.optimizer.clipnorm = 1
    model.layers[0].dropout = 0.2
    stopping = callbacks.EarlyStopping()
    stopping.patience, stopping.wait = 7, 0
    assert (model.get_layer("output").name, model.optimizer.clipnorm, stopping.patience) == (
        "output",
        1.0,
        7,
    )
    model.flat_gradients += 1  # sets the buffer that it has changed
    model.flat_parameters[...] = 0.5
    seen = []
    original = model.layers[0].run
    # a method of one object
    model.layers[0].run = lambda *given: seen.append(given) or original(*given)
    model.predict(rng.normal(size=(3, 5, 2)))
    assert seen


class OwnLayer(layers.Dense):
    def __init__(self, units, **kwargs):
        super().__init__(units, **kwargs)
        self.note = "mine"
        self.seed = 5  # an argument of the library's, set by the object itself

    def remember(self, value):
        self.kernel_regularizer = value


def test_classes_of_users_have_their_own_attributes():
    layer = OwnLayer(3)
    layer.note, layer.another = "still mine", 1
    layer.remember(7)
    assert (layer.note, layer.another, layer.kernel_regularizer, layer.seed) == (
        "still mine",
        1,
        7,
        5,
    )
    # what the library was given and does not read again
    with pytest.raises(SettingError, match="kernel_initializer"):
        layer.kernel_initializer = "zeros"

    class Own(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.seen = epoch

    watcher = Own()
    watcher.on_epoch_end(3)
    watcher.limit = 4
    assert (watcher.seen, watcher.limit) == (3, 4)


# ---- optimizers


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("weight_decay", -1, "weight_decay is -1"),
        ("clipvalue", 0, "clipvalue is 0"),
        ("beta_1", 1.0, "beta_1 is 1.0"),
        ("amsgrad", "yes", "amsgrad is 'yes'"),
        ("ema_overwrite_frequency", 3, "no mean to overwrite with"),
        ("gradient_accumulation_steps", 1, "gradient_accumulation_steps is 1"),
    ],
)
def test_options_of_optimizers_are_checked_when_they_are_set(name, value, words):
    optimizer = optimizers.Adam()
    before = getattr(optimizer, name)
    with pytest.raises(GatewiseError, match=words):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before
    optimizer.clipnorm = 1.0
    with pytest.raises(ConfigError, match="at most one of"):
        optimizer.global_clipnorm = 1.0
    optimizer.clipnorm, optimizer.global_clipnorm = None, 1.0


@pytest.mark.parametrize(
    ("optimizer", "name", "value"),
    [
        (optimizers.SGD(), "momentum", 0.9),
        (optimizers.SGD(momentum=0.9), "momentum", 0.0),
        (optimizers.Adam(), "amsgrad", True),
        (optimizers.RMSprop(), "centered", True),
        (optimizers.Adam(), "use_ema", True),
        (optimizers.Adagrad(), "initial_accumulator_value", 1.0),
        (optimizers.SGD(), "gradient_accumulation_steps", 2),
        (optimizers.SGD(gradient_accumulation_steps=2), "gradient_accumulation_steps", 3),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_decides_the_slots_is_fixed_with_the_first_step(optimizer, name, value):
    optimizer, p = copy.deepcopy(optimizer), np.ones(3)
    free, before = copy.deepcopy(optimizer), getattr(optimizer, name)
    setattr(free, name, value)
    free.step(p.copy(), np.ones(3), [slice(0, 3)])
    optimizer.step(p, np.ones(3), [slice(0, 3)])
    setattr(optimizer, name, before)  # no change
    with pytest.raises(StateError, match=f"{name} decides what is accumulated"):
        setattr(optimizer, name, value)
    assert getattr(optimizer, name) == before
    optimizer.step(p, np.ones(3), [slice(0, 3)])


def test_the_count_of_steps_can_be_set_between_them():
    optimizer, p = optimizers.Adam(optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)), np.zeros(1)
    optimizer.step(p, np.ones(1), [slice(0, 1)])
    optimizer.iterations = 3
    assert optimizer.learning_rate == 0.125
    with pytest.raises(StateError, match="cannot become 0"):
        optimizer.iterations = 0


def test_a_momentum_set_between_steps_is_used():
    optimizer, p = optimizers.SGD(1.0, momentum=0.5), np.zeros(1)
    for momentum in (0.5, 0.25):
        optimizer.momentum = momentum
        optimizer.step(p, np.ones(1), [slice(0, 1)])
    assert p[0] == -1 - 1.25


def test_a_step_of_training_sets_no_attribute_through_the_guard(model, rng, monkeypatch):
    """Each would cost half a microsecond, in a step that takes less than a hundred."""
    x, y = rng.normal(size=(4, 5, 2)), rng.normal(size=(4, 1))
    model.train_on_batch(x, y)
    seen = []
    monkeypatch.setattr(Guarded, "__setattr__", lambda self, name, value: seen.append(name))
    samples = samples_of(model, x, y)
    model._train_step(samples)
    model._test_step(samples)
    assert seen == []
