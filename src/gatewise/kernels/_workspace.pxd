# What a training pass saves for the backward pass.
from gatewise.kernels._cell cimport CompiledCell


cdef class SavedSteps:
    cdef readonly object gates, h_in, h0, c, unprojected, d_projected, norm_x, norm_h, norm_scales
    cdef tuple shape
    cdef object dtype
    cdef Py_ssize_t width
    cdef bint has_mask

    cdef bint fits(self, CompiledCell compiled, tuple shape, bint has_mask)


cdef class Workspace:
    cdef readonly SavedSteps saved

    cdef SavedSteps prepared(self)
