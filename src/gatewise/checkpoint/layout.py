"""The bytes of a file: the tensors' table, the document with the header, the checksum."""

from __future__ import annotations

import contextlib
import math
import os
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .json_text import decode_header, parse_json
from .refusal import Refused, short

FORMAT_VERSION = 2

MAX_NAME_LENGTH = 1024  # characters
MAX_RANK = 32  # the most that every NumPy can hold

# safetensors code -> NumPy kind and item size, without the byte order, which is little-endian.
DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "C64": "c8", "BOOL": "b1", "I64": "i8", "I32": "i4",
    "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
CODES = {text: code for code, text in DTYPES.items()}


class Contents(NamedTuple):
    """What one file holds.

    Attributes
    ----------
    tensors : dict of str to ndarray
        The arrays by name.
    header : dict
        JSON values beside them.
    """

    tensors: dict[str, np.ndarray[Any, Any]]
    header: dict[str, Any]


class Tensor(NamedTuple):
    """One array as the table of a file lists it."""

    name: str
    code: str
    shape: Sequence[int]
    data: Any  # a buffer of bytes


class Head(NamedTuple):
    """What the table of a file holds beside the list of tensors, which the library reads."""

    header: dict[str, Any]
    covered: str  # the text that the checksum covers
    checksum: Any


def require_memory(size: int) -> None:
    """Raise MemoryError if `size` bytes cannot be had."""
    # The library ends the process if an allocation fails. And a sparse file of any size costs
    # its sender nothing: if memory is overcommitted, the process would be killed while filling it.
    with contextlib.suppress(AttributeError, ValueError, OSError):  # a platform that does not say
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if size > memory:
            raise MemoryError(f"{size} bytes, of {memory}")
    np.empty(size, np.uint8)  # freed untouched; fails if the process has a limit of its own


def parse_head(head: bytes) -> Head:
    """Read the table of a file, except for the tensors, which the library reads."""
    if not head.startswith(b"{"):
        raise Refused("is no safetensors file: its table does not begin with '{'")
    metadata = parse_json(head, "table").get("__metadata__")
    text = metadata.get("gatewise") if type(metadata) is dict else None
    if type(text) is not str:
        raise Refused(
            "is a safetensors file but not a gatewise checkpoint: its metadata has no text"
            " 'gatewise'; read its arrays with safetensors.numpy.load_file, and give them to"
            " set_weights"
        )
    document = parse_json(text, "header")
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise Refused(f"is damaged: its format version is {short(version)}, not a positive integer")
    if version > FORMAT_VERSION:
        known = f"this one reads up to {FORMAT_VERSION}; update gatewise to read it"
        raise Refused(f"was written by a newer gatewise: format version {short(version)}, {known}")
    header = decode_header(document.get("header"))
    return Head(header, text.partition(",")[2], document.get("checksum"))


def check_tensor(name: str, code: str, shape: Sequence[int]) -> None:
    """Refuse what exceeds our limits, and what the library accepts but NumPy does not."""
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise Refused(
            f"has a tensor name of {len(name)} characters; 1 to {MAX_NAME_LENGTH} are allowed"
        )
    if code not in DTYPES:
        raise Refused(f"has tensor {short(name)} of dtype {code}; known are {', '.join(DTYPES)}")
    if len(shape) > MAX_RANK:
        raise Refused(
            f"has tensor {short(name)} of {len(shape)} axes; at most {MAX_RANK} are allowed"
        )
    # NumPy checks the product of the axes that are not empty, even if another axis is empty.
    if (
        math.prod(extent for extent in shape if extent) * np.dtype(DTYPES[code]).itemsize
        > np.iinfo(np.intp).max
    ):
        raise Refused(
            f"has tensor {short(name)} of shape {short(shape)}, larger than an array can be"
        )


def checksum_of(covered: str, tensors: Iterable[Tensor]) -> int:
    """Return the CRC-32 of a text, then of each tensor's name, dtype, shape and bytes.

    Tensors are in order of name, not of their place in the file: a tool that writes the same
    tensors in another order keeps it valid.
    """
    crc = zlib.crc32(covered.encode())
    for name, code, shape, data in tensors:
        extents = ",".join(map(str, shape))
        crc = zlib.crc32(data, zlib.crc32(f"{name}\0{code}\0{extents}\0".encode(), crc))
    return crc
