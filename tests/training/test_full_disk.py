"""A disk that is full, gone or read-only in the middle of training: an error and the old file.

The model lives on.
"""

import contextlib
import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pytest
from seeds import generator

from gatewise.callbacks import Callback, ModelCheckpoint
from gatewise.checkpoint import files
from gatewise.errors import CheckpointError, NonFiniteError
from gatewise.layers import LSTM, Dense, Dropout, Input
from gatewise.models import Sequential, load_model

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file system")
X = generator(0).normal(size=(12, 5, 2))
Y = X.sum((1, 2))[:, None]


class At(Callback):
    """Do something after so many batches, before the checkpoint is written."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    def on_train_batch_end(self, batch, logs=None):
        if self.model.optimizer.iterations == self.step:
            self.action()


def make():
    model = Sequential(
        [
            Input((None, 2)),
            LSTM(16, name="lstm"),
            Dropout(0.2, name="dropout"),
            Dense(1, name="dense"),
        ],
        name="net",
        seed=1,
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def fit(model, callbacks=(), **more):
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "the run that is resumed had callbacks that this one lacks"
        )
        model.fit(X, Y, batch_size=4, epochs=3, verbose=0, callbacks=list(callbacks), **more)
    return model


@pytest.fixture(scope="module")
def unharmed():
    return fit(make()).flat_parameters.tobytes()


def harmed(path, trouble, unharmed, elsewhere, numbers):
    """Training whose disk gets into trouble (a context) after batch 5 of 9.

    Then all that must hold.
    """
    stack = contextlib.ExitStack()
    checkpoint_every_batch = ModelCheckpoint(path, save_freq=1)
    model = make()
    with stack, pytest.raises(CheckpointError) as caught:
        fit(model, [At(5, lambda: stack.enter_context(trouble)), checkpoint_every_batch])
    stack.close()  # the disk is well again
    assert str(path) in str(caught.value)
    assert caught.value.errno in numbers or caught.value.__cause__.errno in numbers
    assert model.optimizer.iterations == 5
    model.predict(X)
    model.save(elsewhere)  # nothing of the run is lost
    assert fit(make(), resume_from=elsewhere).flat_parameters.tobytes() == unharmed
    assert model.train_on_batch(X, Y)
    return model


def assert_old_file_alone(path, unharmed):
    """The file of the batch before, from which the run goes on too."""
    assert os.listdir(path.parent) == [path.name]
    assert load_model(path).optimizer.iterations == 4
    assert fit(make(), resume_from=path).flat_parameters.tobytes() == unharmed


@posix
def test_a_limit_on_the_size_of_files(tmp_path, unharmed):
    """A real refusal of the kernel, in the middle of the bytes, which needs no privileges."""
    import resource

    @contextlib.contextmanager
    def limit():
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    path = tmp_path / "folder" / "run"
    harmed(path, limit(), unharmed, tmp_path / "elsewhere", {errno.EFBIG})
    assert_old_file_alone(path, unharmed)


FULL_DISK = textwrap.dedent("""
    import os, sys
    sys.path[:0] = sys.argv[2:]
    from pathlib import Path
    from test_full_disk import assert_old_file_alone, fit, harmed, make
    import contextlib, errno, shutil

    @contextlib.contextmanager
    def full():
        free = shutil.disk_usage(disk).free
        with open(filler, "wb") as file:
            file.write(bytes(free - 8192))
        yield
        os.unlink(filler)

    disk = Path(sys.argv[1])
    filler, path = disk / "filler", disk / "folder" / "run"
    unharmed = fit(make()).flat_parameters.tobytes()
    harmed(path, full(), unharmed, disk / "elsewhere", {errno.ENOSPC})
    assert_old_file_alone(path, unharmed)
    print("held")
""")


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("unshare"), reason="no namespaces of mounts"
)
def test_a_disk_that_is_full(tmp_path):
    """A real one, of 256 KiB, in a namespace of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    script = 'mount -t tmpfs -o size=256k none "$1" && shift && exec "$@"'
    mine = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    enter = ["unshare", *mine, "--mount", "sh", "-c", script, "sh", str(disk)]
    if subprocess.run([*enter, "true"], capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    result = subprocess.run(
        [*enter, sys.executable, "-c", FULL_DISK, str(disk), str(Path(__file__).parent), *sys.path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.stdout == "held\n", result.stderr
    assert os.listdir(disk) == []


def failing(where, number):
    """A context in which a step of writing fails."""
    error = OSError(number, os.strerror(number))

    def fail(*_arguments):
        raise error

    class Write(io.FileIO):
        def write(self, content):
            super().write(content[:1000])
            raise error

    class Close(io.FileIO):  # as on network file systems, which find out late
        def close(self):
            super().close()
            raise error

    @contextlib.contextmanager
    def trouble():
        with pytest.MonkeyPatch.context() as patch:
            if where in ("write", "close"):
                patch.setattr(files, "open", Write if where == "write" else Close, raising=False)
            else:
                patch.setattr(files.os, where, fail)
            yield

    return trouble()


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EIO, errno.EROFS]
)
@pytest.mark.parametrize("where", ["write", "fsync", "close", "replace", "urandom"])
def test_each_step_of_writing(where, number, tmp_path, unharmed):
    path = tmp_path / "folder" / "run"
    harmed(path, failing(where, number), unharmed, tmp_path / "elsewhere", {number})
    assert_old_file_alone(path, unharmed)


@posix
def test_a_folder_that_nobody_may_write_in(unharmed):
    """Root may write everywhere, so it becomes somebody else for the while."""

    @contextlib.contextmanager
    def read_only():
        folder.chmod(0o555)
        if root:
            os.seteuid(65534)
        try:
            yield
        finally:
            if root:
                os.seteuid(0)
            folder.chmod(0o755)

    root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as parent:
        os.chmod(parent, 0o755)
        folder = Path(parent) / "folder"
        harmed(folder / "run", read_only(), unharmed, Path(parent) / "elsewhere", {errno.EACCES})
        assert_old_file_alone(folder / "run", unharmed)


def test_a_folder_that_is_gone_is_made_again(tmp_path, unharmed):
    path = tmp_path / "folder" / "run"
    model = fit(
        make(), [At(5, lambda: shutil.rmtree(path.parent)), ModelCheckpoint(path, save_freq=1)]
    )
    assert model.flat_parameters.tobytes() == unharmed
    assert os.listdir(path.parent) == ["run"]


def test_a_folder_in_the_place_of_the_file(tmp_path, unharmed):
    @contextlib.contextmanager
    def folder_there():
        path.unlink()
        path.mkdir()
        yield
        path.rmdir()

    path = tmp_path / "folder" / "run"
    model = make()
    with (
        contextlib.ExitStack() as stack,
        pytest.raises(CheckpointError, match="is a folder, not a file"),
    ):
        fit(
            model,
            [
                At(5, lambda: stack.enter_context(folder_there())),
                ModelCheckpoint(path, save_freq=1),
            ],
        )
    assert os.listdir(path.parent) == []
    model.save(path)
    assert fit(make(), resume_from=path).flat_parameters.tobytes() == unharmed


def test_a_file_in_the_place_of_the_folder(tmp_path, unharmed):
    def file_there():
        shutil.rmtree(path.parent)
        path.parent.write_text("mine")

    path = tmp_path / "folder" / "run"
    with pytest.raises(CheckpointError, match="cannot write"):
        fit(make(), [At(5, file_there), ModelCheckpoint(path, save_freq=1)])
    assert path.parent.read_text() == "mine"
    for bad in ("nul\0/run", "nul\0"):
        with pytest.raises(CheckpointError, match="cannot write"):
            fit(make(), [ModelCheckpoint(bad)])


@pytest.mark.parametrize("broken", ["weights", "slots"])
def test_what_no_reader_takes_replaces_nothing(broken, tmp_path, unharmed):
    """Training breaks in batch 5: the file of batch 4 stays, and the run goes on from it."""

    def destroy():
        (model.flat_parameters if broken == "weights" else model.optimizer.slots()["velocity"])[
            0
        ] = np.nan

    model, path = make(), tmp_path / "run"
    saved_nothing = pytest.warns(
        match="ModelCheckpoint saved nothing in epoch 2: .* nothing was written"
    )
    with pytest.warns(match="became (nan|NaN)"), saved_nothing:
        fit(model, [At(5, destroy), ModelCheckpoint(path, save_freq=1)])
    assert_old_file_alone(path, unharmed)


def test_a_batch_whose_loss_is_not_finite_is_not_saved(tmp_path):
    model = make()
    model.compile("sgd", "mse")
    model.optimizer.learning_rate = 1e30
    with pytest.warns(match="the loss became"), np.errstate(all="ignore"):
        model.fit(
            X,
            Y,
            batch_size=4,
            epochs=3,
            verbose=0,
            callbacks=[ModelCheckpoint(tmp_path / "run", save_freq=1)],
        )
    assert load_model(tmp_path / "run").optimizer.iterations == 1
    again = make()
    again.compile("sgd", "mse")
    # it is what the run comes to
    with pytest.warns(match="the loss became"), np.errstate(all="ignore"):
        again.fit(
            X,
            Y,
            batch_size=4,
            epochs=3,
            verbose=0,
            callbacks=[ModelCheckpoint(tmp_path / "other", save_freq=1)],
            resume_from=tmp_path / "run",
        )


def test_weights_alone_are_finite_too(tmp_path):
    model = make()
    model.flat_parameters[3] = np.inf
    for save in (model.save, model.save_weights):
        with pytest.raises(
            NonFiniteError,
            match="lstm/kernel holds NaN or infinity, which no reader accepts: nothing was written",
        ):
            save(tmp_path / "m")
    assert os.listdir(tmp_path) == []
