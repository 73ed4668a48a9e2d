"""layer.trainable and model.trainable.

What is frozen stays to the bit, in every part of training and in files.
"""

import copy
import pickle

import numpy as np
import pytest

from gatewise import checkpoint, optimizers
from gatewise.callbacks import Callback, ModelCheckpoint
from gatewise.cells import FullGateLSTMCell
from gatewise.errors import CheckpointError, ConfigError, DTypeError, StateError, TrainingWarning
from gatewise.layers import (
    GRU,
    LSTM,
    RNN,
    BatchNormalization,
    Bidirectional,
    Conv1D,
    Dense,
    Embedding,
    LayerNormalization,
    TimeDistributed,
)
from gatewise.models import Sequential, load_model
from gatewise.testing import check_gradients

from .small import bits, compiled


def stack(optimizer="adam", **options):
    """Layers of many kinds; the loss has a penalty."""
    return compiled(
        Conv1D(3, 2, padding="same", input_shape=(6, 2)),
        BatchNormalization(),
        LSTM(4, return_sequences=True, kernel_regularizer="l2", recurrent_constraint="non_neg"),
        TimeDistributed(LayerNormalization()),
        Bidirectional(GRU(3)),
        Dense(1, activation="sigmoid"),
        optimizer=optimizer,
        loss="binary_crossentropy",
        **options,
    )


@pytest.fixture
def xy(rng):
    return rng.normal(size=(12, 6, 2)), rng.integers(0, 2, (12, 1)).astype(float)


@pytest.mark.parametrize(
    "optimizer", ["sgd", "rmsprop", "adam", "adamw", "adagrad", "nadam", "lion"]
)
@pytest.mark.parametrize("frozen", [[0], [5], [1, 3], [0, 1, 2, 3, 4], [2, 4]])
def test_frozen_layers_stay_and_the_others_learn(optimizer, frozen, xy):
    optimizer = optimizers.get({"class_name": optimizer, "config": {"weight_decay": 0.1}})
    model = stack(optimizer)
    for number in frozen:
        model.layers[number].trainable = False
    before = [bits(layer.get_weights()) for layer in model.layers]
    model.fit(*xy, batch_size=4, epochs=2, verbose=0)
    assert [before[k] == bits(layer.get_weights()) for k, layer in enumerate(model.layers)] == [
        k in frozen for k in range(6)
    ]
    for number in frozen:
        assert not any(gradient.any() for gradient in model.layers[number].gradients.values())


@pytest.mark.parametrize(
    "layer",
    [
        Dense(2, trainable=False),
        LSTM(2, trainable=False),
        GRU(2, trainable=False),
        Bidirectional(LSTM(2), trainable=False),
        Bidirectional(GRU(2, trainable=False)),
        TimeDistributed(Dense(2), trainable=False),
        RNN(FullGateLSTMCell(2), trainable=False),
        TimeDistributed(Bidirectional(GRU(2)), trainable=False),
        Conv1D(2, 2, trainable=False),
    ],
    ids=lambda layer: f"{type(layer).__name__}",
)
def test_the_constructor_freezes(layer):
    layer.build((None, 5, 2, 3) if isinstance(layer, TimeDistributed) else (None, 5, 3))
    assert layer.trainable is False and layer._trained_names() == [] == layer.trainable_weights
    assert len(layer.non_trainable_weights) == len(layer.weights) > 0
    again = type(layer).from_config(layer.get_config())
    assert again.trainable is False
    x = np.ones((2, 5, 2, 3) if isinstance(layer, TimeDistributed) else (2, 5, 3), np.float32)
    assert layer.backward(np.ones_like(layer.forward(x, training=True))).any()
    assert not any(gradient.any() for gradient in layer.gradients.values())


def test_what_is_trained_learns_as_if_the_rest_were_no_part_of_the_model(xy):
    """Frozen layers in front, against their outputs as inputs.

    The same weights, with every option that looks at all.
    """
    for options in (
        {"global_clipnorm": 0.01},
        {"clipnorm": 0.01},
        {"clipvalue": 1e-3},
        {"use_ema": True, "ema_momentum": 0.8},
        {"gradient_accumulation_steps": 2},
        {"weight_decay": 0.3},
    ):
        whole = compiled(
            LSTM(4, return_sequences=True, input_shape=(6, 2), trainable=False),
            GRU(3),
            Dense(1),
            optimizer=optimizers.Adam(0.01, **options),
        )
        head = compiled(
            GRU(3, input_shape=(6, 4)), Dense(1), optimizer=optimizers.Adam(0.01, **options)
        )
        head.set_weights(whole.get_weights()[3:])
        features = whole.layers[0].forward(xy[0].astype(np.float32), training=True)
        for _ in range(4):
            whole.train_on_batch(*xy)
            head.train_on_batch(features, xy[1])
        whole._end_training()
        head._end_training()
        assert bits(whole.get_weights()[3:]) == bits(head.get_weights()), options


def test_gradients_beside_frozen_layers(rng):
    x, y = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 1))
    model = compiled(
        LSTM(3, return_sequences=True, input_shape=(4, 2), dtype="float64"),
        BatchNormalization(trainable=False),
        GRU(2, kernel_regularizer="l1"),
        Dense(1),
    )
    model.layers[1].set_weights([rng.normal(size=3) for _ in range(3)] + [rng.uniform(0.5, 2, 3)])
    model.layers[3].trainable = False
    report = check_gradients(model, x, y=y)
    assert report.passed and {name.split("/")[0] for name in report.errors} == {
        model.layers[0].name,
        model.layers[2].name,
    }
    assert check_gradients(
        BatchNormalization(trainable=False, dtype="float64"), rng.normal(size=(4, 3))
    ).passed


def test_frozen_batch_normalization_uses_its_averages_in_training(rng):
    x = rng.normal(3, 2, size=(8, 5, 3)).astype(np.float32)
    layer = BatchNormalization()
    layer.forward(x, training=True)
    moved = bits(layer.get_weights())
    layer.trainable = False
    assert layer.forward(x, training=True).tobytes() == layer.forward(x).tobytes()
    assert bits(layer.get_weights()) == moved
    layer.trainable = True
    assert not np.array_equal(layer.forward(x, training=True), layer.forward(x))
    assert bits(layer.get_weights()) != moved


def test_penalties_and_constraints_of_frozen_layers_rest(xy):
    model = stack()
    with_penalty = model.test_on_batch(*xy)
    model.layers[2].set_weights([-np.ones_like(array) for array in model.layers[2].get_weights()])
    assert model.test_on_batch(*xy) != with_penalty
    penalty = model.layers[2].penalty()
    assert penalty > 0
    loss = model.test_on_batch(*xy)
    model.layers[2].trainable = False
    assert model.layers[2].penalty() == 0 and model.test_on_batch(*xy) == pytest.approx(
        loss - penalty
    )
    model.train_on_batch(*xy)
    assert (model.layers[2].get_weights()[1] == -1).all()  # the constraint would have made it 0


def test_moments_are_kept(xy):
    model = stack()
    model.fit(*xy, epochs=2, verbose=0)
    part = slice(0, model.layers[0]._flat_size())
    before = {name: array[part].copy() for name, array in model.optimizer.slots().items()}
    model.layers[0].trainable = False
    model.fit(*xy, epochs=2, verbose=0)
    for name, array in model.optimizer.slots().items():
        assert array[part].tobytes() == before[name].tobytes() and array.any()
    model.layers[0].trainable = True
    model.fit(*xy, verbose=0)
    assert all(
        (array[part] != before[name]).any() for name, array in model.optimizer.slots().items()
    )


def test_a_mean_of_parameters_that_begin_frozen(xy):
    model = stack(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))
    model.layers[0].trainable = False
    frozen = bits(model.layers[0].get_weights())
    model.fit(*xy, epochs=2, verbose=0)
    assert bits(model.layers[0].get_weights()) == frozen
    model.layers[0].trainable = True
    start = model._flat_weights()[: model.layers[0]._flat_size()]
    np.testing.assert_array_equal(model.optimizer.average[: len(start)], start)  # not zeros


def test_gradients_held_back_are_forgotten_with_the_step(xy):
    model = stack(optimizers.SGD(0.1, gradient_accumulation_steps=2))
    model.train_on_batch(*xy)
    model.layers[0].trainable = False
    model.train_on_batch(*xy)
    assert not model.optimizer.slots()["gradients"].any()


class OwnOptimizer(optimizers.Optimizer):
    """Looks at all parameters at once, keeps a number and an array."""

    def _own_slots(self):
        return ("seen",)

    def _number_slots(self):
        return super()._number_slots() | {"norm": 0.0}

    def _update(self, p, g, rate, decay, work):
        self._slots["norm"][()] = np.sqrt(np.square(g).sum())
        self._slots["seen"] = self._slots["seen"] + g
        p -= rate * g / (1 + self._slots["norm"]) + decay * p


def test_an_optimizer_of_a_user_sees_what_is_trained_as_one_vector(xy):
    model = stack(OwnOptimizer(0.1))
    model.layers[1].trainable = model.layers[4].trainable = False
    model.train_on_batch(*xy)
    trained = model._trained()
    assert len(trained.parts) == 3
    gradient = np.concatenate([model.flat_gradients[part] for part in trained.parts])
    slots = model.optimizer.slots()
    assert slots["norm"] == pytest.approx(np.linalg.norm(gradient), rel=1e-6)
    np.testing.assert_array_equal(slots["seen"], model.flat_gradients)


# ---- when it takes effect


def test_it_cannot_change_while_fit_runs(xy):
    class Thaws(Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.layers[0].trainable = False

    model = stack()
    with pytest.raises(StateError, match="while fit runs"):
        model.fit(*xy, callbacks=[Thaws()], verbose=0)
    assert model.layers[0].trainable
    model.layers[4].backward_layer.trainable = False  # after it, inside wrappers too
    before = bits(model.layers[4].backward_layer.get_weights())
    model.train_on_batch(*xy)
    assert bits(model.layers[4].backward_layer.get_weights()) == before


def test_the_model_sets_every_layer_and_a_layer_has_the_last_word(xy):
    model = stack()
    model.trainable = False
    assert not model.trainable and not any(layer.trainable for layer in model.layers)
    for train in (model.fit, model.train_on_batch):
        with pytest.raises(StateError, match="all .* parameters are frozen"):
            train(*xy)
    model.layers[-1].trainable = True
    assert model.trainable
    before = bits(model.get_weights()[:-2])
    model.fit(*xy, verbose=0)
    assert bits(model.get_weights()[:-2]) == before
    model.trainable = True
    assert model._trained().parts is None
    for value in (0, None, "no"):
        with pytest.raises(DTypeError, match="trainable is"):
            model.trainable = value
        with pytest.raises(DTypeError, match="trainable is"):
            model.layers[0].trainable = value
        with pytest.raises(DTypeError, match="trainable is"):
            Dense(2, trainable=value)
    with pytest.raises(StateError, match="no layers to freeze"):
        Sequential().trainable = False


def test_lists_and_counts():
    model = stack()
    everything = len(model.weights)
    # the moving averages
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (everything - 2, 2)
    model.layers[4].forward_layer.trainable = False
    assert (len(model.trainable_variables), len(model.non_trainable_variables)) == (
        everything - 5,
        5,
    )
    assert len(model.variables) == everything
    assert model.count_params() == sum(
        array.size for array in model.trainable_weights + model.non_trainable_weights
    )
    for trainable, arrays in (
        (True, model.trainable_weights),
        (False, model.non_trainable_weights),
    ):
        assert model.count_params(trainable=trainable) == sum(array.size for array in arrays)
    model.trainable_weights[0][...] = 7  # views
    assert (model.layers[0].get_weights()[0] == 7).all()


# ---- files, copies


def partly_frozen():
    return partly_frozen_with("adam")


def partly_frozen_with(optimizer):
    model = stack(optimizer)
    model.layers[0].trainable = model.layers[3].trainable = False
    model.layers[4].backward_layer.trainable = False
    return model


def flags(model):
    """Of every layer, inside wrappers too."""
    return [layer._trained_names() for layer in model.layers]


def test_files_copies_and_pickles_know(xy, tmp_path):
    model = partly_frozen()
    model.fit(*xy, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    for again in (
        load_model(tmp_path / "model"),
        copy.deepcopy(model),
        copy.copy(model),
        pickle.loads(pickle.dumps(model)),
    ):
        assert flags(again) == flags(model) and again._trained().parts == model._trained().parts
        again.fit(*xy, verbose=0)
        assert bits(again.layers[0].get_weights()) == bits(model.layers[0].get_weights())
    again.layers[4].backward_layer.trainable = True  # the model inside a copy is the copy
    assert again._trained().parts != model._trained().parts


def test_configurations_name_it_only_where_it_is_frozen():
    for layer in stack().layers:
        assert "trainable" not in layer.get_config()
    bidirectional = Bidirectional(GRU(2))
    bidirectional.forward_layer.trainable = False
    again = Bidirectional.from_config(bidirectional.get_config())
    assert (again.forward_layer.trainable, again.backward_layer.trainable) == (False, True)


def test_a_run_goes_on_to_the_bit(xy, tmp_path):
    file = tmp_path / "run"

    def run(model=None, saved=tmp_path / "other", **options):
        model = model or partly_frozen()
        model.fit(
            *xy, batch_size=5, verbose=0, callbacks=[ModelCheckpoint(saved, save_freq=4)], **options
        )
        return model

    run(epochs=2, saved=file)
    whole, resumed = run(epochs=4), run(epochs=4, resume_from=file)
    assert bits(whole.get_weights()) == bits(resumed.get_weights())
    for name, slot in whole.optimizer.slots().items():
        assert slot.tobytes() == resumed.optimizer.slots()[name].tobytes()
    other = partly_frozen()
    other.layers[0].trainable = True
    for model in (stack(), other):
        with pytest.raises(ConfigError, match="trainable"):
            run(model, epochs=4, resume_from=file)
    run(stack(), file, epochs=2)
    with pytest.raises(ConfigError, match="trainable was not given"):
        run(epochs=4, resume_from=file)


def test_a_run_is_not_gone_on_with_after_a_change(xy, tmp_path):
    model = stack()
    model.fit(*xy, epochs=2, verbose=0)
    assert model._training_run is not None
    model.layers[0].trainable = True  # as it was
    assert model._training_run is not None
    model.layers[0].trainable = False
    assert model._training_run is None


def test_an_embedding_may_be_frozen(rng):
    model = compiled(Embedding(5, 3, trainable=False), LSTM(2), Dense(1), optimizer="adam")
    words, y = rng.integers(0, 5, (8, 4)), rng.normal(size=(8, 1))
    model.train_on_batch(words, y)
    before = bits(model.layers[0].get_weights())
    model.fit(words, y, verbose=0)
    assert bits(model.layers[0].get_weights()) == before


# ---- what the optimizer has accumulated, in files


@pytest.mark.parametrize(
    "options", [{}, {"use_ema": True}, {"amsgrad": True, "gradient_accumulation_steps": 2}]
)
def test_files_leave_out_what_was_never_trained(options, xy, tmp_path):
    model = partly_frozen_with(optimizers.Adam(0.01, **options))
    model.fit(*xy, batch_size=5, epochs=2, verbose=0)
    model.save(tmp_path / "model")
    tensors, header = checkpoint.read(tmp_path / "model")
    held = sum(stop - start for start, stop in header["optimizer_parts"])
    assert held == sum(array.size for array in model.trainable_weights) < model.flat_parameters.size
    assert {
        array.shape
        for name, array in tensors.items()
        if name.startswith("optimizer/") and array.ndim
    } == {(held,)}
    again = load_model(tmp_path / "model")
    for name, slot in model.optimizer.slots().items():
        assert slot.tobytes() == again.optimizer.slots()[name].tobytes()
    model.trainable = again.trainable = True
    for each in (model, again):
        each.fit(*xy, batch_size=5, verbose=0)
    assert bits(model.get_weights()) == bits(again.get_weights())
    model.layers[0].trainable = False  # its moments are kept, in the file too
    model.save(tmp_path / "model")
    assert "optimizer_parts" not in checkpoint.read(tmp_path / "model")[1]
    for name, slot in load_model(tmp_path / "model").optimizer.slots().items():
        assert slot.tobytes() == model.optimizer.slots()[name].tobytes()


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [[0, 5]],
        [[5, 3]],
        [[0, 3], [2, 9]],
        [[0, 10**9]],
        [[-1, 4]],
        [[0]],
        [[0, 1.5]],
        "all",
        3,
        {"0": 3},
        [[True, 4]],
        [None],
    ],
)
def test_forged_parts_are_refused(parts, xy, tmp_path):
    model = partly_frozen()
    model.train_on_batch(*xy)
    model.save(tmp_path / "model")
    tensors, header = checkpoint.read(tmp_path / "model")
    checkpoint.write(tmp_path / "forged", tensors, header | {"optimizer_parts": parts})
    with pytest.raises(CheckpointError, match="parts"):
        load_model(tmp_path / "forged")
    del header["optimizer_parts"]
    checkpoint.write(tmp_path / "forged", tensors, header)
    with pytest.raises(CheckpointError, match="optimizer state"):
        load_model(tmp_path / "forged")


@pytest.mark.parametrize("compiled_first", [False, True])
def test_a_new_head_on_a_frozen_model(compiled_first, xy):
    model = stack()
    model.fit(*xy, verbose=0)
    model.pop()
    model.trainable = False
    if compiled_first:
        model.compile("adam", "mse")
        model.add(Dense(2, name="head"))
    else:
        model.add(Dense(2, name="head"))
        with pytest.raises(StateError, match="compile it with a new optimizer"):
            model.fit(xy[0], np.ones((12, 2)), verbose=0)
        model.compile("adam", "mse")
    before = bits(model.get_weights()[:-2])
    model.fit(xy[0], np.ones((12, 2)), epochs=2, verbose=0)
    assert bits(model.get_weights()[:-2]) == before and model.layers[-1].get_weights()[1].any()


@pytest.mark.parametrize("begun", [False, True])
def test_a_broken_epoch_leaves_frozen_and_trained_as_before_it(begun, xy):
    model = stack(optimizers.Adam(0.01, gradient_accumulation_steps=2))
    if begun:
        model.fit(*xy, epochs=2, verbose=0)
    model.layers[0].trainable = model.layers[4].trainable = False
    model.fit(*xy, epochs=1, batch_size=4, verbose=0)
    before = bits([*model.get_weights(), *model.optimizer.slots().values()])
    steps, pieces = model.optimizer.iterations, model.optimizer._snapshot(model._trained().parts)
    frozen = sum(model.layers[k]._flat_size() for k in (0, 4))
    assert (
        sum(piece.size for piece in pieces.slots["momentum"]) == model.flat_parameters.size - frozen
    )
    model.optimizer.learning_rate = 1e38
    with pytest.warns(TrainingWarning, match="became"):
        model.fit(*xy, epochs=1, batch_size=4, verbose=0)
    assert bits([*model.get_weights(), *model.optimizer.slots().values()]) == before
    assert model.optimizer.iterations == steps


# ---- Keras


def keras_trains(optimizer, options, weights, frozen, x, y):
    """(losses, weights, how many arrays are trained) of five steps in Keras.

    Sent to another process.
    """
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            layers.Dense(4, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.LSTM(5, return_sequences=True, kernel_regularizer="l2"),
            layers.BatchNormalization(),
            layers.GRU(3),
            layers.Dense(1),
        ]
    )
    model.set_weights(weights)
    for number in frozen:
        model.layers[number].trainable = False
    model.compile(getattr(keras.optimizers, optimizer)(**options), "mse")
    found = [float(model.train_on_batch(x, y)) for _ in range(5)]
    return found, model.get_weights(), len(model.trainable_weights)


@pytest.mark.long
@pytest.mark.parametrize(
    ("optimizer", "options", "frozen"),
    [
        ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.05, "weight_decay": 0.1}, [1, 2]),
        ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1, "use_ema": True}, [0, 1, 4]),
    ],
)
def test_keras_freezes_the_same(optimizer, options, frozen, rng, keras_rival):
    model = Sequential(
        [
            Dense(4, kernel_regularizer="l2", input_shape=(6, 3)),
            BatchNormalization(),
            LSTM(5, return_sequences=True, kernel_regularizer="l2"),
            BatchNormalization(),
            GRU(3),
            Dense(1),
        ]
    )
    model.set_weights([rng.uniform(0.1, 0.9, array.shape) for array in model.get_weights()])
    x, y = rng.normal(size=(16, 6, 3)).astype("f4"), rng.normal(size=(16, 1)).astype("f4")
    theirs, weights, count = keras_rival.run(
        keras_trains, optimizer, options, model.get_weights(), frozen, x, y
    )
    for number in frozen:
        model.layers[number].trainable = False
    model.compile(getattr(optimizers, optimizer)(**options), "mse")
    assert len(model.trainable_weights) == count
    np.testing.assert_allclose([model.train_on_batch(x, y) for _ in range(5)], theirs, rtol=1e-5)
    for ours, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_allclose(ours, other, rtol=1e-4, atol=2e-5)
