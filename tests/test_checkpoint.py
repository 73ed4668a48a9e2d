"""The checkpoint file: what goes in comes out, a crash loses nothing, a bad file is refused."""

import errno
import faulthandler
import io
import json
import math
import os
import pathlib
import stat
import struct
import subprocess
import sys
import textwrap
import time
import zlib

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from seeds import plain_generator

from gatewise import checkpoint
from gatewise.errors import CheckpointError, ConfigError, DTypeError, SizeError

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8"]
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX file system")


def assert_same(read, written):
    """Equal to the bit, NaN payloads and signs of zero included, in native byte order."""
    assert read.keys() == written.keys()
    for name, expected in written.items():
        got = read[name]
        assert type(got) is np.ndarray
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype.newbyteorder("="))
        assert got.tobytes() == expected.astype(expected.dtype.newbyteorder("=")).tobytes()
        flags = got.flags
        assert flags.owndata and flags.writeable and flags.aligned and flags.c_contiguous


def round_trip(path, tensors, header=None):
    checkpoint.write(path, tensors, {} if header is None else header)
    return checkpoint.read(path)


def in_order(value):
    """The header as `read` gives it: the keys of every dict in order."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


# Round trips
# ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (1,) * 32, (2, 1, 3), (0, 2**40)])
def test_every_dtype_byte_order_and_shape(tmp_path, shape):
    tensors = {
        order + dtype: np.full(shape, 1, order + dtype) for dtype in DTYPES for order in "<>"
    }
    assert_same(round_trip(tmp_path / "file", tensors)[0], tensors)


def test_views_of_any_strides_are_stored_by_value_and_left_alone(tmp_path):
    base = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    read_only = base.copy()
    read_only.flags.writeable = False
    tensors = {
        "transposed": base.T,
        "fortran": np.asfortranarray(base),
        "stepped": base[::2, ::-1, 1::3],
        "broadcast": np.broadcast_to(np.float64(2.5), (3, 2)),
        "big-endian, transposed": base.astype(">f4").T,
        "field": np.zeros(4, [("x", "u1"), ("y", "<f8")])["y"],
        "subclass": base.view(type("Subclass", (np.ndarray,), {})),
        "read-only": read_only,
        "NaN payloads": (
            np.array([0x7FC00001, 0xFFC00123, 0x7F800001, 0x80000000], np.uint32).view(np.float32)
        ),
    }
    before = {name: array.tobytes() for name, array in tensors.items()}
    assert_same(round_trip(tmp_path / "file", tensors)[0], tensors)
    assert {name: array.tobytes() for name, array in tensors.items()} == before


def test_names_are_any_text_and_come_back_sorted(tmp_path):
    names = ["b", "", "a/ü", "層/核", "😀", 'quote"\\', "nul\0", "\u2028", "[{", "x" * 1024]
    tensors = {name: np.array([index]) for index, name in enumerate(names) if name}
    read, _ = round_trip(tmp_path / "file ü", tensors)
    assert_same(read, tensors)
    assert list(read) == sorted(tensors)


HEADER = {
    "text": 'ü 😀 \0 " \\ \n [[[{{{ ]]]' + "[" * 100 + '\\"{',
    "empty": [{}, [], ""],
    "numbers": [0, -1, 2**128, -(10**999), 1e-320, 0.1, -0.0, 1.0, 1.7976931348623157e308],
    "singles": [True, False, None],
    "losses": {"loss": [1.5, math.inf, -math.inf]},
    "$float": "nan",
    "$": {"$float": 1, "$$float": 2, "$$": 3, "a$": 4},
}


def test_header_values(tmp_path):
    _, header = round_trip(tmp_path / "file", {}, HEADER)
    assert repr(header) == repr(in_order(HEADER))  # types and the sign of zero too
    others = {"flag": np.True_, "loss": [math.nan, np.float32("nan")], "shape": (1, np.int64(2))}
    _, header = round_trip(tmp_path / "file", {}, others)
    assert repr(header) == "{'flag': True, 'loss': [nan, nan], 'shape': [1, 2]}"


def test_the_path_may_be_text_bytes_or_path(tmp_path):
    path = tmp_path / ("n" * 255)  # the longest name there is: the temporary's must not be longer
    for form in (path, str(path), os.fsencode(path)):
        assert round_trip(form, {}, {"form": str(type(form))})[1] == {"form": str(type(form))}


# The format
# ----------------------------------------------------------------------------------------

# Each format version, byte by byte: (file, what its checksum covers). No later version may stop
# reading one.
GOLDEN = {
    1: (
        b"\xf0\x00\x00\x00\x00\x00\x00\x00"
        rb'{"__metadata__":{"gatewise":"{\"checksum\":2683659034,\"format_version\":1,'
        rb'\"header\":{\"loss\":[0.5,{\"$float\":\"nan\"}]}}"},'
        b'"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
        b'"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}'
        b"\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x00\x01",
        (
            b'"format_version":1,"header":{"loss":[0.5,{"$float":"nan"}]}}'
            b"mask\x00BOOL\x003\x00\x01\x00\x01"
            b"w\x00F32\x002,1\x00\x00\x00\x80\x3f\x00\x00\x00\xc0"
        ),
    ),
    2: (
        b"\xf0\x00\x00\x00\x00\x00\x00\x00"
        rb'{"__metadata__":{"gatewise":"{\"checksum\":3594761753,\"format_version\":2,'
        rb'\"header\":{\"loss\":[0.5,{\"$float\":\"nan\"}]}}"},'
        b'"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
        b'"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}'
        b"\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x00\x01",
        (
            b'"format_version":2,"header":{"loss":[0.5,{"$float":"nan"}]}}'
            b"mask\x00BOOL\x003\x00\x01\x00\x01"
            b"w\x00F32\x002,1\x00\x00\x00\x80\x3f\x00\x00\x00\xc0"
        ),
    ),
}
GOLDEN_TENSORS = {"mask": np.array([True, False, True]), "w": np.array([[1.0], [-2.0]], np.float32)}


def test_the_format_byte_by_byte(tmp_path):
    checkpoint.write(tmp_path / "file", GOLDEN_TENSORS, {"loss": [0.5, math.nan]})
    assert (tmp_path / "file").read_bytes() == GOLDEN[checkpoint.FORMAT_VERSION][0]


@pytest.mark.parametrize("version", GOLDEN)
def test_every_version_is_read(version, tmp_path):
    content, covered = GOLDEN[version]
    assert rf"\"checksum\":{zlib.crc32(covered)},".encode() in content
    (tmp_path / "file").write_bytes(content)
    read, header = checkpoint.read(tmp_path / "file")
    assert_same(read, GOLDEN_TENSORS)
    assert str(header) == "{'loss': [0.5, nan]}"


def test_no_version_is_forgotten():
    assert list(GOLDEN) == list(range(1, checkpoint.FORMAT_VERSION + 1))


def test_the_document_shows_the_newest_version():
    """docs/checkpoint-format.md: its example is the file of this test, number by number."""
    page = (pathlib.Path(__file__).parents[1] / "docs" / "checkpoint-format.md").read_text(
        encoding="utf-8"
    )
    assert page.startswith(f"# The checkpoint format, version {checkpoint.FORMAT_VERSION}\n")
    example = page.partition("### An example")[2].partition("##")[0]
    lines = [line.strip() for line in example.splitlines() if line.startswith("    ")]
    content = bytes.fromhex(lines[0]) + "".join(lines[1:-1]).encode() + bytes.fromhex(lines[-1])
    assert content == GOLDEN[checkpoint.FORMAT_VERSION][0]
    assert f"{len(content)} bytes\n(8 + {len(content) - 19} + 11)" in example


def test_the_same_contents_give_the_same_bytes(tmp_path):
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    checkpoint.write(
        tmp_path / "one", {"a": array, "b": array, "c": np.ones(1)}, {"x": 1, "y": {"a": 1, "b": 2}}
    )
    tensors = {"c": np.ones(1), "b": array.astype(">f4"), "a": np.asfortranarray(array)}
    for _ in range(20):
        checkpoint.write(tmp_path / "two", tensors, {"y": {"b": 2, "a": 1}, "x": 1})
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_safetensors_library_reads_our_files_and_what_it_writes_anew_is_good(tmp_path):
    tensors = {dtype: np.full((2, 3), 1, dtype) for dtype in DTYPES}
    tensors |= {
        "0-d": np.array(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "層": np.ones(1, np.uint8),
    }
    checkpoint.write(tmp_path / "file", tensors, HEADER)
    loaded = safetensors.numpy.load_file(tmp_path / "file")
    assert_same({name: np.array(array) for name, array in loaded.items()}, tensors)
    with safetensors.safe_open(tmp_path / "file", "np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["gatewise"])["header"]["text"] == HEADER["text"]
    safetensors.numpy.save_file(
        tensors, tmp_path / "again", metadata=metadata | {"other": "kept by another tool"}
    )
    read, header = checkpoint.read(tmp_path / "again")
    assert_same(read, tensors)
    assert header == HEADER


# What write refuses, before it touches a file
# ---------------------------------------------------------

cycle = {}
cycle["again"] = [cycle]


def test_nesting_up_to_the_limit(tmp_path):
    def nested(levels):
        return {"a": nested(levels - 1) if levels > 1 else 1.5}

    assert round_trip(tmp_path / "file", {}, nested(64))[1] == nested(64)
    with pytest.raises(ConfigError, match="deeper than 64"):
        checkpoint.write(tmp_path / "file", {}, nested(65))


def test_limits_hold_for_writing_too(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.json_text, "MAX_JSON_VALUES", 1000)
    monkeypatch.setattr(checkpoint.writing, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(ConfigError, match="JSON values; at most 1000"):
        checkpoint.write(tmp_path / "file", {}, {"a": [0] * 1000})
    with pytest.raises(ConfigError, match="bytes of JSON, of at most 10000"):
        checkpoint.write(tmp_path / "file", {}, {"a": "x" * 10_000})
    assert os.listdir(tmp_path) == []


UNSTORABLE = {
    "list": ({}, [], DTypeError, "header is a list"),
    "set": ({}, {"a": [1, {2}]}, DTypeError, "header/a/1 is a set"),
    "key": ({}, {"a": {1: 2}}, DTypeError, r"header/a has key 1 \(int\)"),
    "longdouble": ({}, {"a": np.longdouble(1)}, DTypeError, "is a longdouble"),
    "integer": ({}, {"a": 10**1000}, ConfigError, "number of 1001 characters"),
    "surrogate": ({}, {"a": "\ud800"}, ConfigError, "surrogates"),
    "cycle": ({}, cycle, ConfigError, "contains itself"),
    "tensors a list": ([1], {}, DTypeError, "tensors is a list"),
    "name a number": ({1: np.zeros(1)}, {}, DTypeError, "names are strings"),
    "scalar": ({"a": np.float32(1)}, {}, DTypeError, "'a' is a float32"),
    "complex128": ({"a": np.zeros(2, complex)}, {}, DTypeError, "dtype complex128"),
    "structure": ({"a": np.zeros(2, [("x", "f4")])}, {}, DTypeError, "dtype "),
    "mask": ({"a": np.ma.masked_array([1.0], [True])}, {}, DTypeError, "MaskedArray"),
    "name of metadata": ({"__metadata__": np.zeros(1)}, {}, ConfigError, "__metadata__"),
    "name empty": ({"": np.zeros(1)}, {}, ConfigError, "name of 0 characters"),
    "name too long": ({"n" * 1025: np.zeros(1)}, {}, ConfigError, "name of 1025 characters"),
    "name a surrogate": ({"\ud800": np.zeros(1)}, {}, ConfigError, "surrogates"),
}


@pytest.mark.parametrize("case", UNSTORABLE)
def test_what_cannot_be_stored(tmp_path, monkeypatch, case):
    tensors, header, error, words = UNSTORABLE[case]
    monkeypatch.setattr(checkpoint.files, "open", None, raising=False)
    with pytest.raises(error, match=words):
        checkpoint.write(tmp_path / "file", tensors, header)
    assert os.listdir(tmp_path) == []


def test_a_dtype_of_another_package_is_refused_even_if_it_looks_like_ours(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("bfloat16", "float8_e5m2", "int4"):
        with pytest.raises(DTypeError, match=name):
            checkpoint.write(tmp_path / "file", {"a": np.zeros(2, getattr(ml_dtypes, name))}, {})


def test_a_path_that_is_none(tmp_path):
    bad = [(None, DTypeError, "path is a"), ("nul\0", CheckpointError, "cannot")]
    for path, error, words in [*bad, (str(tmp_path / "\ud800"), CheckpointError, "cannot")]:
        with pytest.raises(error, match=words):
            checkpoint.write(path, {}, {})
        with pytest.raises(error, match=words):
            checkpoint.read(path)


# Atomic writing
# --------------------------------------------------------------------------------------

OLD = {"w": np.arange(1000, dtype=np.float32)}
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


def run_child(code, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


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


# Damaged and forged files
# ---------------------------------------------------------------------------------


def head(text):
    return struct.pack("<Q", len(text)) + text


def document(header="{}", version="1", checksum="0"):
    """A file without tensors."""
    return table({}, f'{{"checksum":{checksum},"format_version":{version},"header":{header}}}')


def table(tensors, text='{"checksum":0,"format_version":1,"header":{}}'):
    return head(json.dumps({"__metadata__": {"gatewise": text}} | tensors).encode())


def more(text):
    """A table with another entry after the metadata."""
    return head(table({})[8:-1] + b"," + text + b"}")


def one(dtype="F32", shape=(2,), offsets=(0, 8), name="a"):
    return table({name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}})


GOOD_CHECKSUM = str(zlib.crc32(b'"format_version":1,"header":{}}'))
LIBRARY = "is damaged or cut short: "
BAD = {
    "empty": (b"", "is empty"),
    "length of a gigabyte": (
        struct.pack("<Q", 10**9) + b"{",
        "announce a table of 1000000000 bytes",
    ),
    "length of 64 bits": (
        b"\xff" * 8 + b"{}",
        "announce a table of 18446744073709551615 bytes, 2 follow",
    ),
    "pickle": (b"cos\nsystem\n(S'exit'\ntR.", "is a text"),
    "head empty": (head(b""), "zeros only"),
    "byte order mark": (head(b"\xef\xbb\xbf{}"), "not begin with"),
    "no metadata": (head(b"{}"), "not a gatewise checkpoint"),
    "metadata of another": (head(b'{"__metadata__":{"format":"pt"}}'), "not a gatewise checkpoint"),
    "tensor twice": (more(b'"a":1,"a":1'), "'a' occurs twice"),
    "deep, open": (head(b'{"a":' + b"[" * 900_000), "deeper than 64"),
    "depth after escapes": (
        more(b'"\\\\":"\\"","\\"":' + b"[" * 10_000 + b"]" * 10_000),
        "deeper than 64",
    ),
    "wide": (head(b'{"a":[' + b"[]," * 3_000_000 + b"1]}"), "JSON values"),
    "quotes": (head(b'{"a":' + b'"' * 5_000_000), "JSON values"),
    "backslashes": (head(b'{"a":"' + b"\\" * 5_000_000), "unpaired brackets"),
    "dtype unknown": (one("F128") + bytes(8), LIBRARY + ".*F128"),
    "dtype of no numpy": (one("BF16", (4,)) + bytes(8), "dtype BF16; known are F64"),
    "empty but beyond numpy": (one(shape=(0, 2**62), offsets=[0, 0]), "larger than an array"),
    "axes": (one(shape=(1,) * 33, offsets=[0, 4]) + bytes(4), "33 axes"),
    "gap": (one(offsets=[4, 12]) + bytes(12), LIBRARY),
    "data too long": (one() + bytes(9), LIBRARY),
    "name empty": (one(name="") + bytes(8), "name of 0 characters"),
    "name too long": (one(name="n" * 1025) + bytes(8), "name of 1025 characters"),
    "name half a surrogate pair": (one(name="\ud800") + bytes(8), "not JSON in UTF-8"),
    "message too long": (one("Z" * 100_000, name="n" * 100_000) + bytes(8), LIBRARY),
    "BOOL of 2": (one("BOOL", (3,), [0, 3]) + b"\0\2\1", "other than 0 and 1"),
    "contents": (one() + bytes(8), "checksum"),
    "text half a surrogate pair": (table({}, '"\ud800"'), "not JSON in UTF-8"),
    "version 0": (document(version="0"), "format version is 0"),
    "version 7": (
        document("null", version="7"),
        "newer gatewise: format version 7, this one reads up to 2",
    ),
    "checksum last": (
        table({}, f'{{"format_version":1,"header":{{}},"checksum":{GOOD_CHECKSUM}}}'),
        "checksum",
    ),
    "no header": (table({}, '{"format_version":1}'), "header is None, not a dict"),
    "header a float": (document('{"$float":"nan"}'), "header is nan, not a dict"),
    "header twice in other words": (document('{"b":1,"\\u0062":2}'), "'b' occurs twice"),
    "header NaN": (document('{"a":NaN}'), "NaN is not finite"),
    "header 1e999": (document('{"a":-1e999}'), "-1e999 is not finite"),
    "header escaped half a surrogate pair": (document('{"\\uD800":1}'), "not JSON in UTF-8"),
    "header float unknown": (document('{"a":{"$float":"1"}}'), r"a value is \{'\$float': '1'\}"),
    "header mark unknown": (document('{"$object":1}'), "unknown mark"),
    "header digits": (document('{"a":-' + "9" * 1001 + "}"), "number of 1002 characters"),
    "header one too deep": (document('{"a":' + "[" * 64 + "]" * 64 + "}"), "deeper than 64"),
}


def assert_refused(path, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.read(path)
    assert repr(str(path)) in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("case", BAD)
def test_bad_files(tmp_path, case):
    content, words = BAD[case]
    (tmp_path / "file").write_bytes(content)
    limit = sys.getrecursionlimit()
    # no help from Python: a parser that recursed would overflow the stack
    sys.setrecursionlimit(1_000_000)
    try:
        assert_refused(tmp_path / "file", words)
    finally:
        sys.setrecursionlimit(limit)


def test_the_forger_of_bad_files_forges_good_ones_too(tmp_path):
    (tmp_path / "file").write_bytes(document(checksum=GOOD_CHECKSUM))
    assert checkpoint.read(tmp_path / "file") == ({}, {})


@posix
def test_a_sparse_file_of_any_size_takes_no_memory(tmp_path):
    size = 2**43  # more than any machine's memory; many file systems allow it
    (tmp_path / "file").write_bytes(one("U8", (size,), [0, size]))
    try:
        os.truncate(tmp_path / "file", (tmp_path / "file").stat().st_size + size)
    except OSError:
        pytest.skip("the file system has no files of this size")
    with pytest.raises(SizeError, match="memory"):
        checkpoint.read(tmp_path / "file")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep the limit")
def test_a_process_without_memory_gets_an_error_and_lives(tmp_path):
    child = run_child(
        """
        import resource, sys
        import numpy as np
        import safetensors.numpy
        from gatewise import checkpoint, errors
        tensors = {"w": np.zeros(10_000_000)}
        checkpoint.write(sys.argv[1], tensors, {})
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 120_000_000, used + 120_000_000))
        for call in (checkpoint.read, lambda path: checkpoint.write(path, tensors, {})):
            try:
                call(sys.argv[1])
            except errors.SizeError as error:
                print("memory" in str(error))
        """,
        tmp_path / "file",
    )
    assert child.communicate(timeout=60)[0] == "True\nTrue\n"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("change", ["cut", "other table"])
def test_a_file_changed_while_it_is_read(tmp_path, monkeypatch, change):
    checkpoint.write(tmp_path / "file", OLD, {"more than": "a buffer" * 10_000})
    content = (tmp_path / "file").read_bytes()
    changed = content[:1000] if change == "cut" else content.replace(b"F32", b"I32")
    monkeypatch.setattr(
        checkpoint.reading, "require_memory", lambda _: (tmp_path / "file").write_bytes(changed)
    )
    assert_refused(tmp_path / "file", "changed by another program")


def outcomes(path, contents):
    """What `read` gives of each of the contents, ``None`` where it refuses."""
    # changed in place, which is ten times as fast as a new file each time
    with open(path, "wb", buffering=0) as file:
        for content in contents:
            file.seek(0)
            file.write(content)
            file.truncate()
            try:
                yield repr(checkpoint.read(path))
            except CheckpointError:
                yield None


SPLINTERS = (
    b'0 9 -1 1e9 [ ] { } " \\ , : null true NaN \\ud800 18446744073709551615 9223372036854775808 '
)
SPLINTERS += b'\xff \0 F64 I8 BOOL BF16 shape dtype __metadata__ "a":1, [[[[[[[['


def wounds(content):
    splinters = [b"", b" ", *SPLINTERS.split(b" ")]
    draw = plain_generator(11)
    for _ in range(4000):
        bad = bytearray(content)
        for _ in range(draw.choice([1, 1, 2, 5])):
            at = draw.randrange(8, len(bad))
            end = at + draw.randrange(20)
            bad[at:end] = draw.choice(
                [draw.choice(splinters), bad[end : end + 40], draw.randbytes(1)]
            )
        if draw.random() < 0.7:  # keep the length true, to reach what comes after
            end = max(bad.rfind(b"}") + 1, 8)
            bad[:8] = struct.pack("<Q", end - 8 + (-end) % 8)
        yield bad


def test_thousands_of_damaged_files(tmp_path):
    tensors = {
        "w/ü": np.arange(6, dtype=np.float32).reshape(2, 3),
        "none": np.zeros((0, 4), np.int16),
    }
    tensors |= {"mask": np.array([True, False, True]), "step": np.array(12345)}
    good = repr(
        round_trip(tmp_path / "good", tensors, {"layers": [{"units": 4}], "loss": [0.25, math.nan]})
    )
    content = (tmp_path / "good").read_bytes()
    assert list(outcomes(tmp_path / "bad", [content])) == [good]
    number, size = int.from_bytes(content, "big"), len(content)
    assert set(outcomes(tmp_path / "bad", (content[:length] for length in range(size)))) == {None}
    flips = ((number ^ 1 << bit).to_bytes(size, "big") for bit in range(8 * size))
    assert set(outcomes(tmp_path / "bad", flips)) == {None}
    # A wound may spell the same contents in other words; what is not refused must be the very
    # contents.
    assert set(outcomes(tmp_path / "bad", wounds(content))) <= {None, good}


def test_importing_is_light():
    child = run_child("import sys, gatewise.checkpoint; print('safetensors' in sys.modules)")
    assert child.communicate(timeout=60)[0] == "False\n"


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
