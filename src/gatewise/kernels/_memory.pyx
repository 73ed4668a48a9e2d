"""Aligned arrays, and the last check before a pointer is taken."""
cimport numpy as cnp

import numpy as np

cnp.import_array()

ALIGNMENT = 64  # one cache line, one AVX-512 register


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


cdef void *pointer_to(array, dtype, tuple shape) except? NULL:
    """Data of a C-contiguous ndarray of exactly this dtype and shape; NULL for None.

    The layers have checked what the user gave. This guards the kernels against the library itself:
    a wrong array raises here instead of corrupting memory.
    """
    if array is None:
        return NULL
    if not (cnp.PyArray_Check(array) and cnp.PyArray_IS_C_CONTIGUOUS(array) and array.dtype == dtype
            and array.shape == shape):
        raise AssertionError(f"kernel expects C-contiguous {np.dtype(dtype)} {shape}, got "
                             f"{getattr(array, 'dtype', type(array))} {getattr(array, 'shape', '')}")
    return cnp.PyArray_DATA(array)
