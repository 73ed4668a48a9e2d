"""Aligned arrays, and the last check before a pointer is taken."""
cimport numpy as cnp

import platform

import numpy as np

cnp.import_array()

ALIGNMENT = 64  # one cache line, one AVX-512 register

# Bytes that OpenBLAS takes at most for each thread that is in it: 32 MiB on x86-64, more on some
# other machines.
BLAS_BUFFER = (40 if platform.machine().lower() in ("x86_64", "amd64") else 160) * 2**20


def reserve(size):
    """Raise a MemoryError if the system does not give `size` bytes more now.

    They are freed at once, untouched. This is for work that must not stop half way: what comes
    before this call may fail, what comes after it knows that there is memory.
    """
    np.empty(size, np.uint8)


def aligned_empty(shape, dtype):
    """Uninitialised C-contiguous ndarray whose data starts on a 64-byte boundary."""
    dtype = np.dtype(dtype)
    cdef Py_ssize_t size = dtype.itemsize
    for extent in shape:
        size *= extent
    memory = np.empty(size + ALIGNMENT, np.uint8)
    cdef Py_ssize_t offset = -<Py_ssize_t>cnp.PyArray_DATA(memory) % ALIGNMENT
    if offset < 0:
        offset += ALIGNMENT
    return memory[offset:offset + size].view(dtype).reshape(shape)


cdef void *pointer_to(array, int typenum, int axes, Py_ssize_t n0, Py_ssize_t n1=1,
                      Py_ssize_t n2=1) except? NULL:
    """Data of a C-contiguous ndarray of exactly this type and shape; NULL for None.

    The layers have checked what the user gave. This guards the kernels against the library itself:
    a wrong array raises here instead of corrupting memory.
    """
    if array is None:
        return NULL
    cdef cnp.ndarray a
    cdef const cnp.npy_intp *shape
    if cnp.PyArray_Check(array):
        a = array
        shape = cnp.PyArray_DIMS(a)
        if (
            cnp.PyArray_TYPE(a) == typenum and cnp.PyArray_NDIM(a) == axes
            and cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)
            and shape[0] == n0 and (axes < 2 or shape[1] == n1) and (axes < 3 or shape[2] == n2)
        ):
            return cnp.PyArray_DATA(a)
    raise AssertionError(
        f"kernel expects a C-contiguous array of type {typenum} and shape {(n0, n1, n2)[:axes]}, "
        f"got {getattr(array, 'dtype', type(array))} {getattr(array, 'shape', '')}"
    )


cdef void *elements_of(array, int typenum, Py_ssize_t count) except? NULL:
    """The same for an array of any shape with this many elements."""
    if array is None:
        return NULL
    if (
        cnp.PyArray_Check(array) and cnp.PyArray_TYPE(array) == typenum
        and cnp.PyArray_SIZE(array) == count and cnp.PyArray_IS_C_CONTIGUOUS(array)
        and cnp.PyArray_ISBEHAVED_RO(array)
    ):
        return cnp.PyArray_DATA(array)
    raise AssertionError(
        f"kernel expects a C-contiguous array of type {typenum} with {count} elements, got "
        f"{getattr(array, 'dtype', type(array))} {getattr(array, 'shape', '')}"
    )


cdef void *needed_pointer(array, int typenum, int axes, Py_ssize_t n0, Py_ssize_t n1=1,
                          Py_ssize_t n2=1) except NULL:
    """pointer_to for an array that may not be None."""
    if array is None:
        raise AssertionError(f"kernel expects an array of shape {(n0, n1, n2)[:axes]}, got None")
    return pointer_to(array, typenum, axes, n0, n1, n2)


cdef void *needed_elements(array, int typenum, Py_ssize_t count) except NULL:
    """elements_of for an array that may not be None."""
    if array is None:
        raise AssertionError(f"kernel expects an array of {count} elements, got None")
    return elements_of(array, typenum, count)
