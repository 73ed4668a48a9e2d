from gatewise.kernels._cell cimport CompiledCell


cdef class RecurrentKernel(CompiledCell):
    pass


cdef class Workspace:
    cdef readonly object gates, h_in, h0, c, m, dm, v, u, scales
    cdef readonly bint has_mask
