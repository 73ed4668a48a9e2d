from gatewise.kernels._table cimport gw_cell, gw_int


cdef class RecurrentKernel:
    cdef readonly str family
    cdef readonly object dtype, zeros, arguments, inner
    cdef readonly Py_ssize_t inputs, units, width, x_gates, saved
    cdef readonly bint zoned, normalized
    cdef gw_cell[float] cell32
    cdef gw_cell[double] cell64


cdef class Workspace:
    cdef readonly object gates, h_in, h0, c, m, dm, v, u, scales
    cdef readonly bint has_mask
