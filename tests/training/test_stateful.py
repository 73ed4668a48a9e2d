"""Stateful models: which rows go on from which state, and what a running fit leaves alone."""

import threading

import numpy as np
import pytest

from gatewise import load_model
from gatewise.callbacks import Callback, LambdaCallback
from gatewise.errors import ShapeError, StateError, TrainingWarning
from gatewise.layers import GRU, LSTM, Bidirectional, Dense, Dropout, Input
from gatewise.models import Sequential


def model_of(stateful=True, seed=0):
    model = Sequential(
        [
            Input((None, 2)),
            LSTM(4, return_sequences=True, stateful=stateful),
            Dropout(0.2),
            Bidirectional(GRU(3, stateful=stateful)),
            Dense(1),
        ],
        seed=seed,
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, 5, 2)), rng.normal(size=(40, 1))


def same(one, other):
    return np.array_equal(one._flat_weights(), other._flat_weights())


def state_of(model):
    return [array for layer in model.layers if layer._has_state for array in layer.state]


# ---- rows


def test_all_rows_are_one_batch(data):
    x, y = data
    plain, model = model_of(False), model_of()
    assert np.array_equal(model.predict(x), plain.predict(x))
    assert model.layers[0].state[0].shape == (40, 4)
    model.reset_state()
    assert model.evaluate(x, y, verbose=0) == pytest.approx(
        plain.evaluate(x, y, batch_size=40, verbose=0)
    )
    model.reset_state()
    one, whole = model_of(), model_of()
    for each, options in ((one, {}), (whole, {"batch_size": 40, "shuffle": False})):
        each.fit(x, y, epochs=2, verbose=0, **options)
    # rows keep their places, since the next epoch goes on from their states
    assert same(one, whole)
    assert one.optimizer.iterations == 2


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x, y: model.predict(x, batch_size=32),
        lambda model, x, y: model.evaluate(x, y, batch_size=20),
        lambda model, x, y: model.fit(x, y, batch_size=20, shuffle=False),
        lambda model, x, y: model.fit(x, y, validation_data=(x, y), validation_batch_size=32),
        lambda model, x, y: model.fit(x, y, validation_split=0.5, validation_batch_size=4),
    ],
    ids=["predict", "evaluate", "fit", "validation_data", "validation_split"],
)
def test_a_batch_size_that_cuts_rows_is_refused(call, data):
    model = model_of()
    before = model._flat_weights()
    with pytest.raises(
        ShapeError,
        match=(
            "rows and the batch size is .*is stateful.*row 0; leave the batch size out.*a generator"
        ),
    ):
        call(model, *data)
    assert np.array_equal(model._flat_weights(), before)
    assert model.layers[0].state is None


def test_batches_that_go_on_are_passed_as_batches(data):
    x, _ = data
    series = x.reshape(4, 50, 2)  # four series, five steps a batch
    parts = model_of().predict(series[:, at : at + 5] for at in range(0, 50, 5))
    assert parts.shape == (40, 1)
    once = model_of()
    for number in range(10):
        assert np.array_equal(
            once.predict(series[:, 5 * number : 5 * number + 5]), parts[4 * number : 4 * number + 4]
        )


def test_the_order_of_batches_is_kept(data):
    seen = []

    class Batches:
        def __len__(self):
            return 10

        def __getitem__(self, number):
            seen.append(number)
            return data[0][4 * number : 4 * number + 4], data[1][4 * number : 4 * number + 4]

    model_of().fit(Batches(), epochs=2, verbose=0)
    assert seen == [*range(10), *range(10)]


# ---- inside fit


def test_validation_leaves_training_alone(data):
    x, y = data
    alone, beside = model_of(), model_of()
    look = LambdaCallback(
        on_train_batch_end=lambda batch, logs: (
            beside.predict(x[:3]),
            beside.test_on_batch(x[:9], y[:9]),
        ),
        on_epoch_end=lambda epoch, logs: (
            beside.evaluate(x[:2], y[:2], verbose=0),
            beside.predict_on_batch(x[:5]),
            beside(x),
        ),
    )
    history = alone.fit(x, y, epochs=3, verbose=0)
    other = beside.fit(x, y, epochs=3, verbose=0, validation_data=(x[:7], y[:7]), callbacks=look)
    assert same(alone, beside)
    assert history.history["loss"] == other.history["loss"]
    assert all(np.array_equal(a, b) for a, b in zip(state_of(alone), state_of(beside)))


def test_validation_starts_from_no_state(data):
    x, y = data
    model, fresh = model_of(), model_of(False)
    losses = []

    def look(epoch, logs):
        fresh.set_weights(model.get_weights())
        losses.append(fresh.evaluate(x[:7], y[:7], verbose=0)[0])
        assert np.array_equal(model.predict(x[:7]), fresh.predict(x[:7]))

    history = model.fit(
        x,
        y,
        epochs=3,
        verbose=0,
        validation_data=(x[:7], y[:7]),
        callbacks=LambdaCallback(on_epoch_end=look),
    )
    assert history.history["val_loss"] == losses


@pytest.mark.parametrize(
    "moment",
    ["on_train_begin", "on_epoch_begin", "on_train_batch_end", "on_epoch_end", "on_train_end"],
)
def test_what_callbacks_call_leaves_training_alone(moment, data):
    x, y = data
    plain, model = model_of(), model_of()

    def look(*_):
        model.predict(x[:3])
        model.evaluate(x[:2], y[:2], verbose=0)
        model(x[:1])

    plain.fit(x, y, epochs=2, verbose=0)
    model.fit(x, y, epochs=2, verbose=0, callbacks=[LambdaCallback(**{moment: look})])
    assert same(plain, model)
    assert all(map(np.array_equal, state_of(plain), state_of(model)))
    with pytest.raises(ShapeError, match="keeps the state of 40 rows"):
        model.predict(x[:3])


def test_a_validation_that_fails_leaves_the_state(data):
    model = model_of()
    model.fit(*data, verbose=0)
    before = state_of(model)

    class Fails(Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.state = state_of(self.model)
            self.model.evaluate(
                data[0][:3],
                data[1][:3],
                verbose=0,
                callbacks=LambdaCallback(on_test_batch_end=self.fail),
            )

        def fail(self, batch, logs=None):
            raise ZeroDivisionError

    fails = Fails()
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=fails)
    assert all(np.array_equal(a, b) for a, b in zip(state_of(model), fails.state))
    assert not all(np.array_equal(a, b) for a, b in zip(state_of(model), before))


@pytest.mark.parametrize("moment", ["on_test_begin", "on_test_batch_end", "on_test_end"])
def test_a_file_saved_while_validating_holds_the_training_state(moment, data, tmp_path):
    x, y = data
    whole, first, again = model_of(), model_of(), model_of(seed=9)
    history = whole.fit(x, y, epochs=3, verbose=0, validation_data=(x[:7], y[:7]))
    states = []

    def save(*_):
        if first.optimizer.iterations == 2:
            first.save(tmp_path / "m")

    watch = LambdaCallback(
        **{moment: save}, on_epoch_end=lambda epoch, logs: states.append(state_of(first))
    )
    first.fit(x, y, epochs=3, verbose=0, validation_data=(x[:7], y[:7]), callbacks=watch)
    assert all(
        np.array_equal(a, b) for a, b in zip(states[1], state_of(load_model(tmp_path / "m")))
    )
    resumed = again.fit(
        x, y, epochs=3, verbose=0, validation_data=(x[:7], y[:7]), resume_from=tmp_path / "m"
    )
    assert same(whole, again)
    assert resumed.history["val_loss"][-1] == history.history["val_loss"][-1]


@pytest.mark.parametrize("stateful", [True, False])
def test_another_thread_is_refused(stateful, data):
    model, errors = model_of(stateful), []

    def use(batch, logs):
        for call in (
            lambda: model.predict(data[0]),
            lambda: model.fit(*data),
            lambda: model.train_on_batch(*data),
        ):
            try:
                call()
            except StateError as error:
                errors.append(str(error))

    def from_a_thread(batch, logs):
        thread = threading.Thread(target=use, args=(batch, logs))
        thread.start()
        thread.join()

    model.fit(*data, verbose=0, callbacks=LambdaCallback(on_train_batch_end=from_a_thread))
    if stateful:
        assert len(errors) == 3
        assert "is stateful, and two threads use it at once" in errors[0]
        assert all("another thread is in its fit" in error for error in errors[1:])
    else:
        assert len(errors) == 4  # of two batches
        assert all(
            "another thread is in its fit; wait for it, or give each thread a model of its own"
            in error
            for error in errors
        )


def test_two_fits_that_begin_at_once(data):
    """The second one is refused before it has a run of its own."""
    # not built: the first batch is asked for before the run begins
    model, errors = Sequential([LSTM(3), Dense(1)], seed=0), []
    model.compile("sgd", "mse")

    def second():
        try:
            model.fit(*data, verbose=0)
        except StateError as error:
            errors.append(str(error))

    class Slow:
        def __iter__(self):
            thread = threading.Thread(target=second)
            thread.start()
            thread.join()
            return iter([data])

    model.fit(Slow(), verbose=0)
    assert "two threads are in fit of one model at once" in errors[0]


# ---- outside fit


def test_evaluate_and_predict_go_on_from_the_kept_state(data):
    x, y = data
    model, plain = model_of(), model_of()
    model.predict(x[:, :2])
    state = state_of(model)
    loss = model.evaluate(x[:, 2:], y, verbose=0)
    for layer, at in ((plain.layers[0], slice(0, 2)), (plain.layers[2], slice(2, 4))):
        layer.state = state[at]
    assert loss == plain.evaluate(x[:, 2:], y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(state_of(model), state_of(plain)))
    with pytest.raises(ShapeError, match="keeps the state of 40 rows, x has 3; call reset_state"):
        model.predict(x[:3])


def test_a_loaded_model_goes_on_or_starts_anew(data, tmp_path):
    x, y = data
    model = model_of()
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "m")
    one, other, cleared = (load_model(tmp_path / "m") for _ in range(3))
    with pytest.warns(
        TrainingWarning,
        match=r"saved with the states of 40 rows, x has 3: .*call reset_state\(\) after loading",
    ):
        got = other.predict(x[:3])
    cleared.reset_state()
    assert np.array_equal(got, cleared.predict(x[:3]))
    assert np.array_equal(one.predict(x), model.predict(x))
    with pytest.raises(ShapeError, match="keeps the state of 40 rows"):  # of a call, not of a file
        one.predict(x[:3])


def test_a_state_that_was_set_after_loading_is_not_dropped(data, tmp_path):
    model = model_of()
    model.predict(data[0])
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    loaded.layers[0].state = [np.ones((5, 4), np.float32)] * 2
    with (
        pytest.warns(TrainingWarning, match="states of 40 rows"),
        pytest.raises(ShapeError, match="state of 5 rows"),
    ):
        loaded.predict(data[0][:3])
