"""Weights as the passes read them. The layout is the header's of each family."""
from cython cimport floating
cimport numpy as cnp

import numpy as np

from gatewise.kernels._cell cimport CompiledCell
from gatewise.kernels._memory cimport needed_pointer, number_of, pointer_to
from gatewise.kernels._table cimport gw_cell, gw_family, gw_weights
from gatewise.kernels._memory import aligned_empty

cnp.import_array()

# Biases and gains of a normalized cell in the order of normalized.h, and how many blocks of `units`
# numbers each has.
cdef dict VECTORS = {
    "rnn": {"bias": 1, "input_gain": 1, "recurrent_gain": 1},
    "lstm": {"bias": 4, "input_gain": 4, "recurrent_gain": 4, "cell_gain": 1, "cell_bias": 1},
    "gru": {"bias": 3, "input_gain": 3, "recurrent_gain": 3, "recurrent_bias": 3},
}


cdef object pack_forward(CompiledCell compiled, const gw_family[floating] *family,
                         const gw_cell[floating] *cell, dict weights):
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t columns = compiled.x_gates * compiled.units
    cdef gw_weights[floating] w
    packed = aligned_empty((family.forward_size(cell),), compiled.dtype)
    w.w_x = <const floating *>needed_pointer(
        weights.get("kernel"), typenum, 2, compiled.inputs, columns
    )
    w.b = <const floating *>pointer_to(weights.get("bias"), typenum, 1, columns)
    w.b_h = <const floating *>pointer_to(weights.get("recurrent_bias"), typenum, 1, columns)
    _held = inner_weights(&w, compiled, cell, weights)
    family.pack_forward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object pack_backward(CompiledCell compiled, const gw_family[floating] *family,
                          const gw_cell[floating] *cell, dict weights):
    cdef gw_weights[floating] w
    packed = aligned_empty((family.backward_size(cell),), compiled.dtype)
    _held = inner_weights(&w, compiled, cell, weights)
    family.pack_backward(cell, &w, <floating *>cnp.PyArray_DATA(packed))
    return packed


cdef object inner_weights(gw_weights[floating] *w, CompiledCell compiled,
                          const gw_cell[floating] *cell, dict weights):
    """The weights that both passes read. What is returned must live while they are read."""
    cdef int typenum = number_of(<floating *>NULL)
    cdef Py_ssize_t H = compiled.units, width = compiled.width
    w.w_h = <const floating *>needed_pointer(
        weights.get("recurrent_kernel"), typenum, 2, width, compiled.h_gates * H
    )
    if cell.peepholes:
        w.peephole = <const floating *>needed_pointer(
            weights.get("peephole"), typenum, 2, cell.peepholes, H
        )
    if width != H:
        w.projection = <const floating *>needed_pointer(
            weights.get("projection_kernel"), typenum, 2, H, width
        )
    if not compiled.normalized:
        return None
    joined = np.concatenate([
        np.zeros(blocks * H, compiled.dtype) if vector is None else vector
        for blocks, vector in zip(VECTORS[compiled.family].values(), vectors_of(compiled, weights))
    ])
    if compiled.family == "gru":  # both biases of z and r are added to the same sums
        joined[:2 * H] += joined[9 * H:11 * H]
    w.vectors = <const floating *>needed_pointer(joined, typenum, 1, vector_blocks(compiled) * H)
    return joined


cdef list vectors_of(CompiledCell compiled, dict named):
    """The arrays of VECTORS, each checked; None for a bias that the cell does not have."""
    cdef int typenum = cnp.NPY_FLOAT32 if compiled.dtype == np.float32 else cnp.NPY_FLOAT64
    vectors = [named.get(name) for name in VECTORS[compiled.family]]
    for (name, blocks), vector in zip(VECTORS[compiled.family].items(), vectors):
        if vector is not None or name not in ("bias", "recurrent_bias"):
            needed_pointer(vector, typenum, 1, blocks * compiled.units)
    return vectors


cdef Py_ssize_t vector_blocks(CompiledCell compiled):
    return sum(VECTORS[compiled.family].values())


cdef int add_to_vectors(CompiledCell compiled, list vectors, total) except -1:
    """Add the gradients of normalized.h's vectors to those of the parameters."""
    cdef Py_ssize_t at = 0, H = compiled.units
    if compiled.family == "gru":  # both biases of z and r are added to the same sums
        total[9 * H:11 * H] = total[:2 * H]
    for blocks, vector in zip(VECTORS[compiled.family].values(), vectors):
        if vector is not None:
            vector += total[at:at + blocks * H]
        at += blocks * H
    return 0
