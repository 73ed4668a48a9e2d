# The walk through time.
from cython cimport floating

from gatewise.kernels._sequence cimport gw_sequence
from gatewise.kernels._table cimport gw_cell, gw_family

cdef int run(const gw_family[floating] *family, const gw_cell[floating] *cell,
             const gw_sequence[floating] *s, lengths, int n_bands, int parts,
             bint backwards) except -1
