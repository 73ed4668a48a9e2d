"""Arrays from ONNX's tensors, with nothing believed: sizes are compared before memory is taken."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from gatewise._typing import Array

# The numbers of TensorProto.DataType, with the field that holds their values if raw_data does not.
DTYPES: dict[int, tuple[np.dtype[Any], str]] = {
    1: (np.dtype("float32"), "float_data"),
    2: (np.dtype("uint8"), "int32_data"),
    3: (np.dtype("int8"), "int32_data"),
    4: (np.dtype("uint16"), "int32_data"),
    5: (np.dtype("int16"), "int32_data"),
    6: (np.dtype("int32"), "int32_data"),
    7: (np.dtype("int64"), "int64_data"),
    9: (np.dtype("bool"), "int32_data"),
    10: (np.dtype("float16"), "int32_data"),
    11: (np.dtype("float64"), "double_data"),
    12: (np.dtype("uint32"), "uint64_data"),
    13: (np.dtype("uint64"), "uint64_data"),
}
# Those that are refused, for messages.
OTHER_TYPES = {
    8: "string",
    14: "complex64",
    15: "complex128",
    16: "bfloat16",
    17: "float8e4m3fn",
    18: "float8e4m3fnuz",
    19: "float8e5m2",
    20: "float8e5m2fnuz",
    21: "uint4",
    22: "int4",
    23: "float4e2m1",
    24: "float8e8m0",
}
_EXTERNAL = 1
_MAX_AXES = 32


def type_name(number: int) -> str:
    """Return the name of a number of TensorProto.DataType, for messages."""
    if number in DTYPES:
        return DTYPES[number][0].name
    return OTHER_TYPES.get(number, f"type {number}")


def array_of(tensor: Any, folder: Path | None) -> Array:
    """Return the array of a TensorProto; the result is read-only.

    Parameters
    ----------
    tensor : onnx.TensorProto
        An initializer, or the value of a Constant.
    folder : Path or None
        Where external data are: the folder of the model's file. None: there is no file, external
        data are refused.

    Raises
    ------
    CheckpointError
        The type is not one of :data:`DTYPES`, the number of values does not match the shape, or
        external data are not a regular file inside the folder.
    """
    what = f"tensor {tensor.name[:80]!r}"
    if tensor.data_type not in DTYPES:
        raise CheckpointError(
            f"{what} is of {type_name(tensor.data_type)}; expected one of"
            f" {', '.join(dtype.name for dtype, _ in DTYPES.values())}"
        )
    dtype, field = DTYPES[tensor.data_type]
    shape = tuple(tensor.dims)
    if any(extent < 0 for extent in shape) or len(shape) > _MAX_AXES:
        raise CheckpointError(
            f"{what} has shape {shape[:40]}; expected extents from 0, and at most {_MAX_AXES} axes"
        )
    if tensor.HasField("segment"):
        raise CheckpointError(f"{what} is stored in segments, which is not supported")
    count = math.prod(shape)
    if tensor.data_location == _EXTERNAL:
        values = _external(tensor, folder, dtype, count, what)
    elif tensor.HasField("raw_data"):
        _check_size(len(tensor.raw_data), count * dtype.itemsize, shape, dtype, what)
        values = np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).astype(dtype, copy=False)
    else:
        held = getattr(tensor, field)
        if len(held) != count:
            raise CheckpointError(f"{what} of shape {shape} holds {len(held)} values, not {count}")
        try:
            values = _from_field(held, dtype)
        except (OverflowError, ValueError) as error:
            raise CheckpointError(f"{what} holds values that are no {dtype.name}") from error
    if dtype.kind == "b":
        values = values.view(np.uint8) != 0
    try:
        array = values.reshape(shape)
    except ValueError as error:  # an extent beyond what an index can count, beside a 0
        raise CheckpointError(f"{what} has shape {shape}, which is too large") from error
    array.flags.writeable = False
    return array


def _from_field(held: Any, dtype: np.dtype[Any]) -> Array:
    if dtype == np.float16:  # as bits
        return np.array(held, np.uint16).view(np.float16)
    return np.array(held, dtype)


def _check_size(
    given: int, expected: int, shape: tuple[int, ...], dtype: np.dtype[Any], what: str
) -> None:
    if given != expected:
        raise CheckpointError(
            f"{what} of shape {shape} and {dtype.name} holds {given} bytes; expected {expected}:"
            " the file is damaged"
        )


def _external(
    tensor: Any, folder: Path | None, dtype: np.dtype[Any], count: int, what: str
) -> Array:
    """Return the values from a file beside the model's."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if folder is None:
        raise CheckpointError(
            f"{what} is in the file {location!r:.80}; a model in memory has no folder: give the"
            " path of its file, or load the data with onnx.load"
        )
    path = _inside(folder, location, what)
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        size = path.stat().st_size
    except ValueError as error:
        raise CheckpointError(f"{what} has an offset or length that is no number") from error
    except OSError as error:
        raise CheckpointError(
            f"{what} is in {location!r:.80}, which cannot be read: {error.strerror}; keep the file"
            " beside that of the model"
        ) from error
    needed = count * dtype.itemsize
    if length not in (-1, needed):
        raise CheckpointError(
            f"{what} needs {needed} bytes and has {length} in {location!r:.80}: the file is damaged"
        )
    if offset < 0 or offset + needed > size:
        raise CheckpointError(
            f"{what} is bytes {offset} to {offset + needed} of {location!r:.80}, which has {size}"
        )
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read(needed)
    _check_size(len(data), needed, tuple(tensor.dims), dtype, what)
    return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)


def _inside(folder: Path, location: str, what: str) -> Path:
    """Return the path of external data: a regular file in the folder, without links on the way."""
    refused = CheckpointError(
        f"{what} has its data in {location!r:.120}; only regular files in the folder of the model"
        " are read: no paths to elsewhere and no links"
    )
    parts = location.replace("\\", "/").split("/")
    if not location or "\0" in location or os.path.isabs(location) or ":" in location:
        raise refused
    if any(part in ("", "..") for part in parts):
        raise refused
    path = folder
    for part in parts:
        path = path / part
        if path.is_symlink():
            raise refused
    if path.exists() and not path.is_file():
        raise refused
    return path
