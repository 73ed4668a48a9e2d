"""Models in files: what is written is read back, and training continues to the same bits."""

import os

import numpy as np
import pytest
from seeds import generator

import gatewise
from gatewise import (
    layers,
    losses,
    metrics,
    optimizers,
)
from gatewise.errors import CheckpointError, ConfigError, DTypeError, StateError
from gatewise.layers import (
    GRU,
    LSTM,
    Dense,
    Embedding,
)
from gatewise.models import Sequential, load_model

from .saved_models import OPTIMIZERS, STACKS, model_of


def data_for(model, rows=24):
    rng = generator(5)
    words = isinstance(model.layers[0], Embedding)
    shape = (rows, *(extent or 6 for extent in model.input_shape[1:]))
    x = rng.integers(0, 8, shape) if words else rng.normal(size=shape)
    return x, rng.normal(size=(rows, *model.output_shape[1:]))


def assert_same_model(one, two):
    assert two.name == one.name
    assert two.seed == one.seed
    assert two.dtype == one.dtype
    assert two.input_shape == one.input_shape
    assert two.output_shape == one.output_shape
    assert [type(layer) for layer in two.layers] == [type(layer) for layer in one.layers]
    for first, second in zip(one.layers, two.layers):
        assert second.get_config() == first.get_config()
    assert two.flat_parameters.tobytes() == one.flat_parameters.tobytes()
    assert two.rng.bit_generator.state == one.rng.bit_generator.state
    assert (two.loss is None) == (one.loss is None)
    if one.loss is not None:
        assert type(two.loss) is type(one.loss)
        assert two.loss.get_config() == one.loss.get_config()
        assert [metrics.serialize(metric) for metric in two.metrics] == [
            metrics.serialize(m) for m in one.metrics
        ]
        assert optimizers.serialize(two.optimizer) == optimizers.serialize(one.optimizer)
        assert two.optimizer.iterations == one.optimizer.iterations
        ours, theirs = one.optimizer.slots(), two.optimizer.slots()
        assert theirs.keys() == ours.keys()
        for name, array in ours.items():
            assert theirs[name].dtype == array.dtype
            assert theirs[name].tobytes() == array.tobytes()


# ---- round trips


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(name, marks=[] if number < 3 else pytest.mark.long)
        for number, name in enumerate(OPTIMIZERS)
    ],
)
@pytest.mark.parametrize("stack", STACKS)
def test_round_trip(stack, optimizer, dtype, tmp_path):
    model = model_of(stack, optimizer, dtype)
    x, y = data_for(model)
    if optimizer != "none":
        model.fit(x, y, epochs=2, batch_size=24 if model._is_stateful else 8, verbose=0)
    else:
        model.set_weights([w + generator(1).random(w.shape) for w in model.get_weights()])
    model.reset_state()
    path = tmp_path / "model.gatewise"
    assert model.save(path) is None
    before = path.read_bytes()
    loaded = load_model(path)
    assert_same_model(model, loaded)
    for one in (model, loaded):
        one.reset_state()
    assert loaded.predict(x, batch_size=24).tobytes() == model.predict(x, batch_size=24).tobytes()
    loaded.reset_state()
    loaded.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == before
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "loss",
    [
        losses.BinaryCrossentropy(from_logits=True),
        "categorical_crossentropy",
        losses.SparseCategoricalCrossentropy(from_logits=True),
        "mae",
    ],
)
@pytest.mark.filterwarnings("ignore:loss .* behind 2 columns with activation 'softmax'")
def test_losses_and_metrics_come_back(loss, tmp_path):
    model = model_of(
        "lstm, every option",
        "sgd",
        loss=loss,
        metric_list=[
            "acc",
            metrics.BinaryAccuracy("b", 0.3),
            "mse",
            metrics.MeanAbsoluteError("mine"),
        ],
    )
    rng = generator(0)
    x = rng.normal(size=(9, 6, 2))
    y = rng.integers(0, 2, 9) if model.loss._sparse else np.eye(2)[rng.integers(0, 2, 9)]
    if model.loss._sparse:
        model.compile("sgd", loss, ["accuracy", "sparse_categorical_accuracy"])
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert_same_model(model, loaded)
    assert loaded.metrics_names == model.metrics_names
    assert loaded.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_a_model_that_was_built_by_its_data(tmp_path):
    model = Sequential([GRU(3), Dense(1)], seed=0)
    model.compile("adam", "mse")
    x = generator(0).normal(size=(8, 5, 2))
    model.fit(x, np.ones(8), verbose=0)
    model.save(str(tmp_path / "m"))
    loaded = gatewise.load_model(str(tmp_path / "m"))
    assert loaded.predict(x).tobytes() == model.predict(x).tobytes()
    assert loaded.predict(x[:, :3]).shape == (8, 1)  # steps stay free


def test_saving_changes_nothing(tmp_path):
    saved, untouched = model_of("lstm"), model_of("lstm")
    x, y = data_for(saved)
    for model in (saved, untouched):
        for _ in range(3):
            model.fit(x, y, verbose=0)
            if model is saved:
                model.save(tmp_path / "m")
    assert saved.flat_parameters.tobytes() == untouched.flat_parameters.tobytes()


def test_a_loaded_model_is_its_own(tmp_path):
    model = model_of("lstm")
    x, y = data_for(model)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    one, two = load_model(tmp_path / "m"), load_model(tmp_path / "m")
    one.fit(x, y, verbose=0)
    assert_same_model(model, two)
    os.remove(tmp_path / "m")  # nothing is mapped
    assert two.predict(x).tobytes() == model.predict(x).tobytes()


def test_saving_over_a_file_replaces_it(tmp_path):
    first, second = model_of("lstm"), model_of("rnn")
    first.save(tmp_path / "m")
    second.save(tmp_path / "m")
    assert_same_model(second, load_model(tmp_path / "m"))
    assert os.listdir(tmp_path) == ["m"]


# ---- going on


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", [name for name in OPTIMIZERS if name != "none"])
@pytest.mark.parametrize("stack", ["lstm, every option", "rnn"])
def test_training_goes_on_as_if_nothing_had_happened(stack, optimizer, dtype, tmp_path):
    """Shuffling, dropout of three kinds, optimizer state: bit for bit."""
    whole, parted = model_of(stack, optimizer, dtype), model_of(stack, optimizer, dtype)
    x, y = data_for(whole)
    options = {"batch_size": 7, "validation_split": 0.25, "verbose": 0}
    whole.fit(x, y, epochs=3, **options)
    expected = whole.fit(x, y, epochs=3, **options).history
    parted.fit(x, y, epochs=3, **options)
    parted.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    assert loaded.fit(x, y, epochs=3, **options).history == expected
    assert loaded.flat_parameters.tobytes() == whole.flat_parameters.tobytes()
    assert loaded.rng.bit_generator.state == whole.rng.bit_generator.state
    assert loaded.optimizer.iterations == whole.optimizer.iterations
    for name, array in whole.optimizer.slots().items():
        assert loaded.optimizer.slots()[name].tobytes() == array.tobytes()


def test_a_changed_learning_rate_is_kept(tmp_path):
    model = model_of("lstm", "adam")
    model.optimizer.learning_rate = 0.1 + 0.2
    model.save(tmp_path / "m")
    assert load_model(tmp_path / "m").optimizer.learning_rate == 0.1 + 0.2


def test_stateful_training_goes_on_as_if_nothing_had_happened(tmp_path):
    def make():
        model = Sequential([LSTM(4, stateful=True, input_shape=(6, 2)), Dense(1)], seed=0)
        model.compile("adam", "mse")
        return model

    whole, parted = make(), make()
    x, y = data_for(whole, 8)
    for model in (whole, parted):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    parted.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    for model in (whole, loaded):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert loaded.flat_parameters.tobytes() == whole.flat_parameters.tobytes()


# ---- refusals


def test_an_unbuilt_model_cannot_be_saved(tmp_path):
    for model in (Sequential(), Sequential([LSTM(3), Dense(1)])):
        with pytest.raises(StateError, match="save: the model is not built"):
            model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == []


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing") as caught:
        load_model(tmp_path / "nothing")
    assert isinstance(caught.value, CheckpointError)
    with pytest.raises(CheckpointError, match="is a folder"):
        load_model(tmp_path)
    (tmp_path / "text").write_text("hello, world, I am no model")
    with pytest.raises(CheckpointError, match="is a text, which begins with"):
        load_model(tmp_path / "text")
    with pytest.raises(CheckpointError):
        model_of("lstm").save(tmp_path / "no folder" / "m")


def test_every_cut_and_every_kind_of_wrong_bit_is_refused(tmp_path):
    path = tmp_path / "m"
    model_of("lstm").save(path)
    good = path.read_bytes()
    rng = generator(0)
    for length in [0, 1, 7, 8, 9, *rng.integers(10, len(good) - 1, 25).tolist(), len(good) - 1]:
        path.write_bytes(good[:length])
        with pytest.raises(CheckpointError):
            load_model(path)
    for _ in range(60):
        at, bit = int(rng.integers(len(good))), 1 << int(rng.integers(8))
        path.write_bytes(good[:at] + bytes([good[at] ^ bit]) + good[at + 1 :])
        with pytest.raises(CheckpointError):
            load_model(path)
    path.write_bytes(good)
    load_model(path)


# ---- losses, metrics and optimizers of one's own


class Scaled(losses.Loss):
    name = "scaled"

    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = scale

    def _positions(self, y, p, want_gradient):
        return self.scale * np.square(p - y).mean(axis=-1), (
            2 * self.scale * (p - y) / p.shape[-1] if want_gradient else None
        )


class Bias(metrics.MeanAbsoluteError):
    pass


class Halved(optimizers.SGD):
    def _update(self, p, g, rate, decay, work):
        super()._update(p, g, rate / 2, decay, work)


class Forgetful(optimizers.SGD):
    def __init__(self, learning_rate=0.1, pull=1.0):
        super().__init__(learning_rate)
        self.pull = pull


def test_what_is_ones_own_comes_back_with_its_class(tmp_path):
    model = Sequential([layers.Dense(2, input_shape=(3,))], seed=0)
    model.compile(Halved(0.1), Scaled(3.0), metrics=[Bias()])
    x, y = np.ones((4, 3)), np.zeros((4, 2))
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    with pytest.raises(
        CheckpointError,
        match="class 'Halved' is not known: give it, as load_model.path, custom_objects=",
    ):
        load_model(tmp_path / "m")
    with pytest.raises(CheckpointError, match="expected a class that derives from Optimizer"):
        load_model(tmp_path / "m", custom_objects={"Halved": Scaled})
    again = load_model(
        tmp_path / "m", custom_objects={"Halved": Halved, "Scaled": Scaled, "Bias": Bias}
    )
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert again.train_on_batch(x, y) == model.train_on_batch(x, y)
    np.testing.assert_array_equal(again.flat_parameters, model.flat_parameters)
    plain = load_model(tmp_path / "m", compile=False)
    assert plain.optimizer is None
    assert plain.loss is None
    assert plain._training_run is None
    with pytest.raises(DTypeError, match="compile is 3"):
        load_model(tmp_path / "m", compile=3)


def test_a_configuration_that_forgets_is_refused(tmp_path):
    model = Sequential([layers.Dense(2, input_shape=(3,))], seed=0)
    model.compile(Forgetful(), "mse")
    with pytest.raises(ConfigError, match="Forgetful.get_config lacks the argument 'pull'"):
        model.save(tmp_path / "m")
    assert not (tmp_path / "m").exists()
