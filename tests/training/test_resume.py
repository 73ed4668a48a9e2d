"""Training that goes on from a file is training that never stopped, to the bit."""

import numpy as np
import pytest
from seeds import generator

from gatewise import optimizers, schedules
from gatewise.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    SwapEMAWeights,
)
from gatewise.errors import CheckpointError, ConfigError
from gatewise.layers import GRU, LSTM, Dense, Dropout, Input, SimpleRNN
from gatewise.models import Sequential, load_model

EPOCHS = 4


class SaveAt(Callback):
    """Save after one batch of one epoch, or with batch None at the epoch's end."""

    runs_last = True

    def __init__(self, path, epoch, batch):
        self.path, self.at, self.epoch = path, (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            self.model.save(self.path)

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            self.model.save(self.path)


def model_of(
    optimizer="adam", metrics=("mae",), stateful=False, seed=0, sequences=False, **options
):
    stack = [
        Input((None, 2)),
        LSTM(
            5,
            return_sequences=True,
            dropout=0.2,
            recurrent_dropout=0.2,
            stateful=stateful,
            **options,
        ),
        Dropout(0.3),
        GRU(4, return_sequences=sequences, stateful=stateful),
        Dense(1),
    ]
    model = Sequential(stack, seed=seed)
    model.compile(
        optimizers.get(optimizer) if isinstance(optimizer, str) else optimizer(),
        "mse",
        metrics=list(metrics),
    )
    return model


def data_for(rng, sequences=False, rows=20, steps=9):
    x = rng.normal(size=(rows, steps, 2))
    return x, rng.normal(size=(rows, steps, 1) if sequences else (rows, 1))


def compare(tmp_path, make_model, fit, at):
    """Train through; train to `at`; train on from there in another model.

    All must agree on every bit.
    """
    path = tmp_path / "run.gatewise"
    whole = make_model(seed=0)
    history = fit(whole, [SaveAt(path, *at)], epochs=EPOCHS)
    assert path.exists()
    again = make_model(seed=99)
    resumed = fit(again, [], epochs=EPOCHS, resume_from=path)
    assert resumed.history == history.history
    assert resumed.epoch == history.epoch
    for a, b in zip(whole.get_weights(), again.get_weights()):
        assert a.tobytes() == b.tobytes()
    assert whole.optimizer.iterations == again.optimizer.iterations
    assert whole.rng.bit_generator.state == again.rng.bit_generator.state
    for name, slot in whole.optimizer.slots().items():
        assert np.array_equal(slot, again.optimizer.slots()[name])
    return whole, again


AT = [(0, None), (2, None), (0, 0), (1, 2), (3, 3)]


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("kind", ["plain", "ordered", "ragged", "validated", "weighted"])
def test_arrays(kind, at, tmp_path, rng):
    x, y = data_for(rng)
    options = {
        "plain": {},
        "ordered": {"shuffle": False},
        "ragged": {"lengths": rng.integers(0, 10, 20)},
        "validated": {"validation_split": 0.2},
        "weighted": {"sample_weight": rng.random(20)},
    }[kind]

    def fit(model, callbacks, **more):
        return model.fit(x, y, batch_size=4, verbose=0, callbacks=callbacks, **options, **more)

    compare(tmp_path, model_of, fit, at)


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("stateful", [False, True])
def test_truncated_back_propagation_and_stateful_layers(stateful, at, tmp_path, rng):
    x, y = data_for(rng, sequences=True, rows=8)

    def fit(model, callbacks, **more):
        return model.fit(
            x,
            y,
            batch_size=8 if stateful else 4,
            tbptt_steps=2,
            verbose=0,
            callbacks=callbacks,
            **more,
        )

    whole, again = compare(
        tmp_path, lambda seed: model_of(stateful=stateful, sequences=True, seed=seed), fit, at
    )
    if stateful:
        assert np.array_equal(whole.layers[0].state[0], again.layers[0].state[0])


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("kind", ["generator", "iterable", "indexed"])
def test_batches_that_x_makes(kind, at, tmp_path, rng):
    x, y = data_for(rng)
    items = [(x[a : a + 4], y[a : a + 4]) for a in range(0, 20, 4)]

    class Indexed:
        def __len__(self):
            return len(items)

        def __getitem__(self, number):
            return items[number]

    class Iterable:
        def __iter__(self):
            return iter(items)

    def endless():
        draws = generator(3)  # what comes next depends on how much came before
        while True:
            rows = draws.integers(0, 20, 4)
            yield x[rows], y[rows]

    def fit(model, callbacks, **more):
        source = {"generator": endless, "iterable": Iterable, "indexed": Indexed}[kind]()
        return model.fit(source, steps_per_epoch=5, verbose=0, callbacks=callbacks, **more)

    compare(tmp_path, model_of, fit, at)


def test_a_mapped_file(tmp_path, rng):
    x, y = data_for(rng)
    np.save(tmp_path / "x.npy", x)

    def fit(model, callbacks, **more):
        return model.fit(
            np.load(tmp_path / "x.npy", mmap_mode="r"),
            y,
            batch_size=4,
            verbose=0,
            callbacks=callbacks,
            **more,
        )

    compare(tmp_path, model_of, fit, (1, 2))


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipnorm=1.0),
    "rmsprop": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True, global_clipnorm=1.0),
    "adamw": lambda: optimizers.AdamW(
        schedules.CosineDecay(0.01, 20, warmup_target=0.05, warmup_steps=5)
    ),
    "adagrad": lambda: optimizers.Adagrad(0.1, weight_decay=0.01),
    "nadam": lambda: optimizers.Nadam(0.01),
    "lion": lambda: optimizers.Lion(0.001, clipvalue=0.5),
    "average": lambda: optimizers.Adam(
        0.01, use_ema=True, ema_momentum=0.9, ema_overwrite_frequency=7
    ),
    "accumulated": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3),
    "one cycle": lambda: optimizers.SGD(schedules.OneCycle(0.1, 20)),
}


@pytest.mark.parametrize("at", [(1, None), (2, 3)], ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_and_schedules(name, at, tmp_path, rng):
    x, y = data_for(rng)

    def fit(model, callbacks, **more):
        return model.fit(x, y, batch_size=4, verbose=0, callbacks=callbacks, **more)

    compare(tmp_path, lambda seed: model_of(OPTIMIZERS[name], seed=seed), fit, at)


CALLBACKS = {
    "best weights": lambda folder: [
        EarlyStopping("val_loss", patience=1, restore_best_weights=True, start_from_epoch=2)
    ],
    "plateau": lambda folder: [
        ReduceLROnPlateau("val_loss", factor=0.5, patience=0, min_delta=0.05)
    ],
    "rate by epoch": lambda folder: [LearningRateScheduler(lambda epoch, rate: 0.7 * rate)],
    "averages": lambda folder: [SwapEMAWeights(swap_on_epoch=True)],
    "table": lambda folder: [CSVLogger(folder / "log.csv")],
    "all": lambda folder: [
        EarlyStopping("val_loss", patience=3),
        LearningRateScheduler(lambda epoch, rate: 0.7 * rate),
        SwapEMAWeights(),
        CSVLogger(folder / "log.csv"),
        ModelCheckpoint(folder / "best", save_best_only=True),
    ],
}


@pytest.mark.parametrize("at", AT, ids=str)
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_go_on_counting(name, at, tmp_path, rng):
    x, y = data_for(rng)

    def fit(model, callbacks, **more):
        if (log := tmp_path / "log.csv").exists() and "resume_from" in more:
            fit.whole_log = log.read_text()
        history = model.fit(
            x,
            y,
            batch_size=4,
            verbose=0,
            validation_split=0.2,
            callbacks=[*callbacks, *CALLBACKS[name](tmp_path)],
            **more,
        )
        if log.exists() and "resume_from" in more:
            assert log.read_text() == fit.whole_log
        return history

    compare(
        tmp_path,
        lambda seed: model_of(
            lambda: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8), seed=seed
        ),
        fit,
        at,
    )


def test_the_file_of_a_run_that_was_resumed_goes_on_too(tmp_path, rng):
    x, y = data_for(rng)
    paths = [tmp_path / f"{number}" for number in range(3)]
    whole = model_of()
    history = whole.fit(
        x, y, batch_size=4, epochs=EPOCHS, verbose=0, callbacks=[SaveAt(paths[0], 0, 3)]
    )
    for number, at in enumerate([(1, 1), (2, None)]):
        model = model_of(seed=5)
        model.fit(
            x,
            y,
            batch_size=4,
            epochs=EPOCHS,
            verbose=0,
            callbacks=[SaveAt(paths[number + 1], *at)],
            resume_from=paths[number],
        )
    last = model_of(seed=6)
    resumed = last.fit(x, y, batch_size=4, epochs=EPOCHS, verbose=0, resume_from=paths[2])
    assert resumed.history == history.history
    assert all(a.tobytes() == b.tobytes() for a, b in zip(whole.get_weights(), last.get_weights()))


def test_more_epochs_than_were_planned(tmp_path, rng):
    """A finished run goes on where it ended, with what the callbacks had counted."""
    x, y = data_for(rng)
    whole, first = model_of(), model_of()
    history = whole.fit(x, y, batch_size=4, epochs=5, verbose=0)
    first.fit(x, y, batch_size=4, epochs=2, verbose=0)
    first.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    resumed = loaded.fit(x, y, batch_size=4, epochs=5, verbose=0, resume_from=tmp_path / "m")
    assert resumed.history == history.history
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), loaded.get_weights()))
    assert loaded.fit(
        x, y, batch_size=4, epochs=5, verbose=0, resume_from=tmp_path / "m"
    ).epoch == [0, 1, 2, 3, 4]


def test_an_interrupted_run_goes_on_from_what_is_saved_then(tmp_path, rng):
    x, y = data_for(rng)

    def interrupt(batch, logs):
        if model.optimizer.iterations == 7:
            raise KeyboardInterrupt

    whole = model_of()
    history = whole.fit(x, y, batch_size=4, epochs=EPOCHS, verbose=0)
    model = model_of()
    with pytest.warns(match="interrupted in epoch 2 after 2 of its batches"):
        model.fit(
            x,
            y,
            batch_size=4,
            epochs=EPOCHS,
            verbose=0,
            callbacks=LambdaCallback(on_train_batch_end=interrupt),
        )
    model.save(tmp_path / "m")
    again = model_of(seed=3)
    assert (
        again.fit(x, y, batch_size=4, epochs=EPOCHS, verbose=0, resume_from=tmp_path / "m").history
        == history.history
    )
    assert all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), again.get_weights()))


def test_ctrl_c_lets_the_batch_end(rng):
    import os
    import signal

    x, y = data_for(rng)
    model, seen = model_of(), []

    def ask(batch, logs):
        if batch == 1:
            os.kill(os.getpid(), signal.SIGINT)
        seen.append(("begin", batch))

    with pytest.warns(match="interrupted in epoch 1 after 2 of its batches"):
        history = model.fit(
            x,
            y,
            batch_size=4,
            epochs=3,
            verbose=0,
            callbacks=LambdaCallback(
                on_train_batch_begin=ask,
                on_train_batch_end=lambda batch, logs: seen.append(("end", batch)),
            ),
        )
    assert seen == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]
    assert history.epoch == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(rng):
    import os
    import signal

    x, y = data_for(rng)
    model, ended = model_of(), []

    def ask(batch, logs):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(match="interrupted in epoch 1 after 0 of its batches"):
        model.fit(
            x,
            y,
            batch_size=4,
            epochs=3,
            verbose=0,
            callbacks=LambdaCallback(
                on_train_batch_begin=ask, on_train_batch_end=lambda batch, logs: ended.append(batch)
            ),
        )
    assert ended == []


# ---- what is refused


@pytest.fixture
def saved(tmp_path, rng):
    x, y = data_for(rng)
    path = tmp_path / "run"
    model_of().fit(
        x,
        y,
        batch_size=4,
        epochs=3,
        verbose=0,
        callbacks=[EarlyStopping("loss", patience=9), SaveAt(path, 1, None)],
    )
    return path, x, y


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: o.update(batch_size=5), "batch_size 4, this one has 5"),
        (lambda o: o.update(shuffle=False), "had shuffle True"),
        (lambda o: o.update(x=o["x"][:8], y=o["y"][:8]), "samples 20, this one has 8"),
    ],
)
def test_another_run(change, words, saved):
    path, x, y = saved
    options = {"x": x, "y": y, "batch_size": 4, "callbacks": [EarlyStopping("loss", patience=9)]}
    change(options)
    model = model_of(seed=4)
    before, rng = model.get_weights(), model.rng.bit_generator.state
    with pytest.raises(ConfigError, match=words):
        model.fit(epochs=3, verbose=0, resume_from=path, **options)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert model.rng.bit_generator.state == rng


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: model_of(lambda: optimizers.Adam(beta_1=0.8)), "beta_1"),
        (lambda: model_of("sgd"), "Adam"),
        (lambda: model_of(metrics=()), "metrics"),
        (lambda: Sequential([Input((None, 2)), SimpleRNN(5), Dense(1)]), "layers"),
        (lambda: model_of(clip=3.0), "clip was not given, here it is 3.0"),
        (lambda: model_of(zoneout=0.1), "zoneout"),
    ],
)
def test_another_model(make, words, saved):
    path, x, y = saved
    model = make()
    if model.loss is None:
        model.compile("adam", "mse", metrics=["mae"])
    with pytest.raises(ConfigError, match=f"holds another model than this one: .*{words}"):
        model.fit(x, y, batch_size=4, epochs=3, verbose=0, resume_from=path)


def test_files_that_hold_no_run(tmp_path, rng):
    x, y = data_for(rng)
    model = model_of()
    model.fit(x, y, epochs=1, verbose=0)
    fresh = model_of()
    fresh.save(tmp_path / "fresh")
    with pytest.raises(CheckpointError, match="no run to continue"):
        model.fit(x, y, resume_from=tmp_path / "fresh")
    with pytest.raises(FileNotFoundError):
        model.fit(x, y, resume_from=tmp_path / "nothing")
    (tmp_path / "noise").write_bytes(b"noise" * 100)
    with pytest.raises(CheckpointError):
        model.fit(x, y, resume_from=tmp_path / "noise")


# ---- weights alone


def test_weights_alone(tmp_path, rng):
    one, other = model_of(seed=1), model_of(seed=2)
    one.save_weights(tmp_path / "w")
    other.load_weights(tmp_path / "w")
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights()))
    third = model_of(seed=3)
    one.save(tmp_path / "m")
    third.load_weights(tmp_path / "m")
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), third.get_weights()))
    with pytest.raises(CheckpointError, match="another model"):
        Sequential([Input((None, 2)), LSTM(5), Dense(1)]).load_weights(tmp_path / "w")
