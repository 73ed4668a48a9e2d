from gatewise.kernels._table cimport gw_narrow

cdef class NarrowMatrix:
    cdef gw_narrow matrix
    cdef readonly str storage
    cdef readonly Py_ssize_t inputs, columns
    cdef object panels, scales, sums  # what the pointers of `matrix` point to
