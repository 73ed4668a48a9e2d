# A cell for one dtype and size, and the functions that compute it.
from gatewise.kernels._table cimport gw_cell, gw_family


cdef class CompiledCell:
    cdef readonly str family
    cdef readonly object dtype, options, zeros
    cdef readonly Py_ssize_t inputs, units, width, x_gates, h_gates, saved
    cdef readonly bint has_zoneout, normalized
    cdef gw_cell[float] cell32
    cdef gw_cell[double] cell64

cdef const gw_family[float] *family32(CompiledCell compiled) noexcept
cdef const gw_family[double] *family64(CompiledCell compiled) noexcept
