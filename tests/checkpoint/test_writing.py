"""Writing a checkpoint file: a crash or a failure leaves the old file.

Modes, owners and links are preserved.
"""

import errno
import faulthandler
import io
import os
import stat
import time

import numpy as np
import pytest
from checkpoint_files import OLD, assert_refused, assert_same, posix, run_child
from seeds import plain_generator

from gatewise import checkpoint
from gatewise.errors import CheckpointError

NEW = {"w": np.arange(2000, dtype=np.float64)}


def fail(monkeypatch, where, error):
    def failing(*_args):
        raise error

    class FailingFile(io.FileIO):
        def write(self, content):
            super().write(content[:100])  # takes some of the bytes and then runs out of room
            raise error

    target = checkpoint.files if where == "open" else checkpoint.files.os
    monkeypatch.setattr(target, where, FailingFile if where == "open" else failing, raising=False)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("where", ["open", "fsync", "replace"])
def test_a_failure_or_interrupt_leaves_the_old_file_and_nothing_else(
    tmp_path, monkeypatch, where, existing
):
    path = tmp_path / "file"
    if existing:
        checkpoint.write(path, OLD, {})
    cause = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for error, expected in ((cause, CheckpointError), (KeyboardInterrupt, KeyboardInterrupt)):
        with monkeypatch.context() as patched:
            fail(patched, where, error)
            with pytest.raises(expected) as caught:
                checkpoint.write(path, NEW, {})
        if error is cause:
            assert caught.value.errno == errno.ENOSPC
            assert caught.value.__cause__ is cause
            for words in (str(path), "unchanged", os.strerror(errno.ENOSPC)):
                assert words in str(caught.value)
        assert os.listdir(tmp_path) == ["file"] * existing
        if existing:
            assert_same(checkpoint.read(path)[0], OLD)


@posix
def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch):
    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(checkpoint.files.os, "fsync", fsync)
    code = errno.EINVAL  # the file system has no such thing: no error
    checkpoint.write(tmp_path / "file", OLD, {})
    code = errno.EIO
    with pytest.raises(CheckpointError, match="is written, but"):
        checkpoint.write(tmp_path / "file", NEW, {})
    assert_same(checkpoint.read(tmp_path / "file")[0], NEW)


@posix
def test_the_order_of_events(tmp_path, monkeypatch):
    events = []
    sync, rename = os.fsync, os.replace
    monkeypatch.setattr(
        checkpoint.files.os,
        "fsync",
        lambda file: events.append(os.fstat(file).st_mode) or sync(file),
    )
    monkeypatch.setattr(
        checkpoint.files.os, "replace", lambda *paths: events.append("replace") or rename(*paths)
    )
    checkpoint.write(tmp_path / "file", OLD, {})
    assert [event if event == "replace" else stat.S_ISDIR(event) for event in events] == [
        False,
        "replace",
        True,
    ]


def test_a_missing_file_or_folder_is_file_not_found(tmp_path):
    for call in (checkpoint.read, lambda path: checkpoint.write(path, OLD, {})):
        with pytest.raises(FileNotFoundError, match=r"cannot .*missing") as caught:
            call(tmp_path / "missing" / "file")
        assert isinstance(caught.value, checkpoint.CheckpointNotFoundError)
        assert isinstance(caught.value, CheckpointError)
        assert caught.value.errno == errno.ENOENT


@pytest.mark.long
@posix
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    draw = plain_generator(5)
    for _ in range(5):
        child = run_child(
            """
            import itertools, sys
            import numpy as np
            from gatewise import checkpoint
            for count in itertools.count():
                tensors = {"a": np.full(1000 + 50_000 * (count % 3), count), "b": np.full(7, count)}
                checkpoint.write(sys.argv[1], tensors, {"count": count, "size": tensors["a"].size})
                if count == 0:
                    print("writing", flush=True)
            """,
            path,
        )
        assert child.stdout.readline() == "writing\n"
        end = time.monotonic() + draw.uniform(0.0, 0.1)
        while time.monotonic() < end:  # a reader beside the writer sees whole files too
            checkpoint.read(path)
        child.kill()
        child.communicate(timeout=60)
        tensors, header = checkpoint.read(path)
        assert tensors["a"].shape == (header["size"],)
        assert all((array == header["count"]).all() for array in tensors.values())
        left = list(tmp_path.glob(".gatewise-*.tmp"))
        assert len(left) <= 1
        for temporary in left:
            temporary.unlink()


# Permissions, links, other kinds of file
# -----------------------------------------------------------------


@posix
def test_a_new_file_has_the_mode_that_open_gives_and_an_old_one_keeps_its_own(
    tmp_path, monkeypatch
):
    path = tmp_path / "file"
    before = os.umask(0o027)
    try:
        checkpoint.write(path, OLD, {})
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    seen, keep = [], checkpoint.files._keep_permissions
    monkeypatch.setattr(
        checkpoint.files,
        "_keep_permissions",
        lambda old, new: seen.append(os.stat(new)) or keep(old, new),
    )
    for mode in (0o600, 0o666):
        path.chmod(mode)
        checkpoint.write(path, NEW, {})
        assert stat.S_IMODE(path.stat().st_mode) == mode
    # private from its first byte
    assert {stat.S_IMODE(status.st_mode) for status in seen} == {0o600}


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away"
)
def test_the_owner_stays(tmp_path):
    checkpoint.write(tmp_path / "file", OLD, {})
    os.chown(tmp_path / "file", 1234, 2345)
    checkpoint.write(tmp_path / "file", NEW, {})
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_a_read_only_file_stays(tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "file", OLD, {})
    (tmp_path / "file").chmod(0o444)
    monkeypatch.setattr(
        checkpoint.files.os, "access", lambda *_: False
    )  # root may write to any file
    with pytest.raises(CheckpointError, match="Permission denied"):
        checkpoint.write(tmp_path / "file", NEW, {})
    assert os.listdir(tmp_path) == ["file"]
    assert_same(checkpoint.read(tmp_path / "file")[0], OLD)


@posix
def test_links_stay_and_their_targets_are_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    (tmp_path / "link to link").symlink_to("link")
    for tensors in (OLD, NEW):  # the link dangles at first
        checkpoint.write(tmp_path / "link to link", tensors, {})
        assert (tmp_path / "link to link").is_symlink() and (tmp_path / "link").is_symlink()
        assert_same(checkpoint.read(tmp_path / "real" / "file")[0], tensors)
    assert os.listdir(tmp_path / "real") == ["file"]
    (tmp_path / "loop").symlink_to("loop")
    for call in (checkpoint.read, lambda path: checkpoint.write(path, OLD, {})):
        with pytest.raises(CheckpointError, match="cannot"):
            call(tmp_path / "loop")


@pytest.fixture
def in_time():
    faulthandler.dump_traceback_later(30, exit=True)  # opening a pipe could wait for ever
    yield
    faulthandler.cancel_dump_traceback_later()


@posix
def test_folders_pipes_and_devices_are_refused(tmp_path, in_time):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (
        tmp_path / "pipe",
        tmp_path / "folder",
        tmp_path / "link",
        "/dev/null",
        "/dev/zero",
    ):
        kind = "a folder" if path == tmp_path / "folder" else "a device, pipe or socket"
        with pytest.raises(CheckpointError, match=kind):
            checkpoint.read(path)
        with pytest.raises(CheckpointError, match=kind):
            checkpoint.write(path, OLD, {})
    for path in ("", str(tmp_path / "new") + os.sep):
        with pytest.raises(CheckpointError):
            checkpoint.write(path, OLD, {})
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


@posix
def test_a_pipe_that_takes_the_files_place_after_the_look(tmp_path, monkeypatch, in_time):
    os.mkfifo(tmp_path / "pipe")
    regular = os.stat(__file__)
    monkeypatch.setattr(checkpoint.files.os, "stat", lambda _: regular)
    assert_refused(tmp_path / "pipe", "a device, pipe or socket")


# Arrays that change, and disks that lie
# --------------------------------------------------------------


def test_arrays_that_change_while_they_are_written_make_a_file_that_can_be_read(
    tmp_path, monkeypatch
):
    """Between the checksum and the copy, as a training step of another thread does."""
    path, array, checksum = (
        tmp_path / "file.safetensors",
        np.zeros(1000),
        checkpoint.writing.checksum_of,
    )
    checkpoint.write(path, {"a": array}, {})

    def changing(covered, tensors):
        result = checksum(covered, tensors)
        array[:] += 1
        return result

    monkeypatch.setattr(checkpoint.writing, "checksum_of", changing)
    checkpoint.write(path, {"a": array}, {})
    monkeypatch.setattr(checkpoint.writing, "checksum_of", checksum)
    found = checkpoint.read(path)[0]["a"]
    assert found[0] > 0 and (found == found[0]).all()


def test_content_is_a_copy(tmp_path):
    path, array = tmp_path / "file.safetensors", np.zeros(10)
    content = checkpoint.writing.content_of(path, {"a": array}, {"b": 1})
    assert not path.exists()
    array[:] = 5
    checkpoint.writing.replace(path, content)
    tensors, header = checkpoint.read(path)
    assert header == {"b": 1} and not tensors["a"].any()


@pytest.mark.parametrize("damage", ["a byte", "cut short", "longer"])
@pytest.mark.parametrize("size", [3, 300_000])  # one piece of a comparison, several of them
def test_what_the_disk_does_not_give_back_does_not_replace_a_file(
    tmp_path, monkeypatch, damage, size
):
    path, sync = tmp_path / "file.safetensors", os.fsync
    checkpoint.write(path, {"a": np.zeros(size)}, {})
    before = path.read_bytes()

    def damaging(descriptor):
        length = os.fstat(descriptor).st_size
        if damage == "a byte":
            os.pwrite(descriptor, b"\xff", length - 1)
        else:
            os.ftruncate(descriptor, length + (1 if damage == "longer" else -1))
        sync(descriptor)

    monkeypatch.setattr(checkpoint.files.os, "fsync", damaging)
    with pytest.raises(
        CheckpointError, match="unchanged: what was written is not what is read back"
    ) as caught:
        checkpoint.write(path, {"a": np.ones(size)}, {})
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]
