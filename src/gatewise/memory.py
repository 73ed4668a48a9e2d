"""Memory that the system refuses: the call that needed it raises a SizeError that names the call.

A limit on the address space (``ulimit -v``), a container's limit or a full machine may refuse
memory anywhere. NumPy's MemoryError names the shape and dtype of the array, but not its purpose.
"""

import errno
import functools
import threading
from collections.abc import Callable, Iterable
from typing import ParamSpec, TypeVar

import numpy as np

from gatewise.errors import SizeError
from gatewise.kernels._memory import BLAS_BUFFER, reserve

_P = ParamSpec("_P")
_R = TypeVar("_R")

_CURE = (
    "use smaller batches, fewer or shorter sequences, or fewer units, or raise the limit on "
    "memory (ulimit -v)"
)


def size_error(error: BaseException, doing: str) -> SizeError:
    """Return the SizeError for an error that reports that there is no memory.

    Parameters
    ----------
    error : BaseException
        A MemoryError, or an error that :func:`_is_refusal` recognises. A SizeError that a check
        raised, which names the array, is returned itself.
    doing : str
        What needed the memory. If `error` comes from :func:`size_error`, this is put in front.

    Returns
    -------
    SizeError
    """
    parts: list[str] = getattr(error, "doing", [])
    if isinstance(error, SizeError) and not parts:
        return error
    refused = getattr(error, "refused", "") or str(error).strip().rstrip(".")
    refused = refused or "the system gave no more memory"
    # The user's call comes first. Calls between it and the layer would not help the user.
    parts = [doing, *(part for part in parts if part.startswith("layer "))]
    made = SizeError(f"{', '.join(parts)}: {refused[0].lower()}{refused[1:]}; {_CURE}")
    made.doing, made.refused = parts, refused
    return made


def _is_refusal(error: BaseException) -> bool:
    """Whether an error of a system call, or of loading a library, reports a lack of memory."""
    return getattr(error, "errno", None) == errno.ENOMEM or "annot allocate memory" in str(error)


def names_memory(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function: if the system refuses memory, it raises a SizeError with its name."""
    of_class = "." in function.__qualname__.rpartition("<locals>.")[2]

    @functools.wraps(function)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except (MemoryError, OSError, ImportError) as error:
            if not (isinstance(error, MemoryError) or _is_refusal(error)):
                raise
            name = function.__name__
            if of_class:
                name = f"{type(args[0]).__name__}.{name}"
            made = size_error(error, name)
            if made is error:
                raise
            # If such calls are nested, the cause is the innermost error, NumPy's.
            raise made from (error.__cause__ if isinstance(error, SizeError) else error)

    return named


def cover(cls: type, names: Iterable[str]) -> None:
    """Apply :func:`names_memory` to a class's own methods that have one of these names."""
    for name in names:
        method = vars(cls).get(name)
        if type(method) is type(cover):
            setattr(cls, name, names_memory(method))


# NumPy's OpenBLAS allocates a buffer at its first product, and a list of parts at each product that
# several threads share. If the system refuses either, OpenBLAS ends the process.

PARTS_OF_PRODUCT = 4 * 2**20  # bytes, on the safe side

_has_buffer = False
_first_product = threading.Lock()


def numpy_products(size: int = 0) -> None:
    """Make sure that NumPy's BLAS can have the memory it needs: called before matrix products.

    Parameters
    ----------
    size : int
        Bytes that the work itself allocates until the last product.

    Raises
    ------
    MemoryError
    """
    global _has_buffer
    if not _has_buffer:
        with _first_product:
            reserve(BLAS_BUFFER + PARTS_OF_PRODUCT)
            square = np.ones((160, 160))
            np.matmul(square, square)  # too large for the kernels that need no buffer
            _has_buffer = True
    reserve(PARTS_OF_PRODUCT + size)
