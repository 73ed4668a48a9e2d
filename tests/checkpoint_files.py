"""Helpers of the tests of checkpoint files.

Comparison, programs in child processes, hand-made headers.
"""

import json
import os
import struct
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from gatewise import checkpoint
from gatewise.errors import CheckpointError

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


OLD = {"w": np.arange(1000, dtype=np.float32)}


def run_child(code, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def head(text):
    return struct.pack("<Q", len(text)) + text


def table(tensors, text='{"checksum":0,"format_version":1,"header":{}}'):
    return head(json.dumps({"__metadata__": {"gatewise": text}} | tensors).encode())


def one(dtype="F32", shape=(2,), offsets=(0, 8), name="a"):
    return table({name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}})


def assert_refused(path, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.read(path)
    assert repr(str(path)) in str(caught.value)
    assert len(str(caught.value)) < 1000
