# A pass over whole sequences.
from cython cimport floating

from gatewise.kernels._attending cimport Attending
from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._table cimport gw_cell, gw_family
from gatewise.kernels._workspace cimport SavedSteps


# Arguments of a call, as RecurrentKernel's methods document them; None: not given.
cdef class SequenceCall:
    cdef object packed, x, order, lengths, resets, mask, zoneout_key, numbers, table
    cdef Attending attention
    cdef SavedSteps saved
    cdef int threads
    cdef object final_h, final_c, initial_h, y           # forward
    cdef dict weights, gradients                         # backward
    cdef object dh, dc, dy, dx, d_table

cdef object forward(CompiledCell compiled, const gw_family[floating] *family,
                    const gw_cell[floating] *weightless, SequenceCall call)
cdef object project(CompiledCell compiled, const gw_family[floating] *family,
                    const gw_cell[floating] *weightless, packed, x, z, int threads)
cdef object backward(CompiledCell compiled, const gw_family[floating] *family,
                     const gw_cell[floating] *weightless, SequenceCall call)
