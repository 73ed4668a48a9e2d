"""HDF5 files of Keras, read without trust, with h5py.

Nothing outside of the file is opened: links to other files, datasets that are stored in them and
virtual datasets are refused. No dataset is read before its shape was compared with that of a
parameter, and compressed ones are refused, so that a small file cannot fill the memory.
"""

from __future__ import annotations

import io
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checkpoint.files import failure, open_regular, path_text, require_regular
from gatewise.checkpoint.layout import require_memory
from gatewise.checkpoint.refusal import Refused, short
from gatewise.errors import CheckpointError, MissingPackageError, SizeError

from .hdf5_layout import check_layout, check_texts

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike

MAGIC = b"\x89HDF\r\n\x1a\n"
_MOST_TEXT = 100 * 2**20  # of an attribute: the configuration of a model
_MOST_MEMBERS = 100_000


def h5py() -> Any:
    """Return the package h5py.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        import h5py as package
    except ImportError as error:
        raise MissingPackageError(
            "files of Keras need h5py: python -m pip install 'gatewise[keras]'"
        ) from error
    return package


def content_of(path: PathLike) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    CheckpointError
        It cannot be read.
    SizeError
        It does not fit into memory.
    """
    path = path_text(path)
    try:
        with open(path, "rb", opener=open_regular) as file:
            status = os.fstat(file.fileno())
            require_regular(status)
            require_memory(2 * status.st_size)
            return file.read(status.st_size)
    except Refused as refusal:
        raise CheckpointError(f"{path!r} {refusal}") from None
    except MemoryError as error:
        raise SizeError(f"{path!r} takes more memory than there is: {error}") from error
    except (OSError, ValueError) as error:
        raise failure(f"cannot read {path!r}", error) from error


class Group:
    """A group of an HDF5 file: its members by name, datasets with a known shape, attributes.

    Parameters
    ----------
    group : h5py.Group
        Of an open file.
    content : bytes
        Of the whole file.
    """

    def __init__(self, group: Any, content: bytes) -> None:
        self._group = group
        self._content = content
        if len(group) > _MOST_MEMBERS:
            raise Refused(f"has a group of {len(group)} members")

    def names(self) -> list[str]:
        """Return the names of the members."""
        return [str(name) for name in _guarded(lambda: list(self._group))]

    def _member(self, name: str) -> Any:
        package, group = h5py(), self._group
        for part in name.split("/"):
            link = _guarded(lambda group=group, part=part: group.get(part, getlink=True))
            if link is None:
                return None
            if not isinstance(link, package.HardLink):
                raise Refused(
                    f"has a link to another place at {short(name)}, which is not followed"
                )
            group = _guarded(lambda group=group, part=part: group[part])
            if not isinstance(group, package.Group):
                break
        return group

    def group(self, name: str) -> Group | None:
        """Return a group inside, by its path; None if there is none."""
        found = self._member(name)
        return Group(found, self._content) if isinstance(found, h5py().Group) else None

    def text(self, name: str) -> str | None:
        """Return an attribute that is a text; None if there is none."""
        value = self._attribute(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        raise Refused(f"has attribute {short(name)} that is no text")

    def texts(self, name: str) -> list[str]:
        """Return an attribute that is a list of texts; Keras splits long ones into several."""
        found = self._attribute(name)
        if found is None:
            parts: list[Any] = []
            while (part := self._attribute(f"{name}{len(parts)}")) is not None:
                parts.append(part)
        else:
            parts = [found]
        return [
            text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
            for part in parts
            for text in np.ravel(part)
        ]

    def _attribute(self, name: str) -> Any:
        def read() -> Any:
            attributes = self._group.attrs
            if name not in attributes:
                return None
            described = attributes.get_id(name)
            count = math.prod(described.shape)
            size = count * described.dtype.itemsize
            if described.dtype.kind == "O":  # texts of any length, which lie elsewhere in the file
                check_texts(self._content, name)
                size = (count - 1) * len(self._content)  # several may be the same one
            if size > _MOST_TEXT:
                raise Refused(f"has attribute {short(name)} of {size} bytes")
            return attributes[name]

        return _guarded(read)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the shape of a dataset; None if there is none."""
        found = self._member(name)
        known = isinstance(found, h5py().Dataset) and found.shape is not None
        return tuple(found.shape) if known else None

    def array(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return the numbers of a dataset of this shape.

        Raises
        ------
        Refused
            There is none, it has another shape, or it is stored in a way that Keras does not use.
        """
        found = self._member(name)
        if not isinstance(found, h5py().Dataset):
            raise Refused(f"has no array {short(name)}")
        if found.shape != shape:
            raise Refused(
                f"has array {short(name)} of shape {found.shape}; the layer needs {shape}"
            )
        if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8:
            raise Refused(f"has array {short(name)} of dtype {found.dtype}")
        properties = _guarded(found.id.get_create_plist)
        if found.external or found.is_virtual or properties.get_nfilters():
            raise Refused(
                f"has array {short(name)} that is stored in another file, or compressed, which"
                " Keras never does"
            )
        array = _guarded(lambda: found[()])
        return np.asarray(array).astype(array.dtype.newbyteorder("="))


def _guarded(read: Any) -> Any:
    """Return what a function returns; whatever h5py raises says that the file is damaged."""
    try:
        return read()
    except (Refused, MemoryError):
        raise
    except Exception as error:
        raise Refused(f"is damaged: {type(error).__name__}: {str(error)[:200]}") from None


class opened:
    """Context manager: the root of an HDF5 file whose bytes are given."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __enter__(self) -> Group:
        package = h5py()
        check_layout(self._content)
        self._file = _guarded(lambda: package.File(io.BytesIO(self._content), "r"))
        return Group(self._file, self._content)

    def __exit__(self, *raised: object) -> None:
        self._file.close()
