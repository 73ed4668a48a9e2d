"""An ONNX file as its message, read with limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatewise.errors import CheckpointError, DTypeError, MissingPackageError

from .graphs import Graph, read_graph

if TYPE_CHECKING:
    from types import ModuleType

_LARGEST = 2**31 - 1  # protobuf's limit


def onnx_package() -> ModuleType:
    """Return the package onnx.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingPackageError(
            "ONNX models need the package onnx: pip install gatewise[onnx]"
        ) from error
    return onnx


def graph_of(source: Any) -> Graph:
    """Return the graph of a file, of its bytes, or of an onnx.ModelProto.

    Parameters
    ----------
    source : path, bytes or onnx.ModelProto
        The model. External data are read from the folder of a file only.

    Raises
    ------
    CheckpointError
        It cannot be read, or is damaged.
    ConfigError
        See :func:`read_graph`.
    DTypeError
        `source` is something else.
    """
    onnx = onnx_package()
    if isinstance(source, onnx.ModelProto):
        return read_graph(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return read_graph(_parsed(bytes(source), "these bytes"))
    if not isinstance(source, str | os.PathLike):
        raise DTypeError(
            f"the model is given as {type(source).__name__}; expected the path of a file, bytes or"
            " an onnx.ModelProto"
        )
    path = Path(os.fspath(source))
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise CheckpointError(f"{path} is no regular file")
        if size > _LARGEST:
            raise CheckpointError(f"{path} has {size} bytes; an ONNX file has at most 2 GiB")
        data = path.read_bytes()
    except CheckpointError:
        raise
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    try:
        return read_graph(_parsed(data, str(path)), path.parent.resolve())
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _parsed(data: bytes, what: str) -> Any:
    onnx = onnx_package()
    model = onnx.ModelProto()
    from google.protobuf.message import DecodeError

    try:
        model.ParseFromString(data)
    except (DecodeError, RuntimeError, UnicodeDecodeError, ValueError) as error:
        raise CheckpointError(f"{what}: no ONNX model, or damaged ({error})") from error
    if not model.HasField("graph"):
        raise CheckpointError(f"{what}: no ONNX model: there is no graph")
    return model
