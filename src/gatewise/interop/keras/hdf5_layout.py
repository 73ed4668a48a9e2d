"""What the HDF5 library believes without looking, checked in the bytes of a file.

With damaged heaps of texts it reads without end, and it takes as much memory as the length of a
text says, before it looks for the text. Names of fields are those of the HDF5 file format
specification, sections II.A (superblock), III.E (global heap) and IV.A.2.m (attribute).
"""

from __future__ import annotations

import math

from gatewise.checkpoint.refusal import Refused, short


def check_layout(content: bytes) -> None:
    """Refuse heaps of texts whose objects do not fit into them.

    Raises
    ------
    Refused
        Sizes of the superblock or of an object in a global heap are not those that Keras writes.
    """
    # bytes of an offset and of a length: their place depends on the version
    sizes = content[13:15] if content[8:9] in (b"\0", b"\1") else content[9:11]
    if sizes != b"\x08\x08":
        raise Refused("is damaged: its superblock has other sizes than h5py writes")
    at = content.find(_HEAP)
    while at >= 0:
        _check_heap(content, at)
        at = content.find(_HEAP, at + 1)


_HEAP = b"GCOL\1"  # signature and version of a global heap


def _check_heap(content: bytes, start: int) -> None:
    size = int.from_bytes(content[start + 8 : start + 16], "little")
    end = start + size
    if end > len(content):
        raise Refused("is damaged: a heap of texts is cut short")
    at = start + 16
    while at + 16 <= end:
        index = int.from_bytes(content[at : at + 2], "little")
        length = int.from_bytes(content[at + 8 : at + 16], "little")
        if index == 0:  # free space, which reaches to the end and counts itself
            if length == 0 or at + length > end:
                raise Refused("is damaged: the free space of a heap of texts has a wrong size")
            return
        at += 16 + (length + 7) // 8 * 8
        if at > end:
            raise Refused("is damaged: a text reaches over the end of its heap")


_TEXTS = 9  # class of a datatype of any length
_REFERENCE = 16  # bytes of a reference to a text: its length, the heap, the number of the object


def check_texts(content: bytes, name: str) -> None:
    """Refuse an attribute whose texts would be longer than the file.

    Every place of the file that reads as an attribute of this name is looked at: one of them is the
    attribute.

    Parameters
    ----------
    content : bytes
        Of the whole file.
    name : str
        Of the attribute.

    Raises
    ------
    Refused
        The length of a text is larger than the file.
    """
    text = name.encode() + b"\0"
    at = content.find(text)
    while at >= 0:
        for version, head in ((1, 8), (2, 8), (3, 9)):
            start = at - head
            if start >= 0 and content[start] == version:
                _check_message(content, start, head, name)
        at = content.find(text, at + 1)


def _check_message(content: bytes, start: int, head: int, name: str) -> None:
    sizes = [int.from_bytes(content[start + k : start + k + 2], "little") for k in (2, 4, 6)]
    if sizes[0] != len(name.encode()) + 1:
        return
    if content[start] == 1:  # fields are filled up to multiples of 8
        sizes = [(size + 7) // 8 * 8 for size in sizes]
    kind, space = start + head + sizes[0], start + head + sizes[0] + sizes[1]
    first = space + sizes[2]
    if first >= len(content) or content[kind] & 15 != _TEXTS:
        return
    rank, dims = content[space + 1], space + (8 if content[space] == 1 else 4)
    axes = range(dims, dims + 8 * rank, 8)
    count = math.prod(int.from_bytes(content[axis : axis + 8], "little") for axis in axes)
    for place in range(first, min(first + count * _REFERENCE, len(content)), _REFERENCE):
        if int.from_bytes(content[place : place + 4], "little") > len(content):
            raise Refused(f"is damaged: attribute {short(name)} is longer than the file")
