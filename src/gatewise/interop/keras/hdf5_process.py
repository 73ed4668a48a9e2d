"""The program that reads an HDF5 file for :mod:`gatewise.interop.keras.hdf5`, in a process apart.

The HDF5 library is written in C, and a damaged file can make it run for ever, take all memory, or
end its process. So it reads in a process that may end, with limits on memory and time. This file
imports nothing of gatewise. From its standard input it reads the file, and writes to its standard
output the length of a JSON text (8 bytes), the text, and the numbers of all arrays.

The JSON text has for each path of a group its attributes, and for each path of an array its shape,
dtype and place, or why it cannot be read. Nothing outside of the file is opened.
"""

from __future__ import annotations

import io
import json
import math
import sys
from typing import Any

import h5py
import numpy as np

TEXTS = ("model_config", "training_config", "keras_version", "name")
LISTS = ("layer_names", "weight_names")
MOST_MEMBERS = 100_000
MOST_DEPTH = 30


class Reading:
    """One file.

    Parameters
    ----------
    content : bytes
        Of the file.
    """

    def __init__(self, content: bytes) -> None:
        self.size: int = len(content)
        self.groups: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, dict[str, Any]] = {}
        self.data: list[bytes] = []
        self.place: int = 0
        with h5py.File(io.BytesIO(content), "r") as file:
            waiting: list[tuple[str, Any]] = [("", file)]
            while waiting:
                path, group = waiting.pop()
                self.groups[path] = attributes_of(group)
                for name in group:
                    self.add(f"{path}/{name}".lstrip("/"), group, name, waiting)

    def add(self, path: str, group: Any, name: str, waiting: list[tuple[str, Any]]) -> None:
        """Add what a group has under a name."""
        if len(self.groups) + len(self.arrays) + len(waiting) > MOST_MEMBERS:
            raise ValueError(f"it has more than {MOST_MEMBERS} groups and arrays")
        if path.count("/") > MOST_DEPTH:
            raise ValueError(f"groups are nested more than {MOST_DEPTH} times")
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            self.arrays[path] = {"refused": "is a link to another place, which is not followed"}
            return
        found = group[name]
        if isinstance(found, h5py.Group):
            waiting.append((path, found))
        elif isinstance(found, h5py.Dataset):
            self.arrays[path] = self.described(found)

    def described(self, found: Any) -> dict[str, Any]:
        """Return the description of an array; its numbers are kept."""
        if found.shape is None or found.dtype.kind not in "fiu" or found.dtype.itemsize > 8:
            return {"refused": f"has dtype {found.dtype}"}
        properties = found.id.get_create_plist()
        if found.external or found.is_virtual or properties.get_nfilters():
            return {"refused": "is stored in another file, or compressed, which Keras never does"}
        size = math.prod(found.shape) * found.dtype.itemsize
        if self.place + size > self.size:
            return {"refused": f"has shape {found.shape}, which is larger than the file"}
        array = np.asarray(found[()])
        numbers = array.astype(array.dtype.newbyteorder("<")).tobytes()
        entry = {"shape": list(array.shape), "dtype": f"<{array.dtype.str[1:]}", "at": self.place}
        self.data.append(numbers)
        self.place += len(numbers)
        return entry


def attributes_of(group: Any) -> dict[str, Any]:
    """Return the attributes that say something: texts, and lists of texts in one or more parts."""
    found: dict[str, Any] = {}
    for name in group.attrs:
        if name in TEXTS:
            found[name] = text_of(group.attrs[name])
        elif name.rstrip("0123456789") in LISTS:
            found[name] = [text_of(each) for each in np.ravel(group.attrs[name])]
    return found


def text_of(value: Any) -> str:
    """Return a text of an attribute."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def limit(size: int) -> None:
    """Limit memory and processor time, if the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    memory = 4 * 2**30 + 10 * size
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    seconds = 60 + size // 10**6
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    """Read, write; whatever is raised says that the file is damaged."""
    content = sys.stdin.buffer.read()
    limit(len(content))
    header: dict[str, Any]
    try:
        reading = Reading(content)
        header, data = {"groups": reading.groups, "arrays": reading.arrays}, reading.data
    except Exception as error:
        header, data = {"damaged": f"{type(error).__name__}: {str(error)[:200]}"}, []
    text = json.dumps(header).encode()
    sys.stdout.buffer.write(len(text).to_bytes(8, "little") + text)
    for numbers in data:
        sys.stdout.buffer.write(numbers)


if __name__ == "__main__":
    main()
