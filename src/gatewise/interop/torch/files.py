"""Files of ``torch.save`` and of safetensors, as names and tensors; nothing in them is executed."""

from __future__ import annotations

import io
import os
import re
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.checkpoint.files import failure, open_regular, path_text, require_regular
from gatewise.checkpoint.layout import require_memory
from gatewise.checkpoint.refusal import Refused, short
from gatewise.errors import CheckpointError, SizeError

from .pickled import Reader
from .tensors import DTYPES, STORAGES, Storage, StorageType, Tensor, _numbers

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike

# The first pickle of the format before PyTorch 1.6, and its number of that format.
_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
# A count of names in a file is bounded by its size; this bounds what a table of a zip file takes.
_MOST_ENTRIES = 100_000


class Found(NamedTuple):
    """What a file holds."""

    value: Any  # of a state_dict: a dict of names and Tensor values
    ordered: bool  # whether its names are in the order in which they were given to the writer


def read(path: PathLike) -> Found:
    """Return what a file holds.

    Parameters
    ----------
    path : str or path-like
        A file of ``torch.save``, in either of its two formats, or of safetensors.

    Raises
    ------
    CheckpointError
        It cannot be read, is damaged, or holds what a state_dict does not need.
    SizeError
        It does not fit into memory.
    """
    path = path_text(path)
    try:
        with open(path, "rb", opener=open_regular) as file:
            status = os.fstat(file.fileno())
            require_regular(status)
            require_memory(2 * status.st_size)
            content = file.read(status.st_size)
        return _contents_of(content)
    except Refused as refusal:
        raise CheckpointError(f"{path!r} {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"{path!r} takes more memory than there is: {error}") from error
    # ValueError: a path with a zero byte or a lone surrogate
    except (OSError, ValueError) as error:
        raise failure(f"cannot read {path!r}", error) from error


def _contents_of(content: bytes) -> Found:
    if content[:4] == b"PK\3\4":
        return Found(_from_zip(content), ordered=True)
    if content[:1] == b"\x80":
        return Found(_from_pickles(content), ordered=True)
    if content[8:9] == b"{":
        return Found(_from_safetensors(content), ordered=False)  # their writer sorts
    raise Refused("is no file of torch.save or of safetensors: it begins with the bytes of neither")


# ---- safetensors


def _from_safetensors(content: bytes) -> dict[str, Tensor]:
    from safetensors import SafetensorError, deserialize

    try:
        table = deserialize(content)
    except SafetensorError as error:
        raise Refused(f"is damaged or cut short: {str(error)[:300]}") from None
    return {name: _safe_tensor(name, entry) for name, entry in sorted(table, key=_natural)}


def _natural(entry: tuple[str, Any]) -> list[tuple[int, str]]:
    """Return a key that sorts "2.weight" before "10.weight"."""
    return [
        (int(part), "") if part.isdecimal() and len(part) < 9 else (-1, part)
        for part in re.split(r"([0-9]+)", entry[0])
    ]


def _safe_tensor(name: str, entry: dict[str, Any]) -> Tensor:
    kind = DTYPES.get(entry["dtype"])
    if kind is None:
        raise Refused(
            f"has tensor {short(name)} of dtype {entry['dtype']}; known are {', '.join(DTYPES)}"
        )
    shape, data = tuple(entry["shape"]), entry["data"]
    return Tensor(shape, lambda: _numbers(np.frombuffer(data, kind.dtype).reshape(shape), kind))


# ---- torch.save since PyTorch 1.6: a zip file of one pickle, and a file for each storage


def _from_zip(content: bytes) -> Any:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OverflowError) as error:
        raise Refused(f"is damaged or cut short: {str(error)[:200]}") from None
    with archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        if len(entries) > _MOST_ENTRIES:
            raise Refused(f"has {len(entries)} entries; at most {_MOST_ENTRIES} are read")
        roots = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(roots) != 1:
            raise Refused(
                "is a zip file without the entry data.pkl of torch.save; one of Keras is read by"
                " gatewise.interop.keras"
            )
        root = roots[0].removesuffix("data.pkl")
        if root + "constants.pkl" in entries:
            raise Refused(
                "is a module of TorchScript: in PyTorch, write torch.save(module.state_dict(),"
                " path), and give that file"
            )
        # Entries may overlap, so that each is as large as the file: together they may not be.
        left = [len(content)]

        def bytes_of(name: str) -> bytes:
            entry = entries.get(root + name)
            if entry is None:
                raise Refused(f"is damaged: it has no entry {short(root + name)}")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise Refused("has compressed or encrypted entries, which torch.save never writes")
            left[0] -= entry.file_size
            if left[0] < 0:
                raise Refused("is damaged: its entries are larger than the file")
            try:
                return archive.read(entry)
            except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
                raise Refused(f"is damaged: {str(error)[:200]}") from None

        order = bytes_of("byteorder") if root + "byteorder" in entries else b"little"
        if order not in (b"little", b"big"):
            raise Refused(f"has the byte order {short(order)}; known are little and big")
        storages: dict[str, Storage] = {}

        def storage_of(identity: tuple[Any, ...]) -> Storage:
            kind, key, size = _identity(identity)
            if key not in storages:
                data = bytes_of(f"data/{key}")
                storages[key] = _stored(kind, data, size, order.decode())
            return _same_kind(storages[key], kind, key)

        return Reader(storage_of).read(io.BytesIO(bytes_of("data.pkl")))


def _identity(identity: tuple[Any, ...]) -> tuple[StorageType, str, int]:
    """Return type, key and number of elements of a storage."""
    if len(identity) < 4 or not isinstance(identity[0], StorageType):
        raise Refused("is damaged: a storage has no type that is known")
    kind, key, _, size = identity[:4]
    if not isinstance(key, str) or type(size) is not int or size < 0:
        raise Refused("is damaged: a storage has no name or no size")
    return kind, key, size


def _stored(kind: StorageType, data: bytes | memoryview, size: int, order: str) -> Storage:
    dtype = np.dtype(kind.dtype)
    if len(data) < size * dtype.itemsize:
        raise Refused(f"is damaged: a storage of {size} numbers has {len(data)} bytes")
    if order == "big":
        dtype = dtype.newbyteorder(">")
    elements: Array = np.frombuffer(data, dtype, size)
    return Storage(kind, size, lambda: elements)


def _same_kind(storage: Storage, kind: StorageType, key: str) -> Storage:
    if storage.kind != kind:
        raise Refused(f"is damaged: storage {short(key)} has two types")
    return storage


# ---- torch.save before PyTorch 1.6: pickles in a row, then the storages


def _from_pickles(content: bytes) -> Any:
    file = io.BytesIO(content)
    no_storage = Reader(_refuse_storage)
    if no_storage.read(file) != _MAGIC:
        raise Refused(
            "is a pickle, and none of torch.save: a pickle can run any program, so it is not read"
        )
    if Reader(_refuse_storage).read(file) != _LEGACY_VERSION:
        raise Refused(f"has another format of torch.save than {_LEGACY_VERSION}")
    system = Reader(_refuse_storage).read(file)
    little = system.get("little_endian", True) if isinstance(system, dict) else True
    waiting: dict[str, Storage] = {}

    def storage_of(identity: tuple[Any, ...]) -> Storage:
        kind, key, size = _identity(identity)
        if len(identity) > 4 and identity[4] is not None:
            raise Refused("has views of storages, which PyTorch no longer writes")
        if key not in waiting:
            waiting[key] = Storage(kind, size, _not_read)
        return _same_kind(waiting[key], kind, key)

    found = Reader(storage_of).read(file)
    keys = Reader(_refuse_storage).read(file)
    if not isinstance(keys, list) or set(map(str, keys)) != waiting.keys():
        raise Refused("is damaged: its list of storages is not that of its tensors")
    view = memoryview(content)
    for key in keys:
        at, storage = file.tell(), waiting[key]
        size = int.from_bytes(view[at : at + 8], "little" if little else "big")
        end = at + 8 + size * np.dtype(storage.kind.dtype).itemsize
        if size != storage.size or end > len(content):
            raise Refused(f"is damaged: storage {short(key)} ends outside of the file")
        read = _stored(storage.kind, view[at + 8 : end], size, "little" if little else "big")
        storage.elements = read.elements
        file.seek(end)
    return found


def _refuse_storage(identity: tuple[Any, ...]) -> Storage:
    raise Refused("is damaged: there is a storage where none is expected")


def _not_read() -> Array:
    raise Refused("is damaged: a storage is missing")


__all__ = ["STORAGES", "read"]
