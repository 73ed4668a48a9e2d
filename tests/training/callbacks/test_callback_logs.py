"""What callbacks receive at each moment, beside Keras, and how they end what goes on."""

import itertools

import numpy as np
import pytest

from gatewise.callbacks import Callback, LambdaCallback
from gatewise.layers import Dense, Input
from gatewise.models import Sequential

PROGRAM = '''
import importlib

import numpy as np


def moments(package):
    """[(moment, number, sorted names of the logs, loss, shape of the outputs)] of three calls.

    The calls are fit, evaluate and predict.
    """
    layers, models, callbacks = (
        importlib.import_module(f"{package}.{name}") for name in ("layers", "models", "callbacks")
    )
    seen = []

    class Watch(callbacks.Callback):
        pass

    def watched(name):
        def add(number, logs):
            loss = float(logs["loss"]) if "loss" in logs else None
            shape = list(np.shape(logs["outputs"])) if "outputs" in logs else None
            seen.append([name, number, sorted(logs), loss, shape])

        def numbered(self, number, logs=None):
            add(number, logs or {})

        def plain(self, logs=None):
            add(None, logs or {})

        return numbered if "batch" in name or "epoch" in name else plain

    calls = ("train", "epoch", "train_batch", "test", "test_batch", "predict", "predict_batch")
    names = [f"on_{what}_{when}" for what in calls for when in ("begin", "end")]
    for name in names:
        setattr(Watch, name, watched(name))
    x = np.arange(12, dtype="float32").reshape(6, 2) / 12
    y = np.arange(6, dtype="float32").reshape(6, 1) / 6
    model = models.Sequential([layers.Input((2,)), layers.Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse", metrics=["mae"])
    options = {"validation_data": (x[:3], y[:3]), "callbacks": [Watch()]}
    model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0, **options)
    model.evaluate(x, y, batch_size=4, verbose=0, callbacks=[Watch()])
    model.predict(x, batch_size=4, verbose=0, callbacks=[Watch()])
    return seen
'''


def moments_of(program, package):
    space = {}
    exec(program, space)
    return space["moments"](package)


@pytest.mark.long
def test_every_moment_has_the_logs_that_keras_gives_it(keras_rival):
    ours, theirs = moments_of(PROGRAM, "gatewise"), keras_rival.run(moments_of, PROGRAM, "keras")
    assert [(name, number, logs, shape) for name, number, logs, _, shape in ours] == [
        (name, number, logs, shape) for name, number, logs, _, shape in theirs
    ]
    for (name, *_, loss, _), (*_, other, _) in zip(ours, theirs):
        assert (loss is None) == (other is None)
        assert loss is None or loss == pytest.approx(other, rel=1e-4), name


def model_of():
    model = Sequential([Input((2,)), Dense(1)], seed=0)
    model.compile("sgd", "mse", metrics=["mae"])
    return model


X, Y = np.arange(12.0).reshape(6, 2), np.arange(6.0)


def endless(with_y=True):
    return ((X, Y) if with_y else X for _ in itertools.count())


def test_the_end_receives_the_last_logs():
    seen, ends = [], []
    watch = LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(dict(logs)),
        on_train_end=lambda logs: ends.append(dict(logs)),
    )
    model_of().fit(X, Y, epochs=3, verbose=0, validation_split=0.5, callbacks=watch)
    assert ends == seen[-1:]
    assert set(ends[0]) == {"loss", "mae", "val_loss", "val_mae"}
    model_of().fit(X, Y, epochs=1, initial_epoch=1, verbose=0, callbacks=watch)
    assert ends[1:] == [{}]


def test_an_evaluation_without_end_is_stopped():
    model, seen = model_of(), []

    def stop(batch, logs):
        seen.append(dict(logs))
        model.stop_evaluating = batch == 3

    got = model.evaluate(
        endless(), verbose=0, return_dict=True, callbacks=LambdaCallback(on_test_batch_end=stop)
    )
    assert len(seen) == 4
    assert got == seen[-1]
    # the next one is not stopped
    assert len(seen) == 4 and model.evaluate(X, Y, batch_size=2, verbose=0)
    assert not model.stop_evaluating


def test_a_prediction_without_end_is_stopped():
    model, outputs = model_of(), []

    def stop(batch, logs):
        outputs.append(logs["outputs"])
        model.stop_predicting = batch == 2

    got = model.predict(
        endless(False), verbose=0, callbacks=LambdaCallback(on_predict_batch_end=stop)
    )
    assert np.array_equal(got, np.concatenate(outputs))
    assert got.shape == (18, 1)
    assert model.predict(X, batch_size=2, verbose=0).shape == (6, 1)


def test_validation_is_stopped_and_training_goes_on():
    model, batches = model_of(), []

    class Stop(Callback):
        def on_test_batch_end(self, batch, logs=None):
            batches.append(batch)
            self.model.stop_evaluating = True

    history = model.fit(
        X, Y, epochs=3, verbose=0, validation_data=(X, Y), validation_batch_size=2, callbacks=Stop()
    )
    assert batches == [0, 0, 0]
    assert len(history.history["val_loss"]) == 3


def test_training_that_is_stopped_in_the_middle_ends_its_epoch():
    model, seen = model_of(), []

    def stop(batch, logs):
        seen.append(batch)
        model.stop_training = len(seen) == 4

    watch = LambdaCallback(on_train_batch_end=stop)
    history = model.fit(
        X, Y, batch_size=2, epochs=9, verbose=0, validation_data=(X, Y), callbacks=watch
    )
    assert seen == [0, 1, 2, 0]
    assert history.epoch == [0, 1]
    assert len(history.history["val_loss"]) == 2


def test_params_of_an_evaluation():
    watch = Callback()
    model = model_of()
    model.evaluate(X, Y, batch_size=4, verbose=0, callbacks=watch)
    assert watch.params == {"epochs": 1, "steps": 2, "verbose": 0}
    model.fit(
        X,
        Y,
        verbose=0,
        callbacks=[
            watch,
            LambdaCallback(
                on_epoch_end=lambda epoch, logs: model.predict(X, verbose=0, callbacks=watch)
            ),
        ],
    )
    assert watch.params["steps"] == 1 and "initial_epoch" in watch.params
