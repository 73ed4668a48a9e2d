from gatewise.kernels._table cimport gw_narrow, gw_narrow_part

cdef class NarrowMatrix:
    cdef gw_narrow matrix
    cdef readonly str storage
    cdef readonly Py_ssize_t inputs, columns
    cdef object panels, scales, sums  # what the pointers of `matrix` point to

cdef class NarrowSums:
    cdef gw_narrow_part parts[3]
    cdef readonly int count
    cdef readonly Py_ssize_t columns, given  # numbers of the sums; bytes that a row's x or h' takes
    cdef readonly object bias
    cdef public object floats  # what of a cell's weights stays float32, packed
    cdef list matrices
