"""A file written: arrays and a header as bytes that a reader accepts, and these to the disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import ConfigError, DTypeError, SizeError

from .files import path_text, replace_file
from .json_text import HEADER, MAX_JSON_BYTES, parse_json
from .layout import (
    CODES,
    FORMAT_VERSION,
    Tensor,
    check_tensor,
    checksum_of,
    parse_head,
    require_memory,
)
from .refusal import Refused, short

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike


def write(path: PathLike, tensors: Mapping[str, Array], header: dict[str, Any]) -> None:
    """Write arrays and a header to one file, all or nothing.

    A temporary file in the same folder is written, synced and renamed over `path`: a crash at any
    moment leaves either the old file or the new one, whole. A file that was there keeps its mode
    and, where the system allows, its owner; a symbolic link stays, and its target is replaced. The
    same contents always give the same bytes.

    Parameters
    ----------
    path : str or path-like
        The file.
    tensors : mapping of str to ndarray
        Arrays of any shape, strides and byte order; bool, integers, float16 to float64 or
        complex64. Never changed. If another thread changes them meanwhile, the file can be read but
        may hold some old and some new numbers.
    header : dict
        Strings, booleans, ``None``, integers up to 1,000 digits, floats (NaN and infinities too),
        lists and dicts with string keys. Tuples come back as lists, NumPy scalars as Python
        numbers, dicts in order of their keys.

    Raises
    ------
    DTypeError, ConfigError, SizeError
        A value has a type that the file cannot hold, a limit of docs/checkpoint-format.md is
        exceeded, or there is no memory to put the file together. No file was touched.
    CheckpointError
        The file could not be written, or what was written is not what the disk gives back;
        ``errno`` and the cause tell why. The old file is unchanged and no temporary file is left.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from gatewise import checkpoint
    >>> path = os.path.join(tempfile.mkdtemp(), "file.safetensors")
    >>> checkpoint.write(path, {"w": np.zeros((2, 3), "float32")}, {"epoch": 7})
    >>> checkpoint.read(path).header
    {'epoch': 7}
    """
    replace(path, content_of(path, tensors, header))


def content_of(path: PathLike, tensors: Mapping[str, Array], header: dict[str, Any]) -> bytes:
    """Return the bytes of the file that :func:`write` writes to `path`, for :func:`replace`.

    No file is touched. Afterwards the arrays may change.

    Raises
    ------
    DTypeError, ConfigError, SizeError
        As :func:`write`.
    """
    path = path_text(path)
    try:
        arrays = _in_order(tensors)
        content = _file_content(arrays, header)
        # None: the arrays changed between their checksum and their copy. Copies cannot.
        if content is None:
            copies = {name: array.copy() for name, array in arrays.items()}
            content = _file_content(copies, header)
            assert content is not None
    except Refused as refusal:
        raise ConfigError(f"{path!r} could not be read again: it {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"there is no memory to put {path!r} together: {error}") from error
    return content


def replace(path: PathLike, content: bytes) -> None:
    """Write what :func:`content_of` gave to the file at `path`, all or nothing.

    Raises
    ------
    CheckpointError
        As :func:`write`.
    """
    replace_file(path_text(path), content)


def _in_order(tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as C-contiguous little-endian ndarrays, in order of name."""
    if not isinstance(tensors, Mapping):
        raise DTypeError(f"tensors is a {type(tensors).__name__}, not a mapping of names to arrays")
    for name, array in tensors.items():
        if not isinstance(name, str):
            raise DTypeError(
                f"tensor names are strings; one is {short(name)} ({type(name).__name__})"
            )
        if name == "__metadata__":
            raise ConfigError(
                "a tensor may not be named '__metadata__': safetensors keeps that name"
            )
        if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
            raise DTypeError(
                f"tensor {short(name)} is a {type(array).__name__}, not a plain ndarray"
            )
        # isbuiltin 2: a type that another package registered; its kind and size may look like
        # those of NumPy's own.
        if array.dtype.str[1:] not in CODES or array.dtype.isbuiltin == 2:
            known = "bool, integers, float16, float32, float64 and complex64"
            raise DTypeError(
                f"tensor {short(name)} has dtype {array.dtype}; a checkpoint holds {known}"
            )
    # asarray, not ascontiguousarray: that one gives a 0-d array an axis.
    ordered = sorted(tensors.items())
    return {
        name: np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        for name, array in ordered
    }


def _file_content(arrays: dict[str, Array], header: dict[str, Any]) -> bytes | None:
    """The bytes of the file, which a reader accepts; None if the arrays changed meanwhile."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    if not isinstance(header, dict):
        raise DTypeError(f"header is a {type(header).__name__}, not a dict")
    document = {"format_version": FORMAT_VERSION, "header": HEADER.encode(header, "header")}
    tensors = [
        Tensor(name, CODES[array.dtype.str[1:]], array.shape, array)
        for name, array in arrays.items()
    ]
    try:
        covered = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
        covered = covered[1:]
        text = f'{{"checksum":{checksum_of(covered, tensors)},{covered}'
    except ValueError as error:  # an integer too long to print, or a string with a lone surrogate
        raise ConfigError(f"a header value or tensor name cannot be stored: {error}") from error
    for name, code, shape, _ in tensors:
        check_tensor(name, code, shape)
    require_memory(2 * (len(text) + sum(array.nbytes for array in arrays.values())))
    try:
        content = save(arrays, {"gatewise": text})  # several entries would come in random order
    except SafetensorError as error:
        raise ConfigError(
            f"the safetensors library cannot store these tensors: {str(error)[:300]}"
        ) from error
    head_size = int.from_bytes(content[:8], "little")
    if head_size > MAX_JSON_BYTES:
        taken = (
            f"header and tensor table take {head_size} bytes of JSON, of at most {MAX_JSON_BYTES}"
        )
        raise ConfigError(f"{taken}; keep long lists as tensors")
    # Judged by the reader itself before any file is touched: a valid file is never overwritten by
    # one that cannot be read.
    head = content[8 : 8 + head_size]
    parsed = parse_head(head)
    table, data = parse_json(head, "table"), memoryview(content)[8 + head_size :]
    copied = [
        tensor._replace(data=data[slice(*table[tensor.name]["data_offsets"])]) for tensor in tensors
    ]
    return content if parsed.checksum == checksum_of(parsed.covered, copied) else None
