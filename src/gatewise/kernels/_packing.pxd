# Weights as the passes read them. `weights` holds parameters by the kernel's names; None, or no
# such key: the cell has no such parameter.
from cython cimport floating

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._table cimport gw_cell, gw_family

cdef object pack_forward(CompiledCell compiled, const gw_family[floating] *family,
                         const gw_cell[floating] *cell, dict weights)
cdef object pack_backward(CompiledCell compiled, const gw_family[floating] *family,
                          const gw_cell[floating] *cell, dict weights)

# Parameters, or their gradients, that a normalized cell packs beside its matrices.
cdef list vectors_of(CompiledCell compiled, dict named)
cdef Py_ssize_t vector_blocks(CompiledCell compiled)
cdef int add_to_vectors(CompiledCell compiled, list vectors, total) except -1
