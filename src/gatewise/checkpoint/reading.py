"""A file read: every length, name, dtype, shape and bound is checked, then the checksum."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from gatewise import file_kinds
from gatewise.errors import CheckpointError, SizeError

from .files import failure, open_regular, path_text, require_regular
from .json_text import MAX_JSON_BYTES
from .layout import DTYPES, Contents, Tensor, check_tensor, checksum_of, parse_head, require_memory
from .refusal import Refused, short

if TYPE_CHECKING:
    from typing import BinaryIO

    from gatewise._typing import PathLike


def read(path: PathLike) -> Contents:
    """Read a file that :func:`write` wrote.

    Every length, name, dtype, shape and bound is checked, then the checksum over all of it. Nothing
    in the file is executed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    tensors : dict of str to ndarray
        In order of name; each array owns its memory, is writable, C-contiguous and in native byte
        order.
    header : dict
        As it was given to :func:`write`, with the keys of every dict in order.

    Raises
    ------
    CheckpointError
        The file cannot be read, is damaged, or is not a gatewise checkpoint of a known version. If
        there is no file it is a CheckpointNotFoundError, which is a ``FileNotFoundError`` too.
    SizeError
        The file and its arrays together do not fit in memory.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from gatewise import checkpoint
    >>> path = os.path.join(tempfile.mkdtemp(), "file.safetensors")
    >>> checkpoint.write(path, {"w": np.arange(3.0)}, {"loss": [0.5, float("nan")]})
    >>> checkpoint.read(path)
    Contents(tensors={'w': array([0., 1., 2.])}, header={'loss': [0.5, nan]})
    """
    path = path_text(path)
    try:
        with open(path, "rb", opener=open_regular) as file:
            return _read_file(file, path)
    except Refused as refusal:
        raise CheckpointError(f"{path!r} {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"{path!r} takes more memory than there is: {error}") from error
    # ValueError: a path with a zero byte or a lone surrogate
    except (OSError, ValueError) as error:
        raise failure(f"cannot read {path!r}", error) from error


def _refuse_foreign(path: str, file: BinaryIO) -> None:
    """Refuse a file of a known other format by its name; the file stays at its first byte."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(300)
    file.seek(0)
    if int.from_bytes(start[:8], "little") > min(size - 8, MAX_JSON_BYTES) or start[8:9] != b"{":
        text = file_kinds.foreign_text(path, start, size)
        if text is not None:
            raise Refused(text)


def _read_file(file: BinaryIO, path: str) -> Contents:
    from safetensors import SafetensorError, deserialize

    status = os.fstat(file.fileno())
    require_regular(status)
    _refuse_foreign(path, file)
    start = file.read(8)
    follow, head_size = status.st_size - 8, int.from_bytes(start, "little")
    if head_size > min(follow, MAX_JSON_BYTES):
        raise Refused(
            "is no safetensors file, or is cut short: its first 8 bytes announce a table of"
            f" {head_size} bytes, {max(follow, 0)} follow, and {MAX_JSON_BYTES} are allowed"
        )
    start += file.read(head_size)
    head = parse_head(start[8:])
    require_memory(2 * status.st_size)
    file.seek(0)
    content = file.read(status.st_size)
    if len(content) != status.st_size or not content.startswith(start):
        raise Refused("was changed by another program while it was read")
    try:
        table = sorted(deserialize(content), key=lambda tensor: tensor[0])
    except SafetensorError as error:
        raise Refused(f"is damaged or cut short: {str(error)[:300]}") from None
    del content

    tensors = [Tensor(name, entry["dtype"], entry["shape"], entry["data"]) for name, entry in table]
    for name, code, shape, data in tensors:
        check_tensor(name, code, shape)
        if code == "BOOL" and data.translate(None, b"\0\1"):
            raise Refused(
                f"is damaged: tensor {short(name)} is BOOL and holds a byte other than 0 and 1"
            )
    if head.checksum != checksum_of(head.covered, tensors):
        raise Refused("is damaged: its contents do not match its checksum")
    # astype copies, so that each array owns its memory.
    views = (
        (name, np.ndarray(shape, "<" + DTYPES[code], data)) for name, code, shape, data in tensors
    )
    arrays = {name: view.astype(view.dtype.newbyteorder("=")) for name, view in views}
    return Contents(arrays, head.header)
