"""Damaged checkpoint files are refused, whatever the damage."""

import math
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from checkpoint_files import OLD, assert_refused, head, one, posix, round_trip, run_child, table
from seeds import plain_generator

from gatewise import checkpoint
from gatewise.errors import CheckpointError, SizeError


def document(header="{}", version="1", checksum="0"):
    """A file without tensors."""
    return table({}, f'{{"checksum":{checksum},"format_version":{version},"header":{header}}}')


def more(text):
    """A table with another entry after the metadata."""
    return head(table({})[8:-1] + b"," + text + b"}")


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
