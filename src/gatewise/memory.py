"""Memory that the system refuses: the call that needed it raises a SizeError that names the call.

A limit on the address space (``ulimit -v``), a container's limit or a full machine refuses memory
at any place. NumPy's MemoryError names the shape and dtype of the array, but not what it was for.
"""

import errno
import functools
import threading

import numpy as np

from gatewise.errors import SizeError
from gatewise.kernels._memory import BLAS_BUFFER, reserve

_CURE = (
    "use smaller batches, fewer or shorter sequences, or fewer units, or raise the limit on "
    "memory (ulimit -v)"
)


def size_error(error, doing):
    """The SizeError for whatever said that there is no memory.

    Parameters
    ----------
    error : BaseException
        A MemoryError, or what :func:`_is_refusal` knows. A SizeError of a check, which names the
        array, is returned itself.
    doing : str
        What needed the memory. If `error` comes from :func:`size_error`, this is put in front.
    """
    parts = getattr(error, "doing", None)
    if isinstance(error, SizeError) and parts is None:
        return error
    refused = error.refused if parts else str(error).strip().rstrip(".")
    refused = refused or "the system gave no more memory"
    # The call of the user comes first. Calls between it and the layer would tell the user nothing.
    parts = [doing, *(part for part in parts or [] if part.startswith("layer "))]
    made = SizeError(f"{', '.join(parts)}: {refused[0].lower()}{refused[1:]}; {_CURE}")
    made.doing, made.refused = parts, refused
    return made


def _is_refusal(error):
    """Whether an error of a system call, or of a library to load, says that there was no memory."""
    return getattr(error, "errno", None) == errno.ENOMEM or "annot allocate memory" in str(error)


def names_memory(function):
    """Decorator: if the system refuses memory, the call raises a SizeError with its name."""
    of_class = "." in function.__qualname__.rpartition("<locals>.")[2]

    @functools.wraps(function)
    def named(*args, **kwargs):
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
            # Of several calls inside each other the innermost error, NumPy's, is the cause.
            raise made from (error.__cause__ if isinstance(error, SizeError) else error)

    return named


def cover(cls, names):
    """Decorate those of a class's own methods that have one of these names."""
    for name in names:
        method = vars(cls).get(name)
        if type(method) is type(cover):
            setattr(cls, name, names_memory(method))


# NumPy's OpenBLAS takes a buffer at its first product, and a list of the parts at each product that
# several threads share. If the system refuses either, OpenBLAS ends the process.

PARTS_OF_PRODUCT = 4 * 2**20  # bytes, on the safe side

_has_buffer = False
_first_product = threading.Lock()


def numpy_products(size=0):
    """Make sure of the memory that NumPy's BLAS needs; called before products of matrices.

    Parameters
    ----------
    size : int
        Bytes that the work itself takes until the last product.

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
