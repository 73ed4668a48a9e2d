# Weights as the passes read them.
from cython cimport floating

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._table cimport gw_cell, gw_family

cdef object pack_forward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *cell, kernel,
                         recurrent_kernel, dict others)
cdef object pack_backward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *cell,
                          recurrent_kernel, dict others)

# Parameters, or their gradients, that a normalized cell packs beside its matrices.
cdef list vectors_of(CompiledCell k, dict named)
cdef Py_ssize_t blocks_of(CompiledCell k)
cdef int add_to_vectors(CompiledCell k, list vectors, total) except -1
