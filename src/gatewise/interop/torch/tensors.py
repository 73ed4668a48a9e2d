"""Tensors of PyTorch's files and of mappings, as arrays that are made when they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gatewise.checkpoint.refusal import Refused, short
from gatewise.errors import DTypeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewise._typing import Array


class StorageType(NamedTuple):
    """How the elements of a storage are written."""

    dtype: str  # of NumPy, little-endian
    bfloat16: bool = False  # float32 without its lower half, which NumPy does not have


STORAGES = {
    "DoubleStorage": StorageType("<f8"),
    "FloatStorage": StorageType("<f4"),
    "HalfStorage": StorageType("<f2"),
    "BFloat16Storage": StorageType("<u2", bfloat16=True),
    "LongStorage": StorageType("<i8"),
    "IntStorage": StorageType("<i4"),
    "ShortStorage": StorageType("<i2"),
    "CharStorage": StorageType("|i1"),
    "ByteStorage": StorageType("|u1"),
    "BoolStorage": StorageType("|b1"),
}
# Of safetensors.
DTYPES = {
    "F64": STORAGES["DoubleStorage"],
    "F32": STORAGES["FloatStorage"],
    "F16": STORAGES["HalfStorage"],
    "BF16": STORAGES["BFloat16Storage"],
    "I64": STORAGES["LongStorage"],
    "I32": STORAGES["IntStorage"],
    "I16": STORAGES["ShortStorage"],
    "I8": STORAGES["CharStorage"],
    "U8": STORAGES["ByteStorage"],
    "BOOL": STORAGES["BoolStorage"],
}


def widened(elements: Array) -> Array:
    """Return bfloat16, read as uint16, as float32: the same numbers."""
    return (elements.astype(np.uint32) << 16).view(np.float32)


@dataclass(slots=True)
class Storage:
    """A row of elements in a file.

    Parameters
    ----------
    kind : StorageType
        Of its elements.
    size : int
        Number of elements.
    elements : callable
        Returns them, an array of shape (size,) that is not to be written to.
    """

    kind: StorageType
    size: int
    elements: Callable[[], Array]


@dataclass(slots=True)
class Tensor:
    """A tensor whose numbers are read when :meth:`array` is called; its shape is known before."""

    shape: tuple[int, ...]
    array: Callable[[], Array]


def rebuilt(arguments: tuple[Any, ...]) -> Tensor:
    """Return the tensor of the arguments of ``torch._utils._rebuild_tensor_v2``.

    Raises
    ------
    Refused
        It does not lie inside its storage.
    """
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise Refused("is damaged: a tensor has no storage")
    storage, offset, shape, strides = arguments[:4]
    numbers = [offset, *_whole(shape), *_whole(strides)]
    if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
        raise Refused(f"is damaged: a tensor has shape {short(shape)} and strides {short(strides)}")
    if len(shape) != len(strides) or len(shape) > 32:
        raise Refused(f"is damaged: a tensor has {len(shape)} axes and {len(strides)} strides")
    count = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
    if count and last >= storage.size:
        raise Refused(f"is damaged: a tensor of shape {shape} ends outside of its storage")
    if count > storage.size:  # a stride of 0 makes any size out of few bytes
        raise Refused(
            f"has a tensor of shape {shape} on a storage of {storage.size} numbers: save"
            " tensor.contiguous()"
        )

    def array() -> Array:
        elements = storage.elements()
        if not count:
            elements = np.zeros(0, elements.dtype)
            return _numbers(elements.reshape(shape), storage.kind)
        steps = [stride * elements.itemsize for stride in strides]
        view = np.lib.stride_tricks.as_strided(elements[offset:], shape, steps, writeable=False)
        return _numbers(view, storage.kind)

    return Tensor(tuple(shape), array)


def _whole(sizes: Any) -> tuple[Any, ...]:
    if not isinstance(sizes, tuple | list):
        raise Refused("is damaged: a tensor has no shape")
    return tuple(sizes)


def _numbers(elements: Array, kind: StorageType) -> Array:
    if kind.bfloat16:
        return widened(elements)
    return elements.astype(elements.dtype.newbyteorder("="))


def tensor_of(name: str, value: Any) -> Tensor:
    """Return an array or a tensor of PyTorch as a :class:`Tensor`.

    Raises
    ------
    DTypeError
        It is none.
    """
    if isinstance(value, Tensor):
        return value
    if hasattr(value, "detach"):  # of PyTorch, which is not imported for this
        held = value.detach().cpu()
        if str(held.dtype) == "torch.bfloat16":
            held = held.float()
        value = held.numpy()
    if not isinstance(value, np.ndarray | np.generic):
        raise DTypeError(
            f"{name!r} is a {type(value).__name__}; expected an array or a tensor of PyTorch"
        )
    array = np.asarray(value)
    return Tensor(array.shape, lambda: array)
