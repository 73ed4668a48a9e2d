# A pass over whole sequences. kept: the arrays of a workspace, or None.
from cython cimport floating

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._table cimport gw_cell, gw_family

cdef object forward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                    final_h, final_c, order, lengths, resets, initial_h, mask, zoneout_key, y, tuple kept, int threads)
cdef object backward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *weightless, packed, x,
                     kernel, tuple kept, dh, dc, order, lengths, resets, mask, zoneout_key, dy, dx, dict gradients,
                     int threads)
