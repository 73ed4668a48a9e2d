"""What a user coming from Keras, or one in a hurry, trips over.

Each is refused with words, or works.
"""

import gc
import os
import threading

import numpy as np
import pytest

import gatewise
from gatewise import checkpoint, layers, losses, metrics, testing, utils
from gatewise.callbacks import Callback, EarlyStopping
from gatewise.data import windows
from gatewise.errors import (
    ArgumentError,
    CheckpointError,
    ConfigError,
    DTypeError,
    GatewiseError,
    NonFiniteError,
    ShapeError,
    SizeError,
    StateError,
    TrainingWarning,
)
from gatewise.layers import GRU, LSTM, Dense, Flatten, Input
from gatewise.models import Sequential, load_model
from gatewise.optimizers import Adam

HUGE = np.broadcast_to(np.float32(1), (2**31, 64, 3))  # one number, and the shape of 1.5 TiB


def small_model(**options):
    model = Sequential([Input((5, 3)), LSTM(4), Dense(1)], seed=0)
    model.compile("adam", "mse", **options)
    return model


@pytest.fixture
def xy(rng):
    return rng.normal(size=(40, 5, 3)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")


# ---- threads


def train_in_threads(train, arguments):
    """What each thread met; a crash would end the process."""
    met = []

    def work(argument):
        for _ in range(60):
            try:
                train(argument)
            except Exception as error:
                met.append(error)

    workers = [threading.Thread(target=work, args=(argument,)) for argument in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    return met


def test_threads_that_train_one_layer_are_refused_and_nothing_crashes():
    layer = LSTM(32, return_sequences=True)
    xs = [np.ones(shape, np.float32) for shape in ((64, 50, 8), (2, 10, 8), (100, 30, 8))]
    layer.forward(xs[0])

    def train(x):
        layer.forward(x, training=True)
        layer.backward(np.ones((*x.shape[:2], 32), np.float32))

    met = train_in_threads(train, xs)
    assert all(isinstance(error, GatewiseError) for error in met), met[:3]


def test_threads_that_train_one_model_are_refused_and_nothing_crashes(rng):
    model = Sequential([Input((None, 8)), LSTM(32), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    batches = [
        (np.ones((rows, 30, 8), np.float32), np.ones((rows, 1), np.float32))
        for rows in (64, 2, 100)
    ]
    met = train_in_threads(lambda batch: model.train_on_batch(*batch), batches)
    assert met and all(
        isinstance(error, StateError) and "two threads train model" in str(error) for error in met
    )


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity") or not os.path.isdir("/proc/self/task"),
    reason="Linux only",
)
def test_threads_may_still_run_where_they_could_before(rng):
    """A thread that is moved from a shared processor is not bound to the other."""
    allowed = os.sched_getaffinity(0)
    layer = LSTM(64, return_sequences=True, seed=0)
    for _ in range(5):
        layer.forward(rng.normal(size=(32, 40, 16)).astype("float32"))
    assert {
        frozenset(os.sched_getaffinity(int(task))) for task in os.listdir("/proc/self/task")
    } == {frozenset(allowed)}


# ---- metrics and losses alone


def test_metrics_broadcast_nothing(rng):
    y = rng.normal(size=(40, 1))
    assert metrics.MeanAbsoluteError()(y, y[:, 0]) == metrics.MeanSquaredError()(y[:, 0], y) == 0
    assert metrics.SparseCategoricalAccuracy()([[0], [1]], [[0.9, 0.1], [0.8, 0.2]]) == 0.5


@pytest.mark.parametrize(
    "metric",
    [
        metrics.MeanAbsoluteError,
        metrics.MeanSquaredError,
        metrics.Accuracy,
        metrics.BinaryAccuracy,
        metrics.CategoricalAccuracy,
        metrics.SparseCategoricalAccuracy,
    ],
)
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error"),
    [
        ("a", "b", DTypeError),
        (5, 5, ShapeError),
        ([[1, 2]], [[1, 2, 3]], ShapeError),
        (np.ones(3), np.ones((4, 2)), ShapeError),
    ],
    ids=str,
)
def test_metrics_refuse_what_does_not_fit(metric, y_true, y_pred, error):
    with pytest.raises(error, match="y_"):
        metric()(y_true, y_pred)


@pytest.mark.parametrize("loss", [losses.MeanSquaredError, losses.SparseCategoricalCrossentropy])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "error"), [("a", "b", DTypeError), (5, 5, ShapeError)], ids=str
)
def test_losses_refuse_what_does_not_fit(loss, y_true, y_pred, error):
    with pytest.raises(error, match="y_pred"):
        loss()(y_true, y_pred)


# ---- sizes, masks


@pytest.mark.parametrize(
    "call",
    [
        lambda: small_model().predict(HUGE),
        lambda: LSTM(2).forward(HUGE),
        lambda: Dense(2, dtype="float64").forward(HUGE),
        lambda: windows(np.broadcast_to(1.0, (2**40,)), 3),
    ],
    ids=["predict", "layer", "converted", "windows"],
)
def test_inputs_that_no_memory_holds(call):
    with pytest.raises(SizeError, match="GiB"):
        call()


@pytest.mark.parametrize(
    "call",
    [lambda x: small_model().predict(x), lambda x: LSTM(2).forward(x), lambda x: windows(x[0], 2)],
    ids=["predict", "layer", "windows"],
)
def test_masked_elements_are_not_dropped_silently(call, xy):
    x = np.ma.masked_array(xy[0], xy[0] == xy[0].max(axis=(1, 2), keepdims=True))
    with pytest.raises(NonFiniteError, match="masked elements"):
        call(x)
    call(np.ma.masked_array(xy[0], np.zeros(xy[0].shape, bool)))


# ---- Keras's arguments


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x, y: LSTM(
            3, unroll=False, implementation=2, use_cudnn="auto", activity_regularizer=None
        ),
        lambda m, x, y: Dense(3, kernel_constraint=None, trainable=True),
        lambda m, x, y: m.compile("adam", "mse", run_eagerly=False, loss_weights=None),
        lambda m, x, y: m.fit(x, y, verbose=0, steps_per_epoch=None, validation_freq=1),
        lambda m, x, y: m.predict(x, steps=None),
        lambda m, x, y: Adam(1e-3, name="adam", amsgrad=False),
        lambda m, x, y: losses.MeanSquaredError(reduction="sum_over_batch_size", name="mse"),
        lambda m, x, y: losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.0),
    ],
)
def test_arguments_that_ask_for_nothing_are_taken(call, xy):
    call(small_model(), *xy)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, x, y: LSTM(3, unit=4), ArgumentError, "LSTM takes no argument 'unit'"),
        (
            lambda m, x, y: GRU(3, activity_regularizer="l2"),
            ConfigError,
            "activity_regularizer='l2' does not exist in gatewise",
        ),
        (
            lambda m, x, y: m.compile("adam", "mse", loss_weights=[1, 2]),
            ConfigError,
            "loss_weights",
        ),
        (
            lambda m, x, y: m.fit(x, y, steps_per_epoch=3),
            ConfigError,
            "steps_per_epoch counts batches",
        ),
        (lambda m, x, y: m.fit(x, y, epoch=3), ArgumentError, "fit takes no argument 'epoch'"),
        (lambda m, x, y: m.predict(x, steps=2), ConfigError, "steps counts batches"),
        (lambda m, x, y: m.save("never.gatewise", overwrite=False), ConfigError, "overwrite=False"),
        (lambda m, x, y: Adam(lr=0.1), ArgumentError, "Adam takes no argument 'lr'"),
        (lambda m, x, y: Adam(loss_scale_factor=2.0), ConfigError, "loss_scale_factor=2.0"),
        (lambda m, x, y: losses.MeanSquaredError(reduction="sum"), ConfigError, "reduction='sum'"),
        (
            lambda m, x, y: losses.MeanSquaredError(label_smoothing=0.1),
            ArgumentError,
            "takes no argument 'label_smoothing'",
        ),
        (lambda m, x, y: m.fit(x, y, callbacks=[EarlyStopping]), ConfigError, "callbacks holds"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_arguments_that_ask_for_what_there_is_not(call, error, words, xy):
    with pytest.raises(error, match=words.replace("(", r"\(")) as caught:
        call(small_model(), *xy)
    assert isinstance(caught.value, ValueError)  # and TypeError too, where the name is not known
    assert error is not ArgumentError or isinstance(caught.value, TypeError)


def test_older_names_of_moments_are_called(xy):
    seen = []
    mine = type(
        "Mine",
        (Callback,),
        {
            "on_batch_begin": lambda self, batch, logs=None: seen.append(batch),
            "on_batch_end": lambda self, batch, logs=None: seen.append(sorted(logs)),
        },
    )
    small_model().fit(*xy, verbose=0, callbacks=[mine()])
    assert seen == [0, ["loss"], 1, ["loss"]]


def test_the_package_reads_like_keras(xy):
    model = gatewise.Sequential(
        [gatewise.Input((5, 3)), gatewise.layers.LSTM(2), gatewise.layers.Dense(1)]
    )
    assert model.predict(xy[0]).shape == (40, 1)


def test_a_random_seed_for_everything_that_has_none(xy):
    def outputs():
        utils.set_random_seed(7)
        models = [Sequential([Input((5, 3)), LSTM(2)]) for _ in range(2)]
        return [model.predict(xy[0]) for model in models]

    (a, b), (again_a, again_b) = outputs(), outputs()
    assert np.array_equal(a, again_a) and np.array_equal(b, again_b) and not np.array_equal(a, b)
    own = Sequential([Input((5, 3)), LSTM(2)], seed=1).predict(xy[0])
    assert np.array_equal(own, Sequential([Input((5, 3)), LSTM(2)], seed=1).predict(xy[0]))
    for wrong in (-1, 2**32, 1.5, "a"):
        with pytest.raises((ConfigError, DTypeError), match="seed is"):
            utils.set_random_seed(wrong)


# ---- objects that belong to one place


def test_an_optimizer_trains_one_model(xy):
    optimizer = Adam()
    first, second = small_model(), small_model()
    first.compile(optimizer, "mse")
    first.compile(optimizer, "mae")
    with pytest.raises(ConfigError, match=r"trains model .*a new Adam"):
        second.compile(optimizer, "mse")
    del first
    gc.collect()
    second.compile(optimizer, "mse")
    assert second.fit(*xy, verbose=0).history["loss"]


def test_layers_of_a_stack_that_failed_are_free():
    last = LSTM(4)
    with pytest.raises(ShapeError, match="return_sequences=True"):
        Sequential([Input((5, 3)), LSTM(4), last])
    assert Sequential([Input((5, 3)), LSTM(4, return_sequences=True), last]).output_shape == (
        None,
        4,
    )


def test_layers_cannot_change_their_shape_behind_the_model(xy):
    model = small_model()
    for layer, name, value in (
        (model.layers[1], "units", 9),
        (model.layers[1], "activation", "tanh"),
        (model.layers[0], "return_sequences", True),
    ):
        with pytest.raises(StateError, match=f"{name} cannot change any more"):
            setattr(layer, name, value)
    model.layers.append(Dense(3))  # a copy of the list
    assert model.predict(xy[0]).shape == (40, 1)


def test_automatic_names_make_way(tmp_path):
    small_model().save(tmp_path / "m")
    model = load_model(tmp_path / "m")
    layer = Dense(2)
    layer.name = model.layers[1].name  # as if made in a fresh process
    model.add(layer)
    assert len({layer.name for layer in model.layers}) == 3


# ---- training


def test_an_interrupted_fit_ends_like_any_other(xy):
    """Ctrl-C ends training, and best weights come back."""
    best = []

    def after(epoch, logs):
        if epoch == 0:
            best.append(model.get_weights())
        if epoch == 2:
            raise KeyboardInterrupt

    model = small_model()
    worse = gatewise.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: logs.update(loss=float(epoch))
    )
    stopping = EarlyStopping("loss", patience=9, restore_best_weights=True)
    with pytest.warns(
        TrainingWarning, match="interrupted after epoch 3: weights and history are kept"
    ):
        history = model.fit(
            *xy,
            epochs=9,
            verbose=0,
            callbacks=[worse, stopping, gatewise.callbacks.LambdaCallback(on_epoch_end=after)],
        )
    assert stopping.best_epoch == 0
    assert history is model.history
    assert history.epoch == [0, 1, 2]
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), best[0]))


def test_a_stateful_model_says_before_training_that_batches_would_cut_its_rows(xy):
    model = Sequential([Input((5, 3)), LSTM(4, stateful=True), Dense(1)], seed=0)
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(
        ShapeError, match="x has 40 rows and the batch size is 32.*leave the batch size out"
    ):
        model.fit(*xy, batch_size=32, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    model.fit(*xy, verbose=0)


def test_first_call_of_a_layer_quotes_the_shape_that_was_given():
    for shape in ((5, 3), (8, 0, 3), (8, 5, 0)):
        with pytest.raises(ShapeError, match=rf"x has shape \({shape[0]}, {shape[1]}"):
            LSTM(2).forward(np.ones(shape, np.float32))


@pytest.mark.parametrize("argument", ["lengths", "resets"])
def test_sequence_arguments_that_nothing_reads(argument, xy):
    model = Sequential([Input((5, 3)), Flatten(), Dense(1)])
    value = np.full(40, 5) if argument == "lengths" else np.zeros((40, 5), bool)
    with pytest.raises(ConfigError, match=f"{argument}.*no recurrent layer"):
        model.predict(xy[0], **{argument: value})


def test_gradients_of_models(rng):
    x, y = rng.normal(size=(3, 5, 3)), np.array([0, 2, 1])
    model = Sequential(
        [
            Input((5, 3), dtype="float64"),
            LSTM(4, kernel_regularizer="l2", dropout=0.3),
            Dense(3, "softmax"),
        ],
        seed=0,
    )
    with pytest.raises(StateError, match="not compiled"):
        testing.check_gradients(model, x, y=y)
    report = testing.check_gradients(
        model, x, y=y, loss="sparse_categorical_crossentropy", lengths=[5, 2, 1]
    )
    assert report.passed and set(report.errors) == {
        f"{layer.name}/{name}" for layer in model.layers for name in layer.parameters
    }
    assert model.loss is None
    with pytest.raises(ConfigError, match="y is missing"):
        testing.check_gradients(model, x)


# ---- checkpoints


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda tensors, header: tensors["optimizer/momentum"].fill(np.nan),
            "optimizer/momentum holds nan",
        ),
        (
            lambda tensors, header: tensors.update(foo=np.ones(3, np.float32)),
            "tensor 'foo' belongs to nothing",
        ),
        (lambda tensors, header: header.pop("training"), "tensor 'optimizer/.*belongs to nothing"),
        (lambda tensors, header: header.pop("rng"), "lacks the entry 'rng'"),
        (lambda tensors, header: header["architecture"].update(layers=[]), "no layers"),
        (lambda tensors, header: header["architecture"].update(layers=None), "no layers"),
    ],
    ids=["nan", "stray", "stray optimizer", "rng", "empty", "none"],
)
def test_files_that_say_less_or_more(change, words, xy, tmp_path):
    model = small_model()
    model.fit(*xy, verbose=0)
    model.save(tmp_path / "m")
    tensors, header = checkpoint.read(tmp_path / "m")
    tensors = {name: array.copy() for name, array in tensors.items()}
    change(tensors, header)
    checkpoint.write(tmp_path / "m", tensors, header)
    with pytest.raises(CheckpointError, match=words):
        load_model(tmp_path / "m")


def test_star_imports_nothing_heavy():
    assert "NotFittedError" not in gatewise.__all__ and gatewise.NotFittedError is not None
    assert all(hasattr(gatewise, name) for name in gatewise.__all__) and layers.LSTM is LSTM


def test_resets_end_where_sequences_end(rng):
    """Resets are of the input's steps.

    A decoder behind a RepeatVector of as many steps has none.
    """
    model = Sequential(
        [Input((4, 2)), LSTM(3), layers.RepeatVector(4), GRU(3, return_sequences=True)], seed=0
    )
    x, resets = rng.normal(size=(2, 4, 2)), np.zeros((2, 4), bool)
    resets[:, 2] = True
    read, _, write = model.layers
    code = read(x.astype("float32"), resets=resets)
    expected = write(np.repeat(code[:, None], 4, axis=1))
    np.testing.assert_array_equal(model.predict(x, resets=resets), expected)
