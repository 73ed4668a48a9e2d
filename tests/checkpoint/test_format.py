"""The checkpoint file.

What is written is read back, the format byte by byte, and what cannot be stored.
"""

import json
import math
import os
import pathlib
import zlib

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from checkpoint_files import assert_same, round_trip, run_child

from gatewise import checkpoint
from gatewise.errors import CheckpointError, ConfigError, DTypeError

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8"]


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
    page = (pathlib.Path(__file__).parents[2] / "docs" / "checkpoint-format.md").read_text(
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


def test_importing_is_light():
    child = run_child("import sys, gatewise.checkpoint; print('safetensors' in sys.modules)")
    assert child.communicate(timeout=60)[0] == "False\n"
