"""ModelCheckpoint: when it saves and under which name; beside Keras; full disks."""

import errno
import inspect
import os

import numpy as np
import pytest

from gatewise import layers
from gatewise.callbacks import LambdaCallback, ModelCheckpoint
from gatewise.errors import CheckpointError, ConfigError, DTypeError, TrainingWarning
from gatewise.models import Sequential, load_model
from gatewise.training.callbacks import checkpoints

XY = np.ones((12, 3)), np.ones(12)


@pytest.fixture
def model():
    made = Sequential([layers.Dense(1, input_shape=(3,))], seed=0)
    made.compile("sgd", "mse")
    return made


class FakeModel:
    """Remembers under which names it was saved."""

    def __init__(self):
        self.saved, self.metrics, self.stop_training = [], [], False

    def save(self, path, overwrite=True):
        self.saved.append(path)

    def save_weights(self, path, overwrite=True):
        self.saved.append("weights of " + path)


def saved(callback, values, batches=3):
    """Names under which a callback saves, with a validation loss an epoch."""
    model = FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_end(batch, {"loss": 1.0 / (batch + 1)})
        callback.on_epoch_end(epoch, {"loss": 0.5, "val_loss": value})
    callback.on_train_end()
    return model.saved


def keras_saved(sources, cases):
    import keras

    space = {}
    for source in sources:
        exec(source, space)
    return [
        space["saved"](keras.callbacks.ModelCheckpoint(**options), values)
        for options, values in cases
    ]


def test_beside_keras(rng, keras_rival, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["m.keras", "{epoch:02d}-{val_loss:.2f}.keras"]
    scripts = [
        [3.0, 2.0, 2.5, 1.0],
        [1.0, 2.0, float("nan"), 0.5],
        [float("nan"), 1.0],
        np.round(rng.normal(size=8), 1).tolist(),
    ]
    best = {"save_best_only": True}
    cases = [
        ({"filepath": name} | options, script)
        for name in names
        for script in scripts
        for options in ({}, best, best | {"mode": "max"}, best | {"initial_value_threshold": 1.5})
    ]
    cases += [
        ({"filepath": "{epoch}-{batch}.keras", "save_freq": count}, [1.0] * 4)
        for count in (1, 2, 5)
    ]
    cases += [
        (
            {
                "filepath": "{epoch}-{batch}.keras",
                "save_freq": 2,
                "save_best_only": True,
                "monitor": "loss",
            },
            [1.0] * 3,
        ),
        ({"filepath": "{epoch}.weights.h5", "save_weights_only": True}, [1.0, 2.0]),
    ]
    sources = [inspect.getsource(FakeModel), inspect.getsource(saved)]
    for (options, values), theirs in zip(
        cases, keras_rival.run(keras_saved, sources, cases), strict=True
    ):
        assert saved(ModelCheckpoint(**options), values) == theirs, (options, values)


def test_files_of_a_run(model, tmp_path):
    path = tmp_path / "new" / "folder" / "{epoch:02d}-{loss:.3f}.safetensors"
    kept = []
    history = model.fit(
        *XY,
        epochs=3,
        verbose=0,
        batch_size=4,
        callbacks=[
            ModelCheckpoint(path),
            LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights())),
        ],
    )
    names = sorted(entry.name for entry in path.parent.iterdir())
    assert names == [
        f"{epoch:02d}-{loss:.3f}.safetensors"
        for epoch, loss in enumerate(history.history["loss"], 1)
    ]
    for name, weights in zip(names, kept):
        for ours, theirs in zip(load_model(path.parent / name).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_it_sees_what_others_did(model, tmp_path):
    """A callback that stands behind it in the list, and the history, have had their turn."""
    seen = []

    class Watching(ModelCheckpoint):
        def _save(self, path, epoch):
            seen.append((epoch, self.model.history.epoch[-1], dict(self.model.history.history)))

    model.fit(
        *XY,
        epochs=2,
        verbose=0,
        callbacks=[
            Watching(tmp_path / "{extra}.x"),
            LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(extra=epoch)),
        ],
    )
    assert [entry[:2] for entry in seen] == [(0, 0), (1, 1)]
    assert seen[1][2]["extra"] == [0, 1]


def test_minutes(monkeypatch):
    """A clock of two minutes a batch."""
    clock = [0.0]

    def tick():
        clock[0] += 30
        return clock[0]

    monkeypatch.setattr(checkpoints.time, "monotonic", tick)
    # Each batch looks at the clock once, each save once more: 120 seconds have passed at the third
    # batch after a save.
    assert saved(
        ModelCheckpoint("{epoch}-{batch}", minutes=2, save_freq=100), [1.0, 1.0, 1.0], 4
    ) == ["1-4", "2-4", "3-4"]
    assert saved(ModelCheckpoint("{epoch}", minutes=2), [1.0, 1.0], 6) == ["1", "1", "2", "2"]


def test_messages(capsys):
    saved(ModelCheckpoint("m", save_best_only=True, verbose=1), [2.0, 3.0])
    assert capsys.readouterr().out.splitlines() == [
        "epoch 1: saved m",
        "epoch 2: val_loss 3 is no better than 2, nothing saved",
    ]


def test_without_what_it_watches_everything_is_saved():
    callback = ModelCheckpoint("{epoch}", monitor="val_f1", save_best_only=True)
    with pytest.warns(
        TrainingWarning,
        match=r"ModelCheckpoint watches 'val_f1' and the logs hold \['loss', 'val_loss'\]: "
        r"it saves everything",
    ) as caught:
        assert saved(callback, [1.0, 2.0, 3.0]) == ["1", "2", "3"]
    assert len(caught) == 1


def test_a_full_disk_keeps_the_older_file(model, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model.fit(*XY, verbose=0, callbacks=[ModelCheckpoint(path)])
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    checkpoint = ModelCheckpoint(path, "loss", save_best_only=True)
    with pytest.raises(CheckpointError, match="cannot write .*No space left on device") as caught:
        model.fit(*XY, verbose=0, callbacks=[checkpoint])
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]
    assert checkpoint.best is None  # nothing better was saved


def test_a_folder_that_cannot_be_made(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot write .*(File exists|Not a directory)"):
        model.fit(*XY, verbose=0, callbacks=[ModelCheckpoint(tmp_path / "file" / "m.safetensors")])


@pytest.mark.parametrize("name", ["{val_loss:.2f}", "{}", "{epoch:s}", "{epoch", "{loss.x}"])
def test_names_that_cannot_be_filled_in(name, model, tmp_path):
    with pytest.raises(ConfigError, match="which cannot be filled in .*there are epoch, loss"):
        model.fit(*XY, verbose=0, callbacks=[ModelCheckpoint(tmp_path / name)])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"filepath": 3}, DTypeError, "filepath is 3; expected a path"),
        ({"filepath": b"x"}, DTypeError, "filepath is b'x'"),
        ({"save_freq": 0}, ConfigError, "save_freq is 0"),
        (
            {"save_freq": "batch"},
            ConfigError,
            "save_freq is 'batch'; expected 'epoch' or a number of batches",
        ),
        ({"save_freq": 1.5}, DTypeError, "save_freq is 1.5"),
        ({"save_freq": True}, DTypeError, "save_freq is True"),
        ({"mode": "best"}, ConfigError, "mode is 'best'"),
        ({"save_best_only": 1}, DTypeError, "save_best_only is 1"),
        ({"minutes": 0}, ConfigError, "minutes is 0.0"),
        ({"minutes": float("nan")}, ConfigError, "minutes is nan"),
        ({"minutes": 3, "save_best_only": True}, ConfigError, "use two ModelCheckpoints"),
        ({"initial_value_threshold": "x"}, DTypeError, "initial_value_threshold is 'x'"),
    ],
)
def test_bad_arguments(options, error, words):
    with pytest.raises(error, match=words):
        ModelCheckpoint(**({"filepath": "x"} | options))
