"""Runs in which something breaks: what is left of weights, states, metrics and files."""

import itertools
import os
import signal

import numpy as np
import pytest

from gatewise import optimizers
from gatewise.callbacks import Callback, EarlyStopping, LambdaCallback, ModelCheckpoint
from gatewise.errors import CheckpointError, ConfigError, StateError, TrainingWarning
from gatewise.layers import GRU, LSTM, Dense, Dropout, Input
from gatewise.models import Sequential, load_model


def model_of(optimizer="adam", stateful=False, sequences=False):
    model = Sequential(
        [
            Input((None, 2)),
            GRU(4, stateful=stateful, return_sequences=sequences),
            Dropout(0.2),
            Dense(1),
        ],
        seed=0,
    )
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


@pytest.fixture
def data(rng):
    return rng.normal(size=(40, 10, 2)), rng.normal(size=(40, 1))


class Poison(Callback):
    """Weights become NaN after a batch of an epoch."""

    def __init__(self, epoch, batch):
        self.at, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.model._flat_parameters[0] = np.nan
            self.model._weights_changed()


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(a.get_weights(), b.get_weights()))


# ---- NaN


def test_weights_that_the_last_step_breaks_do_not_stay(data):
    model = model_of(optimizers.SGD(1e38))
    before = model.get_weights()
    with pytest.warns(
        TrainingWarning,
        match="the weights became NaN or infinite in epoch 1: training stopped at its end",
    ):
        model.fit(data[0], 1e6 * data[1], batch_size=40, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


def test_broken_weights_are_never_the_best(data):
    model = model_of(optimizers.SGD(1e38))
    with pytest.warns(TrainingWarning, match="the weights became"):
        history = model.fit(
            data[0],
            1e6 * data[1],
            batch_size=40,
            epochs=5,
            verbose=0,
            validation_data=data,
            callbacks=EarlyStopping(restore_best_weights=True),
        )
    assert history.epoch == [0]
    assert np.isfinite(model.flat_parameters).all()


@pytest.mark.parametrize("batch", [1, 4])
def test_the_last_good_file_stays_and_goes_on(batch, data, tmp_path):
    whole, model, again = model_of(), model_of(), model_of()
    history = whole.fit(*data, batch_size=8, epochs=4, verbose=0)
    with pytest.warns(TrainingWarning, match="became"):
        model.fit(
            *data,
            batch_size=8,
            epochs=4,
            verbose=0,
            callbacks=[Poison(2, batch), ModelCheckpoint(tmp_path / "m")],
        )
    resumed = again.fit(
        *data,
        batch_size=8,
        epochs=4,
        verbose=0,
        resume_from=tmp_path / "m",
        callbacks=ModelCheckpoint(tmp_path / "again"),
    )
    assert resumed.history == history.history
    assert same(whole, again)


def test_states_go_back_with_the_weights(data):
    model, other = model_of(stateful=True), model_of(stateful=True)
    batches = itertools.cycle([(data[0][a : a + 8], data[1][a : a + 8]) for a in range(0, 40, 8)])
    with pytest.warns(TrainingWarning, match="became"):
        model.fit(batches, steps_per_epoch=5, epochs=4, verbose=0, callbacks=Poison(1, 2))
    batches = itertools.cycle([(data[0][a : a + 8], data[1][a : a + 8]) for a in range(0, 40, 8)])
    other.fit(batches, steps_per_epoch=5, epochs=1, verbose=0)
    assert same(model, other)
    np.testing.assert_array_equal(model.layers[0].state[0], other.layers[0].state[0])


# ---- what fit leaves goes on as if it had not ended

ENDS = {
    "best": lambda: [EarlyStopping("loss", patience=9, min_delta=5.0, restore_best_weights=True)],
    "averaged": lambda: [],
}


@pytest.mark.parametrize("name", ENDS)
def test_a_file_saved_after_fit_goes_on_from_the_weights_of_training(name, data, tmp_path):
    def make():
        return model_of(
            optimizers.Adam(
                0.02, use_ema=name == "averaged", ema_momentum=0.7 if name == "averaged" else 0.99
            )
        )

    whole, first, again = make(), make(), make()
    history = whole.fit(*data, batch_size=8, epochs=4, verbose=0, callbacks=ENDS[name]())
    first.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=ENDS[name]())
    first.save(tmp_path / "m")
    assert same(load_model(tmp_path / "m"), first)
    resumed = again.fit(
        *data, batch_size=8, epochs=4, verbose=0, callbacks=ENDS[name](), resume_from=tmp_path / "m"
    )
    assert resumed.history == history.history
    assert same(whole, again)


def test_weights_of_a_run_are_not_believed(data, tmp_path):
    from gatewise import checkpoint

    model = model_of(optimizers.Adam(use_ema=True))
    model.fit(*data, verbose=0)
    model.save(tmp_path / "m")
    for bad in (
        np.zeros(3, np.float32),
        np.zeros(model.count_params()),
        np.full(model.count_params(), np.nan, np.float32),
    ):
        tensors, header = checkpoint.read(tmp_path / "m")
        tensors["run/weights"] = bad
        checkpoint.write(tmp_path / "bad", tensors, header)
        before = model.get_weights()
        with pytest.raises(CheckpointError, match="the run's weights"):
            model.fit(*data, epochs=2, verbose=0, resume_from=tmp_path / "bad")
        assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))


# ---- interrupts


def test_interrupted_in_the_middle_of_a_step(data, tmp_path, monkeypatch):
    """What stands between two batches cannot go on to the bit, and no file says so."""
    model = model_of()
    step = model.optimizer.step

    def interrupted_step(*arguments):
        step(*arguments)
        if model.optimizer.iterations == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(model.optimizer, "step", interrupted_step)
    with pytest.warns(
        TrainingWarning, match="epoch 2 after 1 of its batches, in the middle of the next"
    ):
        model.fit(*data, batch_size=8, epochs=4, verbose=0)
    model.save(tmp_path / "m")
    with pytest.raises(CheckpointError, match="no run to continue: .*in the middle of a batch"):
        model_of().fit(*data, batch_size=8, epochs=4, verbose=0, resume_from=tmp_path / "m")


def test_ctrl_c_in_validation_does_not_wait_for_its_end(data, tmp_path, capsys):
    seen = []

    def ask(batch, logs):
        seen.append(batch)
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)

    whole, model, again = model_of(), model_of(), model_of()
    options = {
        "batch_size": 8,
        "epochs": 3,
        "verbose": 0,
        "validation_data": data,
        "validation_batch_size": 4,
    }
    history = whole.fit(*data, **options)
    with pytest.warns(TrainingWarning, match="interrupted in epoch 1 after 5 of its batches: "):
        model.fit(*data, **options, callbacks=LambdaCallback(on_test_batch_begin=ask))
    assert seen == [0, 1]
    assert "interrupt again to stop at once" in capsys.readouterr().out
    model.save(tmp_path / "m")
    assert again.fit(*data, **options, resume_from=tmp_path / "m").history == history.history
    assert same(whole, again)


# ---- callbacks that use the model


def test_fit_within_fit(data):
    model = model_of()
    with pytest.raises(StateError, match="is in fit already"):
        model.fit(
            *data,
            epochs=2,
            verbose=0,
            callbacks=LambdaCallback(on_epoch_end=lambda epoch, logs: model.fit(*data)),
        )
    assert model.fit(*data, verbose=0).epoch == [0]  # and is free again


def test_a_callback_that_fails_at_the_beginning(data):
    def fail(logs):
        raise ZeroDivisionError

    model = model_of()
    with pytest.raises(ZeroDivisionError):
        model.fit(*data, verbose=0, callbacks=LambdaCallback(on_train_begin=fail))
    assert model.fit(*data, verbose=0).epoch == [0]


def test_one_batch_in_a_callback_leaves_the_epoch_alone(data):
    histories = []
    for look in (None, lambda batch, logs: model.test_on_batch(data[0][:4], data[1][:4])):
        model = model_of()
        histories.append(
            model.fit(
                *data, epochs=2, verbose=0, callbacks=LambdaCallback(on_train_batch_end=look)
            ).history
        )
    assert histories[0] == histories[1]


# ---- means


def test_the_loss_of_an_epoch_is_the_mean_over_steps(rng):
    """However the steps are spread over batches: some ragged, some not, some cut short."""
    model = Sequential([Input((None, 2)), LSTM(3, return_sequences=True), Dense(1)], seed=0)
    model.compile(optimizers.SGD(0.0), "mse", metrics=["mse"])
    lengths = [10, 9, 10, 10, 3]
    x, y = (
        [rng.normal(size=(n, 2)) for n in lengths],
        [50.0 * k * np.ones((n, 1)) for k, n in enumerate(lengths)],
    )
    expected = model.evaluate(x, y, batch_size=5, verbose=0)
    items = [
        (x[:2], y[:2]),
        (np.stack(x[2:4]), np.stack(y[2:4])),
        (np.stack(x[4:]), np.stack(y[4:])),
    ]
    assert model.evaluate(iter(items), verbose=0) == pytest.approx(expected, rel=1e-6)
    assert expected[0] == pytest.approx(expected[1], rel=1e-6)
    logs = model.fit(x, y, tbptt_steps=4, batch_size=5, verbose=0).history
    assert logs["loss"][0] == pytest.approx(logs["mse"][0], rel=1e-6)


# ---- data


def test_objects_that_hold_rows(data, tmp_path):
    rows = np.empty(40, object)
    rows[:] = list(data[0])
    one, other = model_of(), model_of()
    one.fit(rows, data[1], verbose=0)
    other.fit(*data, verbose=0)
    assert same(one, other)


def test_ragged_targets_beside_arrays(rng, tmp_path):
    x, lengths = rng.normal(size=(3, 8, 2)), [4, 2, 6]
    y = [rng.normal(size=(n, 1)) for n in lengths]
    one, other = model_of(sequences=True), model_of(sequences=True)
    one.fit(x, y, lengths=lengths, verbose=0, bucketing=False)
    other.fit(
        x,
        np.stack([np.pad(row, [(0, 8 - len(row)), (0, 0)]) for row in y]),
        lengths=lengths,
        verbose=0,
        bucketing=False,
    )
    assert same(one, other)
    np.save(tmp_path / "x.npy", x)
    labels = [[1, 2], [1], []]
    models = []
    for source, targets in ((x, labels), (np.load(tmp_path / "x.npy", mmap_mode="r"), labels)):
        model = Sequential([Input((None, 2)), LSTM(3, return_sequences=True), Dense(3)], seed=0)
        model.compile("adam", "ctc")
        model.fit(source, targets, verbose=0)
        models.append(model)
    assert same(*models)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"validation_steps": 3}, "validation_steps counts batches"),
        ({"validation_batch_size": 0}, "validation_batch_size is 0"),
        ({"initial_epoch": 1, "resume_from": "x"}, "initial_epoch and resume_from"),
    ],
)
def test_options_that_belong_to_nothing(options, words, data):
    with pytest.raises(ConfigError, match=words):
        model_of().fit(*data, **options)
