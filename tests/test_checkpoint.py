"""The checkpoint file: what goes in comes out, a crash loses nothing, a bad file is refused."""

import contextlib
import errno
import io
import json
import math
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

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
        assert got.shape == expected.shape
        assert got.dtype == expected.dtype.newbyteorder("=")
        assert got.dtype.isnative
        assert got.tobytes() == expected.astype(expected.dtype.newbyteorder("=")).tobytes()
        assert got.flags.owndata
        assert got.flags.writeable
        assert got.flags.aligned
        assert got.flags.c_contiguous


def round_trip(path, tensors, header=None):
    checkpoint.write(path, tensors, {} if header is None else header)
    return checkpoint.read(path)


def in_order(value):
    """The header as `read` gives it: the keys of every dict in order."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


# Round trips ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_dtype_and_byte_order(tmp_path, order):
    values = np.random.default_rng(1).integers(0, 2, size=(3, 4, 5))
    tensors = {dtype: values.astype(np.dtype(dtype).newbyteorder(order)) for dtype in DTYPES}
    assert_same(round_trip(tmp_path / "file", tensors)[0], tensors)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0, 2), (1,) * 32, (2, 1, 3), (0, 2**40)])
def test_every_shape(tmp_path, shape):
    tensors = {dtype: np.full(shape, 1, dtype) for dtype in DTYPES}
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
    }
    before = {name: array.tobytes() for name, array in tensors.items()}
    assert_same(round_trip(tmp_path / "file", tensors)[0], tensors)
    assert {name: array.tobytes() for name, array in tensors.items()} == before


def test_nan_payloads_and_signed_zeros_keep_their_bits(tmp_path):
    bits = np.array([0x7FC00001, 0xFFC00123, 0x7F800001, 0x80000000, 0x7F800000, 1], np.uint32)
    tensors = {"a": bits.view(np.float32)}
    read, _ = round_trip(tmp_path / "file", tensors)
    np.testing.assert_array_equal(read["a"].view(np.uint32), bits)


def test_names_are_any_text_and_come_back_sorted(tmp_path):
    names = ["b", "", "a/ü", "層/核", "😀", 'quote"\\', "nul\0", "\u2028", "[{", "x" * 1024]
    tensors = {name: np.array([index]) for index, name in enumerate(names) if name}
    read, _ = round_trip(tmp_path / "file ü", tensors)
    assert_same(read, tensors)
    assert list(read) == sorted(tensors)


def test_no_tensors(tmp_path):
    assert round_trip(tmp_path / "file", {}, {"a": 1}) == ({}, {"a": 1})


HEADER = {
    "text": 'ü 😀 \0 " \\ \n [[[{{{ ]]]',
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


def test_header_nan_tuples_and_numpy_scalars(tmp_path):
    given_header = {"loss": [math.nan, np.float32("nan")], "shape": (1, np.int64(2)), "flag": np.True_}
    _, header = round_trip(tmp_path / "file", {}, given_header)
    assert all(type(value) is float and math.isnan(value) for value in header["loss"])
    assert header["shape"] == [1, 2]
    assert header["flag"] is True


text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text | st.sampled_from(["$float", "$$", "$"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text | st.just("$float"), inner, max_size=4),
    max_leaves=20,
)
any_array = st.sampled_from([order + dtype for order in "<>" for dtype in DTYPES]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


@settings(max_examples=50, deadline=None)
@given(
    tensors=st.dictionaries(text.filter(lambda name: name not in {"", "__metadata__"}), any_array, max_size=4),
    header=st.dictionaries(text, json_values, max_size=4),
)
def test_anything_round_trips(tmp_path_factory, tensors, header):
    path = tmp_path_factory.getbasetemp() / "anything"
    read, got = round_trip(path, tensors, header)
    assert_same(read, tensors)
    assert repr(got) == repr(in_order(header))


def test_the_path_may_be_text_bytes_or_path(tmp_path):
    path = tmp_path / ("n" * 255)  # the longest name there is: the temporary's must not be longer
    for form in (path, str(path), os.fsencode(path)):
        assert round_trip(form, {}, {"form": str(type(form))})[1] == {"form": str(type(form))}


# The format ----------------------------------------------------------------------------------------

# Format version 1, byte by byte. No later version may stop reading it.
GOLDEN = (
    b"\xf0\x00\x00\x00\x00\x00\x00\x00"
    rb'{"__metadata__":{"gatewise":"{\"checksum\":2683659034,\"format_version\":1,'
    rb'\"header\":{\"loss\":[0.5,{\"$float\":\"nan\"}]}}"},'
    b'"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},'
    b'"mask":{"dtype":"BOOL","shape":[3],"data_offsets":[8,11]}}'
    b"\x00\x00\x80\x3f\x00\x00\x00\xc0\x01\x00\x01"
)
GOLDEN_COVERED = (
    b'"format_version":1,"header":{"loss":[0.5,{"$float":"nan"}]}}'
    b"mask\x00BOOL\x003\x00\x01\x00\x01"
    b"w\x00F32\x002,1\x00\x00\x00\x80\x3f\x00\x00\x00\xc0"
)


def test_the_format_byte_by_byte(tmp_path):
    tensors = {"mask": np.array([True, False, True]), "w": np.array([[1.0], [-2.0]], np.float32)}
    checkpoint.write(tmp_path / "file", tensors, {"loss": [0.5, math.nan]})
    assert (tmp_path / "file").read_bytes() == GOLDEN
    assert rf"\"checksum\":{zlib.crc32(GOLDEN_COVERED)},".encode() in GOLDEN
    (tmp_path / "file").write_bytes(GOLDEN)
    read, header = checkpoint.read(tmp_path / "file")
    assert_same(read, tensors)
    assert str(header) == "{'loss': [0.5, nan]}"


def test_the_same_contents_give_the_same_bytes(tmp_path):
    array = np.arange(6, dtype="<f4").reshape(2, 3)
    checkpoint.write(tmp_path / "one", {"a": array, "b": array, "c": np.ones(1)}, {"x": 1, "y": {"a": 1, "b": 2}})
    tensors = {"c": np.ones(1), "b": array.astype(">f4"), "a": np.asfortranarray(array)}
    for _ in range(20):
        checkpoint.write(tmp_path / "two", tensors, {"y": {"b": 2, "a": 1}, "x": 1})
        assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_safetensors_library_reads_our_files_and_what_it_writes_anew_is_good(tmp_path):
    tensors = {dtype: np.full((2, 3), 1, dtype) for dtype in DTYPES}
    tensors |= {"0-d": np.array(2.5), "empty": np.zeros((0, 3), np.float32), "層": np.ones(1, np.uint8)}
    checkpoint.write(tmp_path / "file", tensors, HEADER)
    loaded = safetensors.numpy.load_file(tmp_path / "file")
    assert_same({name: np.array(array) for name, array in loaded.items()}, tensors)
    with safetensors.safe_open(tmp_path / "file", "np") as file:
        metadata = file.metadata()
    assert json.loads(metadata["gatewise"])["header"]["text"] == HEADER["text"]
    safetensors.numpy.save_file(tensors, tmp_path / "again", metadata=metadata | {"other": "kept by another tool"})
    read, header = checkpoint.read(tmp_path / "again")
    assert_same(read, tensors)
    assert header == HEADER


# What write refuses, before it touches a file ---------------------------------------------------------

cycle = {}
cycle["again"] = [cycle]


@pytest.mark.parametrize(
    ("header", "error", "words"),
    [
        ([], DTypeError, "header is a list"),
        ({"a": [1, {2}]}, DTypeError, r"header\['a'\]\[1\] is a set"),
        ({"a": {1: 2}}, DTypeError, r"header\['a'\] has key 1 \(int\)"),
        ({"a": b"bytes"}, DTypeError, "is a bytes"),
        ({"a": np.zeros(3)}, DTypeError, "is a ndarray"),
        ({"a": 1j}, DTypeError, "is a complex"),
        ({"a": np.longdouble(1)}, DTypeError, "is a longdouble"),
        ({"a": 10**1000}, ConfigError, "number of 1001 characters"),
        ({"a": 1 << 20000}, ConfigError, "stored"),
        ({"a": "\ud800"}, ConfigError, "surrogates"),
        ({"\udcff": 1}, ConfigError, "surrogates"),
        (cycle, ConfigError, "contains itself"),
    ],
    ids=lambda value: "" if isinstance(value, dict | list) else None,
)
def test_headers_that_cannot_be_stored(tmp_path, monkeypatch, header, error, words):
    monkeypatch.setattr(checkpoint, "open", None, raising=False)
    with pytest.raises(error, match=words):
        checkpoint.write(tmp_path / "file", {}, header)
    assert os.listdir(tmp_path) == []


def test_nesting_up_to_the_limit(tmp_path):
    def nested(levels):
        value = 1.5
        for _ in range(levels):
            value = [value]
        return {"a": value}

    assert round_trip(tmp_path / "file", {}, nested(63))[1] == nested(63)
    with pytest.raises(ConfigError, match="deeper than 64"):
        checkpoint.write(tmp_path / "file", {}, nested(64))
    assert checkpoint.read(tmp_path / "file")[1] == nested(63)


def test_limits_hold_for_writing_too(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "MAX_JSON_VALUES", 1000)
    monkeypatch.setattr(checkpoint, "MAX_JSON_BYTES", 10_000)
    with pytest.raises(ConfigError, match="JSON values; at most 1000"):
        checkpoint.write(tmp_path / "file", {}, {"a": [0] * 1000})
    with pytest.raises(ConfigError, match="bytes of JSON, of at most 10000"):
        checkpoint.write(tmp_path / "file", {}, {"a": "x" * 10_000})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("tensors", "error", "words"),
    [
        ([1], DTypeError, "tensors is a list"),
        ({1: np.zeros(1)}, DTypeError, "names are strings"),
        ({"a": [1.0]}, DTypeError, "'a' is a list"),
        ({"a": np.float32(1)}, DTypeError, "'a' is a float32"),
        ({"a": np.array([None])}, DTypeError, "dtype object"),
        ({"a": np.array(["text"])}, DTypeError, "dtype <U4"),
        ({"a": np.zeros(2, complex)}, DTypeError, "dtype complex128"),
        ({"a": np.zeros(2, "m8[s]")}, DTypeError, "dtype timedelta64"),
        ({"a": np.zeros(2, [("x", "f4")])}, DTypeError, "dtype "),
        ({"a": np.zeros(2, "V4")}, DTypeError, "dtype "),
        ({"a": np.ma.masked_array([1.0], [True])}, DTypeError, "MaskedArray"),
        ({"__metadata__": np.zeros(1)}, ConfigError, "__metadata__"),
        ({"": np.zeros(1)}, ConfigError, "name of 0 characters"),
        ({"n" * 1025: np.zeros(1)}, ConfigError, "name of 1025 characters"),
        ({"\ud800": np.zeros(1)}, ConfigError, "surrogates"),
    ],
    ids=lambda value: "" if isinstance(value, dict | list) else None,
)
def test_tensors_that_cannot_be_stored(tmp_path, monkeypatch, tensors, error, words):
    monkeypatch.setattr(checkpoint, "open", None, raising=False)
    with pytest.raises(error, match=words):
        checkpoint.write(tmp_path / "file", tensors, {})
    assert os.listdir(tmp_path) == []


def test_a_dtype_of_another_package_is_refused_even_if_it_looks_like_ours(tmp_path):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name in ("bfloat16", "float8_e5m2", "int4"):
        with pytest.raises(DTypeError, match=name):
            checkpoint.write(tmp_path / "file", {"a": np.zeros(2, getattr(ml_dtypes, name))}, {})


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="NumPy 1 has no more than 32 axes")
def test_more_axes_than_every_numpy_has(tmp_path):
    with pytest.raises(ConfigError, match="33 axes"):
        checkpoint.write(tmp_path / "file", {"a": np.zeros((1,) * 33)}, {})


def test_a_path_that_is_none(tmp_path):
    for path in (3, None, 1.5):
        with pytest.raises(DTypeError, match="path is a"):
            checkpoint.write(path, {}, {})
        with pytest.raises(DTypeError, match="path is a"):
            checkpoint.read(path)
    for path in ("nul\0", str(tmp_path / "\ud800")):
        with pytest.raises(CheckpointError, match="cannot"):
            checkpoint.write(path, {}, {})
        with pytest.raises(CheckpointError, match="cannot"):
            checkpoint.read(path)


# Atomic writing --------------------------------------------------------------------------------------

OLD = {"w": np.arange(1000, dtype=np.float32)}
NEW = {"w": np.arange(2000, dtype=np.float64)}


class FailingFile(io.FileIO):
    """A file that takes some of the bytes and then runs out of room."""

    def write(self, content):
        super().write(content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def fail(monkeypatch, where, error):
    def failing(*_args, **_kwargs):
        raise error

    if where == "write":
        monkeypatch.setattr(checkpoint, "open", FailingFile, raising=False)
    elif where == "open":
        monkeypatch.setattr(checkpoint, "open", failing, raising=False)
    else:
        monkeypatch.setattr(checkpoint.os, where, failing)


@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize(
    ("where", "code"),
    [("open", errno.EROFS), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("replace", errno.EACCES)],
)
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, where, code, existing):
    path = tmp_path / "file"
    if existing:
        checkpoint.write(path, OLD, {"old": True})
    cause = OSError(code, os.strerror(code))
    with monkeypatch.context() as patched:
        fail(patched, where, cause)
        with pytest.raises(CheckpointError, match="unchanged") as caught:
            checkpoint.write(path, NEW, {})
    assert caught.value.errno == code
    assert os.strerror(code) in str(caught.value)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert os.listdir(tmp_path) == ["file"] * existing
    if existing:
        read, header = checkpoint.read(path)
        assert_same(read, OLD)
        assert header == {"old": True}


@pytest.mark.parametrize("where", ["open", "fsync", "replace"])
def test_an_interrupt_goes_on_and_leaves_nothing_behind(tmp_path, monkeypatch, where):
    checkpoint.write(tmp_path / "file", OLD, {})
    with monkeypatch.context() as patched:
        fail(patched, where, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.write(tmp_path / "file", NEW, {})
    assert os.listdir(tmp_path) == ["file"]
    assert_same(checkpoint.read(tmp_path / "file")[0], OLD)


@posix
def test_a_folder_that_cannot_be_synced(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(descriptor, code):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(checkpoint.os, "fsync", lambda descriptor: fsync(descriptor, errno.EINVAL))
    checkpoint.write(tmp_path / "file", OLD, {})  # the file system has no such thing: no error
    monkeypatch.setattr(checkpoint.os, "fsync", lambda descriptor: fsync(descriptor, errno.EIO))
    with pytest.raises(CheckpointError, match="is written, but"):
        checkpoint.write(tmp_path / "file", NEW, {})
    assert os.listdir(tmp_path) == ["file"]
    assert_same(checkpoint.read(tmp_path / "file")[0], NEW)


@posix
def test_the_order_of_events(tmp_path, monkeypatch):
    events = []

    def spy(name):
        real = getattr(os, name)

        def call(*args, **kwargs):
            events.append((name, stat.S_ISDIR(os.fstat(args[0]).st_mode)) if name == "fsync" else (name,))
            return real(*args, **kwargs)

        monkeypatch.setattr(checkpoint.os, name, call)

    spy("fsync")
    spy("replace")
    checkpoint.write(tmp_path / "file", OLD, {})
    assert events == [("fsync", False), ("replace",), ("fsync", True)]


def test_a_missing_folder_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="cannot write") as caught:
        checkpoint.write(tmp_path / "missing" / "file", OLD, {})
    assert isinstance(caught.value, CheckpointError)
    assert caught.value.errno == errno.ENOENT


def test_a_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot read .*missing") as caught:
        checkpoint.read(tmp_path / "missing")
    assert isinstance(caught.value, checkpoint.CheckpointNotFoundError)
    assert isinstance(caught.value, CheckpointError)
    assert caught.value.errno == errno.ENOENT


def run_child(code, *arguments, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **options)


@posix
def test_a_disk_that_is_really_full(tmp_path):
    checkpoint.write(tmp_path / "file", OLD, {})
    child = run_child(
        """
        import resource, sys
        import numpy as np
        from gatewise import checkpoint
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            checkpoint.write(sys.argv[1], {"w": np.zeros(100_000)}, {})
        except checkpoint.CheckpointError as error:
            print(error.errno, error)
        """,
        tmp_path / "file",
    )
    output, _ = child.communicate(timeout=60)
    assert output.startswith(f"{errno.EFBIG} cannot write")
    assert os.listdir(tmp_path) == ["file"]
    assert_same(checkpoint.read(tmp_path / "file")[0], OLD)


@posix
def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    draw = random.Random(5)
    seen = set()
    for _ in range(5):
        child = run_child(
            """
            import itertools, os, sys
            import numpy as np
            from gatewise import checkpoint
            for count in itertools.count():
                size = 1000 + 50_000 * (count % 3)
                value = os.getpid() * 10_000 + count
                checkpoint.write(sys.argv[1], {"a": np.full(size, value), "b": np.full(7, value, "f4")},
                                 {"value": value, "size": size})
                if count == 0:
                    print("writing", flush=True)
            """,
            path,
        )
        assert child.stdout.readline() == "writing\n"
        end = time.monotonic() + draw.uniform(0.0, 0.1)
        while time.monotonic() < end:  # a reader beside the writer sees whole files too
            checkpoint.read(path)
        child.send_signal(signal.SIGKILL)
        child.communicate(timeout=60)
        tensors, header = checkpoint.read(path)
        assert tensors["a"].shape == (header["size"],)
        assert (tensors["a"] == header["value"]).all()
        assert (tensors["b"] == np.float32(header["value"])).all()
        seen.add(header["value"])
        left = list(tmp_path.glob(".gatewise-*.tmp"))
        assert len(left) <= 1
        for temporary in left:
            temporary.unlink()
    assert len(seen) == 5


def test_many_writers_at_once(tmp_path):
    def work(value):
        for _ in range(20):
            with contextlib.suppress(PermissionError):  # Windows: two cannot rename to one name at once
                checkpoint.write(tmp_path / "file", {"a": np.full(5000, value)}, {"value": value})

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tensors, header = checkpoint.read(tmp_path / "file")
    assert (tensors["a"] == header["value"]).all()
    assert os.listdir(tmp_path) == ["file"]


# Permissions, links, other kinds of file -----------------------------------------------------------------


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_new_file_has_the_mode_that_open_gives(tmp_path, mask):
    before = os.umask(mask)
    try:
        checkpoint.write(tmp_path / "ours", OLD, {})
        (tmp_path / "plain").write_bytes(b"")
    finally:
        os.umask(before)
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_an_existing_file_keeps_its_mode(tmp_path, mode):
    checkpoint.write(tmp_path / "file", OLD, {})
    (tmp_path / "file").chmod(mode)
    checkpoint.write(tmp_path / "file", NEW, {})
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


@posix
def test_a_private_file_is_private_while_it_is_written(tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "file", OLD, {})
    (tmp_path / "file").chmod(0o600)
    modes = []

    def opened(name, flags, mode):
        descriptor = os_open(name, flags, mode)
        modes.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return descriptor

    os_open = os.open
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "_sync_folder", lambda _: None)
        patched.setattr(checkpoint.os, "open", opened)
        checkpoint.write(tmp_path / "file", NEW, {})
    assert modes == [0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_stays(tmp_path):
    checkpoint.write(tmp_path / "file", OLD, {})
    os.chown(tmp_path / "file", 1234, 2345)
    checkpoint.write(tmp_path / "file", NEW, {})
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_a_read_only_file_stays(tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "file", OLD, {})
    (tmp_path / "file").chmod(0o444)
    monkeypatch.setattr(checkpoint.os, "access", lambda *_: False)  # root may write to any file
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
        assert (tmp_path / "link to link").is_symlink()
        assert (tmp_path / "link").is_symlink()
        assert not (tmp_path / "real" / "file").is_symlink()
        assert_same(checkpoint.read(tmp_path / "link")[0], tensors)
    assert os.listdir(tmp_path / "real") == ["file"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(CheckpointError, match="cannot write"):
        checkpoint.write(tmp_path / "loop", OLD, {})
    with pytest.raises(CheckpointError, match="cannot read"):
        checkpoint.read(tmp_path / "loop")


def in_time(call, *arguments):
    """What `call` raises; fails if it does not return, as opening a pipe would not."""
    result = []

    def work():
        try:
            call(*arguments)
        except Exception as error:
            result.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return result[0]


@posix
def test_folders_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "folder", tmp_path / "link", "/dev/null", "/dev/zero"):
        kind = "a folder" if path == tmp_path / "folder" else "a device, pipe or socket"
        for error in (in_time(checkpoint.read, path), in_time(checkpoint.write, path, OLD, {})):
            assert isinstance(error, CheckpointError)
            assert kind in str(error)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    for path in ("", str(tmp_path / "new") + os.sep):
        with pytest.raises(CheckpointError):
            checkpoint.write(path, OLD, {})
    assert sorted(os.listdir(tmp_path)) == ["folder", "link", "pipe"]


@posix
def test_a_pipe_that_takes_the_files_place_after_the_look(tmp_path, monkeypatch):
    checkpoint.write(tmp_path / "file", OLD, {})
    regular = os.stat(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(checkpoint.os, "stat", lambda _: regular)
    assert "a device, pipe or socket" in str(in_time(checkpoint.read, tmp_path / "pipe"))


# Damaged and forged files ---------------------------------------------------------------------------------


def document(header="{}", version="1", checksum="0"):
    return f'{{"checksum":{checksum},"format_version":{version},"header":{header}}}'


GOOD_CHECKSUM = str(zlib.crc32(b'"format_version":1,"header":{}'))


def forge(path, table, data=b"", text=None, head_size=None):
    """A file with any table: a dict of tensors, to which metadata is added, or bytes."""
    if isinstance(table, dict):
        table = json.dumps({"__metadata__": {"gatewise": document() if text is None else text}} | table).encode()
    path.write_bytes(struct.pack("<Q", len(table) if head_size is None else head_size) + table + data)


def entry(dtype="F32", shape=(2,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets} | more


def meta(more):
    return json.dumps({"__metadata__": {"gatewise": document()}}).encode()[:-1] + more + b"}"


def test_forge_forges_good_files_too(tmp_path):
    forge(tmp_path / "file", {}, text=document(checksum=GOOD_CHECKSUM))
    assert checkpoint.read(tmp_path / "file") == ({}, {})


LIBRARY = "is damaged or cut short: "
BAD_TABLES = {
    "dtype unknown": ({"a": entry("F128", (1,), (0, 16))}, 16, LIBRARY + ".*F128"),
    "dtype of no numpy": ({"a": entry("BF16", (4,))}, 8, "dtype BF16; known are F64"),
    "shape of another size": ({"a": entry(shape=(2**40,))}, 8, LIBRARY),
    "shape that overflows 64 bits": ({"a": entry(shape=(2**32, 2**32 + 1, 2**3))}, 8, LIBRARY),
    "extent beyond 63 bits": ({"a": entry(shape=(0, 2**63), offsets=[0, 0])}, 0, "larger than an array"),
    "empty but beyond numpy": ({"a": entry(shape=(0, 2**62), offsets=[0, 0])}, 0, "larger than an array"),
    "rank": ({"a": entry(shape=(1,) * 33, offsets=[0, 4])}, 4, "33 axes"),
    "offsets missing": ({"a": {"dtype": "F32", "shape": [2]}}, 8, LIBRARY),
    "offsets swapped": ({"a": entry(offsets=[8, 0])}, 8, LIBRARY),
    "gap": ({"a": entry(), "b": entry(offsets=[12, 20])}, 20, LIBRARY),
    "overlap": ({"a": entry(), "b": entry(offsets=[4, 12])}, 12, LIBRARY),
    "data too short": ({"a": entry()}, 7, LIBRARY),
    "data too long": ({"a": entry()}, 9, LIBRARY),
    "name empty": ({"": entry()}, 8, "name of 0 characters"),
    "name too long": ({"n" * 1025: entry()}, 8, "name of 1025 characters"),
    "name half a surrogate pair": ({"\ud800": entry()}, 8, "not JSON in UTF-8"),
    "long name and unknown dtype": ({"n" * 100_000: entry("Z" * 100_000)}, 8, LIBRARY),
    "BOOL of 2": ({"a": entry("BOOL", (3,), [0, 3])}, b"\x00\x02\x01", "other than 0 and 1"),
    "checksum": ({"a": entry()}, 8, "checksum"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_bad_tables(tmp_path, case):
    table, data, words = BAD_TABLES[case]
    forge(tmp_path / "file", table, data if isinstance(data, bytes) else bytes(data))
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.read(tmp_path / "file")
    assert repr(str(tmp_path / "file")) in str(caught.value)
    assert len(str(caught.value)) < 1000


def header(text):
    return document('{"a":' + text + "}")


BAD_TEXTS = {
    "empty": ("", "not JSON"),
    "a list": ("[]", "not a JSON object"),
    "half a surrogate pair": ('"\ud800"', "not JSON in UTF-8"),
    "no version": ("{}", "format version is None"),
    "version 0": (document(version="0"), "format version is 0"),
    "version true": (document(version="true"), "format version is True"),
    "version as text": (document(version='"1"'), "format version is '1'"),
    "version 7": (document(version="7", header="null"), "newer gatewise: format version 7, this one reads up to 1"),
    "no header": ('{"checksum":0,"format_version":1}', "header is None, not a dict"),
    "no checksum": ('{"format_version":1,"header":{}}', "checksum"),
    "checksum as text": (document(checksum=f'"{GOOD_CHECKSUM}"'), "checksum"),
    "checksum elsewhere": ('{"format_version":1,"header":{},"checksum":' + GOOD_CHECKSUM + "}", "checksum"),
    "header a list": (document("[]"), "not a dict"),
    "header a float": (document('{"$float":"nan"}'), "not a dict"),
    "cut": (document()[:-1], "unpaired brackets"),
    "twice": (header('{"b":1,"c":1,"b":2}'), "'b' occurs twice"),
    "twice in other words": (header('{"b":1,"\\u0062":2}'), "'b' occurs twice"),
    "NaN": (header("NaN"), "NaN is not finite"),
    "infinity": (header("-Infinity"), "-Infinity is not finite"),
    "1e999": (header("1e999"), "1e999 is not finite"),
    "escaped half a surrogate pair": (header('["\\uD800"]'), "not JSON in UTF-8"),
    "escaped half a surrogate pair in a key": (document('{"\\udc00":1}'), "not JSON in UTF-8"),
    "float unknown": (header('{"$float":"1"}'), r"has \{'\$float': '1'\}"),
    "float a list": (header('{"$float":[]}'), "for a float"),
    "float and more": (header('{"$float":"nan","b":1}'), "for a float"),
    "mark unknown": (document('{"$object":1}'), "unknown mark"),
    "digits": (header("9" * 1_000_000), "number of 1000000 characters"),
    "decimals": (header("0." + "9" * 1_000_000), "number of 1000002 characters"),
    "deep": (header("[" * 10_000 + "]" * 10_000), "deeper than 64"),
    "one too deep": (header("[" * 64 + "]" * 64), "deeper than 64"),
    "deep objects": ('{"a":' * 10_000 + "1" + "}" * 10_000, "deeper than 64"),
    "wide": (header("[" + "0," * 1_000_000 + "0]"), "JSON values"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_bad_texts(tmp_path, case):
    text, words = BAD_TEXTS[case]
    forge(tmp_path / "file", {}, text=text)
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.read(tmp_path / "file")
    assert len(str(caught.value)) < 1000


BAD_HEADS = {
    "empty": (b"", "not begin with"),
    "not json": (b"{hello}", "not JSON"),
    "a list": (b"[]", "not begin with"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not begin with"),
    "no metadata": (b"{}", "not a gatewise checkpoint"),
    "metadata a list": (b'{"__metadata__":[]}', "not a gatewise checkpoint"),
    "metadata of another": (b'{"__metadata__":{"format":"pt"}}', "not a gatewise checkpoint"),
    "metadata a number": (b'{"__metadata__":{"gatewise":1}}', "not a gatewise checkpoint"),
    "metadata twice": (meta(b',"__metadata__":{}'), "'__metadata__' occurs twice"),
    "other metadata a number": (meta(b"")[:-2] + b',"x":1}}', LIBRARY),
    "tensor twice": (meta(b',"a":1,"a":1'), "'a' occurs twice"),
    "key twice": (meta(b',"a":{"dtype":"F32","dtype":"F32"}'), "'dtype' occurs twice"),
    "not utf-8": (meta(b',"\xff":1'), "not JSON in UTF-8"),
    "utf-8 surrogate": (meta(b',"\xed\xa0\x80":1'), "not JSON in UTF-8"),
    "two objects": (b"{}{}", "not JSON"),
    "zero bytes after": (b"{}\0\0", "not JSON"),
    "deep lists": (b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deeper than 64"),
    "deep lists, open": (b'{"a":' + b"[" * 900_000, "deeper than 64"),
    "depth after escapes": (b'{"\\\\":"\\"","\\"":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deeper than 64"),
    "digits": (meta(b',"a":{"dtype":"F32","shape":[' + b"9" * 1_000_000 + b"]}"), "1000000 characters"),
    "wide": (b'{"a":[' + b"[]," * 3_000_000 + b"1]}", "JSON values"),
    "quotes": (b'{"a":' + b'"' * 5_000_000, "JSON values"),
    "backslashes": (b'{"a":"' + b"\\" * 5_000_000, "unpaired brackets"),
}


@pytest.mark.parametrize("case", BAD_HEADS)
def test_bad_heads(tmp_path, case):
    head, words = BAD_HEADS[case]
    forge(tmp_path / "file", head)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1_000_000)  # no help from Python: a parser that recursed would overflow the stack
    try:
        with pytest.raises(CheckpointError, match=words):
            checkpoint.read(tmp_path / "file")
    finally:
        sys.setrecursionlimit(limit)


def test_brackets_in_strings_are_not_depth(tmp_path):
    vocabulary = {"vocabulary": ["[" * 100, "{" * 100, '"[', "\\", '\\"{']}
    assert round_trip(tmp_path / "file", {"[" * 100: np.zeros(1)}, vocabulary)[1] == vocabulary


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cut short"),
        (b"1234567", "cut short"),
        (struct.pack("<Q", 1), "announce a table of 1 bytes, 0 follow"),
        (struct.pack("<Q", 2**64 - 1) + b"{}", "announce a table of 18446744073709551615 bytes, 2 follow"),
        (b"PK\3\4" + bytes(100), "no safetensors file"),
        (b"cos\nsystem\n(S'exit'\ntR.", "no safetensors file"),
    ],
)
def test_files_of_another_kind(tmp_path, content, words):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        checkpoint.read(tmp_path / "file")


@posix
def test_a_sparse_file_of_any_size_takes_no_memory(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        file.write(struct.pack("<Q", 10**9) + b"{")
        file.truncate(2 * 10**9)
    with pytest.raises(CheckpointError, match="announce a table of 1000000000 bytes"):
        checkpoint.read(tmp_path / "file")
    size = 2**43  # more than any machine's memory; many file systems allow it
    forge(tmp_path / "file", {"a": entry("U8", (size,), [0, size])})
    try:
        os.truncate(tmp_path / "file", os.path.getsize(tmp_path / "file") + size)
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


def test_memory_is_bounded_by_the_file(tmp_path):
    checkpoint.write(tmp_path / "file", {name: np.ones(500_000, np.float32) for name in "abc"}, {})
    forge(tmp_path / "wide", b'{"a":[' + b'{"":0},' * 240_000 + b"1]}")
    tracemalloc.start()
    try:
        checkpoint.read(tmp_path / "file")
        assert tracemalloc.get_traced_memory()[1] < 2.1 * os.path.getsize(tmp_path / "file")
        tracemalloc.reset_peak()
        with pytest.raises(CheckpointError):
            checkpoint.read(tmp_path / "wide")
        assert tracemalloc.get_traced_memory()[1] < 120_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("change", ["cut", "other table"])
def test_a_file_changed_while_it_is_read(tmp_path, monkeypatch, change):
    checkpoint.write(tmp_path / "file", OLD, {})
    content = (tmp_path / "file").read_bytes()
    changed = content[:1000] if change == "cut" else content.replace(b"F32", b"I32")
    monkeypatch.setattr(checkpoint, "_require_memory", lambda _: (tmp_path / "file").write_bytes(changed))
    with pytest.raises(CheckpointError, match="changed by another program"):
        checkpoint.read(tmp_path / "file")


def small_file(path):
    tensors = {
        "w/ü": np.arange(6, dtype=np.float32).reshape(2, 3),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 4), np.int16),
        "step": np.array(12345),
    }
    checkpoint.write(path, tensors, {"layers": [{"units": 4}], "loss": [0.25, math.nan], "rng": 2**120})
    return path.read_bytes()


def overwrite(file, content):
    """Change an open file in place, which is ten times as fast as a new file each time."""
    file.seek(0)
    file.write(content)
    file.truncate()


def test_every_single_bit_and_every_length(tmp_path):
    content = small_file(tmp_path / "good")
    bad = tmp_path / "bad"
    with open(bad, "wb", buffering=0) as file:
        for length in range(len(content)):
            overwrite(file, content[:length])
            with pytest.raises(CheckpointError):
                checkpoint.read(bad)
        for position in range(len(content)):
            for bit in range(8):
                flipped = bytearray(content)
                flipped[position] ^= 1 << bit
                overwrite(file, flipped)
                with pytest.raises(CheckpointError):
                    checkpoint.read(bad)
        overwrite(file, content)
    assert str(checkpoint.read(bad)) == str(checkpoint.read(tmp_path / "good"))


SPLINTERS = b'0 9 -1 1e9 [ ] { } " \\ , : null true NaN \\ud800 18446744073709551615 9223372036854775808 '
SPLINTERS += b'\xff \0 F64 I8 BOOL BF16 shape dtype __metadata__ "a":1, [[[[[[[['
SPLINTERS = [b"", b" ", *SPLINTERS.split(b" ")]


def test_thousands_of_damaged_files(tmp_path):
    """What is not refused must be the very contents."""
    content = small_file(tmp_path / "good")
    good = repr(checkpoint.read(tmp_path / "good"))
    draw = random.Random(11)
    bad = tmp_path / "bad"
    refused = 0
    with open(bad, "wb", buffering=0) as file:
        for _ in range(4000):
            damaged = bytearray(content)
            for _ in range(draw.choice([1, 1, 2, 5])):
                at = draw.randrange(8, len(damaged))
                end = at + draw.randrange(20)
                damaged[at:end] = draw.choice([draw.choice(SPLINTERS), damaged[end : end + 40], draw.randbytes(1)])
            if draw.random() < 0.7:  # keep the length true, to reach what comes after
                end = max(damaged.rfind(b"}") + 1, 8)
                damaged[:8] = struct.pack("<Q", end - 8 + (-end) % 8)
            overwrite(file, damaged)
            try:
                assert repr(checkpoint.read(bad)) == good
            except CheckpointError:
                refused += 1
    assert refused > 3900


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any bytes"
    for data in (content, struct.pack("<Q", len(content)) + content):
        path.write_bytes(data)
        with pytest.raises(CheckpointError):
            checkpoint.read(path)


def test_importing_is_light():
    child = run_child("import sys, gatewise.checkpoint; print('safetensors' in sys.modules)")
    assert child.communicate(timeout=60)[0] == "False\n"
