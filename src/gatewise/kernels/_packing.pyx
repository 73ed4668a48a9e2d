"""Weights as the passes read them. The layout is the header's of each family."""
from cython cimport floating
cimport numpy as cnp

import numpy as np

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_cell, gw_family, gw_weights
from gatewise.kernels._cell import VECTORS
from gatewise.kernels._memory import aligned_empty

cnp.import_array()


cdef object pack_forward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *cell, kernel,
                         recurrent_kernel, dict others):
    cdef int R = number_of(<floating *>NULL)
    cdef Py_ssize_t columns = k.x_gates * k.units
    cdef gw_weights[floating] w
    packed = aligned_empty((family.forward_size(cell),), k.dtype)
    w.w_x = <const floating *>needed_pointer(kernel, R, 2, k.inputs, columns)
    w.b = <const floating *>pointer_to(others.get("bias"), R, 1, columns)
    w.b_h = <const floating *>pointer_to(others.get("recurrent_bias"), R, 1, columns)
    held = inner_weights(&w, k, cell, recurrent_kernel, others)
    family.pack_forward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object pack_backward(CompiledCell k, const gw_family[floating] *family, const gw_cell[floating] *cell,
                          recurrent_kernel, dict others):
    cdef gw_weights[floating] w
    packed = aligned_empty((family.backward_size(cell),), k.dtype)
    w.w_x = w.b = w.b_h = NULL
    held = inner_weights(&w, k, cell, recurrent_kernel, others)
    family.pack_backward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object inner_weights(gw_weights[floating] *w, CompiledCell k, const gw_cell[floating] *cell, recurrent_kernel,
                          dict others):
    """The weights that both passes read. What is returned must live as long as they are read."""
    cdef int R = number_of(<floating *>NULL)
    w.w_h = <const floating *>needed_pointer(recurrent_kernel, R, 2, k.width, k.x_gates * k.units)
    w.peephole = w.projection = w.vectors = NULL
    if cell.peepholes:
        w.peephole = <const floating *>needed_pointer(others.get("peephole"), R, 2, cell.peepholes, k.units)
    if k.width != k.units:
        w.projection = <const floating *>needed_pointer(others.get("projection_kernel"), R, 2, k.units, k.width)
    if not k.normalized:
        return None
    joined = np.concatenate([np.zeros(blocks * k.units, k.dtype) if vector is None else vector
                             for blocks, vector in zip(VECTORS[k.family].values(), vectors_of(k, others))])
    if k.family == "gru":
        joined[:2 * k.units] += joined[9 * k.units:11 * k.units]
    w.vectors = <const floating *>needed_pointer(joined, R, 1, blocks_of(k) * k.units)
    return joined


cdef list vectors_of(CompiledCell k, dict named):
    """The arrays of VECTORS, each checked; None for a bias that there is not."""
    cdef int R = cnp.NPY_FLOAT32 if k.dtype == np.float32 else cnp.NPY_FLOAT64
    vectors = [named.get(name) for name in VECTORS[k.family]]
    for (name, blocks), vector in zip(VECTORS[k.family].items(), vectors):
        if vector is not None or name not in ("bias", "recurrent_bias"):
            needed_pointer(vector, R, 1, blocks * k.units)
    return vectors


cdef Py_ssize_t blocks_of(CompiledCell k):
    return sum(VECTORS[k.family].values())


cdef int add_to_vectors(CompiledCell k, list vectors, total) except -1:
    """Gradients as normalized.h has them, to those of the parameters."""
    cdef Py_ssize_t at = 0, H = k.units
    if k.family == "gru":  # both biases are added to the sums of z and r
        total[9 * H:11 * H] = total[:2 * H]
    for blocks, vector in zip(VECTORS[k.family].values(), vectors):
        if vector is not None:
            vector += total[at:at + blocks * H]
        at += blocks * H
    return 0
