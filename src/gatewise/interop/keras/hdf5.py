"""HDF5 files of Keras, read without trust.

The HDF5 library runs in a process of its own (`hdf5_process.py`), which may end; what it finds
comes back as plain values and arrays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gatewise.checkpoint.files import failure, open_regular, path_text, require_regular
from gatewise.checkpoint.layout import require_memory
from gatewise.checkpoint.refusal import Refused, short
from gatewise.errors import CheckpointError, MissingPackageError, SizeError

from .layer_configs import json_text

if TYPE_CHECKING:
    from gatewise._typing import Array, PathLike

MAGIC = b"\x89HDF\r\n\x1a\n"
_PROGRAM = Path(__file__).with_name("hdf5_process.py")
_SECONDS = 300  # the process has limits of its own; this is for one that waits


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


class Tree:
    """What an HDF5 file holds: attributes of groups, and arrays, by their paths.

    Parameters
    ----------
    content : bytes
        Of the file.

    Raises
    ------
    Refused
        The HDF5 library cannot read it.
    MissingPackageError
        h5py is not installed.
    """

    def __init__(self, content: bytes) -> None:
        h5py()
        done = _process(content)
        size = int.from_bytes(done[:8], "little")
        header = json_text(done[8 : 8 + size], "what the HDF5 library read")
        if "damaged" in header:
            raise Refused(f"is damaged: {header['damaged']}")
        self._groups: dict[str, dict[str, Any]] = header["groups"]
        self._arrays: dict[str, dict[str, Any]] = header["arrays"]
        self._numbers = memoryview(done)[8 + size :]

    def has_group(self, path: str) -> bool:
        """Return whether there is a group; "" is the root."""
        return path in self._groups

    def names(self, path: str) -> list[str]:
        """Return the names of what a group has directly."""
        start = f"{path}/" if path else ""
        return [
            name.removeprefix(start)
            for name in [*self._groups, *self._arrays]
            if name and name.startswith(start) and "/" not in name.removeprefix(start)
        ]

    def text(self, path: str, name: str) -> str | None:
        """Return an attribute of a group; None if there is none."""
        return self._groups.get(path, {}).get(name)

    def texts(self, path: str, name: str) -> list[str]:
        """Return an attribute that is a list of texts; Keras splits long ones into several."""
        attributes = self._groups.get(path, {})
        if name in attributes:
            return list(attributes[name])
        found: list[str] = []
        number = 0
        while f"{name}{number}" in attributes:
            found += attributes[f"{name}{number}"]
            number += 1
        return found

    def has_array(self, path: str) -> bool:
        """Return whether there is an array, or a link in the place of one."""
        return path in self._arrays

    def array(self, path: str, shape: tuple[int, ...]) -> Array:
        """Return the numbers of an array of this shape.

        Raises
        ------
        Refused
            There is none, it has another shape, or it is stored in a way that Keras does not use.
        """
        entry = self._arrays.get(path)
        if entry is None:
            raise Refused(f"has no array {short(path)}")
        if "refused" in entry:
            raise Refused(f"has array {short(path)}, which {entry['refused']}")
        if tuple(entry["shape"]) != shape:
            raise Refused(
                f"has {short(path)} of shape {tuple(entry['shape'])}; the layer needs {shape}"
            )
        dtype = np.dtype(entry["dtype"])
        count = int(np.prod(shape, dtype=np.int64))
        found = np.frombuffer(self._numbers, dtype, count, entry["at"])
        return found.reshape(shape).astype(dtype.newbyteorder("="))


def _process(content: bytes) -> bytes:
    """Return what the program writes for a file."""
    if not sys.executable:
        raise CheckpointError("files of Keras are read by another process of Python: none is known")
    try:
        # -P: no module beside the program is imported in the place of one of Python's
        done = subprocess.run(
            [sys.executable, "-P", str(_PROGRAM)],
            input=content,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Refused(f"is damaged: the HDF5 library has not read it in {_SECONDS} s") from None
    if done.returncode or len(done.stdout) < 8:
        raise Refused(
            "is damaged, or too large: the process in which the HDF5 library read it has ended"
            f" with status {done.returncode}"
        )
    return done.stdout
